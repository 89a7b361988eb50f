"""A rule that has failed may not act by itself until a person promotes it again: its plans are asked for."""

from remediator.kit.wording import say_time
from remediator.model.history import Known, Question
from remediator.model.outcome import Reason
from remediator.model.plan import Mode
from remediator.model.stop import Stop, StopKind
from remediator.pipeline.guards.guard import Allow, Ask, Case, Review, together
from remediator.pipeline.guards.standing import standing_in, stops_of
from remediator.pipeline.stops import how_to_lift


class Demotion:
    """Lowers `auto` to `gated`; lower modes ask a person anyway. What has been begun is ended."""

    def asks(self, case: Case) -> tuple[Question, ...]:
        return (standing_in(case),) if _concerns(case) else ()

    def judge(self, case: Case, known: Known) -> Review:
        if not _concerns(case):
            return Allow()
        return together([_ask(stop) for stop in stops_of(case, known, StopKind.DEMOTION)])


def _concerns(case: Case) -> bool:
    return case.mode is Mode.AUTO and not case.begun


def _ask(stop: Stop) -> Ask:
    detail = f"{stop.scope}: {stop.reason}; gated since {say_time(stop.at)}, until {how_to_lift(stop)}"
    return Ask(Reason.DEMOTED, detail)
