"""Files and folders beneath the roots that the settings name. Made by `Clients`, used by the files actions.

All work is done on a few threads of its own and never on the event loop. A thread cannot be ended from outside, so all
work looks at a `Stop` as it goes on; what changes something leaves nothing half done wherever it ends.
"""

import asyncio
import fnmatch
import json
import os
import stat
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from remediator.clients.files.compaction import Compacted, Compaction
from remediator.clients.files.entries import Fields, entry_of
from remediator.clients.files.rotation import Rotated, Rotation
from remediator.clients.files.walking import Place, Roots, Stop, look, names_in, open_file, parts_of, shown_name, told
from remediator.errors import TargetGone
from remediator.settings import FileSettings

__all__ = ["Compacted", "Disk", "Entries", "Fields", "Files", "Found", "Place", "Rotated", "parts_of"]

_THREADS = 4
_READ_LIMIT = 600.0  # seconds; whoever asked has given up long before
_BRINK = 1.0  # seconds: a change gives up this much before its caller's time is over
_CHUNK = 256 * 1024
_TAIL_BYTES = 256 * 1024
_LONGEST_LINE = 1024 * 1024
_ENTRY_BYTES = 8 * 1024 * 1024  # of one file
_LONGEST_ENTRY = 256 * 1024  # a JSON text takes 30 times its size once it is read, and stops all threads meanwhile
_MOST_ENTRIES = 512 * 1024  # bytes of all entries together; a result keeps far less

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Disk:
    """A file system, in bytes; free is what this process may use."""

    total: int
    used: int
    free: int
    inodes: int
    """0 where the file system does not count them."""
    inodes_free: int


