"""One connection that writes, and lets everything that has arrived share a commit (group commit).

A write is a function of the connection; or data, where it is one to a run: those that follow each other are made
together. The deliveries of a batch share one transaction, all others the next one, and each is answered after its own
commit. Where the server refuses one of them, the transaction is taken back and each is made again by itself, so that
one that fails spoils nobody else's. A connection that is lost is made anew for the next writes.

No transaction waits for the row of a run while it holds one that another waits for first, or two processes would stand
still until the server ends one of them. So each locks its runs in one statement, in the order of their ids: that of the
deliveries when they have been judged, as nobody knows before which runs they touch, which is why they are by
themselves; the other one where it begins.

A connection can also be lost while a commit is under way, and then nobody knows whether it was carried out. Those who
wait are answered when the server can be asked, by the number of the transaction.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
from asyncpg import InFailedSQLTransactionError, PostgresError

from remediator.errors import StoreUnavailable
from remediator.kit import failpoints
from remediator.kit.metrics import Metrics
from remediator.model.ids import RunId
from remediator.model.occurrence import Accepted
from remediator.storage.postgres import intake, run_writes
from remediator.storage.postgres.journal import STARTING
from remediator.storage.postgres.keys import plain
from remediator.storage.postgres.links import FAILURES, Links, is_outage, is_race
from remediator.storage.postgres.run_writes import RunWrite, Start
from remediator.storage.promised import Promised

if TYPE_CHECKING:
    from asyncpg import Connection

    from remediator.storage.postgres.links import Db

log = structlog.get_logger(__name__)

T = TypeVar("T")
Write = Callable[["Db"], Awaitable[T]]

_MOST_AT_ONCE = 256  # bounds how long the first one of a commit waits for the last
_MOST_ALERTS = 2000  # of all deliveries that share a commit, unless one alone has more
_TRIES = 4  # of a write that somebody else in the database was faster with
_ASK_AGAIN = 1.0  # seconds until the server is asked again what became of a commit
_CLOSING = 2.0  # seconds
_NUMBER = "SELECT pg_current_xact_id()::text"
# The number with the locks: they cost no way to the server of their own.
_NUMBER_AND_LOCKS = """
    WITH locked AS MATERIALIZED (SELECT id FROM run WHERE id = ANY ($1::text[]) ORDER BY id FOR NO KEY UPDATE)
    SELECT pg_current_xact_id()::text FROM (SELECT count(*) FROM locked) AS all_of_them
