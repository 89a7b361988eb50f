"""One thread that owns the writing connection and lets everything that has arrived share a commit (group commit).

The deliveries of a batch go first, together; where that fails because of one of them, each by itself. The other writes
are functions of the connection, made one after the other. Each has its own savepoint, so one that fails spoils nobody
else's; its result is given out only after the commit is on disk. The thread never waits for the event loop.
"""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from remediator.errors import StoreUnavailable
from remediator.kit import failpoints
from remediator.kit.metrics import Metrics
from remediator.model.occurrence import Accepted
from remediator.storage.changes import Request
from remediator.storage.promised import Promised
from remediator.storage.sqlite import intake

T = TypeVar("T")
Write = Callable[[sqlite3.Connection], T]

_MOST_AT_ONCE = 256  # bounds how long the first one of a commit waits for the last
_MOST_ALERTS = 2000  # of all deliveries that share a commit, unless one alone has more


@dataclass(slots=True, eq=False)
class _Job(Promised):
    """A write or a delivery, and who waits for it."""

    work: Write[Any] | Request
    loop: asyncio.AbstractEventLoop
    alerts: int


class Writer:
    """Commits writes in batches, in the order in which they came; the deliveries of a batch go first, together."""

    def __init__(self, connection: sqlite3.Connection, metrics: Metrics) -> None:
        self._connection = connection
        self._metrics = metrics
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._held: _Job | None = None  # taken from the queue, for the next batch
        self._thread = threading.Thread(target=self._work, name="sqlite-writer", daemon=True)
        self._thread.start()

    async def run(self, write: Write[T]) -> T:
        """Have `write` committed; its result, or its error, once that is on disk."""
        result: T = await self._hand_in(write, 0)
        return result

    async def accept(self, request: Request) -> Accepted:
        """Have a delivery committed, together with others that have come."""
        result: Accepted = await self._hand_in(request, len(request.delivery.alerts))
        return result

    def _hand_in(self, work: Write[Any] | Request, alerts: int) -> "asyncio.Future[Any]":
        job = _Job(work, asyncio.get_running_loop(), alerts)
        self._jobs.put(job)
        return job.future

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
            deliveries = [(job, job.work) for job in batch if isinstance(job.work, Request)]
            if deliveries:
                self._accept(deliveries)
            for job in batch:
                if not isinstance(job.work, Request):
                    self._attempt(job, job.work)
            failpoints.hit("store.commit.before")
            self._connection.execute("COMMIT")
            failpoints.hit("store.commit.after")
        except Exception as error:
            self._give_up(batch, error)
        else:
            self._metrics.store_commits.inc()
            self._metrics.store_writes.inc(len(batch))

    def _accept(self, deliveries: Sequence[tuple[_Job, Request]]) -> None:
        """All of them in one savepoint; where that fails because of one of them, each in its own."""
        requests = [request for _, request in deliveries]
        try:
            outcomes = self._apart(lambda db: intake.accept_all(db, requests))
        except Exception as error:
            if not self._connection.in_transaction:
                raise
            if len(deliveries) == 1:
                deliveries[0][0].error = _ours(error)
                return
            for delivery in deliveries:
                self._accept([delivery])
            return
        for (job, _), outcome in zip(deliveries, outcomes, strict=True):
            if isinstance(outcome, Exception):
                job.error = _ours(outcome)
            else:
                job.result = outcome

    def _attempt(self, job: _Job, write: Write[Any]) -> None:
        try:
            job.result = self._apart(write)
        except Exception as error:
            if not self._connection.in_transaction:
                raise
            job.error = _ours(error)

    def _apart(self, write: Write[T]) -> T:
        """Make a write in a savepoint of its own. What it raises goes on; what it had written is taken back then.

        Some errors take the whole transaction with them, those before this write included: then there is none any more.
        """
        self._connection.execute("SAVEPOINT one")
        try:
            result = write(self._connection)
        except Exception as error:
            if not self._connection.in_transaction:
                raise sqlite3.OperationalError(f"the transaction was lost: {error}") from error
            self._connection.execute("ROLLBACK TO one")
            self._connection.execute("RELEASE one")
            raise
        self._connection.execute("RELEASE one")
        return result

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