@dataclass(frozen=True, slots=True)
class Found:
    """A regular file in a folder."""

    name: str
    shown: str
    """The name as text."""
    size: int
    modified: float
    """In seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Entries:
    """JSON objects that stand in lines, the oldest first."""

    entries: tuple[dict[str, Any], ...]
    unreadable: int
    """Lines that were looked at and are none."""


class Files:
    """What lies beneath the roots of the settings."""

    def __init__(self, settings: FileSettings) -> None:
        self._roots = Roots(settings.roots)
        self._most_entries = settings.max_entries
        self._most_bytes = settings.max_read_mib * 1024 * 1024
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="files")
        self._closing = threading.Event()

    async def close(self) -> None:
        """Take no more work; what is under way ends at its next look."""
        self._closing.set()
        self._threads.shutdown(wait=False, cancel_futures=True)

    # Reading. Each raises NotAllowed for a root that is not named, TargetGone, Failed, Unavailable.

    async def disk(self, place: Place) -> Disk:
        """How full the file system is that a folder is on."""

        def work(_: Stop) -> Disk:
            with self._roots.folder(place) as folder, told(f"ask for the file system of {place}"):
                system = os.fstatvfs(folder)
            size = system.f_frsize
            used = (system.f_blocks - system.f_bfree) * size
            return Disk(system.f_blocks * size, used, system.f_bavail * size, system.f_files, system.f_ffree)

        return await self._on_thread(work)

    async def incarnation(self, place: Place) -> str:
        """What tells a folder from another one that may get its name."""

        def work(_: Stop) -> str:
            with self._roots.folder(place) as folder:
                return incarnation_of(folder)

        return await self._on_thread(work)

    async def found(self, place: Place, pattern: str) -> list[Found]:
        """The regular files in a folder whose name matches."""

        def work(stop: Stop) -> list[Found]:
            with self._roots.folder(place) as folder, told(f"list {place}"):
                return list(self._matching(folder, place, pattern, stop))

        return await self._on_thread(work)

    async def tail(self, place: Place, lines: int) -> tuple[str, ...]:
        """The last lines of a file, at most the last 256 KiB of them."""

        def work(stop: Stop) -> tuple[str, ...]:
            with self._roots.file(place) as file, told(f"read {place}"):
                found = list(_last_lines(file, _TAIL_BYTES, stop))
            return tuple(_text(line) for line in found[-lines:])

        return await self._on_thread(work)

    async def look_through(self, place: Place, last_bytes: int, use: Callable[[Iterator[bytes]], T]) -> T:
        """What `use` makes, on a thread, of the last lines of a file."""

        def work(stop: Stop) -> T:
            with self._roots.file(place) as file, told(f"read {place}"):
                return use(_last_lines(file, min(last_bytes, self._most_bytes), stop))

        return await self._on_thread(work)

    async def entries(self, place: Place, pattern: str, limit: int) -> Entries:
        """The newest JSON objects of the newest matching files of a folder, 512 KiB of them at the most.

        A line that is longer than 256 KiB counts as unreadable.
        """

        def work(stop: Stop) -> Entries:
            with self._roots.folder(place) as folder, told(f"read the entries in {place}"):
                return self._entries(folder, place, pattern, limit, stop)

        return await self._on_thread(work)

    def _entries(self, folder: int, place: Place, pattern: str, limit: int, stop: Stop) -> Entries:
        newest_first: list[dict[str, Any]] = []
        unreadable, room = 0, _MOST_ENTRIES
        for line in self._newest_lines(folder, place, pattern, stop):
            entry = entry_of(line) if len(line) <= _LONGEST_ENTRY else None
            if entry is None or not _is_text(entry):
                unreadable += 1
                continue
            room -= len(line)
            if room < 0:
                break
            newest_first.append(entry)
            if len(newest_first) == limit:
                break
        return Entries(tuple(reversed(newest_first)), unreadable)

    def _newest_lines(self, folder: int, place: Place, pattern: str, stop: Stop) -> Iterator[bytes]:
        """The lines that are not blank, the last one of the newest file first."""
        left = self._most_bytes
        for one in sorted(self._matching(folder, place, pattern, stop), key=_age, reverse=True):
            with open_file(folder, one.name, f"{place}/{one.shown}") as file:
                lines = list(_last_lines(file, min(left, _ENTRY_BYTES), stop))
            left -= sum(map(len, lines))
            for line in reversed(lines):
                stop.check(f"read the entries in {place}")
                if line.strip():
                    yield line
            if left <= 0:
                return

    def _matching(self, folder: int, place: Place, pattern: str, stop: Stop) -> Iterator[Found]:
        for name in names_in(folder, str(place), self._most_entries):
            stop.check(f"list {place}")
            if (name.startswith(".") and not pattern.startswith(".")) or not fnmatch.fnmatchcase(name, pattern):
                continue
            seen = look(folder, name)
            if seen is not None and stat.S_ISREG(seen.st_mode):
                yield Found(name, shown_name(name), seen.st_size, seen.st_mtime)

    # Changing. Nothing is done where the folder is not the one that was seen; all is over `within` that time.

    async def rotate(
        self, place: Place, pattern: str, keep: int, *, before: datetime, seen: str, within: timedelta
    ) -> Rotated:
        """Compress the closed files of a folder; delete generations beyond `keep` not written to since `before`.

        Raises NotAllowed, TargetGone, Unavailable, and Failed where nothing could be freed for want of space, or where
        it cannot be known whether files are in use.
        """

        def work(stop: Stop) -> Rotated:
            with self._roots.folder(place) as folder:
                refuse_another(folder, seen, place)
                return Rotation(folder, str(place), pattern, keep, before, stop, self._most_entries).run()

        return await self._on_thread(work, within)

    async def compact(self, place: Place, fields: Fields, *, seen: str, within: timedelta) -> Compacted:
        """Drop the acknowledged old entries of an outbox; `seen` is the incarnation of its folder.

        Raises NotAllowed, TargetGone, Unavailable, and Failed where a writer keeps the file open.
        """

        def work(stop: Stop) -> Compacted:
            with self._roots.folder(place.folder) as folder:
                refuse_another(folder, seen, place.folder)
                return Compaction(folder, place.name, str(place), fields, stop, self._most_entries).run()

        return await self._on_thread(work, within)

    async def _on_thread(self, work: Callable[[Stop], T], within: timedelta | None = None) -> T:
        seconds = _READ_LIMIT if within is None else within.total_seconds() - _BRINK
        stop = Stop(seconds, self._closing)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, stop)
        except asyncio.CancelledError:
            stop.now()
            raise


def _age(one: Found) -> tuple[float, str]:
    return (one.modified, one.name)


def incarnation_of(folder: int) -> str:
    """The device and number of an open folder."""
    seen = os.fstat(folder)
    return f"{seen.st_dev}:{seen.st_ino}"


def refuse_another(folder: int, seen: str, place: Place) -> None:
    """Raises TargetGone where an open folder is not the one that was seen."""
    if incarnation_of(folder) != seen:
        raise TargetGone(f"{place} is another folder than the one that the plan was made for; nothing was done")


def _last_lines(file: int, last_bytes: int, stop: Stop) -> Iterator[bytes]:
    """The lines, without their ends, of the last bytes of a file; not the one that these bytes begin within.

    Of a line that is longer than 1 MiB only the start is given.
    """
    size = os.fstat(file).st_size
    at = max(size - last_bytes, 0)
    skips = at > 0 and os.pread(file, 1, at - 1) != b"\n"
    rest, is_cut = b"", False
    while at < size and (chunk := os.pread(file, min(_CHUNK, size - at), at)):
        stop.check("read a file")
        at += len(chunk)
        first, *others = chunk.split(b"\n")
        rest = rest if is_cut else rest + first
        is_cut = len(rest) >= _LONGEST_LINE
        for other in others:
            if not skips:
                yield rest
            rest, skips, is_cut = other, False, False
    if rest and not skips:
        yield rest


def _is_text(entry: dict[str, Any]) -> bool:
    """Whether it has no half characters in it, which can neither be stored nor sent."""
    try:
        json.dumps(entry, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace").rstrip("\r").replace("\0", "\ufffd")
