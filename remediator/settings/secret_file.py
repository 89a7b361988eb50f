"""A secret of this installation in a file that only its owner may read, made when it is first asked for.

Called by the composition root and the commands. The file is always whole, also after a crash, and when two processes
make it at once one of them is first. It follows no link: that could make us read a file of somebody else.
"""

import os
import re
import secrets
import stat
from pathlib import Path

from remediator.errors import BadSettings

_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")


def read_or_make(path: Path, *, what: str) -> str:
    """The secret in the file, made if it is not there. Raises BadSettings."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _make(path)
    except OSError as error:
        raise BadSettings(
            f"store.directory: {path} cannot be written: {error.strerror}; give the service a folder of its own"
        ) from error
    return read(path, what=what)


def read(path: Path, *, what: str) -> str:
    """The secret in the file. Raises BadSettings where there is none."""
    try:
        with os.fdopen(
            os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), encoding="ascii", errors="replace"
        ) as file:
            _tighten(path, file.fileno())
            secret = file.read(100).strip()
    except OSError as error:
        raise BadSettings(
            f"store.directory: {path} cannot be read: {error.strerror}; run this as the service's user"
        ) from error
    if _SECRET.fullmatch(secret) is None:
        raise BadSettings(f"store.directory: {path} does not hold {what}; delete it and start the service again")
    return secret


def _make(path: Path) -> None:
    """Write it under another name first: a file of the real name is always whole, also after a crash."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32))
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(draft)  # unlike a rename, it fails when another process was first
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _tighten(path: Path, descriptor: int) -> None:
    found = os.fstat(descriptor)
    if stat.S_IMODE(found.st_mode) & 0o077 and found.st_uid == os.geteuid():
        os.fchmod(descriptor, 0o600)
        import structlog  # slow to import, and the command line checks settings without it

        log = structlog.get_logger(__name__)
        log.warning("secret_was_readable_by_others", path=str(path), remedy="replace it: others may have it")
