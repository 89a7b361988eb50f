"""Holds a plan whose rule asks for what this version cannot do: it is better not done than done by half."""

from datetime import datetime, timedelta

from remediator.model.outcome import Reason
from remediator.model.plan import Plan
from remediator.pipeline.guards.guard import Allow, Hold, Review
from remediator.storage.store import Reservation

_LOOK_AGAIN = timedelta(minutes=10)


class Unbuilt:
    """The plan itself says what cannot be done."""

    async def review(self, plan: Plan, *, at: datetime) -> Review:
        if plan.held:
            return Hold(Reason.NOT_BUILT, at + _LOOK_AGAIN, "; ".join(plan.held))
        return Allow()

    def reserve(self, plan: Plan) -> tuple[Reservation, ...]:
        del plan
        return ()
