"""Chooses the rung and renders its steps and its verification. Pure but for the targets, which each action looks up.

A step with several targets becomes a step for each wave of them, see `ramp`.

Nothing is changed here. What cannot be worked out exactly is refused, with the reason.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from remediator.errors import BadExpression, NoEvidence, Protected, RemediatorError
from remediator.kit.redaction import shorten
from remediator.model.facts import Evidence
from remediator.model.outcome import Reason
from remediator.model.plan import Effect, Plan, PlannedCheck, PlannedStep, Verification
from remediator.model.run import Run
from remediator.pipeline.calls import Calls
from remediator.pipeline.ramp import in_waves
from remediator.pipeline.rulebook import scope_of
from remediator.rules.book import Rule, Rung, Step
from remediator.rules.expressions import Scope
from remediator.rules.rule import Verify

_LONGEST_ADVICE = 2000


@dataclass(frozen=True, slots=True)
class NoRung:
    """No rung is to be tried, and why."""

    why: str


@dataclass(frozen=True, slots=True)
class CannotPlan:
    """The rung that should be tried cannot be planned."""

    reason: Reason
    detail: str


def choose(run: Run, rule: Rule, evidence: Mapping[str, Evidence], after_rung: int) -> Rung | NoRung:
    """The first rung after `after_rung` whose condition holds. One whose evidence failed ends the ladder."""
    scope = scope_of(run.alert, rule, evidence)
    for rung in rule.rungs[after_rung + 1 :]:
        if rung.when is None:
            return rung
        try:
            holds = bool(rung.when.evaluate(scope))
        except NoEvidence as error:
            return NoRung(f"whether “{rung.name}” fits cannot be told: {error}")
        except BadExpression as error:
            return NoRung(f"the condition of “{rung.name}” could not be worked out: {error}")
        if holds:
            return rung
    return NoRung("no remedy of the rule fits the evidence" if rule.rungs else "the rule only diagnoses")


def advice(run: Run, rule: Rule, rung: Rung, evidence: Mapping[str, Evidence]) -> str | None:
    """What a rung that only tells has to say; None where it has steps."""
    if rung.tell is None:
        return None
    try:
        said = str(rung.tell.render(scope_of(run.alert, rule, evidence)))
    except BadExpression as error:
        return f"“{rung.name}” fits, but its advice could not be worked out: {error}"
    return shorten(said, _LONGEST_ADVICE)


class Planner:
    """Makes the plan of one rung."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def draft(self, run: Run, rule: Rule, rung: Rung, evidence: Mapping[str, Evidence]) -> Plan | CannotPlan:
        """The exact steps, with the targets as they are now; or why there can be no plan."""
        scope = scope_of(run.alert, rule, evidence)
        steps: list[PlannedStep] = []
        for step in rung.steps:
            planned = await self._plan_step(step, scope)
            if isinstance(planned, CannotPlan):
                return planned
            steps += planned
        if rung.for_ is not None and (why := _stays(steps)):
            return CannotPlan(Reason.CANNOT_PUT_BACK, shorten(why, 300))
        try:
            verification = plan_verification(rule.verify_of(rung), scope)
        except BadExpression as error:
            return CannotPlan(Reason.CANNOT_RENDER, f"the verification: {error}")
        pools = await self._pools(rule, steps)
        if isinstance(pools, CannotPlan):
            return pools
        limits = rung.limits or rule.limits
        return Plan(
            rung.index,
            rung.name,
            rung.gated,
            tuple(steps),
            verification,
            lasts=rung.for_,
            every=rung.every,
            max_targets=limits.max_targets.count if limits and limits.max_targets else None,
            pools=pools,
            groups=tuple(sorted({*rule.locks, *rung.locks})),
        )

    async def _pools(self, rule: Rule, steps: Sequence[PlannedStep]) -> tuple[str, ...] | CannotPlan:
        """The names of the pools that would be acted on."""
        names = set()
        for step in steps:
            if step.effect is not Effect.READ:
                try:
                    pool = await self._calls.pool(step, rule.action(step.id))
                except RemediatorError as error:
                    return CannotPlan(Reason.POOL_UNCERTAIN, shorten(f"{step.action}: {error}", 300))
                names |= {pool.name} if pool is not None else set()
        return tuple(sorted(names))

    async def _plan_step(self, step: Step, scope: Scope) -> tuple[PlannedStep, ...] | CannotPlan:
        """The step with its targets as they are now; of several, one for each wave."""
        try:
            rendered = step.render(scope)
            nature = step.action.nature_of(self._calls.clients, rendered.params)
            stays = step.action.stays(self._calls.clients, rendered.params)
        except NoEvidence as error:
            return CannotPlan(Reason.CANNOT_RENDER, str(error))
        except RemediatorError as error:
            return CannotPlan(Reason.CANNOT_RENDER, f"{step.action.name}: {error}")
        if rendered.missing_labels and nature.effect is not Effect.READ:
            return CannotPlan(Reason.LABEL_MISSING, ", ".join(sorted(rendered.missing_labels)))
        timeout = step.timeout or nature.timeout
        planned = PlannedStep(
            id=step.id,
            action=step.action.name,
            params=rendered.params.model_dump(mode="json"),
            effect=nature.effect,
            idempotent=nature.idempotent,
            targets=(),
            timeout=timeout,
            sentence=shorten(step.action.describe(rendered.params), 300),
            stays=None if nature.effect is Effect.READ else shorten(stays, 300),
        )
        if nature.effect is Effect.READ:
            return (planned,)
        try:
            targets = await self._calls.resolve(step.id, step.action, rendered.params, timeout)
            return await in_waves(self._calls, step.action, replace(planned, targets=targets))
        except Protected as error:
            return CannotPlan(Reason.PROTECTED, shorten(f"{step.action.name}: {error}", 300))
        except RemediatorError as error:
            return CannotPlan(Reason.TARGET_UNCERTAIN, shorten(f"{step.action.name}: {error}", 300))


def _stays(steps: Sequence[PlannedStep]) -> str:
    """Why what the steps do cannot be put back; empty where all of it can."""
    return next((f"{step.sentence}: {step.stays}" for step in steps if step.stays), "")


def plan_verification(verify: Verify, scope: Scope) -> Verification:
    """The verification, rendered. Raises BadExpression. Pure."""
    checks = []
    for check in verify.checks:
        params = check.step.render(scope).params
        checks.append(
            PlannedCheck(
                id=check.step.id,
                action=check.step.action.name,
                params=params.model_dump(mode="json"),
                timeout=check.step.timeout or check.step.action.timeout,
                expect=check.expect.source,
                sentence=shorten(check.step.action.describe(params), 300),
            )
        )
    return Verification(verify.settle, verify.sustain, verify.within, verify.every, tuple(checks))
