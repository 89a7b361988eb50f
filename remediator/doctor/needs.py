"""What the loaded rules need of the outside, read off their steps: which engines, servers, folders, commands. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from remediator.documents import Path
from remediator.errors import BadExpression
from remediator.model.ids import RuleId
from remediator.model.plan import Effect, Mode
from remediator.plugins import Permission
from remediator.rules.book import Book, Rule, Rung, Step
from remediator.rules.expressions import Scope, Template
from remediator.rules.loading import path_of

_NAMED_BY = {
    "docker": "engine",
    "redis": "server",
    "postgres": "server",
    "files": "root",
    "command": "command",
}
"""The parameter by which the actions of a family name what they need."""
_ALONE = frozenset({"alertmanager"})
"""Families whose actions need the one system that there is, which has no name."""
ESCALATION = "escalation"
"""The family of the levels that rules escalate to."""
_SILENCING = tuple(
    Permission(call, without=lost)
    for call, lost in (
        ("GET /api/v2/silences", "alerts that run are not silenced"),
        ("POST /api/v2/silences", "alerts that run are not silenced"),
        ("DELETE /api/v2/silence/{id}", "a silence is not ended before its time"),
    )
)
"""What the `silence` of a rule needs of Alertmanager."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A permission that rules need, by the actions that they use."""

    name: str
    users: tuple[str, ...]
    """Who uses it: `docker.restart in web/down, web/slow`."""
    without: str
    """What is missing without it; empty where an action is of no use then."""

    @property
    def users_say(self) -> str:
        """Who uses it, as a sentence's end."""
        return "; ".join(self.users)


@dataclass(frozen=True, slots=True)
class Use:
    """A place in a rule."""

    rule: RuleId
    path: Path
    """From the rule on."""


@dataclass(slots=True)
class Needs:
    """What rules need, by the family of actions (`docker`), then by name; with the rules that need it."""

    by_name: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    places: dict[tuple[str, str], list[Use]] = field(default_factory=dict)
    """Where each of those is named."""
    families: dict[str, set[str]] = field(default_factory=dict)
    changed: set[tuple[str, str]] = field(default_factory=set)
    """Those that a rule may change."""
    alertnames: dict[str, set[str]] = field(default_factory=dict)
    """Alerts that rules ask for by name."""
    acting: dict[str, bool] = field(default_factory=dict)
    """Rules that may change something, each with whether it asks a person first even where it may act by itself."""
    uses: dict[tuple[str, str], dict[tuple[str, tuple[Permission, ...]], set[str]]] = field(default_factory=dict)
    """What rules do there: the actions by name, with what has to be permitted for them, and the rules that use them."""

    def rules_with(self, family: str, name: str) -> str:
        """The rules that need it, as a list for people."""
        return ", ".join(sorted(self.by_name.get((family, name), ())))

    def names(self, family: str) -> list[str]:
        """What is needed of a family, sorted."""
        return sorted(name for kind, name in self.by_name if kind == family)

    def permissions(self, family: str, name: str) -> list[Wanted]:
        """What has to be permitted there, sorted."""
        users: dict[str, list[str]] = {}
        without: dict[str, set[str]] = {}
        for (use, permissions), rules in sorted(self.uses.get((family, name), {}).items(), key=lambda one: one[0][0]):
            for permission in permissions:
                users.setdefault(permission.name, []).append(f"{use} in {', '.join(sorted(rules))}")
                without.setdefault(permission.name, set()).add(permission.without)
        return [Wanted(name, tuple(users[name]), _all_of(without[name])) for name in sorted(users)]


def needs_of(book: Book) -> Needs:
    """What the rules of a book need. What a label decides cannot be told and is left out."""
    needs = Needs()
    for rule in book:
        for step in {step.id: step for step in steps_of(rule)}.values():
            _note(needs, rule, step)
        if rule.mode in (Mode.GATED, Mode.AUTO) and any(_changes(rung) for rung in rule.rungs):
            needs.acting[rule.id] = rule.mode is Mode.GATED or any(map(_asks, rule.rungs))
        if rule.silence is not None:
            needs.uses.setdefault(("alertmanager", ""), {}).setdefault(("silence", _SILENCING), set()).add(rule.id)
        for number, level in enumerate(rule.escalate):
            needs.by_name.setdefault((ESCALATION, level.to), set()).add(rule.id)
            needs.places.setdefault((ESCALATION, level.to), []).append(Use(rule.id, ("escalate", number, "to")))
        for matcher in rule.matchers:
            if matcher.label == "alertname":
                for name in matcher.values or ():
                    needs.alertnames.setdefault(name, set()).add(rule.id)
    return needs


def _changes(rung: Rung) -> bool:
    """Whether it may change something; of some actions only their settings tell."""
    return any(step.action.effect is not Effect.READ for step in rung.steps)


def _asks(rung: Rung) -> bool:
    destroys = any(step.action.changes and step.action.effect is Effect.DESTROY for step in rung.steps)
    return destroys or (rung.gated and _changes(rung))


def steps_of(rule: Rule) -> Iterator[Step]:
    """All steps of a rule, checks included."""
    yield from rule.diagnose
    for rung in rule.rungs:
        yield from rung.steps
        yield from (check.step for check in rule.verify_of(rung).checks)
    yield from (check.step for check in rule.verify.checks)


def _note(needs: Needs, rule: Rule, step: Step) -> None:
    family = step.action.name.partition(".")[0]
    needs.families.setdefault(family, set()).add(rule.id)
    parameter = _NAMED_BY.get(family)
    known = "" if family in _ALONE else None if parameter is None else known_value(step, parameter, rule.vars)
    if not isinstance(known, str):
        return
    name, use = known, (step.action.name, step.action.permissions)
    needs.by_name.setdefault((family, name), set()).add(rule.id)
    path = (*path_of(step.id), step.action.name, *([] if parameter is None else [parameter]))
    needs.places.setdefault((family, name), []).append(Use(rule.id, path))
    needs.uses.setdefault((family, name), {}).setdefault(use, set()).add(rule.id)
    if step.action.changes:
        needs.changed.add((family, name))


def _all_of(losses: Iterable[str]) -> str:
    """All that is lost, or nothing where an action cannot do without it."""
    said = sorted(set(losses))
    return "" if "" in said else ", and ".join(said)


def known_value(step: Step, parameter: str, variables: Mapping[str, Any]) -> Any:
    """The parameter's value where it is known without an alert, else None; what a rule writes is not parsed."""
    known = step.action.params.model_fields.get(parameter)
    if known is None:
        return None
    value = step.params.get(parameter, known.default)
    if isinstance(value, Template):
        if not value.is_constant:
            return None
        try:
            value = value.render(Scope({}, vars=variables))
        except BadExpression:
            return None
    return value