"""
_FATE = "SELECT pg_xact_status($1::text::xid8)"


class _Unsure(Exception):  # noqa: N818 - it never leaves this module
    """The connection was lost during a commit."""


@dataclass(slots=True, eq=False)
class _Job(Promised):
    """A write or a delivery, and who waits for it."""

    work: "Write[Any] | RunWrite[Any] | intake.Request"
    runs: Sequence[RunId] = ()  # those that it writes to, unless it is a delivery
    stops_starts: bool = False  # whether no start may be judged while it is written

    @property
    def is_delivery(self) -> bool:
        return isinstance(self.work, intake.Request)

    @property
    def alerts(self) -> int:
        return len(self.work.delivery.alerts) if isinstance(self.work, intake.Request) else 0


class Writer:
    """Commits writes in batches, in the order in which they came; the deliveries of a batch go first, together."""

    def __init__(self, links: Links, metrics: Metrics) -> None:
        self._links = links
        self._metrics = metrics
        self._db: Connection | None = None
        self._jobs: asyncio.Queue[_Job | None] = asyncio.Queue()
        self._held: _Job | None = None  # taken from the queue, for the next batch
        self._number = ""  # of the transaction
        self._unsure: tuple[str, list[_Job]] | None = None
        self._task = asyncio.create_task(self._work(), name="postgres-writer")

    async def run(self, write: Write[T], *runs: RunId, stops_starts: bool = False) -> T:
        """Have `write` committed, which may wait for these runs only; its result, or its error, once it is on disk.

        With `stops_starts` a start that is judged is committed before it, or is judged with what it has written.
        """
        result: T = await self._hand_in(_Job(write, runs, stops_starts))
        return result

    async def make(self, write: RunWrite[T]) -> T:
        """Have a write to a run committed, together with others that have come; its result, or its error."""
        result: T = await self._hand_in(_Job(write, (write.run_id,)))
        return result

    async def accept(self, request: intake.Request) -> Accepted:
        """Have a delivery committed, together with others that have come."""
        result: Accepted = await self._hand_in(_Job(request))
        return result

    async def _hand_in(self, job: _Job) -> Any:
        self._jobs.put_nowait(job)
        return await job.future

    async def close(self) -> None:
        """Commit what was handed in, and end."""
        self._jobs.put_nowait(None)
        await self._task
        if self._unsure is not None:
            self._answer(self._unsure[1], StoreUnavailable("the store was closed before it had answered"))
        if self._db is None:
            return
        try:
            await self._db.close(timeout=_CLOSING)
        except FAILURES:
            self._lose()

    async def _work(self) -> None:
        while (batch := await self._next_batch()) is not None:
            if batch:
                for part in _parts(batch):
                    await self._commit(part)
            elif self._unsure is not None:
                await self._ask()

    async def _next_batch(self) -> list[_Job] | None:
        """All that has arrived; nothing, where it is time to ask again; None at the end."""
        first = self._held
        self._held = None
        if first is None:
            try:
                async with asyncio.timeout(_ASK_AGAIN if self._unsure else None):
                    first = await self._jobs.get()
            except TimeoutError:
                return []
        if first is None:
            return None
        batch, alerts = [first], first.alerts
        while len(batch) < _MOST_AT_ONCE and not self._jobs.empty():
            job = self._jobs.get_nowait()
            if job is None:
                self._jobs.put_nowait(None)
                break
            alerts += job.alerts
            if alerts > _MOST_ALERTS and job.alerts:
                self._held = job
                break
            batch.append(job)
        return batch

    async def _commit(self, batch: list[_Job], tries: int = _TRIES) -> None:
        """Write a batch; where that fails because of one of them, each for itself."""
        try:
            await self._write(batch)
        except _Unsure:
            self._unsure = (self._number, batch)
            self._lose()
            return
        except Exception as error:
            hopeless = is_outage(error) and not is_race(error)
            if not await self._take_back() or hopeless:
                self._answer(batch, self._links.ours(error))
            elif len(batch) > 1:
                for job in batch:
                    await self._commit([job])
            elif is_race(error) and tries > 1:
                await self._commit(batch, tries - 1)
            else:
                self._answer(batch, self._links.ours(error))
            return
        self._metrics.store_commits.inc()
        self._metrics.store_writes.inc(len(batch))
        self._answer(batch)

    async def _write(self, batch: list[_Job]) -> None:
        """One transaction. What is raised here has spoilt it for all of the batch."""
        db = await self._connected()
        stops_starts = any(job.stops_starts or (isinstance(job.work, Start) and job.work.is_judged) for job in batch)
        # `STARTING` comes before any row is locked: two processes would wait for each other.
        await db.execute(f"BEGIN; {STARTING}" if stops_starts else "BEGIN")
        runs = {plain(run) for job in batch for run in job.runs}
        self._number = await (db.fetchval(_NUMBER_AND_LOCKS, list(runs)) if len(runs) > 1 else db.fetchval(_NUMBER))
        for make, jobs in groupby(batch, _maker):
            await make(db, list(jobs))
        failpoints.hit("store.commit.before")
        try:
            done = await db.execute("COMMIT")
        except Exception as error:
            if not is_outage(error):
                raise
            raise _Unsure from error
        failpoints.hit("store.commit.after")
        if done != "COMMIT":  # the server answers so, without an error, where a statement before it had failed
            raise InFailedSQLTransactionError(f"the server answered {done} to a commit")

    def _answer(self, batch: Sequence[_Job], error: BaseException | None = None) -> None:
        for job in batch:
            if error is not None:
                job.error = error
            job.settle()

    async def _connected(self) -> "Connection":
        if self._db is None or self._db.is_closed():
            self._db = await self._links.connect()
        if self._unsure is not None:
            await self._find_out(self._db)
        return self._db

    async def _ask(self) -> None:
        """Look whether it can be found out now what became of a commit."""
        try:
            await self._connected()
        except Exception as error:
            log.warning("store_commit_unknown", error=str(self._links.ours(error)))

    async def _find_out(self, db: "Connection") -> None:
        """Answer those whose commit was under way when the connection was lost. Raises where that is not known yet."""
        if self._unsure is None:
            return
        number, batch = self._unsure
        try:
            fate = await db.fetchval(_FATE, number)
        except PostgresError as error:
            if is_outage(error):
                raise
            fate = "unknown"  # another server than it was, which has not heard of it
        if fate == "in progress":
            raise StoreUnavailable("the store is still busy with a commit of a connection that was lost")
        self._unsure = None
        if fate == "committed":
            self._answer(batch)
        else:
            self._answer(
                batch, StoreUnavailable("the store lost the connection before it is known to have written this")
            )

    async def _take_back(self) -> bool:
        """Whether the transaction could be taken back; where not, the connection is given up."""
        if self._db is None or self._db.is_closed():
            self._db = None
            return False
        try:
            await self._db.execute("ROLLBACK")
        except Exception as error:
            log.debug("store_rollback_failed", error=str(self._links.ours(error)))
            self._lose()
            return False
        return True

    def _lose(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            db.terminate()


def _parts(batch: Sequence[_Job]) -> Iterable[list[_Job]]:
    """What is committed together: the deliveries, then all others."""
    deliveries = [job for job in batch if job.is_delivery]
    return filter(None, (deliveries, [job for job in batch if not job.is_delivery]))


def _maker(job: _Job) -> "Callable[[Connection, Sequence[_Job]], Awaitable[None]]":
    if job.is_delivery:
        return _accept
    return _make_together if isinstance(job.work, RunWrite) else _make_one_by_one


async def _accept(db: "Connection", jobs: Sequence[_Job]) -> None:
    _note(jobs, await intake.accept_all(db, [job.work for job in jobs if isinstance(job.work, intake.Request)]))


async def _make_together(db: "Connection", jobs: Sequence[_Job]) -> None:
    _note(jobs, await run_writes.make_all(db, [job.work for job in jobs if isinstance(job.work, RunWrite)]))


async def _make_one_by_one(db: "Connection", jobs: Sequence[_Job]) -> None:
    for job in jobs:
        if callable(job.work):
            _note([job], [await job.work(db)])


def _note(jobs: Sequence[_Job], outcomes: Sequence[Any]) -> None:
    """What was refused by itself has written nothing, and the transaction goes on."""
    for job, outcome in zip(jobs, outcomes, strict=True):
        is_error = isinstance(outcome, Exception)
        job.result, job.error = (None, outcome) if is_error else (outcome, None)
