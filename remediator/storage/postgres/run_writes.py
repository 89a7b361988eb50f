"""The writes to runs, as data and set by set: all of a commit that are of one kind take as many statements as one.

The writer hands in what has come, in its order, inside its transaction. Writes that concern the same run, or reserve
the same target, are made one after the other, all others together. The rows of all their runs are locked by then, in
the one order in which everybody locks them: no statement here waits for one. The writes of a run's owner are fenced on
owner and epoch: the first part of each statement finds the claims that hold, and nothing of the rest is written for the
others.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from asyncpg import SerializationError

from remediator.errors import Fenced
from remediator.model.audit import AuditEntry
from remediator.model.facts import Ended, Started
from remediator.model.ids import RunId
from remediator.model.occurrence import Closing
from remediator.model.outcome import Reason
from remediator.model.run import Signal
from remediator.storage import codec
from remediator.storage.holding import busy
from remediator.storage.postgres import audit, journal
from remediator.storage.postgres.keys import bounded, plain
from remediator.storage.postgres.outbox import notify
from remediator.storage.queueing import NEWER_VERSION
from remediator.storage.runs import Claim, Entry, Refusal, Reservation

if TYPE_CHECKING:
    from remediator.storage.postgres.links import Db

T = TypeVar("T")

_MINE = """
    mine AS (
        SELECT run.id, run.channel, run.signals > claim.signals_read AS unread,
            claim.at, claim.outcome, claim.keep_until
        FROM unnest($1::text[], $2::text[], $3::int[], $4::int[], $5::bigint[], $6::text[], $7::bigint[])
            AS claim (run, owner, epoch, signals_read, at, outcome, keep_until)
        JOIN run ON run.id = claim.run AND run.owner = claim.owner AND run.epoch = claim.epoch
        ORDER BY run.id FOR NO KEY UPDATE OF run
    )
"""
_FENCE = f"WITH {_MINE} SELECT id, unread FROM mine"  # noqa: S608 - a constant of ours
# A fact that is there already as it is is no mistake: its owner may not have heard that it was written. Another one
# under the same key is: it breaks the constraint that a body is not NULL.
_ADD = f"""
    facts AS (
        INSERT INTO fact (run, step, attempt, kind, body)
        SELECT f.run, f.step, f.attempt, f.kind, f.body
        FROM unnest($9::text[], $10::text[], $11::int[], $12::text[], $13::text[])
            WITH ORDINALITY AS f (run, step, attempt, kind, body, place) JOIN mine ON mine.id = f.run ORDER BY f.place
        ON CONFLICT (run, step, attempt, kind) DO UPDATE SET body = NULL WHERE fact.body <> excluded.body
    ), posts AS (
        INSERT INTO post (run, key, channel, message, queued_at, is_minor)
        SELECT p.run, p.key, mine.channel, p.message, $8::bigint, p.is_minor
        FROM unnest($14::text[], $15::text[], $16::text[], $17::boolean[])
            WITH ORDINALITY AS p (run, key, message, is_minor, place) JOIN mine ON mine.id = p.run ORDER BY p.place
        ON CONFLICT (run, key) {NEWER_VERSION}
    )
    SELECT id, unread FROM mine
"""  # noqa: S608 - constants of ours
_LEARN = f"WITH {_MINE}, {_ADD}"
_PARK = f"""
    WITH {_MINE}, parked AS (
        UPDATE run SET wake_at = CASE WHEN mine.unread THEN $8::bigint ELSE mine.at END,
            owner = CASE WHEN mine.unread THEN run.owner ELSE '' END
        FROM mine WHERE run.id = mine.id
    ), {_ADD}
"""  # noqa: S608 - constants of ours
_END = f"""
    WITH {_MINE}, ended AS (
        UPDATE run SET ended_at = coalesce(run.ended_at, mine.at), outcome = mine.outcome, open_group = NULL,
            wake_at = CASE WHEN mine.unread THEN $8::bigint ELSE rest.wake_at END,
            owner = CASE WHEN mine.unread THEN run.owner ELSE '' END
        FROM mine JOIN unnest($18::text[], $19::bigint[]) AS rest (run, wake_at) ON rest.run = mine.id
        WHERE run.id = mine.id
    ), freed AS (
        DELETE FROM lock USING mine WHERE lock.run = mine.id AND mine.keep_until IS NULL
    ), kept AS (
        UPDATE lock SET until = mine.keep_until FROM mine WHERE lock.run = mine.id AND mine.keep_until IS NOT NULL
    ), {_ADD}
