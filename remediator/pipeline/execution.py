"""Performs one planned step: recorded before, called once, recorded after, whatever happens meanwhile.

*Started* is committed, with the reservations, before the call; *finished* is always written, also while the process
is being stopped and while the store is away. The deadline is checked right before the call, because a process can be
frozen between the two.
"""

from dataclasses import replace
from datetime import timedelta

import structlog

from remediator.errors import Fenced, StoreUnavailable
from remediator.kit import failpoints
from remediator.kit.clock import Clock
from remediator.kit.metrics import Metrics
from remediator.kit.tasks import finish_even_if_cancelled
from remediator.model.facts import Finished, Started, StepStatus
from remediator.model.outcome import Reason
from remediator.model.plan import Effect, PlannedStep
from remediator.model.run import Run
from remediator.pipeline.busy import BusyTargets
from remediator.pipeline.calls import Answer, Calls
from remediator.pipeline.guards import Case, Guards
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

    def __init__(self, calls: Calls, guards: Guards, busy: BusyTargets, clock: Clock, metrics: Metrics) -> None:
        self._calls = calls
        self._guards = guards
        self._busy = busy
        self._clock = clock
        self._metrics = metrics
        self.acting = 0
        """How many steps have begun and are not on record as ended."""

    async def perform(self, ledger: Ledger, case: Case, step: PlannedStep, *, repeats: bool) -> Refusal | None:
        """Carry out a step of the case's plan and have its end on record; or a Refusal, and nothing was done.

        `repeats`: it was begun before, and nobody saw its end.
        """
        return await finish_even_if_cancelled(
            self._perform(ledger, case, step, repeats=repeats), name=f"step-{ledger.run.id}-{step.id}"
        )

    async def _perform(self, ledger: Ledger, case: Case, step: PlannedStep, *, repeats: bool) -> Refusal | None:
        now, rule = self._clock.now(), case.rule
        deadline = now + step.timeout + MARGIN
        attempt = 1 + sum(isinstance(fact, Started) and fact.step == step.id for fact in ledger.run.facts)
        started = Started(now, case.round, step.id, attempt, ledger.run.epoch, deadline)
        began = self._clock.monotonic()
        refusal = await self._start(ledger, started, replace(case, run=ledger.run, at=now))
        if refusal is not None:
            return refusal
        self.acting += 1
        try:
            await self._carry_out(ledger, rule, step, started, began, repeats=repeats)
        finally:
            self.acting -= 1
        return None

    async def _start(self, ledger: Ledger, started: Started, case: Case) -> Refusal | None:
        """Have the start on record. Who tries stands in line before, so that no target is freed behind its back."""
        waits, reservation = False, self._guards.reserve(case)
        self._busy.line_up(ledger.run, reservation.locks)
        try:
            refusal = await ledger.start(started, reservation)
            waits = refusal is not None and refusal.reason is Reason.TARGET_BUSY
        finally:
            if not waits:
                self._busy.leave(ledger.run.id)
        return refusal

    def let_go(self, run: Run) -> None:
        """The run has ended: who waits for its targets tries now."""
        self._busy.free(run)

    async def _carry_out(
        self, ledger: Ledger, rule: Rule, step: PlannedStep, started: Started, began: float, *, repeats: bool
    ) -> None:
        failpoints.hit("step.started")
        if self._clock.monotonic() - began > MARGIN.total_seconds() / 2:
            why = "too much time passed before it could begin" + ("" if repeats else ", so it was not done")
            finished = self._not_begun(started, why, repeats=repeats)
        else:
            failpoints.hit("step.call")
            answer = await self._calls.change(step, _action_of(rule, step), may_retry=not repeats)
            is_begun = answer.begun or step.effect is Effect.READ
            ended = self._ended(started, answer)
            finished = ended if is_begun else self._not_begun(started, answer.brief, repeats=repeats)
        if not finished.begun:
            self._metrics.steps_not_begun.labels(step.action).inc()
        failpoints.hit("step.answered")
        await self._record(ledger, step, finished)
        failpoints.hit("step.recorded")

    def _not_begun(self, started: Started, why: str, *, repeats: bool) -> Finished:
        """The end of a step that was not carried out. Only of a repeat something may have been done before."""
        if repeats:
            why = f"an earlier try was cut short, and it could not be repeated: {why}"
            return self._ended(started, Answer(StepStatus.UNKNOWN, {}, why, "", 0))
        return replace(self._ended(started, Answer(StepStatus.FAILED, {}, why, "", 0)), begun=False)

    def _ended(self, started: Started, answer: Answer) -> Finished:
        return Finished(
            at=self._clock.now(),
            round=started.round,
            step=started.step,
            attempt=started.attempt,
            status=answer.status,
            brief=answer.brief,
            detail=answer.detail,
            seconds=answer.seconds,
        )

    async def _record(self, ledger: Ledger, step: PlannedStep, finished: Finished) -> None:
        ledger.note(finished)
        status = finished.status if finished.begun else "not begun"
        log.info("step_finished", step=step.id, action=step.action, status=status, seconds=finished.seconds)
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
        if finished.status is StepStatus.UNKNOWN:  # counted by whoever records it, so once
            self._metrics.steps_unknown.labels(step.action).inc()


def _action_of(rule: Rule, step: PlannedStep) -> Action:
    return next(s.action for rung in rule.rungs for s in rung.steps if s.id == step.id)
