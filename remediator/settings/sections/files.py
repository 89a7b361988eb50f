"""The settings of where `files.*` actions may look and work."""

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from remediator.settings.sections.section import Section


def _root_names(roots: dict[str, Path]) -> dict[str, Path]:
    for name, path in roots.items():
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", name):
            raise ValueError(f"{name!r} cannot name a folder; use letters, digits, - and _, such as `wal: /data/wal`")
        if not path.is_absolute() or "\0" in str(path):
            raise ValueError(f"{name}: {str(path)!r} is not a whole path; write it from the root, such as /data/wal")
    return roots


class FileSettings(Section):
    """Where `files.*` actions may look and work."""

    roots: Annotated[dict[str, Path], AfterValidator(_root_names)] = {}
    """Folders by name, with the whole path of each: `wal: /data/wal`. Rules name a folder by `root:`, and reach
    nothing outside of it; symbolic links in it are not followed. None by default. Changing a file needs its owner's
    rights, or the capability CAP_LEASE beside them."""
    max_entries: Annotated[int, Field(ge=1, le=10_000_000)] = 100_000
    """The most entries of one folder that are looked through; a folder with more is a failure that says so."""
    max_read_mib: Annotated[int, Field(ge=1, le=65_536)] = 256
    """How much one reading step reads of files at the most, in MiB: enough for a day's log, and soon done."""
