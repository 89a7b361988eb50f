"""Steps that the settings forbid, as far as that is known without an alert: they would be refused when they are needed.

Called by the examination and by `check`. Pure: nothing is asked for. What is forbidden, each action says for itself
(`forbids`, `known_target`); here only its parameters are worked out, and the lists of what is protected are looked at.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from remediator.doctor.needs import steps_of
from remediator.errors import BadExpression
from remediator.model.ids import RuleId, StepId
from remediator.pipeline.guards.protected import Protected
from remediator.plugins import Effect, Known, Unknown
from remediator.rules.book import Book, Step
from remediator.rules.expressions import Scope, Template
from remediator.settings import Settings


@dataclass(frozen=True, slots=True)
class Denied:
    """A step that would be refused: whose it is, why, and what to do."""

    rule: RuleId
    step: StepId
    what: str
    remedy: str

    @property
    def says(self) -> str:
        """All of it in a sentence."""
        return f"{self.what}; {self.remedy}"


def denied(settings: Settings, book: Book) -> Iterator[Denied]:
    """Each step that the settings never allow."""
    protected = Protected(settings.protected)
    for rule in book:
        for step in {step.id: step for step in steps_of(rule)}.values():
            name, known = step.action.name, known_parameters(step, rule.vars)
            found = step.action.forbids(settings, known) if step.action.forbids is not None else None
            if found is not None:
                yield Denied(rule.id, step.id, f"{name} {found.what}", found.remedy)
            elif (why := _protected(settings, protected, step, known)) is not None:
                remedy = "if it may be changed, say so under `protected`, else leave the step out"
                yield Denied(rule.id, step.id, f"{name} would be refused: {why}", remedy)


def _protected(settings: Settings, protected: Protected, step: Step, known: Known) -> str | None:
    """Why the target of a step must not be changed, where it is known already."""
    if step.action.effect is Effect.READ or step.action.known_target is None:
        return None
    target = step.action.known_target(settings, known)
    return None if target is None else protected.why_no_target(target) or None


def forbidden(settings: Settings, book: Book) -> Iterator[tuple[RuleId, str]]:
    """Each rule with such a step, with a sentence on it that says what to do."""
    for one in denied(settings, book):
        yield one.rule, one.says


def known_parameters(step: Step, variables: Mapping[str, Any]) -> Known:
    """The parameters of a step that are known without an alert, and the defaults of those that are not given."""
    fields = step.action.params.model_fields
    found = {
        name: field.get_default(call_default_factory=True) for name, field in fields.items() if not field.is_required()
    }
    found |= {name: _value(tree, variables) for name, tree in step.params.items()}
    return {name: value for name, value in found.items() if not isinstance(value, Unknown)}


def _value(tree: Any, variables: Mapping[str, Any]) -> Any:
    if isinstance(tree, Mapping):
        return {key: _value(item, variables) for key, item in tree.items()}
    if isinstance(tree, list | tuple):
        return [_value(item, variables) for item in tree]
    if not isinstance(tree, Template):
        return tree
    try:
        return tree.render(Scope({}, vars=variables)) if tree.is_constant else Unknown()
    except BadExpression:
        return Unknown()
