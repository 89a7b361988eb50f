"""The stop switch: what a person has paused is not changed until it is resumed, or until the pause ends.

It is heeded at each step, also in the middle of a plan.
"""

from datetime import timedelta

from remediator.kit.wording import say_time
from remediator.model.history import Known, Question
from remediator.model.outcome import Reason
from remediator.model.stop import Stop, StopKind
from remediator.pipeline.guards.guard import AlsoOfUndoing, Case, Hold, Review, together
from remediator.pipeline.guards.standing import stops_of
from remediator.pipeline.stops import how_to_lift

_LOOK_AGAIN = timedelta(minutes=10)


class Pauses(AlsoOfUndoing):
    """A pause of everything, or of the plan's pack, rule, actions or targets, holds it."""

    def asks(self, case: Case) -> tuple[Question, ...]:
        return (case.standing,)

    def judge(self, case: Case, known: Known) -> Review:
        return together([_hold(stop, case) for stop in stops_of(case, known, StopKind.PAUSE)])


def _hold(stop: Stop, case: Case) -> Hold:
    until = f"until {say_time(stop.until)}" if stop.until else "until somebody resumes it"
    why = f" ({stop.reason})" if stop.reason else ""
    detail = f"{stop.scope}: by {stop.by}{why}, since {say_time(stop.at)}, {until}; to go on: {how_to_lift(stop)}"
    return Hold(Reason.PAUSED, stop.until or case.at + _LOOK_AGAIN, detail)
