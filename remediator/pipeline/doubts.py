"""Decides later on alerts that were doubtful when they came: late duplicates, or real returns after a partition."""

from collections.abc import Callable, Sequence
from datetime import timedelta

import structlog

from remediator.clients.alertmanager import AlertmanagerClient
from remediator.errors import RemediatorError, StoreUnavailable, Transient
from remediator.kit.clock import Clock
from remediator.model.ids import OccurrenceId
from remediator.model.occurrence import Occurrence
from remediator.pipeline.intake import Intake
from remediator.pipeline.rounds import anybody, look_again_and_again, survive
from remediator.storage.intake import IntakeStore

log = structlog.get_logger(__name__)

_LOOK_EVERY = timedelta(seconds=1)
_ASK_AGAIN = timedelta(seconds=10)
_AT_ONCE = 100


class Doubts:
    """Decides on doubtful alerts when their window has ended.

    Alertmanager is asked where one is configured; where it is not, or does not answer, an alert counts as firing that
    was sent again. One that was not waits for an answer, and keeps no other waiting: what was asked about in vain is
    asked about after everything else.
    """

    def __init__(
        self,
        store: IntakeStore,
        intake: Intake,
        alertmanager: AlertmanagerClient | None,
        clock: Clock,
        *,
        leads: Callable[[], bool] = anybody,
    ) -> None:
        """`leads`: whether it is this process that decides, at this moment."""
        self._store = store
        self._intake = intake
        self._alertmanager = alertmanager
        self._clock = clock
        self._leads = leads
        self._ask_from = clock.monotonic()
        self._not_before: dict[OccurrenceId, float] = {}  # of each that was tried in vain, when it is tried again

    async def work(self) -> None:
        """Look every second until cancelled."""
        await look_again_and_again(
            self.settle_due, every=_LOOK_EVERY, clock=self._clock, waits="doubts_wait_for_store", leads=self._leads
        )

    async def settle_due(self) -> None:
        """Decide on every doubt whose window has ended, as far as that is possible now. Raises StoreUnavailable."""
        sent_again = not self._may_ask()
        limit = _AT_ONCE + len(self._not_before)
        due = await self._store.due_doubts(self._clock.now(), limit, sent_again=sent_again)
        if not sent_again:
            self._forget_others(due)
        for occurrence in sorted(due, key=self._turn):
            if self._turn(occurrence) <= self._clock.monotonic():
                await self._settle(occurrence)

    async def _settle(self, occurrence: Occurrence) -> None:
        """Decide on one doubt; whatever goes wrong with it, the others have their turn first next time."""
        try:
            broke = await survive(self._decide(occurrence), "doubt_not_settled", fingerprint=occurrence.fingerprint)
        except StoreUnavailable:
            self._put_off(occurrence)
            raise
        if broke:
            self._put_off(occurrence)

    async def _decide(self, occurrence: Occurrence) -> None:
        firing = await self._is_firing(occurrence)
        if firing is not None:
            await self._intake.settle_doubt(occurrence, firing=firing)
            self._not_before.pop(occurrence.id, None)

    def _turn(self, occurrence: Occurrence) -> float:
        return self._not_before.get(occurrence.id, float("-inf"))

    def _put_off(self, occurrence: Occurrence) -> None:
        self._not_before[occurrence.id] = self._clock.monotonic() + _ASK_AGAIN.total_seconds()

    def _forget_others(self, due: Sequence[Occurrence]) -> None:
        known = {occurrence.id for occurrence in due}
        self._not_before = {one: at for one, at in self._not_before.items() if one in known}

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
                if not sent_again:
                    self._put_off(occurrence)
                log.warning("doubt_waits_for_alertmanager", fingerprint=occurrence.fingerprint, error=str(error))
            except RemediatorError as error:
                log.warning("alertmanager_gave_no_answer", error=str(error))
                return sent_again
        return True if sent_again else None
