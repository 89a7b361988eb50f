"""Tasks with a name and an owner. A background task that ends unasked is an error and ends the process's work.

Called by whatever runs in the background (worker, outbox, timers) and by what must be written even when we are
being stopped.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import structlog

T = TypeVar("T")
log = structlog.get_logger(__name__)


async def finish_even_if_cancelled(work: Coroutine[Any, Any, T], *, name: str) -> T:
    """Await `work` to its end also when the caller is cancelled meanwhile; the cancellation is raised afterwards."""
    task = asyncio.create_task(work, name=name)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as stop:
            if task.cancelled():
                raise
            cancelled = stop
        except Exception:  # noqa: S110 - the task keeps it, and gives it below
            pass
    if cancelled is not None:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("shielded_work_failed", task=name, error=repr(error))
        raise cancelled
    return task.result()


class Background:
    """Owns the long-lived tasks of one component: starts them by name, stops them together, reports an early end."""

    def __init__(self, on_death: Callable[[str, BaseException | None], None]) -> None:
        self._on_death = on_death
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False

    def start(self, work: Coroutine[Any, Any, None], *, name: str) -> None:
        """Run `work` until `stop`; `on_death(name, error)` is called if it ends before."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._stopping:
            return
        error = None if task.cancelled() else task.exception()
        log.error("background_task_died", task=task.get_name(), error=repr(error))
        self._on_death(task.get_name(), error)

    async def stop(self) -> None:
        """Cancel all and wait until each has ended."""
        self._stopping = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
