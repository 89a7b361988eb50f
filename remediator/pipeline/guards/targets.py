"""Refuses a plan that would touch nothing, or more than it may: a rule often matches more than its author thought."""

from datetime import datetime

from remediator.model.outcome import Reason
from remediator.model.plan import Effect, Plan
from remediator.pipeline.guards.guard import Allow, Refuse, Review
from remediator.storage.store import Reservation


class Targets:
    """Every changing step needs a target, and all together no more than `most`, or than the rule says."""

    def __init__(self, most: int) -> None:
        self._most = most

    async def review(self, plan: Plan, *, at: datetime) -> Review:
        del at
        for step in plan.steps:
            if step.effect is not Effect.READ and not step.targets:
                return Refuse(Reason.NO_TARGET, step.sentence)
        names = sorted({target.name for target in plan.targets})
        most = self._most if plan.max_targets is None else plan.max_targets
        if len(names) > most:
            return Refuse(Reason.TOO_MANY_TARGETS, f"{len(names)} targets, at most {most}: {', '.join(names)}")
        return Allow()

    def reserve(self, plan: Plan) -> tuple[Reservation, ...]:
        del plan
        return ()
