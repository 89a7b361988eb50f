"""Who waits for a place: the more urgent first, then whoever has waited longest, and nobody for ever. Pure.

The dispatcher and the places for changes keep who waits in here. Putting, taking out and asking cost the same however
many wait.
"""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

from remediator.model.priority import Priority

K = TypeVar("K", bound=Hashable)

OLDEST_EVERY = 4
"""Of so many places that are given, one goes to who has waited longest, however urgent: the others do not starve."""


class Lines(Generic[K]):
    """One line for each priority, in the order of coming; who comes first is given back first."""

    def __init__(self) -> None:
        self._lines: tuple[OrderedDict[K, float], ...] = tuple(OrderedDict() for _ in Priority)

    def __len__(self) -> int:
        return sum(map(len, self._lines))

    def __contains__(self, key: K) -> bool:
        return any(key in line for line in self._lines)

    def put(self, key: K, priority: Priority, since: float, *, first: bool = False) -> None:
        """Have somebody wait who came at `since`; with `first` before all others of that priority."""
        self._lines[priority][key] = since
        if first:
            self._lines[priority].move_to_end(key, last=False)

    def pop(self, *, oldest: bool = False) -> K | None:
        """Who goes first, or with `oldest` who has waited longest; it waits no more."""
        filled = [line for line in self._lines if line]
        if not filled:
            return None
        line = min(filled, key=_since) if oldest else filled[0]
        return line.popitem(last=False)[0]

    def remove(self, key: K) -> None:
        """Have somebody wait no more, if it does."""
        for line in self._lines:
            line.pop(key, None)


def _since(line: OrderedDict[K, float]) -> float:
    return next(iter(line.values()))
