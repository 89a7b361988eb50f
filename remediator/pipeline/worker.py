"""Works on the runs that are due, so many at once, each in a task of its own. It knows nothing of stages.

A run that rests between two looks of its verification, or waits for its turn to change something, gives its place to
another. Whatever goes wrong in a run stays in that run: it is tried again later, and after a few times ended as failed,
so that people hear of it.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import structlog

from remediator.errors import Fenced, StoreUnavailable
from remediator.kit import failpoints
from remediator.kit.clock import Clock
from remediator.kit.metrics import Metrics
from remediator.model.ids import OwnerId, RunId
from remediator.model.priority import priority_of
from remediator.pipeline.changes import Changes, Place
from remediator.pipeline.dispatch import Dispatcher, wait_for_event
from remediator.pipeline.flow import Flow
from remediator.pipeline.waiting import Due
from remediator.storage.runs import RunStore

log = structlog.get_logger(__name__)

_TRY_AGAIN = timedelta(seconds=10)
_NOT_SOON = timedelta(minutes=5)
_MOST_FAILURES = 3
_A_MOMENT = 0.5  # seconds


class Places:
    """How many runs may be worked on at once, and how many are; the worker alone gives them."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._is_free = asyncio.Event()
        self._is_free.set()

    @property
    def free(self) -> int:
        return self._free

    async def until_free(self) -> None:
        """Wait until there is one."""
        await self._is_free.wait()

    def take(self) -> None:
        """Take one that is free."""
        self._free -= 1
        if self._free <= 0:
            self._is_free.clear()

    def give_back(self) -> None:
        self._free += 1
        self._is_free.set()


class Turn:
    """One run's turn at a place; `news` is set when something has come for the run from outside."""

    def __init__(self, due: Due, dispatcher: Dispatcher, places: Places, changes: Changes, clock: Clock) -> None:
        self.due = due
        self.news = asyncio.Event()
        self.is_turned_away = False
        """Whether the run's rule has as many places as it may have, and this run was handed out all the same."""
        self._dispatcher = dispatcher
        self._places = places
        self._changes = changes
        self._clock = clock
        self._has_place = asyncio.Event()
        self._change: Place | None = None

    def enter(self) -> None:
        """Have a place from now on."""
        self._places.take()
        self._has_place.set()

    def leave(self) -> None:
        """Give the place away, if it is held."""
        if self._has_place.is_set():
            self._has_place.clear()
            self._places.give_back()
            self._dispatcher.leave(self.due)

    async def rest(self, duration: timedelta) -> None:
        """Give the place away until `duration` is over or there is news."""
        self.leave()
        await wait_for_event(self.news, duration, self._clock)
        await self._return(first=False)

    @property
    def has_news(self) -> bool:
        """Whether something has come for the run since it last had to wait."""
        return self.news.is_set()

    @property
    def may_change(self) -> bool:
        """Whether the run has one of the places to change something; if not, it waits for one from now on."""
        if self._change is None:
            self._change = self._changes.ask(self.due.priority)
        return self._change.done()

    async def wait_to_change(self, at_most: timedelta | None = None) -> None:
        """Give the place away until there is one to change something, or news: look at everything anew after it."""
        if self._change is None or self._change.done():
            return
        self.leave()
        await self._until_it_may_change(self._change, at_most)
        await self._return(first=self._change.done())

    async def _until_it_may_change(self, change: Place, at_most: timedelta | None) -> None:
        """A coroutine of its own, so that nothing of this wait is kept while the next one goes on."""
        beside: list[asyncio.Task[Any]] = [asyncio.create_task(self.news.wait(), name="wait-for-news")]
        if at_most is not None:
            beside.append(asyncio.create_task(self._clock.sleep(at_most), name="wait-at-most"))
        try:
            await asyncio.wait((change, *beside), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)

    def end_change(self) -> None:
        """Give the place to change something away, or the wish for one."""
        if self._change is not None:
            self._changes.give_back(self._change)
            self._change = None

    async def _return(self, *, first: bool) -> None:
        """Wait for a place again: as others that are due now, or before them, as they wait for what is held."""
        self._dispatcher.line_up(self.due, first=first)
        await self._has_place.wait()
        self.news.clear()


