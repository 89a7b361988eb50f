"""The journal of changes, and the stops: what guards ask, and what a start enters.

Answers are given within the transaction that asks. Whoever records starts takes `STARTING` first, so that no two
processes judge starts at once.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from remediator.model.change import Change, Ended, Ending
from remediator.model.history import MOST_CHANGES, Known, Latest, Nth, Question, Standing, Which
from remediator.model.ids import RuleId, RunId
from remediator.model.stop import Stop, StopKind
from remediator.storage import codec
from remediator.storage.postgres.keys import bounded

if TYPE_CHECKING:
    from asyncpg import Record

    from remediator.storage.postgres.links import Db

STARTING = "SELECT pg_advisory_xact_lock(x'72656d7374617274'::bigint)"  # any number, as long as it stays the same

_ENTER = """
    INSERT INTO change (run, round, rule, target, action, counts, alert_at, at)
    SELECT * FROM unnest($1::text[], $2::int[], $3::text[], $4::text[], $5::text[], $6::boolean[], $7::bigint[],
        $8::bigint[])
    ON CONFLICT (run, round, target, action) DO NOTHING
"""
_END = """
    UPDATE change SET ending = e.ending, ended_at = e.at
    FROM unnest($1::text[], $2::int[], $3::text[], $4::text[], $5::bigint[]) AS e (run, round, action, ending, at)
    WHERE change.run = e.run AND change.round = e.round AND (e.action IS NULL OR change.action = e.action)
"""
_SHAPES = {
    (): "counts",
    ("rule",): "counts AND rule = q.rule",
    ("target",): "counts AND target = q.target",
    ("rule", "target"): "counts AND rule = q.rule AND target = q.target",
    ("action",): "action = q.action",
}
"""What a question may name, and the condition that an index answers."""
_PLACES = {names: place for place, names in enumerate(_SHAPES)}
_FIND = " UNION ALL ".join(
    f"""
    SELECT q.place, found.* FROM q CROSS JOIN LATERAL (
        SELECT * FROM change WHERE {condition} AND at > q.since ORDER BY at DESC, seq DESC LIMIT q.most OFFSET q.skip
    ) AS found WHERE q.shape = {_PLACES[names]}
    """  # noqa: S608 - constants of ours
    for names, condition in _SHAPES.items()
)
_ANSWER = f"""
    WITH q AS (
        SELECT * FROM unnest($1::int[], $2::int[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::int[],
            $8::int[]) AS one (place, shape, rule, target, action, since, most, skip)
    )
    SELECT * FROM ({_FIND}) AS answer ORDER BY place, at DESC, seq DESC
"""  # noqa: S608 - constants of ours
_PUT = """
    INSERT INTO stop (kind, scope, reason, by, at, until) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (kind, scope) DO UPDATE SET reason = excluded.reason, by = excluded.by, at = excluded.at,
        until = excluded.until
"""
_LIFT = """
    UPDATE stop SET until = $3 WHERE kind = $1 AND scope = $2 AND (until IS NULL OR until > $3) RETURNING kind
"""
_LIST = "SELECT * FROM stop WHERE until IS NULL OR until > $1 ORDER BY at"
_WITHIN = "SELECT * FROM stop WHERE scope = ANY ($1::text[]) ORDER BY at"


async def enter(db: "Db", changes: Sequence[Change]) -> None:
    """Enter changes that are not there yet."""
    rows = [
        (c.run, c.round, c.rule, bounded(c.target), c.action, c.counts, codec.to_us(c.alert_at), codec.to_us(c.at))
        for c in changes
    ]
    if rows:
        await db.execute(_ENTER, *map(list, zip(*rows, strict=True)))


async def note_endings(db: "Db", endings: Iterable[tuple[RunId, Ended]]) -> None:
    """Note what came of changes, each of a run."""
    rows = [(run, e.round, e.action, e.ending, codec.to_us(e.at)) for run, e in endings]
    if rows:
        await db.execute(_END, *map(list, zip(*rows, strict=True)))


async def known(db: "Db", questions: Sequence[Question]) -> Known:
    """The answers, in two ways to the server."""
    asked = [one for one in questions if isinstance(one, Nth | Latest)]
    found: list[list[Change]] = [[] for _ in asked]
    if asked:
        columns = map(list, zip(*(_row(place, one) for place, one in enumerate(asked)), strict=True))
        for row in await db.fetch(_ANSWER, *columns):
            found[row["place"]].append(_change(row))
    scopes = sorted({bounded(scope) for one in questions if isinstance(one, Standing) for scope in one.scopes})
    answers = list(zip(asked, found, strict=True))
    return Known(
        times={one: changes[0].at if changes else None for one, changes in answers if isinstance(one, Nth)},
        changes={one: tuple(changes) for one, changes in answers if isinstance(one, Latest)},
        stops=tuple(map(_stop, await db.fetch(_WITHIN, scopes))) if scopes else (),
    )


def _row(place: int, question: Nth | Latest) -> tuple[Any, ...]:
    which = question.which
    most, skip = (1, question.n - 1) if isinstance(question, Nth) else (min(question.count, MOST_CHANGES), 0)
    target = bounded(which.target) if which.target is not None else None
    return place, _shape(which), which.rule, target, which.action, codec.to_us(question.since), most, skip


def _shape(which: Which) -> int:
    given = {"rule": which.rule, "target": which.target, "action": which.action}
    return _PLACES[tuple(name for name, value in given.items() if value is not None)]


def _change(row: "Record") -> Change:
    return Change(
        run=RunId(row["run"]),
        round=row["round"],
        rule=RuleId(row["rule"]),
        target=row["target"],
        action=row["action"],
        alert_at=codec.from_us(row["alert_at"]),
        at=codec.from_us(row["at"]),
        counts=row["counts"],
        ending=Ending(row["ending"]) if row["ending"] is not None else None,
        ended_at=codec.from_us(row["ended_at"]) if row["ended_at"] is not None else None,
    )


async def put_stop(db: "Db", *, stop: Stop) -> None:
    until = codec.to_us(stop.until) if stop.until is not None else None
    await db.execute(_PUT, stop.kind, bounded(stop.scope), stop.reason, stop.by, codec.to_us(stop.at), until)


async def lift_stop(db: "Db", *, kind: StopKind, scope: str, at: datetime) -> bool:
    return await db.fetchval(_LIFT, kind, bounded(scope), codec.to_us(at)) is not None


async def list_stops(db: "Db", *, at: datetime) -> tuple[Stop, ...]:
    return tuple(map(_stop, await db.fetch(_LIST, codec.to_us(at))))


def _stop(row: "Record") -> Stop:
    until = codec.from_us(row["until"]) if row["until"] is not None else None
    return Stop(StopKind(row["kind"]), row["scope"], row["reason"], row["by"], codec.from_us(row["at"]), until)
