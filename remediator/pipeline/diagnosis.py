"""Gathers the evidence that a person would gather: all steps at once, each with its time limit.

A step that fails is evidence too.
"""

import asyncio

from remediator.errors import BadExpression
from remediator.model.facts import Evidence, Examined
from remediator.model.run import Run
from remediator.pipeline.calls import Calls
from remediator.pipeline.rulebook import scope_of
from remediator.rules.book import Rule, Step


class Diagnosis:
    """Runs the diagnosis steps of a rule."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def examine(self, run: Run, rule: Rule, round_: int) -> Examined:
        """The evidence of one round."""
        found = await asyncio.gather(*(self._look(run, rule, step) for step in rule.diagnose))
        evidence = {step.id.removeprefix("diagnose."): item for step, item in zip(rule.diagnose, found, strict=True)}
        return Examined(self._calls.clock.now(), round_, evidence)

    async def _look(self, run: Run, rule: Rule, step: Step) -> Evidence:
        try:
            params = step.render(scope_of(run.alert, rule)).params
        except BadExpression as error:
            return Evidence(step.action.name, ok=False, result={}, brief=str(error), detail="", seconds=0)
        answer = await self._calls.read(step.id, step.action, params, step.timeout)
        return answer.as_evidence(step.action.name)