"""  # noqa: S608 - constants of ours
_CLOSE = """
    WITH ended AS (SELECT * FROM unnest($1::text[], $2::text[]) AS one (run, occurrence)),
    closed AS (
        UPDATE occurrence SET closed_at = $3, closing = $4 FROM ended
        WHERE occurrence.id = ended.occurrence AND occurrence.closed_at IS NULL RETURNING ended.run
    )
    UPDATE run SET open_alerts = open_alerts - 1 FROM closed WHERE run.id = closed.run
"""
_NEWS = """
    SELECT claim.run FROM unnest($1::text[], $2::int[]) AS claim (run, signals_read) WHERE EXISTS (
        SELECT 1 FROM (SELECT kind FROM signal WHERE run = claim.run ORDER BY seq OFFSET claim.signals_read) AS unread
        WHERE kind <> 'joined'
    )
"""
_WITH_TAKEN = """
    WITH wanted AS (SELECT * FROM unnest($1::text[], $2::text[]) AS one (run, target)),
    taken AS (
        SELECT DISTINCT ON (wanted.run) wanted.run, lock.target, lock.run AS holder, lock.until
        FROM wanted JOIN lock ON lock.target = wanted.target
        WHERE lock.run <> wanted.run AND (lock.until IS NULL OR lock.until > $3) ORDER BY wanted.run, lock.target
    )
"""
_TAKEN = f"{_WITH_TAKEN} SELECT run, target, holder, until FROM taken"  # noqa: S608 - a constant of ours
# All targets of a run or none, and of all runs in the one order in which everybody takes them.
_LOCK = f"""
    {_WITH_TAKEN}, got AS (
        INSERT INTO lock (target, run)
        SELECT target, run FROM wanted WHERE run NOT IN (SELECT run FROM taken) ORDER BY target COLLATE "C"
        ON CONFLICT (target) DO UPDATE SET run = excluded.run, until = NULL
            WHERE lock.run = excluded.run OR lock.until <= $3
        RETURNING target, run
    )
    SELECT run, target, holder, until FROM taken UNION ALL SELECT run, target, NULL, NULL FROM got
"""  # noqa: S608 - a constant of ours
_SIGNAL = """
    WITH word AS (SELECT * FROM unnest($2::text[], $3::text[], $4::text[]) AS word (run, kind, body)),
    there AS (
        SELECT run.id, word.kind, word.body FROM word JOIN run ON run.id = word.run
        ORDER BY run.id FOR NO KEY UPDATE OF run
    ), told AS (
        UPDATE run SET signals = run.signals + 1, wake_at = least(run.wake_at, $1::bigint)
        FROM there WHERE run.id = there.id
    )
    INSERT INTO signal (run, kind, body) SELECT id, kind, body FROM there RETURNING run
"""


@dataclass(frozen=True, slots=True)
class RunWrite(Generic[T]):
    """A write to a run, handed in at a time; it answers a `T`."""

    now: datetime

    @property
    def run_id(self) -> RunId:
        """The run that it is to."""
        raise NotImplementedError

    @property
    def concerns(self) -> Iterable[str]:
        """What no other write that is made together with this one may concern."""
        return (self.run_id,)


@dataclass(frozen=True, slots=True)
class _OwnersWrite(RunWrite[T]):
    """One of the run's owner, as long as the claim holds."""

    claim: Claim
    entry: Entry

    @property
    def run_id(self) -> RunId:
        return self.claim.run


@dataclass(frozen=True, slots=True)
class Learn(_OwnersWrite[None]):
    """Add to a run, and give its locks back where that is asked for."""

    free_locks: bool = False


@dataclass(frozen=True, slots=True)
class Park(_OwnersWrite[bool]):
    """Add to a run and let it rest; whether it does."""

    wake_at: datetime | None


@dataclass(frozen=True, slots=True)
class End(_OwnersWrite[bool]):
    """Give a run its outcome; whether there is nothing that it has still to tell."""

    ended: Ended
    keep_locks_until: datetime | None
    wake_at: datetime | None


@dataclass(frozen=True, slots=True)
class Start(_OwnersWrite[Refusal | None]):
    """Reserve, and record that a step is about to act; why that was refused, if it was."""

    started: Started
    reservation: Reservation

    @property
    def targets(self) -> dict[str, str]:
        """What it reserves, by the names under which that is kept."""
        return {bounded(target): target for target in self.reservation.locks}

    @property
    def is_judged(self) -> bool:
        """Whether it takes more than locks; those that do are judged one after another, in all processes."""
        return self.reservation != Reservation(self.reservation.locks)

    @property
    def concerns(self) -> Iterable[str]:
        return (self.claim.run, *self.targets)


@dataclass(frozen=True, slots=True)
class Tell(RunWrite[bool]):
    """Leave word for a run, and make it due; whether it is there."""

    run: RunId
    signal: Signal
    audit: Sequence[AuditEntry] = ()

    @property
    def run_id(self) -> RunId:
        return self.run


