"""What anybody may look up in a store, without a claim on it.

Asked by the API, the commands, and by stages that look at more than their own run.
What holds of every method is said in `storage/store.py`.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from remediator.model.ids import OccurrenceId, RunId
from remediator.model.occurrence import Occurrence
from remediator.model.run import Run, RunSummary

SEARCHED = 100_000
"""Among how many runs those with an unknown step are looked for: as many as are kept, unless that is set otherwise."""


@dataclass(frozen=True, slots=True)
class PostState:
    """How far the telling of a message of a run is."""

    key: str
    title: str
    channel: str
    queued_at: datetime
    is_sent: bool
    """Whether its newest version stands there."""
    ref: str | None
    """Where it stands, once some version of it was sent."""


class ReadingStore(Protocol):
    """Shows runs, alerts and messages."""

    async def read_run(self, run: RunId) -> Run | None:
        """A run as it is, without claiming it."""
        ...

    async def list_runs(
        self, *, limit: int, outcome: str | None = None, active: bool = False, unsettled: bool = False
    ) -> tuple[RunSummary, ...]:
        """The newest runs first.

        With `unsettled` those with an unknown step of which no end is on record since, among the `SEARCHED` newest: it
        may take long.
        """
        ...

    async def runs_of(self, occurrence: OccurrenceId) -> tuple[RunSummary, ...]:
        """The runs that an occurrence has begun or joined, the newest first."""
        ...

    async def open_alerts_of(self, run: RunId, *, limit: int) -> tuple[Occurrence, ...]:
        """The occurrences of a run that are open, those that it began with first, with whole labels."""
        ...

    async def open_alerts_named(self, names: Collection[str], *, limit: int) -> tuple[Occurrence, ...]:
        """The open occurrences whose label `alertname` is one of these, with whole labels."""
        ...

    async def newest_occurrence(self, fingerprint: str) -> Occurrence | None:
        """The newest occurrence of an alert, open or closed."""
        ...

    async def list_occurrences(self, *, limit: int, only_open: bool = False) -> tuple[Occurrence, ...]:
        """The newest occurrences first; with `only_open` those that have not closed. Very long labels are cut."""
        ...

    async def posts_of(self, run: RunId, *, limit: int) -> tuple[PostState, ...]:
        """What is told of a run in its own thread, the oldest first, and how far the telling of it is."""
        ...
