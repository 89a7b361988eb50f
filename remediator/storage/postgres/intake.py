"""The writes of intake: alerts become occurrences, and occurrences become runs.

All deliveries of a commit are written together, set by set, so that ten thousand alerts take as many statements as one:
lock and read what the alerts may touch, have them judged one after the other on values in memory, write what has
changed. A judge that fails spoils its own delivery alone. Called by the writer, inside its transaction.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from remediator.model.alert import Alert, CutGroup, Delivery
from remediator.model.ids import OccurrenceId, OwnerId, RuleId, RunId
from remediator.model.message import PARENT
from remediator.model.occurrence import Accepted, Closing, Judge, NewRun, Occurrence, Opening, Verdict
from remediator.model.run import Joined, Resolved, Signal
from remediator.storage import codec
from remediator.storage.postgres import cut_groups, reading
from remediator.storage.postgres.keys import bounded, buckets, plain

if TYPE_CHECKING:
    from remediator.storage.postgres.links import Db

_BREATH = 100  # alerts that are judged at a stretch
_TOLD_BY_NAME = 5  # alerts of one signal that joins carry their labels, and so many signals of one run

# In a session nobody else uses such a pair of numbers for anything: the first one says what the second one is of.
_LOCK = "SELECT count(pg_advisory_xact_lock(7101, bucket)) FROM unnest($1::int[]) AS wanted (bucket)"
_MEMBERS = "SELECT occurrence, run FROM member WHERE occurrence = ANY ($1::text[])"
_RUNS = """
    SELECT id, rule, open_group, open_alerts, signals FROM run WHERE id IN (
        SELECT unnest($1::text[])
        UNION ALL
        SELECT r.id FROM unnest($2::text[], $3::text[]) AS wanted (rule, open_group)
        JOIN run AS r ON r.rule = wanted.rule AND r.open_group = wanted.open_group
    ) ORDER BY id FOR NO KEY UPDATE
"""
_CHANGE_OCCURRENCES = """
    UPDATE occurrence AS o SET starts_at = n.starts_at, annotations = n.annotations, heard_at = n.heard_at,
        closed_at = n.closed_at, closing = coalesce(n.closing, o.closing), ends_at = n.ends_at,
        doubt = n.doubt, doubt_until = n.doubt_until, doubt_sent_again = n.doubt_sent_again
    FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::bigint[], $8::text[],
        $9::bigint[], $10::boolean[]) AS n (id, starts_at, annotations, heard_at, closed_at, closing, ends_at, doubt,
        doubt_until, doubt_sent_again)
    WHERE o.id = n.id
"""
_OPEN_OCCURRENCES = """
    INSERT INTO occurrence (id, starts_at, annotations, heard_at, closed_at, closing, ends_at, doubt, doubt_until,
        doubt_sent_again, fingerprint, labels, receiver, opened_at)
    SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::bigint[],
        $8::text[], $9::bigint[], $10::boolean[], $11::text[], $12::text[], $13::text[], $14::bigint[])
"""
_CHANGE_RUNS = """
    UPDATE run SET open_alerts = n.open_alerts, open_group = CASE WHEN n.is_over THEN NULL ELSE run.open_group END,
        signals = n.signals, wake_at = least(run.wake_at, n.wake_at)
    FROM unnest($1::text[], $2::int[], $3::boolean[], $4::int[], $5::bigint[])
        AS n (id, open_alerts, is_over, signals, wake_at)
    WHERE run.id = n.id
"""
_CREATE_RUNS = """
    INSERT INTO run (id, rule, rule_digest, occurrence, alert, alertname, summary, channel, owner, epoch, signals,
        wake_at, created_at, open_group, open_alerts, priority)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
        $9::text[], $10::int[], $11::int[], $12::bigint[], $13::bigint[], $14::text[], $15::int[], $16::smallint[])
