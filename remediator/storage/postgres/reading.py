"""What is read from the tables, as the model's values. Used by readers, and by writes that look first."""

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from asyncpg import Record

from remediator.model.alert import BY_HAND
from remediator.model.ids import OccurrenceId, OwnerId, RunId
from remediator.model.occurrence import Occurrence
from remediator.model.run import Run, RunSummary
from remediator.storage import codec
from remediator.storage.brief import in_short
from remediator.storage.postgres.keys import bounded, plain
from remediator.storage.reading import SEARCHED
from remediator.storage.rows import occurrence_of, run_of, wake_of
from remediator.storage.runs import Wake

if TYPE_CHECKING:
    from remediator.storage.postgres.links import Db

_RUN = """
    SELECT r.*, ARRAY(SELECT body FROM fact WHERE run = r.id ORDER BY seq) AS facts,
        ARRAY(SELECT body FROM signal WHERE run = r.id ORDER BY seq) AS words
    FROM unnest($1::text[]) AS asked (id) JOIN run AS r ON r.id = asked.id
"""
_SIGNALS = """
    SELECT run, body FROM unnest($1::text[]) AS asked (id) JOIN signal AS s ON s.run = asked.id ORDER BY seq
"""
_UNCLAIMED = """
    SELECT count(*) FROM (SELECT 1 FROM run WHERE owner = '' AND wake_at IS NOT NULL AND wake_at <= $1 LIMIT $2) AS due
"""
_OVERDUE = """
    SELECT id, wake_at, priority FROM run WHERE owner = $1 AND owner <> '' AND wake_at <= $2 ORDER BY wake_at LIMIT $3
"""
_RUNS = f"""
    SELECT {codec.SUMMARY} FROM {{runs}}
    WHERE ($1::text IS NULL OR outcome = $1) AND (NOT $2::boolean OR ended_at IS NULL)
    ORDER BY created_at DESC, id DESC LIMIT $3
"""  # noqa: S608 - a constant of ours
_RUNS_OF = f"""
    SELECT {codec.SUMMARY} FROM run
    WHERE id IN (SELECT run FROM member WHERE occurrence = $1) ORDER BY created_at DESC, id DESC
"""  # noqa: S608 - a constant of ours
# A quotation mark inside of a text has a backslash before it, so that no text can pass for a status.
_UNSETTLED = f"""(
    SELECT * FROM (SELECT * FROM run ORDER BY created_at DESC, id DESC LIMIT {SEARCHED}) AS newest WHERE EXISTS (
        SELECT 1 FROM fact AS f WHERE f.run = newest.id AND f.kind = 'finished' AND f.body LIKE '%"status":"unknown"%'
            AND NOT EXISTS (
                SELECT 1 FROM fact AS known WHERE known.run = f.run AND known.step = f.step
                    AND known.attempt = f.attempt AND known.kind IN ('late_finished', 'settled')
            )
    )
) AS found"""  # noqa: S608 - a constant of ours
_OCCURRENCE = """
    SELECT o.*,
        (SELECT CASE WHEN count(*) = count(r.ended_at) THEN max(r.ended_at) END
         FROM member AS m JOIN run AS r ON r.id = m.run WHERE m.occurrence = o.id) AS runs_ended_at
"""
_NEWEST = f"""
    {_OCCURRENCE} FROM unnest($1::text[]) AS asked (fingerprint) CROSS JOIN LATERAL (
        SELECT * FROM occurrence WHERE fingerprint = asked.fingerprint ORDER BY seq DESC LIMIT 1
    ) AS o
"""  # noqa: S608 - a constant of ours
_DOUBTS = f"""
    {_OCCURRENCE} FROM occurrence AS o WHERE o.doubt_until <= $1 AND (NOT $2::boolean OR o.doubt_sent_again)
    ORDER BY o.doubt_until LIMIT $3
"""
_OPEN_OF = f"""
    {_OCCURRENCE} FROM member AS of_run JOIN occurrence AS o ON o.id = of_run.occurrence
    WHERE of_run.run = $1 AND o.closed_at IS NULL ORDER BY o.seq LIMIT $2
"""
_OPEN_NAMED = (
    f"{_OCCURRENCE} FROM occurrence AS o WHERE o.closed_at IS NULL AND o.alertname = ANY ($1::text[]) LIMIT $2"
)


