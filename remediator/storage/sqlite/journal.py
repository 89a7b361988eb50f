"""The journal of changes, and the stops: what guards ask, and what a start enters.

Answers are given within the transaction that asks. There is one writer, so no two starts are judged at once.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache

from remediator.model.change import Change, Ended
from remediator.model.history import Known, Question, Recent
from remediator.model.ids import RunId
from remediator.model.stop import Stop, StopKind
from remediator.storage import answers, codec
from remediator.storage.answers import Begun, Span

_ENTER = """
    INSERT INTO change (run, round, rule, target, action, counts, alert_at, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (run, round, target, action) DO NOTHING
"""
_END = """
    UPDATE change SET ending = ?, ended_at = ?
    WHERE run = ? AND round = ? AND (? IS NULL OR action = ?) AND (NOT ? OR ending = 'unknown')
"""
_PUT = """
    INSERT INTO stop (kind, scope, reason, by, at, until) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (kind, scope) DO UPDATE SET reason = excluded.reason, by = excluded.by, at = excluded.at,
        until = excluded.until
"""

_LIST = f"SELECT {codec.STOP} FROM stop WHERE until IS NULL OR until > ? ORDER BY at"  # noqa: S608 - our own
_WITHIN = f"SELECT {codec.STOP} FROM stop WHERE scope IN ({{places}}) ORDER BY at"  # noqa: S608 - our own

_RUNS = "SELECT rule, created_at FROM run WHERE created_at > ? ORDER BY created_at DESC LIMIT ?"
_RUNS_OF_RULE = "SELECT rule, created_at FROM run WHERE rule = ? AND created_at > ? ORDER BY created_at DESC LIMIT ?"
_PROLONG = """
    INSERT INTO stop (kind, scope, reason, by, at, until) VALUES (:kind, :scope, :reason, :by, :at, :until)
    ON CONFLICT (kind, scope) DO UPDATE SET
        reason = CASE WHEN until > :now THEN reason ELSE excluded.reason END,
        by = CASE WHEN until > :now THEN by ELSE excluded.by END,
        at = CASE WHEN until > :now THEN at ELSE excluded.at END,
        until = CASE WHEN until > :now THEN max(until, excluded.until) ELSE excluded.until END
    WHERE until > :now OR until <= excluded.at
"""
_ONE = f"SELECT {codec.STOP} FROM stop WHERE kind = ? AND scope = ?"  # noqa: S608 - our own


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
    db.executemany(_END, [(e.ending, codec.to_us(e.at), run, e.round, e.action, e.action, e.settles) for e in endings])


def known(db: sqlite3.Connection, questions: Sequence[Question]) -> Known:
    """The answers: one look for each kind of change that is asked for, and one for all stops."""
    if not questions:
        return Known()
    looked_up = [(span, map(codec.read_change, db.execute(*_look(span)))) for span in answers.spans(questions)]
    begun = {one: _runs(db, one) for one in answers.runs_asked_for(questions)}
    scopes = answers.stops_asked_for(questions)
    stops = db.execute(_WITHIN.format(places=", ".join("?" * len(scopes))), scopes) if scopes else ()
    return answers.Answers(looked_up, stops=tuple(map(codec.read_stop, stops)), begun=begun).to(questions)


def _runs(db: sqlite3.Connection, question: Recent) -> list[Begun]:
    """The newest runs that a question is about."""
    since, rows = codec.to_us(question.since), answers.rows_for(question)
    named = (since, rows) if question.rule is None else (question.rule, since, rows)
    found = db.execute(_RUNS if question.rule is None else _RUNS_OF_RULE, named)
    return [(rule, at) for rule, at in found]


def _look(span: Span) -> tuple[str, tuple[str | int, ...]]:
    """The statement, one for each way to name a kind, whose condition an index answers; and its parameters."""
    values = tuple(value for value in span.kind if value is not None)
    return _looks(tuple(value is not None for value in span.kind)), (
        *values,
        codec.to_us(span.since),
        span.most,
        span.skip,
    )


@cache
def _looks(named: tuple[bool, ...]) -> str:
    columns = [column for column, is_named in zip(("rule", "target", "action"), named, strict=True) if is_named]
    counted = () if "action" in columns else ("counts",)
    condition = " AND ".join((*counted, *(f"{column} = ?" for column in columns), "at > ?"))
    return f"SELECT {codec.CHANGE} FROM change WHERE {condition} ORDER BY at DESC, seq DESC LIMIT ? OFFSET ?"  # noqa: S608


def put_stop(db: sqlite3.Connection, *, stop: Stop) -> None:
    until = codec.to_us(stop.until) if stop.until is not None else None
    db.execute(_PUT, (stop.kind, stop.scope, stop.reason, stop.by, codec.to_us(stop.at), until))


def prolong_stop(db: sqlite3.Connection, *, stop: Stop, now: datetime) -> Stop | None:
    """What stands then; None where nothing was written."""
    given = {"kind": stop.kind, "scope": stop.scope, "reason": stop.reason, "by": stop.by, "at": codec.to_us(stop.at)}
    until = codec.to_us(stop.until) if stop.until is not None else None
    written = db.execute(_PROLONG, {**given, "until": until, "now": codec.to_us(now)})
    return codec.read_stop(db.execute(_ONE, (stop.kind, stop.scope)).fetchone()) if written.rowcount else None


def lift_stop(db: sqlite3.Connection, *, kind: StopKind, scope: str, at: datetime) -> bool:
    """Whether there was one that stood."""
    now = codec.to_us(at)
    ended = db.execute(
        "UPDATE stop SET until = ? WHERE kind = ? AND scope = ? AND (until IS NULL OR until > ?)",
        (now, kind, scope, now),
    )
    return bool(ended.rowcount)


def list_stops(db: sqlite3.Connection, *, at: datetime) -> tuple[Stop, ...]:
    return tuple(map(codec.read_stop, db.execute(_LIST, (codec.to_us(at),))))
