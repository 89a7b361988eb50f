"""Copies a store to a file while a service may be writing to it. Called by `remediator backup`.

It never writes to the store. The copy is that of one moment, the one in which it began: it holds a reader's snapshot,
which no writer waits for. It stands under its name only once it is whole, was looked through, and is on disk.
"""

import os
import sqlite3
import stat
import tempfile
from contextlib import closing, suppress
from pathlib import Path

from remediator.errors import Failed, Mistaken
from remediator.storage.sqlite.integrity import find_damage
from remediator.storage.sqlite.store import FILE_NAME

_PAGES = 256  # of one step: a MiB
_PAUSE = 0.005  # seconds between two steps: the disk and the processor are the service's first


def back_up(directory: Path, target: Path, *, force: bool) -> int:
    """Copy the store in `directory` to the file `target`; how many bytes it has.

    Raises Mistaken where that must not be done (an existing file without `force`, a place in the store's own folder),
    and Failed where it cannot be done or the copy is damaged; then nothing is left of it.
    """
    source = directory / FILE_NAME
    try:
        if not source.is_file():
            raise Mistaken(f"there is no store in {directory}; run this with the settings that the service has")
        _refuse_place(directory, target, force=force)
    except (OSError, RuntimeError) as error:  # the second one is what a circle of links gives
        raise Failed(f"{source} or {target} cannot be looked at: {error}; run this as the service's user") from error
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".partial", dir=target.parent)
    except OSError as error:
        raise Failed(f"{target} cannot be written: {error.strerror}; name a file in a folder that is there") from error
    os.close(handle)  # made with mode 0600
    partial = Path(name)
    try:
        _copy(source, partial)
        _publish(partial, target, force=force)
        return target.stat().st_size
    except (OSError, sqlite3.Error) as error:
        raise Failed(f"the store in {directory} cannot be copied to {target}: {error}") from error
    finally:
        for suffix in ("", "-journal", "-wal", "-shm"):
            Path(name + suffix).unlink(missing_ok=True)


def _refuse_place(directory: Path, target: Path, *, force: bool) -> None:
    folder = directory.resolve()
    if target.resolve().is_relative_to(folder) or target.parent.resolve() == folder:
        raise Mistaken(f"{target} is in the store's own folder; a backup belongs elsewhere, best on another disk")
    try:
        there = target.stat()
    except FileNotFoundError:
        return
    if not stat.S_ISREG(there.st_mode):
        raise Mistaken(f"{target} is not a file; name one that is to be made")
    if os.path.samestat(there, (folder / FILE_NAME).stat()):
        raise Mistaken(f"{target} is the store itself by another name")
    if not force:
        raise _is_there(target)


def _is_there(target: Path) -> Mistaken:
    return Mistaken(f"{target} is there already; name another file, or have it replaced with --force")


def _copy(source: Path, partial: Path) -> None:
    """Copy one moment's state and look through the copy. Raises Failed where that is damaged."""
    with (
        closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)) as store,
        closing(sqlite3.connect(partial, isolation_level=None)) as copy,
    ):
        store.execute("PRAGMA busy_timeout = 5000")
        copy.execute("PRAGMA synchronous = OFF")  # it is brought to disk as a whole at the end
        # Without this snapshot the copy would begin anew with each commit of the service, and never end.
        store.execute("BEGIN")
        store.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        store.backup(copy, pages=_PAGES, sleep=_PAUSE)
        store.execute("COMMIT")
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, with nothing beside it
        if damage := find_damage(copy):
            raise Failed(
                f"the copy of {source} is damaged ({damage}), and most likely the store is, too: do not use it"
            )


def _publish(partial: Path, target: Path, *, force: bool) -> None:
    """Bring it to disk, then give it its name."""
    _sync(partial)
    if force:
        partial.replace(target)
    else:
        try:
            os.link(partial, target)
        except FileExistsError:
            raise _is_there(target) from None
        except OSError:  # a file system without hard links
            if target.exists():
                raise _is_there(target) from None
            partial.rename(target)
    with suppress(OSError):  # not every file system has folders that can be synced
        _sync(target.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
