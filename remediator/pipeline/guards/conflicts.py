"""One change at a time per target: a plan reserves each of its targets until its run has ended."""

from datetime import datetime

from remediator.model.plan import Plan
from remediator.pipeline.guards.guard import Allow, Review
from remediator.storage.store import Lock, Reservation


class Conflicts:
    """Keeps two runs from acting on one target. Whether it is free only the reservation itself can tell."""

    async def review(self, plan: Plan, *, at: datetime) -> Review:
        del plan, at
        return Allow()

    def reserve(self, plan: Plan) -> tuple[Reservation, ...]:
        return tuple(Lock(name) for name in sorted({target.name for target in plan.targets}))
