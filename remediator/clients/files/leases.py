"""File leases of Linux: the kernel's own word on whether anybody else has a file open. Used by what changes files.

`WHOLE` is granted only while nobody else has the file open at all, `NO_WRITER` only while nobody has it open for
writing. While a lease is held, whoever opens the file against it waits (45 s at the most, by default; then the kernel
takes the lease away), and we can see that somebody waits. It is therefore held for short work only, or looked at often.

The kernel tells of one who waits by a signal, SIGIO, which would end the process; SIGURG is ignored by default.
"""

import errno
import fcntl
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from remediator.clients.files.walking import Stop
from remediator.errors import Failed

WHOLE = fcntl.F_WRLCK
NO_WRITER = fcntl.F_RDLCK
_PAUSE = 0.005


def take(file: int, kind: int, shown: str) -> bool:
    """Whether the lease was granted. Raises Failed where there are no leases, as nothing is known then."""
    try:
        fcntl.fcntl(file, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(file, fcntl.F_SETLEASE, kind)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EBUSY):
            return False
        raise Failed(
            f"{shown}: whether it is in use cannot be found out ({error.strerror}); {_remedy(error)}"
        ) from error
    return True


def _remedy(error: OSError) -> str:
    if error.errno in (errno.EACCES, errno.EPERM):
        return "run remediator as the owner of the file, or give it the capability CAP_LEASE"
    return "this needs file leases, which local file systems of Linux have; nothing was done"


def drop(file: int) -> None:
    """Give a lease back; whoever waits for the file goes on."""
    with suppress(BlockingIOError):  # it was taken away
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)


def is_wanted(file: int, kind: int) -> bool:
    """Whether somebody waits for the file, or did not wait any longer."""
    return fcntl.fcntl(file, fcntl.F_GETLEASE) != kind


@contextmanager
def patiently(file: int, kind: int, shown: str, *, patience: float, stop: Stop) -> Iterator[bool]:
    """The lease, asked for again for `patience` seconds; False where somebody had the file open all the time."""
    ends = time.monotonic() + min(patience, stop.left)
    granted = take(file, kind, shown)
    while not granted and time.monotonic() < ends and stop.left:
        time.sleep(_PAUSE)
        granted = take(file, kind, shown)
    try:
        yield granted
    finally:
        if granted:
            drop(file)
