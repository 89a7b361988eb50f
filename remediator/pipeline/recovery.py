"""After a start: every run that has something to do is due again, and doubtful alerts are decided when it is time."""

from datetime import datetime, timedelta

import structlog

from remediator.clients.alertmanager import AlertmanagerClient
from remediator.errors import RemediatorError, StoreUnavailable, Transient
from remediator.kit.clock import Clock
from remediator.model.occurrence import Occurrence
from remediator.pipeline.dispatch import Dispatcher
from remediator.pipeline.intake import Intake
from remediator.storage.store import Store

log = structlog.get_logger(__name__)

_LOOK_EVERY = timedelta(seconds=1)
_ASK_AGAIN = timedelta(seconds=10)
_AT_ONCE = 100


async def resume(store: Store, dispatcher: Dispatcher) -> int:
    """Make every run due that an earlier process left with something to do; how many there are."""
    wakes = await store.wakes()
    for run, at in wakes:
        dispatcher.wake(run, at)
    return len(wakes)


class Doubts:
    """Decides on doubtful alerts when their window has ended.

    Alertmanager is asked where one is configured; else an alert counts as firing that was sent again.
    """

    def __init__(self, store: Store, intake: Intake, alertmanager: AlertmanagerClient | None, clock: Clock) -> None:
        self._store = store
        self._intake = intake
        self._alertmanager = alertmanager
        self._clock = clock
        self._not_before: dict[str, datetime] = {}

    async def work(self) -> None:
        """Look every second until cancelled."""
        while True:
            try:
                await self.settle_due()
            except StoreUnavailable as error:
                log.warning("doubts_wait_for_store", error=str(error))
            await self._clock.sleep(_LOOK_EVERY)

    async def settle_due(self) -> None:
        """Decide on every doubt whose window has ended."""
        now = self._clock.now()
        for occurrence in await self._store.due_doubts(now, _AT_ONCE):
            if self._not_before.get(occurrence.id, now) <= now:
                await self._settle(occurrence)

    async def _settle(self, occurrence: Occurrence) -> None:
        try:
            firing = await self._is_firing(occurrence)
        except Transient as error:
            self._not_before[occurrence.id] = self._clock.now() + _ASK_AGAIN
            log.warning("doubt_waits_for_alertmanager", fingerprint=occurrence.fingerprint, error=str(error))
            return
        except RemediatorError as error:
            log.warning("alertmanager_gave_no_answer", error=str(error))
            firing = occurrence.doubt is not None and occurrence.doubt.sent_again
        self._not_before.pop(occurrence.id, None)
        await self._intake.settle_doubt(occurrence, firing=firing)

    async def _is_firing(self, occurrence: Occurrence) -> bool:
        if occurrence.doubt is not None and occurrence.doubt.sent_again:
            return True
        if self._alertmanager is None:
            return False
        return await self._alertmanager.is_firing(occurrence.labels)
