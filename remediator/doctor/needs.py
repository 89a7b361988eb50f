"""What the loaded rules need of the outside, read off their steps: which engines, servers, folders, commands. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from remediator.errors import BadExpression
from remediator.plugins import Action
from remediator.rules.book import Book, Rule, Step
from remediator.rules.expressions import Scope, Template

_NAMED_BY = {
    "docker": "engine",
    "redis": "server",
    "postgres": "server",
    "files": "root",
    "command": "command",
}
"""The parameter by which the actions of a family name what they need."""
ESCALATION = "escalation"
"""The family of the levels that rules escalate to."""


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


@dataclass(slots=True)
class Needs:
    """What rules need, by the family of actions (`docker`), then by name; with the rules that need it."""

    by_name: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    families: dict[str, set[str]] = field(default_factory=dict)
    changed: set[tuple[str, str]] = field(default_factory=set)
    """Those that a rule may change."""
    alertnames: dict[str, set[str]] = field(default_factory=dict)
    """Alerts that rules ask for by name."""
    actions: dict[tuple[str, str], dict[Action, set[str]]] = field(default_factory=dict)
    """What rules do there: the actions, with the rules that use them."""

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
        for action, rules in sorted(self.actions.get((family, name), {}).items(), key=lambda item: item[0].name):
            for permission in action.permissions:
                users.setdefault(permission.name, []).append(f"{action.name} in {', '.join(sorted(rules))}")
                without.setdefault(permission.name, set()).add(permission.without)
        return [Wanted(name, tuple(users[name]), _all_of(without[name])) for name in sorted(users)]


def needs_of(book: Book) -> Needs:
    """What the rules of a book need. What a label decides cannot be told and is left out."""
    needs = Needs()
    for rule in book:
        for step in _steps(rule):
            _note(needs, rule, step)
        for level in rule.escalate:
            needs.by_name.setdefault((ESCALATION, level.to), set()).add(rule.id)
        for matcher in rule.matchers:
            if matcher.label == "alertname":
                for name in matcher.values or ():
                    needs.alertnames.setdefault(name, set()).add(rule.id)
    return needs


def _steps(rule: Rule) -> Iterator[Step]:
    yield from rule.diagnose
    for rung in rule.rungs:
        yield from rung.steps
        yield from (check.step for check in rule.verify_of(rung).checks)
    yield from (check.step for check in rule.verify.checks)


def _note(needs: Needs, rule: Rule, step: Step) -> None:
    family = step.action.name.partition(".")[0]
    needs.families.setdefault(family, set()).add(rule.id)
    parameter = _NAMED_BY.get(family)
    name = None if parameter is None else _value(step, parameter, rule.vars)
    if name is None:
        return
    needs.by_name.setdefault((family, name), set()).add(rule.id)
    needs.actions.setdefault((family, name), {}).setdefault(step.action, set()).add(rule.id)
    if step.action.changes:
        needs.changed.add((family, name))


def _all_of(losses: Iterable[str]) -> str:
    """All that is lost, or nothing where an action cannot do without it."""
    said = sorted(set(losses))
    return "" if "" in said else ", and ".join(said)


def _value(step: Step, parameter: str, variables: Mapping[str, Any]) -> str | None:
    """The parameter's value where it is known without an alert."""
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
    return value if isinstance(value, str) else None
