"""How often something may be changed: by a rule on one target, by a rule at all, by anybody here.

`Usage` tells people how much of that is used, with the windows and the questions that are judged here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from remediator.kit.wording import say_time
from remediator.model.budget import Budget
from remediator.model.history import Known, Nth, Question, Which
from remediator.model.ids import RuleId
from remediator.model.limits import Limits
from remediator.model.outcome import Reason
from remediator.pipeline.guards.guard import Allow, Case, Hold, Refuse, Review, together

ALL_RULES = "all rules together"


@dataclass(frozen=True, slots=True)
class Window:
    """One budget: of what, and how often. `limit` is its name in settings and rule files."""

    limit: str
    what: str
    which: Which
    budget: Budget
    takes: int = 1
    """How many changes the plan is: one of each of its targets."""

    @property
    def is_too_small(self) -> bool:
        return self.takes > self.budget.count

    def question(self, at: datetime) -> Nth:
        """When the change was that leaves too little room."""
        return Nth(self.which, self.budget.count - self.takes + 1, at - self.budget.window)


class Budgets:
    """Each window of each budget must have room for this plan. One that is too small for it refuses."""

    def asks(self, case: Case) -> tuple[Question, ...]:
        return tuple(window.question(case.at) for window in _windows(case) if not window.is_too_small)

    def judge(self, case: Case, known: Known) -> Review:
        return together([_judge(window, case.at, known) for window in _windows(case)])


def _windows(case: Case) -> Iterator[Window]:
    if case.begun:  # its plan was counted when its first step was started
        return
    yield from windows_of(case.run.rule, case.limits, case.targets)


def windows_of(rule: RuleId, limits: Limits, targets: Sequence[str]) -> Iterator[Window]:
    """Every window that a change of these targets by a rule needs room in."""
    for target in targets:
        for budget in limits.per_target:
            yield Window("per_target", f"{target} by this rule", Which(rule=rule, target=target), budget)
    for budget in limits.per_rule:
        yield Window("per_rule", "this rule", Which(rule=rule), budget, len(targets))
    for budget in limits.overall:
        yield Window("overall", ALL_RULES, Which(), budget, len(targets))


def _judge(window: Window, at: datetime, known: Known) -> Review:
    if window.is_too_small:
        return Refuse(Reason.BUDGET_USED, f"{window.what}: {window.budget} is too little for a plan of {window.takes}")
    used_up = known.nth(window.question(at))
    if used_up is None:
        return Allow()
    free = used_up + window.budget.window
    detail = f"{window.what}: {window.budget} is used up; there is room again at {say_time(free)}"
    return Hold(Reason.BUDGET_USED, free, detail)
