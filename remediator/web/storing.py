"""Deliveries on their way to the disk: each in a task of its own, because giving up the wait must not stop the writing.

Used by the webhook. One timer watches over all of them: nearly all are stored within milliseconds, and a timer for each
would cost more than what it watches.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

import structlog

from remediator.errors import Overloaded
from remediator.model.alert import Delivery
from remediator.web.body import Hold

log = structlog.get_logger(__name__)


class _Wait(NamedTuple):
    """Who waits for a delivery, and since when."""

    is_done: "asyncio.Future[bool]"
    since: float


class Storing:
    """Has deliveries stored, and lets nobody wait for longer than `patience` seconds."""

    def __init__(self, carry: Callable[[Delivery], Coroutine[Any, Any, None]], *, patience: float) -> None:
        self._carry = carry
        self._patience = patience
        self._waits: dict[asyncio.Task[None], _Wait] = {}  # the oldest first
        self._timer: asyncio.TimerHandle | None = None

    async def store(self, delivery: Delivery, hold: Hold) -> None:
        """Return when it is on disk. Raises Overloaded where that takes too long, and what the storing raises."""
        loop = asyncio.get_running_loop()
        task = loop.create_task(self._carry(delivery), name="store a delivery")
        wait = self._waits[task] = _Wait(loop.create_future(), loop.time())
        task.add_done_callback(self._end)
        hold.until(task)
        if self._timer is None:
            self._timer = loop.call_at(wait.since + self._patience, self._look)
        try:
            is_done = await wait.is_done
        except asyncio.CancelledError:
            task.add_done_callback(_tell_late)
            raise
        if not is_done:
            task.add_done_callback(_tell_late)
            raise Overloaded("storing the alerts takes too long; send them again", reason="slow")
        task.result()

    def refuse_behind_slow_ones(self) -> None:
        """While a delivery waits too long for the disk, others would only wait behind it, each with its memory."""
        oldest = next(iter(self._waits.values()), None)
        if oldest is not None and asyncio.get_running_loop().time() - oldest.since > self._patience:
            raise Overloaded("earlier alerts are not on disk yet; send these again", reason="slow")

    def _end(self, task: "asyncio.Task[None]") -> None:
        wait = self._waits.pop(task)
        if not wait.is_done.done():
            wait.is_done.set_result(True)

    def _look(self) -> None:
        """Let go those who have waited too long, and come again for the next."""
        loop = asyncio.get_running_loop()
        self._timer = None
        for wait in self._waits.values():
            if (due := wait.since + self._patience) > loop.time():
                self._timer = loop.call_at(due, self._look)
                return
            if not wait.is_done.done():
                wait.is_done.set_result(False)

    async def finish(self, *, grace: float) -> None:
        """Wait for what is still being stored; what is not within `grace` seconds is cancelled."""
        if self._waits:
            _, late = await asyncio.wait(tuple(self._waits), timeout=grace)
            for task in late:
                log.error("delivery_given_up", task=task.get_name(), waited=grace)
                task.cancel()
            if late:
                await asyncio.wait(late)
        if self._timer is not None:
            self._timer.cancel()


def _tell_late(task: "asyncio.Task[None]") -> None:
    """How a delivery ended that was answered 503 meanwhile; it will be sent again either way."""
    error = None if task.cancelled() else task.exception()
    if task.cancelled() or error is not None:
        log.warning("delivery_not_stored_after_all", error=repr(error) if error else "cancelled")
    else:
        log.info("delivery_stored_late")
