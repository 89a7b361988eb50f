"""Takes deliveries in: sorts out what was seen before, and has new occurrences and their runs stored in one commit.

Called by the webhook. It returns once everything is on disk, and never does anything else before that.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache

import structlog

from remediator.errors import BadExpression, Failed
from remediator.kit import failpoints
from remediator.kit.clock import Clock
from remediator.kit.metrics import Metrics
from remediator.kit.redaction import Redactor, shorten
from remediator.model.alert import Alert, AlertStatus, Delivery, fingerprint_of
from remediator.model.ids import OccurrenceId, OwnerId, RunId, new_occurrence_id, new_run_id
from remediator.model.occurrence import (
    Accepted,
    Closing,
    Doubt,
    Judge,
    NewRun,
    Occurrence,
    Opening,
    Ruling,
    Verdict,
)
from remediator.model.priority import Priority, priority_of
from remediator.model.run import Again
from remediator.pipeline import auditing, matching, story
from remediator.pipeline.dispatch import Dispatcher
from remediator.pipeline.heartbeat import Heartbeat, judge_beat
from remediator.pipeline.rulebook import Rulebook, scope_of
from remediator.pipeline.unmatched import Unmatched
from remediator.rules.book import Rule
from remediator.settings import OccurrenceSettings
from remediator.storage.intake import IntakeStore
from remediator.storage.runs import FREE

log = structlog.get_logger(__name__)

_SAID = 200
_SUMMARY_LIMIT = 200
_SUMMARY_SOURCE = 4000  # a label can be as long as a body; what is cut here would not be shown anyway


class NothingAnew(Failed):
    """No run is begun anew: one is under way, the alert has resolved, or no rule matches it."""


class NotStarted(Failed):
    """No run is started by hand; the text says why."""


class OpenAlready(Failed):
    """The very labels are open already: that occurrence of them."""

    def __init__(self, occurrence: OccurrenceId) -> None:
        super().__init__("an alert with these labels is open already")
        self.occurrence = occurrence


@dataclass(frozen=True, slots=True)
class Stated:
    """An alert that a person states, and the run that is to begin for it."""

    rule: Rule
    alert: Alert
    again: Again
    occurrence: OccurrenceId
    run: RunId


Open = Callable[[], Opening]
"""Makes what is opened for an alert, with new ids each time; asked only where something is opened."""


def judge_alert(
    alert: Alert, known: Occurrence | None, opening: Open, received_at: datetime, rules: OccurrenceSettings
) -> Verdict:
    """What one alert of a delivery means, given the newest occurrence of it that is known."""
    if alert.status is AlertStatus.RESOLVED:
        return _judge_resolved(alert, known)
    if known is None:
        return Verdict(Ruling.OPENED, open=opening())
    if known.closed_at is None:
        return _judge_repeat(alert, known, opening, received_at, rules)
    return _judge_return(alert, known, opening, received_at, rules)


def _judge_resolved(alert: Alert, known: Occurrence | None) -> Verdict:
    """The end of what is open; not of what began only after that end, which is a late duplicate's."""
    if known is None:
        return Verdict(Ruling.NOT_OPEN)
    if known.closed_at is not None:
        return Verdict(Ruling.NOT_OPEN, drop_doubt=known.doubt is not None)
    if alert.is_start_known and max(alert.starts_at, alert.ends_at or known.starts_at) < known.starts_at:
        return Verdict(Ruling.NOT_OPEN)
    return Verdict(Ruling.RESOLVED, close=Closing.RESOLVED)


def _judge_repeat(
    alert: Alert, known: Occurrence, opening: Open, received_at: datetime, rules: OccurrenceSettings
) -> Verdict:
    """A firing of what is open. Starts nothing, unless the resolve in between must have been missed."""
    ended = known.runs_ended_at
    began_anew = ended is not None and alert.is_start_known and alert.starts_at > max(known.starts_at, ended)
    silent = received_at - known.heard_at > rules.stale_after
    if began_anew or silent:
        return Verdict(Ruling.REOPENED, close=Closing.RESOLVE_MISSED, open=opening())
    return Verdict(Ruling.REPEATED, hear=True)


