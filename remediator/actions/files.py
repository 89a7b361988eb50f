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

from pydantic import ConfigDict, Field, JsonValue

from remediator.actions.counting import Counted, CountingParams, LineCounter
from remediator.actions.file_changes import CompactedOutbox, CompactParams, RotatedFiles, RotateParams, compact, rotate
from remediator.actions.folders import (
    FileParams,
    FolderParams,
    Glob,
    MostEntries,
    root_of,
    say_bytes,
    say_place,
)
from remediator.actions.last_lines import LastLines
from remediator.clients.files import Found
from remediator.documents import Described
from remediator.kit.wording import counted
from remediator.model.duration import say_duration
from remediator.plugins import ActionContext, Effect, Result, action

__all__ = ["CompactParams", "CompactedOutbox", "RotateParams", "RotatedFiles", "compact", "rotate", "say_bytes"]

_SHOWN = 20
_OLDEST = 1e4 * 365 * 86_400  # seconds


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


class FileFound(Described):
    """A file in a folder."""

    model_config = ConfigDict(frozen=True)

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


class Tailed(LastLines):
    """The last lines of a file."""


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


def _say_age(seconds: float) -> str:
    """To the two largest units' worth: nobody wants milliseconds of a day."""
    step = 1 if seconds < 3600 else 60  # noqa: PLR2004 - an hour
    known = min(max(seconds, 0), _OLDEST)
    return say_duration(timedelta(seconds=math.floor(known / step) * step))


def _say_disk(params: FolderParams) -> str:
    return f"look how full the disk of {say_place(params)} is"


def _say_list(params: ListParams) -> str:
    return f"list {params.pattern} in {say_place(params)}"


def _say_tail(params: TailParams) -> str:
    return f"read the last {counted(params.lines, 'line')} of {say_place(params)}"


def _say_count(params: CountParams) -> str:
    return f"count {', '.join(params.patterns)} in the last {say_bytes(params.last_bytes)} of {say_place(params)}"


def _say_json_lines(params: JsonLinesParams) -> str:
    return f"read the newest {counted(params.limit, 'entry', 'entries')} of {params.pattern} in {say_place(params)}"


@action("files.disk", effect=Effect.READ, system=root_of, say=_say_disk)
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


@action("files.list", effect=Effect.READ, system=root_of, say=_say_list)
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


@action("files.tail", effect=Effect.READ, system=root_of, say=_say_tail)
async def tail(ctx: ActionContext, params: TailParams) -> Tailed:
    """The last lines of a file."""
    lines = await ctx.clients.files.tail(params.place(params.path), params.lines)
    return Tailed(lines=lines, count=len(lines))


@action("files.count", effect=Effect.READ, system=root_of, say=_say_count)
async def count(ctx: ActionContext, params: CountParams) -> Counted:
    """How many of the last lines of a file each pattern is found in, with examples."""

    def look(lines: Iterator[bytes]) -> LineCounter:
        counter = LineCounter(params.patterns, params.examples)
        counter.feed(lines)
        return counter

    counter = await ctx.clients.files.look_through(params.place(params.path), params.last_bytes, look)
    return Counted(counts=counter.counts, examples=counter.examples, lines=counter.lines)


@action("files.json_lines", effect=Effect.READ, system=root_of, say=_say_json_lines)
async def json_lines(ctx: ActionContext, params: JsonLinesParams) -> JsonLines:
    """The newest entries of JSON-lines files."""
    found = await ctx.clients.files.entries(params.place(params.path), params.pattern, params.limit)
    return JsonLines(entries=found.entries, count=len(found.entries), unreadable=found.unreadable)
