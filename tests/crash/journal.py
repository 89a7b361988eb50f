"""Files of one JSON value a line, each on disk before anything else happens. Each process writes them."""

import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Record = dict[str, Any]


def note(path: Path, **record: Any) -> None:
    """Add a record, with the time, and have it on disk. Several processes may write to one file."""
    note_all(path, [record])


def note_all(path: Path, records: Iterable[Record]) -> None:
    """Add several, at once."""
    lines = "".join(json.dumps({"at": time.time(), **record}) + "\n" for record in records).encode()
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(file, lines)  # one write, at the end: records never mix
        os.fsync(file)
    finally:
        os.close(file)


def read(path: Path) -> list[Record]:
    """All records; none where there is no such file."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]
