"""What a run of a rule would do for an alert, as far as it is known before anything was looked at.

Called by `explaining` for each rule that matches. Pure: what only a look at the world can tell (results of diagnosis,
targets) is named as unknown, and stands in parameters and sentences as the rule writes it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from remediator.clients import Clients
from remediator.errors import BadExpression, NoEvidence, RemediatorError
from remediator.kit.redaction import shorten
from remediator.model.alert import Alert
from remediator.model.ids import Digest, StepId
from remediator.model.outcome import Reason
from remediator.model.plan import Effect, Mode
from remediator.pipeline.approval import policy_of
from remediator.pipeline.people import People
from remediator.pipeline.rulebook import scope_of
from remediator.plugins import Params
from remediator.rules.absence import Absences
from remediator.rules.book import Check, Rule, Rung, Step
from remediator.rules.expressions import Scope, Template
from remediator.rules.trees import Tree
from remediator.rules.vocabulary import text_of

_SENTENCE_LIMIT = 300
_PLACEHOLDER_TROUBLES = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class StepOutlook:
    """A step as far as it is known."""

    id: StepId
    action: str
    effect: Effect
    at_most: bool
    """Whether `effect` is only the most that it can do: what it does depends on what is not known yet."""
    sentence: str
    """What it would do, for people; what is not known yet stands in it as the rule writes it."""
    params: Mapping[str, Any]
    timeout: timedelta | None
    """None where it depends on what is not known yet."""
    needs: tuple[str, ...] = ()
    """The diagnosis steps whose results it needs."""
    missing_labels: tuple[str, ...] = ()
    trouble: str = ""
    """Why it cannot be carried out; the plan would be refused."""
    expect: str = ""
    """What a check expects of its result."""
    stays: str | None = None
    """Why what it changes cannot be put back; empty where it can. None where it only reads, or it is not known yet."""

    @property
    def changes(self) -> bool:
        return self.effect is not Effect.READ


@dataclass(frozen=True, slots=True)
class ProofOutlook:
    """How it would be proven that a rung helped."""

    settle: timedelta
    sustain: timedelta
    within: timedelta
    every: timedelta
    checks: tuple[StepOutlook, ...]


@dataclass(frozen=True, slots=True)
class GateOutlook:
    """Whether and why people are asked, who they are, and until when: as the rule says, else the settings."""

    reasons: tuple[str, ...]
    """Empty where nobody is asked."""
    approvers: tuple[str, ...] = ()
    quorum: int = 1
    timeout: timedelta = timedelta(0)
    on_timeout: str = "deny"
    hours: tuple[str, ...] = ()
    """Names of time intervals; outside of them the time to decide does not run."""
    doubts: tuple[str, ...] = ()
    """What is odd about whom it asks, as far as the settings tell: groups that are not there, too few people."""


@dataclass(frozen=True, slots=True)
class RungOutlook:
    """One remedy as far as it is known."""

    index: int
    name: str
    when: str
    """Its condition as the rule writes it; empty where it has none."""
    holds: bool | None
    """Whether its condition holds; None where that is not known yet."""
    needs: tuple[str, ...]
    """The diagnosis steps whose results the condition needs."""
    trouble: str
    """Why the condition cannot be worked out, which ends the ladder."""
    tell: str
    """What it says to people, where it has no steps."""
    steps: tuple[StepOutlook, ...]
    proof: ProofOutlook
    gate: GateOutlook
    lasts: timedelta | None
    digest: Digest | None = None
    """Of its plan, where nothing had to be found out for it; filled in by `rehearsal`."""
    every: timedelta | None = None
    """How often it recurs."""

    @property
    def unknown(self) -> tuple[str, ...]:
        """What has to be found out before there is a digest."""
        parts = (*self.steps, *self.proof.checks)
        results = sorted({need for part in parts for need in part.needs})
        targets = [f"the targets of {step.id} ({step.action})" for step in self.steps if step.changes]
        return (*targets, *(f"the result of steps.{need}" for need in results))

    @property
    def refusals(self) -> tuple[str, ...]:
        """Why its plan would be refused, as things stand."""
        said = [why for part in (*self.steps, *self.proof.checks) for why in _refusals(part)]
        if self.lasts is not None:
            said += [f"{step.id}: {Reason.CANNOT_PUT_BACK}: {step.stays}" for step in self.steps if step.stays]
        return tuple(said)


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a run of a matching rule would do."""

    summary: str
    mode: Mode
    """The rule's own, under the ceiling."""
    ceiling: Mode
    diagnose: tuple[StepOutlook, ...]
    rungs: tuple[RungOutlook, ...]


