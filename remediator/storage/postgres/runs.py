"""The writes of a run's owner, each fenced on owner and epoch, and the signals that come from others.

Each is one statement wherever that can be, as every one is a way to the server and back. The fence is its first part:
where that finds no run, nothing of the rest is written.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from asyncpg import SerializationError

from remediator.errors import Fenced
from remediator.model.facts import Ended, Fact, LateFinished, Started
from remediator.model.ids import OwnerId, RuleId, RunId
from remediator.model.message import Post
from remediator.model.outcome import Reason
from remediator.model.priority import Priority
from remediator.model.run import Run, Signal
from remediator.storage import codec
from remediator.storage.holding import busy
from remediator.storage.postgres import reading
from remediator.storage.postgres.keys import bounded, plain
from remediator.storage.postgres.outbox import NEWER_VERSION
from remediator.storage.store import Claim, Entry, Refusal, Reservation, Wake

if TYPE_CHECKING:
    from remediator.storage.postgres.links import Db

# A fact that is there already as it is is no mistake: its owner may not have heard that it was written. Another one
# under the same key is: it breaks the constraint that a body is not NULL.
_ADD = f"""
    facts AS (
        INSERT INTO fact (run, step, attempt, kind, body)
        SELECT fence.id, f.step, f.attempt, f.kind, f.body FROM fence, unnest($1::text[], $2::int[], $3::text[],
            $4::text[]) WITH ORDINALITY AS f (step, attempt, kind, body, place) ORDER BY f.place
        ON CONFLICT (run, step, attempt, kind) DO UPDATE SET body = NULL WHERE fact.body <> excluded.body
    ), posts AS (
        INSERT INTO post (run, key, channel, message, queued_at)
        SELECT fence.id, p.key, fence.channel, p.message, $7::bigint FROM fence, unnest($5::text[], $6::text[])
            WITH ORDINALITY AS p (key, message, place) ORDER BY p.place
        ON CONFLICT (run, key) {NEWER_VERSION}
    )
"""  # noqa: S608 - constants of ours
_MINE = "id = $8 AND owner = $9 AND epoch = $10"
_LEARN = f"""
    WITH fence AS (SELECT id, channel FROM run WHERE {_MINE} FOR NO KEY UPDATE), {_ADD}
    SELECT false AS unread FROM fence
"""  # noqa: S608 - constants of ours
_PARK = f"""
    WITH fence AS (
        UPDATE run SET wake_at = CASE WHEN signals > $11 THEN $7::bigint ELSE $12::bigint END,
            owner = CASE WHEN signals > $11 THEN owner ELSE '' END
        WHERE {_MINE}
        RETURNING id, channel, signals > $11 AS unread
    ), {_ADD}
    SELECT unread FROM fence
"""  # noqa: S608 - constants of ours
_END = f"""
    WITH fence AS (
        UPDATE run SET ended_at = coalesce(ended_at, $12::bigint), outcome = $13, open_group = NULL,
            wake_at = CASE WHEN signals > $11 THEN $7::bigint END,
            owner = CASE WHEN signals > $11 THEN owner ELSE '' END
        WHERE {_MINE} RETURNING id, channel, signals > $11 AS unread
    ), {_ADD}, freed AS (
        DELETE FROM lock USING fence WHERE lock.run = fence.id AND $14::bigint IS NULL
    ), kept AS (
        UPDATE lock SET until = $14 FROM fence WHERE lock.run = fence.id AND $14::bigint IS NOT NULL
    )
    SELECT unread FROM fence
"""  # noqa: S608 - constants of ours
_LATE = f"""
    WITH fence AS (SELECT id, channel FROM run WHERE id = $8 FOR NO KEY UPDATE), {_ADD}
    SELECT count(*) FROM fence
"""  # noqa: S608 - constants of ours
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
_FENCE = "SELECT signals FROM run WHERE id = $1 AND owner = $2 AND epoch = $3 FOR NO KEY UPDATE"
_NEWS = """
    SELECT EXISTS (
        SELECT 1 FROM (SELECT kind FROM signal WHERE run = $1 ORDER BY seq OFFSET $2) AS unread WHERE kind <> 'joined'
    )
"""
_LOCK = """
    WITH wanted AS (SELECT target FROM unnest($1::text[]) AS one (target)),
    taken AS (
        SELECT target, run, until FROM lock JOIN wanted USING (target)
        WHERE lock.run <> $2 AND (lock.until IS NULL OR lock.until > $3) ORDER BY target LIMIT 1
    ), got AS (
        INSERT INTO lock (target, run) SELECT target, $2 FROM wanted WHERE NOT EXISTS (SELECT 1 FROM taken)
        ON CONFLICT (target) DO UPDATE SET run = excluded.run, until = NULL
            WHERE lock.run = excluded.run OR lock.until <= $3
        RETURNING target
    )
    SELECT (SELECT count(*) FROM got) AS got, (SELECT target FROM taken) AS taken, (SELECT run FROM taken) AS holder,
        (SELECT until FROM taken) AS until
