"""Keeps the store from growing without end: forgets what is old, a little at a time.

Started by the application. It never touches what is under way: the store itself refuses that.
"""

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta

import structlog

from remediator.kit.clock import Clock
from remediator.kit.metrics import Metrics
from remediator.pipeline.rounds import anybody, look_again_and_again, survive
from remediator.pipeline.rulebook import Rulebook
from remediator.settings import OccurrenceSettings, StoreSettings
from remediator.storage.retention import Forgotten, Retention, RetentionStore

log = structlog.get_logger(__name__)

_EVERY = timedelta(minutes=1)
_REMEMBER_EVERY = timedelta(hours=1)  # far below the least `store.keep_runs`; thousands of rules are some work
_AT_ONCE = 200
_PAUSE = timedelta(milliseconds=50)  # between two portions, for whoever has to write as well
_SETTLED = timedelta(minutes=5)  # on top of the window in which a repeat is doubtful


class Housekeeping:
    """Deletes finished runs and closed occurrences by age and by count."""

    def __init__(
        self,
        *,
        store: RetentionStore,
        rulebook: Rulebook,
        clock: Clock,
        metrics: Metrics,
        settings: StoreSettings,
        occurrences: OccurrenceSettings,
        leads: Callable[[], bool] = anybody,
    ) -> None:
        """`leads`: whether it is this process that tidies, at this moment."""
        self._leads = leads
        self._store = store
        self._rulebook = rulebook
        self._clock = clock
        self._metrics = metrics
        self._settings = settings
        self._remember_from = clock.monotonic()
        self._settled_after = occurrences.doubt_window + _SETTLED

    async def work(self) -> None:
        """Look every minute until cancelled."""
        await look_again_and_again(self._look, every=_EVERY, clock=self._clock, waits="housekeeping_waits_for_store")

    async def _look(self) -> None:
        """A store that grows is a lesser evil than a service that stops."""
        await survive(self.tidy() if self._leads() else self._note_rules(), "housekeeping_failed")

    async def tidy(self) -> Forgotten:
        """Forget all that is old now; how much that was. Raises StoreUnavailable."""
        await self._note_rules()
        old, total = self._old(), Forgotten()
        while done := await self._store.forget(old, limit=_AT_ONCE):
            total += done
            self._metrics.runs_forgotten.inc(done.runs)
            await self._clock.sleep(_PAUSE)
        self._metrics.store_bytes.set(await self._store.size())
        if total:
            log.info("store_tidied", **asdict(total))
        return total

    async def _note_rules(self) -> None:
        """Have the rules in force noted as such from time to time, so that none of them is forgotten."""
        if self._clock.monotonic() >= self._remember_from:
            await self._rulebook.remember()
            self._remember_from = self._clock.monotonic() + _REMEMBER_EVERY.total_seconds()

    def _old(self) -> Retention:
        now = self._clock.now()
        return Retention(
            before=_earlier(now, self._settings.keep_runs),
            at_most=self._settings.keep_runs_at_most,
            settled=_earlier(now, self._settled_after),
        )


def _earlier(now: datetime, by: timedelta) -> datetime:
    """The time so long ago; a setting may go back further than the calendar does."""
    try:
        return now - by
    except OverflowError:
        return datetime.min.replace(tzinfo=now.tzinfo)
