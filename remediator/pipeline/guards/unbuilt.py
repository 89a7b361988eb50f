"""Holds a plan whose rule asks for what this version cannot do: it is better not done than done by half."""

from datetime import timedelta

from remediator.model.history import Known, Question
from remediator.model.outcome import Reason
from remediator.pipeline.guards.guard import Allow, Case, Hold, Review

_LOOK_AGAIN = timedelta(minutes=10)


class Unbuilt:
    """The plan itself says what cannot be done."""

    def asks(self, case: Case) -> tuple[Question, ...]:
        del case
        return ()

    def judge(self, case: Case, known: Known) -> Review:
        del known
        if case.plan.held:
            return Hold(Reason.NOT_BUILT, case.at + _LOOK_AGAIN, "; ".join(case.plan.held))
        return Allow()
