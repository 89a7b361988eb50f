"""How often somebody may come: so many at once, and then as many as come back with time. Used by `auth`; no I/O.

Whoever is counted is an attacker's choice, so memory is bounded: whoever was not seen for longest is forgotten, which
only lets them begin anew.
"""

import ipaddress
from collections import OrderedDict
from collections.abc import Callable

from remediator.model.budget import Budget

_MOST = 10_000
_NETWORK = 64  # bits; whoever has one IPv6 address has all of its network


class Rates:
    """Counts for each name, on a clock that never jumps."""

    def __init__(self, budget: Budget, monotonic: Callable[[], float], *, most: int = _MOST) -> None:
        self._full = float(budget.count)
        self._each = budget.window.total_seconds() / budget.count
        self._monotonic = monotonic
        self._most = most
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()  # how many, and as of when

    def take(self, name: str) -> float:
        """Take one. 0, or in how many seconds there is one again: then none was taken."""
        now = self._monotonic()
        left = self._at(name, now)
        if left < 1.0:
            return (1.0 - left) * self._each
        self._keep(name, left - 1.0, now)
        return 0.0

    def give_back(self, name: str) -> None:
        """One was not used after all."""
        now = self._monotonic()
        self._keep(name, min(self._at(name, now) + 1.0, self._full), now)

    def _at(self, name: str, now: float) -> float:
        left, since = self._left.get(name, (self._full, now))
        return min(left + (now - since) / self._each, self._full)

    def _keep(self, name: str, left: float, now: float) -> None:
        self._left[name] = (left, now)
        self._left.move_to_end(name)
        if len(self._left) > self._most:
            self._left.popitem(last=False)


def place_of(address: str | None) -> str:
    """What counts as one address: it, or its network where it is of IPv6."""
    try:
        found = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return ""
    if not isinstance(found, ipaddress.IPv6Address):
        return str(found)
    return str(found.ipv4_mapped or ipaddress.ip_network((found, _NETWORK), strict=False))
