"""What is to be done about what was found: the next rung's plan, or the end of a run that has none.

Called by the flow with evidence, and by `deciding` to see whether a plan that has waited would be made the same way
again. Whether a plan may begin is not decided here, and nothing is done.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from remediator.kit.clock import Clock
from remediator.kit.metrics import Metrics
from remediator.model.facts import Ended, Evidence, Examined, Planned
from remediator.model.plan import Mode
from remediator.model.stage import Diagnosed, approved_before, by_hand, wait_before
from remediator.pipeline import approval, outcome, planning
from remediator.pipeline.cases import Cases
from remediator.pipeline.guards import Guards
from remediator.pipeline.ledger import Ledger
from remediator.pipeline.planning import CannotPlan, NoRung, Planner
from remediator.rules.book import Rule


class Drafting:
    """Drafts plans."""

    def __init__(
        self,
        *,
        cases: Cases,
        planner: Planner,
        guards: Guards,
        clock: Clock,
        metrics: Metrics,
        hold_timeout: timedelta,
    ) -> None:
        """`guards`: they are asked nothing here, only whom they ask whether the alert still fires, for people."""
        self._cases = cases
        self._planner = planner
        self._guards = guards
        self._clock = clock
        self._metrics = metrics
        self._hold_timeout = hold_timeout

    async def plan(self, ledger: Ledger, rule: Rule, stage: Diagnosed) -> Ended | None:
        """Note the plan of the next rung, for `deciding`; or the end of a run that has none, or may not act."""
        if (ended := self._cases.called_off(ledger.run)) is not None:
            return ended
        if self._cases.mode(rule) is Mode.OBSERVE:
            return self._observed(ledger, rule, stage)
        planned = await self.draft(ledger, rule, stage.examined.evidence, stage.after_rung, stage.revision)
        before = approved_before(ledger.run, stage.examined.round)
        if isinstance(planned, Ended):
            return planned if before is None else outcome.void(planned)
        planned = planned if before is None else approval.made_anew(planned, before)
        ledger.note(planned)
        if self._cases.mode(rule) is Mode.SUGGEST:
            return outcome.told(self._clock.now(), f"suggested, not done: {planned.plan.name}")
        return self._too_late(ledger, rule, planned)

    async def draft(
        self, ledger: Ledger, rule: Rule, evidence: Mapping[str, Evidence], after_rung: int, revision: int
    ) -> Planned | Ended:
        """The plan of the next rung that fits, as it is made now. It is not noted, so that it can be compared."""
        run, now = ledger.run, self._clock.now
        rung = planning.choose(run, rule, evidence, after_rung)
        if isinstance(rung, NoRung):
            return outcome.ladder_over(now(), rung.why, tried=after_rung >= 0)
        said = planning.advice(run, rule, rung, evidence)
        if said is not None:
            return outcome.ladder_over(now(), said, tried=after_rung >= 0)
        plan = await self._planner.draft(run, rule, rung, evidence)
        if isinstance(plan, CannotPlan):
            self._metrics.held.labels(plan.reason.name.lower()).inc()
            return outcome.refused(now(), plan.reason, plan.detail)
        round_ = next(f.round for f in reversed(run.facts) if isinstance(f, Examined))
        word = by_hand(run)
        if word is None:
            return Planned(now(), round_, revision, plan, self._guards.alert_from)
        once = replace(plan, every=None)  # nobody would tell when it is to be done no more
        return Planned(now(), round_, revision, once, stated_by=word.by)

    def _too_late(self, ledger: Ledger, rule: Rule, planned: Planned) -> Ended | None:
        """The end of a run whose turn came so late that it should not act by itself; people may still be asked."""
        if planned.renews is not None or planned.differs or approval.needs_person(planned.plan, self._cases.mode(rule)):
            return None
        waited = wait_before(ledger.run)
        if waited <= self._hold_timeout:
            return None
        return outcome.too_late(self._clock.now(), ledger.run.id, waited, self._hold_timeout)

    def _observed(self, ledger: Ledger, rule: Rule, stage: Diagnosed) -> Ended:
        """The end of a run that may only look: the advice that fits, if the rule has one."""
        why = "the rule only observes" if rule.mode is Mode.OBSERVE else "the ceiling for all rules is to observe"
        rung = planning.choose(ledger.run, rule, stage.examined.evidence, stage.after_rung)
        said = None if isinstance(rung, NoRung) else planning.advice(ledger.run, rule, rung, stage.examined.evidence)
        return outcome.told(self._clock.now(), said or why)
