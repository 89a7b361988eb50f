"""Reads the lines of a JSON-lines file: which are entries, and what an outbox's entries say of themselves. Pure.

A line that is not understood is never guessed at: whoever asks leaves it as it stands.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

LONGEST_LINE = 1024 * 1024
"""In bytes; a longer line is not looked into. Reading one can take 30 times its size, and stops all other threads."""
_DEEPEST = 64


def entry_of(line: bytes) -> dict[str, Any] | None:
    """The JSON object that a line is; None where it is none, or says one thing twice."""
    try:
        found = json.loads(line.decode(), object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and _is_flat_enough(found) else None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("one name stands twice")
    return made


def _is_flat_enough(value: Any) -> bool:
    layer = [value]
    for _ in range(_DEEPEST):
        inner = [part.values() if isinstance(part, dict) else part for part in layer if isinstance(part, dict | list)]
        layer = [item for items in inner for item in items]
        if not layer:
            return True
    return False


@dataclass(frozen=True, slots=True)
class Fields:
    """What the fields of an outbox's entries are called, and before when an acknowledged one is old."""

    id: str
    time: str
    acked: str
    before: datetime

    def key_of(self, entry: dict[str, Any]) -> bytes | None:
        """What stands for the id of an entry, short whatever its id is; None where it has none.

        An empty text and 0 are none: some programs write them for all that have no id, which are many entries then.
        """
        found = entry.get(self.id)
        if isinstance(found, bool) or not isinstance(found, str | int) or not found:
            return None
        said = f"{type(found).__name__}:{found}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(said, digest_size=16).digest()

    def is_done(self, entry: dict[str, Any]) -> bool:
        """Whether it says that it is acknowledged, and is old."""
        at = time_of(entry.get(self.time))
        return entry.get(self.acked) is True and at is not None and at < self.before


def time_of(said: Any) -> datetime | None:
    """The time that RFC 3339 text or epoch seconds say; None where it cannot be told."""
    try:
        if isinstance(said, str):
            at = datetime.fromisoformat(said.upper())
            return at if at.tzinfo is not None else None
        if isinstance(said, int | float) and not isinstance(said, bool):
            return datetime.fromtimestamp(said, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    return None


@dataclass(frozen=True, slots=True)
class Line:
    """A whole line with its end, or a part of one: of one too long to be looked into, or of a last one without end."""

    raw: bytes
    is_whole: bool

    @property
    def ends(self) -> bool:
        return self.raw.endswith(b"\n")


def lines_of(chunks: Iterator[bytes]) -> Iterator[Line]:
    """The lines of a file that is read in chunks; together they are the file, byte for byte."""
    rest, is_within = b"", False
    for chunk in chunks:
        rest += chunk
        *whole, rest = rest.split(b"\n")
        for line in whole:
            yield Line(line + b"\n", is_whole=not is_within)
            is_within = False
        if len(rest) > LONGEST_LINE:
            yield Line(rest, is_whole=False)
            rest, is_within = b"", True
    if rest:
        yield Line(rest, is_whole=False)
