"""The journal of changes, and the stops: what guards ask, and what a start enters.

Answers are given within the transaction that asks. There is one writer, so no two starts are judged at once.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import datetime

from remediator.model.change import Change, Ended, Ending
from remediator.model.history import MOST_CHANGES, Known, Latest, Nth, Question, Standing, Which
from remediator.model.ids import RuleId, RunId
from remediator.model.stop import Stop, StopKind
from remediator.storage import codec

_ENTER = """
    INSERT INTO change (run, round, rule, target, action, counts, alert_at, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (run, round, target, action) DO NOTHING
"""
_END = "UPDATE change SET ending = ?, ended_at = ? WHERE run = ? AND round = ? AND (? IS NULL OR action = ?)"
_PUT = """
    INSERT INTO stop (kind, scope, reason, by, at, until) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (kind, scope) DO UPDATE SET reason = excluded.reason, by = excluded.by, at = excluded.at,
        until = excluded.until
"""


def enter(db: sqlite3.Connection, changes: Iterable[Change]) -> None:
    """Enter changes that are not there yet."""
    db.executemany(
        _ENTER,
        [
            (c.run, c.round, c.rule, c.target, c.action, c.counts, codec.to_us(c.alert_at), codec.to_us(c.at))
            for c in changes
        ],
    )


def note_endings(db: sqlite3.Connection, run: RunId, endings: Iterable[Ended]) -> None:
    """Note what came of changes of a run."""
    db.executemany(_END, [(e.ending, codec.to_us(e.at), run, e.round, e.action, e.action) for e in endings])


def known(db: sqlite3.Connection, questions: Sequence[Question]) -> Known:
    """The answers."""
    scopes = {scope for one in questions if isinstance(one, Standing) for scope in one.scopes}
    return Known(
        times={one: _nth(db, one) for one in questions if isinstance(one, Nth)},
        changes={one: _latest(db, one) for one in questions if isinstance(one, Latest)},
        stops=_stops(db, sorted(scopes)) if scopes else (),
    )


def _nth(db: sqlite3.Connection, question: Nth) -> datetime | None:
    where, parameters = _where(question.which)
    row = db.execute(
        f"SELECT at FROM change WHERE {where} AND at > ? ORDER BY at DESC LIMIT 1 OFFSET ?",  # noqa: S608 - our own
        (*parameters, codec.to_us(question.since), question.n - 1),
    ).fetchone()
    return None if row is None else codec.from_us(row["at"])


def _latest(db: sqlite3.Connection, question: Latest) -> tuple[Change, ...]:
    where, parameters = _where(question.which)
    rows = db.execute(
        f"SELECT * FROM change WHERE {where} AND at > ? ORDER BY at DESC, seq DESC LIMIT ?",  # noqa: S608 - our own
        (*parameters, codec.to_us(question.since), min(question.count, MOST_CHANGES)),
    )
    return tuple(map(_change, rows))


def _where(which: Which) -> tuple[str, tuple[str, ...]]:
    """The condition, in the columns that an index has."""
    given = {"rule": which.rule, "target": which.target, "action": which.action}
    named = {column: value for column, value in given.items() if value is not None}
    counted = () if which.action is not None else ("counts",)
    return " AND ".join((*counted, *(f"{column} = ?" for column in named))), tuple(named.values())


def _change(row: sqlite3.Row) -> Change:
    return Change(
        run=RunId(row["run"]),
        round=row["round"],
        rule=RuleId(row["rule"]),
        target=row["target"],
        action=row["action"],
        alert_at=codec.from_us(row["alert_at"]),
        at=codec.from_us(row["at"]),
        counts=bool(row["counts"]),
        ending=Ending(row["ending"]) if row["ending"] is not None else None,
        ended_at=codec.from_us(row["ended_at"]) if row["ended_at"] is not None else None,
    )


def put_stop(db: sqlite3.Connection, *, stop: Stop) -> None:
    until = codec.to_us(stop.until) if stop.until is not None else None
    db.execute(_PUT, (stop.kind, stop.scope, stop.reason, stop.by, codec.to_us(stop.at), until))


def lift_stop(db: sqlite3.Connection, *, kind: StopKind, scope: str, at: datetime) -> bool:
    """Whether there was one that stood."""
    now = codec.to_us(at)
    ended = db.execute(
        "UPDATE stop SET until = ? WHERE kind = ? AND scope = ? AND (until IS NULL OR until > ?)",
        (now, kind, scope, now),
    )
    return bool(ended.rowcount)


def list_stops(db: sqlite3.Connection, *, at: datetime) -> tuple[Stop, ...]:
    rows = db.execute("SELECT * FROM stop WHERE until IS NULL OR until > ? ORDER BY at", (codec.to_us(at),))
    return tuple(map(_stop, rows))


def _stops(db: sqlite3.Connection, scopes: Sequence[str]) -> tuple[Stop, ...]:
    rows = db.execute(
        "SELECT * FROM stop WHERE scope IN (SELECT value FROM json_each(?)) ORDER BY at", (json.dumps(scopes),)
    )
    return tuple(map(_stop, rows))


def _stop(row: sqlite3.Row) -> Stop:
    until = codec.from_us(row["until"]) if row["until"] is not None else None
    return Stop(StopKind(row["kind"]), row["scope"], row["reason"], row["by"], codec.from_us(row["at"]), until)
