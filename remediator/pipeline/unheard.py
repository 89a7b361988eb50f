"""Closes alerts of which nothing is heard any more, so that their runs and occurrences do not stay open for ever."""

from collections.abc import Callable
from datetime import timedelta

import structlog

from remediator.kit.clock import Clock
from remediator.model.duration import say_duration
from remediator.pipeline.intake import Intake
from remediator.pipeline.rounds import anybody, look_again_and_again
from remediator.storage.intake import IntakeStore

log = structlog.get_logger(__name__)

_LOOK_EVERY = timedelta(hours=1)
_AT_ONCE = 100


class Unheard:
    """Closes occurrences of which nothing was heard for so long that nobody will ever resolve them."""

    def __init__(
        self,
        store: IntakeStore,
        intake: Intake,
        clock: Clock,
        *,
        give_up_after: timedelta,
        leads: Callable[[], bool] = anybody,
    ) -> None:
        """`leads`: whether it is this process that looks, at this moment."""
        self._store = store
        self._intake = intake
        self._clock = clock
        self._give_up_after = give_up_after
        self._leads = leads

    async def work(self) -> None:
        """Look every hour until cancelled; the first time an hour after the start, when much may have come anew."""
        await look_again_and_again(
            self.close,
            every=_LOOK_EVERY,
            clock=self._clock,
            waits="unheard_wait_for_store",
            leads=self._leads,
            wait_first=True,
        )

    async def close(self) -> int:
        """Close them; how many there were. Raises StoreUnavailable."""
        before, count = self._clock.now() - self._give_up_after, 0
        while unheard := await self._store.unheard(before, _AT_ONCE):
            await self._intake.give_up(unheard)
            count += len(unheard)
        if count:
            log.warning("alerts_given_up", count=count, unheard_for=say_duration(self._give_up_after))
        return count
