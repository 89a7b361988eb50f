"""The folder of one process: nobody else may use it meanwhile, and it is known again after a restart.

Used by the stores. The name that it keeps tells other processes on a shared store that whoever had it before has ended.
"""

import fcntl
import secrets
from pathlib import Path
from typing import IO

from remediator.errors import BadSettings

_LOCK = "lock"
_NAME = "instance"


class Folder:
    """A folder that one process holds at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: IO[str] | None = None

    def hold(self) -> None:
        """Hold it until it is released, or the process ends. Raises BadSettings where another holds it; OSError."""
        if self._lock is not None:
            return
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (self.path / _LOCK).open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise BadSettings(
                f"another remediator is using the store in {self.path}; stop it, or give this one "
                "another store.directory"
            ) from None
        self._lock = lock

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
            file.write_text(f"{known}\n")
        return known
