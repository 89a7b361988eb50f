"""The writes of intake: alerts become occurrences, and occurrences become runs.

All deliveries of a commit are written together, set by set: what they change is worked out in `storage/changes.py`. One
that is large is written piece by piece: all of it at once would fill the memory, and keep the event loop waiting for
this thread. Called by the writer, inside its transaction.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence

from remediator.model.ids import OccurrenceId, RunId
from remediator.model.occurrence import Accepted
from remediator.storage import changes
from remediator.storage.changes import Changes, Judged, Request, SoFar
from remediator.storage.sqlite import audit, cut_groups, reading

_MEMBERS = "SELECT occurrence, run FROM member WHERE occurrence IN (SELECT value FROM json_each(?))"
_RUNS = """
    SELECT id, rule, open_group, open_alerts, signals FROM run WHERE id IN (SELECT value FROM json_each(?))
"""
_RUN_OF_GROUP = "SELECT id, rule, open_group, open_alerts, signals FROM run WHERE rule = ? AND open_group = ?"

# The parameters are numbered as the columns of the rows.
_CHANGE_OCCURRENCES = """
    UPDATE occurrence SET starts_at = ?2, annotations = ?3, heard_at = ?4, closed_at = ?5,
        closing = coalesce(?6, closing), ends_at = ?7, doubt = ?9, doubt_until = ?10 WHERE id = ?1
"""
_OPEN_OCCURRENCES = """
    INSERT INTO occurrence (id, starts_at, annotations, heard_at, closed_at, closing, ends_at, doubt, doubt_until,
        fingerprint, labels, receiver, opened_at, alertname)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
"""
_CHANGE_RUNS = """
    UPDATE run SET open_alerts = ?2, open_group = CASE WHEN ?3 THEN NULL ELSE open_group END, signals = ?4,
        wake_at = coalesce(min(wake_at, ?5), ?5, wake_at)
    WHERE id = ?1
"""
_CREATE_RUNS = """
    INSERT INTO run (id, rule, rule_digest, occurrence, alert, alertname, summary, channel, owner, epoch, created_at,
        priority, signals, wake_at, open_group, open_alerts)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_ADD_MEMBERS = "INSERT INTO member (occurrence, rule, run) VALUES (?, ?, ?)"
_ADD_SIGNALS = "INSERT INTO signal (run, body) VALUES (?1, ?3)"
_ADD_POSTS = "INSERT INTO post (run, key, channel, message, queued_at) VALUES (?, ?, ?, ?, ?)"


def accept_all(db: sqlite3.Connection, requests: Sequence[Request]) -> list[Accepted | Exception]:
    """What each delivery has led to; or what its judge raised, and then nothing of that delivery is written."""
    results: list[Accepted | Exception] = []
    for share in changes.shares(requests):
        if changes.is_large(share[0]):
            results.append(_accept_in_pieces(db, share[0]))
        else:
            results += _accept_together(db, share)
    return results


def _accept_together(db: sqlite3.Connection, requests: Sequence[Request]) -> list[Accepted | Exception]:
    newest = reading.newest_occurrences(db, (a.fingerprint for request in requests for a in request.delivery.alerts))
    judged = [changes.judge_all(request, newest) for request in requests]
    made = _load_runs(db, [one for alerts in judged if not isinstance(alerts, Exception) for one in alerts])
    results = [
        alerts if isinstance(alerts, Exception) else made.apply(request, alerts)
        for request, alerts in zip(requests, judged, strict=True)
    ]
    _write(db, made)
    return results


def _accept_in_pieces(db: sqlite3.Connection, request: Request) -> Accepted | Exception:
    so_far = SoFar()
    db.execute("SAVEPOINT pieces")
    for piece in changes.pieces(request):
        if (error := _accept_piece(db, piece, so_far)) is not None:
            db.execute("ROLLBACK TO pieces")
            db.execute("RELEASE pieces")
            return error
    for runs in changes.in_pieces(list(so_far.joined)):
        _tell_joined(db, runs, request, so_far)
    if (cut_group := request.delivery.cut_group) is not None:
        cut_groups.note(db, cut_group)
    db.execute("RELEASE pieces")
    return so_far.accepted


def _accept_piece(db: sqlite3.Connection, piece: Request, so_far: SoFar) -> Exception | None:
    """Write some alerts of a delivery, after what was written of it before; or what its judge raised."""
    newest = reading.newest_occurrences(db, (alert.fingerprint for alert in piece.delivery.alerts))
    judged = changes.judge_all(piece, newest)
    if isinstance(judged, Exception):
        return judged
    made = _load_runs(db, judged)
    made.go_on(piece, judged, so_far)
    _write(db, made)
    return None


def _tell_joined(db: sqlite3.Connection, runs: Sequence[RunId], request: Request, so_far: SoFar) -> None:
    made = Changes()
    for row in db.execute(_RUNS, (json.dumps(runs),)):
        made.know_run(*row)
    made.tell_joined(runs, request.delivery.received_at, so_far)
    _write(db, made)


def _load_runs(db: sqlite3.Connection, judged: Iterable[Judged]) -> Changes:
    """The runs that occurrences may leave or join."""
    made = Changes()
    closed, groups = made.touched(judged)
    if closed:
        _load_runs_of(db, closed, made)
    for group in groups:
        for row in db.execute(_RUN_OF_GROUP, group):
            made.know_run(*row)
    return made


def _load_runs_of(db: sqlite3.Connection, closed: Sequence[OccurrenceId], made: Changes) -> None:
    members = db.execute(_MEMBERS, (json.dumps(closed),)).fetchall()
    for member in members:
        made.know_member(*member)
    for row in db.execute(_RUNS, (json.dumps([run for _, run in members]),)):
        made.know_run(*row)


def _write(db: sqlite3.Connection, made: Changes) -> None:
    """What leaves comes before what takes its place: one occurrence of an alert is open, and one run of a group."""
    for statement, rows in (
        (_CHANGE_OCCURRENCES, made.changed_occurrences),
        (_OPEN_OCCURRENCES, made.opened_occurrences),
        (_CHANGE_RUNS, made.changed_runs),
        (_CREATE_RUNS, made.created_runs),
        (_ADD_MEMBERS, made.members),
        (_ADD_SIGNALS, made.signals),
        (_ADD_POSTS, made.posts),
    ):
        if rows:
            db.executemany(statement, rows)
    audit.enter(db, made.audit)
    for group in made.cut_groups:
        cut_groups.note(db, group)