def _judge_return(
    alert: Alert, known: Occurrence, opening: Open, received_at: datetime, rules: OccurrenceSettings
) -> Verdict:
    """A firing after the resolve: new if it began after that, doubtful if it may be what was resolved already."""
    since = received_at - (known.closed_at or received_at)
    if alert.starts_at > _end_of(known) or (known.doubt is None and since > rules.doubt_window):
        return Verdict(Ruling.OPENED, open=opening(), drop_doubt=known.doubt is not None)
    if known.doubt is not None:
        return Verdict(Ruling.DOUBTFUL, doubt=Doubt(alert, until=known.doubt.until, sent_again=True))
    left = rules.doubt_window - max(since, timedelta(0))
    return Verdict(Ruling.DOUBTFUL, doubt=Doubt(alert, until=received_at + left))


def _end_of(known: Occurrence) -> datetime:
    """When the closed occurrence ended, as its sender said; never later than we heard of it."""
    ends_at, closed_at = known.ends_at or known.starts_at, known.closed_at or known.heard_at
    return max(known.starts_at, min(ends_at, closed_at))


def _group_of(rule: Rule, alert: Alert) -> str:
    """The group of an alert as text that no other labels give; a label that is missing is the empty string."""
    pairs = [[name, alert.labels.get(name, "")] for name in sorted(rule.group_by)]
    return json.dumps(pairs, separators=(",", ":")) if pairs else ""


