"""Closing the breaker of a system by hand: entered in the audit journal first, and done only then. The API calls it."""

from collections.abc import Sequence

from remediator.kit.clock import Clock
from remediator.kit.redaction import Redactor
from remediator.model.person import ADMIN, Person, Via
from remediator.model.system import SystemState
from remediator.pipeline import auditing
from remediator.pipeline.systems import Systems
from remediator.storage.audit import AuditStore


class Resetting:
    """The breakers of systems, as people see them and close them."""

    def __init__(self, systems: Systems, store: AuditStore, clock: Clock, redactor: Redactor) -> None:
        self._systems = systems
        self._store = store
        self._clock = clock
        self._redactor = redactor

    def states(self) -> Sequence[SystemState]:
        """Every system that was asked lately, those that do not answer first."""
        return self._systems.states()

    async def reset(self, name: str, by: str, *, person: Person | None = None, origin: str = "") -> bool:
        """Close the breaker of a system; False where none of that name has one. Raises StoreUnavailable.

        `person` is who that is, for the audit journal; without it, it is whoever has the admin token.
        """
        if not any(state.name == name and state.stand is not None for state in self._systems.states()):
            return False
        who = person or Person(ADMIN, Via.ADMIN, by, is_known=True)
        await self._store.audit([auditing.of_reset(name, self._clock.now(), self._redactor, who, origin)])
        return self._systems.reset(name, by)
