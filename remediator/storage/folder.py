"""The folder of one process: nobody else may use it meanwhile, and it is known again after a restart.

Used by the stores. The name that it keeps tells other processes on a shared store that whoever had it before has ended.
"""

import fcntl
import secrets
from pathlib import Path
from typing import IO

import structlog

from remediator.errors import BadSettings
from remediator.kit.private import Found, make_private

log = structlog.get_logger(__name__)

_LOCK = "lock"
_NAME = "instance"
_OURS = (
    *(_LOCK, _NAME, "remediator.sqlite3", "admin-token", ".admin-token.", "audit-key", ".audit-key."),
    *("audit-head", ".audit-head", "PAUSE"),
)
"""How the names begin of what is kept there."""


class Folder:
    """A folder that one process holds at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: IO[str] | None = None

    def hold(self) -> None:
        """Hold it until it is released, or the process ends. Raises BadSettings where another holds it; OSError."""
        if self._lock is not None:
            return
        found = make_private(self.path, _OURS)
        lock = _for_owner(self.path / _LOCK).open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise BadSettings(
                f"another remediator is using the store in {self.path}; stop it, or give this one "
                "another store.directory"
            ) from None
        self._lock = lock
        _tell(self.path, found)

    def release(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.close()

    def name(self) -> str:
        """What it is called, the same at each start; made up at the first. Raises OSError."""
        file = self.path / _NAME
        known = file.read_text().strip() if file.exists() else ""
        if not known:
            known = secrets.token_hex(8)
            _for_owner(file).write_text(f"{known}\n")
        return known


def _for_owner(file: Path) -> Path:
    """A file that nobody else may read from its beginning on."""
    file.touch(mode=0o600)
    return file


def _tell(path: Path, found: Found) -> None:
    if found is Found.TIGHTENED:
        log.warning("store_folder_was_open_to_others", path=str(path), remedy="nothing: only its owner may read it now")
    elif found is Found.OPEN:
        remedy = "give the store a folder of its own, of the service's user and with mode 0700"
        log.warning("store_folder_is_open_to_others", path=str(path), remedy=remedy)
