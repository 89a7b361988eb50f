"""Refuses a plan that would touch nothing, or more than it may: a rule often matches more than its author thought.

And one that would begin with several at once: what goes wrong with the first target must not go wrong with all.
"""

from remediator.kit.redaction import shorten
from remediator.model.history import Known, Question
from remediator.model.outcome import Reason
from remediator.model.plan import Effect, PlannedStep
from remediator.model.waves import too_broad
from remediator.pipeline.guards.guard import Allow, Case, Refuse, Review

_MOST_SAID = 300


class Targets:
    """Every changing step needs a target, all together no more than the limits say, and several go in waves."""

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
        broad = None if case.begun else too_broad(case.plan.steps)
        return Allow() if broad is None else Refuse(Reason.NO_RAMP, _say_broad(broad))


def _say_broad(step: PlannedStep) -> str:
    names = sorted({target.name for target in step.targets})
    why = f"{step.action} cannot be told to act on a part of them (it has no `for_targets`)"
    return f"{step.sentence}: {len(names)} targets at once, and {why}: {shorten(', '.join(names), _MOST_SAID)}"
