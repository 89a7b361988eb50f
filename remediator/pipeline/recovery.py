"""After a start: what was left to do is due again. Later: doubtful alerts are decided, cut deliveries completed."""

from datetime import timedelta

import structlog

from remediator.clients.alertmanager import AlertmanagerClient
from remediator.errors import RemediatorError, StoreUnavailable, Transient
from remediator.kit.clock import Clock
from remediator.model.alert import Delivery
from remediator.model.occurrence import Occurrence
from remediator.pipeline.dispatch import Dispatcher
from remediator.pipeline.intake import Intake
from remediator.storage.store import Store

log = structlog.get_logger(__name__)

_LOOK_EVERY = timedelta(seconds=1)
_ASK_AGAIN = timedelta(seconds=10)
_AT_ONCE = 100
_FETCH_TRIES = 6


async def resume(store: Store, dispatcher: Dispatcher) -> int:
    """Make every run due that an earlier process left with something to do; how many there are."""
    wakes = await store.wakes()
    for run, at in wakes:
        dispatcher.wake(run, at)
    return len(wakes)


class Doubts:
    """Decides on doubtful alerts when their window has ended.

    Alertmanager is asked where one is configured; where it is not, or does not answer, an alert counts as firing that
    was sent again. One that was not waits for an answer, and keeps no other waiting.
    """

    def __init__(self, store: Store, intake: Intake, alertmanager: AlertmanagerClient | None, clock: Clock) -> None:
        self._store = store
        self._intake = intake
        self._alertmanager = alertmanager
        self._clock = clock
        self._ask_from = clock.monotonic()

    async def work(self) -> None:
        """Look every second until cancelled."""
        while True:
            try:
                await self.settle_due()
            except StoreUnavailable as error:
                log.warning("doubts_wait_for_store", error=str(error))
            await self._clock.sleep(_LOOK_EVERY)

    async def settle_due(self) -> None:
        """Decide on every doubt whose window has ended, as far as that is possible now. Raises StoreUnavailable."""
        sent_again = not self._may_ask()
        for occurrence in await self._store.due_doubts(self._clock.now(), _AT_ONCE, sent_again=sent_again):
            firing = await self._is_firing(occurrence)
            if firing is not None:
                await self._intake.settle_doubt(occurrence, firing=firing)

    def _may_ask(self) -> bool:
        """Whether every doubt can be decided: nobody has to be asked, or whom we ask did not fail us just now."""
        return self._alertmanager is None or self._clock.monotonic() >= self._ask_from

    async def _is_firing(self, occurrence: Occurrence) -> bool | None:
        """Whether the alert fires; None where that cannot be told yet."""
        sent_again = occurrence.doubt is not None and occurrence.doubt.sent_again
        if self._alertmanager is None:
            return sent_again
        if self._may_ask():
            try:
                return await self._alertmanager.is_firing(occurrence.labels)
            except Transient as error:
                self._ask_from = self._clock.monotonic() + _ASK_AGAIN.total_seconds()
                log.warning("doubt_waits_for_alertmanager", fingerprint=occurrence.fingerprint, error=str(error))
            except RemediatorError as error:
                log.warning("alertmanager_gave_no_answer", error=str(error))
                return sent_again
        return True if sent_again else None


class Completion:
    """Fetches from Alertmanager what its deliveries left out (`truncatedAlerts`), so that no alert is lost to a limit.

    Resolutions that were left out cannot be fetched: an alert that is gone shows up as a missed resolve.
    """

    def __init__(self, intake: Intake, alertmanager: AlertmanagerClient | None, clock: Clock) -> None:
        self._intake = intake
        self._alertmanager = alertmanager
        self._clock = clock

    async def work(self) -> None:
        """Complete deliveries until cancelled."""
        while True:
            await self.complete(await self._intake.truncated.take())

    async def complete(self, delivery: Delivery) -> None:
        """Fetch the alerts of a delivery's group and accept them; tried a few times, then said in the log."""
        told = {"missing": delivery.truncated, "receiver": delivery.receiver, "group": delivery.group_key}
        if self._alertmanager is None:
            remedy = "set max_alerts: 0 in Alertmanager, or alertmanager.url here"
            log.warning("delivery_truncated", remedy=remedy, **told)
            return
        for _ in range(_FETCH_TRIES):
            try:
                alerts = await self._alertmanager.firing(delivery.receiver, delivery.group_labels)
                await self._intake.accept(Delivery(alerts, received_at=self._clock.now(), receiver=delivery.receiver))
            except Transient as error:
                log.warning("delivery_not_completed_yet", error=str(error), **told)
                await self._clock.sleep(_ASK_AGAIN)
            else:
                log.info("delivery_completed", fetched=len(alerts), **told)
                return
        log.error("delivery_not_completed", **told)
