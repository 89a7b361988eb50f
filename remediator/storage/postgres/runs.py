"""Claiming runs, and the one write to a run that asks for no claim."""

from collections.abc import Callable, Collection
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from remediator.model.ids import OwnerId, RuleId, RunId
from remediator.model.priority import Priority
from remediator.model.run import Run
from remediator.storage import codec
from remediator.storage.postgres import audit, outbox, reading, run_writes
from remediator.storage.postgres.keys import plain
from remediator.storage.rows import wake_of
from remediator.storage.runs import Claim, Entry, Wake, Word

if TYPE_CHECKING:
    from remediator.storage.postgres.links import Db

T = TypeVar("T")

_CLAIM = """
    UPDATE run SET owner = $2, epoch = epoch + 1
    WHERE id = $1 AND owner = $3 AND NOT EXISTS (SELECT 1 FROM replica WHERE replica.id = $3) RETURNING id
"""
# Each priority by itself, so that the index gives the few that are due, however many rest until later.
_CLAIM_DUE = """
    UPDATE run SET owner = $1, epoch = epoch + 1 WHERE id = ANY (ARRAY(
        SELECT due.id FROM unnest($4::int[]) AS one (priority) CROSS JOIN LATERAL (
            SELECT id, wake_at FROM run WHERE owner = '' AND run.priority = one.priority AND wake_at <= $2
                AND rule <> ALL ($6::text[])
            ORDER BY wake_at LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED
        ) AS due ORDER BY CASE WHEN $5 THEN 0 ELSE one.priority END, due.wake_at LIMIT $3
    )) RETURNING id, wake_at, priority
"""
_LOCK = "SELECT id FROM run WHERE id = $1 FOR NO KEY UPDATE"
_OWNER = "SELECT owner, epoch FROM run WHERE id = $1 FOR NO KEY UPDATE"


async def claim(db: "Db", *, run: RunId, owner: OwnerId, before: OwnerId) -> Run | None:
    """The run, as its new owner has it; None where whoever had it `before` lives, or has it no more."""
    claimed = await db.fetchval(_CLAIM, run, owner, before)
    return await reading.read_run(db, run) if claimed is not None else None


async def claim_due(
    db: "Db", *, owner: OwnerId, limit: int, oldest: bool, but_not: Collection[RuleId], now: datetime
) -> tuple[Wake, ...]:
    rows = await db.fetch(_CLAIM_DUE, owner, codec.to_us(now), limit, list(Priority), oldest, list(but_not))
    found = list(map(wake_of, rows))
    return tuple(sorted(found, key=lambda wake: (wake.priority, wake.at)))


async def settle_late(db: "Db", *, run: RunId, entry: Entry, now: datetime) -> None:
    row = await db.fetchrow(_OWNER, run)
    if row is not None:
        whoever = Claim(run, OwnerId(row["owner"]), row["epoch"], 0)
        await run_writes.learn(db, [run_writes.Learn(now, whoever, entry)])


async def hear(db: "Db", *, run: RunId, judge: Callable[[Run], Word[T]], now: datetime) -> T | None:
    if not await db.fetchval(_LOCK, plain(run)):
        return None
    found = await reading.read_run(db, run)
    if found is None:
        return None
    word = judge(found)
    if word.signal is not None:
        await run_writes.tell(db, [run_writes.Tell(now, run, word.signal)])
    await outbox.queue(db, run=run, channel=found.channel, posts=word.posts, now=now)
    await audit.enter(db, word.audit)
    return word.answer
