"""Making space without losing anything: rotating closed files, compacting an outbox.

Both act on what stands under a root of the settings, and both may be repeated: the work itself, and what a crash in the
middle of it leaves, is `clients.files`' business.
"""

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field

from remediator.actions.folders import FieldName, FileParams, FolderParams, one_name, root_of, say_bytes, say_place
from remediator.clients.files import Fields, Place
from remediator.documents import Described
from remediator.errors import Failed
from remediator.model.duration import Duration, say_duration
from remediator.plugins import ActionContext, Effect, Result, Target, action

_MARGIN = timedelta(seconds=3)
"""Less than this is too short for any change."""


def _live_glob(pattern: str) -> str:
    if pattern.startswith("."):
        raise ValueError(f"{pattern!r} would match hidden files, under which a rotation keeps what it works on")
    if pattern.endswith(".gz"):
        raise ValueError(f"{pattern!r} would match what is compressed already; write the pattern of the files in use")
    return one_name(pattern)


LiveGlob = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_live_glob)]


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


class Skipped(Described):
    """A file that was left as it is."""

    model_config = ConfigDict(frozen=True)

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


def _say_rotate(params: RotateParams) -> str:
    return (
        f"rotate closed files {params.pattern} in {say_place(params)}: compress them, and delete compressed ones "
        f"beyond the newest {params.keep} that are older than {say_duration(params.min_age)}"
    )


def _say_compact(params: CompactParams) -> str:
    return (
        f"compact {say_place(params)}: drop entries with {params.acked_field}=true whose {params.time_field} is more "
        f"than {say_duration(params.older_than)} ago"
    )


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
    system=root_of,
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
    system=root_of,
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
