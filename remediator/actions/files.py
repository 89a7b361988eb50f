"""Looking at files and disks, rotating closed files, compacting outboxes. Found by `remediator.plugins`.

Only what lies beneath the folders of the setting `files.roots` can be reached. Nothing here opens a file: that, and
what a crash may leave, is the business of `remediator.clients.files`.
"""

import asyncio
import heapq
import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue

from remediator.actions.counting import Counted, CountingParams, LineCounter
from remediator.clients.files import Fields, Found, Place, parts_of
from remediator.errors import Failed
from remediator.kit.wording import counted
from remediator.model.duration import Duration, say_duration
from remediator.plugins import ActionContext, Effect, Params, Result, Target, action

_SHOWN = 20
_KIB = 1024
_OLDEST = 1e4 * 365 * 86_400  # seconds
_MARGIN = timedelta(seconds=3)
"""Less than this is too short for any change."""


def _path(path: str) -> str:
    parts_of(path)
    return path


def _glob(pattern: str) -> str:
    if "/" in pattern or "\0" in pattern:
        raise ValueError(f"{pattern!r} must match names in one folder, so it has no `/`; name the folder by `path`")
    return pattern


def _live_glob(pattern: str) -> str:
    if pattern.startswith("."):
        raise ValueError(f"{pattern!r} would match hidden files, under which a rotation keeps what it works on")
    if pattern.endswith(".gz"):
        raise ValueError(f"{pattern!r} would match what is compressed already; write the pattern of the files in use")
    return _glob(pattern)


RelativePath = Annotated[str, Field(max_length=1000), AfterValidator(_path)]
FilePath = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_path)]
Glob = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_glob)]
LiveGlob = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_live_glob)]
FieldName = Annotated[str, Field(min_length=1, max_length=100)]
MostEntries = Annotated[int, Field(ge=1, le=1000)]


class RootParams(Params):
    """Which of the folders in the settings."""

    root: str
    """The folder, by its name under `files.roots` in the settings."""

    def place(self, path: str) -> Place:
        """Where a path leads."""
        return Place.at(self.root, path)


class FolderParams(RootParams):
    """Which folder."""

    path: RelativePath = ""
    """A folder in it, such as `inbox/today`; without it the root itself. Symbolic links are not followed."""


class FileParams(RootParams):
    """Which file."""

    path: FilePath
    """The file in it, such as `inbox/outbox.wal`. Symbolic links are not followed."""


class ListParams(FolderParams):
    """Which files of which folder."""

    pattern: Glob = "*"
    """What their names match, such as `inbox-*.wal`; hidden ones only where it begins with a dot."""
    limit: MostEntries = 20
    """How many to name; all are counted."""
    order: Literal["newest", "oldest", "largest", "smallest", "name"] = "newest"
    """Which come first."""


class TailParams(FileParams):
    """Which file, and how much of it."""

    lines: MostEntries = 100
    """How many lines, counted from the end."""


class CountParams(FileParams, CountingParams):
    """Which file, and what to count in it."""

    last_bytes: Annotated[int, Field(ge=1, le=2**36)] = 16 * 1024 * 1024
    """How much of it is looked through, counted from the end, in bytes; `files.max_read_mib` in the settings is the
    most."""


class JsonLinesParams(FolderParams):
    """Which entries."""

    pattern: Glob = "*"
    """What the names of the files match, such as `inbox-*.wal`."""
    limit: MostEntries = 20
    """How many entries: the newest of the newest files, 512 KiB at the most. A line that is longer than 256 KiB is not
    looked into."""


class RotateParams(FolderParams):
    """Which files of which folder."""

    pattern: LiveGlob
    """What the names of the files match while they are in use, such as `inbox-*.wal`."""
    keep: Annotated[int, Field(ge=1, le=10_000)] = 14
    """How many closed generations stay. Compressed ones beyond that are deleted, the oldest first, as logrotate does;
    what was not compressed yet is never deleted."""
    min_age: Annotated[Duration, Field(ge=timedelta(0), le=timedelta(days=36_500))] = timedelta(days=1)
    """A generation that was written to since is not deleted, however many there are: many files that were closed in one
    bad hour are not old ones."""


class CompactParams(FileParams):
    """Which outbox, and what its entries are like."""

    older_than: Annotated[Duration, Field(ge=timedelta(0), le=timedelta(days=36_500))] = timedelta(days=14)
    """An acknowledged entry goes when the time of its newest line is longer ago than this."""
    id_field: FieldName = "id"
    """The field that tells one entry from another: text or a whole number. A later line with the same id is about the
    same entry, and the newest decides."""
    time_field: FieldName = "ts"
    """The field with the time: RFC 3339 text with its zone, or seconds since 1970."""
    acked_field: FieldName = "acked"
    """The field that is `true` once the entry is acknowledged."""


