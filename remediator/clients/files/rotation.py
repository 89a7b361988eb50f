"""Rotates the closed files of a folder: compresses them, keeps so many generations, deletes older ones.

Called by `Files.rotate`. It never touches the newest matching file, nor one that anybody has open, and it never writes
to a file that is not its own. Whatever moment it is killed at, what was in a file is still in it or in its `.gz`:

1. `name` is compressed to `.name.gz.rotating`, which is synced, renamed to `name.gz`, and the folder synced. A lease on
   `name` tells before, meanwhile and after whether anybody wants to open it; then the compressed copy is removed again.
2. `name` is renamed to `.name.rotated`, so that nobody finds it any more. One who found it just before still waits for
   our lease: that is seen, and the file is put back, as is another file that had got the name just before; never over
   one that has the name by now. Else it is removed.

The next rotation finishes what one that was killed has left: a compressed copy that never got its name is removed
(`name` is still there); `.name.rotated` gets its name back; and `name` beside its `name.gz` is removed only where the
`.gz` decompresses to the same bytes. A `.gz` of which `name` is a continuation is made anew, any other is left alone.
What keeps one file from being done (its owner, a flag, a bad block) is told, and the other files go on.

What remains: an opener that had found `name` before step 2, and whose open has got no further in the kernel when the
look after it is over, would write to a file that is removed. It would have to stand still for `_GRACE` at least.
"""

import fnmatch
import gzip
import os
import re
import stat
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, StrEnum
from typing import BinaryIO

from remediator.clients.files import leases
from remediator.clients.files.copying import as_like, new_file, rename_to_free, synced
from remediator.clients.files.walking import NO_SPACE, Stop, alone, look, names_in, open_file, same, shown_name, told
from remediator.errors import Failed, RemediatorError
from remediator.kit.redaction import shorten

_CHUNK = 256 * 1024
_GRACE = 0.02  # seconds
_UNFINISHED = re.compile(r"\.(.+)\.gz\.rotating", re.DOTALL)
_ASIDE = re.compile(r"\.(.+)\.rotated", re.DOTALL)


