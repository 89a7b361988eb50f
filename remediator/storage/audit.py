"""The audit journal as a store keeps it; most entries come with the write of what they tell of.

Asked by who seals the entries, and by who shows them.
What holds of every method is said in `storage/store.py`.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from remediator.model.audit import AuditEntry, Part, Sealed
from remediator.model.ids import RunId


class AuditStore(Protocol):
    """Keeps the audit journal."""

    async def audit(self, entries: Sequence[AuditEntry]) -> None:
        """Enter what belongs to no other write."""
        ...

    async def audit_page(
        self, *, after: int, limit: int, run: RunId | None = None, part: Part = Part.ALL
    ) -> tuple[Sealed, ...]:
        """Entries after a place, in the order of the chain, and then those that have no place yet; or those of one run.

        None can come before a place of a page any more, however late it was committed. Of those that are not sealed
        alone, `after` is a `seq`.
        """
        ...

    async def audit_head(self) -> tuple[int, str]:
        """The place and the seal of the newest sealed entry; 0 and an empty text where there is none."""
        ...

    async def audit_begin(self) -> tuple[int, str]:
        """The place and the seal of the newest entry that was dropped; 0 and an empty text where none was."""
        ...

    async def audit_unsealed(self) -> int:
        """How many entries are not sealed yet."""
        ...

    async def seal_audit(self, seal: Callable[[str, int, AuditEntry], str], key: str, limit: int) -> int:
        """Seal what is not sealed, at most so much; how much that was.

        `seal` is given the seal before, the place and the entry. Two processes never give out the same place: one that
        comes while another one seals does nothing.
        """
        ...

    async def drop_audit(self, before: datetime, limit: int, told: Callable[[int, str], AuditEntry]) -> int:
        """Drop the oldest sealed entries that are older than that, about `limit` of them; how many there were.

        The newest one of all stays. So does the seal of the newest that is dropped, as the chain goes on from there,
        and the entry that `told` makes of its place and seal is entered with it.
        """
        ...
