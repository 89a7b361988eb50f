"""When runs are worked on: wake-ups in this process, by monotonic time, and who goes first among those that are due.

Intake, recovery and people's words wake runs; the worker alone takes them out. It knows nothing of what a run does.
"""

import asyncio
import heapq
from datetime import datetime, timedelta
from typing import Protocol

from remediator.kit.clock import Clock
from remediator.model.ids import RuleId, RunId
from remediator.model.priority import Priority
from remediator.pipeline.waiting import Due, WaitingRoom

_SLACK = 1000  # wake-ups that were superseded, and may stay in the heap before it is made anew


class Dispatcher(Protocol):
    """Hands out runs when they are due. It may hand one out too often, and never too seldom."""

    def wake(self, run: RunId, at: datetime, priority: Priority = Priority.NORMAL, rule: RuleId | None = None) -> None:
        """The run has something to do at `at`; an earlier or more urgent wake-up that is known already stands.

        A run that has its turn gets it as news at once, with a place or without. `rule` spares a run of a rule that is
        full a place; the worker finds out by itself.
        """
        ...

    async def next(self) -> Due:
        """Wait for the next run that is due and may have a place."""
        ...

    def attend(self, run: RunId, news: asyncio.Event) -> None:
        """The run has its turn from now on: a wake-up is news for it."""
        ...

    def dismiss(self, run: RunId) -> None:
        """The run's turn is over."""
        ...

    def place(self, due: Due, rule: RuleId) -> bool:
        """Learn the rule of a run that was handed out; False where that rule is full."""
        ...

    def line_up(self, due: Due, *, first: bool = False) -> None:
        """A run that was handed out, and has given its place away, wants to be handed out again, now."""
        ...

    def leave(self, due: Due) -> None:
        """A run that was handed out has given its place away."""
        ...

    @property
    def due(self) -> int:
        """How many runs are due now and wait."""
        ...

    @property
    def ready(self) -> int:
        """How many of them wait for a place alone, and not for others of their rule."""
        ...

    @property
    def full(self) -> tuple[RuleId, ...]:
        """Rules of which runs wait for others of the same rule."""
        ...

    def waits(self, run: RunId) -> bool:
        """Whether the run is due now and waits."""
        ...

    @property
    def lateness(self) -> timedelta:
        """For how long the one of them has waited that came first."""
        ...


class HeapDispatcher:
    """Wake-ups by monotonic time, so that a jump of the wall clock neither fires one early nor loses it.

    What is due goes by priority, and by age among equals; one place of four goes to who has waited longest. What is
    woken for now costs the same however many wait, and what is woken for later the logarithm of that.
    """

    def __init__(self, clock: Clock, *, at_once_per_rule: int | None = None) -> None:
        self._clock = clock
        self._heap: list[tuple[float, RunId]] = []
        self._later: dict[RunId, tuple[float, Priority, RuleId | None]] = {}
        self._room = WaitingRoom(at_once_per_rule)
        self._news: dict[RunId, asyncio.Event] = {}
        self._changed = asyncio.Event()

    def wake(self, run: RunId, at: datetime, priority: Priority = Priority.NORMAL, rule: RuleId | None = None) -> None:
        now = self._clock.monotonic()
        due = now + max((at - self._clock.now()).total_seconds(), 0)
        self._let_in(now)
        if due <= now and (news := self._news.get(run)) is not None:
            news.set()
        elif not self._room.hurry(run, priority):
            self._set_timer(run, due, priority, rule)
            self._let_in(now)
        self._changed.set()

    def _set_timer(self, run: RunId, due: float, priority: Priority, rule: RuleId | None) -> None:
        known = self._later.get(run)
        if known is not None:
            due, priority, rule = min(due, known[0]), min(priority, known[1]), rule or known[2]
        self._later[run] = (due, priority, rule)
        if known is None or due < known[0]:
            heapq.heappush(self._heap, (due, run))
        if len(self._heap) > 2 * len(self._later) + _SLACK:
            self._heap = [(timer[0], run) for run, timer in self._later.items()]
            heapq.heapify(self._heap)

    def _let_in(self, now: float) -> None:
        """Have those wait for a place whose time has come."""
        while self._heap and self._heap[0][0] <= now:
            at, run = heapq.heappop(self._heap)
            timer = self._later.get(run)
            if timer is None or timer[0] != at:
                continue
            del self._later[run]
            if (news := self._news.get(run)) is not None:
                news.set()
            elif not self._room.hurry(run, timer[1]):
                self._room.put(Due(run, timer[1], timer[2], since=at))

    async def next(self) -> Due:
        while True:
            self._changed.clear()
            now = self._clock.monotonic()
            self._let_in(now)
            due = self._room.pop()
            if due is not None:
                return due
            if self._heap:
                await wait_for_event(self._changed, timedelta(seconds=self._heap[0][0] - now), self._clock)
            else:
                await self._changed.wait()

    def attend(self, run: RunId, news: asyncio.Event) -> None:
        self._news[run] = news

    def dismiss(self, run: RunId) -> None:
        self._news.pop(run, None)

    def place(self, due: Due, rule: RuleId) -> bool:
        return self._room.place(due, rule)

    def line_up(self, due: Due, *, first: bool = False) -> None:
        due.since = self._clock.monotonic()
        self._let_in(due.since)
        self._room.put(due, first=first)
        self._changed.set()

    def leave(self, due: Due) -> None:
        self._room.leave(due)
        self._changed.set()

    @property
    def due(self) -> int:
        self._let_in(self._clock.monotonic())
        return len(self._room)

    @property
    def ready(self) -> int:
        self._let_in(self._clock.monotonic())
        return self._room.ready

    @property
    def full(self) -> tuple[RuleId, ...]:
        return self._room.full

    def waits(self, run: RunId) -> bool:
        self._let_in(self._clock.monotonic())
        return run in self._room

    @property
    def lateness(self) -> timedelta:
        now = self._clock.monotonic()
        self._let_in(now)
        return timedelta(seconds=max(now - (now if self._room.oldest is None else self._room.oldest), 0))


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