def _refusals(part: StepOutlook) -> Iterator[str]:
    if part.trouble:
        yield part.trouble
    if part.missing_labels and part.changes:
        yield f"{part.id}: {Reason.LABEL_MISSING}: {', '.join(part.missing_labels)}"


def reasons_to_ask(mode: Mode, *, gated: bool, destroys: bool) -> tuple[str, ...]:
    """Why a person decides on a plan; none where nobody does. As `approval.needs_person` has it."""
    found = []
    if mode is not Mode.AUTO:
        found.append(f"the mode is {mode}")
    if gated:
        found.append("the remedy has a gate")
    if destroys:
        found.append("a step destroys something")
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Foresight:
    """Renders what is known of one rule for one alert before anything was looked at."""

    alert: Alert
    rule: Rule
    clients: Clients
    ceiling: Mode

    def outlook(self) -> Outlook:
        """All of the rule."""
        diagnose = tuple(map(self._step, self.rule.diagnose))
        return Outlook(self._summary(), self._mode, self.ceiling, diagnose, tuple(map(self._rung, self.rule.rungs)))

    @property
    def _mode(self) -> Mode:
        return self.rule.mode.capped(self.ceiling)

    @property
    def _scope(self) -> Scope:
        return scope_of(self.alert, self.rule)

    def _summary(self) -> str:
        try:
            return str(self.rule.summary.render(self._scope)) or self.alert.name
        except BadExpression as error:
            return f"{self.alert.name} (its summary cannot be worked out: {error})"

    def _rung(self, rung: Rung) -> RungOutlook:
        holds, needs, trouble = self._condition(rung)
        steps = tuple(map(self._step, rung.steps))
        verify = self.rule.verify_of(rung)
        checks = tuple(map(self._check, verify.checks))
        return RungOutlook(
            index=rung.index,
            name=rung.name,
            when=rung.when.source if rung.when else "",
            holds=holds,
            needs=needs,
            trouble=trouble,
            tell="" if rung.tell is None else self._text(rung.tell),
            steps=steps,
            proof=ProofOutlook(verify.settle, verify.sustain, verify.within, verify.every, checks),
            gate=self._gate(rung, steps),
            lasts=rung.for_,
            every=rung.every,
        )

    def _condition(self, rung: Rung) -> tuple[bool | None, tuple[str, ...], str]:
        if rung.when is None:
            return True, (), ""
        try:
            return bool(rung.when.evaluate(self._scope)), (), ""
        except NoEvidence:
            return None, tuple(sorted(rung.when.steps)), ""
        except BadExpression as error:
            return None, (), str(error)

    def _gate(self, rung: Rung, steps: tuple[StepOutlook, ...]) -> GateOutlook:
        destroys = any(step.effect is Effect.DESTROY and not step.at_most for step in steps)
        reasons = reasons_to_ask(self._mode, gated=rung.gated, destroys=destroys) if steps else ()
        settings = self.clients.settings
        policy = policy_of(rung.gate, settings.approval)
        people = People(settings.people, settings.approval)
        doubts = people.doubts(policy.approvers, policy.quorum) if reasons else ()
        on_timeout = policy.on_timeout.value
        return GateOutlook(reasons, policy.approvers, policy.quorum, policy.timeout, on_timeout, policy.hours, doubts)

    def _text(self, template: Template) -> str:
        try:
            return str(self._known(template, Absences(), set()))
        except BadExpression as error:
            return f"{template.source} (it cannot be worked out: {error})"

    def _check(self, check: Check) -> StepOutlook:
        return self._step(check.step, expect=check.expect.source)

    def _step(self, step: Step, expect: str = "") -> StepOutlook:
        absences, needs = Absences(), set[str]()
        try:
            data = self._data(step, absences, needs)
            params = self._validated(step, data) if needs else step.render(self._scope).params
            effect, at_most, timeout = self._nature(step, None if needs else params)
        except BadExpression as error:
            return self._broken(step, str(error), expect)
        except RemediatorError as error:
            return self._broken(step, f"{step.id} ({step.action.name}): {error}", expect)
        return StepOutlook(
            id=step.id,
            action=step.action.name,
            effect=effect,
            at_most=at_most,
            sentence=shorten(_sentence(step, params, data, is_settled=not needs), _SENTENCE_LIMIT),
            params=data if needs or params is None else params.model_dump(mode="json"),
            timeout=timeout,
            needs=tuple(sorted(needs | step.needs)),
            missing_labels=tuple(sorted(absences.names)),
            expect=expect,
            stays=self._stays(step, effect, None if needs else params),
        )

    def _data(self, step: Step, absences: Absences, needs: set[str]) -> dict[str, Any]:
        """The parameters as far as they are known. Raises BadExpression, as `Step.render` does."""
        try:
            return {name: self._known(tree, absences, needs) for name, tree in step.params.items()}
        except BadExpression as error:
            raise BadExpression(f"{step.id} ({step.action.name}): {error}") from error

    def _broken(self, step: Step, why: str, expect: str) -> StepOutlook:
        action = step.action
        raw = {name: _raw(tree) for name, tree in step.params.items()}
        at_most = action.may_only_read
        return StepOutlook(
            step.id, action.name, action.effect, at_most, action.name, raw, step.timeout, trouble=why, expect=expect
        )

    def _nature(self, step: Step, params: Params | None) -> tuple[Effect, bool, timedelta | None]:
        """What it does at the most, whether that is only an upper bound, and its time limit."""
        action = step.action
        if action.nature is None:
            return action.effect, False, step.timeout or action.timeout
        if params is None:
            return action.effect, action.may_only_read, step.timeout
        nature = action.nature_of(self.clients, params)
        return nature.effect, False, step.timeout or nature.timeout

    def _stays(self, step: Step, effect: Effect, params: Params | None) -> str | None:
        if effect is Effect.READ:
            return None
        if params is not None:
            return step.action.stays(self.clients, params)
        inverse = step.action.inverse
        if inverse is None:
            return f"{step.action.name} has no inverse"
        return "" if inverse.stays is None else None

    def _validated(self, step: Step, data: Mapping[str, Any]) -> Params | None:
        """The parameters with what is not known standing as text, where the action takes text there."""
        try:
            return step.action.params.model_validate(data)
        except ValidationError:
            return None

    def _known(self, tree: Tree, absences: Absences, needs: set[str]) -> Any:
        """A parameter with everything rendered that is known; the rest stays as the rule writes it.

        Raises BadExpression where something cannot be worked out, whatever is found out later.
        """
        if isinstance(tree, Mapping):
            return {key: self._known(item, absences, needs) for key, item in tree.items()}
        if isinstance(tree, tuple):
            return [self._known(item, absences, needs) for item in tree]
        if not isinstance(tree, Template):
            return tree
        try:
            return tree.render(self._scope, absences)
        except NoEvidence:
            return "".join(self._pieces(tree, absences, needs))

    def _pieces(self, template: Template, absences: Absences, needs: set[str]) -> Iterator[str]:
        for part in template.parts:
            if isinstance(part, str):
                yield part
                continue
            try:
                yield text_of(part.evaluate(self._scope, absences))
            except NoEvidence:
                needs |= part.steps
                yield f"{{{{ {part.source} }}}}"
            except TypeError as error:
                raise BadExpression(f"`{part.source}` cannot be put into text: {error}") from error


def _sentence(step: Step, params: Params | None, data: Mapping[str, Any], *, is_settled: bool) -> str:
    if params is not None and is_settled:
        return step.action.describe(params)
    if params is not None:
        try:
            return step.action.describe(params)
        except _PLACEHOLDER_TROUBLES:  # it works with a value that is only a placeholder here
            pass
    return f"{step.action.name} " + ", ".join(f"{name}={value}" for name, value in data.items())


def _raw(tree: Tree) -> Any:
    """A parameter as the rule writes it."""
    if isinstance(tree, Mapping):
        return {key: _raw(item) for key, item in tree.items()}
    if isinstance(tree, tuple):
        return [_raw(item) for item in tree]
    return tree.source if isinstance(tree, Template) else tree
