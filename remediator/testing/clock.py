"""A clock that stands still until it is told to move: tests of minutes and hours take none."""

import asyncio
import heapq
from datetime import UTC, datetime, timedelta

from remediator.kit.clock import SteadyTime

_START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
_TURNS = 20  # how often the loop turns before the clock moves on, so that whoever can run has run


class VirtualClock:
    """Implements `remediator.kit.clock.Clock` in virtual time."""

    def __init__(self, start: datetime = _START) -> None:
        self._now = start
        self._monotonic = 0.0
        self._set = 0.0  # by how many seconds the machine's clock was set
        self._time: SteadyTime | None = None  # from when on it was set
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._time.tell(), UTC) if self._time else self._now

    def monotonic(self) -> float:
        return self._monotonic

    async def sleep(self, duration: timedelta) -> None:
        """Wait until `advance` has moved the clock far enough."""
        if duration <= timedelta(0):
            await asyncio.sleep(0)
            return
        self._count += 1
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._monotonic + duration.total_seconds(), self._count, woken))
        await woken

    async def advance(self, duration: timedelta) -> None:
        """Let `duration` pass; everybody whose time comes is woken in order, and runs before the next one is."""
        end = self._monotonic + duration.total_seconds()
        await _let_all_run()
        while self._sleepers and self._sleepers[0][0] <= end:
            at, _, woken = heapq.heappop(self._sleepers)
            self._move_to(max(at, self._monotonic))
            if not woken.done():
                woken.set_result(None)
            await _let_all_run()
        self._move_to(end)
        await _let_all_run()

    def next_in(self) -> timedelta | None:
        """How long until somebody's time comes; None while nobody sleeps."""
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        return timedelta(seconds=self._sleepers[0][0] - self._monotonic) if self._sleepers else None

    def jump(self, by: timedelta) -> None:
        """Have `now` jump forward or back, as it may from one process to the next; durations do not notice."""
        self._now += by

    def set_machine(self, by: timedelta) -> None:
        """Set the machine's wall clock forward or back, as an operator or NTP would: `now` follows as SystemClock's."""
        if self._time is None:
            self._time = SteadyTime(lambda: self._now.timestamp() + self._set, lambda: self._monotonic)
        self._set += by.total_seconds()

    def catch_up(self) -> None:
        """Have `now` be what the machine's wall clock says."""
        if self._time is not None:
            self._time.catch_up()

    @property
    def ahead(self) -> timedelta:
        """By how much the machine's wall clock is ahead of `now`."""
        return timedelta(seconds=self._time.ahead() if self._time else 0)

    def _move_to(self, monotonic: float) -> None:
        self._now += timedelta(seconds=monotonic - self._monotonic)
        self._monotonic = monotonic


async def _let_all_run() -> None:
    for _ in range(_TURNS):
        await asyncio.sleep(0)