class DiskUse(Result):
    """How full a file system is."""

    total_bytes: int
    """How large it is."""
    used_bytes: int
    """How much is in use."""
    free_bytes: int
    """How much is free for the user that this service runs as."""
    used_percent: float
    """How much of what can be used is in use, as `df` counts it."""
    inodes_used_percent: float
    """The same of the number of files it can hold; 0 where it does not count them."""

    def brief(self) -> str:
        return f"{self.used_percent:g} % used, {say_bytes(self.free_bytes)} of {say_bytes(self.total_bytes)} free"


class FileFound(BaseModel):
    """A file in a folder."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    name: str
    """Its name."""
    size: int
    """How many bytes it has."""
    age_seconds: float
    """How long ago it was written to."""
    modified_at: datetime
    """When it was written to."""


class Listed(Result):
    """The files of a folder."""

    files: tuple[FileFound, ...]
    """The first of them, in the order that was asked for."""
    count: int
    """How many match, those included that are not in `files`."""
    total_bytes: int
    """How large all of them are together."""
    newest: FileFound | None
    """The one written to last; nothing where none matches."""
    oldest: FileFound | None
    """The one not written to for the longest time; nothing where none matches."""

    def brief(self) -> str:
        if self.oldest is None:
            return "no files"
        files = "1 file" if self.count == 1 else f"{self.count:,} files"
        return f"{files}, {say_bytes(self.total_bytes)}, the oldest {_say_age(self.oldest.age_seconds)} old"

    def detail(self) -> str:
        lines = [f"{one.name}  {say_bytes(one.size)}  {_say_age(one.age_seconds)} old" for one in self.files[:_SHOWN]]
        if self.count > len(lines) > 0:
            lines.append(f"… ({self.count - len(lines)} more)")
        return "\n".join(lines)


class Tailed(Result):
    """The last lines of a file."""

    lines: tuple[str, ...]
    """The lines, the oldest first; at most the last 256 KiB."""
    count: int
    """How many there are."""

    def brief(self) -> str:
        return "1 line" if self.count == 1 else f"{self.count} lines"

    def detail(self) -> str:
        return "\n".join(self.lines)


class JsonLines(Result):
    """Entries of JSON-lines files."""

    entries: tuple[dict[str, JsonValue], ...]
    """The entries, the oldest first."""
    count: int
    """How many there are."""
    unreadable: int
    """How many lines were looked at that are no JSON object."""

    def brief(self) -> str:
        said = "1 entry" if self.count == 1 else f"{self.count} entries"
        return said + (f", {counted(self.unreadable, 'line')} that cannot be read" if self.unreadable else "")


class Skipped(BaseModel):
    """A file that was left as it is."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    name: str
    """Its name."""
    why: str
    """Why."""


class RotatedFiles(Result):
    """What a rotation did."""

    compressed: tuple[str, ...]
    """The files that are a `.gz` now."""
    deleted: tuple[str, ...]
    """The generations that were beyond the ones to keep."""
    skipped: tuple[Skipped, ...]
    """The files that were left as they are, with the reason."""
    bytes_freed: int
    """How much space there is more, as far as these files go."""

    def brief(self) -> str:
        if not self.compressed and not self.deleted and not self.skipped:
            return "there was nothing to rotate"
        said = [f"{len(self.compressed)} compressed", f"{len(self.deleted)} deleted"]
        if self.skipped:
            said.append(f"{len(self.skipped)} left ({self.skipped[0].name}: {self.skipped[0].why})")
        return f"{', '.join(said)}, {say_bytes(self.bytes_freed)} freed"

    def detail(self) -> str:
        lines = [f"compressed {name}" for name in self.compressed] + [f"deleted {name}" for name in self.deleted]
        return "\n".join(lines + [f"left {one.name}: {one.why}" for one in self.skipped])


class CompactedOutbox(Result):
    """What a compaction did."""

    kept: int
    """Lines that stayed."""
    dropped: int
    """Lines of acknowledged old entries, which are gone."""
    unreadable: int
    """Lines that are no JSON object, which stayed."""
    bytes_freed: int
    """By how much the file is smaller."""

    def brief(self) -> str:
        lines = "1 line" if self.dropped == 1 else f"{self.dropped:,} lines"
        said = f"{lines} dropped, {self.kept:,} kept, {say_bytes(self.bytes_freed)} freed"
        return said + (f", {self.unreadable:,} that cannot be read" if self.unreadable else "")


