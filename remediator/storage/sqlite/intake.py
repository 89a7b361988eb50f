"""The writes of intake: alerts become occurrences, and occurrences become runs, in one transaction."""

import sqlite3

from remediator.model.alert import Alert, Delivery
from remediator.model.ids import OccurrenceId, OwnerId, RuleId, RunId
from remediator.model.message import PARENT, Post
from remediator.model.occurrence import Accepted, Closing, Doubt, Judge, NewRun, Occurrence, Opening, Verdict
from remediator.model.run import Resolved
from remediator.storage import codec
from remediator.storage.sqlite import outbox, reading, runs


def accept(db: sqlite3.Connection, *, delivery: Delivery, judge: Judge, owner: OwnerId) -> Accepted:
    rulings = []
    created: list[tuple[RunId, RuleId]] = []
    signalled: list[RunId] = []
    for alert in delivery.alerts:
        known = reading.newest_occurrence(db, alert.fingerprint)
        verdict = judge(alert, known)
        rulings.append(verdict.ruling)
        if known is not None:
            signalled += _change_known(db, known, alert, verdict, delivery)
        if verdict.open is not None:
            created += _open(db, verdict.open, alert, delivery, owner)
    return Accepted(tuple(rulings), tuple(created), tuple(signalled))


def _change_known(
    db: sqlite3.Connection, known: Occurrence, alert: Alert, verdict: Verdict, delivery: Delivery
) -> list[RunId]:
    now = codec.to_us(delivery.received_at)
    if verdict.hear:
        starts_at = alert.starts_at if alert.is_start_known else known.starts_at
        db.execute(
            "UPDATE occurrence SET starts_at = ?, annotations = ?, heard_at = ? WHERE id = ?",
            (codec.to_us(starts_at), codec.write_mapping(alert.annotations), now, known.id),
        )
    if verdict.doubt is not None or verdict.drop_doubt:
        _set_doubt(db, known.id, verdict.doubt)
    if verdict.close is None:
        return []
    ends_at = codec.to_us(alert.ends_at) if alert.ends_at is not None else None
    db.execute(
        "UPDATE occurrence SET closed_at = ?, closing = ?, ends_at = ? WHERE id = ?",
        (now, verdict.close, ends_at, known.id),
    )
    word = Resolved(at=delivery.received_at, ends_at=alert.ends_at, missed=verdict.close is Closing.RESOLVE_MISSED)
    ids = [RunId(row["id"]) for row in db.execute("SELECT id FROM run WHERE occurrence = ?", (known.id,)).fetchall()]
    for run in ids:
        runs.signal(db, run=run, signal=word, now=delivery.received_at)
    return ids


def _set_doubt(db: sqlite3.Connection, occurrence: OccurrenceId, doubt: Doubt | None) -> None:
    db.execute(
        "UPDATE occurrence SET doubt = ?, doubt_until = ? WHERE id = ?",
        (codec.write_doubt(doubt), codec.to_us(doubt.until), occurrence) if doubt else (None, None, occurrence),
    )


def _open(
    db: sqlite3.Connection, opening: Opening, alert: Alert, delivery: Delivery, owner: OwnerId
) -> list[tuple[RunId, RuleId]]:
    now = codec.to_us(delivery.received_at)
    db.execute(
        "INSERT INTO occurrence (id, fingerprint, labels, annotations, receiver, starts_at, opened_at, heard_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            opening.occurrence,
            alert.fingerprint,
            codec.write_mapping(alert.labels),
            codec.write_mapping(alert.annotations),
            delivery.receiver,
            codec.to_us(alert.starts_at),
            now,
            now,
        ),
    )
    body = codec.write_alert(alert) if opening.runs else ""
    for new in opening.runs:
        _create(db, new, opening.occurrence, alert, body, owner, now)
        outbox.queue(db, new.id, new.channel, [Post(PARENT, new.first_message)], now)
    return [(new.id, new.rule) for new in opening.runs]


def _create(
    db: sqlite3.Connection,
    new: NewRun,
    occurrence: OccurrenceId,
    alert: Alert,
    body: str,
    owner: OwnerId,
    now: int,
) -> None:
    db.execute(
        "INSERT INTO run (id, rule, rule_digest, occurrence, alert, alertname, summary, channel, owner, epoch,"
        " signals, wake_at, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1, 0, ?, ?)",
        (
            new.id,
            new.rule,
            new.rule_digest,
            occurrence,
            body,
            alert.name,
            new.summary,
            new.channel,
            owner,
            now,
            now,
        ),
    )
