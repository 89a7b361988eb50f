"""The last lines of something, as an action's result."""

from remediator.plugins import Result


class LastLines(Result):
    """The newest of them, and how many there are."""

    lines: tuple[str, ...]
    """The lines, the oldest first; at most the last 256 KiB."""
    count: int
    """How many there are."""

    def brief(self) -> str:
        return "1 line" if self.count == 1 else f"{self.count} lines"

    def detail(self) -> str:
        return "\n".join(self.lines)
