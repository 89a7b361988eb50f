"""Takes deliveries in: sorts out what was seen before, and has new occurrences and their runs stored in one commit.

Called by the webhook. It returns once everything is on disk, and never does anything else before that.
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta

import structlog

from remediator.errors import BadExpression
from remediator.kit.clock import Clock
from remediator.kit.metrics import Metrics
from remediator.kit.redaction import Redactor, shorten
from remediator.model.alert import Alert, AlertStatus, Delivery
from remediator.model.ids import Fingerprint, OwnerId, new_occurrence_id, new_run_id
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
from remediator.pipeline import matching, story
from remediator.pipeline.dispatch import Dispatcher
from remediator.pipeline.rulebook import Rulebook, scope_of
from remediator.rules.book import Rule
from remediator.settings import OccurrenceSettings
from remediator.storage.store import Store

log = structlog.get_logger(__name__)

_SUMMARY_LIMIT = 200


def judge_alert(
    alert: Alert, known: Occurrence | None, opening: Opening, delivery: Delivery, rules: OccurrenceSettings
) -> Verdict:
    """What one alert of a delivery means, given the newest occurrence of it that is known. Pure."""
    if alert.status is AlertStatus.RESOLVED:
        return _judge_resolved(known)
    if known is None:
        return Verdict(Ruling.OPENED, open=opening)
    if known.closed_at is None:
        return _judge_repeat(alert, known, opening, delivery, rules)
    return _judge_return(alert, known, opening, delivery, rules)


def _judge_resolved(known: Occurrence | None) -> Verdict:
    if known is None:
        return Verdict(Ruling.NOT_OPEN)
    if known.closed_at is not None:
        return Verdict(Ruling.NOT_OPEN, drop_doubt=known.doubt is not None)
    return Verdict(Ruling.RESOLVED, close=Closing.RESOLVED)


def _judge_repeat(
    alert: Alert, known: Occurrence, opening: Opening, delivery: Delivery, rules: OccurrenceSettings
) -> Verdict:
    """A firing of what is open. Starts nothing, unless the resolve in between must have been missed."""
    began_after_the_runs = known.runs_ended_at is not None and alert.starts_at > known.runs_ended_at
    silent = delivery.received_at - known.heard_at > rules.stale_after
    if began_after_the_runs or silent:
        return Verdict(Ruling.REOPENED, close=Closing.RESOLVE_MISSED, open=opening)
    return Verdict(Ruling.REPEATED, hear=True)


def _judge_return(
    alert: Alert, known: Occurrence, opening: Opening, delivery: Delivery, rules: OccurrenceSettings
) -> Verdict:
    """A firing after the resolve: new if it began after that, doubtful if it may be what was resolved already."""
    since = delivery.received_at - (known.closed_at or delivery.received_at)
    if alert.starts_at > _end_of(known) or (known.doubt is None and since > rules.doubt_window):
        return Verdict(Ruling.OPENED, open=opening, drop_doubt=known.doubt is not None)
    if known.doubt is not None:
        return Verdict(Ruling.DOUBTFUL, doubt=Doubt(alert, until=known.doubt.until, sent_again=True))
    left = rules.doubt_window - max(since, timedelta(0))
    return Verdict(Ruling.DOUBTFUL, doubt=Doubt(alert, until=delivery.received_at + left))


def _end_of(known: Occurrence) -> datetime:
    """When the closed occurrence ended, as its sender said; never later than we heard of it."""
    ends_at, closed_at = known.ends_at or known.starts_at, known.closed_at or known.heard_at
    return max(known.starts_at, min(ends_at, closed_at))


class Incomplete:
    """Deliveries whose sender left alerts out, the newest of each group: somebody has to fetch the rest."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, str], Delivery] = {}
        self._come = asyncio.Event()

    def put(self, delivery: Delivery) -> None:
        self._waiting[delivery.receiver, delivery.group_key] = delivery
        self._come.set()

    async def take(self) -> Delivery:
        """Wait for one."""
        while not self._waiting:
            self._come.clear()
            await self._come.wait()
        return self._waiting.pop(next(iter(self._waiting)))


