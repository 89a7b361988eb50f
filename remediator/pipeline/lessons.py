"""Draws the conclusions from what a round has shown, or a refused plan: what has to stand in the way from now on.

Called by `concluding` whenever the ending of a round is stored, and by `deciding` when a plan was refused or held. It
may be called again, after a restart too: what stands already stays as it is.
"""

from datetime import timedelta

from remediator.model.history import Standing
from remediator.model.stop import StopKind
from remediator.pipeline.guards import Case, aftermath, storm
from remediator.pipeline.stops import Stops
from remediator.storage.journal import JournalStore

_OFTEN_ENOUGH = timedelta(seconds=15)
"""By so much the end of a storm that is told may be too early."""


class Lessons:
    """Puts the stops that follow, and lifts those that have done their part."""

    def __init__(self, store: JournalStore, stops: Stops) -> None:
        self._store = store
        self._stops = stops

    async def learn(self, case: Case) -> None:
        """See to what stands in the way after what the journal shows. Raises StoreUnavailable."""
        known = await self._store.known(aftermath.asks(case))
        consequences = aftermath.consequences(case, known)
        if consequences:
            await self._stops.put(consequences)
        for stop in aftermath.lapsed(case, known):
            await self._stops.lapse(stop)

    async def watch_storms(self, case: Case) -> bool:
        """See to it that a storm that holds a plan is known to everybody, and stands for as long as it goes on.

        Returns whether there is one. Raises StoreUnavailable.
        """
        known = await self._store.known(storm.questions(case))
        there = {(stop.kind, stop.scope): stop.until for stop in known.stops if not stop.is_over(case.at)}
        storms = storm.storms_of(case, known)
        for stop in storms:
            until = there.get((stop.kind, stop.scope), case.at)
            if until is not None and stop.until is not None and stop.until - until >= _OFTEN_ENOUGH:
                await self._stops.prolong(stop)
            else:  # whoever has put it may have died before it was told
                await self._stops.see_told(stop)
        return bool(storms)

    async def has_open_breaker(self, case: Case) -> bool:
        """Whether a good ending has something to close."""
        known = await self._store.known([one for one in aftermath.asks(case) if isinstance(one, Standing)])
        return any(stop.kind is StopKind.BREAKER and not stop.is_over(case.at) for stop in known.stops)
