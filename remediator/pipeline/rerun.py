"""Another run for an alert that fires still, though its run is over: refused, expired, cancelled, or in vain.

Called by the API. What is begun is a run like any other: each rule that matches the alert now begins one, all guards
judge it, and nobody's approval is taken over. It is refused while a run of the alert is under way. In one commit the
alert's occurrence is closed, the runs before hear of it as of its end, and the new runs are there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from remediator.kit.clock import Clock
from remediator.kit.redaction import Redactor
from remediator.model.alert import BY_HAND
from remediator.model.ids import RuleId, RunId
from remediator.model.occurrence import Accepted, Occurrence
from remediator.model.person import Person
from remediator.model.run import Again
from remediator.model.stage import by_hand
from remediator.pipeline.intake import NothingAnew
from remediator.storage.reading import ReadingStore

_MOST = 1000  # alerts of one run that are begun anew


class Opener(Protocol):
    """What opens alerts anew."""

    async def run_anew(self, idle: Sequence[Occurrence], again: Again) -> Accepted:
        """Open them all, or raise NothingAnew."""
        ...


@dataclass(frozen=True, slots=True)
class Begun:
    """What another run has been asked for with."""

    runs: tuple[tuple[RunId, RuleId], ...]
    joined: tuple[tuple[RunId, RuleId], ...]
    """Runs of the alert's group that were under way already, and that it has joined."""


class Reruns:
    """Has alerts that fire still begin another run."""

    def __init__(self, store: ReadingStore, opener: Opener, clock: Clock, redactor: Redactor) -> None:
        self._store = store
        self._opener = opener
        self._clock = clock
        self._redactor = redactor

    async def of_run(
        self, run_id: RunId, by: str, reason: str, *, person: Person | None = None, origin: str = ""
    ) -> Begun | None:
        """For all alerts of a run that fire still; None where there is no such run.

        Raises NothingAnew where nothing is begun, and StoreUnavailable.
        """
        run = await self._store.read_run(run_id)
        if run is None:
            return None
        if by_hand(run) is not None:
            raise NothingAnew(f"it was started by hand; start it so anew: remediator runs start {run.rule} -l …")
        found = await self._store.open_alerts_of(run_id, limit=_MOST + 1)
        if not found:
            newest = await self._store.newest_occurrence(run.alert.fingerprint)
            raise NothingAnew(await self._say_over(newest))
        if len(found) > _MOST:
            raise NothingAnew(f"the run has more than {_MOST} alerts that fire still; begin with one of them")
        return await self._begin(found, self._again(by, reason, person, origin))

    async def of_alert(
        self, fingerprint: str, by: str, reason: str, *, person: Person | None = None, origin: str = ""
    ) -> Begun | None:
        """For one alert; None where it was never heard of. Raises NothingAnew, and StoreUnavailable."""
        newest = await self._store.newest_occurrence(fingerprint)
        if newest is None:
            return None
        if fingerprint.endswith(BY_HAND):
            raise NothingAnew("it was stated by a person; start it so anew: remediator runs start RULE -l …")
        if newest.closed_at is not None:
            raise NothingAnew("the alert has resolved; when it fires again, it has a new run by itself")
        return await self._begin([newest], self._again(by, reason, person, origin))

    def _again(self, by: str, reason: str, person: Person | None, origin: str) -> Again:
        said = Again(self._clock.now(), self._redactor.text(by), self._redactor.text(reason), origin=origin)
        return said if person is None else replace(said, person=person.name, via=person.via.value)

    async def _begin(self, found: Sequence[Occurrence], again: Again) -> Begun:
        for one in found:
            if one.runs_ended_at is None:
                await self._refuse_under_way(one)
        accepted = await self._opener.run_anew(found, again)
        return Begun(accepted.new_runs, () if accepted.new_runs else await self._joined(found))

    async def _refuse_under_way(self, occurrence: Occurrence) -> None:
        """An occurrence that no rule has matched has no run, and never gets one by itself: it may be begun."""
        live = [run for run in await self._store.runs_of(occurrence.id) if run.ended_at is None]
        if live:
            run = live[0].id
            how = f"to stop it: remediator cancel {run}; see: remediator runs show {run}"
            raise NothingAnew(f"run {run} of this alert is under way; {how}")

    async def _joined(self, found: Sequence[Occurrence]) -> tuple[tuple[RunId, RuleId], ...]:
        newest = await self._store.newest_occurrence(found[0].fingerprint)
        runs = await self._store.runs_of(newest.id) if newest is not None else ()
        return tuple((run.id, run.rule) for run in runs)

    async def _say_over(self, newest: Occurrence | None) -> str:
        """Why none of a run's alerts is open as this run's own."""
        runs = await self._store.runs_of(newest.id) if newest is not None and newest.closed_at is None else ()
        if runs:
            return f"the alert has a later run already: {runs[0].id}; see: remediator runs show {runs[0].id}"
        return "the alert has resolved; when it fires again, it has a new run by itself"
