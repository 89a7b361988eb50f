"""The only place that asks what time it is. Everything above is given a `Clock` and can run in virtual time."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

_PACE = 0.01
"""How much faster or slower than time itself `now` may go to catch up with the machine's clock: a deadline of 15
minutes that is judged by it is wrong by nine seconds at most, and a minute of difference is made up in two hours."""


class Clock(Protocol):
    """What time it is, and waiting for a later one."""

    def now(self) -> datetime:
        """The wall clock, in UTC: for what is stored and told. It does not jump, whatever the machine's clock does."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never jumps: for durations within this process."""
        ...

    async def sleep(self, duration: timedelta) -> None:
        """Wait `duration`; a negative one is no wait."""
        ...

    @property
    def ahead(self) -> timedelta:
        """By how much the machine's wall clock is ahead of `now`: it was set since this process began."""
        ...

    def catch_up(self) -> None:
        """Have `now` follow the machine's wall clock at once: nothing is under way here that it could spoil."""
        ...


class SteadyTime:
    """A wall clock that begins with the machine's, goes on with the monotonic one, and follows jumps only slowly.

    Deadlines that must survive a restart are stored as wall times. Told by this clock, one that was set in this process
    neither passes nor moves away when somebody sets the machine's clock. It goes back in `catch_up` alone. Threads may
    share it.
    """

    def __init__(self, wall: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._last = (monotonic(), wall())

    def tell(self) -> float:
        """Seconds since the epoch."""
        at, wall = self._monotonic(), self._wall()
        seen, told = self._last
        passed = max(at - seen, 0.0)
        told += passed
        most = passed * _PACE
        told += min(max(wall - told, -most), most)
        self._last = (at, told)  # in one assignment: another thread sees both or neither
        return told

    def catch_up(self) -> None:
        """Tell what the machine's clock tells, from now on."""
        self._last = (self._monotonic(), self._wall())

    def ahead(self) -> float:
        """By how many seconds the machine's clock is ahead of this one; negative where it is behind."""
        return self._wall() - self.tell()


class SystemClock:
    """The machine's clocks."""

    def __init__(self) -> None:
        self._time = SteadyTime(time.time, _time_since_boot)

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._time.tell(), UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, duration: timedelta) -> None:
        await asyncio.sleep(max(duration.total_seconds(), 0))

    @property
    def ahead(self) -> timedelta:
        return timedelta(seconds=self._time.ahead())

    def catch_up(self) -> None:
        self._time.catch_up()


def _time_since_boot() -> float:
    """Seconds, those in which the machine slept included: what was to happen in them is late."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
