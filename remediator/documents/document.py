"""A document as plain data whose every value knows its place, and a mistake in it. Pure."""

from dataclasses import dataclass, field
from typing import Any

Path = tuple[str | int, ...]
"""Where a value stands in the data: keys and indexes, from the outside in."""


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One mistake in one file: its place, and what is wrong and probably meant. Line 0: not in any line."""

    file: str
    line: int
    column: int
    what: str

    def __str__(self) -> str:
        place = self.file if self.line == 0 else f"{self.file}:{self.line}:{self.column}"
        return _on_one_line(f"{place}: {self.what}")


def _on_one_line(text: str) -> str:
    """What a file or its name holds may not take over a terminal, nor write a line of its own into a log."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@dataclass(frozen=True, slots=True)
class Document:
    """Plain data with the places of its values and keys; what could not be read is in `mistakes`."""

    name: str
    data: Any
    places: dict[Path, tuple[int, int]] = field(default_factory=dict)
    key_places: dict[Path, tuple[int, int]] = field(default_factory=dict)
    mistakes: tuple[Mistake, ...] = ()
    broken: frozenset[Path] = frozenset()
    """Values that could not be read. That is said already, so nothing more is said of them."""

    @classmethod
    def empty(cls, name: str) -> "Document":
        return cls(name, {})

    def place(self, path: Path, *, key: bool = False) -> tuple[int, int]:
        """Line and column of the value at `path` (of its key, if asked), or of what is nearest around it."""
        if key and path in self.key_places:
            return self.key_places[path]
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, (1, 1))

    def mistake(self, path: Path, what: str, *, key: bool = False) -> Mistake:
        """A mistake at `path`; data that was never text is told by the path itself."""
        if not self.places:
            return Mistake(self.name, 0, 0, f"{'.'.join(map(str, path))}: {what}" if path else what)
        line, column = self.place(path, key=key)
        return Mistake(self.name, line, column, what)

    def is_broken(self, path: Path) -> bool:
        """Whether the value at `path`, or one around it, could not be read."""
        return any(path[: len(broken)] == broken for broken in self.broken)
