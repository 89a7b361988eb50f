"""How much of each budget is used now, and when it frees, for people who wonder why a rule waits, or will.

Asked by the API. It asks the journal what the guard of budgets asks, window by window, and changes nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from remediator.kit.clock import Clock
from remediator.model.budget import Budget
from remediator.model.history import Known, Nth, Which
from remediator.model.ids import RuleId
from remediator.model.plan import Effect
from remediator.pipeline.guards.budgets import ALL_RULES, Window, windows_of
from remediator.pipeline.guards.effective import limits_of
from remediator.pipeline.guards.engine import Look
from remediator.pipeline.rulebook import Rulebook
from remediator.rules.book import Rule
from remediator.settings import LimitsSettings

_MOST = 500  # changes of a window that are looked at one by one


@dataclass(frozen=True, slots=True)
class Used:
    """A window, and how much of it is used."""

    limit: str
    """The name of the limit: `per_target`, `per_rule` or `overall`."""
    what: str
    budget: Budget
    used: int
    """No more than the budget allows, however much was put back besides."""
    frees_at: datetime | None
    """When there is room for one more than now; None where nothing is used."""
    remedies: tuple[str, ...] = ()
    """The names of those for which it holds; none where it holds for everything."""
    is_least: bool = False
    """Whether more may be used than is told."""

    @property
    def is_used_up(self) -> bool:
        """Whether a change has to wait for it."""
        return self.used >= self.budget.count


class Usage:
    """Tells how much of budgets is used."""

    def __init__(self, look: Look, rulebook: Rulebook, settings: LimitsSettings, clock: Clock) -> None:
        self._look = look
        self._rulebook = rulebook
        self._settings = settings
        self._clock = clock

    async def of_everything(self) -> tuple[Used, ...]:
        """The budgets of all rules together. Raises StoreUnavailable."""
        return await self._used([Window("overall", ALL_RULES, Which(), one) for one in self._settings.overall], {})

    async def of_rule(self, name: RuleId, target: str = "") -> tuple[Used, ...] | None:
        """The budgets of a rule, and where a target is named those of it; None where there is no such rule.

        Raises StoreUnavailable.
        """
        rule = self._rulebook.book.get(name)
        if rule is None:
            return None
        remedies: dict[Window, list[str]] = {}
        for remedy, window in self._windows(rule, (target,) if target else ()):
            remedies.setdefault(window, []).append(remedy)
        return await self._used(remedies, remedies)

    def _windows(self, rule: Rule, targets: Sequence[str]) -> Iterable[tuple[str, Window]]:
        for rung in rule.rungs:
            actions = {step.action.name for step in rung.steps if step.action.effect is not Effect.READ}
            limits = limits_of(self._settings, rule, rung, actions)
            for window in windows_of(rule.id, limits, targets) if actions else ():
                yield rung.name, window

    async def _used(self, windows: Iterable[Window], remedies: dict[Window, list[str]]) -> tuple[Used, ...]:
        now = self._clock.now()
        asked = {window: _questions(window, now) for window in windows}
        known = await self._look(tuple(dict.fromkeys(one for questions in asked.values() for one in questions)))
        return tuple(_count(one, known, questions, remedies.get(one, ())) for one, questions in asked.items())


def _questions(window: Window, now: datetime) -> tuple[Nth, ...]:
    """When each of the newest changes was begun that count in a window."""
    since = now - window.budget.window
    return tuple(Nth(window.which, n, since) for n in range(1, min(window.budget.count, _MOST) + 1))


def _count(window: Window, known: Known, questions: Sequence[Nth], remedies: Iterable[str]) -> Used:
    begun = [at for question in questions if (at := known.nth(question)) is not None]
    is_least = len(begun) == _MOST < window.budget.count
    frees_at = begun[-1] + window.budget.window if begun and not is_least else None
    names = tuple(dict.fromkeys(remedies))
    return Used(window.limit, window.what, window.budget, len(begun), frees_at, names, is_least)