class Why(StrEnum):
    """Why a file was left as it is. The text is shown as it stands."""

    OPEN = "somebody has it open"
    WANTED = "somebody wanted to open it meanwhile"
    NO_ROOM = "there is no space for its compressed copy"
    OTHER = "a .gz with other content is there already; move that away"
    NO_TIME = "the time was over"
    GONE = "it is not there any more"
    LEFT = "an earlier rotation set this aside, and its .gz does not have all of it; merge it by hand, and remove it"
    BEFORE = "an earlier rotation set another file of this name aside, as .NAME.rotated; see to that first"


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a rotation did."""

    compressed: tuple[str, ...]
    deleted: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]
    """Names with the reason."""
    bytes_freed: int


@dataclass(frozen=True, slots=True)
class _Seen:
    name: str
    stat: os.stat_result

    @property
    def age(self) -> tuple[int, str]:
        return (self.stat.st_mtime_ns, self.name)


class _Kept(Exception):  # noqa: N818 - it says why a file stays
    def __init__(self, why: Why) -> None:
        super().__init__(why)
        self.why = why


@dataclass(slots=True)
class Rotation:
    """One rotation of the files in an open folder that match a pattern."""

    folder: int
    shown: str
    pattern: str
    keep: int
    before: datetime
    """What was written to since is not deleted."""
    stop: Stop
    limit: int
    """How many entries are looked through."""
    _compressed: list[str] = field(default_factory=list)
    _deleted: list[str] = field(default_factory=list)
    _skipped: list[tuple[str, str]] = field(default_factory=list)
    _freed: int = 0
    _troubles: list[RemediatorError] = field(default_factory=list)

    def run(self) -> Rotated:
        """Do it. Raises Failed where nothing could be freed for want of space, or there are no leases."""
        with alone(self.folder, self.shown), told(f"rotate in {self.shown}"):
            self._put_back()
            live, generations = self._scan()
            self._remove_unfinished()
            closed = sorted(live, key=lambda one: one.age)[:-1]
            self._delete_old(closed, generations, {one.name for one in live})
            for one in sorted(closed, key=lambda one: (one.stat.st_size, one.name)):
                with self._by_itself(one.name):
                    self._rotate(one)
            os.fsync(self.folder)
        self._refuse_if_stuck(closed)
        skipped = tuple((shown_name(name), str(why)) for name, why in self._skipped)
        compressed, deleted = (tuple(map(shown_name, names)) for names in (self._compressed, self._deleted))
        return Rotated(compressed, deleted, skipped, max(self._freed, 0))

    def _matches(self, name: str) -> bool:
        is_seen = not name.startswith(".") or self.pattern.startswith(".")
        return is_seen and not name.endswith(".gz") and fnmatch.fnmatchcase(name, self.pattern)

    def _scan(self) -> tuple[list[_Seen], list[_Seen]]:
        """The files that match, and their compressed generations."""
        live, compressed = [], []
        for name in names_in(self.folder, self.shown, self.limit):
            seen = look(self.folder, name)
            if seen is None or not stat.S_ISREG(seen.st_mode):
                continue
            if self._matches(name):
                live.append(_Seen(name, seen))
            elif name.endswith(".gz") and self._matches(name.removesuffix(".gz")):
                compressed.append(_Seen(name, seen))
        return live, compressed

    # What a rotation that was killed has left

    def _put_back(self) -> None:
        for aside, name in self._left_by(_ASIDE):
            with self._by_itself(aside):
                try:
                    rename_to_free(self.folder, aside, name)
                except FileExistsError:
                    self._finish_aside(aside, name)

    def _finish_aside(self, aside: str, name: str) -> None:
        """It has its name back already; or a new file has it: then it may go where its `.gz` has all of it."""
        both = [look(self.folder, one) for one in (aside, name)]
        if both[0] and both[1] and same(both[0], both[1]):
            os.unlink(aside, dir_fd=self.folder)
            return
        with open_file(self.folder, aside, f"{self.shown}/{aside}") as file, self._nobody_has(file, aside) as is_free:
            if not is_free:
                raise _Kept(Why.OPEN)
            if self._compared(file, f"{name}.gz") is not _Compared.SAME:
                raise _Kept(Why.LEFT)
            os.unlink(aside, dir_fd=self.folder)
            self._freed += _space(os.fstat(file), was=1)

    def _remove_unfinished(self) -> None:
        for unfinished, name in self._left_by(_UNFINISHED):
            if look(self.folder, name) is not None or look(self.folder, f"{name}.gz") is not None:
                with self._by_itself(unfinished):
                    os.unlink(unfinished, dir_fd=self.folder)

    def _left_by(self, form: re.Pattern[str]) -> Iterator[tuple[str, str]]:
        for left in sorted(names_in(self.folder, self.shown, self.limit)):
            found = form.fullmatch(left)
            seen = look(self.folder, left) if found and self._matches(found[1]) else None
            if found and seen is not None and stat.S_ISREG(seen.st_mode):
                yield left, found[1]

    # The generations

    def _delete_old(self, closed: list[_Seen], compressed: list[_Seen], live: set[str]) -> None:
        """Delete compressed generations beyond the newest `keep`; what is not compressed yet counts, and stays.

        A generation that is young stays too: many files closed in one bad hour are not old ones, and a rotation that is
        repeated after a kill deletes no more than the first would have.
        """
        whole = [one for one in compressed if one.name.removesuffix(".gz") not in live]
        newest_first = sorted([*closed, *whole], key=lambda one: one.age, reverse=True)
        for one in newest_first[self.keep :]:
            is_whole = one.name.endswith(".gz")  # no file in use has such a name
            if is_whole and one.stat.st_mtime < self.before.timestamp() and self.stop.left:
                with self._by_itself(one.name):
                    os.unlink(one.name, dir_fd=self.folder)
                    self._deleted.append(one.name)
                    self._freed += _space(one.stat)

    @contextmanager
    def _by_itself(self, name: str) -> Iterator[None]:
        """What keeps this file from being done is told, and keeps no other from it."""
        try:
            with told(f"rotate {self.shown}/{name}"):
                yield
        except _Kept as kept:
            self._skipped.append((name, kept.why))
        except RemediatorError as error:
            if isinstance(error.__cause__, OSError) and error.__cause__.errno in NO_SPACE:
                self._skipped.append((name, Why.NO_ROOM))
                return
            self._skipped.append((name, str(error)))
            self._troubles.append(error)

    # One file

    def _rotate(self, one: _Seen) -> None:
        packed = f"{one.name}.gz"
        if not self.stop.left:
            raise _Kept(Why.NO_TIME)
        seen = look(self.folder, one.name)
        if seen is None or not same(seen, one.stat):
            raise _Kept(Why.GONE)
        if look(self.folder, _aside(one.name)) is not None:
            raise _Kept(Why.BEFORE)
        with open_file(self.folder, one.name, f"{self.shown}/{one.name}") as file:
            with self._nobody_has(file, one.name) as is_free:
                if not is_free:
                    raise _Kept(Why.OPEN)
                taken = self._pack(file, packed)
                os.fsync(self.folder)
                self._remove(file, one.name, packed)
            self._freed += _space(os.fstat(file), was=1) - taken
        self._compressed.append(one.name)

    def _pack(self, file: int, packed: str) -> int:
        """See to it that the `.gz` has all that the file has; the space that it took."""
        match self._compared(file, packed):
            case _Compared.SAME:
                return 0
            case _Compared.OTHER:
                raise _Kept(Why.OTHER)
            case _Compared.START:  # the file has grown since: all of the `.gz` is in it
                os.unlink(packed, dir_fd=self.folder)
            case _Compared.MISSING:
                pass
        unfinished = f".{packed}.rotating"
        with new_file(self.folder, unfinished) as out:
            self._compress(file, out)
            out.flush()  # before its time is set, which writing would change
            as_like(file, out.fileno())
            synced(out)
            self._still_ours(file)
            taken = _space(os.fstat(out.fileno()))
            os.rename(unfinished, packed, src_dir_fd=self.folder, dst_dir_fd=self.folder)
        return taken

    def _compress(self, file: int, out: BinaryIO) -> None:
        # The `.gz` itself gets the time of the file; in it there is no room for all times.
        with gzip.GzipFile(filename="", mode="wb", fileobj=out, mtime=0) as packing:
            for chunk in _chunks(file):
                packing.write(chunk)
                self._still_ours(file)

    def _remove(self, file: int, name: str, packed: str) -> None:
        """Remove the file, all of which is in the `.gz`; where somebody wants it, it stays and the `.gz` goes."""
        aside = _aside(name)
        if not self._is_named(file, name):
            raise _Kept(Why.WANTED)  # another one has its name now
        os.rename(name, aside, src_dir_fd=self.folder, dst_dir_fd=self.folder)
        time.sleep(_GRACE)
        is_it = self._is_named(file, aside)  # else another one had got the name just before
        if not is_it or leases.is_wanted(file, leases.WHOLE):
            with suppress(FileExistsError):  # the next rotation sees to what stands aside then
                rename_to_free(self.folder, aside, name)
                if is_it:
                    os.unlink(packed, dir_fd=self.folder)
            raise _Kept(Why.WANTED)
        os.unlink(aside, dir_fd=self.folder)

    def _is_named(self, file: int, name: str) -> bool:
        seen = look(self.folder, name)
        return seen is not None and same(seen, os.fstat(file))

    def _compared(self, file: int, packed: str) -> "_Compared":
        """What the `.gz` has of the file."""
        there = look(self.folder, packed)
        if there is None:
            return _Compared.MISSING
        if not stat.S_ISREG(there.st_mode):
            return _Compared.OTHER
        try:
            with (
                open_file(self.folder, packed, f"{self.shown}/{packed}") as raw,
                os.fdopen(os.dup(raw), "rb") as zipped,
                gzip.GzipFile(fileobj=zipped) as unpacked,
            ):
                found = self._compared_bytes(file, unpacked)
                if found is _Compared.SAME:
                    os.fsync(raw)  # whoever made it: it is about to be all that there is
                return found
        except (gzip.BadGzipFile, EOFError, zlib.error):
            return _Compared.OTHER

    def _compared_bytes(self, file: int, unpacked: gzip.GzipFile) -> "_Compared":
        for chunk in _chunks(file):
            self._still_ours(file)
            got = unpacked.read(len(chunk))
            if got != chunk:
                is_start = chunk.startswith(got) and not unpacked.read(1)
                return _Compared.START if is_start else _Compared.OTHER
        return _Compared.OTHER if unpacked.read(1) else _Compared.SAME

    def _still_ours(self, file: int) -> None:
        if leases.is_wanted(file, leases.WHOLE):
            raise _Kept(Why.WANTED)
        if not self.stop.left:
            raise _Kept(Why.NO_TIME)

    @contextmanager
    def _nobody_has(self, file: int, name: str) -> Iterator[bool]:
        with leases.patiently(file, leases.WHOLE, f"{self.shown}/{name}", patience=0, stop=self.stop) as granted:
            yield granted

    def _refuse_if_stuck(self, closed: list[_Seen]) -> None:
        if self._compressed or self._freed > 0:
            return
        if Why.NO_ROOM not in {why for _, why in self._skipped}:
            if self._troubles and not self._deleted:
                raise self._troubles[0]
            return
        system = os.fstatvfs(self.folder)
        sizes = [one.stat.st_size for one in closed]
        raise Failed(
            f"rotate in {self.shown}: nothing could be freed. {system.f_bavail * system.f_frsize:,} bytes are free, "
            f"too few to compress any of {len(closed)} closed files ({min(sizes):,} to {max(sizes):,} bytes), and no "
            f"generation is beyond the {self.keep} that are kept; move something away, or keep fewer "
            f"({shorten(', '.join(shown_name(name) for name, _ in self._skipped), 200)})"
        )


class _Compared(Enum):
    SAME = 1
    START = 2
    OTHER = 3
    MISSING = 4


def _aside(name: str) -> str:
    return f".{name}.rotated"


def _chunks(file: int) -> Iterator[bytes]:
    at = 0
    while chunk := os.pread(file, _CHUNK, at):
        at += len(chunk)
        yield chunk


def _space(seen: os.stat_result, *, was: int = 0) -> int:
    """What removing a file frees, or has freed where it `was` its only name: nothing while it has another name."""
    return seen.st_blocks * 512 if seen.st_nlink <= 1 - was else 0
