"""Compiled rules: frozen, and ready to match, to render and to decide. Made by `compiling`, kept in a book."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from remediator.documents import faults_of
from remediator.errors import BadExpression, NoEvidence
from remediator.model.budget import Budget, Share
from remediator.model.ids import Digest, RuleId, StepId
from remediator.model.matchers import Matcher
from remediator.model.plan import Mode
from remediator.model.waves import step_of
from remediator.plugins import Action, Params
from remediator.rules.absence import Absences
from remediator.rules.expressions import Expression, Scope, Template
from remediator.rules.trees import Tree, render_tree


@dataclass(frozen=True, slots=True)
class Rendered:
    """A step's parameters for one alert, and the labels that they use and the alert does not have."""

    params: Params
    missing_labels: frozenset[str]
    """Names of labels; `annotations.<name>` for an annotation."""


@dataclass(frozen=True, slots=True)
class Step:
    """One action with parameters that are yet to be rendered."""

    id: StepId
    action: Action
    params: Mapping[str, Tree]
    timeout: timedelta | None = None
    """What the rule says; None leaves it to the action."""
    needs: frozenset[str] = frozenset()
    """For a step of `diagnose`: the ids of the diagnosis steps whose evidence it looks at."""

    def render(self, scope: Scope) -> Rendered:
        """The parameters for this scope, validated.

        Raises NoEvidence where they need a diagnosis step that failed, and BadExpression where they cannot be worked
        out or the action does not take them.
        """
        absences = Absences()
        try:
            data = {name: render_tree(tree, scope, absences) for name, tree in self.params.items()}
        except NoEvidence:
            raise
        except BadExpression as error:
            raise BadExpression(f"{self.id} ({self.action.name}): {error}") from error
        try:
            return Rendered(self.action.params.model_validate(data), absences.names)
        except ValidationError as error:
            faults = "; ".join(f"{_dotted(f.path)}{f.what}" for f in faults_of(error, self.action.params, data))
            raise BadExpression(f"{self.id} ({self.action.name}): {faults}") from None


def _dotted(path: tuple[str | int, ...]) -> str:
    return ".".join(map(str, path)) + ": " if path else ""


@dataclass(frozen=True, slots=True)
class Check:
    """A reading step, and what is expected of its result."""

    step: Step
    expect: Expression


@dataclass(frozen=True, slots=True)
class Verify:
    """How it is proven that a rung helped; see `model.plan.Verification`."""

    settle: timedelta
    sustain: timedelta
    within: timedelta
    every: timedelta
    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True)
class Gate:
    """Who decides on a rung, how many of them, and until when. None, or no group, leaves it to the settings."""

    approvers: tuple[str, ...] = ()
    quorum: int | None = None
    timeout: timedelta | None = None
    on_timeout: str | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """How often, and on how much at once, something may be done, as a rule file says it; None where it does not.

    What holds in the end is for `pipeline.guards.effective` to say.
    """

    cooldown: timedelta | None = None
    cooldown_after_deploy: timedelta | None = None
    per_target: tuple[Budget, ...] | None = None
    per_rule: tuple[Budget, ...] | None = None
    attempts: Budget | None = None
    flapping: Budget | None = None
    storm: Budget | None = None
    max_targets: Share | None = None
    min_healthy: Share | None = None

    def over(self, below: "Limits | None") -> "Limits":
        """Each figure as it is said here, else as it is said below."""
        if below is None:
            return self
        said = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(below, **{name: value for name, value in said.items() if value is not None})


@dataclass(frozen=True, slots=True)
class Dependency:
    """An alert that stands for something that a rule's targets need."""

    matchers: tuple[Matcher, ...]
    names: tuple[str, ...]
    """The only alertnames that it can match."""

    def matches(self, labels: Mapping[str, str]) -> bool:
        return all(matcher.matches(labels) for matcher in self.matchers)

    def __str__(self) -> str:
        return ", ".join(map(str, self.matchers))


@dataclass(frozen=True, slots=True)
class Escalation:
    """The level that is told when it lasts."""

    after: timedelta
    to: str


@dataclass(frozen=True, slots=True)
class Rung:
    """One remedy of a rule: its steps, or advice for people (`tell`) and no steps."""

    index: int
    name: str
    when: Expression | None
    steps: tuple[Step, ...]
    gate: Gate | None = None
    tell: Template | None = None
    for_: timedelta | None = None
    """How long the change is to last before it is put back; None for good."""
    every: timedelta | None = None
    """How often it recurs as long as the alert fires; None for once."""
    locks: tuple[str, ...] = ()
    """Names beside the rule's of which nobody else may hold one while it is carried out."""
    limits: Limits | None = None
    verify: Verify | None = None
    """How it is proven; None for the rule's own way."""

    @property
    def gated(self) -> bool:
        """Whether a person decides on it, whatever the mode."""
        return self.gate is not None


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, compiled. `document` is all that it was made of, as plain JSON, and `digest` is the digest of that."""

    id: RuleId
    digest: Digest
    pack: str
    name: str
    summary: Template
    mode: Mode
    matchers: tuple[Matcher, ...]
    continues: bool
    vars: Mapping[str, Any]
    diagnose: tuple[Step, ...]
    rungs: tuple[Rung, ...]
    verify: Verify
    document: Mapping[str, Any]
    limits: Limits | None = None
    pack_limits: Limits | None = None
    """What its pack says for all of its rules."""
    escalate: tuple[Escalation, ...] = ()
    group_by: tuple[str, ...] = ()
    """Names of labels: alerts that are the same in all of them share one run; empty for a run each."""
    locks: tuple[str, ...] = ()
    """Names of which nobody else may hold one while one of its plans is carried out."""
    depends: tuple[Dependency, ...] = ()
    """While one of these fires, its plans are held."""
    silence: timedelta | None = None
    """How long at most its own alert is silenced while it acts; None for not at all."""

    def verify_of(self, rung: Rung) -> Verify:
        """How it is proven that this rung helped."""
        return rung.verify or self.verify

    def action(self, step: StepId) -> Action:
        """The action of the step of a remedy with this id, or of a wave of it. Raises KeyError where there is none."""
        return {step.id: step.action for rung in self.rungs for step in rung.steps}[step_of(step)]

    def own_limits(self, rung: Rung | None = None) -> Limits:
        """What its file says: of the rung, else of the rule, else of the pack."""
        own = (self.limits or Limits()).over(self.pack_limits)
        return own if rung is None or rung.limits is None else rung.limits.over(own)

    def check(self, step: StepId) -> Check:
        """The check with this step's id. Raises KeyError where there is none."""
        verifies = [self.verify, *(rung.verify for rung in self.rungs if rung.verify)]
        return {check.step.id: check for verify in verifies for check in verify.checks}[step]

    def matches(self, labels: Mapping[str, str]) -> bool:
        return all(matcher.matches(labels) for matcher in self.matchers)
