"""Refuses a plan that would touch nothing, or more than it may: a rule often matches more than its author thought."""

from remediator.model.history import Known, Question
from remediator.model.outcome import Reason
from remediator.model.plan import Effect
from remediator.pipeline.guards.guard import Allow, Case, Refuse, Review


class Targets:
    """Every changing step needs a target, and all together no more than the limits say."""

    def asks(self, case: Case) -> tuple[Question, ...]:
        del case
        return ()

    def judge(self, case: Case, known: Known) -> Review:
        del known
        for step in case.plan.steps:
            if step.effect is not Effect.READ and not step.targets:
                return Refuse(Reason.NO_TARGET, step.sentence)
        names = case.targets
        most = case.limits.max_targets.count
        if most is not None and len(names) > most:
            return Refuse(Reason.TOO_MANY_TARGETS, f"{len(names)} targets, at most {most}: {', '.join(names)}")
        return Allow()