class Worker:
    """Takes due runs from the dispatcher and carries them on."""

    def __init__(
        self,
        *,
        store: RunStore,
        flow: Flow,
        dispatcher: Dispatcher,
        owner: Callable[[], OwnerId],
        clock: Clock,
        metrics: Metrics,
        runs_at_once: int,
        changes_at_once: int | None = None,
    ) -> None:
        self._store = store
        self._flow = flow
        self._dispatcher = dispatcher
        self._owner = owner
        self._clock = clock
        self._metrics = metrics
        self._places = Places(runs_at_once)
        self._changes = Changes(changes_at_once or runs_at_once)
        self._turns: dict[RunId, Turn] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures: dict[RunId, int] = {}

    @property
    def room(self) -> int:
        """How many places are free now; runs that are due may be about to take them."""
        return self._places.free

    @property
    def waiting_to_change(self) -> int:
        """How many runs wait for their turn to change something."""
        return self._changes.waiting

    async def work(self) -> None:
        """Work until cancelled."""
        while True:
            await self._places.until_free()
            due = await self._dispatcher.next()
            turn = self._turns.get(due.run)
            if turn is None:
                self._begin(due)
            else:
                turn.enter()

    def _begin(self, due: Due) -> None:
        turn = Turn(due, self._dispatcher, self._places, self._changes, self._clock)
        turn.enter()
        self._turns[due.run] = turn
        self._dispatcher.attend(due.run, turn.news)
        task = asyncio.create_task(self._carry(due.run, turn), name=f"run-{due.run}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def has(self, run: RunId) -> bool:
        """Whether the run has its turn at this moment."""
        return run in self._turns

    def abandon(self) -> None:
        """Leave every run where it is, at once; a step that is acting is seen to its end."""
        for task in self._tasks:
            task.cancel()

    async def rest(self) -> tuple[RunId, ...]:
        """Leave every run where it is; those whose step is still acting a moment later."""
        self.abandon()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_A_MOMENT)
        return tuple(self._turns)

    async def stop(self, grace: timedelta) -> None:
        """Stop every run where it is; steps that are acting get `grace` to end and be recorded."""
        self.abandon()
        tasks = list(self._tasks)
        if tasks:
            _, left = await asyncio.wait(tasks, timeout=grace.total_seconds())
            for task in left:
                log.error("step_left_behind", task=task.get_name())

    async def _carry(self, run: RunId, turn: Turn) -> None:
        wake: datetime | None = None
        self._metrics.runs_active.inc()
        try:
            structlog.contextvars.bind_contextvars(run_id=run)  # in this task alone
            wake = await self._try(run, turn)
        finally:
            self._metrics.runs_active.dec()
            turn.end_change()
            turn.leave()
            self._dispatcher.dismiss(run)
            del self._turns[run]
            self._go_on(turn, wake)

    def _go_on(self, turn: Turn, wake: datetime | None) -> None:
        """Have a run handed out again whose turn is over: for news at once, else when it wants to be, if ever."""
        due = turn.due
        if turn.is_turned_away:
            self._dispatcher.line_up(due, first=True)  # it stands aside from there; news is read when it has a place
        elif turn.has_news:  # also where the turn was abandoned: it may have been claimed anew
            self._dispatcher.wake(due.run, self._clock.now(), due.priority, due.rule)
        elif wake is not None:
            self._dispatcher.wake(due.run, wake, due.priority, due.rule)

    async def _try(self, run_id: RunId, turn: Turn) -> datetime | None:
        """Carry a run on, if its rule lets it have a place; when it is to be taken on again, if ever."""
        try:
            run = await self._store.take(run_id, self._owner())
            if run is None:
                return None
            failpoints.hit("run.taken")
            turn.due.priority = priority_of(run.alert.labels)
            if not self._dispatcher.place(turn.due, run.rule):
                turn.is_turned_away = True
                return None
            structlog.contextvars.bind_contextvars(rule=run.rule)
            wake = await self._flow.carry_on(run, turn)
        except Fenced:
            log.warning("run_fenced")
            return None
        except StoreUnavailable as error:
            log.warning("run_waits_for_store", error=str(error))
            return self._clock.now() + error.retry_after
        except Exception as error:
            log.exception("run_failed")
            return await self._after_failure(run_id, error)
        self._failures.pop(run_id, None)
        return wake

    async def _after_failure(self, run_id: RunId, error: Exception) -> datetime | None:
        """Try a broken run again in a while; at last end it, so that it is told and not tried for ever."""
        count = self._failures[run_id] = self._failures.get(run_id, 0) + 1
        if count < _MOST_FAILURES:
            return self._clock.now() + _TRY_AGAIN * count
        wake: datetime | None = None
        try:
            run = await self._store.take(run_id, self._owner())
            if run is not None:
                wake = await self._flow.give_up(run, f"it could not be carried on: {type(error).__name__}: {error}")
        except (Fenced, StoreUnavailable):
            return self._clock.now() + _TRY_AGAIN * count
        except Exception:
            log.exception("run_cannot_be_ended")
            return self._clock.now() + _NOT_SOON
        self._failures.pop(run_id, None)
        return wake
