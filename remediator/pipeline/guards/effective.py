"""Which limits hold for a remedy: the nearest place that says a figure counts.

Called wherever a plan is brought before the guards. Pure.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import fields
from typing import Any

from remediator.model.budget import Budget, Share
from remediator.model.limits import Limits
from remediator.model.plan import Effect, Plan
from remediator.rules.book import Rule, Rung
from remediator.settings import LimitsSettings, PartialLimits

LimitsOf = Callable[[Rule, Plan], Limits]
"""Which limits hold for a plan of a rule."""


def limits_of(settings: LimitsSettings, rule: Rule, rung: Rung, actions: Collection[str]) -> Limits:
    """The limits of one rung, whose plan changes something by these actions.

    What its rule file says counts first (the rung, the rule, the pack), then the settings: for the pack, for the
    actions, for everything. How often anything may be changed at all is only the settings' to say.
    """
    of_actions = [settings.actions[name] for name in sorted(set(actions)) if name in settings.actions]
    layers = (rule.own_limits(rung), settings.packs.get(rule.pack), _strictest(of_actions), settings)
    return Limits(**{field.name: _first(layers, field.name) for field in fields(Limits)})


def limits_by(settings: LimitsSettings) -> LimitsOf:
    """Tells the limits of any plan of a rule."""

    def limits(rule: Rule, plan: Plan) -> Limits:
        actions = {step.action for step in plan.steps if step.effect is not Effect.READ}
        return limits_of(settings, rule, rule.rungs[plan.rung], actions)

    return limits


def _first(layers: Sequence[Any], name: str) -> Any:
    """What the first layer says that says anything; a layer need not know every figure."""
    said = (getattr(layer, name, None) for layer in layers)
    return next(value for value in said if value is not None)


def _strictest(parts: Sequence[PartialLimits]) -> PartialLimits:
    """The limits of several actions as one: of each figure the one that allows least."""
    said = {
        name: [v for part in parts if (v := getattr(part, name)) is not None] for name in PartialLimits.model_fields
    }
    return PartialLimits.model_construct(**{name: _STRICTEST[name](values) for name, values in said.items() if values})


def _every(budgets: Sequence[tuple[Budget, ...]]) -> tuple[Budget, ...]:
    return tuple(dict.fromkeys(budget for one in budgets for budget in one))


def _fewest(windows: Sequence[Budget]) -> Budget:
    """As few as the one and in as long a time as the other: stricter than each."""
    return Budget(min(one.count for one in windows), max(one.window for one in windows))


def _size(share: Share) -> float:
    return float(share.count or 0) if share.percent is None else share.percent


_STRICTEST: dict[str, Callable[[Sequence[Any]], Any]] = {
    "per_target": _every,
    "per_rule": _every,
    "cooldown": max,
    "attempts": _fewest,
    "flapping": _fewest,
    "flapping_within": max,
    "max_targets": lambda shares: min(shares, key=_size),
    "min_healthy": lambda shares: max(shares, key=_size),
    "failures_in_row": min,
    "failures_of_ten": min,
    "gated_after_failures": min,
    "gated_after_not_healed": min,
    "trial_after": max,
    "storm": _fewest,
    "storm_quiet": max,
}
