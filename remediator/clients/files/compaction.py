"""Drops acknowledged, old entries from a JSON-lines outbox that others append to. Called by `Files.compact`.

It never writes to a file that a writer may have: the file under the name is only ever replaced as a whole, and nothing
that a writer has appended to the old one is lost. An append-only writer acknowledges by a later line with the same id,
so the newest line of an id decides about all lines of that id.

1. The complete lines that are there are read twice: once to learn which ids are done, once to copy all others to
   `.name.compacting`, which is synced. Writers go on meanwhile: what is there does not change, it is only appended to.
2. With a lease that is granted only while no writer has the file open, what was appended since is copied as it is
   (where it is about a dropped id, all begins anew) and synced. Now the copy stands for the first `offset` bytes of the
   old file, which is all of it. A writer that opens meanwhile waits; so the lease is held for this and step 3 only.
3. The old file gets a second name, `.name.compacted-<offset>-<base>-<inode>` (base: the size of the copy), the folder
   is synced, the copy is renamed to `name`, the folder is synced, and the lease given back.
4. A writer that had found the old file before the rename opens it after all, and appends to it. As soon as a lease can
   be had on it, so that no writer is left, what it has beyond `offset` is merged: steps 2 and 3 over again, with all of
   the file under the name and these bytes at the end. Then the old file loses its second name and is gone.

Killed anywhere, the next compaction (and it alone) carries on: `.name.compacting` is removed; a second name of the file
that is still under its name is removed (the rename had not happened); any other is merged as in step 4. What was merged
already is not merged twice: the very bytes are found beyond `base`, as a line of their own.

This differs from holding the lease all the time, which would stop writers for as long as the reading takes, and from
appending to the new file, where a kill or a full disk could leave half a line for the next writer to go on with.

What remains: a writer that had found the old file before the rename, and whose open has got no further in the kernel
until the old file was found without a writer and `_GRACE` had passed, writes to a file that is removed.
"""

import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import BinaryIO

from remediator.clients.files import leases
from remediator.clients.files.copying import as_like, new_file, synced
from remediator.clients.files.entries import Fields, Line, entry_of, lines_of
from remediator.clients.files.walking import Stop, alone, look, names_in, open_file, same, told
from remediator.errors import Failed, TargetGone, Unavailable

_CHUNK = 256 * 1024
_PATIENCE = 10.0  # seconds for a writer to close the file
_GRACE = 0.02  # seconds
_ATTEMPTS = 5
_MOST_IDS = 2_000_000  # some 200 MiB; the rest is dropped the next time
_MARK = 256 * 1024  # bytes that tell whether the file was only appended to
_MOST_LATE = 64 * 1024 * 1024  # bytes that late writers appended
_TURNS = 20  # how often a writer that waits is let go first


@dataclass(frozen=True, slots=True)
class Compacted:
    """What a compaction did."""

    kept: int
    dropped: int
    unreadable: int
    bytes_freed: int


@dataclass(frozen=True, slots=True)
class _Survey:
    """What the complete lines of the file say."""

    end: int
    """Where the last complete line ends."""
    lines: int
    unreadable: int
    done: frozenset[bytes]
    """The ids all of whose lines go."""
    mark_at: int
    mark: bytes
    """The last bytes when it began. They stand there still, unless somebody does more than append."""


@dataclass(frozen=True, slots=True)
class _Left:
    """An old file that still has its second name."""

    name: str
    offset: int
    base: int

    @staticmethod
    def name_for(name: str, offset: int, base: int, inode: int) -> str:
        return f".{name}.compacted-{offset}-{base}-{inode}"

    @classmethod
    def of(cls, name: str, current: str) -> "_Left | None":
        found = re.fullmatch(rf"\.{re.escape(current)}\.compacted-([0-9]{{1,18}})-([0-9]{{1,18}})-[0-9]+", name)
        return cls(name, int(found[1]), int(found[2])) if found else None


@dataclass(frozen=True, slots=True)
class _Late:
    """What was appended to an old file after a copy with `base` bytes had taken its place."""

    raw: bytes
    base: int

    def write(self, out: BinaryIO) -> None:
        """Add it as lines of its own, unless it goes on with a half line that is the last thing there."""
        if self.raw and out.tell() != self.base and not _ends_line(out):
            out.write(b"\n")
        out.write(self.raw)

    def is_in(self, chunks: Iterator[bytes], *, at_start: bool) -> bool:
        """Whether it is there already; the chunks begin one byte before `base`, or at it where that is the start."""
        seen = b"\n" if at_start else b""
        is_first = True
        for chunk in chunks:
            seen += chunk
            if is_first and len(seen) <= len(self.raw):
                continue
            if is_first and seen[1:].startswith(self.raw):
                return True
            is_first = False
            if b"\n" + self.raw in seen:
                return True
            seen = seen[-len(self.raw) :]
        return False


