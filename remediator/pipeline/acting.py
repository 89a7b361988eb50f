"""One step of a plan that may be carried out: what the guards and probes say now, its start and end, what comes after.

Called by the flow for a plan that has begun, also where nobody saw how its last step ended, and by `deciding` for the
first step of one. How a step is carried out and put on record is `execution`'s.
"""

from collections.abc import Mapping
from datetime import timedelta
from functools import partial

import structlog

from remediator.kit.clock import Clock
from remediator.kit.metrics import Metrics
from remediator.model.facts import Ended, Planned
from remediator.model.ids import RuleId
from remediator.model.outcome import Outcome, Reason
from remediator.model.plan import Effect, Mode, Plan, PlannedStep
from remediator.model.stage import InDoubt, Underway, approval_of, cancelled, last_at
from remediator.pipeline import approval, outcome
from remediator.pipeline.cases import Cases
from remediator.pipeline.concluding import Concluding
from remediator.pipeline.execution import Execution
from remediator.pipeline.guards import Allow, Ask, Case, Guards, Hold, Refuse, Review
from remediator.pipeline.holding import Holding
from remediator.pipeline.ledger import Ledger
from remediator.pipeline.silencing.silencing import Silencing
from remediator.pipeline.turn import A_MOMENT, Parked, Turn, hear_news, wait_to_change
from remediator.pipeline.undo.putting_back import lost_sight_of
from remediator.rules.book import Rule
from remediator.storage.runs import Refusal

log = structlog.get_logger(__name__)


