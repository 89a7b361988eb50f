"""After a start: what was left to do is due again. Later: doubtful alerts are decided, cut deliveries completed."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import structlog

from remediator.clients.alertmanager import AlertmanagerClient
from remediator.errors import RemediatorError, StoreUnavailable, Transient
from remediator.kit.clock import Clock
from remediator.kit.redaction import shorten
from remediator.model.alert import CutGroup, Delivery
from remediator.model.duration import say_duration
from remediator.model.ids import OccurrenceId
from remediator.model.occurrence import Occurrence
from remediator.pipeline.dispatch import Dispatcher
from remediator.pipeline.intake import Intake
from remediator.storage.store import Store

log = structlog.get_logger(__name__)

_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_LOOK_EVERY = timedelta(seconds=1)
_LOOK_FOR_UNHEARD = timedelta(hours=1)
_ASK_AGAIN = timedelta(seconds=10)
_AT_ONCE = 100
_FETCH_TRIES = 300  # the pauses grow to five minutes, so this makes a day
_SAID = 200
_FETCH_LATEST = timedelta(minutes=5)


async def resume(store: Store, dispatcher: Dispatcher) -> int:
    """Make every run due that an earlier process left with something to do; how many there are.

    Those that rest until later are looked at too, and go on resting: if the machine's clock was set back meanwhile, one
    that was under way would else wait until the time at which it was woken comes again.
    """
    wakes = await store.wakes()
    for wake in wakes:
        dispatcher.wake(wake.run, _LONG_AGO, wake.priority)
    return len(wakes)


class Doubts:
    """Decides on doubtful alerts when their window has ended.

    Alertmanager is asked where one is configured; where it is not, or does not answer, an alert counts as firing that
    was sent again. One that was not waits for an answer, and keeps no other waiting: what was asked about in vain is
    asked about after everything else.
    """

    def __init__(
        self,
        store: Store,
        intake: Intake,
        alertmanager: AlertmanagerClient | None,
        clock: Clock,
        *,
        leads: Callable[[], bool] = lambda: True,
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
        while True:
            try:
                if self._leads():
                    await self.settle_due()
            except StoreUnavailable as error:
                log.warning("doubts_wait_for_store", error=str(error))
            await self._clock.sleep(_LOOK_EVERY)

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
            firing = await self._is_firing(occurrence)
            if firing is not None:
                await self._intake.settle_doubt(occurrence, firing=firing)
                self._not_before.pop(occurrence.id, None)
        except StoreUnavailable:
            self._put_off(occurrence)
            raise
        except Exception:
            self._put_off(occurrence)
            log.exception("doubt_not_settled", fingerprint=occurrence.fingerprint)

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


class Unheard:
    """Closes occurrences of which nothing was heard for so long that nobody will ever resolve them."""

    def __init__(
        self,
        store: Store,
        intake: Intake,
        clock: Clock,
        *,
        give_up_after: timedelta,
        leads: Callable[[], bool] = lambda: True,
    ) -> None:
        """`leads`: whether it is this process that looks, at this moment."""
        self._store = store
        self._intake = intake
        self._clock = clock
        self._give_up_after = give_up_after
        self._leads = leads

    async def work(self) -> None:
        """Look every hour until cancelled; the first time an hour after the start, when much may have come anew."""
        while True:
            await self._clock.sleep(_LOOK_FOR_UNHEARD)
            try:
                if self._leads():
                    await self.close()
            except StoreUnavailable as error:
                log.warning("unheard_wait_for_store", error=str(error))

    async def close(self) -> int:
        """Close them; how many there were. Raises StoreUnavailable."""
        before, count = self._clock.now() - self._give_up_after, 0
        while unheard := await self._store.unheard(before, _AT_ONCE):
            await self._intake.give_up(unheard)
            count += len(unheard)
        if count:
            log.warning("alerts_given_up", count=count, unheard_for=say_duration(self._give_up_after))
        return count


class Completion:
    """Fetches from Alertmanager what its deliveries left out (`truncatedAlerts`), so that no alert is lost to a limit.

    What is to be fetched is in the store since the delivery was accepted, and is asked for until it is here, for a day.
    Resolutions that were left out cannot be fetched: an alert that is gone shows up as a missed resolve.
    """

    def __init__(
        self,
        store: Store,
        intake: Intake,
        alertmanager: AlertmanagerClient | None,
        clock: Clock,
        *,
        leads: Callable[[], bool] = lambda: True,
    ) -> None:
        """`leads`: whether it is this process that fetches, at this moment."""
        self._store = store
        self._intake = intake
        self._alertmanager = alertmanager
        self._clock = clock
        self._leads = leads

    async def work(self) -> None:
        """Complete deliveries until cancelled."""
        while True:
            try:
                if self._leads():
                    await self.complete_due()
            except StoreUnavailable as error:
                log.warning("completion_waits_for_store", error=str(error))
            await self._clock.sleep(_LOOK_EVERY)

    async def complete_due(self) -> None:
        """Fetch every group whose time has come, each by itself: one that cannot be had keeps no other waiting.

        Raises StoreUnavailable.
        """
        for group in await self._store.due_cut_groups(self._clock.now(), _AT_ONCE):
            try:
                await self._complete(group)
            except StoreUnavailable:
                raise
            except RemediatorError as error:
                await self._try_again(group, str(error))
            except Exception as error:
                # A mistake of ours about one group must not end the service, nor lose the group.
                log.exception("completion_broke", **_told(group))
                await self._try_again(group, f"{type(error).__name__}: {error}")
            else:
                await self._store.drop_cut_group(group)

    async def _complete(self, group: CutGroup) -> None:
        """Fetch the alerts of a group and accept them."""
        if self._alertmanager is None:
            remedy = "set max_alerts: 0 in Alertmanager, or alertmanager.url here"
            log.warning("delivery_truncated", remedy=remedy, **_told(group))
            return
        alerts = await self._alertmanager.firing(group.receiver, group.labels)
        await self._intake.accept(Delivery(alerts, received_at=self._clock.now(), receiver=group.receiver))
        log.info("delivery_completed", fetched=len(alerts), **_told(group))

    async def _try_again(self, group: CutGroup, error: str) -> None:
        """Ever later, for a day; then it is said in the log."""
        if group.tries + 1 >= _FETCH_TRIES:
            log.error("delivery_not_completed", error=error, **_told(group))
            await self._store.drop_cut_group(group)
            return
        log.warning("delivery_not_completed_yet", error=error, **_told(group))
        pause = min(_ASK_AGAIN * 2 ** min(group.tries, 10), _FETCH_LATEST)
        await self._store.put_off_cut_group(group, self._clock.now() + pause)


def _told(group: CutGroup) -> dict[str, str | int]:
    """What a line of the log says of a group."""
    receiver, key = shorten(group.receiver, _SAID), shorten(group.group_key, _SAID)
    return {"missing": group.missing, "receiver": receiver, "group": key}