def _ends_line(out: BinaryIO) -> bool:
    at = out.tell()
    if at == 0:
        return True
    out.seek(at - 1)
    return out.read(1) == b"\n"


class _BeginAnew(Exception):  # noqa: N818 - it says what to do
    """Meanwhile something was appended about an id that was to go."""


@dataclass(frozen=True, slots=True)
class Compaction:
    """One compaction of the file `name` of an open folder."""

    folder: int
    name: str
    shown: str
    fields: Fields
    stop: Stop
    limit: int
    """How many entries of the folder are looked through."""

    def run(self) -> Compacted:
        """Do it. Raises Failed where a writer keeps the file open, TargetGone where there is no such file."""
        what = f"compact {self.shown}"
        with alone(self.folder, self.shown), told(what):
            with suppress(FileNotFoundError):
                os.unlink(self._copy_name, dir_fd=self.folder)
            self._merge_what_is_left()
            for _ in range(_ATTEMPTS):
                try:
                    return self._compact()
                except _BeginAnew:
                    self.stop.check(what)
        raise Unavailable(f"{what}: entries that were to go were written anew each time; nothing was done, try again")

    @property
    def _copy_name(self) -> str:
        return f".{self.name}.compacting"

    def _compact(self) -> Compacted:
        with open_file(self.folder, self.name, self.shown) as file:
            self._refuse_if_kept_open(file)
            survey = self._survey(file)
            if not survey.done:
                return Compacted(survey.lines, 0, survey.unreadable, 0)
            kept, before, after = self._replace(file, survey, _Late(b"", 0))
        self._merge_what_is_left()
        return Compacted(kept, survey.lines - kept, survey.unreadable, max(before - after, 0))

    def _refuse_if_kept_open(self, file: int) -> None:
        with leases.patiently(file, leases.NO_WRITER, self.shown, patience=_PATIENCE, stop=self.stop) as granted:
            if not granted:
                raise _kept_open(self.shown, "nothing was done")

    # The copy

    def _survey(self, file: int) -> _Survey:
        """Which ids are done. A last line without its end may be half written: all of its id stays."""
        done: set[bytes] = set()
        mark_at = max(os.fstat(file).st_size - _MARK, 0)
        mark = os.pread(file, _MARK, mark_at)
        at = end = lines = unreadable = 0
        for line in lines_of(self._chunks(file)):
            entry = entry_of(line.raw)
            at += len(line.raw)
            if line.ends:
                end, lines = at, lines + 1
                unreadable += bool(line.raw.strip()) and not (entry is not None and line.is_whole)
            key = self.fields.key_of(entry) if entry else None
            if key is None or entry is None:
                continue
            if line.is_whole and self.fields.is_done(entry) and (len(done) < _MOST_IDS or key in done):
                done.add(key)
            else:
                done.discard(key)
        return _Survey(end, lines, unreadable, frozenset(done), mark_at, mark)

    def _chunks(self, file: int, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        at = start
        while end is None or at < end:
            self.stop.check(f"compact {self.shown}")
            chunk = os.pread(file, _CHUNK if end is None else min(_CHUNK, end - at), at)
            if not chunk:
                return
            at += len(chunk)
            yield chunk

    def _replace(self, file: int, survey: _Survey, late: "_Late") -> tuple[int, int, int]:
        """Put a copy in the file's place: what is not done, what came since, and `late`. Lines kept; both sizes."""
        with new_file(self.folder, self._copy_name) as out:
            kept = self._copy_kept(file, survey, out)
            as_like(file, out.fileno())
            synced(out)
            copied = out.tell()
            for turn in range(_TURNS):
                self.stop.check(f"compact {self.shown}")
                with leases.patiently(
                    file, leases.NO_WRITER, self.shown, patience=_PATIENCE, stop=self.stop
                ) as granted:
                    if not granted:
                        raise _kept_open(self.shown, "nothing was done")
                    out.seek(copied)
                    out.truncate()
                    size = self._copy_rest(file, survey, out)
                    late.write(out)
                    synced(out)
                    if turn < _TURNS - 1 and leases.is_wanted(file, leases.NO_WRITER):
                        continue  # let the writer go first: it would write to the old file
                    self._swap(file, size, out.tell())
                    break
            return kept, size, out.tell()

    def _copy_kept(self, file: int, survey: _Survey, out: BinaryIO) -> int:
        kept = 0
        for line in lines_of(self._chunks(file, 0, survey.end)):
            if line.is_whole and survey.done and self._key_in(line) in survey.done:
                continue
            kept += line.ends
            out.write(line.raw)
        return kept

    def _copy_rest(self, file: int, survey: _Survey, out: BinaryIO) -> int:
        """Copy what was appended since; where the file ends now."""
        size = os.fstat(file).st_size
        if size < survey.end or os.pread(file, len(survey.mark), survey.mark_at) != survey.mark:
            raise Failed(
                f"{self.shown} was rewritten by somebody meanwhile; nothing was done. Only an outbox that is appended "
                "to, and nothing else, can be compacted: look who writes to it"
            )
        for line in lines_of(self._chunks(file, survey.end, size)):
            if self._key_in(line) in survey.done:
                raise _BeginAnew
            out.write(line.raw)
        return size

    def _key_in(self, line: Line) -> bytes | None:
        entry = entry_of(line.raw)
        return self.fields.key_of(entry) if entry else None

    def _swap(self, file: int, size: int, base: int) -> None:
        """Give the old file, all `size` bytes of which the copy stands for, its second name, and the copy its first."""
        second = _Left.name_for(self.name, size, base, os.fstat(file).st_ino)
        os.link(self.name, second, src_dir_fd=self.folder, dst_dir_fd=self.folder, follow_symlinks=False)
        try:
            self._refuse_another(file, second)
            os.fsync(self.folder)
            self._refuse_another(file, self.name)  # once more: the disk may have taken its time
            os.rename(self._copy_name, self.name, src_dir_fd=self.folder, dst_dir_fd=self.folder)
        except BaseException:
            with suppress(OSError):  # what went wrong first is what people are told; the next compaction clears it
                os.unlink(second, dir_fd=self.folder)
            raise
        os.fsync(self.folder)

    def _refuse_another(self, file: int, name: str) -> None:
        named = look(self.folder, name)
        if named is None or not same(named, os.fstat(file)):
            raise Failed(f"{self.shown} was replaced by somebody meanwhile; nothing was done, try again")

    # Old files that writers may have appended to after all

    def _merge_what_is_left(self) -> None:
        while left := self._next_left():
            self.stop.check(f"merge {left.name} into {self.shown}")
            self._merge(left)

    def _next_left(self) -> _Left | None:
        names = sorted(names_in(self.folder, self.shown, self.limit))
        found = (_Left.of(name, self.name) for name in names)
        return next((left for left in found if left is not None and self._is_file(left.name)), None)

    def _is_file(self, name: str) -> bool:
        seen = look(self.folder, name)
        return seen is not None and stat.S_ISREG(seen.st_mode)

    def _merge(self, left: _Left) -> None:
        shown = f"{self.shown} (the old file, {left.name})"
        with open_file(self.folder, left.name, shown) as old:
            if self._is_current(old):
                os.unlink(left.name, dir_fd=self.folder)
                return
            while True:
                self.stop.check(f"merge {left.name} into {self.shown}")
                with leases.patiently(old, leases.NO_WRITER, shown, patience=_PATIENCE, stop=self.stop) as granted:
                    if not granted:
                        raise _kept_open(shown, "entries that it appends wait there, and are not lost")
                    size = os.fstat(old).st_size
                    if size > left.offset:
                        left = self._merge_late(old, left, size)
                        continue
                    time.sleep(_GRACE)
                    if not leases.is_wanted(old, leases.NO_WRITER):
                        os.unlink(left.name, dir_fd=self.folder)
                        return

    def _is_current(self, old: int) -> bool:
        current = look(self.folder, self.name)
        if current is None:
            raise TargetGone(f"{self.shown} is not there, and an older state of it is, with entries that may be new")
        return same(current, os.fstat(old))

    def _merge_late(self, old: int, left: _Left, size: int) -> _Left:
        """See to it that the file has what the old one has beyond `offset`; the old one under its new second name."""
        if size - left.offset > _MOST_LATE:
            raise Failed(f"{left.name} has {size - left.offset:,} bytes that {self.shown} lacks; merge it by hand")
        late = _Late(b"".join(self._chunks(old, left.offset, size)), left.base)
        with open_file(self.folder, self.name, self.shown) as file:
            if not late.is_in(self._chunks(file, max(left.base - 1, 0)), at_start=left.base == 0):
                survey = self._survey(file)
                _, _, base = self._replace(file, replace(survey, done=frozenset()), late)
            else:
                base = left.base
        name = _Left.name_for(self.name, size, base, os.fstat(old).st_ino)
        os.rename(left.name, name, src_dir_fd=self.folder, dst_dir_fd=self.folder)
        return _Left(name, size, base)


def _kept_open(shown: str, then: str) -> Failed:
    return Failed(
        f"{shown} is kept open by a writer; {then}. Let the writer close it between entries, or stop it for a moment, "
        "and compact again"
    )
