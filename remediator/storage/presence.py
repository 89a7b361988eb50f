"""A store that several processes share: who works on it, and who has which run.

Asked by the replica, which is what a process is to the others.
What holds of every method is said in `storage/store.py`.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from remediator.model.ids import OwnerId, RuleId, RunId
from remediator.storage.runs import Wake
from remediator.storage.store import Store


@dataclass(frozen=True, slots=True)
class Replica:
    """A process that works on the runs of a shared store, and how often it has said that it lives."""

    id: OwnerId
    name: str  # of its host, for people
    instance: str  # of its folder; who has it now has come after whoever had it before
    beats: int


@dataclass(frozen=True, slots=True)
class Roll:
    """Who works on the store."""

    replicas: tuple[Replica, ...]
    leader: OwnerId | None  # who posts and tidies; None while nobody does


class SharedStore(Store, Protocol):
    """A store that several processes work on at once. A run without an owner is claimed by one of them.

    Who lives is told by beats that are counted, and never by a clock: each process watches the others' counts.
    """

    def on_news(self, tell: Callable[[tuple[RunId, ...]], None]) -> None:
        """Have `tell` called when another process has left word for runs, or has left runs free. Calls may be lost."""
        ...

    async def join(self, replica: OwnerId, name: str) -> str:
        """Be one of those who work on it; the instance that it is. Raises BadSettings where another one is it now."""
        ...

    async def leave(self, replica: OwnerId) -> None:
        """Be none of them any more: what it had under way is free."""
        ...

    async def retire(self, replica: OwnerId, keeps: Collection[RunId]) -> None:
        """Be about to leave: lead no more, and free the runs that it had, but for those that it `keeps`."""
        ...

    async def beat(self, replica: OwnerId, *, willing: bool) -> Roll:
        """Say that it lives, and take the lead if it is `willing` and nobody who is on the roll has it.

        A process that does not find itself on the roll was buried, and has to join under another id.
        """
        ...

    async def bury(self, dead: Sequence[Replica]) -> tuple[OwnerId, ...]:
        """Strike from the roll those whose beats are still as many as were seen; who that were."""
        ...

    async def free_orphans(self) -> int:
        """Free runs whose owner is not on the roll, with a higher epoch, and make them due; how many there were.

        Some may be left for the next time.

        What such an owner still writes is refused from then on.
        """
        ...

    async def claim_due(
        self, owner: OwnerId, limit: int, *, oldest: bool = False, but_not: Collection[RuleId] = ()
    ) -> tuple[Wake, ...]:
        """Claim free runs that are due, but not of these rules: the most urgent, or those due for longest, first."""
        ...

    async def count_unclaimed(self, limit: int) -> int:
        """How many free runs are due, counted up to `limit`."""
        ...

    async def overdue(self, owner: OwnerId, before: datetime, limit: int) -> tuple[Wake, ...]:
        """Runs of this owner that were due before then, the oldest first.

        Its process works on them, or has never heard that a claim of its own was carried out.
        """
        ...
