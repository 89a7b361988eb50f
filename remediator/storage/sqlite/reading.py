"""What is read from the tables, as the model's values. Shared by the reading thread and by writes that look first."""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from datetime import datetime

from remediator.model.alert import BY_HAND
from remediator.model.ids import OccurrenceId, RunId
from remediator.model.occurrence import Occurrence
from remediator.model.run import Run, RunSummary, Signal
from remediator.storage import codec
from remediator.storage.brief import in_short
from remediator.storage.reading import SEARCHED
from remediator.storage.rows import occurrence_of, run_of, wake_of
from remediator.storage.runs import Wake


def read_run(db: sqlite3.Connection, run: RunId) -> Run | None:
    row = db.execute("SELECT * FROM run WHERE id = ?", (run,)).fetchone()
    if row is None:
        return None
    return run_of(row, _bodies(db, "fact", run), _bodies(db, "signal", run))


def read_signals(db: sqlite3.Connection, run: RunId) -> tuple[Signal, ...]:
    return tuple(map(codec.read_signal, _bodies(db, "signal", run)))


def _bodies(db: sqlite3.Connection, table: str, run: RunId) -> Iterator[str]:
    rows = db.execute(f"SELECT body FROM {table} WHERE run = ? ORDER BY seq", (run,))  # noqa: S608 - a name from above
    return (row["body"] for row in rows)


def wakes(db: sqlite3.Connection) -> tuple[Wake, ...]:
    rows = db.execute("SELECT id, wake_at, priority FROM run WHERE wake_at IS NOT NULL ORDER BY wake_at, id")
    return tuple(map(wake_of, rows))


_RUNS = f"""
    SELECT {codec.SUMMARY} FROM {{runs}}
    WHERE (:outcome IS NULL OR outcome = :outcome) AND (NOT :active OR ended_at IS NULL)
    ORDER BY created_at DESC, id DESC LIMIT :limit
"""  # noqa: S608 - a constant of ours
_RUNS_OF = f"""
    SELECT {codec.SUMMARY} FROM run
    WHERE id IN (SELECT run FROM member WHERE occurrence = ?) ORDER BY created_at DESC, id DESC
"""  # noqa: S608 - a constant of ours
# A quotation mark inside of a text has a backslash before it, so that no text can pass for a status.
_UNSETTLED = f"""(
    SELECT * FROM (SELECT * FROM run ORDER BY created_at DESC LIMIT {SEARCHED}) AS newest WHERE EXISTS (
        SELECT 1 FROM fact AS f WHERE f.run = newest.id AND f.kind = 'finished' AND f.body LIKE '%"status":"unknown"%'
            AND NOT EXISTS (
                SELECT 1 FROM fact AS known WHERE known.run = f.run AND known.step = f.step
                    AND known.attempt = f.attempt AND known.kind IN ('late_finished', 'settled')
            )
    )
)"""  # noqa: S608 - a constant of ours


def list_runs(
    db: sqlite3.Connection, *, limit: int, outcome: str | None, active: bool, unsettled: bool
) -> tuple[RunSummary, ...]:
    query = _RUNS.format(runs=_UNSETTLED if unsettled else "run")
    rows = db.execute(query, {"outcome": outcome, "active": active, "limit": limit})
    return tuple(map(codec.read_summary, rows))


def runs_of(db: sqlite3.Connection, *, occurrence: OccurrenceId) -> tuple[RunSummary, ...]:
    return tuple(map(codec.read_summary, db.execute(_RUNS_OF, (occurrence,))))


_OCCURRENCE = """
    SELECT o.*,
        (SELECT CASE WHEN count(*) = count(r.ended_at) THEN max(r.ended_at) END
         FROM member AS m JOIN run AS r ON r.id = m.run WHERE m.occurrence = o.id) AS runs_ended_at
    FROM occurrence AS o
"""


def newest_occurrence(db: sqlite3.Connection, fingerprint: str) -> Occurrence | None:
    row = db.execute(
        f"{_OCCURRENCE} WHERE o.fingerprint = ? ORDER BY o.rowid DESC LIMIT 1",
        (fingerprint,),
    ).fetchone()
    return None if row is None else occurrence_of(row)


_NEWEST = f"""
    {_OCCURRENCE} WHERE o.rowid IN (
        SELECT (SELECT rowid FROM occurrence WHERE fingerprint = asked.value ORDER BY rowid DESC LIMIT 1)
        FROM json_each(?) AS asked
    )
"""  # noqa: S608 - a constant of ours


def newest_occurrences(db: sqlite3.Connection, fingerprints: Iterable[str]) -> dict[str, Occurrence]:
    """The newest occurrence of each alert that has one."""
    rows = db.execute(_NEWEST, (json.dumps(list(set(fingerprints))),))
    return {found.fingerprint: found for found in map(occurrence_of, rows)}


def list_occurrences(db: sqlite3.Connection, *, limit: int, only_open: bool) -> tuple[Occurrence, ...]:
    # The plus keeps SQLite from going back through all that has closed: it takes the index of what is open, and sorts.
    choice = "WHERE o.closed_at IS NULL ORDER BY +o.rowid" if only_open else "ORDER BY o.rowid"
    rows = db.execute(f"{_OCCURRENCE} {choice} DESC LIMIT ?", (limit,))
    return tuple(in_short(occurrence_of(row)) for row in rows)


_OPEN_OF = f"""
    {_OCCURRENCE} WHERE o.closed_at IS NULL AND o.id IN (SELECT occurrence FROM member WHERE run = ?)
    ORDER BY +o.rowid LIMIT ?
"""  # noqa: S608 - a constant of ours
_OPEN_NAMED = f"""
    {_OCCURRENCE} WHERE o.closed_at IS NULL AND o.alertname IN ({{places}}) LIMIT ?
"""


def open_alerts_of(db: sqlite3.Connection, *, run: RunId, limit: int) -> tuple[Occurrence, ...]:
    return tuple(map(occurrence_of, db.execute(_OPEN_OF, (run, limit))))


def open_alerts_named(db: sqlite3.Connection, *, names: Iterable[str], limit: int) -> tuple[Occurrence, ...]:
    wanted = sorted(set(names))  # not as JSON, in which a name would end at a NUL
    rows = db.execute(_OPEN_NAMED.format(places=", ".join("?" * len(wanted))), (*wanted, limit))
    return tuple(map(occurrence_of, rows))


def due_doubts(db: sqlite3.Connection, *, at: datetime, limit: int, sent_again: bool) -> tuple[Occurrence, ...]:
    rows = db.execute(
        f"{_OCCURRENCE} WHERE o.doubt_until <= :at AND (NOT :sent_again OR json_extract(o.doubt, '$.sent_again'))"
        " ORDER BY o.doubt_until LIMIT :limit",
        {"at": codec.to_us(at), "sent_again": sent_again, "limit": limit},
    )
    return tuple(map(occurrence_of, rows))


def unheard(db: sqlite3.Connection, *, before: datetime, limit: int) -> tuple[Occurrence, ...]:
    rows = db.execute(
        f"{_OCCURRENCE} WHERE o.closed_at IS NULL AND o.heard_at < ? AND o.fingerprint NOT LIKE ? LIMIT ?",
        (codec.to_us(before), f"%{BY_HAND}", limit),
    )
    return tuple(map(occurrence_of, rows))
