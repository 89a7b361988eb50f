"""One thread that owns the writing connection and lets everything that has arrived share a commit (group commit).

A write is a function of the connection. Each has its own savepoint, so one that fails spoils nobody else's; its
result is given out only after the commit is on disk. The thread never waits for the event loop.
"""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from remediator.errors import StoreUnavailable
from remediator.kit import failpoints
from remediator.kit.metrics import Metrics

T = TypeVar("T")
Write = Callable[[sqlite3.Connection], T]

_MOST_AT_ONCE = 256  # bounds how long the first one of a commit waits for the last
_MOST_ALERTS = 2000  # of all deliveries that share a commit, unless one alone has more


@dataclass(slots=True, eq=False)
class _Job:
    write: Write[Any]
    future: "asyncio.Future[Any]"
    loop: asyncio.AbstractEventLoop
    alerts: int
    result: Any = None
    error: BaseException | None = None

    def settle(self) -> None:
        if self.future.done():
            return  # whoever asked has gone; the write stands all the same
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class Writer:
    """Takes writes from the event loop and commits them in batches, in the order in which they came."""

    def __init__(self, connection: sqlite3.Connection, metrics: Metrics) -> None:
        self._connection = connection
        self._metrics = metrics
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._held: _Job | None = None  # taken from the queue, for the next batch
        self._thread = threading.Thread(target=self._work, name="sqlite-writer", daemon=True)
        self._thread.start()

    async def run(self, write: Write[T], *, alerts: int = 0) -> T:
        """Have `write` committed; its result, or its error, once that is on disk. `alerts`: how many it accepts."""
        loop = asyncio.get_running_loop()
        job = _Job(write, loop.create_future(), loop, alerts)
        self._jobs.put(job)
        result: T = await job.future
        return result

    def close(self) -> None:
        """Commit what was handed in, and end the thread. Blocks."""
        self._jobs.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (batch := self._next_batch()) is not None:
            self._commit(batch)
            for loop in {job.loop for job in batch}:
                mine = [job for job in batch if job.loop is loop]
                try:
                    loop.call_soon_threadsafe(_settle_all, mine)
                except RuntimeError:  # the loop has closed; the writes stand, nobody is left to be told
                    continue

    def _next_batch(self) -> list[_Job] | None:
        first = self._held or self._jobs.get()
        self._held = None
        if first is None:
            return None
        batch, alerts = [first], first.alerts
        while len(batch) < _MOST_AT_ONCE:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                self._jobs.put(None)
                break
            alerts += job.alerts
            if alerts > _MOST_ALERTS and job.alerts:
                self._held = job
                break
            batch.append(job)
        return batch

    def _commit(self, batch: list[_Job]) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for job in batch:
                self._attempt(job)
            failpoints.hit("store.commit.before")
            self._connection.execute("COMMIT")
            failpoints.hit("store.commit.after")
        except Exception as error:
            self._give_up(batch, error)
        else:
            self._metrics.store_commits.inc()
            self._metrics.store_writes.inc(len(batch))

    def _attempt(self, job: _Job) -> None:
        """One write in its savepoint. An error that took the whole transaction with it is raised for all."""
        self._connection.execute("SAVEPOINT one")
        try:
            job.result = job.write(self._connection)
        except Exception as error:
            if not self._connection.in_transaction:
                raise sqlite3.OperationalError(f"the transaction was lost: {error}") from error
            self._connection.execute("ROLLBACK TO one")
            job.error = _ours(error)
        self._connection.execute("RELEASE one")

    def _give_up(self, batch: list[_Job], error: Exception) -> None:
        if self._connection.in_transaction:
            try:
                self._connection.execute("ROLLBACK")
            except sqlite3.Error as worse:
                error = worse
        for job in batch:
            job.error = _ours(error)


def _settle_all(jobs: list[_Job]) -> None:
    for job in jobs:
        job.settle()


def _ours(error: BaseException) -> BaseException:
    if not isinstance(error, sqlite3.Error) or isinstance(error, sqlite3.IntegrityError):
        return error  # a broken constraint is a mistake of ours: trying again would not help
    ours = StoreUnavailable(f"the store cannot be written: {error}; is the disk full or read-only?")
    ours.__cause__ = error
    return ours
