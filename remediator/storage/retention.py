"""What a store forgets, and how much it takes.

Asked by housekeeping.
What holds of every method is said in `storage/store.py`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

JOURNAL_KEPT = timedelta(days=31)
"""No guard looks back further than that; a store that keeps its runs longer keeps what was changed as long."""


@dataclass(frozen=True, slots=True)
class Retention:
    """What is old enough to be forgotten: what ended before a time, and all but so many of the newest.

    What ended at `settled` or later stays, however much of it there is: intake still judges repeats by it.
    """

    before: datetime
    at_most: int
    settled: datetime


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How much was deleted."""

    runs: int = 0
    occurrences: int = 0
    rules: int = 0
    notices: int = 0
    changes: int = 0
    stops: int = 0

    def __bool__(self) -> bool:
        return self != Forgotten()

    def __add__(self, other: "Forgotten") -> "Forgotten":
        return Forgotten(
            self.runs + other.runs,
            self.occurrences + other.occurrences,
            self.rules + other.rules,
            self.notices + other.notices,
            self.changes + other.changes,
            self.stops + other.stops,
        )


class RetentionStore(Protocol):
    """Forgets what is old."""

    async def forget(self, old: Retention, *, limit: int) -> Forgotten:
        """Delete what is old, the oldest first, at most `limit` of each kind, holding up no other write for long.

        A run is finished when it has ended, has nothing to do (no wake-up), and none of its occurrences is open. It is
        old if it ended before `old.before`, or if at least `old.at_most` finished runs ended later; ids break ties. An
        old run goes with its facts, signals, posts, members and lapsed locks, unless it ended at `old.settled` or
        later, a post of it is not sent, or it holds a lock now. What stays for these reasons counts, all the same.

        A closed occurrence without a doubt is old in the same way by the time when it closed; it goes unless that was
        at `old.settled` or later, or a run has it as a member or began with it. A rule goes that no run was started
        with and that was last remembered before `old.before` and `old.settled`: whoever calls this remembers the rules
        in force far more often than that. A notice goes that is sent, and was queued before `old.before`; so does one
        that has told another place of a run (`NEWS`) where at least `old.at_most` notices that are sent were queued
        later, unless it was queued at `old.settled` or later. What the journal tells, and stops that were lifted or
        ended by themselves, go when that was before `old.before` and is more than `JOURNAL_KEPT` ago.

        It is called again until nothing was deleted.
        """
        ...

    async def size(self) -> int:
        """How many bytes everything takes where it is kept, with what is free for new rows."""
        ...
