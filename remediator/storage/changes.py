"""What deliveries change, worked out in memory, so that a store only reads what they may touch and writes what is left.

Used by both stores for all deliveries of a commit together, set by set: read the newest occurrences of the alerts, have
the alerts judged one after the other, read the runs that occurrences may leave or join, apply, write the rows. A judge
that fails spoils its own delivery alone. A large delivery goes through all of that piece by piece, so that it needs the
room of one piece; each piece reads from the tables what those before it have changed. It is pure, and knows nothing of
any database.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from remediator.model.alert import Alert, CutGroup, Delivery
from remediator.model.audit import AuditEntry
from remediator.model.ids import OccurrenceId, OwnerId, RuleId, RunId
from remediator.model.message import PARENT
from remediator.model.occurrence import Accepted, Closing, Judge, NewRun, Occurrence, Opening, Ruling, Verdict
from remediator.model.run import Joined, Resolved, Signal
from remediator.storage import codec

T = TypeVar("T")

PIECE = 2000  # alerts that are judged, applied and written together; no less than what the writers let share a commit

_TOLD_BY_NAME = 5  # alerts of one signal that joins carry their labels, and so many signals of one run

Group = tuple[RuleId, str]
Newest = dict[str, Occurrence]
"""The newest occurrence of each fingerprint that has one."""


@dataclass(frozen=True, slots=True)
class Request:
    """A delivery to accept."""

    delivery: Delivery
    judge: Judge
    owner: OwnerId


def shares(requests: Iterable[Request]) -> Iterator[list[Request]]:
    """The deliveries that are written together, in their order; one that is too large for that is by itself."""
    together: list[Request] = []
    alerts = 0
    for request in requests:
        alerts += len(request.delivery.alerts)
        if together and alerts > PIECE:
            yield together
            together, alerts = [], len(request.delivery.alerts)
        together.append(request)
    if together:
        yield together


def is_large(request: Request) -> bool:
    """Whether a delivery is to be written piece by piece."""
    return len(request.delivery.alerts) > PIECE


def in_pieces(many: Sequence[T]) -> Iterator[Sequence[T]]:
    """So many at a time."""
    for start in range(0, len(many), PIECE):
        yield many[start : start + PIECE]


def pieces(request: Request) -> Iterator[Request]:
    """A large delivery, some of its alerts at a time."""
    for alerts in in_pieces(request.delivery.alerts):
        yield replace(request, delivery=replace(request.delivery, alerts=tuple(alerts)))


@dataclass(slots=True)
class _Joiners:
    """Alerts that have joined a run."""

    count: int = 0
    labels: list[Mapping[str, str]] = field(default_factory=list)  # of the first ones

    def add(self, alert: Alert) -> None:
        self.count += 1
        if len(self.labels) < _TOLD_BY_NAME:
            self.labels.append(alert.labels)


@dataclass(slots=True)
class SoFar:
    """What a delivery has led to so far: all that is kept from one of its pieces to the next."""

    rulings: list[Ruling] = field(default_factory=list)
    created: list[tuple[RunId, RuleId]] = field(default_factory=list)
    resolved: list[RunId] = field(default_factory=list)
    joined: dict[RunId, _Joiners] = field(default_factory=dict)

    @property
    def accepted(self) -> Accepted:
        return Accepted(tuple(self.rulings), tuple(self.created), (*self.resolved, *self.joined))


class Judged(NamedTuple):
    """One alert, what was known of it, and what that means."""

    alert: Alert
    verdict: Verdict
    known: Occurrence | None
    after: Occurrence | None  # what was known, as the alert leaves it
    opened: Occurrence | None

    @property
    def closes(self) -> Occurrence | None:
        """The occurrence that it closes."""
        if self.known is None or self.verdict.close is None or self.known.closed_at is not None:
            return None
        return self.known


def judge(request: Request, newest: Newest) -> Iterator[Judged]:
    """Have all alerts of a delivery judged, each with what those before it have changed.

    `newest` is brought up to date when all of them are judged. What the judge raises goes on.
    """
    changed: Newest = {}
    at = request.delivery.received_at
    for alert in request.delivery.alerts:
        known = changed.get(alert.fingerprint) or newest.get(alert.fingerprint)
        verdict = request.judge(alert, known)
        after = _changed(known, alert, verdict, at) if known is not None else None
        opened = _opened(verdict.open, alert, at) if verdict.open is not None else None
        if (now := opened or after) is not None:
            changed[alert.fingerprint] = now
        yield Judged(alert, verdict, known, after, opened)
    newest.update(changed)


def judge_all(request: Request, newest: Newest) -> list[Judged] | Exception:
    """All alerts of a delivery judged; or what the judge has raised."""
    try:
        return list(judge(request, newest))
    except Exception as error:
        return error


def judge_some(hearing: Iterator[Judged], count: int) -> list[Judged] | Exception:
    """The next alerts judged; fewer than `count` at the end; or what the judge has raised."""
    some: list[Judged] = []
    try:
        for one in hearing:
            some.append(one)
            if len(some) == count:
                break
    except Exception as error:
        return error
    return some


def _changed(known: Occurrence, alert: Alert, verdict: Verdict, at: datetime) -> Occurrence:
    changes: dict[str, Any] = {}
    if verdict.hear:
        starts_at = alert.starts_at if alert.is_start_known else known.starts_at
        changes |= {"starts_at": starts_at, "annotations": alert.annotations, "heard_at": at}
    if verdict.doubt is not None or verdict.drop_doubt:
        changes["doubt"] = verdict.doubt
    if verdict.close is not None and known.closed_at is None:
        changes |= {"closed_at": at, "ends_at": alert.ends_at}
    return replace(known, **changes) if changes else known


def _opened(opening: Opening, alert: Alert, at: datetime) -> Occurrence:
    return Occurrence(
        id=opening.occurrence,
        fingerprint=alert.fingerprint,
        labels=alert.labels,
        starts_at=alert.starts_at,
        opened_at=at,
        heard_at=at,
        annotations=alert.annotations,
    )


@dataclass(slots=True)
class _Row:
    """An occurrence as this commit leaves it."""

    now: Occurrence
    receiver: str | None = None  # of one that is new
    closing: Closing | None = None


@dataclass(slots=True)
class _RunRow:
    """A run as this commit leaves it."""

    open_alerts: int
    signals: int
    group: Group | None = None
    wake_at: int | None = None
    created: tuple[Any, ...] = ()  # the columns that never change, of one that is new


def _as_it_is(name: str) -> str:
    return name


@dataclass(slots=True)
class Changes:
    """All that one commit changes. The rows of what it adds are as the tables have them, times in microseconds."""

    name: Callable[[str], str] = _as_it_is  # how the store writes the name of a group, or of an alert
    members: list[tuple[str, str, str]] = field(default_factory=list)  # occurrence, rule, run
    signals: list[tuple[str, str, str]] = field(default_factory=list)  # run, kind, body
    posts: list[tuple[str, str, str, str, int]] = field(default_factory=list)  # run, key, channel, message, queued_at
    cut_groups: list[CutGroup] = field(default_factory=list)
    audit: list[AuditEntry] = field(default_factory=list)
    _occurrences: dict[OccurrenceId, _Row] = field(default_factory=dict)
    _runs: dict[RunId, _RunRow] = field(default_factory=dict)
    _groups: dict[Group, RunId] = field(default_factory=dict)
    _runs_of: dict[OccurrenceId, list[RunId]] = field(default_factory=dict)

    def touched(self, judged: Iterable[Judged]) -> tuple[list[OccurrenceId], list[Group]]:
        """The occurrences that close, whose runs may end, and the groups whose runs may be joined."""
        closed, groups = [], set()
        for one in judged:
            if (gone := one.closes) is not None:
                closed.append(gone.id)
            for new in one.verdict.open.runs if one.verdict.open is not None else ():
                if new.group:
                    groups.add((new.rule, self.name(new.group)))
        return closed, sorted(groups)

    def know_member(self, occurrence: str, run: str) -> None:
        """Take note of who belongs to a run."""
        self._runs_of.setdefault(OccurrenceId(occurrence), []).append(RunId(run))

    def know_run(self, run: str, rule: str, open_group: str | None, open_alerts: int, signals: int) -> None:
        """Take note of a run that may be left or joined."""
        group = (RuleId(rule), open_group) if open_group is not None else None
        self._runs[RunId(run)] = _RunRow(open_alerts, signals, group)
        if group is not None:
            self._groups[group] = RunId(run)

    def apply(self, request: Request, judged: Sequence[Judged]) -> Accepted:
        """Work out what a delivery changes, all of it at once."""
        if (cut_group := request.delivery.cut_group) is not None:
            self.cut_groups.append(cut_group)
        so_far = SoFar()
        self.go_on(request, judged, so_far)
        self.tell_joined(so_far.joined, request.delivery.received_at, so_far)
        return so_far.accepted

    def go_on(self, request: Request, judged: Iterable[Judged], so_far: SoFar) -> None:
        """Work out what some alerts of a delivery change. Runs that were joined are to be told when all are done."""
        at = request.delivery.received_at
        for one in judged:
            so_far.rulings.append(one.verdict.ruling)
            if one.known is not None:
                so_far.resolved += self._change(one.known, one, at)
            if one.opened is None or one.verdict.open is None:
                continue
            self._occurrences[one.opened.id] = _Row(one.opened, receiver=request.delivery.receiver)
            if one.verdict.open.runs:
                self._start_runs(one, one.opened.id, one.verdict.open.runs, request, so_far)

    def tell_joined(self, runs: Iterable[RunId], at: datetime, so_far: SoFar) -> None:
        """Leave word for runs that a delivery has joined: one for all of its alerts. The runs are known."""
        for run in runs:
            joiners = so_far.joined[run]
            # Only so many labels as are told: a storm must not fill the run.
            labels = tuple(joiners.labels) if self._runs[run].signals < _TOLD_BY_NAME else ()
            self._signal(run, Joined(at, joiners.count, labels), at)

    def _change(self, known: Occurrence, one: Judged, at: datetime) -> list[RunId]:
        """Runs that have resolved with it."""
        if one.after is None or one.after == known:
            return []
        row = self._occurrences.setdefault(known.id, _Row(known))
        row.now = one.after
        if one.closes is None:
            return []
        row.closing = one.verdict.close
        return self._leave(known.id, one, at)

    def _leave(self, occurrence: OccurrenceId, one: Judged, at: datetime) -> list[RunId]:
        """An occurrence has closed: the runs of which it was the last open one hear of it, and none may join them."""
        over = []
        for run in self._runs_of.get(occurrence, ()):
            row = self._runs[run]
            row.open_alerts -= 1
            if row.open_alerts != 0:
                continue
            if row.group is not None:
                self._groups.pop(row.group, None)
                row.group = None
            missed = one.verdict.close is Closing.RESOLVE_MISSED
            again = one.verdict.again
            anew, why = (again.by, again.reason) if again is not None else ("", "")
            self._signal(run, Resolved(at=at, ends_at=one.alert.ends_at, missed=missed, anew=anew, why=why), at)
            over.append(run)
        return over

    def _signal(self, run: RunId, signal: Signal, at: datetime) -> None:
        row, now = self._runs[run], codec.to_us(at)
        row.signals += 1
        row.wake_at = now if row.wake_at is None else min(row.wake_at, now)
        self.signals.append((run, signal.kind, codec.write_signal(signal)))

    def _start_runs(
        self, one: Judged, occurrence: OccurrenceId, runs: Iterable[NewRun], request: Request, so_far: SoFar
    ) -> None:
        """Create what an alert starts, or have it join what its group has already."""
        alert, again = one.alert, one.verdict.again
        body = codec.write_alert(alert)
        for new in runs:
            group = (new.rule, self.name(new.group)) if new.group else None
            run = self._groups.get(group) if group is not None else None
            if run is None:
                run = new.id
                self._create(new, group, alert, body, occurrence, request)
                so_far.created.append((run, new.rule))
                self.audit += new.audit
                if again is not None:
                    self._signal(run, again, request.delivery.received_at)
            else:
                self._runs[run].open_alerts += 1
                if (joiners := so_far.joined.get(run)) is None:
                    joiners = so_far.joined[run] = _Joiners()
                joiners.add(alert)
            self.members.append((occurrence, new.rule, run))
            self._runs_of.setdefault(occurrence, []).append(run)

    def _create(
        self, new: NewRun, group: Group | None, alert: Alert, body: str, occurrence: OccurrenceId, request: Request
    ) -> None:
        now = codec.to_us(request.delivery.received_at)
        columns = (new.id, new.rule, new.rule_digest, occurrence, body, alert.name, new.summary, new.channel)
        self._runs[new.id] = _RunRow(1, 0, group, now, (*columns, request.owner, 1, now, new.priority))
        if group is not None:
            self._groups[group] = new.id
        self.posts.append((new.id, PARENT, new.channel, codec.write_message(new.first_message), now))

    @property
    def changed_occurrences(self) -> list[tuple[Any, ...]]:
        """Rows of those that were there: id, starts_at, annotations, heard_at, closed_at, closing, ends_at,
        doubt_sent_again, doubt, doubt_until."""
        return [_columns(row) for row in self._occurrences.values() if row.receiver is None]

    @property
    def opened_occurrences(self) -> list[tuple[Any, ...]]:
        """Rows of those that are new: the same, and fingerprint, labels, receiver, opened_at, alertname."""
        return [
            (
                *_columns(row),
                row.now.fingerprint,
                codec.write_labels(row.now.labels),
                row.receiver,
                codec.to_us(row.now.opened_at),
                self.name(row.now.labels.get("alertname", "")),
            )
            for row in self._occurrences.values()
            if row.receiver is not None
        ]

    @property
    def changed_runs(self) -> list[tuple[Any, ...]]:
        """Rows of those that were there: id, open_alerts, whether none may join any more, signals, wake_at or None."""
        return [
            (run, row.open_alerts, row.group is None, row.signals, row.wake_at)
            for run, row in self._runs.items()
            if not row.created
        ]

    @property
    def created_runs(self) -> list[tuple[Any, ...]]:
        """Rows of those that are new: id, rule, rule_digest, occurrence, alert, alertname, summary, channel, owner,
        epoch, created_at, priority, signals, wake_at, open_group, open_alerts."""
        return [
            (*row.created, row.signals, row.wake_at, row.group[1] if row.group else None, row.open_alerts)
            for row in self._runs.values()
            if row.created
        ]


def _columns(row: _Row) -> tuple[Any, ...]:
    now = row.now
    doubt = now.doubt
    return (
        now.id,
        codec.to_us(now.starts_at),
        codec.write_labels(now.annotations),
        codec.to_us(now.heard_at),
        codec.to_us(now.closed_at) if now.closed_at else None,
        row.closing,
        codec.to_us(now.ends_at) if now.ends_at else None,
        doubt.sent_again if doubt else False,
        codec.write_doubt(doubt) if doubt else None,
        codec.to_us(doubt.until) if doubt else None,
    )
