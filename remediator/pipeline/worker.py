"""Works on the runs that are due, so many at once, each in a task of its own. It knows nothing of stages.

A run that rests between two looks of its verification gives its place to another. Whatever goes wrong in a run stays
in that run: it is tried again later, and after a few times ended as failed, so that people hear of it.
"""

import asyncio
from datetime import datetime, timedelta

import structlog

from remediator.errors import Fenced, StoreUnavailable
from remediator.kit.clock import Clock
from remediator.kit.metrics import Metrics
from remediator.model.ids import OwnerId, RunId
from remediator.pipeline.dispatch import Dispatcher, wait_for_event
from remediator.pipeline.flow import Flow
from remediator.storage.store import Store

log = structlog.get_logger(__name__)

_TRY_AGAIN = timedelta(seconds=10)
_NOT_SOON = timedelta(minutes=5)
_MOST_FAILURES = 3


class Turn:
    """One run's turn at a place; `news` is set when something has come for the run from outside."""

    def __init__(self, places: asyncio.Semaphore, clock: Clock) -> None:
        self._places = places
        self._clock = clock
        self._holds_place = True
        self.news = asyncio.Event()

    async def rest(self, duration: timedelta) -> None:
        """Give the place away until `duration` is over or there is news."""
        self.leave()
        await wait_for_event(self.news, duration, self._clock)
        self.news.clear()
        await self._places.acquire()
        self._holds_place = True

    def leave(self) -> None:
        """Give the place away, if it is held."""
        if self._holds_place:
            self._holds_place = False
            self._places.release()


class Worker:
    """Takes due runs from the dispatcher and carries them on."""

    def __init__(
        self,
        *,
        store: Store,
        flow: Flow,
        dispatcher: Dispatcher,
        owner: OwnerId,
        clock: Clock,
        metrics: Metrics,
        runs_at_once: int,
    ) -> None:
        self._store = store
        self._flow = flow
        self._dispatcher = dispatcher
        self._owner = owner
        self._clock = clock
        self._metrics = metrics
        self._places = asyncio.Semaphore(runs_at_once)
        self._turns: dict[RunId, Turn] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures: dict[RunId, int] = {}

    async def work(self) -> None:
        """Work until cancelled."""
        while True:
            run = await self._dispatcher.next()
            if (turn := self._turns.get(run)) is not None:
                turn.news.set()  # news needs no place: the run may be resting with none
                continue
            await self._places.acquire()
            self._begin(run)

    def _begin(self, run: RunId) -> None:
        turn = Turn(self._places, self._clock)
        self._turns[run] = turn
        task = asyncio.create_task(self._carry(run, turn), name=f"run-{run}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self, grace: timedelta) -> None:
        """Stop every run where it is; steps that are acting get `grace` to end and be recorded."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            _, left = await asyncio.wait(tasks, timeout=grace.total_seconds())
            for task in left:
                log.error("step_left_behind", task=task.get_name())

    async def _carry(self, run: RunId, turn: Turn) -> None:
        wake: datetime | None = None
        self._metrics.runs_active.inc()
        try:
            with structlog.contextvars.bound_contextvars(run_id=run):
                wake = await self._try(run, turn)
        finally:
            self._metrics.runs_active.dec()
            turn.leave()
            del self._turns[run]
        if turn.news.is_set():
            wake = self._clock.now()
        if wake is not None:
            self._dispatcher.wake(run, wake)

    async def _try(self, run_id: RunId, turn: Turn) -> datetime | None:
        try:
            run = await self._store.take(run_id, self._owner)
            if run is None:
                return None
            with structlog.contextvars.bound_contextvars(rule=run.rule):
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
        try:
            run = await self._store.take(run_id, self._owner)
            if run is not None:
                await self._flow.give_up(run, f"it could not be carried on: {type(error).__name__}: {error}")
        except (Fenced, StoreUnavailable):
            return self._clock.now() + _TRY_AGAIN * count
        except Exception:
            log.exception("run_cannot_be_ended")
            return self._clock.now() + _NOT_SOON
        self._failures.pop(run_id, None)
        return None
