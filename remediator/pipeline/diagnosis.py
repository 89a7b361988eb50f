"""Gathers the evidence that a person would gather: each step as soon as what it needs is there, all others at once.

Each step has its own time limit. A step that fails is evidence too, and so is one that needs the evidence of a step
that has failed: it is not carried out.
"""

import asyncio
from collections.abc import Mapping

from remediator.errors import BadExpression, RemediatorError
from remediator.kit.redaction import shorten
from remediator.model.facts import Evidence, Examined
from remediator.model.plan import Effect, Plan, PlannedStep
from remediator.model.pool import Pool
from remediator.model.run import Run
from remediator.pipeline.briefing import Uncounted
from remediator.pipeline.calls import Calls
from remediator.pipeline.rulebook import scope_of
from remediator.rules.book import Rule, Step

_BRIEF_LIMIT = 500


class Diagnosis:
    """Runs the diagnosis steps of a rule."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def examine(self, run: Run, rule: Rule, round_: int) -> Examined:
        """The evidence of one round."""
        looks: dict[str, asyncio.Task[Evidence]] = {}
        async with asyncio.TaskGroup() as group:
            for step in rule.diagnose:  # none of them begins before all of them are known
                look = self._look_in_turn(run, rule, step, looks)
                looks[step.id.removeprefix("diagnose.")] = group.create_task(look, name=f"step-{step.id}")
        evidence = {step_id: look.result() for step_id, look in looks.items()}
        return Examined(self._calls.clock.now(), round_, evidence)

    async def count(self, rule: Rule, plan: Plan) -> tuple[Pool | Uncounted, ...]:
        """What the targets of a plan are a part of, as it is now; nothing where its actions know of no such thing."""
        steps = [step for step in plan.steps if step.effect is not Effect.READ]
        pools = await asyncio.gather(*(self._count(rule, step) for step in steps))
        return tuple(pool for pool in pools if pool is not None)

    async def _count(self, rule: Rule, step: PlannedStep) -> Pool | Uncounted | None:
        try:
            return await self._calls.pool(step, rule.action(step.id))
        except RemediatorError as error:
            return Uncounted(shorten(str(error), _BRIEF_LIMIT))

    async def _look_in_turn(
        self, run: Run, rule: Rule, step: Step, looks: Mapping[str, asyncio.Task[Evidence]]
    ) -> Evidence:
        needed = {name: await looks[name] for name in sorted(step.needs)}
        for name, found in needed.items():
            if not found.ok:
                return _not_found(step, f"needs `{name}`, which has failed: {found.brief}")
        return await self._look(run, rule, step, needed)

    async def _look(self, run: Run, rule: Rule, step: Step, evidence: Mapping[str, Evidence]) -> Evidence:
        try:
            params = step.render(scope_of(run.alert, rule, evidence)).params
        except BadExpression as error:
            return _not_found(step, str(error))
        answer = await self._calls.read(step.id, step.action, params, step.timeout)
        return answer.as_evidence(step.action.name)


def _not_found(step: Step, why: str) -> Evidence:
    return Evidence(step.action.name, ok=False, result={}, brief=shorten(why, _BRIEF_LIMIT), detail="", seconds=0)