class Intake:
    """Accepts deliveries into the store and wakes the runs that they start or concern."""

    def __init__(
        self,
        *,
        store: Store,
        rulebook: Rulebook,
        dispatcher: Dispatcher,
        owner: OwnerId,
        clock: Clock,
        metrics: Metrics,
        redactor: Redactor,
        settings: OccurrenceSettings,
        channel: str,
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
        self.truncated = Incomplete()

    async def accept(self, delivery: Delivery) -> None:
        """Have a delivery on disk. Raises StoreUnavailable when that cannot be done now."""
        openings = self._prepare(delivery)

        def judge(alert: Alert, known: Occurrence | None) -> Verdict:
            opening = openings.get(alert.fingerprint) or Opening(new_occurrence_id(delivery.received_at), ())
            return judge_alert(alert, known, opening, delivery, self._settings)

        await self._store_and_wake(delivery, judge)
        if delivery.truncated:
            self._metrics.truncated.inc(delivery.truncated)
            self.truncated.put(delivery)

    async def settle_doubt(self, occurrence: Occurrence, *, firing: bool) -> None:
        """Decide on a doubtful alert whose window has ended: a new occurrence where it is firing, else nothing."""
        doubt = occurrence.doubt
        if doubt is None:
            return
        delivery = Delivery((doubt.alert,), received_at=self._clock.now())
        openings = self._prepare(delivery)

        def judge(alert: Alert, known: Occurrence | None) -> Verdict:
            if known is None or known.id != occurrence.id or known.doubt is None or known.closed_at is None:
                return Verdict(Ruling.REPEATED)  # it was settled meanwhile
            if not firing:
                return Verdict(Ruling.NOT_OPEN, drop_doubt=True)
            return Verdict(Ruling.OPENED, drop_doubt=True, open=openings[alert.fingerprint])

        await self._store_and_wake(delivery, judge)
        log.info("doubt_settled", fingerprint=occurrence.fingerprint, firing=firing)

    async def _store_and_wake(self, delivery: Delivery, judge: Judge) -> None:
        accepted = await self._store.accept(delivery, judge, self._owner)
        self._count(delivery, accepted)
        for run, _ in accepted.new_runs:
            self._dispatcher.wake(run, delivery.received_at)
        for run in accepted.signalled_runs:
            self._dispatcher.wake(run, delivery.received_at)

    def _prepare(self, delivery: Delivery) -> Mapping[Fingerprint, Opening]:
        """What would be opened for each firing alert; worked out before the transaction, to keep that short."""
        now = delivery.received_at
        matched = matching.match_all(delivery.alerts, self._rulebook.book)
        by_fingerprint = {a.fingerprint: a for a in delivery.alerts if a.status is AlertStatus.FIRING}
        return {
            fingerprint: Opening(
                new_occurrence_id(now),
                tuple(self._new_run(rule, by_fingerprint[fingerprint], now) for rule in rules),
            )
            for fingerprint, rules in matched.items()
        }

    def _new_run(self, rule: Rule, alert: Alert, now: datetime) -> NewRun:
        run_id = new_run_id(now)
        summary = self._summarise(rule, alert)
        message = story.opening(run_id, rule.id, alert, summary, self._redactor)
        return NewRun(run_id, rule.id, rule.digest, summary, self._channel, message)

    def _summarise(self, rule: Rule, alert: Alert) -> str:
        """The rule's summary for this alert; a summary that cannot be rendered never costs us the alert."""
        try:
            said = str(rule.summary.render(scope_of(alert, rule)))
        except BadExpression:
            said = ""
        one_line = " ".join(self._redactor.text(said or alert.name or rule.name).split())
        return shorten(one_line, _SUMMARY_LIMIT)

    def _count(self, delivery: Delivery, accepted: Accepted) -> None:
        for ruling in accepted.rulings:
            self._metrics.alerts.labels(ruling).inc()
        if delivery.repeated:
            self._metrics.alerts.labels("repeated_in_body").inc(delivery.repeated)
        for run, rule in accepted.new_runs:
            self._metrics.runs_started.labels(rule).inc()
            log.info("run_created", run_id=run, rule=rule)
