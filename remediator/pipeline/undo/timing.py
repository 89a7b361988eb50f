"""When the changes of a run are to be put back, and why. Pure: decided by the run's facts and signals alone.

Called by the flow, and for the timer of a run that rests. It is worked out anew each time, so a restart, a takeover or
time that was spent switched off need nothing more: what is due by now is put back now.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from remediator.model.facts import Ended, Finished, Planned, StepStatus
from remediator.model.run import Run, Undo
from remediator.model.stage import resolved
from remediator.model.undo import Cause, Undoing, Undone, undone_by
from remediator.pipeline.undo.verdicts import Asks, PutBack, Steps, verdicts_on

_BY_ITSELF = (Cause.TIME_OVER, Cause.RESOLVED)


@dataclass(frozen=True, slots=True)
class _Temporary:
    """What one round has changed for a while."""

    round: int
    until: datetime


def under_way(run: Run) -> Undoing | None:
    """The undoing that has begun and is not over."""
    over = {fact.count for fact in run.facts if isinstance(fact, Undone)}
    return next((fact for fact in run.facts if isinstance(fact, Undoing) and fact.count not in over), None)


def next_undoing(run: Run) -> datetime | None:
    """When a run that has ended is to put something back by itself; in the past where it is to do so at once.

    None where nothing is, and while it is being put back.
    """
    ended = next((fact for fact in run.facts if isinstance(fact, Ended)), None)
    if ended is None or under_way(run) is not None:
        return None
    if due_undoing(run, ended.at) is not None:
        return ended.at
    return min((one.until for one in _temporary(run)), default=None)


def times_over(run: Run) -> Mapping[int, datetime]:
    """By round, when what it has changed for a while is put back by itself; without those where that was tried."""
    return {one.round: one.until for one in _temporary(run)}


def due_undoing(run: Run, now: datetime) -> Undoing | None:
    """The undoing that a run which has ended is to begin now: what people ask for comes first."""
    asked = [signal for signal in run.signals if isinstance(signal, Undo)]
    answered = sum(fact.answers for fact in run.facts if isinstance(fact, Undoing))
    if len(asked) > answered:
        wish = asked[-1]
        left = len(asked) - answered
        return Undoing(now, _next(run), Cause.ASKED, by=wish.by, reason=wish.reason, answers=left)
    word = resolved(run)
    for one in _temporary(run):
        if word is not None:
            why = f"{word.anew} has had another run begun for it" if word.anew else ""
            return Undoing(now, _next(run), Cause.RESOLVED, one.round, reason=why)
        if one.until <= now:
            return Undoing(now, _next(run), Cause.TIME_OVER, one.round)
    return None


def due_rollback(run: Run, round_: int, now: datetime) -> Undoing | None:
    """The undoing of a round that has not helped; None where it was done, and where there is nothing to put back.

    Where a person has to look at what may have been done, it tells so, and puts nothing back.
    """
    if _rollback(run, round_) is not None:
        return None
    if not any(isinstance(verdict, PutBack | Asks) for verdict in verdicts_on(run.facts, round=round_)):
        return None
    return Undoing(now, _next(run), Cause.NOT_HELPED, round_)


def what_came_of_rollback(run: Run, round_: int) -> Undone | None:
    """What became of the changes of a round that has not helped; None where that was not begun, or goes on."""
    undoing = _rollback(run, round_)
    if undoing is None:
        return None
    return next((fact for fact in run.facts if isinstance(fact, Undone) and fact.count == undoing.count), None)


def _rollback(run: Run, round_: int) -> Undoing | None:
    return next(
        (
            fact
            for fact in run.facts
            if isinstance(fact, Undoing) and (fact.cause, fact.round) == (Cause.NOT_HELPED, round_)
        ),
        None,
    )


def _next(run: Run) -> int:
    return 1 + sum(isinstance(fact, Undoing) for fact in run.facts)


def _temporary(run: Run) -> Iterator[_Temporary]:
    """What is still as it was set for a while, the newest first; tried once, it waits for a person."""
    plans = {fact.round: fact.plan for fact in run.facts if isinstance(fact, Planned)}
    if all(plan.lasts is None for plan in plans.values()):
        return  # as in most runs
    tried = {fact.round for fact in run.facts if isinstance(fact, Undoing) and fact.cause in _BY_ITSELF}
    steps, ends = Steps(run.facts), _ends_of_steps(run)
    for round_, plan in reversed(plans.items()):
        if plan.lasts is None or round_ in tried:
            continue
        if any(isinstance(one, PutBack | Asks) for one in steps.verdicts(round=round_)):
            ended = ends.get(round_, [])
            acted = [fact.at for fact in ended if fact.status is not StepStatus.FAILED]
            acted = acted or [fact.at for fact in ended]  # it failed, and an earlier try of it may have acted
            if acted:
                yield _Temporary(round_, max(acted) + plan.lasts)


def _ends_of_steps(run: Run) -> Mapping[int, list[Finished]]:
    """By round, how its own steps have ended."""
    found: dict[int, list[Finished]] = {}
    for fact in run.facts:
        if isinstance(fact, Finished) and undone_by(fact.step) is None:
            found.setdefault(fact.round, []).append(fact)
    return found
