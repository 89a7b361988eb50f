"""Ends the work on a target that comes back again and again: what heals it for minutes is no remedy.

An alert that comes soon after its target was healed counts as the same problem's return. Refused are the return that is
one too many, by what the journal shows, and everything after it as long as the stop stands that it leads to.
"""

from collections.abc import Sequence
from datetime import datetime

from remediator.kit.wording import counted, say_time
from remediator.model.change import Change, Ending
from remediator.model.duration import say_duration
from remediator.model.history import Known, Question
from remediator.model.ids import RunId
from remediator.model.outcome import Reason
from remediator.model.stop import Stop, StopKind
from remediator.pipeline.guards.attempts import BY
from remediator.pipeline.guards.guard import Allow, Case, Refuse, Review, together
from remediator.pipeline.guards.standing import last_stop, lifted_at
from remediator.pipeline.guards.tries import of_target, of_targets
from remediator.pipeline.stops import how_to_lift


class Flapping:
    """No target of the plan may have come back so often. What has been begun is ended."""

    def asks(self, case: Case) -> tuple[Question, ...]:
        return () if case.begun else of_targets(case)

    def judge(self, case: Case, known: Known) -> Review:
        if case.begun:
            return Allow()
        return together([_judge(target, case, known) for target in case.targets])


def flapping_of(target: str, case: Case, known: Known) -> Stop | None:
    """Why a target is left alone for now: the stop that stands, else the one that this alert leads to."""
    scope = f"target:{target}"
    stop = last_stop(known, StopKind.FLAPPING, scope)
    if stop is not None and not stop.is_over(case.at):
        return stop
    lifted = lifted_at(known, StopKind.FLAPPING, scope, case.at)
    returns = _returns(case, known.latest(of_target(case, target)), since=lifted)
    limits = case.limits
    if case.run.id not in returns or len(returns) < limits.flapping.count:
        return None
    within = say_duration(limits.flapping_within)
    times = counted(len(returns), "time")
    reason = f"{times} since {say_time(min(returns.values()))} its alert came back within {within} of being healed"
    until = case.at + limits.flapping.window
    return Stop(StopKind.FLAPPING, scope, f"{reason}; the limit is {limits.flapping}", BY, case.at, until)


def _returns(case: Case, changes: Sequence[Change], *, since: datetime | None) -> dict[RunId, datetime]:
    """The runs whose alert was a return, the case's own among them, with the time when each alert came."""
    began = {change.run: change.alert_at for change in changes} | {case.run.id: case.run.created_at}
    healed = [(c.ended_at, c.run) for c in changes if c.ending is Ending.HEALED and c.ended_at is not None]
    horizon = case.run.created_at - case.limits.flapping.window
    return {
        run: at
        for run, at in began.items()
        if at > (horizon if since is None else max(horizon, since))
        and any(other != run and end <= at <= end + case.limits.flapping_within for end, other in healed)
    }


def _judge(target: str, case: Case, known: Known) -> Review:
    stop = flapping_of(target, case, known)
    if stop is None:
        return Allow()
    until = f"left alone until {say_time(stop.until)}" if stop.until else "left alone until somebody lifts it"
    return Refuse(Reason.FLAPPING, f"{target}: {stop.reason}; {until}, or until {how_to_lift(stop)}")
