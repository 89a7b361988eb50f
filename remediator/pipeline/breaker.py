"""A circuit breaker: what has not answered several times in a row is left alone for a while. Pure.

`pipeline/systems.py` keeps one for each system and tells it what came of each call. Times are seconds of the monotonic
clock, given by the caller. It never waits, logs or counts.
"""

from dataclasses import dataclass

from remediator.model.system import Stand


@dataclass(frozen=True, slots=True)
class Patience:
    """When it opens, and for how long; times in seconds."""

    failures: int
    """So many failures in a row open it."""
    pause: float
    """How long the system is left alone at first; twice as long each time that it still does not answer then."""
    longest_pause: float


@dataclass(frozen=True, slots=True)
class Leave:
    """Leave for one call. What comes of it counts only while the breaker is in the period that it was given in."""

    period: int


class Breaker:
    """Closed, open after failures in a row, then half open: one call at a time finds out whether it may close."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._period = 0
        self._pause = 0.0
        self._asks_at: float | None = None  # None while closed
        self._is_probing = False
        self.failures = 0
        """How often in a row it has not answered."""

    @property
    def is_closed(self) -> bool:
        return self._asks_at is None

    def stand(self, now: float) -> Stand:
        """How it stands at a time."""
        if self._asks_at is None:
            return Stand.CLOSED
        return Stand.OPEN if now < self._asks_at else Stand.HALF_OPEN

    def opens_in(self, now: float) -> float:
        """In how many seconds a call may go through; 0 where one may now."""
        return 0.0 if self._asks_at is None else max(self._asks_at - now, 0.0)

    def admits(self, now: float) -> bool:
        """Whether a call may go through now."""
        stand = self.stand(now)
        return stand is Stand.CLOSED or (stand is Stand.HALF_OPEN and not self._is_probing)

    def admit(self, now: float) -> Leave | None:
        """Leave for a call, which must be given back by one of the three below; None where it may not be made."""
        if not self.admits(now):
            return None
        if not self.is_closed:
            self._is_probing = True
            self._period += 1
        return Leave(self._period)

    def answered(self) -> None:
        """The system has answered somebody, with or without leave, whatever it said: it is not away."""
        if not self.is_closed:
            self.reset()
        self.failures = 0

    def failed(self, leave: Leave, now: float) -> None:
        """It has not answered. What was asked in an earlier period is no news."""
        if leave.period != self._period:
            return
        self.failures += 1
        if self.is_closed and self.failures >= self._patience.failures:
            self._leave_alone(self._patience.pause, now)
        elif not self.is_closed:
            self._leave_alone(min(2 * self._pause, self._patience.longest_pause), now)

    def abandoned(self, leave: Leave) -> None:
        """The call ended before it could tell: it was cancelled, or was wrong in itself."""
        if leave.period == self._period:
            self._is_probing = False

    def lapse(self, now: float) -> bool:
        """Close it where nobody has wanted to know for long whether the system answers again; whether it did."""
        if self._asks_at is None or self._is_probing or now < self._asks_at + 2 * self._patience.longest_pause:
            return False
        self.reset()
        return True

    def reset(self) -> None:
        """Close it, whatever was."""
        self._period += 1
        self._pause, self._asks_at, self._is_probing, self.failures = 0.0, None, False, 0

    def _leave_alone(self, pause: float, now: float) -> None:
        self._period += 1
        self._pause, self._asks_at, self._is_probing = pause, now + pause, False
