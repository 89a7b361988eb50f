"""Which limits hold for a remedy: the nearest place that says a figure counts.

Called wherever a plan is brought before the guards. Pure.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from enum import StrEnum
from typing import Any

from remediator.model.budget import Budget, Share
from remediator.model.duration import say_duration
from remediator.model.ids import Digest
from remediator.model.limits import Limits
from remediator.model.plan import Effect, Plan
from remediator.rules.book import Rule, Rung
from remediator.settings import LimitsSettings, PartialLimits

_MOST_KEPT = 10_000  # remedies


class Layer(StrEnum):
    """Where a figure comes from, the nearest place first."""

    REMEDY = "the remedy"
    RULE = "the rule"
    PACK = "the rule file"
    SETTINGS_OF_PACK = "the settings, for the pack"
    SETTINGS_OF_ACTION = "the settings, for the action"
    SETTINGS = "the settings"
    SHIPPED = "as shipped"


@dataclass(frozen=True, slots=True)
class Figure:
    """One limit as it holds, and what it comes from."""

    name: str
    value: Any
    layer: Layer
    path: tuple[str | int, ...] = ()
    """Where it stands: in the rule file, from its top (a rule's begins with its place in `rules`, as `-1`), or in the
    settings; empty for what is shipped."""

    @property
    def said(self) -> str:
        """The figure as people write it."""
        if isinstance(self.value, timedelta):
            return say_duration(self.value)
        return ", ".join(map(str, self.value)) if isinstance(self.value, tuple) else str(self.value)


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


def figures_of(settings: LimitsSettings, rule: Rule, rung: Rung, actions: Collection[str]) -> tuple[Figure, ...]:
    """The same limits, each with the layer that says it."""
    known = [name for name in sorted(set(actions)) if name in settings.actions]
    holds, of_actions = limits_of(settings, rule, rung, actions), _strictest([settings.actions[one] for one in known])
    of_pack = settings.packs.get(rule.pack)
    found = []
    for name in (field.name for field in fields(Limits)):
        value = getattr(holds, name)
        of_rule: tuple[tuple[Any, Layer, tuple[str | int, ...]], ...] = (
            (rung.limits, Layer.REMEDY, ("rules", -1, "remediate", rung.index, "limits", name)),
            (rule.limits, Layer.RULE, ("rules", -1, "limits", name)),
            (rule.pack_limits, Layer.PACK, ("limits", name)),
            (of_pack, Layer.SETTINGS_OF_PACK, ("limits", "packs", rule.pack, name)),
            (of_actions, Layer.SETTINGS_OF_ACTION, ("limits", "actions", _saying(settings, known, name, value), name)),
        )
        near = next(((layer, path) for part, layer, path in of_rule if getattr(part, name, None) is not None), None)
        found.append(Figure(name, value, *near) if near is not None else _of_settings(settings, name))
    return tuple(found)


def figures_of_settings(settings: LimitsSettings) -> tuple[Figure, ...]:
    """The limits that hold where nothing nearer says others."""
    return tuple(_of_settings(settings, field.name) for field in fields(Limits))


def _of_settings(settings: LimitsSettings, name: str) -> Figure:
    if name in settings.model_fields_set:
        return Figure(name, getattr(settings, name), Layer.SETTINGS, ("limits", name))
    return Figure(name, getattr(settings, name), Layer.SHIPPED)


def _saying(settings: LimitsSettings, actions: Sequence[str], figure: str, value: Any) -> str:
    """The action whose settings say a figure; of several one that says this value, else the first."""
    said = {name: one for name in actions if (one := getattr(settings.actions[name], figure, None)) is not None}
    return next((name for name, one in said.items() if one == value), next(iter(said), ""))


def limits_by(settings: LimitsSettings) -> LimitsOf:
    """Tells the limits of any plan of a rule."""

    found: dict[tuple[Digest, int, frozenset[str]], Limits] = {}

    def limits(rule: Rule, plan: Plan) -> Limits:
        actions = frozenset(step.action for step in plan.steps if step.effect is not Effect.READ)
        remedy = rule.digest, plan.rung, actions
        if remedy not in found:
            if len(found) >= _MOST_KEPT:
                found.clear()
            found[remedy] = limits_of(settings, rule, rule.rungs[plan.rung], actions)
        return found[remedy]

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
    "cooldown_after_deploy": max,
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
