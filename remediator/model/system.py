"""What a step talks to, by name: `redis:cache`, `http:10.0.0.5:8080`. Parts are escaped: a label cannot forge one."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from remediator.model.escaping import escaped

_LONGEST_PART = 100


@dataclass(frozen=True, slots=True)
class System:
    """One system: a Docker engine, a Redis server, what listens at a host and port.

    Calls to one share a limit of how many there may be at once, and a circuit breaker.
    """

    family: str
    """What kind it is: what stands before the dot in the names of the actions that talk to it."""
    parts: tuple[str, ...] = ()
    is_here: bool = False
    """Whether it is a part of this machine, such as its files: that cannot be away, so it has no breaker."""

    @property
    def name(self) -> str:
        return ":".join((self.family, *(escaped(part[:_LONGEST_PART]) for part in self.parts)))


class Stand(StrEnum):
    """How a breaker stands. The text is shown as it stands."""

    CLOSED = "closed"
    """Calls go through."""
    OPEN = "open"
    """The system does not answer, and is not asked for a while."""
    HALF_OPEN = "half open"
    """The while is over: the next call finds out whether it answers, alone."""


@dataclass(frozen=True, slots=True)
class SystemState:
    """How calls to one system stand now."""

    name: str
    family: str
    stand: Stand | None
    """None where it has no breaker."""
    failures: int
    """How often in a row it has not answered."""
    opened_at: datetime | None
    """Since when its breaker is not closed."""
    asked_in: float
    """In how many seconds the next call may go through; 0 where it may now."""
    trouble: str
    """Why it did not answer the last time; empty once it has answered."""
    calls: int
    """How many there are now."""
    waiting: int
    """How many wait for a place among them."""