"""
_ADD_MEMBERS = "INSERT INTO member (occurrence, rule, run) SELECT * FROM unnest($1::text[], $2::text[], $3::text[])"
_ADD_SIGNALS = "INSERT INTO signal (run, kind, body) SELECT * FROM unnest($1::text[], $2::text[], $3::text[])"
_ADD_POSTS = """
    INSERT INTO post (run, key, channel, message, queued_at)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[])
"""

Group = tuple[RuleId, str]


@dataclass(frozen=True, slots=True)
class Request:
    """A delivery to accept."""

    delivery: Delivery
    judge: Judge
    owner: OwnerId


@dataclass(frozen=True, slots=True)
class _Judged:
    """One alert, what was known of it, and what that means."""

    alert: Alert
    known: Occurrence | None
    verdict: Verdict

    @property
    def closes(self) -> Occurrence | None:
        """The occurrence that it closes."""
        is_open = self.known is not None and self.known.closed_at is None
        return self.known if is_open and self.verdict.close is not None else None


@dataclass(slots=True)
class _Row:
    """An occurrence as this commit leaves it."""

    now: Occurrence
    closing: Closing | None = None
    receiver: str | None = None  # of one that is new


@dataclass(slots=True)
class _RunRow:
    """A run as this commit leaves it."""

    open_alerts: int
    signals: int
    group: Group | None = None
    wake_at: int | None = None
    created: tuple[Any, ...] = ()  # the columns that never change, of one that is new
    priority: int = 1


@dataclass(slots=True)
class _Changes:
    """All that one commit changes, built up in memory."""

    occurrences: dict[OccurrenceId, _Row] = field(default_factory=dict)
    runs: dict[RunId, _RunRow] = field(default_factory=dict)
    groups: dict[Group, RunId] = field(default_factory=dict)
    runs_of: dict[OccurrenceId, list[RunId]] = field(default_factory=dict)
    members: list[tuple[str, str, str]] = field(default_factory=list)
    signals: list[tuple[str, str, str]] = field(default_factory=list)
    posts: list[tuple[str, str, str, str, int]] = field(default_factory=list)
    cut_groups: list[CutGroup] = field(default_factory=list)


async def accept_all(db: "Db", requests: Sequence[Request]) -> list[Accepted | Exception]:
    """What each delivery has led to; or what its judge raised, and then nothing of that delivery is written."""
    fingerprints = {alert.fingerprint for request in requests for alert in request.delivery.alerts}
    await db.execute(_LOCK, buckets(fingerprints))
    newest = await reading.newest_occurrences(db, fingerprints)
    judged = [await _judge(db, request, newest) for request in requests]
    changes = await _load_runs(db, [one for alerts in judged if not isinstance(alerts, Exception) for one in alerts])
    results = [
        alerts if isinstance(alerts, Exception) else _apply(changes, request, alerts)
        for request, alerts in zip(requests, judged, strict=True)
    ]
    await _write(db, changes)
    return results


async def _judge(db: "Db", request: Request, newest: dict[str, Occurrence]) -> list[_Judged] | Exception:
    """Have all alerts of a delivery judged, each with what those before it have changed. All or none count.

    Thousands take seconds: the server must not take the transaction for idle, nor the others this process for dead.
    """
    changed: dict[str, Occurrence] = {}
    judged: list[_Judged] = []
    for alert in request.delivery.alerts:
        if judged and len(judged) % _BREATH == 0:
            await db.execute("SELECT 1")
        known = changed.get(alert.fingerprint) or newest.get(alert.fingerprint)
        try:
            one = _Judged(alert, known, request.judge(alert, known))
        except Exception as error:
            return error
        judged.append(one)
        if known is not None:
            changed[alert.fingerprint] = _changed(known, one, request.delivery)
        if one.verdict.open is not None:
            changed[alert.fingerprint] = _opened(one.verdict.open, alert, request.delivery)
    newest.update(changed)
    return judged


def _changed(known: Occurrence, one: _Judged, delivery: Delivery) -> Occurrence:
    alert, verdict = one.alert, one.verdict
    if verdict.hear:
        starts_at = alert.starts_at if alert.is_start_known else known.starts_at
        known = replace(known, starts_at=starts_at, annotations=alert.annotations, heard_at=delivery.received_at)
    if verdict.doubt is not None or verdict.drop_doubt:
        known = replace(known, doubt=verdict.doubt)
    if one.closes is not None:
        known = replace(known, closed_at=delivery.received_at, ends_at=alert.ends_at)
    return known


def _opened(opening: Opening, alert: Alert, delivery: Delivery) -> Occurrence:
    return Occurrence(
        id=opening.occurrence,
        fingerprint=alert.fingerprint,
        labels=alert.labels,
        starts_at=alert.starts_at,
        opened_at=delivery.received_at,
        heard_at=delivery.received_at,
        annotations=alert.annotations,
    )


async def _load_runs(db: "Db", judged: Iterable[_Judged]) -> _Changes:
    """The runs that occurrences may leave or join, locked in the one order in which everybody locks them."""
    changes = _Changes()
    closed, groups = [], set()
    for one in judged:
        if one.closes is not None:
            closed.append(one.closes.id)
        for new in one.verdict.open.runs if one.verdict.open else ():
            if new.group:
                groups.add((new.rule, bounded(new.group)))
    if not closed and not groups:
        return changes
    for row in await db.fetch(_MEMBERS, closed) if closed else ():
        changes.runs_of.setdefault(OccurrenceId(row["occurrence"]), []).append(RunId(row["run"]))
    runs = [run for runs in changes.runs_of.values() for run in runs]
    wanted = sorted(groups)
    for row in await db.fetch(_RUNS, runs, [rule for rule, _ in wanted], [group for _, group in wanted]):
        group = (RuleId(row["rule"]), row["open_group"]) if row["open_group"] is not None else None
        changes.runs[RunId(row["id"])] = _RunRow(row["open_alerts"], row["signals"], group)
        if group is not None:
            changes.groups[group] = RunId(row["id"])
    return changes


def _apply(changes: _Changes, request: Request, judged: Sequence[_Judged]) -> Accepted:
    """Work out in memory what a delivery changes."""
    at = request.delivery.received_at
    if request.delivery.cut_group is not None:
        changes.cut_groups.append(request.delivery.cut_group)
    created: list[tuple[RunId, RuleId]] = []
    resolved: list[RunId] = []
    joined: dict[RunId, list[Alert]] = {}
    for one in judged:
        if one.known is not None:
            _note_change(changes, one, request.delivery)
        if one.closes is not None:
            resolved += _leave(changes, one.closes.id, one, at)
        opening = one.verdict.open
        if opening is None:
            continue
        occurrence = _opened(opening, one.alert, request.delivery)
        changes.occurrences[opening.occurrence] = _Row(occurrence, receiver=request.delivery.receiver)
        body = codec.write_alert(one.alert) if opening.runs else ""
        for new in opening.runs:
            group = (new.rule, bounded(new.group)) if new.group else None
            run = changes.groups.get(group) if group is not None else None
            if run is None:
                run = _create(changes, new, group, one.alert, body, opening.occurrence, request)
                created.append((run, new.rule))
            else:
                changes.runs[run].open_alerts += 1
                joined.setdefault(run, []).append(one.alert)
            changes.members.append((opening.occurrence, new.rule, run))
            changes.runs_of.setdefault(opening.occurrence, []).append(run)
    for run, alerts in joined.items():
        # Only so many labels as are told: a storm must not fill the run.
        by_name = changes.runs[run].signals < _TOLD_BY_NAME
        labels = tuple(alert.labels for alert in alerts[:_TOLD_BY_NAME]) if by_name else ()
        _signal(changes, run, Joined(at, len(alerts), labels), at)
    rulings = tuple(one.verdict.ruling for one in judged)
    return Accepted(rulings, tuple(created), (*resolved, *joined))


def _note_change(changes: _Changes, one: _Judged, delivery: Delivery) -> None:
    if one.known is None:
        return
    before = one.known
    after = _changed(before, one, delivery)
    if after == before:
        return
    row = changes.occurrences.setdefault(before.id, _Row(before))
    row.now = after
    if one.closes is not None:
        row.closing = one.verdict.close


def _leave(changes: _Changes, occurrence: OccurrenceId, one: _Judged, at: datetime) -> list[RunId]:
    """An occurrence has closed: the runs of which it was the last open one hear of it, and none may join them."""
    over = []
    for run in changes.runs_of.get(occurrence, ()):
        row = changes.runs[run]
        row.open_alerts -= 1
        if row.open_alerts != 0:
            continue
        if row.group is not None:
            changes.groups.pop(row.group, None)
            row.group = None
        missed = one.verdict.close is Closing.RESOLVE_MISSED
        _signal(changes, run, Resolved(at=at, ends_at=one.alert.ends_at, missed=missed), at)
        over.append(run)
    return over


def _signal(changes: _Changes, run: RunId, signal: Signal, at: datetime) -> None:
    row, now = changes.runs[run], codec.to_us(at)
    row.signals += 1
    row.wake_at = now if row.wake_at is None else min(row.wake_at, now)
    changes.signals.append((run, signal.kind, codec.write_signal(signal)))


def _create(
    changes: _Changes,
    new: NewRun,
    group: Group | None,
    alert: Alert,
    body: str,
    occurrence: OccurrenceId,
    request: Request,
) -> RunId:
    now = codec.to_us(request.delivery.received_at)
    columns = (new.rule, new.rule_digest, occurrence, body, alert.name, new.summary, new.channel, request.owner, 1)
    changes.runs[new.id] = _RunRow(1, 0, group, now, (*columns, now), new.priority)
    if group is not None:
        changes.groups[group] = new.id
    changes.posts.append((new.id, PARENT, new.channel, codec.write_message(new.first_message), now))
    return new.id


async def _write(db: "Db", changes: _Changes) -> None:
    """What leaves comes before what takes its place: one occurrence of an alert is open, and one run of a group."""
    occurrences = [(_columns(row), row) for row in changes.occurrences.values()]
    await _by_columns(db, _CHANGE_OCCURRENCES, [columns for columns, row in occurrences if row.receiver is None])
    await _by_columns(
        db,
        _OPEN_OCCURRENCES,
        [
            (
                *columns,
                row.now.fingerprint,
                codec.write_mapping(row.now.labels),
                row.receiver,
                codec.to_us(row.now.opened_at),
            )
            for columns, row in occurrences
            if row.receiver is not None
        ],
    )
    runs = changes.runs.items()
    await _by_columns(
        db,
        _CHANGE_RUNS,
        [(i, r.open_alerts, r.group is None, r.signals, r.wake_at) for i, r in runs if not r.created],
    )
    await _by_columns(
        db,
        _CREATE_RUNS,
        [
            (
                *(i, *r.created[:-1], r.signals, r.wake_at, r.created[-1]),
                *(r.group[1] if r.group else None, r.open_alerts, r.priority),
            )
            for i, r in runs
            if r.created
        ],
    )
    await _by_columns(db, _ADD_MEMBERS, changes.members)
    await _by_columns(db, _ADD_SIGNALS, changes.signals)
    await _by_columns(db, _ADD_POSTS, changes.posts)
    await cut_groups.note(db, changes.cut_groups)


def _columns(row: _Row) -> tuple[Any, ...]:
    now = row.now
    doubt = now.doubt
    return (
        now.id,
        codec.to_us(now.starts_at),
        codec.write_mapping(now.annotations),
        codec.to_us(now.heard_at),
        codec.to_us(now.closed_at) if now.closed_at else None,
        row.closing,
        codec.to_us(now.ends_at) if now.ends_at else None,
        codec.write_doubt(doubt) if doubt else None,
        codec.to_us(doubt.until) if doubt else None,
        doubt.sent_again if doubt else False,
    )


async def _by_columns(db: "Db", statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    if rows:
        columns = zip(*rows, strict=True)
        await db.execute(statement, *([plain(x) if type(x) is str else x for x in column] for column in columns))
