"""New files beside old ones: written under a name of their own, synced, and removed where anything goes wrong."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

_ATTRIBUTES_KEPT = ("user.", "system.posix_acl_access")
_NONE_THERE = (errno.ENOTSUP, errno.ENODATA)


@contextmanager
def new_file(folder: int, name: str) -> Iterator[BinaryIO]:
    """A new file that only we can read, to be renamed within the block; removed where it was not."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    made = os.open(name, flags, 0o600, dir_fd=folder)
    try:
        with os.fdopen(made, "w+b") as out:
            yield out
    except BaseException:
        with suppress(OSError):  # what went wrong first is what people are told
            os.unlink(name, dir_fd=folder)
        raise


def rename_to_free(folder: int, old: str, new: str) -> None:
    """Rename a file, never over another one. Raises FileExistsError where the name is taken.

    Killed in between it has both names.
    """
    os.link(old, new, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    os.unlink(old, dir_fd=folder)


def as_like(old: int, new: int) -> None:
    """Give a file the owner, mode, times and attributes of another. Raises OSError where it cannot be had."""
    seen, own = os.fstat(old), os.fstat(new)
    if (seen.st_uid, seen.st_gid) != (own.st_uid, own.st_gid):
        os.fchown(new, seen.st_uid, seen.st_gid)
    os.fchmod(new, seen.st_mode & 0o7777)
    for name in _attributes(old):
        os.setxattr(new, name, os.getxattr(old, name))
    os.utime(new, ns=(seen.st_atime_ns, seen.st_mtime_ns))


def _attributes(file: int) -> list[str]:
    try:
        return [name for name in os.listxattr(file) if name.startswith(_ATTRIBUTES_KEPT)]
    except OSError as error:
        if error.errno in _NONE_THERE:
            return []
        raise


def synced(out: BinaryIO) -> None:
    """What was written is on the disk when this returns."""
    out.flush()
    os.fsync(out.fileno())