async def read_run(db: "Db", run: RunId) -> Run | None:
    row = (await find_runs(db, [run])).get(run)
    return None if row is None else run_of(row, row["facts"], row["words"])


async def find_runs(db: "Db", runs: Iterable[RunId]) -> dict[str, Record]:
    """The rows of those runs that are there, by their ids."""
    return {row["id"]: row for row in await db.fetch(_RUN, list(map(plain, runs)))}


async def find_signals(db: "Db", runs: Iterable[RunId]) -> dict[str, list[str]]:
    """The bodies of all signals of those runs, in the order in which they came."""
    found: dict[str, list[str]] = {}
    for row in await db.fetch(_SIGNALS, list(map(plain, runs))):
        found.setdefault(row["run"], []).append(row["body"])
    return found


async def wakes(db: "Db") -> tuple[Wake, ...]:
    rows = await db.fetch("SELECT id, wake_at, priority FROM run WHERE wake_at IS NOT NULL ORDER BY wake_at, id")
    return tuple(map(wake_of, rows))


async def count_unclaimed(db: "Db", *, at: datetime, limit: int) -> int:
    return int(await db.fetchval(_UNCLAIMED, codec.to_us(at), limit))


async def overdue(db: "Db", *, owner: OwnerId, before: datetime, limit: int) -> tuple[Wake, ...]:
    rows = await db.fetch(_OVERDUE, owner, codec.to_us(before), limit)
    return tuple(map(wake_of, rows))


async def list_runs(
    db: "Db", *, limit: int, outcome: str | None, active: bool, unsettled: bool
) -> tuple[RunSummary, ...]:
    query = _RUNS.format(runs=_UNSETTLED if unsettled else "run")
    return tuple(map(codec.read_summary, await db.fetch(query, plain(outcome) if outcome else None, active, limit)))


async def runs_of(db: "Db", *, occurrence: OccurrenceId) -> tuple[RunSummary, ...]:
    return tuple(map(codec.read_summary, await db.fetch(_RUNS_OF, occurrence)))


async def newest_occurrences(db: "Db", fingerprints: Iterable[str]) -> dict[str, Occurrence]:
    """The newest occurrence of each alert that had any, open or closed."""
    rows = await db.fetch(_NEWEST, list(map(plain, fingerprints)))
    return {row["fingerprint"]: occurrence_of(row) for row in rows}


async def list_occurrences(db: "Db", *, limit: int, only_open: bool) -> tuple[Occurrence, ...]:
    choice = "WHERE o.closed_at IS NULL" if only_open else ""
    rows = await db.fetch(f"{_OCCURRENCE} FROM occurrence AS o {choice} ORDER BY o.seq DESC LIMIT $1", limit)
    return tuple(in_short(occurrence_of(row)) for row in rows)


async def open_alerts_of(db: "Db", *, run: RunId, limit: int) -> tuple[Occurrence, ...]:
    return tuple(map(occurrence_of, await db.fetch(_OPEN_OF, plain(run), limit)))


async def open_alerts_named(db: "Db", *, names: Iterable[str], limit: int) -> tuple[Occurrence, ...]:
    return tuple(map(occurrence_of, await db.fetch(_OPEN_NAMED, sorted({bounded(name) for name in names}), limit)))


async def due_doubts(db: "Db", *, at: datetime, limit: int, sent_again: bool) -> tuple[Occurrence, ...]:
    return tuple(map(occurrence_of, await db.fetch(_DOUBTS, codec.to_us(at), sent_again, limit)))


async def unheard(db: "Db", *, before: datetime, limit: int) -> tuple[Occurrence, ...]:
    rows = await db.fetch(
        f"{_OCCURRENCE} FROM occurrence AS o"
        " WHERE o.closed_at IS NULL AND o.heard_at < $1 AND o.fingerprint NOT LIKE $3 LIMIT $2",
        codec.to_us(before),
        limit,
        f"%{BY_HAND}",
    )
    return tuple(map(occurrence_of, rows))
