"""The writes of intake: alerts become occurrences, and occurrences become runs, in one transaction.

An alert of a group joins the run of its rule that the group has already, if there is one that it may join.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from remediator.model.alert import Alert, Delivery
from remediator.model.ids import OccurrenceId, OwnerId, RuleId, RunId
from remediator.model.message import PARENT, Post
from remediator.model.occurrence import Accepted, Closing, Doubt, Judge, NewRun, Occurrence, Opening, Verdict
from remediator.model.run import Joined, Resolved
from remediator.storage import codec
from remediator.storage.sqlite import cut_groups, outbox, reading, runs

_TOLD_BY_NAME = 5  # alerts of one signal that joins carry their labels, and so many signals of one run


@dataclass(slots=True)
class _Intake:
    """What one delivery has led to so far."""

    created: list[tuple[RunId, RuleId]] = field(default_factory=list)
    signalled: list[RunId] = field(default_factory=list)
    joined: dict[RunId, list[Alert]] = field(default_factory=dict)


def accept(db: sqlite3.Connection, *, delivery: Delivery, judge: Judge, owner: OwnerId) -> Accepted:
    rulings = []
    done = _Intake()
    for alert in delivery.alerts:
        known = reading.newest_occurrence(db, alert.fingerprint)
        verdict = judge(alert, known)
        rulings.append(verdict.ruling)
        if known is not None:
            done.signalled += _change_known(db, known, alert, verdict, delivery)
        if verdict.open is not None:
            _open(db, verdict.open, alert, delivery, owner, done)
    if delivery.cut_group is not None:
        cut_groups.note(db, delivery.cut_group)
    for run, alerts in done.joined.items():
        _tell_joined(db, run, alerts, delivery.received_at)
    return Accepted(tuple(rulings), tuple(done.created), (*done.signalled, *done.joined))


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
    closed = db.execute(
        "UPDATE occurrence SET closed_at = ?, closing = ?, ends_at = ? WHERE id = ? AND closed_at IS NULL",
        (now, verdict.close, ends_at, known.id),
    )
    if not closed.rowcount:
        return []
    word = Resolved(at=delivery.received_at, ends_at=alert.ends_at, missed=verdict.close is Closing.RESOLVE_MISSED)
    return runs.resolve(db, occurrence=known.id, resolved=word, now=delivery.received_at)


def _set_doubt(db: sqlite3.Connection, occurrence: OccurrenceId, doubt: Doubt | None) -> None:
    db.execute(
        "UPDATE occurrence SET doubt = ?, doubt_until = ? WHERE id = ?",
        (codec.write_doubt(doubt), codec.to_us(doubt.until), occurrence) if doubt else (None, None, occurrence),
    )


def _open(
    db: sqlite3.Connection, opening: Opening, alert: Alert, delivery: Delivery, owner: OwnerId, done: _Intake
) -> None:
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
        run = runs.join(db, rule=new.rule, group=new.group) if new.group else None
        if run is None:
            run = new.id
            _create(db, new, opening.occurrence, alert, body, owner, now)
            outbox.queue(db, run, new.channel, [Post(PARENT, new.first_message)], now)
            done.created.append((run, new.rule))
        else:
            done.joined.setdefault(run, []).append(alert)
        db.execute("INSERT INTO member (occurrence, rule, run) VALUES (?, ?, ?)", (opening.occurrence, new.rule, run))


def _tell_joined(db: sqlite3.Connection, run: RunId, alerts: Sequence[Alert], at: datetime) -> None:
    """One signal for all that have joined a run. Only so many labels as are told: a storm must not fill the run."""
    told = db.execute("SELECT signals FROM run WHERE id = ?", (run,)).fetchone()["signals"]
    labels = tuple(alert.labels for alert in alerts[:_TOLD_BY_NAME]) if told < _TOLD_BY_NAME else ()
    runs.signal(db, run=run, signal=Joined(at, len(alerts), labels), now=at)


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
        " signals, wake_at, created_at, open_group, open_alerts, priority)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1, 0, ?, ?, ?, 1, ?)",
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
            new.group or None,
            new.priority,
        ),
    )