class Acting:
    """Takes plans from step to step."""

    def __init__(
        self,
        *,
        cases: Cases,
        concluding: Concluding,
        holding: Holding,
        guards: Guards,
        execution: Execution,
        silencing: Silencing,
        clock: Clock,
        metrics: Metrics,
        hold_timeout: timedelta,
    ) -> None:
        self._cases = cases
        self._concluding = concluding
        self._holding = holding
        self._guards = guards
        self._execution = execution
        self._silencing = silencing
        self._clock = clock
        self._metrics = metrics
        self._hold_timeout = hold_timeout
        self._obstructed: set[RuleId] = set()

    def is_obstructed(self, rule: Rule) -> bool:
        """Whether the rule's last start was refused: what stands in the way is looked at before the next is tried."""
        return rule.id in self._obstructed

    async def before(self, rule: Rule, plan: Plan) -> Mapping[str, str]:
        """What the steps of a plan would change, as digests of how it is now; see `Execution.before`."""
        return await self._execution.before(rule, plan)

    async def begin_at_once(self, ledger: Ledger, rule: Rule, planned: Planned, turn: Turn) -> bool:
        """Try the first step. Where something stands in the way of it, a review tells what, and nothing was done."""
        step, case = planned.plan.steps[0], self._cases.of(ledger, rule, planned)
        # Also where the first step only looks: once it has begun, probes take the whole plan for let through.
        if not isinstance(await self._look(case), Allow):
            return False
        refusal = await self._perform(ledger, case, step, turn)
        if refusal is not None and refusal.reason is not Reason.TARGET_BUSY:
            self._obstructed.add(rule.id)
        return refusal is None

    async def go_on(self, ledger: Ledger, rule: Rule, stage: Underway, turn: Turn) -> Parked | Ended | None:
        """The next step of a plan that has begun, or the end of a run that is not to do the rest."""
        left = await self._next_step(ledger, rule, stage, turn)
        if isinstance(left, Ended):
            await self._concluding.conclude_well(ledger, rule, stage.planned)
        return left

    async def _next_step(self, ledger: Ledger, rule: Rule, stage: Underway, turn: Turn) -> Parked | Ended | None:
        if (wish := cancelled(ledger.run)) is not None:
            return outcome.called_off(self._clock.now(), wish, None)
        if (forbidden := self._is_forbidden(ledger, rule, stage.planned)) is not None:
            return forbidden
        waited = self._clock.now() - last_at(ledger.run)
        if waited > self._hold_timeout:
            return outcome.too_late_for_rest(self._clock.now(), ledger.run.id, waited, self._hold_timeout)
        return await self.act(ledger, rule, stage.planned, stage.next, turn)

    async def settle_doubt(self, ledger: Ledger, rule: Rule, stage: InDoubt, turn: Turn) -> Parked | Ended | None:
        """A step that an earlier owner began and never ended: repeated once where that is harmless, else unknown."""
        started, planned = stage.started, stage.planned
        index, step = next((i, s) for i, s in enumerate(planned.plan.steps) if s.id == started.step)
        has_reason = self._cases.called_off(ledger.run) is None and self._is_forbidden(ledger, rule, planned) is None
        makes_sense = self._clock.now() - started.at <= self._hold_timeout
        if step.idempotent and not stage.repeats and has_reason and makes_sense:
            left = await self.act(ledger, rule, planned, index, turn, repeats=True)
            if not isinstance(left, Ended):  # else a guard refuses to have it repeated
                return left
        ledger.note(lost_sight_of(started, self._clock.now()))
        await ledger.save()
        self._metrics.steps_unknown.labels(step.action).inc()
        log.warning("step_unknown", step=step.id, action=step.action)
        return None

    async def act(
        self,
        ledger: Ledger,
        rule: Rule,
        planned: Planned,
        index: int,
        turn: Turn,
        *,
        repeats: bool = False,
    ) -> Parked | Ended | None:
        """Carry out one step, unless something stands in the way of it. None: it ended, or is to be looked at anew."""
        if not turn.may_change:
            await wait_to_change(ledger, turn)
            return None
        step, case = planned.plan.steps[index], self._cases.of(ledger, rule, planned)
        if step.effect is not Effect.READ:
            review = await (
                self._look(case) if case.begun else self._guards.look(case)
            )  # else it was reviewed just now
            if isinstance(review, Refuse):
                return self._holding.refuse(case, review.reason, review.detail)
            if isinstance(review, Hold):
                return self._holding.hold(ledger, planned, review)
            if isinstance(review, Ask) and not (case.begun or case.has_approved(review)):
                return Parked(case.at + A_MOMENT)  # the review says the same, and asks
        refusal = await self._perform(ledger, case, step, turn, repeats=repeats)
        if refusal is not None:
            return self._holding.heed(ledger, planned, case, refusal)
        self._obstructed.discard(rule.id)
        return None

    async def _look(self, case: Case) -> Review:
        """What stands in the way, as far as that is looked at before a start, which asks the journal itself.

        Where targets are read for it, the journal is asked first: what is paused is left in peace.
        """
        return await (self._guards.review(case) if _reads_targets(case) else self._guards.look(case))

    async def _perform(
        self, ledger: Ledger, case: Case, step: PlannedStep, turn: Turn, *, repeats: bool = False
    ) -> Refusal | None:
        """Carry out a step, or read the news that its start was refused for. Else why it may not begin."""
        silence = partial(self._silencing.begin, ledger.run, case.rule)
        refusal = await self._execution.perform(ledger, case, step, repeats=repeats, beside=silence)
        if refusal is None:
            await hear_news(ledger, turn)
        elif refusal.reason is Reason.SIGNALLED:
            await ledger.read_signals()
            return None
        return refusal

    def _is_forbidden(self, ledger: Ledger, rule: Rule, planned: Planned) -> Ended | None:
        """The end of a run that was begun under another ceiling: what it has left to do is not allowed any more."""
        mode = self._cases.mode(rule)
        approved = approval_of(ledger.run, planned) is not None
        if mode in (Mode.OBSERVE, Mode.SUGGEST) or (approval.needs_person(planned.plan, mode) and not approved):
            return Ended(self._clock.now(), Outcome.CANCELLED, f"the mode is {mode} now, so the rest was not done")
        return None


def _reads_targets(case: Case) -> bool:
    """Whether something is read of the plan's targets before a start: by probes, or to put it back later."""
    actions = (case.rule.action(step.id) for step in case.plan.steps if step.effect is not Effect.READ)
    return any(one.inverse or one.pool or one.deployed for one in actions)
