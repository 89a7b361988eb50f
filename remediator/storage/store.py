"""The protocol of a store: what must be durable, and what is atomic with what.

Called by the pipeline. A store never decides anything itself: what an alert means is told to it by a `Judge`, and
what a step reserves comes as plain data, so that each engine can write it in its own best way. Every write of a run's
owner is fenced on owner and epoch and raises Fenced when the run belongs to somebody else. Every method raises
StoreUnavailable when it cannot be done now; nothing of it is then written.
"""

from typing import Protocol

from remediator.storage.audit import AuditStore
from remediator.storage.buttons import ButtonStore
from remediator.storage.commands import CommandStore
from remediator.storage.intake import IntakeStore
from remediator.storage.journal import JournalStore
from remediator.storage.outbox import OutboxStore
from remediator.storage.reading import ReadingStore
from remediator.storage.retention import RetentionStore
from remediator.storage.rules import RuleStore
from remediator.storage.runs import RunStore
from remediator.storage.tokens import TokenStore


class Store(
    RuleStore,
    IntakeStore,
    RunStore,
    ButtonStore,
    CommandStore,
    TokenStore,
    AuditStore,
    JournalStore,
    OutboxStore,
    ReadingStore,
    RetentionStore,
    Protocol,
):
    """Keeps everything; see the module's docstring for what holds of every method."""

    async def open(self) -> None:
        """Make it ready. Raises BadSettings where it cannot be used at all, with the reason."""
        ...

    async def close(self) -> None:
        """Write what was handed in, then close."""
        ...

    async def probe(self) -> None:
        """Write something and forget it; raises StoreUnavailable when that fails."""
        ...

    async def version(self) -> int:
        """The version of the tables."""
        ...