def say_bytes(size: float) -> str:
    """A size as people say it."""
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB"):
        if size < _KIB or unit == "TiB":
            break
        size /= _KIB
    return f"{size:.0f} {unit}" if unit == "bytes" or size >= 100 else f"{size:.1f} {unit}"  # noqa: PLR2004 - three digits


def _say_age(seconds: float) -> str:
    """To the two largest units' worth: nobody wants milliseconds of a day."""
    step = 1 if seconds < 3600 else 60  # noqa: PLR2004 - an hour
    known = min(max(seconds, 0), _OLDEST)
    return say_duration(timedelta(seconds=math.floor(known / step) * step))


def _say_place(params: FolderParams | FileParams) -> str:
    return f"{params.root}/{params.path}" if params.path else params.root


def _say_disk(params: FolderParams) -> str:
    return f"look how full the disk of {_say_place(params)} is"


def _say_list(params: ListParams) -> str:
    return f"list {params.pattern} in {_say_place(params)}"


def _say_tail(params: TailParams) -> str:
    return f"read the last {counted(params.lines, 'line')} of {_say_place(params)}"


def _say_count(params: CountParams) -> str:
    return f"count {', '.join(params.patterns)} in the last {say_bytes(params.last_bytes)} of {_say_place(params)}"


def _say_json_lines(params: JsonLinesParams) -> str:
    return f"read the newest {counted(params.limit, 'entry', 'entries')} of {params.pattern} in {_say_place(params)}"


def _say_rotate(params: RotateParams) -> str:
    return (
        f"rotate closed files {params.pattern} in {_say_place(params)}: compress them, and delete compressed ones "
        f"beyond the newest {params.keep} that are older than {say_duration(params.min_age)}"
    )


def _say_compact(params: CompactParams) -> str:
    return (
        f"compact {_say_place(params)}: drop entries with {params.acked_field}=true whose {params.time_field} is more "
        f"than {say_duration(params.older_than)} ago"
    )


@action("files.disk", effect=Effect.READ, say=_say_disk)
async def disk(ctx: ActionContext, params: FolderParams) -> DiskUse:
    """How full the file system is that a folder is on."""
    found = await ctx.clients.files.disk(params.place(params.path))
    return DiskUse(
        total_bytes=found.total,
        used_bytes=found.used,
        free_bytes=found.free,
        used_percent=_percent(found.used, found.used + found.free),
        inodes_used_percent=_percent(found.inodes - found.inodes_free, found.inodes),
    )


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 1) if whole > 0 else 0.0


@action("files.list", effect=Effect.READ, say=_say_list)
async def list_files(ctx: ActionContext, params: ListParams) -> Listed:
    """The files of a folder, with size and age."""
    found = await ctx.clients.files.found(params.place(params.path), params.pattern)
    return await asyncio.to_thread(_listed, found, params, ctx.clock.now())  # to order very many takes a while


def _listed(found: list[Found], params: ListParams, now: datetime) -> Listed:
    return Listed(
        files=tuple(_file_found(one, now) for one in _first(found, params.order, params.limit)),
        count=len(found),
        total_bytes=sum(one.size for one in found),
        newest=_file_found(max(found, key=_age), now) if found else None,
        oldest=_file_found(min(found, key=_age), now) if found else None,
    )


def _first(found: list[Found], order: str, limit: int) -> list[Found]:
    by: Callable[[Found], Any] = {"name": _name, "largest": _size, "smallest": _size}.get(order, _age)
    pick = heapq.nlargest if order in ("newest", "largest") else heapq.nsmallest
    return pick(limit, found, key=by)


def _name(one: Found) -> str:
    return one.name


def _size(one: Found) -> tuple[int, str]:
    return (one.size, one.name)


def _age(one: Found) -> tuple[float, str]:
    return (one.modified, one.name)


def _file_found(one: Found, now: datetime) -> FileFound:
    return FileFound(
        name=one.shown,
        size=one.size,
        age_seconds=round(now.timestamp() - one.modified, 3),
        modified_at=_time_of(one.modified),
    )


