"""The writes of a run's owner, each fenced on owner and epoch, and the signals that come from others."""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TypeVar

from remediator.errors import Fenced
from remediator.model.audit import AuditEntry
from remediator.model.facts import Ended, Fact, Started
from remediator.model.ids import OccurrenceId, OwnerId, RunId
from remediator.model.occurrence import Closing
from remediator.model.outcome import Reason
from remediator.model.run import Run, Signal
from remediator.storage import codec
from remediator.storage.holding import busy
from remediator.storage.runs import Claim, Entry, Refusal, Reservation, Word
from remediator.storage.sqlite import audit, journal, outbox, reading

T = TypeVar("T")


class Refused(Exception):  # noqa: N818 - it takes back the savepoint and never leaves the store
    """A start was refused; what it had written so far is taken back."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


def take_over(db: sqlite3.Connection, *, run: RunId, owner: OwnerId) -> Run | None:
    db.execute("UPDATE run SET owner = ?, epoch = epoch + 1 WHERE id = ? AND owner <> ?", (owner, run, owner))
    return reading.read_run(db, run)


def learn(db: sqlite3.Connection, *, claim: Claim, entry: Entry, free_locks: bool, now: datetime) -> None:
    channel, _ = _fence(db, claim)
    _add(db, claim.run, channel, entry, now)
    if free_locks:
        _free_locks(db, claim.run)


def park(db: sqlite3.Connection, *, claim: Claim, entry: Entry, wake_at: datetime | None, now: datetime) -> bool:
    channel, unread = _fence(db, claim)
    _add(db, claim.run, channel, entry, now)
    due = now if unread else wake_at
    db.execute("UPDATE run SET wake_at = ? WHERE id = ?", (codec.to_us(due) if due else None, claim.run))
    return not unread


def start(
    db: sqlite3.Connection,
    *,
    claim: Claim,
    entry: Entry,
    started: Started,
    reservation: Reservation,
    now: datetime,
) -> None:
    channel, unread = _fence(db, claim)
    if unread and _has_news(db, claim):
        raise Refused(Refusal(Reason.SIGNALLED))
    for target in sorted(reservation.locks):
        _lock(db, claim.run, target, now)
    refusal = reservation.judge(journal.known(db, reservation.questions))
    if refusal is not None:
        raise Refused(refusal)
    journal.enter(db, reservation.changes)
    _add(db, claim.run, channel, entry, now)
    _add_facts(db, claim.run, [started])


def _lock(db: sqlite3.Connection, run: RunId, target: str, now: datetime) -> None:
    taken = db.execute(
        "INSERT INTO lock (target, run) VALUES (:target, :run) ON CONFLICT (target) DO UPDATE"
        " SET run = excluded.run, until = NULL WHERE lock.run = excluded.run OR lock.until <= :now",
        {"target": target, "run": run, "now": codec.to_us(now)},
    )
    if taken.rowcount == 0:
        held = db.execute("SELECT run, until FROM lock WHERE target = ?", (target,)).fetchone()
        until = codec.from_us(held["until"]) if held["until"] is not None else None
        raise Refused(busy(target, held["run"], until))


def end(
    db: sqlite3.Connection,
    *,
    claim: Claim,
    entry: Entry,
    ended: Ended,
    keep_locks_until: datetime | None,
    wake_at: datetime | None,
    now: datetime,
) -> bool:
    channel, unread = _fence(db, claim)
    _add(db, claim.run, channel, entry, now)
    wake_at = now if unread else wake_at
    db.execute(
        "UPDATE run SET ended_at = coalesce(ended_at, ?), outcome = ?, wake_at = ?, open_group = NULL WHERE id = ?",
        (codec.to_us(ended.at), ended.outcome, codec.to_us(wake_at) if wake_at else None, claim.run),
    )
    if keep_locks_until is None:
        _free_locks(db, claim.run)
    else:
        db.execute("UPDATE lock SET until = ? WHERE run = ?", (codec.to_us(keep_locks_until), claim.run))
    return not unread


def _free_locks(db: sqlite3.Connection, run: RunId) -> None:
    db.execute("DELETE FROM lock WHERE run = ?", (run,))


def settle_late(db: sqlite3.Connection, *, run: RunId, entry: Entry, now: datetime) -> None:
    row = db.execute("SELECT channel FROM run WHERE id = ?", (run,)).fetchone()
    if row is not None:
        _add(db, run, row["channel"], entry, now)


def signal(
    db: sqlite3.Connection, *, run: RunId, signal: Signal, now: datetime, audited: Sequence[AuditEntry] = ()
) -> bool:
    changed = db.execute(
        "UPDATE run SET signals = signals + 1, wake_at = min(coalesce(wake_at, :now), :now) WHERE id = :run",
        {"now": codec.to_us(now), "run": run},
    )
    if changed.rowcount:
        _leave_word(db, run, signal)
        audit.enter(db, audited)
    return bool(changed.rowcount)


def hear(db: sqlite3.Connection, *, run: RunId, judge: Callable[[Run], Word[T]], now: datetime) -> T | None:
    found = reading.read_run(db, run)
    if found is None:
        return None
    word = judge(found)
    if word.signal is not None:
        signal(db, run=run, signal=word.signal, now=now)
    outbox.queue(db, run, found.channel, word.posts, codec.to_us(now))
    audit.enter(db, word.audit)
    return word.answer


def _leave_word(db: sqlite3.Connection, run: RunId, signal: Signal) -> None:
    db.execute("INSERT INTO signal (run, body) VALUES (?, ?)", (run, codec.write_signal(signal)))


def _fence(db: sqlite3.Connection, claim: Claim) -> tuple[str, bool]:
    """The run's channel, and whether there are signals that the owner has not read.

    Raises Fenced where the run is another's now.
    """
    row = db.execute("SELECT owner, epoch, signals, channel FROM run WHERE id = ?", (claim.run,)).fetchone()
    if row is None or (row["owner"], row["epoch"]) != (claim.owner, claim.epoch):
        raise Fenced(f"run {claim.run} belongs to another owner now")
    return row["channel"], row["signals"] > claim.signals_read


def _has_news(db: sqlite3.Connection, claim: Claim) -> bool:
    """Whether any signal that the owner has not read may change what it is about to do; that alerts join does not."""
    unread = db.execute(
        "SELECT count(*) AS n FROM ("
        "  SELECT body FROM signal WHERE run = ? ORDER BY seq LIMIT -1 OFFSET ?"
        ") WHERE json_extract(body, '$.kind') <> 'joined'",
        (claim.run, claim.signals_read),
    ).fetchone()
    return bool(unread["n"])


def _add(db: sqlite3.Connection, run: RunId, channel: str, entry: Entry, now: datetime) -> None:
    _add_facts(db, run, entry.facts)
    outbox.queue(db, run, channel, entry.posts, codec.to_us(now))
    journal.note_endings(db, run, entry.endings)
    audit.enter(db, entry.audit)
    if entry.closes is not None:
        _close(db, entry.closes, now)
    for notice in entry.notices:
        outbox.notify(db, channel=notice.channel, key=notice.key, message=notice.message, at=now)


def _close(db: sqlite3.Connection, occurrence: OccurrenceId, now: datetime) -> None:
    closed = db.execute(
        "UPDATE occurrence SET closed_at = ?, closing = ? WHERE id = ? AND closed_at IS NULL",
        (codec.to_us(now), Closing.RUN_ENDED, occurrence),
    )
    if closed.rowcount:
        members = "SELECT run FROM member WHERE occurrence = ?"
        db.execute(f"UPDATE run SET open_alerts = open_alerts - 1 WHERE id IN ({members})", (occurrence,))  # noqa: S608 - a constant


def _add_facts(db: sqlite3.Connection, run: RunId, facts: Iterable[Fact]) -> None:
    db.executemany(
        "INSERT INTO fact (run, step, attempt, kind, body) VALUES (?, ?, ?, ?, ?)",
        [(run, *fact.key, fact.kind, codec.write_fact(fact)) for fact in facts],
    )