async def make_all(db: "Db", writes: Sequence[RunWrite[Any]]) -> list[Any]:
    """What each write has led to, or the error that refused it alone. What is raised has spoilt all of them."""
    results: list[Any] = [None] * len(writes)
    for together in rounds(writes):
        # What ends, or gives its locks back, comes before what starts: its targets are free.
        for kind, make in _MAKERS.items():
            places = [place for place in together if type(writes[place]) is kind]
            made = await make(db, [writes[place] for place in places]) if places else ()
            for place, result in zip(places, made, strict=True):
                results[place] = result
    return results


def rounds(writes: Sequence[RunWrite[Any]]) -> list[list[int]]:
    """The places of the writes that may be made together: what concerns the same comes in its order."""
    made: list[list[int]] = []
    nexts: dict[str, int] = {}
    for place, write in enumerate(writes):
        concerns = tuple(write.concerns)
        turn = max(nexts.get(one, 0) for one in concerns)
        if turn == len(made):
            made.append([])
        made[turn].append(place)
        nexts.update(dict.fromkeys(concerns, turn + 1))
    return made


async def learn(db: "Db", writes: Sequence[Learn]) -> list[Fenced | None]:
    """Add to runs; None for each that was added to."""
    unread = await _add(db, _LEARN, writes, [None] * len(writes))
    freed = [write.claim.run for write in writes if write.free_locks and write.claim.run in unread]
    if freed:
        await db.execute("DELETE FROM lock WHERE run = ANY ($1::text[])", freed)
    return [None if write.claim.run in unread else _lost(write) for write in writes]


async def _park(db: "Db", writes: Sequence[Park]) -> list[Fenced | bool]:
    return _rest(writes, await _add(db, _PARK, writes, [_us(write.wake_at) for write in writes]))


async def _end(db: "Db", writes: Sequence[End]) -> list[Fenced | bool]:
    outcomes = [write.ended.outcome for write in writes]
    kept = [_us(write.keep_locks_until) for write in writes]
    rests = [write.claim.run for write in writes], [_us(write.wake_at) for write in writes]
    return _rest(writes, await _add(db, _END, writes, [_us(write.ended.at) for write in writes], outcomes, kept, rests))


async def _start(db: "Db", writes: Sequence[Start]) -> list[Fenced | Refusal | None]:
    empty = [None] * len(writes)
    unread = _unread(await db.fetch(_FENCE, *_claims(writes), empty, empty, empty))
    mine = [write for write in writes if write.claim.run in unread]
    refused = await _signalled(db, [write for write in mine if unread[write.claim.run]])
    refused |= await _reserve(db, [write for write in mine if write.claim.run not in refused])
    begun = [write for write in mine if write.claim.run not in refused]
    if begun:
        await journal.enter(db, [change for write in begun for change in write.reservation.changes])
        await learn(db, [Learn(write.now, write.claim, _with_start(write)) for write in begun])
    return [refused.get(write.claim.run) if write.claim.run in unread else _lost(write) for write in writes]


def _with_start(write: Start) -> Entry:
    return replace(write.entry, facts=[*write.entry.facts, write.started])


async def _signalled(db: "Db", writes: Sequence[Start]) -> dict[RunId, Refusal]:
    """Of the runs with unread signals those where these may change what the run is about to do."""
    if not writes:
        return {}
    rows = await db.fetch(_NEWS, [w.claim.run for w in writes], [w.claim.signals_read for w in writes])
    return {RunId(row["run"]): Refusal(Reason.SIGNALLED) for row in rows}


async def _reserve(db: "Db", writes: Sequence[Start]) -> dict[RunId, Refusal]:
    """Take the locks of all that may begin; the others, with the reason. Nothing of those is written."""
    if not any(write.is_judged for write in writes):
        return await _lock(db, writes)
    refused = _busy(await db.fetch(_TAKEN, *_wanted(writes), _latest(writes)), writes)
    free = [write for write in writes if write.claim.run not in refused]
    refused |= await journal.judge(db, {write.claim.run: write.reservation for write in free})
    if await _lock(db, [write for write in free if write.claim.run not in refused]):
        raise _beaten()
    return refused


async def _lock(db: "Db", writes: Sequence[Start]) -> dict[RunId, Refusal]:
    """Reserve what each start needs; the runs of which something is taken, with who has it."""
    runs, targets = _wanted(writes)
    if not runs:
        return {}
    rows = await db.fetch(_LOCK, runs, targets, _latest(writes))
    refused = _busy([row for row in rows if row["holder"] is not None], writes)
    if len(rows) - len(refused) != sum(run not in refused for run in runs):
        raise _beaten()
    return refused


