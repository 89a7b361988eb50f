"""What became known, since a stop was put, of the runs that are its reason. Pure.

Whether a step was done may become known late: it ends after all, or a person says so. The journal tells the truth from
then on, and whatever counts goes by that. A stop that stands already stays until a person lifts it, or a breaker's
trial goes well: who decides on that is told what became known, wherever the stop is told of.
"""

from collections.abc import Iterable
from datetime import datetime

from remediator.kit.wording import say_time
from remediator.model.change import Change
from remediator.model.facts import LateFinished, Settled, StepStatus
from remediator.model.history import MOST_CHANGES, Latest, Which
from remediator.model.ids import RuleId
from remediator.model.run import Run
from remediator.model.stage import found_out
from remediator.model.stop import Stop, StopKind
from remediator.pipeline.guards.tries import LOOKS_BACK, Try, tries_of

_BY_THE_JOURNAL = (StopKind.DEMOTION, StopKind.BREAKER, StopKind.QUARANTINE)


def question_about(stop: Stop, at: datetime) -> Latest | None:
    """What `settled_since` has to know; None for a stop that was not put because of what came of changes."""
    kind, _, name = stop.scope.partition(":")
    which = {"rule": Which(rule=RuleId(name)), "action": Which(action=name), "target": Which(target=name)}.get(kind)
    if stop.kind not in _BY_THE_JOURNAL or which is None:
        return None
    return Latest(which, MOST_CHANGES, at - LOOKS_BACK)


def causes_of(stop: Stop, changes: Iterable[Change]) -> tuple[Try, ...]:
    """What its reason names: begun before the stop was put, so that a run's later rounds are not meant."""
    return tuple(one for one in tries_of(changes) if one.run in stop.reason and one.at <= stop.at)


def settled_since(stop: Stop, changes: Iterable[Change]) -> str:
    """What its causes count as by now, where that was not known when it was put; empty where nothing is new."""
    news = [
        f"run {one.run} counts as {one.ending} ({say_time(one.known_at)})"
        for one in causes_of(stop, changes)
        if one.ending is not None and one.known_at > stop.at
    ]
    return f"since then: {', '.join(news)}" if news else ""


def found_since(stop: Stop, run: Run) -> str:
    """What became known, since it was put, of a step of a cause that was unknown; empty where nothing did.

    The proof has the last word on what the change counts as, so this may be more than the journal tells.
    """
    match found_out(run):
        case Settled(at=at, done=done, by=by) if at > stop.at:
            return f"run {run.id}: its unknown step {'was done' if done else 'was not done'}, says {by}"
        case LateFinished(at=at, status=status) if at > stop.at and status is not StepStatus.UNKNOWN:
            return f"run {run.id}: its unknown step ended late: {status}"
    return ""
