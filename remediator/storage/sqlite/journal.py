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
    ON CONFLICT (run, round, target, action) DO UPDATE SET
        at = excluded.at, ending = NULL, ended_at = NULL, seq = (SELECT max(seq) + 1 FROM change)
    WHERE ending = 'not begun'
"""
_END = """
    UPDATE change SET ending = :ending, ended_at = :at
    WHERE run = :run AND round = :round AND (:action IS NULL OR action = :action)
    AND (NOT :settles OR ending = 'unknown') AND (:ending <> 'not begun' OR ending IS NULL)
"""
_PUT = f"""
    INSERT INTO stop (kind, scope, reason, by, at, until) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (kind, scope) DO UPDATE SET reason = excluded.reason, by = excluded.by, at = excluded.at,
        until = excluded.until
    WHERE kind = '{StopKind.PAUSE}' OR until IS NULL OR max(until, at) < excluded.at
"""  # noqa: S608 - our own
_LIFT = "UPDATE stop SET until = :at WHERE kind = :kind AND scope = :scope AND (until IS NULL OR until > :at)"
# Up to when things belong to a stop that was lifted: a clock that was ahead may have dated some of them later.
_DATE = {
    subject: f"UPDATE stop SET at = max(at, coalesce(({newest}), at)) WHERE kind = :kind AND scope = :scope"  # noqa: S608
    for subject, newest in {
        "run": "SELECT max(created_at) FROM run WHERE created_at > :at",
        "rule": "SELECT max(ended_at) FROM change WHERE rule = :name AND ended_at > :at",
        "action": "SELECT max(ended_at) FROM change WHERE action = :name AND ended_at > :at",
        "target": "SELECT max(max(ended_at, alert_at)) FROM change WHERE target = :name AND ending IS NOT NULL"
        " AND max(ended_at, alert_at) > :at",
    }.items()
}

_LIST = f"SELECT {codec.STOP} FROM stop WHERE until IS NULL OR until > ? ORDER BY at"  # noqa: S608 - our own
_WITHIN = f"SELECT {codec.STOP} FROM stop WHERE scope IN ({{places}}) ORDER BY at"  # noqa: S608 - our own

# The newest runs of a rule, of all, and of each of all rules: with the alert that each began with, by which repeats are
# found. They are left out (`_ANEW`) only where it matters, as that takes twice as long.
_OF_RULE = """
    SELECT rule, created_at, occurrence FROM run AS newest WHERE rule = :rule AND created_at > :since {anew}
    ORDER BY created_at DESC LIMIT :most
"""
_OF_ALL = """
    SELECT rule, created_at, occurrence FROM run AS newest WHERE created_at > :since {anew}
    ORDER BY created_at DESC LIMIT :most
"""
# The rules are found by steps in the index, and then the newest runs of each: so the work is the same, however many
# runs one of them has.
_OF_EACH = """
    WITH RECURSIVE one (rule) AS (
        SELECT min(rule) FROM run
        UNION ALL SELECT (SELECT min(rule) FROM run WHERE run.rule > one.rule) FROM one WHERE one.rule IS NOT NULL
    )
    SELECT run.rule, run.created_at, run.occurrence FROM one CROSS JOIN run ON run.id IN (
        SELECT id FROM run AS newest WHERE newest.rule = one.rule AND newest.created_at > :since {anew}
        ORDER BY newest.created_at DESC LIMIT :each
    ) ORDER BY run.created_at DESC LIMIT :most
"""
_WITH_ALERT = """
    SELECT found.rule, found.created_at, (SELECT fingerprint FROM occurrence AS its WHERE its.id = found.occurrence)
    FROM ({runs}) AS found ORDER BY found.created_at DESC
"""
# An alert that comes and goes counts once: its newest run of the rule, that is, one that no later run began with.
_ANEW = """
    AND NOT EXISTS (
        SELECT 1 FROM occurrence AS its CROSS JOIN occurrence AS later CROSS JOIN run AS anew
        WHERE its.id = newest.occurrence AND later.fingerprint = its.fingerprint AND later.rowid > its.rowid
            AND anew.occurrence = later.id AND anew.rule = newest.rule AND anew.created_at >= newest.created_at
    )
