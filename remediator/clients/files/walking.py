"""Opens files and folders beneath the roots that the settings name. Used by the other modules of this package alone.

Every component of a path is opened by itself, in the folder before it, and symbolic links are not followed: what a
label says, or what somebody puts into a folder, leads nowhere else. It opens nothing but folders and regular files.
"""

import errno
import fcntl
import os
import stat
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from remediator.errors import Failed, NotAllowed, RemediatorError, TargetGone, Unavailable
from remediator.kit.redaction import shorten

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_FOR_NOW = (errno.EIO, errno.ESTALE, errno.EINTR, errno.EAGAIN, errno.EMFILE, errno.ENFILE)
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


def parts_of(path: str) -> tuple[str, ...]:
    """The components of a path beneath a root; none is the root itself. Raises ValueError."""
    if not path:
        return ()
    shown = repr(shorten(path, 80))
    if "\0" in path or not _is_encodable(path):
        raise ValueError(f"{shown} cannot be a path: it has a character in it that no name has")
    parts = tuple(path.split("/"))
    if path.startswith("/") or {"", ".", ".."} & set(parts):
        raise ValueError(f"{shown} is not a path beneath a root; write it like `inbox/today`, without `..`")
    return parts


def _is_encodable(path: str) -> bool:
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Place:
    """A path beneath a named root, as people and the settings call it."""

    root: str
    parts: tuple[str, ...]

    @classmethod
    def at(cls, root: str, path: str) -> "Place":
        """Raises Failed where the path is none that may be used."""
        try:
            return cls(root, parts_of(path))
        except ValueError as error:
            raise Failed(str(error)) from None

    @property
    def folder(self) -> "Place":
        """The folder that it is in. Raises Failed for a root itself."""
        self._must_name()
        return Place(self.root, self.parts[:-1])

    @property
    def name(self) -> str:
        self._must_name()
        return self.parts[-1]

    def _must_name(self) -> None:
        if not self.parts:
            raise Failed(f"{self.root} is a folder; name a file in it by `path`")

    def __str__(self) -> str:
        return "/".join((self.root, *self.parts))


class Stop:
    """When work on a thread has to end: nobody can end it from outside."""

    def __init__(self, seconds: float, closing: threading.Event | None = None) -> None:
        self._ends = time.monotonic() + seconds
        self._events = [threading.Event(), *([closing] if closing else [])]

    def now(self) -> None:
        """Let the work end at its next look."""
        self._events[0].set()

    @property
    def left(self) -> float:
        return 0.0 if any(event.is_set() for event in self._events) else max(self._ends - time.monotonic(), 0.0)

    def check(self, what: str) -> None:
        """Raises Failed where the time is over."""
        if not self.left:
            raise Failed(f"{what}: given up, its time was over; let the step's `timeout` be longer")


class Roots:
    """The folders that the settings let be reached."""

    def __init__(self, roots: Mapping[str, Path]) -> None:
        self._roots = dict(roots)

    @contextmanager
    def folder(self, place: Place) -> Iterator[int]:
        """A folder, open. Raises NotAllowed for a root that is not named, TargetGone, Failed."""
        at = self._root(place.root)
        try:
            for depth, part in enumerate(place.parts, 1):
                here = Place(place.root, place.parts[:depth])
                with told(f"open {here}"):
                    inner = _enter(at, part, here)
                os.close(at)
                at = inner
            yield at
        finally:
            os.close(at)

    def _root(self, name: str) -> int:
        path = self._roots.get(name)
        if path is None:
            known = ", ".join(sorted(self._roots)) or "none"
            raise NotAllowed(
                f"no folder is named {shorten(name, 80)!r} in the settings (there: {known}); add it under files.roots, "
                "such as `wal: /data/wal`"
            )
        with told(f"open the folder of files.roots.{name}"):
            return os.open(path, _FOLDER)

    @contextmanager
    def file(self, place: Place) -> Iterator[int]:
        """A regular file, open for reading. Raises NotAllowed, TargetGone, Failed."""
        with self.folder(place.folder) as folder, open_file(folder, place.name, str(place)) as file:
            yield file


def _enter(at: int, part: str, here: Place) -> int:
    try:
        return os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=at)
    except OSError as error:
        if error.errno not in (errno.ENOTDIR, errno.ELOOP):
            raise
        is_link = stat.S_ISLNK(os.stat(part, dir_fd=at, follow_symlinks=False).st_mode)
        raise _no_link(here) if is_link else Failed(f"{here} is not a folder") from None


def _no_link(here: object) -> RemediatorError:
    return NotAllowed(
        f"{here} is a symbolic link, and links are not followed; name the folder that it leads to under files.roots"
    )


@contextmanager
def open_file(folder: int, name: str, shown: str) -> Iterator[int]:
    """A regular file of an open folder, open for reading. Raises NotAllowed for a link, TargetGone, Failed."""
    with told(f"open {shown}"):
        seen = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISLNK(seen.st_mode):
            raise _no_link(shown)
        if not stat.S_ISREG(seen.st_mode):  # to open a device or a pipe can do something already
            raise Failed(f"{shown} is not a regular file")
        file = os.open(name, _FILE, dir_fd=folder)
    try:
        if not same(os.fstat(file), seen):
            raise Failed(f"{shown} was replaced by another file at this moment; try again")
        yield file
    finally:
        os.close(file)


def same(one: os.stat_result, other: os.stat_result) -> bool:
    """Whether two looks have seen the same file."""
    return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)


def look(folder: int, name: str) -> os.stat_result | None:
    """What a folder has under a name, without following a link; None where there is nothing."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def shown_name(name: str) -> str:
    """A name as it can be shown and stored: its bytes may be no text."""
    return os.fsencode(name).decode("utf-8", "replace")


def names_in(folder: int, shown: str, limit: int) -> list[str]:
    """The names in a folder. Raises Failed where there are more than can be looked through."""
    names: list[str] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if len(names) >= limit:
                raise Failed(f"{shown} has more than {limit:,} entries; raise files.max_entries to look through them")
            names.append(entry.name)
    return names


@contextmanager
def alone(folder: int, shown: str) -> Iterator[None]:
    """The only change of ours to this folder: one that was given up may go on for a moment. Raises Unavailable."""
    lock = os.open(".", _FOLDER, dir_fd=folder)  # its own, so that closing it lets go
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise Unavailable(f"{shown} is being worked on by another step, which must end first; try again") from None
    finally:
        os.close(lock)


@contextmanager
def told(what: str) -> Iterator[None]:
    """Makes the system's errors ours, saying what was tried."""
    try:
        yield
    except FileNotFoundError as error:
        raise TargetGone(f"{what}: it is not there") from error
    except NotADirectoryError as error:
        raise TargetGone(f"{what}: it is not a folder, or is beneath something that is none") from error
    except PermissionError as error:
        flagged = ", and look with `lsattr` for a flag that forbids it to all" if error.errno == errno.EPERM else ""
        raise Failed(
            f"{what}: not permitted; give the user that remediator runs as the right to do this{flagged}"
        ) from error
    except OSError as error:
        if error.errno in _FOR_NOW:
            raise Unavailable(f"{what}: {error.strerror}") from error
        hint = "; free some space first" if error.errno in NO_SPACE else ""
        about = f" ({shown_name(error.filename)})" if isinstance(error.filename, str) else ""
        raise Failed(f"{what}: {error.strerror or error}{about}{hint}") from error
