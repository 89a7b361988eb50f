"""When a run whose turn is over is handed out again: each reason by itself, with a store and a flow that do as told."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, cast

from remediator.kit.metrics import Metrics
from remediator.model.alert import Alert, AlertStatus
from remediator.model.ids import Digest, Fingerprint, OccurrenceId, OwnerId, RuleId, RunId
from remediator.model.priority import Priority
from remediator.model.run import Run
from remediator.pipeline.dispatch import HeapDispatcher
from remediator.pipeline.flow import Flow
from remediator.pipeline.worker import Worker
from remediator.storage.store import Store
from remediator.testing.clock import VirtualClock

ME = OwnerId("me")
ONE, TWO = RunId("one"), RunId("two")


class Desk:
    """A worker, and what is told to it."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.dispatcher = HeapDispatcher(self.clock, at_once_per_rule=1)
        self.taken: list[RunId] = []
        self.carried: list[RunId] = []
        self.on_take: Callable[[RunId], None] = lambda _run: None
        self.busy: dict[RunId, asyncio.Event] = {}
        self.again: dict[RunId, timedelta] = {}
        self.worker = Worker(
            store=cast("Store", self),
            flow=cast("Flow", self),
            dispatcher=self.dispatcher,
            owner=lambda: ME,
            clock=self.clock,
            metrics=Metrics(),
            runs_at_once=4,
        )
        self._task: asyncio.Task[None] | None = None

    async def take(self, run: RunId, _owner: OwnerId) -> Run:
        self.taken.append(run)
        self.on_take(run)
        alert = Alert(Fingerprint("f"), AlertStatus.FIRING, {"severity": "info"}, {}, self.clock.now())
        return Run(
            run, RuleId("p/r"), Digest("d"), OccurrenceId("o"), alert, "", "#c", ME, 1, created_at=self.clock.now()
        )

    async def carry_on(self, run: Run, _turn: Any) -> datetime | None:
        self.carried.append(run.id)
        if run.id in self.busy:
            await self.busy[run.id].wait()
        pause = self.again.pop(run.id, None)
        return None if pause is None else self.clock.now() + pause

    def wake(self, run: RunId, priority: Priority = Priority.NORMAL) -> None:
        self.dispatcher.wake(run, self.clock.now(), priority)

    async def __aenter__(self) -> "Desk":
        self._task = asyncio.create_task(self.worker.work(), name="worker")
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self.worker.stop(timedelta(seconds=5))

    async def let_run(self, duration: timedelta = timedelta(0)) -> None:
        await self.clock.advance(duration)


async def test_news_of_a_run_that_got_no_place_does_not_have_it_stand_in_line_twice() -> None:
    """Its rule is full, which is known only once it was read; news that came meanwhile is read when it has a place."""
    async with Desk() as desk:
        desk.busy[ONE] = asyncio.Event()
        desk.wake(ONE)
        await desk.let_run()
        desk.on_take = lambda run: desk.wake(run, Priority.HIGH)
        desk.wake(TWO)
        await desk.let_run()
        desk.on_take = lambda _run: None
        waiting = (list(desk.carried), desk.dispatcher.due, desk.dispatcher.ready)
        desk.busy[ONE].set()
        await desk.let_run()

        assert ([ONE], 1, 0) == waiting
        assert ([ONE, TWO], 0, 4) == (desk.carried, desk.dispatcher.due, desk.worker.room)


async def test_a_timer_of_a_run_that_stands_aside_does_not_have_it_stand_in_line_twice() -> None:
    """It was to be looked at later anyway, and is waiting already."""
    async with Desk() as desk:
        desk.busy[ONE] = asyncio.Event()
        desk.wake(ONE)
        await desk.let_run()
        later = desk.clock.now() + timedelta(seconds=10)
        desk.on_take = lambda run: desk.dispatcher.wake(run, later, Priority.HIGH)
        desk.wake(TWO)
        await desk.let_run()
        desk.on_take = lambda _run: None
        await desk.let_run(timedelta(seconds=20))
        waiting = desk.dispatcher.due
        desk.busy[ONE].set()
        await desk.let_run()

        assert (1, [ONE, TWO, TWO]) == (waiting, desk.taken)
        assert ([ONE, TWO], 0) == (desk.carried, desk.dispatcher.due)


async def test_a_run_that_is_abandoned_with_news_is_handed_out_again() -> None:
    """It may have been claimed anew under another id, and its news must not be lost."""
    async with Desk() as desk:
        desk.busy[ONE] = asyncio.Event()
        desk.wake(ONE)
        await desk.let_run()
        desk.wake(ONE)
        desk.worker.abandon()
        desk.busy.clear()
        await desk.let_run()

        assert [ONE, ONE] == desk.carried


async def test_a_run_that_is_abandoned_without_news_is_left() -> None:
    """It is another process's now, or this one stops."""
    async with Desk() as desk:
        desk.busy[ONE] = asyncio.Event()
        desk.wake(ONE)
        await desk.let_run()
        desk.worker.abandon()
        await desk.let_run(timedelta(minutes=10))

        assert ([ONE], 0, 4) == (desk.carried, desk.dispatcher.due, desk.worker.room)


async def test_a_run_is_taken_on_again_when_it_wants_to_be() -> None:
    """And not before, and not more often."""
    async with Desk() as desk:
        desk.again[ONE] = timedelta(seconds=10)
        desk.wake(ONE)
        await desk.let_run(timedelta(seconds=9))
        before = list(desk.carried)
        await desk.let_run(timedelta(minutes=1))

        assert ([ONE], [ONE, ONE]) == (before, desk.carried)


async def test_news_that_comes_while_a_run_ends_its_turn_is_looked_at_at_once() -> None:
    """It wanted to rest for a while, without knowing of it."""
    async with Desk() as desk:
        desk.busy[ONE], desk.again[ONE] = asyncio.Event(), timedelta(hours=1)
        desk.wake(ONE)
        await desk.let_run()
        desk.wake(ONE)
        desk.busy[ONE].set()
        await desk.let_run()

        assert [ONE, ONE] == desk.carried
