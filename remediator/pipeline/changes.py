"""How many runs change things at once: fewer than are worked on, so that diagnosis never waits behind remedies.

The worker has one, and its turns ask it for places. It knows nothing of what is changed.
"""

import asyncio

from remediator.model.priority import Priority
from remediator.pipeline.lines import OLDEST_EVERY, Lines

Place = asyncio.Future[None]
"""A place to change things, once it is done; until then a wish for one."""


class Changes:
    """So many places to change things; who waits gets them as in `Lines`."""

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._lines: Lines[Place] = Lines()
        self._came = 0
        self._given = 0

    @property
    def waiting(self) -> int:
        """How many runs wait for a place."""
        return len(self._lines)

    def ask(self, priority: Priority) -> Place:
        """A place, as soon as there is one. Whoever asked gives it back, also where it did not come to have it."""
        place: Place = asyncio.get_running_loop().create_future()
        self._came += 1
        self._lines.put(place, priority, self._came)
        self._fill()
        return place

    def give_back(self, place: Place) -> None:
        """Have the place, or the wish for it, no more."""
        if place.done():
            self._free += 1
            self._fill()
        else:
            self._lines.remove(place)

    def _fill(self) -> None:
        while self._free > 0:
            place = self._lines.pop(oldest=(self._given + 1) % OLDEST_EVERY == 0)
            if place is None:
                return
            self._given += 1
            self._free -= 1
            place.set_result(None)