def _time_of(seconds: float) -> datetime:
    """A file system can say times that no calendar here has: the last one then, or the first."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.max.replace(tzinfo=UTC) if seconds > 0 else datetime.min.replace(tzinfo=UTC)


@action("files.tail", effect=Effect.READ, say=_say_tail)
async def tail(ctx: ActionContext, params: TailParams) -> Tailed:
    """The last lines of a file."""
    lines = await ctx.clients.files.tail(params.place(params.path), params.lines)
    return Tailed(lines=lines, count=len(lines))


@action("files.count", effect=Effect.READ, say=_say_count)
async def count(ctx: ActionContext, params: CountParams) -> Counted:
    """How many of the last lines of a file each pattern is found in, with examples."""

    def look(lines: Iterator[bytes]) -> LineCounter:
        counter = LineCounter(params.patterns, params.examples)
        counter.feed(lines)
        return counter

    counter = await ctx.clients.files.look_through(params.place(params.path), params.last_bytes, look)
    return Counted(counts=counter.counts, examples=counter.examples, lines=counter.lines)


@action("files.json_lines", effect=Effect.READ, say=_say_json_lines)
async def json_lines(ctx: ActionContext, params: JsonLinesParams) -> JsonLines:
    """The newest entries of JSON-lines files."""
    found = await ctx.clients.files.entries(params.place(params.path), params.pattern, params.limit)
    return JsonLines(entries=found.entries, count=len(found.entries), unreadable=found.unreadable)


async def folder_of(ctx: ActionContext, params: RotateParams) -> tuple[Target, ...]:
    """The folder in which files are rotated."""
    place = params.place(params.path)
    return (Target("files", (place.root, *place.parts), incarnation=await ctx.clients.files.incarnation(place)),)


async def outbox_of(ctx: ActionContext, params: CompactParams) -> tuple[Target, ...]:
    """The file by its name; the folder is what is checked, as a compaction puts a new file in the old one's place."""
    place = params.place(params.path)
    incarnation = await ctx.clients.files.incarnation(place.folder)
    return (Target("files", (place.root, *place.parts), incarnation=incarnation),)


def _seen(ctx: ActionContext, place: Place) -> str:
    """The incarnation of the target. Raises Failed where it is not this place."""
    target = ctx.target
    if target.system != "files" or target.parts != (place.root, *place.parts) or not target.incarnation:
        raise Failed(f"{ctx.step}: {target} is not {place}, which would be worked on")
    return target.incarnation


def _left(ctx: ActionContext) -> timedelta:
    """The time that there is. Raises Failed where it is too short to begin."""
    left = ctx.deadline - ctx.clock.now()
    if left < _MARGIN:
        raise Failed(
            f"{ctx.step}: not done, {max(left.total_seconds(), 0):.0f} s are too short for it; let the step's "
            f"`timeout` be longer than {say_duration(_MARGIN)}, or leave it out"
        )
    return left


@action(
    "files.rotate",
    effect=Effect.CHANGE,
    targets=folder_of,
    idempotent=True,
    timeout=timedelta(minutes=10),
    say=_say_rotate,
)
async def rotate(ctx: ActionContext, params: RotateParams) -> RotatedFiles:
    """Compress closed files, keep so many generations of them, and delete older ones; no file that is open is touched.

    The newest matching file stays, and so does one that any process has open, which the kernel tells by a lease: the
    service must run as the owner of the files, or with the capability CAP_LEASE, on a local file system of Linux.
    """
    place = params.place(params.path)
    before = ctx.clock.now() - params.min_age
    done = await ctx.clients.files.rotate(
        place, params.pattern, params.keep, before=before, seen=_seen(ctx, place), within=_left(ctx)
    )
    return RotatedFiles(
        compressed=done.compressed,
        deleted=done.deleted,
        skipped=tuple(Skipped(name=name, why=why) for name, why in done.skipped),
        bytes_freed=done.bytes_freed,
    )


@action(
    "files.compact",
    effect=Effect.CHANGE,
    targets=outbox_of,
    idempotent=True,
    timeout=timedelta(minutes=10),
    say=_say_compact,
)
async def compact(ctx: ActionContext, params: CompactParams) -> CompactedOutbox:
    """Drop acknowledged old entries from a JSON-lines outbox; everything else stays as it is, byte for byte.

    The newest line of an id decides about all lines of that id. The writer only ever appends, and closes the file
    between entries: one that keeps it open makes the step fail, and nothing is done.
    """
    place = params.place(params.path)
    before = ctx.clock.now() - params.older_than
    fields = Fields(params.id_field, params.time_field, params.acked_field, before)
    done = await ctx.clients.files.compact(place, fields, seen=_seen(ctx, place), within=_left(ctx))
    return CompactedOutbox(
        kept=done.kept, dropped=done.dropped, unreadable=done.unreadable, bytes_freed=done.bytes_freed
    )
