"""What guards of the history keep, worked out as naively as can be, and the limits that they are held against."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from remediator.model.budget import Budget, Share
from remediator.model.change import Ending
from remediator.model.limits import Limits
from remediator.model.outcome import Reason
from remediator.model.stop import EVERYTHING
from remediator.pipeline.guards import Guard
from remediator.pipeline.guards.attempts import Attempts
from remediator.pipeline.guards.breaking import Breaking
from remediator.pipeline.guards.budgets import Budgets
from remediator.pipeline.guards.cooldown import Cooldown
from remediator.pipeline.guards.demotion import Demotion
from remediator.pipeline.guards.flapping import Flapping
from remediator.pipeline.guards.pauses import Pauses
from remediator.pipeline.guards.targets import Targets
from tests.unit.pipeline.guards.journal import (
    DB,
    DOWN,
    HOUR,
    KICK,
    MINUTE,
    PUSH,
    SLOW,
    WEB,
)

GUARDS: tuple[Guard, ...] = (
    Targets(),
    Pauses(),
    Attempts(),
    Flapping(),
    Breaking(),
    Budgets(),
    Cooldown(),
    Demotion(),
)
TIGHT = Limits(
    per_target=(Budget(4, HOUR),),
    per_rule=(Budget(6, HOUR), Budget(14, 6 * HOUR)),
    overall=(Budget(9, HOUR), Budget(20, 6 * HOUR)),
    cooldown=5 * MINUTE,
    attempts=Budget(3, HOUR),
    flapping=Budget(2, HOUR),
    flapping_within=5 * MINUTE,
    max_targets=Share(count=2),
    failures_in_row=3,
    failures_of_ten=4,
    trial_after=30 * MINUTE,
)
LOOSE = Limits(
    per_target=(),
    per_rule=(),
    overall=(),
    cooldown=timedelta(0),
    attempts=Budget(99, HOUR),
    flapping=Budget(99, HOUR),
    max_targets=Share(count=2),
    failures_in_row=99,
    failures_of_ten=99,
    trial_after=30 * MINUTE,
)
PROFILES = {
    "all": TIGHT,
    "budgets": replace(
        LOOSE,
        per_target=(Budget(2, HOUR),),
        per_rule=(Budget(3, HOUR), Budget(7, 6 * HOUR)),
        overall=(Budget(4, HOUR), Budget(9, 6 * HOUR)),
    ),
    "cooldown": replace(LOOSE, cooldown=5 * MINUTE),
    "attempts": replace(LOOSE, attempts=Budget(3, HOUR)),
    "flapping": replace(LOOSE, flapping=Budget(2, HOUR)),
    "breakers": replace(LOOSE, failures_in_row=3, failures_of_ten=4),
}
"""Each limit by itself too: with all of them at once the first hides the others."""
MOODS: tuple[tuple[Ending, ...], ...] = (
    (Ending.HEALED,),
    (Ending.NOT_HEALED, Ending.FAILED),
    (Ending.UNKNOWN, Ending.FAILED, Ending.HEALED),
    tuple(ending for ending in Ending if ending is not Ending.DONE),
)
CACHE, DISK = "thing:cache", "thing:disk"
HELD_FOR_A_TIME = (Reason.BUDGET_USED, Reason.COOLING_DOWN)
ALL = (CACHE, DB, DISK, WEB)
REFUSED = (Reason.QUARANTINED, Reason.FLAPPING, Reason.BREAKER_OPEN)
SCOPES = (EVERYTHING, "pack:web", f"rule:{DOWN}", f"target:{WEB}", f"action:{PUSH}")


@dataclass
class Underway:
    """A run as the flow has it."""

    name: str
    rule: str
    targets: tuple[str, ...]
    actions: tuple[str, ...]
    came: datetime
    process: int
    round: int = 1
    is_acting: bool = False

    @property
    def key(self) -> tuple[str, int]:
        return self.name, self.round

    @property
    def scopes(self) -> set[str]:
        named = {f"target:{t}" for t in self.targets} | {f"action:{a}" for a in self.actions}
        return {EVERYTHING, "pack:web", f"rule:{self.rule}"} | named


@dataclass
class NaiveBreaker:
    """A breaker that is told everything as it happens, and remembers it."""

    limits: Limits
    is_bad: Callable[[Ending], bool]
    is_good: Callable[[Ending], bool]
    results: list[bool] = field(default_factory=list)
    opened: datetime | None = None
    trials: dict[tuple[str, int], datetime] = field(default_factory=dict)

    def allows(self, at: datetime) -> bool:
        if self.opened is None:
            return True
        pause = self.limits.trial_after
        return at >= self.opened + pause and all(at >= began + pause for began in self.trials.values())

    def began(self, key: tuple[str, int], at: datetime) -> None:
        if self.opened is not None:
            self.trials[key] = at

    def ended(self, key: tuple[str, int], ending: Ending, at: datetime) -> None:
        if ending is Ending.NOT_BEGUN:  # nothing was tried
            self.trials.pop(key, None)
            return
        is_bad, is_good = self.is_bad(ending), self.is_good(ending)
        if self.opened is None:
            self.results += [is_good] if is_bad or is_good else []
            row = self.limits.failures_in_row
            is_row = self.results[-row:] == [False] * row
            if is_bad and (is_row or self.results[-10:].count(False) >= self.limits.failures_of_ten):
                self.opened = at
        elif key in self.trials and is_good:
            self.reset()
        elif key in self.trials or is_bad:
            self.opened, self.trials = at, {}

    def reset(self) -> None:
        self.results, self.opened, self.trials = [], None, {}


def naive_breakers(limits: Limits) -> dict[str, NaiveBreaker]:
    def failed(ending: Ending) -> bool:
        return ending in (Ending.FAILED, Ending.UNKNOWN)

    of_rules = {
        f"rule:{name}": NaiveBreaker(
            limits, lambda ending: failed(ending) or ending is Ending.NOT_HEALED, lambda ending: ending is Ending.HEALED
        )
        for name in (DOWN, SLOW)
    }
    of_actions = {
        f"action:{name}": NaiveBreaker(limits, failed, lambda ending: not failed(ending)) for name in (KICK, PUSH)
    }
    return of_rules | of_actions


def assert_within(times: list[datetime], budgets: tuple[Budget, ...]) -> None:
    """No window of a budget holds more than its count."""
    for budget in budgets:
        for first in times:
            assert sum(first <= at < first + budget.window for at in times) <= budget.count
