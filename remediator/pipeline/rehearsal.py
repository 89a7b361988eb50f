"""The reading part of a run, carried out for real to explain an alert: diagnosis, the choice of a rung, its exact plan.

Called by the command that explains, with the very stages that the service uses, so that the digest is the one that an
operator would be asked to approve. It stores nothing, tells nobody, and never begins a change.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from remediator.model.alert import Alert
from remediator.model.facts import Evidence
from remediator.model.history import Known, Latest, Nth, Question, Recent
from remediator.model.ids import OccurrenceId, OwnerId, RunId
from remediator.model.plan import Effect, Mode, Plan
from remediator.model.run import Run
from remediator.pipeline import approval, planning
from remediator.pipeline.calls import Calls
from remediator.pipeline.diagnosis import Diagnosis
from remediator.pipeline.explaining import Explanation, RuleView
from remediator.pipeline.guards import Allow, Ask, Case, Guards, Hold, Refuse
from remediator.pipeline.guards.effective import LimitsOf
from remediator.pipeline.outlook import Outlook, RungOutlook, reasons_to_ask
from remediator.pipeline.planning import CannotPlan, NoRung, Planner
from remediator.rules.book import Rule

_NOT_JUDGED = "what depends on the past (budgets, cooldowns, pauses and the like) is judged when it matters"


async def nothing_known(questions: Sequence[Question]) -> Known:
    """Answers the questions of guards as if nothing had ever been changed."""
    return Known(
        times={one: None for one in questions if isinstance(one, Nth)},
        changes={one: () for one in questions if isinstance(one, Latest)},
        begun={one: () for one in questions if isinstance(one, Recent)},
    )


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What a run would come to: the evidence, and the plan or why there is none."""

    evidence: Mapping[str, Evidence]
    rung: str
    """The remedy that fits; empty where none does."""
    says: str
    """What would become of the plan, or why there is none, in one sentence."""
    plan: Plan | None = None


class Rehearsal:
    """Looks at the world for an explanation."""

    def __init__(self, calls: Calls, guards: Guards, *, ceiling: Mode, limits: LimitsOf) -> None:
        """`guards`: those that have something to say where the past is not known, see `nothing_known`."""
        self._calls = calls
        self._guards = guards
        self._ceiling = ceiling
        self._limits = limits
        self._diagnosis = Diagnosis(calls)
        self._planner = Planner(calls)

    async def gather(self, alert: Alert, rule: Rule) -> Rehearsed:
        """The evidence as it is now, the rung that it leads to, and its plan."""
        run = _imagined(alert, rule, self._calls)
        examined = await self._diagnosis.examine(run, rule, 1)
        evidence = examined.evidence
        rung = planning.choose(run, rule, evidence, -1)
        if isinstance(rung, NoRung):
            return Rehearsed(evidence, "", f"nothing would be done: {rung.why}")
        said = planning.advice(run, rule, rung, evidence)
        if said is not None:
            return Rehearsed(evidence, rung.name, f"people would be told: {said}")
        plan = await self._planner.draft(run, rule, rung, evidence)
        if isinstance(plan, CannotPlan):
            return Rehearsed(evidence, rung.name, f"the plan would be refused: {plan.reason}: {plan.detail}")
        return Rehearsed(evidence, rung.name, await self._fate(run, plan, rule), plan)

    async def _fate(self, run: Run, plan: Plan, rule: Rule) -> str:
        """What would become of a plan."""
        mode = rule.mode.capped(self._ceiling)
        if mode is Mode.OBSERVE:
            return "it would not even be suggested: the mode is observe"
        if mode is Mode.SUGGEST:
            return "it would be suggested, and not done: the mode is suggest"
        case = Case(run, rule, plan, self._calls.clock.now(), mode, self._limits(rule, plan))
        match await self._guards.review(case):
            case Refuse(reason=reason, detail=detail):
                return f"it would be refused: {reason}: {detail}"
            case Hold(reason=reason, detail=detail):
                return f"it would be held: {reason}: {detail}"
            case Ask(reason=reason, detail=detail):
                return f"a person would be asked to approve it: {reason}: {detail}; {_NOT_JUDGED}"
            case Allow():
                return f"{self._who_decides(plan, mode)}; {_NOT_JUDGED}"
            case other:
                assert_never(other)

    def _who_decides(self, plan: Plan, mode: Mode) -> str:
        if not approval.needs_person(plan, mode):
            return "it would be done without asking anybody"
        destroys = any(step.effect is Effect.DESTROY for step in plan.steps)
        why = ", ".join(reasons_to_ask(mode, gated=plan.gated, destroys=destroys))
        return f"a person would be asked to approve it: {why}"

    async def settle(self, explanation: Explanation) -> Explanation:
        """The explanation with the digest of each plan for which nothing has to be found out."""
        views = [await self._settle_rule(view, explanation.alert) for view in explanation.rules]
        return replace(explanation, rules=tuple(views))

    async def _settle_rule(self, view: RuleView, alert: Alert) -> RuleView:
        outlook = view.outlook
        if outlook is None:
            return view
        rungs = [await self._settle_rung(rung, view.rule, alert) for rung in outlook.rungs]
        settled: Outlook = replace(outlook, rungs=tuple(rungs))
        return replace(view, outlook=settled)

    async def _settle_rung(self, rung: RungOutlook, rule: Rule, alert: Alert) -> RungOutlook:
        if not rung.steps or rung.unknown or rung.refusals:
            return rung
        plan = await self._planner.draft(_imagined(alert, rule, self._calls), rule, rule.rungs[rung.index], {})
        return rung if isinstance(plan, CannotPlan) else replace(rung, digest=plan.digest)


def _imagined(alert: Alert, rule: Rule, calls: Calls) -> Run:
    """The run that this alert would start, which nobody stores."""
    return Run(
        id=RunId("explained"),
        rule=rule.id,
        rule_digest=rule.digest,
        occurrence=OccurrenceId("explained"),
        alert=alert,
        summary="",
        channel="",
        owner=OwnerId("nobody"),
        epoch=0,
        created_at=calls.clock.now(),
    )
