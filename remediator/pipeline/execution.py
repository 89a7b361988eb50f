"""Performs one planned step: recorded before, called once, recorded after, whatever happens meanwhile.

*Started* is committed, with the reservations, before the call; *finished* is always written, also while the process
is being stopped and while the store is away. The deadline is checked right before the call, because a process can be
frozen between the two.
"""

from datetime import timedelta

import structlog

from remediator.errors import Fenced, StoreUnavailable
from remediator.kit import failpoints
from remediator.kit.clock import Clock
from remediator.kit.metrics import Metrics
from remediator.kit.tasks import finish_even_if_cancelled
from remediator.model.facts import Finished, Planned, Started, StepStatus
from remediator.model.plan import PlannedStep
from remediator.pipeline.calls import Answer, Calls
from remediator.pipeline.guards import Guards
from remediator.pipeline.ledger import Ledger
from remediator.plugins import Action
from remediator.rules.book import Rule
from remediator.storage.store import Refusal

log = structlog.get_logger(__name__)

MARGIN = timedelta(seconds=10)
"""How much longer than its time limit a call may last at the most: ending a process group, a slow clock."""

_SAVE_AGAIN = timedelta(seconds=1)


class Execution:
    """Carries out steps."""

    def __init__(self, calls: Calls, guards: Guards, clock: Clock, metrics: Metrics) -> None:
        self._calls = calls
        self._guards = guards
        self._clock = clock
        self._metrics = metrics
        self.acting = 0
        """How many steps have begun and are not on record as ended."""

    async def perform(
        self, ledger: Ledger, rule: Rule, planned: Planned, step: PlannedStep, attempt: int
    ) -> Refusal | None:
        """Carry out a step and have its end on record; or a Refusal, and nothing was done."""
        return await finish_even_if_cancelled(
            self._perform(ledger, rule, planned, step, attempt), name=f"step-{ledger.run.id}-{step.id}"
        )

    async def _perform(
        self, ledger: Ledger, rule: Rule, planned: Planned, step: PlannedStep, attempt: int
    ) -> Refusal | None:
        now = self._clock.now()
        deadline = now + step.timeout + MARGIN
        started = Started(now, planned.round, step.id, attempt, ledger.run.epoch, deadline)
        began = self._clock.monotonic()
        refusal = await ledger.start(started, self._guards.reserve(planned.plan))
        if refusal is not None:
            return refusal
        self.acting += 1
        try:
            await self._carry_out(ledger, rule, planned, step, attempt, began)
        finally:
            self.acting -= 1
        return None

    async def _carry_out(
        self, ledger: Ledger, rule: Rule, planned: Planned, step: PlannedStep, attempt: int, began: float
    ) -> None:
        failpoints.hit("step.started")
        if self._clock.monotonic() - began > MARGIN.total_seconds() / 2:
            answer = Answer(StepStatus.FAILED, {}, "not done: too much time passed before it could begin", "", 0)
        else:
            failpoints.hit("step.call")
            answer = await self._calls.change(step, _action_of(rule, step), may_retry=attempt == 1)
        failpoints.hit("step.answered")
        await self._record(ledger, planned, step, attempt, answer)
        failpoints.hit("step.recorded")

    async def _record(self, ledger: Ledger, planned: Planned, step: PlannedStep, attempt: int, answer: Answer) -> None:
        finished = Finished(
            at=self._clock.now(),
            round=planned.round,
            step=step.id,
            attempt=attempt,
            status=answer.status,
            brief=answer.brief,
            detail=answer.detail,
            seconds=answer.seconds,
        )
        ledger.note(finished)
        log.info("step_finished", step=step.id, action=step.action, status=answer.status, seconds=answer.seconds)
        while True:
            try:
                await ledger.save()
            except Fenced:
                await ledger.settle_late(finished)
                raise
            except StoreUnavailable as error:
                log.warning("step_end_not_recorded_yet", step=step.id, error=str(error))
                await self._clock.sleep(_SAVE_AGAIN)
            else:
                break
        if answer.status is StepStatus.UNKNOWN:  # counted by whoever records it, so once
            self._metrics.steps_unknown.labels(step.action).inc()


def _action_of(rule: Rule, step: PlannedStep) -> Action:
    return next(s.action for rung in rule.rungs for s in rung.steps if s.id == step.id)
