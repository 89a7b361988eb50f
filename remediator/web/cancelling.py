"""What will come of a person's wish that a run stops, in words. Pure; called by the API, which answers with it.

A step that is acting is let to its end, and whether what was done has helped is looked at all the same: so a run that
is cancelled then may well end as healed, and whoever asks has to know.
"""

from dataclasses import dataclass

from remediator.kit.wording import say_time
from remediator.model.run import Cancel, Run, Undo
from remediator.model.stage import Acted, InDoubt, Proven, cancelled, recurs_at, stage_of
from remediator.pipeline.undo.timing import under_way

_LOOKED_AT = "whether it has helped is still looked at, and nothing else is begun"


@dataclass(frozen=True, slots=True)
class Coming:
    """What will come of it."""

    says: str
    at_once: bool
    """Whether the run ends as cancelled as soon as it is looked at."""


def what_comes(run: Run) -> Coming:
    """What comes of a run that has not ended, once somebody wants it to stop."""
    if under_way(run) is not None:
        return Coming("what has not helped is being put back; that goes on, and then the run ends", at_once=False)
    match stage_of(run):
        case InDoubt(planned=planned, started=started) if started.step == planned.plan.steps[-1].id:
            return Coming(f"its last step is acting, and is let to its end; then {_LOOKED_AT}", at_once=False)
        case InDoubt():
            return Coming(
                "a step is acting, and is let to its end; then the run ends, and the rest is not done", at_once=False
            )
        case Proven() as stage if recurs_at(run, stage) is not None:
            return Coming("what it has done helps, and is not done again: the run ends", at_once=False)
        case Acted() | Proven():
            how = f"to have what it has changed put back: remediator undo {run.id}"
            return Coming(f"its steps are done: {_LOOKED_AT}; {how}", at_once=False)
        case _:
            return Coming("", at_once=True)


def say_asked(run: Run) -> str:
    """Who has asked for it before, and when; empty where nobody has."""
    match cancelled(run):
        case Cancel(by=by, at=at):
            return f"{by} has cancelled it already, at {say_time(at)}"
        case Undo(by=by, at=at):
            return f"{by} has asked for its changes to be put back already, at {say_time(at)}, which stops it as well"
        case None:
            return ""
