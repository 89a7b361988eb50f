"""When runs are worked on: a heap of wake-ups in this process; another store brings another `Dispatcher`."""

import asyncio
import heapq
from datetime import datetime, timedelta
from typing import Protocol

from remediator.kit.clock import Clock
from remediator.model.ids import RunId


class Dispatcher(Protocol):
    """Hands out runs when they are due. It may hand one out too often, and never too seldom."""

    def wake(self, run: RunId, at: datetime) -> None:
        """The run has something to do at `at`; an earlier wake-up that is known already stands."""
        ...

    async def next(self) -> RunId:
        """Wait for the next run that is due."""
        ...

    @property
    def due(self) -> int:
        """How many runs are due now and wait for a place."""
        ...

    @property
    def lateness(self) -> timedelta:
        """For how long the oldest of them has been due."""
        ...


class HeapDispatcher:
    """Wake-ups by monotonic time, so that a jump of the wall clock neither fires one early nor loses it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[float, RunId]] = []
        self._at: dict[RunId, float] = {}
        self._changed = asyncio.Event()

    def wake(self, run: RunId, at: datetime) -> None:
        due = self._clock.monotonic() + max((at - self._clock.now()).total_seconds(), 0)
        if self._at.get(run, float("inf")) <= due:
            return
        self._at[run] = due
        heapq.heappush(self._heap, (due, run))
        if self._heap[0] == (due, run):
            self._changed.set()

    async def next(self) -> RunId:
        while True:
            self._drop_superseded()
            wait = self._heap[0][0] - self._clock.monotonic() if self._heap else None
            if wait is not None and wait <= 0:
                _, run = heapq.heappop(self._heap)
                del self._at[run]
                return run
            await self._wait(wait)

    def _drop_superseded(self) -> None:
        while self._heap and self._at.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)

    async def _wait(self, seconds: float | None) -> None:
        self._changed.clear()
        if seconds is None:
            await self._changed.wait()
        else:
            await wait_for_event(self._changed, timedelta(seconds=seconds), self._clock)

    @property
    def due(self) -> int:
        now = self._clock.monotonic()
        return sum(1 for at in self._at.values() if at <= now)

    @property
    def lateness(self) -> timedelta:
        self._drop_superseded()
        first = self._heap[0][0] if self._heap else float("inf")
        return timedelta(seconds=max(self._clock.monotonic() - first, 0))


async def wait_for_event(event: asyncio.Event, longest: timedelta, clock: Clock) -> bool:
    """Wait for `event`, at most `longest` on `clock`; whether it came."""
    if event.is_set():
        return True
    waits = [
        asyncio.create_task(event.wait(), name="wait-for-event"),
        asyncio.create_task(clock.sleep(longest), name="wait-for-time"),
    ]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
    return event.is_set()
