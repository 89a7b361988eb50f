"""What the journal tells of earlier plans: the questions that guards share, and its entries put together by plan. Pure.

A plan that touched several targets, or by several actions, has several entries, and is one try all the same.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from remediator.model.change import Change, Ending
from remediator.model.history import MOST_CHANGES, Latest, Question, Which
from remediator.model.ids import RunId
from remediator.model.undo import is_undo_action
from remediator.pipeline.guards.guard import Case

LOOKS_BACK = timedelta(days=30)
"""What lies further back is forgotten, unless a limit's own time is longer."""

_LONGEST_CHANGE = timedelta(days=1)  # by so much a change may have begun before its end


@dataclass(frozen=True, slots=True)
class Try:
    """One plan that was begun, and what came of it as a whole: the worst of its entries."""

    run: RunId
    round: int
    at: datetime
    ending: Ending | None
    """None while an entry of it has none."""
    known_at: datetime
    """When the ending was known; when it was begun where there is none."""

    @property
    def key(self) -> tuple[RunId, int]:
        return self.run, self.round


_WORST_FIRST = (
    Ending.UNKNOWN,
    Ending.FAILED,
    Ending.NOT_HEALED,
    None,
    Ending.DONE,
    Ending.INCONCLUSIVE,
    Ending.HEALED,
    Ending.NOT_BEGUN,
)


def tries_of(changes: Iterable[Change]) -> tuple[Try, ...]:
    """The plans that these entries are of, in the order in which they were begun. To put something back is none."""
    by_plan: dict[tuple[RunId, int], list[Change]] = {}
    for change in changes:
        if is_undo_action(change.action):
            continue
        by_plan.setdefault((change.run, change.round), []).append(change)
    return tuple(sorted(map(_try, by_plan.values()), key=lambda one: (one.at, one.key)))


def _try(entries: list[Change]) -> Try:
    first, ending = entries[0], min((entry.ending for entry in entries), key=_WORST_FIRST.index)
    at = min(entry.at for entry in entries)
    ends = [entry.ended_at for entry in entries if entry.ending is ending and entry.ended_at is not None]
    return Try(first.run, first.round, at, ending, max(ends, default=at))


def of_target(case: Case, target: str) -> Latest:
    """The newest changes of a target by whatever rule: one question for all guards that look at a target's past."""
    limits = case.limits
    longest = max(limits.cooldown, limits.attempts.window, limits.flapping.window + limits.flapping_within)
    return Latest(Which(target=target), MOST_CHANGES, case.at - max(LOOKS_BACK, longest + _LONGEST_CHANGE))


def of_targets(case: Case) -> tuple[Question, ...]:
    """What stops stand, and the past of each target."""
    return (case.standing, *(of_target(case, target) for target in case.targets))


def of_rule(case: Case, *, if_bad: bool = True) -> Latest:
    """The newest changes by the case's rule."""
    return Latest(Which(rule=case.run.rule), MOST_CHANGES, case.at - LOOKS_BACK, if_bad)


def of_action(case: Case, action: str) -> Latest:
    """The newest changes by an action, whatever the rule."""
    return Latest(Which(action=action), MOST_CHANGES, case.at - LOOKS_BACK, if_bad=True)
