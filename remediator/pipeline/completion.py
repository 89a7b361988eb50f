"""Completes deliveries from which the sender left alerts out, by asking Alertmanager for the rest."""

from collections.abc import Callable
from datetime import timedelta

import structlog

from remediator.clients.alertmanager import AlertmanagerClient
from remediator.errors import RemediatorError, StoreUnavailable
from remediator.kit.clock import Clock
from remediator.kit.redaction import shorten
from remediator.model.alert import CutGroup, Delivery
from remediator.pipeline.intake import Intake
from remediator.pipeline.rounds import anybody, look_again_and_again, survive
from remediator.storage.intake import IntakeStore

log = structlog.get_logger(__name__)

_LOOK_EVERY = timedelta(seconds=1)
_ASK_AGAIN = timedelta(seconds=10)
_AT_ONCE = 100
_FETCH_TRIES = 300  # the pauses grow to five minutes, so this makes a day
_SAID = 200
_FETCH_LATEST = timedelta(minutes=5)


class Completion:
    """Fetches from Alertmanager what its deliveries left out (`truncatedAlerts`), so that no alert is lost to a limit.

    What is to be fetched is in the store since the delivery was accepted, and is asked for until it is here, for a day.
    Resolutions that were left out cannot be fetched: an alert that is gone shows up as a missed resolve.
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
        """`leads`: whether it is this process that fetches, at this moment."""
        self._store = store
        self._intake = intake
        self._alertmanager = alertmanager
        self._clock = clock
        self._leads = leads

    async def work(self) -> None:
        """Complete deliveries until cancelled."""
        await look_again_and_again(
            self.complete_due,
            every=_LOOK_EVERY,
            clock=self._clock,
            waits="completion_waits_for_store",
            leads=self._leads,
        )

    async def complete_due(self) -> None:
        """Fetch every group whose time has come, each by itself: one that cannot be had keeps no other waiting.

        Raises StoreUnavailable.
        """
        for group in await self._store.due_cut_groups(self._clock.now(), _AT_ONCE):
            broke = await survive(self._complete(group), "completion_broke", **_told(group))
            if broke is not None:  # nor may it lose the group
                await self._try_again(group, f"{type(broke).__name__}: {broke}")

    async def _complete(self, group: CutGroup) -> None:
        """Have the alerts of a group here and forget it, or try again later."""
        try:
            await self._fetch(group)
        except StoreUnavailable:
            raise
        except RemediatorError as error:
            await self._try_again(group, str(error))
        else:
            await self._store.drop_cut_group(group)

    async def _fetch(self, group: CutGroup) -> None:
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
