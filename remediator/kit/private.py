"""A folder that only its owner may read: made so, and brought back to it where that shuts nobody else out.

Called where the store's folder is held. It never closes a folder that holds something besides: it may be somebody's.
"""

import os
import stat
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

_MODE, _OTHERS = 0o700, 0o077


class Found(Enum):
    """How a folder was found."""

    PRIVATE = "only its owner may read it"
    TIGHTENED = "others might read it, until now"
    OPEN = "others may read it still"


def make_private(folder: Path, ours: tuple[str, ...]) -> Found:
    """Make the folder, and those around it that are not there; one that is there is closed to others. Raises OSError.

    It is left as it is where it is another user's, or has an entry whose name begins with none of `ours`.
    """
    for missing in _missing(folder):
        missing.mkdir(mode=_MODE, exist_ok=True)  # `parents` of Path.mkdir would make those around it for everybody
    found = folder.stat()
    if not is_open(found.st_mode):
        return Found.PRIVATE
    if found.st_uid != os.geteuid() or not all(entry.name.startswith(ours) for entry in folder.iterdir()):
        return Found.OPEN
    try:
        folder.chmod(stat.S_IMODE(found.st_mode) & ~_OTHERS)
    except OSError:  # some file systems know no modes
        return Found.OPEN
    return Found.TIGHTENED


def is_open(mode: int) -> bool:
    """Whether others than the owner may read it, or do more."""
    return bool(stat.S_IMODE(mode) & _OTHERS)


def _missing(folder: Path) -> Iterator[Path]:
    """What is not there of a folder and those around it, the outermost first."""
    yield from reversed([path for path in (folder, *folder.parents) if not path.exists()])
    if not folder.is_dir():
        yield folder  # to be told that it is a file