def _wanted(writes: Sequence[Start]) -> list[list[Any]]:
    """Each run and each target that is to be its own."""
    return _columns([(write.claim.run, kept) for write in writes for kept in write.targets], 2)


def _busy(rows: Sequence[Any], writes: Sequence[Start]) -> dict[RunId, Refusal]:
    names = {write.claim.run: write.targets for write in writes} if rows else {}
    return {
        RunId(row["run"]): busy(
            names[row["run"]][row["target"]],
            row["holder"],
            codec.from_us(row["until"]) if row["until"] is not None else None,
        )
        for row in rows
    }


def _beaten() -> SerializationError:
    return SerializationError("another process has just taken one of the targets")  # so it is tried anew


async def tell(db: "Db", writes: Sequence[Tell]) -> list[bool]:
    runs = [plain(write.run) for write in writes]
    kinds = [write.signal.kind for write in writes]
    bodies = [codec.write_signal(write.signal) for write in writes]
    found = {row["run"] for row in await db.fetch(_SIGNAL, _latest(writes), runs, kinds, bodies)}
    told = zip(runs, writes, strict=True)
    await audit.enter(db, [entry for run, write in told if run in found for entry in write.audit])
    return [run in found for run in runs]


_MAKERS: dict[type[RunWrite[Any]], Callable[["Db", Sequence[Any]], Awaitable[Sequence[Any]]]] = {
    Tell: tell,
    Learn: learn,
    Park: _park,
    End: _end,
    Start: _start,
}


async def _add(
    db: "Db",
    statement: str,
    writes: Sequence[_OwnersWrite[Any]],
    at: Sequence[int | None],
    outcomes: Sequence[str | None] = (),
    kept: Sequence[int | None] = (),
    more: Sequence[Sequence[Any]] = (),
) -> dict[RunId, bool]:
    """The runs whose claims hold, and whether they have unread signals. `more`: columns of this statement alone."""
    facts = [
        (write.claim.run, *fact.key, fact.kind, codec.write_fact(fact))
        for write in writes
        for fact in write.entry.facts
    ]
    posts = [
        (write.claim.run, post.key, codec.write_message(post.message), post.is_minor)
        for write in writes
        for post in {post.key: post for post in write.entry.posts}.values()
    ]
    empty = [None] * len(writes)
    claims = (*_claims(writes), at, outcomes or empty, kept or empty)
    columns = (*_columns(facts, 5), *_columns(posts, 4))
    unread = _unread(await db.fetch(statement, *claims, _latest(writes), *columns, *more))
    endings = [(run, one) for write in writes if (run := write.claim.run) in unread for one in write.entry.endings]
    await journal.note_endings(db, endings)
    await audit.enter(db, [entry for write in writes if write.claim.run in unread for entry in write.entry.audit])
    await _close(db, [write for write in writes if write.claim.run in unread])
    for write in writes:
        for told in write.entry.notices if write.claim.run in unread else ():
            await notify(db, channel=told.channel, key=told.key, message=told.message, at=write.now)
    return unread


async def _close(db: "Db", writes: Sequence[_OwnersWrite[Any]]) -> None:
    """Close what people have stated for runs that end with it: each is of that one run."""
    closes = [(write.claim.run, write.entry.closes) for write in writes if write.entry.closes is not None]
    if closes:
        await db.execute(_CLOSE, *_columns(closes, 2), _latest(writes), Closing.RUN_ENDED)


def _claims(writes: Sequence[_OwnersWrite[Any]]) -> list[list[Any]]:
    return _columns([(w.claim.run, w.claim.owner, w.claim.epoch, w.claim.signals_read) for w in writes], 4)


def _columns(rows: Sequence[tuple[Any, ...]], count: int) -> list[list[Any]]:
    return list(map(list, zip(*rows, strict=True))) or [[] for _ in range(count)]


def _unread(rows: Iterable[Any]) -> dict[RunId, bool]:
    return {RunId(row["id"]): row["unread"] for row in rows}


def _rest(writes: Sequence[_OwnersWrite[Any]], unread: dict[RunId, bool]) -> list[Fenced | bool]:
    return [not unread[write.claim.run] if write.claim.run in unread else _lost(write) for write in writes]


def _lost(write: _OwnersWrite[Any]) -> Fenced:
    return Fenced(f"run {write.claim.run} belongs to another owner now")


def _latest(writes: Sequence[RunWrite[Any]]) -> int:
    """When they are made: the time at which the last of them was handed in, as they are made together."""
    return codec.to_us(max(write.now for write in writes))


def _us(at: datetime | None) -> int | None:
    return None if at is None else codec.to_us(at)
