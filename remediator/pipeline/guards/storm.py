"""Holds new changes while very many alerts come: they have a cause in common, and no single remedy is for that.

What is counted are the alerts with which runs began, whether anything was to be changed by them or not, and each of
them once for a rule: there is a run for each, or for each group that the rule makes. One that comes and goes begins a
run each time and makes no storm; `Flapping` sees to it. `Lessons` puts the stop that shows a storm to people and to
every process, and prolongs it while more alerts come. Its end is the end of the storm; what came before that does not
count any more, whether it has ended by itself or a person has lifted it. The end of a storm of everything is also that
of each rule's.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from remediator.kit.wording import say_time
from remediator.model.budget import Budget
from remediator.model.duration import say_duration
from remediator.model.history import Known, Question, Recent
from remediator.model.ids import RuleId
from remediator.model.outcome import Reason
from remediator.model.stop import EVERYTHING, Stop, StopKind
from remediator.pipeline.guards.attempts import BY
from remediator.pipeline.guards.guard import Case, Hold, Review, together
from remediator.pipeline.guards.standing import last_stop, lifted_at
from remediator.pipeline.stops import how_to_lift

_OF_ONE_RULE = 5
"""How many alerts of one rule count where those of all rules are counted."""


class Storm:
    """Neither the rule nor everything may be in a storm. What has been begun is ended."""

    def asks(self, case: Case) -> tuple[Question, ...]:
        return () if case.begun else questions(case)

    def judge(self, case: Case, known: Known) -> Review:
        if case.begun:
            return together([])
        return together([_hold(stop, case) for stop in storms_of(case, known)])


def questions(case: Case) -> tuple[Question, ...]:
    """What `storms_of` has to know."""
    return (case.standing, *(flood.question(case) for flood in _floods(case)))


def storms_of(case: Case, known: Known) -> tuple[Stop, ...]:
    """The storms that this case is in now, each with the end that it has if no more alerts come.

    Where everything is in one, that of its rule is a part of it: there is one message, and one end.
    """
    found = [_storm(flood, case, known) for flood in _floods(case)]
    there = [stop for stop in found if stop is not None and not stop.is_over(case.at)]
    return tuple([stop for stop in there if stop.scope == EVERYTHING] or there)


@dataclass(frozen=True, slots=True)
class _Flood:
    """So many alerts, of one rule or of all, are a storm."""

    scope: str
    what: str
    limit: Budget
    rule: RuleId | None = None

    def question(self, case: Case) -> Recent:
        since = case.at - max(self.limit.window, case.limits.storm_quiet)
        return Recent(since, max(self.limit.count, 1), self.rule, None if self.rule else _OF_ONE_RULE)


def _floods(case: Case) -> Iterator[_Flood]:
    if not case.limits.storm_quiet:  # it would be over as soon as it has begun
        return
    rule = case.run.rule
    yield _Flood(f"rule:{rule}", f"alerts of {rule}", case.limits.storm, rule)
    yield _Flood(EVERYTHING, f"alerts of all rules ({_OF_ONE_RULE} of each at the most)", case.limits.storm_overall)


def _storm(flood: _Flood, case: Case, known: Known) -> Stop | None:
    """The one that stands, else the one that has begun; it may be over by now."""
    stop, begun = last_stop(known, StopKind.STORM, flood.scope), known.recent(flood.question(case))
    if stop is not None and not stop.is_over(case.at):
        if stop.until is None or not begun:
            return stop
        return replace(stop, until=max(stop.until, begun[0] + case.limits.storm_quiet))
    ends = (lifted_at(known, StopKind.STORM, scope, case.at) for scope in (flood.scope, EVERYTHING))
    since = max([case.at - flood.limit.window, *(end for end in ends if end is not None)])
    begun = [at for at in begun if at > since]
    if len(begun) < max(flood.limit.count, 1):
        return None
    quiet = say_duration(case.limits.storm_quiet)
    reason = (
        f"{len(begun)} {flood.what} since {say_time(begun[-1])}, and the limit is {flood.limit}: please look for what "
        f"they have in common. It ends when no more have come for {quiet}"
    )
    return Stop(StopKind.STORM, flood.scope, reason, BY, case.at, begun[0] + case.limits.storm_quiet)


def _hold(stop: Stop, case: Case) -> Hold:
    """Its words stay the same while more alerts come, so that a run is told of a storm once."""
    limit = next((flood.limit for flood in _floods(case) if flood.scope == stop.scope), None)
    quiet = say_duration(case.limits.storm_quiet)
    detail = (
        f"{stop.scope}: as many alerts as {limit} are a storm; new changes wait until none has come for {quiet}, or "
        f"until {how_to_lift(stop)}"
    )
    return Hold(Reason.STORM, stop.until or case.at + case.limits.storm_quiet, detail)
