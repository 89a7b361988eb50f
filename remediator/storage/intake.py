"""What intake asks of a store: to take deliveries, and what is still to be found out about their alerts.

Asked by intake, and by those who decide doubts and look for what was left out.
What holds of every method is said in `storage/store.py`.
"""

from datetime import datetime
from typing import Protocol

from remediator.model.alert import CutGroup, Delivery
from remediator.model.ids import OwnerId
from remediator.model.occurrence import Accepted, Judge, Occurrence

CUT_GROUPS = 1000
"""How many groups wait to be fetched at the most; the one that was tried most often, or is the oldest, gives way."""


class IntakeStore(Protocol):
    """Keeps alerts and what is not sure about them."""

    async def accept(self, delivery: Delivery, judge: Judge, owner: OwnerId) -> Accepted:
        """Store a delivery's alerts and create the runs that they start, born claimed by `owner`, all or nothing.

        So is that alerts were left out of it; a later delivery of that group takes the place of an earlier one.

        `judge` is asked for each alert, in order, inside the transaction. An occurrence joins the open run of its
        group, if there is one, and the run is signalled, once for all that join it. A run is signalled that it has
        resolved when the last of its occurrences closes; from then on, as from its end on, none may join it.

        Raises what `judge` raises, and StoredAlready where an id that it names is that of something else.
        """
        ...

    async def due_doubts(self, at: datetime, limit: int, *, sent_again: bool = False) -> tuple[Occurrence, ...]:
        """Occurrences whose doubt is to be decided by now, the oldest first; or only those that were sent again."""
        ...

    async def unheard(self, before: datetime, limit: int) -> tuple[Occurrence, ...]:
        """Open occurrences of which nothing was heard since then. It may look through all that are open.

        Those that a person has stated are none of them: nobody ever sends them again.
        """
        ...

    async def due_cut_groups(self, at: datetime, limit: int) -> tuple[CutGroup, ...]:
        """Groups of which deliveries left alerts out, and that are to be asked for by now."""
        ...

    async def put_off_cut_group(self, group: CutGroup, ask_at: datetime) -> None:
        """Count one more try in vain; nothing where a newer delivery of the group has come meanwhile."""
        ...

    async def drop_cut_group(self, group: CutGroup) -> None:
        """Its alerts are here, or are given up; nothing where a newer delivery of the group has come meanwhile."""
        ...