"""
_RUNS, _RUNS_OF_RULE, _RUNS_OF_EACH = (
    tuple(_WITH_ALERT.format(runs=runs.format(anew=anew)) for anew in ("", _ANEW))
    for runs in (_OF_ALL, _OF_RULE, _OF_EACH)
)
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
    """Enter changes that are not there yet; one that was not begun is entered anew, after all others."""
    db.executemany(
        _ENTER,
        [
            (c.run, c.round, c.rule, c.target, c.action, c.counts, codec.to_us(c.alert_at), codec.to_us(c.at))
            for c in changes
        ],
    )


def note_endings(db: sqlite3.Connection, run: RunId, endings: Iterable[Ended]) -> None:
    """Note what came of changes of a run."""
    db.executemany(
        _END,
        [
            {
                "ending": e.ending,
                "at": codec.to_us(e.at),
                "run": run,
                "round": e.round,
                "action": e.action,
                "settles": e.settles,
            }
            for e in endings
        ],
    )


def known(db: sqlite3.Connection, questions: Sequence[Question]) -> Known:
    """The answers: one look for each kind of change that is asked for, and one for all stops."""
    if not questions:
        return Known()
    scopes = answers.stops_asked_for(questions)
    found = db.execute(_WITHIN.format(places=", ".join("?" * len(scopes))), scopes) if scopes else ()
    stops = tuple(map(codec.read_stop, found))
    looked_up = [(span, _newest(db, span, is_stopped=bool(stops))) for span in answers.spans(questions)]
    begun = {one: _runs(db, one) for one in answers.runs_asked_for(questions)}
    return answers.Answers(looked_up, stops=stops, begun=begun).to(questions)


def _runs(db: sqlite3.Connection, question: Recent) -> list[Begun]:
    """The newest runs that a question is about, each alert once where so many began."""
    of_all = _RUNS if question.each is None else _RUNS_OF_EACH
    quick, exact = of_all if question.rule is None else _RUNS_OF_RULE
    given = {
        "rule": question.rule,
        "since": codec.to_us(question.since),
        "each": question.each,
        "most": answers.rows_for(question),
    }
    found = [Begun(*row) for row in db.execute(quick, given)]
    if answers.is_full(question, found) and answers.has_repeats(found):
        return [Begun(*row) for row in db.execute(exact, given)]
    return found


def _newest(db: sqlite3.Connection, span: Span, *, is_stopped: bool) -> Iterable[Change]:
    """The changes of a span."""
    values = (*(value for value in span.kind if value is not None), codec.to_us(span.since), span.most, span.skip)
    named = tuple(value is not None for value in span.kind)
    if span.if_bad and not is_stopped and not db.execute(_any_bad(named), values).fetchone()[0]:
        return ()
    return map(codec.read_change, db.execute(_looks(named), values))


@cache
def _any_bad(named: tuple[bool, ...]) -> str:
    return f"SELECT EXISTS (SELECT 1 FROM ({_looks(named)}) WHERE ending IN ({codec.BAD}))"  # noqa: S608


@cache
def _looks(named: tuple[bool, ...]) -> str:
    """The statement, one for each way to name a kind, whose condition an index answers."""
    columns = [column for column, is_named in zip(("rule", "target", "action"), named, strict=True) if is_named]
    counted = () if "action" in columns else ("counts",)
    begun = "ending IS NOT 'not begun'"
    condition = " AND ".join((*counted, *(f"{column} = ?" for column in columns), begun, "at > ?"))
    columns_told = f"{codec.CHANGE}, seq"
    return f"SELECT {columns_told} FROM change WHERE {condition} ORDER BY at DESC, seq DESC LIMIT ? OFFSET ?"  # noqa: S608


def put_stop(db: sqlite3.Connection, *, stop: Stop) -> bool:
    """Whether it was written."""
    until = codec.to_us(stop.until) if stop.until is not None else None
    written = db.execute(_PUT, (stop.kind, stop.scope, stop.reason, stop.by, codec.to_us(stop.at), until))
    return bool(written.rowcount)


def prolong_stop(db: sqlite3.Connection, *, stop: Stop, now: datetime) -> Stop | None:
    """What stands then; None where nothing was written."""
    given = {"kind": stop.kind, "scope": stop.scope, "reason": stop.reason, "by": stop.by, "at": codec.to_us(stop.at)}
    until = codec.to_us(stop.until) if stop.until is not None else None
    written = db.execute(_PROLONG, {**given, "until": until, "now": codec.to_us(now)})
    return codec.read_stop(db.execute(_ONE, (stop.kind, stop.scope)).fetchone()) if written.rowcount else None


def lift_stop(db: sqlite3.Connection, *, kind: StopKind, scope: str, at: datetime, after_all: bool = False) -> bool:
    """Whether there was one that stood."""
    named = {"kind": kind, "scope": scope, "at": codec.to_us(at)}
    if not db.execute(_LIFT, named).rowcount:
        return False
    if after_all:
        subject, _, name = scope.partition(":")
        date = _DATE.get("run" if kind is StopKind.STORM else subject)
        if date is not None:
            db.execute(date, {**named, "name": name})
    return True


def list_stops(db: sqlite3.Connection, *, at: datetime) -> tuple[Stop, ...]:
    return tuple(map(codec.read_stop, db.execute(_LIST, (codec.to_us(at),))))