"""
_SIGNAL = """
    WITH told AS (
        UPDATE run SET signals = signals + 1, wake_at = least(wake_at, $2::bigint) WHERE id = $1 RETURNING id
    )
    INSERT INTO signal (run, kind, body) SELECT id, $3, $4 FROM told RETURNING seq
"""


class Refused(Exception):  # noqa: N818 - it never leaves the store
    """A start was refused, and nothing of it was written."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


async def claim(db: "Db", *, run: RunId, owner: OwnerId, before: OwnerId) -> Run | None:
    """The run, as its new owner has it; None where whoever had it `before` lives, or has it no more."""
    claimed = await db.fetchval(_CLAIM, run, owner, before)
    return await reading.read_run(db, run) if claimed is not None else None


async def claim_due(
    db: "Db", *, owner: OwnerId, limit: int, oldest: bool, but_not: Collection[RuleId], now: datetime
) -> tuple[Wake, ...]:
    rows = await db.fetch(_CLAIM_DUE, owner, codec.to_us(now), limit, list(Priority), oldest, list(but_not))
    found = [Wake(RunId(row["id"]), codec.from_us(row["wake_at"]), Priority(row["priority"])) for row in rows]
    return tuple(sorted(found, key=lambda wake: (wake.priority, wake.at)))


async def learn(db: "Db", *, claim: Claim, entry: Entry, now: datetime) -> None:
    await _fenced(db, _LEARN, claim, *_added(entry.facts, entry.posts, now), *_claimed(claim))


async def park(db: "Db", *, claim: Claim, entry: Entry, wake_at: datetime | None, now: datetime) -> bool:
    due = codec.to_us(wake_at) if wake_at else None
    added = _added(entry.facts, entry.posts, now)
    return not await _fenced(db, _PARK, claim, *added, *_claimed(claim), claim.signals_read, due)


async def start(
    db: "Db", *, claim: Claim, entry: Entry, started: Started, reservations: Sequence[Reservation], now: datetime
) -> None:
    signals = await db.fetchval(_FENCE, *_claimed(claim))
    if signals is None:
        raise _lost(claim)
    if signals > claim.signals_read and await db.fetchval(_NEWS, claim.run, claim.signals_read):
        raise Refused(Refusal(Reason.SIGNALLED))
    if reservations:
        await _lock(db, claim.run, {bounded(r.target): r.target for r in reservations}, codec.to_us(now))
    await learn(db, claim=claim, entry=Entry([*entry.facts, started], entry.posts), now=now)


async def _lock(db: "Db", run: RunId, targets: dict[str, str], now: int) -> None:
    """Take all targets or none, in the one order in which everybody takes them."""
    row = await db.fetchrow(_LOCK, sorted(targets), run, now)
    if row is not None and row["taken"] is not None:
        until = codec.from_us(row["until"]) if row["until"] is not None else None
        raise Refused(busy(targets[row["taken"]], row["holder"], until))
    if row is None or row["got"] != len(targets):
        raise SerializationError("another process has just taken one of the targets")  # so it is tried anew


async def end(
    db: "Db", *, claim: Claim, entry: Entry, ended: Ended, keep_locks_until: datetime | None, now: datetime
) -> bool:
    until = codec.to_us(keep_locks_until) if keep_locks_until else None
    added = _added(entry.facts, entry.posts, now)
    outcome = (codec.to_us(ended.at), ended.outcome, until)
    return not await _fenced(db, _END, claim, *added, *_claimed(claim), claim.signals_read, *outcome)


async def settle_late(db: "Db", *, run: RunId, fact: LateFinished, posts: Sequence[Post], now: datetime) -> None:
    await db.execute(_LATE, *_added([fact], posts, now), run)


async def signal(db: "Db", *, run: RunId, signal: Signal, now: datetime) -> bool:
    return await db.fetchval(_SIGNAL, plain(run), codec.to_us(now), signal.kind, codec.write_signal(signal)) is not None


def _added(facts: Iterable[Fact], posts: Iterable[Post], now: datetime) -> tuple[Any, ...]:
    """The first seven parameters: facts and posts by columns, and the time."""
    rows = [(*fact.key, fact.kind, codec.write_fact(fact)) for fact in facts]
    newest = {post.key: codec.write_message(post.message) for post in posts}
    columns = list(map(list, zip(*rows, strict=True))) or [[], [], [], []]
    return (*columns, list(newest), list(newest.values()), codec.to_us(now))


def _claimed(claim: Claim) -> tuple[str, str, int]:
    return claim.run, claim.owner, claim.epoch


async def _fenced(db: "Db", query: str, claim: Claim, *parameters: Any) -> bool:
    """Whether there are signals that the owner has not read. Raises Fenced where the run is another's now."""
    unread = await db.fetchval(query, *parameters)
    if unread is None:
        raise _lost(claim)
    return bool(unread)


def _lost(claim: Claim) -> Fenced:
    return Fenced(f"run {claim.run} belongs to another owner now")