class Intake:
    """Accepts deliveries into the store and wakes the runs that they start or concern."""

    def __init__(
        self,
        *,
        store: IntakeStore,
        rulebook: Rulebook,
        dispatcher: Dispatcher,
        owner: Callable[[], OwnerId],
        clock: Clock,
        metrics: Metrics,
        redactor: Redactor,
        settings: OccurrenceSettings,
        channel: str,
        heartbeat: Heartbeat | None = None,
    ) -> None:
        self._store = store
        self._rulebook = rulebook
        self._dispatcher = dispatcher
        self._owner = owner
        self._clock = clock
        self._metrics = metrics
        self._redactor = redactor
        self._settings = settings
        self._channel = channel
        self._heartbeat = heartbeat
        self.unmatched = Unmatched(redactor)
        self._rulings = cache(metrics.alerts.labels)

    async def accept(self, delivery: Delivery) -> Accepted:
        """Have a delivery on disk; what it has led to. Raises StoreUnavailable when that cannot be done now."""

        beats = self._heartbeat
        delivery = beats.mark(delivery) if beats else delivery

        def judge(alert: Alert, known: Occurrence | None) -> Verdict:
            if beats and beats.is_beat(alert):
                return judge_beat(alert, known, now)
            return judge_alert(alert, known, lambda: self._opening(alert, now), now, self._settings)

        now = delivery.received_at
        accepted = await self._store_and_wake(delivery, judge)
        if beats:
            beats.note(delivery)
        if delivery.truncated:
            self._metrics.truncated.inc(delivery.truncated)
            if delivery.cut_group is None:
                receiver, key = shorten(delivery.receiver, _SAID), shorten(delivery.group_key, _SAID)
                error = "receiver, key and labels of its group are too long to be asked for"
                log.error(
                    "delivery_not_completed", error=error, missing=delivery.truncated, receiver=receiver, group=key
                )
        return accepted

    async def settle_doubt(self, occurrence: Occurrence, *, firing: bool) -> None:
        """Decide on a doubtful alert whose window has ended: a new occurrence where it is firing, else nothing."""
        doubt = occurrence.doubt
        if doubt is None:
            return
        delivery = Delivery((doubt.alert,), received_at=self._clock.now())

        def judge(alert: Alert, known: Occurrence | None) -> Verdict:
            if known is None or known.id != occurrence.id or known.doubt is None or known.closed_at is None:
                return Verdict(Ruling.REPEATED)  # it was settled meanwhile
            if not firing:
                return Verdict(Ruling.NOT_OPEN, drop_doubt=True)
            return Verdict(Ruling.OPENED, drop_doubt=True, open=self._opening(alert, delivery.received_at))

        await self._store_and_wake(delivery, judge)
        log.info("doubt_settled", fingerprint=occurrence.fingerprint, firing=firing)

    async def close_resolved(self, gone: Sequence[Occurrence], asked_at: datetime) -> None:
        """Close occurrences whose alerts Alertmanager, asked at that time, did not have firing any more."""
        asked = {one.fingerprint: one.id for one in gone}

        def judge(alert: Alert, known: Occurrence | None) -> Verdict:
            if known is None or known.id != asked[alert.fingerprint] or known.closed_at is not None:
                return Verdict(Ruling.NOT_OPEN)
            if known.heard_at > asked_at:
                return Verdict(Ruling.NOT_OPEN)  # it was heard meanwhile
            return Verdict(Ruling.RESOLVED, close=Closing.RESOLVED)

        alerts = tuple(
            Alert(one.fingerprint, AlertStatus.RESOLVED, one.labels, {}, one.starts_at, ends_at=asked_at)
            for one in gone
        )
        await self._store_and_wake(Delivery(alerts, received_at=self._clock.now()), judge)

    async def give_up(self, unheard: Sequence[Occurrence]) -> None:
        """Close occurrences of which nothing was heard for so long that their resolve must have been missed."""
        heard = {one.fingerprint: one.heard_at for one in unheard}

        def judge(alert: Alert, known: Occurrence | None) -> Verdict:
            if known is None or known.closed_at is not None or known.heard_at > heard[alert.fingerprint]:
                return Verdict(Ruling.NOT_OPEN)  # it was heard meanwhile
            return Verdict(Ruling.RESOLVED, close=Closing.RESOLVE_MISSED)

        alerts = tuple(Alert(o.fingerprint, AlertStatus.RESOLVED, o.labels, {}, o.starts_at) for o in unheard)
        delivery = Delivery(alerts, received_at=self._clock.now())
        accepted = await self._store.accept(delivery, judge, self._owner())
        for run in accepted.signalled_runs:
            self._dispatcher.wake(run, delivery.received_at)

    async def run_anew(self, idle: Sequence[Occurrence], again: Again) -> Accepted:
        """Open the occurrences anew, as if their alerts had come just now, all of them or none.

        They are open, and had no run under way when they were read: an occurrence gets no run but when it is opened, so
        that is so until it is another one. Raises NothingAnew where it is, where it has closed, or where no rule
        matches; and StoreUnavailable.
        """
        as_read, beats = {one.fingerprint: one.id for one in idle}, self._heartbeat

        def judge(alert: Alert, known: Occurrence | None) -> Verdict:
            if known is None or known.id != as_read[alert.fingerprint] or known.closed_at is not None:
                raise NothingAnew("the alert has resolved, or has come anew, just now; look at it again")
            if beats and beats.is_beat(alert):
                raise NothingAnew("the alert is the heartbeat, for which no run is begun")
            opening = self._opening(alert, again.at, again)
            if not opening.runs:
                raise NothingAnew("no rule matches the alert")
            return Verdict(Ruling.REOPENED, close=Closing.RUN_ANEW, open=opening, again=again)

        alerts = tuple(
            Alert(one.fingerprint, AlertStatus.FIRING, one.labels, one.annotations, one.starts_at) for one in idle
        )
        accepted = await self._store_and_wake(Delivery(alerts, received_at=again.at), judge)
        for run, rule in accepted.new_runs:
            log.warning("run_begun_anew", run_id=run, rule=rule, by=again.by, reason=again.reason)
        return accepted

    async def run_by_hand(self, stated: Stated) -> Accepted:
        """Open an alert that a person states, for one run of one rule. Raises OpenAlready, and StoreUnavailable.

        That the same labels are not open, by hand or by a sender, is seen in the very transaction: what a sender has
        told of them is judged with it, and left as it is.
        """
        if self._heartbeat and self._heartbeat.name == stated.alert.name:
            raise NotStarted("these are the labels of the heartbeat, for which no run is begun")
        sent = replace(stated.alert, fingerprint=fingerprint_of(stated.alert.labels))
        at = stated.again.at
        new = self._new_run(stated.rule, stated.alert, at, stated.again, stated.run)
        new = replace(new, group="", priority=Priority.HIGH)  # a person waits to see it done

        def judge(alert: Alert, known: Occurrence | None) -> Verdict:
            if known is not None and (known.closed_at is None or known.id == stated.occurrence):
                raise OpenAlready(known.id)
            if alert.fingerprint == sent.fingerprint:
                return Verdict(Ruling.NOT_OPEN)
            return Verdict(Ruling.OPENED, open=Opening(stated.occurrence, (new,)), again=stated.again)

        owner = self._owner()
        accepted = await self._accept(Delivery((sent, stated.alert), received_at=at), judge, owner)
        self._metrics.runs_started.labels(stated.rule.id).inc()
        told = {"by": stated.again.by, "reason": stated.again.reason}
        log.warning("run_begun_by_hand", run_id=stated.run, rule=stated.rule.id, **told)
        if owner != FREE:
            self._dispatcher.wake(stated.run, at, Priority.HIGH, stated.rule.id)
        return accepted

    async def _accept(self, delivery: Delivery, judge: Judge, owner: OwnerId) -> Accepted:
        accepted = await self._store.accept(delivery, judge, owner)
        failpoints.hit("accept.stored")
        return accepted

    async def _store_and_wake(self, delivery: Delivery, judge: Judge) -> Accepted:
        unmatched: dict[str, str] = {}  # names by fingerprint: the store may ask more than once
        urgent: dict[RunId, Priority] = {}
        beats = self._heartbeat

        def noting(alert: Alert, known: Occurrence | None) -> Verdict:
            verdict = judge(alert, known)
            if verdict.open is None:
                return verdict
            for new in verdict.open.runs:
                urgent[new.id] = new.priority
            if not verdict.open.runs and (beats is None or not beats.is_beat(alert)):
                unmatched[alert.fingerprint] = alert.name
            return verdict

        owner = self._owner()
        accepted = await self._accept(delivery, noting, owner)
        self._count(delivery, accepted)
        self.unmatched.note(unmatched.values())
        for run, rule in accepted.new_runs if owner != FREE else ():
            self._dispatcher.wake(run, delivery.received_at, urgent.get(run, Priority.NORMAL), rule)
        for run in accepted.signalled_runs:
            self._dispatcher.wake(run, delivery.received_at)
        return accepted

    def _opening(self, alert: Alert, now: datetime, again: Again | None = None) -> Opening:
        """What is opened for an alert: the occurrence, and a run for each rule that matches it, if it joins none."""
        rules = matching.match(alert, self._rulebook.book)
        return Opening(new_occurrence_id(now), tuple(self._new_run(rule, alert, now, again) for rule in rules))

    def _new_run(
        self, rule: Rule, alert: Alert, now: datetime, again: Again | None, run_id: RunId | None = None
    ) -> NewRun:
        run_id = run_id or new_run_id(now)
        summary = self._summarise(rule, alert)
        message = story.opening(run_id, rule.id, alert, summary, self._redactor, again)
        group, priority = _group_of(rule, alert), priority_of(alert.labels)
        audit = (auditing.of_word(run_id, again, self._redactor, rule.id),) if again is not None else ()
        return NewRun(run_id, rule.id, rule.digest, summary, self._channel, message, group, priority, audit)

    def _summarise(self, rule: Rule, alert: Alert) -> str:
        """The rule's summary for this alert; a summary that cannot be rendered never costs us the alert."""
        try:
            said = str(rule.summary.render(scope_of(alert, rule)))
        except BadExpression:
            said = ""
        known = (said or alert.name or rule.name)[:_SUMMARY_SOURCE]
        one_line = " ".join(self._redactor.text(known).split())
        return shorten(one_line, _SUMMARY_LIMIT)

    def _count(self, delivery: Delivery, accepted: Accepted) -> None:
        for ruling in set(accepted.rulings):
            self._rulings(ruling).inc(accepted.rulings.count(ruling))
        if delivery.repeated:
            self._rulings("repeated_in_body").inc(delivery.repeated)
        for run, rule in accepted.new_runs:
            self._metrics.runs_started.labels(rule).inc()
            log.info("run_created", run_id=run, rule=rule)
