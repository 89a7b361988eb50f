"""Leaves a target alone for a while after another run has changed it, so that what it did can show.

The time counts from the end of that change, where it is known: a change that takes longer than the cooldown (a rollout,
and the proof that it helped) would else be over with no time left for its effect to be seen. A change without an end
counts from its start; meanwhile its lock keeps others away.
"""

from datetime import datetime

from remediator.kit.wording import say_time
from remediator.model.change import Change
from remediator.model.duration import say_duration
from remediator.model.history import Known, Question
from remediator.model.outcome import Reason
from remediator.pipeline.guards.guard import Allow, Case, Hold, Review, together
from remediator.pipeline.guards.tries import of_target


class Cooldown:
    """Each target of the plan must have been left alone long enough. A run's own later remedies need not wait."""

    def asks(self, case: Case) -> tuple[Question, ...]:
        return () if case.begun else tuple(of_target(case, target) for target in case.targets)

    def judge(self, case: Case, known: Known) -> Review:
        if case.begun:  # the lock has kept others away since
            return Allow()
        return together([_judge(target, case, known) for target in case.targets])


def _judge(target: str, case: Case, known: Known) -> Review:
    others = [change for change in known.latest(of_target(case, target)) if change.run != case.run.id]
    if not others:
        return Allow()
    last = max(others, key=_over_at)
    free = _over_at(last) + case.limits.cooldown
    if free <= case.at:
        return Allow()
    what = f"{target}: run {last.run} ({last.rule}) has changed it, {say_time(_over_at(last))}"
    cooldown = say_duration(case.limits.cooldown)
    return Hold(Reason.COOLING_DOWN, free, f"{what}; the cooldown of {cooldown} is over at {say_time(free)}")


def _over_at(change: Change) -> datetime:
    return change.ended_at or change.at
