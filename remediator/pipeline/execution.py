"""Performs one planned step: recorded before, called once, recorded after, whatever happens meanwhile.

*Started* is committed, with the reservations, before the call; *finished* is always written, also while the process
is being stopped and while the store is away. The deadline is checked right before the call, because a process can be
frozen between the two.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from remediator.errors import Fenced, RemediatorError, StoreUnavailable
from remediator.kit import failpoints
from remediator.kit.clock import Clock
from remediator.kit.metrics import Metrics
from remediator.kit.redaction import shorten
from remediator.kit.tasks import finish_even_if_cancelled
from remediator.model.digest import digest_of
from remediator.model.facts import Fact, Finished, LateFinished, Settled, Started, StepStatus
from remediator.model.history import Known
from remediator.model.ids import StepId
from remediator.model.outcome import Reason
from remediator.model.plan import Effect, Plan, PlannedStep
from remediator.model.run import Run
from remediator.model.stage import Fresh, stage_of
from remediator.model.undo import Captured
from remediator.pipeline.answer import Answer
from remediator.pipeline.busy import BusyTargets
from remediator.pipeline.calls import Calls
from remediator.pipeline.guards import Case, Guards
from remediator.pipeline.ledger import Ledger
from remediator.pipeline.undo.untouched import asked_of, untouched
from remediator.pipeline.undo.verdicts import PutBack
from remediator.plugins import Action
from remediator.rules.book import Rule
from remediator.storage.runs import NOTHING, Refusal, Reservation

log = structlog.get_logger(__name__)

MARGIN = timedelta(seconds=10)
"""How much longer than its time limit a call may last at the most: ending a process group, a slow clock."""

TOO_LATE = "too much time passed before it could begin"

Beside = Callable[[], Awaitable[Sequence[Fact]]]
"""What goes on while a step acts: it says what to note of it."""

_SAVE_AGAIN = timedelta(seconds=1)
_MOST_SAID = 300


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

    async def perform(
        self,
        ledger: Ledger,
        case: Case,
        step: PlannedStep,
        *,
        repeats: bool,
        beside: Beside | None = None,
    ) -> Refusal | None:
        """Carry out a step of the case's plan and have its end on record; or a Refusal, and nothing was done.

        `repeats`: it was begun before, and nobody saw its end. `beside` goes on while a changing step acts, and is
        waited for when the end of that is on record; it raises nothing, takes little time, and says what to note.
        """
        if step.effect is Effect.READ:
            beside = None
        return await finish_even_if_cancelled(
            self._perform(ledger, case, step, repeats=repeats, beside=beside), name=f"step-{ledger.run.id}-{step.id}"
        )

    async def restore(
        self, ledger: Ledger, case: Case, put_back: PutBack, step: StepId, besides: Reservation = NOTHING
    ) -> Refusal | None:
        """Put back what a step has done, as a step of that id; or a Refusal, and nothing was done.

        `besides`: what has to be so for it, beyond what guards say.
        """
        undo = replace(put_back.step, id=step)
        action = case.rule.action(put_back.step.id)

        async def call() -> Answer:
            return await self._calls.restore(put_back.step, action, put_back.before)

        return await finish_even_if_cancelled(
            self._act(ledger, case, undo, call, repeats=False, captured=None, besides=besides),
            name=f"step-{ledger.run.id}-{step}",
        )

    async def before(self, rule: Rule, plan: Plan) -> Mapping[str, str]:
        """Of each step that can be put back the digest of what it would change, as it is now; only looked at.

        A step of which it cannot be read is left out: whoever carries it out finds out why.
        """
        found = {}
        for step in plan.steps:
            action = rule.action(step.id)
            if step.effect is Effect.READ or action.inverse is None:
                continue
            with suppress(RemediatorError):
                found[str(step.id)] = digest_of(dict(await self._calls.capture(step, action)))
        return found

    async def _perform(
        self,
        ledger: Ledger,
        case: Case,
        step: PlannedStep,
        *,
        repeats: bool,
        beside: Beside | None,
    ) -> Refusal | None:
        action, besides = case.rule.action(step.id), NOTHING
        if step.effect is not Effect.READ and action.inverse is not None:
            asked = asked_of(step)
            besides = untouched(ledger.run.id, asked, await self._guards.ask(asked))
        captured = await self._capture(ledger, case, step, action)
        if captured is not None and captured.why_not and case.plan.lasts is not None and not repeats:
            await self._leave_out(ledger, step, captured)
            return None

        async def call() -> Answer:
            return await self._calls.change(step, action, may_retry=not repeats)

        return await self._act(
            ledger, case, step, call, repeats=repeats, captured=captured, besides=besides, beside=beside
        )

    async def _capture(self, ledger: Ledger, case: Case, step: PlannedStep, action: Action) -> Captured | None:
        """What is there before a step, or why that is not known; None where the step cannot be put back anyway."""
        if step.effect is Effect.READ or action.inverse is None:
            return None
        before, why_not = None, ""
        try:
            before = await self._calls.capture(step, action)
        except RemediatorError as error:
            why_not = shorten(str(error) or type(error).__name__, _MOST_SAID)
        return Captured(self._clock.now(), case.round, step.id, _attempt(ledger.run, step.id), before, why_not)

    async def _leave_out(self, ledger: Ledger, step: PlannedStep, captured: Captured) -> None:
        """Have on record that a step was not begun: what is to be put back later has to be known before."""
        now = self._clock.now()
        started = Started(now, captured.round, step.id, captured.attempt, ledger.run.epoch, now)
        ledger.note(started)
        why = f"what is there before it could not be kept, so it could not be put back later: {captured.why_not}"
        self._metrics.steps_not_begun.labels(step.action).inc()
        await self._record(ledger, step, self._not_begun(started, why, repeats=False))

    async def _act(
        self,
        ledger: Ledger,
        case: Case,
        step: PlannedStep,
        call: Callable[[], Awaitable[Answer]],
        *,
        repeats: bool,
        captured: Captured | None,
        besides: Reservation = NOTHING,
        beside: Beside | None = None,
    ) -> Refusal | None:
        now = self._clock.now()
        deadline = now + step.timeout + MARGIN
        started = Started(now, case.round, step.id, _attempt(ledger.run, step.id), ledger.run.epoch, deadline)
        began = self._clock.monotonic()
        refusal = await self._start(ledger, started, replace(case, run=ledger.run, at=now), captured, besides)
        if refusal is not None:
            return refusal
        going_on: list[asyncio.Future[Sequence[Fact]]] = []

        async def act() -> Answer:
            if beside is not None:
                going_on.append(asyncio.ensure_future(beside()))
            return await call()

        self.acting += 1
        try:
            await self._carry_out(ledger, step, started, began, act, repeats=repeats)
            noted = [fact for one in going_on for fact in await one]
            for fact in noted:
                ledger.note(fact)
            if noted:  # the proof may take long, and whoever takes over then has to know of it
                await ledger.save()
        finally:
            for one in going_on:
                one.cancel()
            self.acting -= 1
        return None

    async def _start(
        self, ledger: Ledger, started: Started, case: Case, captured: Captured | None, besides: Reservation
    ) -> Refusal | None:
        """Have the start on record. Who tries stands in line before, so that no target is freed behind its back."""
        waits, reservation = False, _both(self._guards.reserve(case), besides)
        self._busy.line_up(ledger.run, reservation.locks)
        try:
            refusal = await ledger.start(started, reservation, captured)
            waits = refusal is not None and refusal.reason is Reason.TARGET_BUSY
        finally:
            if not waits:
                self._busy.leave(ledger.run.id)
        return refusal

    def let_go(self, run: Run) -> None:
        """The run has given its targets back: who waits for them tries now."""
        self._busy.free(run)

    async def _carry_out(
        self,
        ledger: Ledger,
        step: PlannedStep,
        started: Started,
        began: float,
        call: Callable[[], Awaitable[Answer]],
        *,
        repeats: bool,
    ) -> None:
        failpoints.hit("step.started")
        if self._clock.monotonic() - began > MARGIN.total_seconds() / 2:
            why = TOO_LATE + ("" if repeats else ", so it was not done")
            finished = self._not_begun(started, why, repeats=repeats)
        else:
            failpoints.hit("step.call")
            answer = await call()
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
        needs_nothing = _needs_no_targets(ledger.run)
        status = finished.status if finished.begun else "not begun"
        log.info("step_finished", step=step.id, action=step.action, status=status, seconds=finished.seconds)
        while True:
            try:
                await ledger.save(free_locks=needs_nothing)
            except Fenced:
                await ledger.settle_late(finished)
                raise
            except StoreUnavailable as error:
                log.warning("step_end_not_recorded_yet", step=step.id, error=str(error))
                await self._clock.sleep(_SAVE_AGAIN)
            else:
                break
        if needs_nothing:
            self.let_go(ledger.run)
        if finished.status is StepStatus.UNKNOWN:  # counted by whoever records it, so once
            self._metrics.steps_unknown.labels(step.action).inc()


def _both(reservation: Reservation, besides: Reservation) -> Reservation:
    """The first one, with what the other asks and judges as well."""
    if besides is NOTHING:
        return reservation

    def judge(known: Known) -> Refusal | None:
        return besides.judge(known) or reservation.judge(known)

    questions = tuple(dict.fromkeys((*reservation.questions, *besides.questions)))
    return replace(reservation, questions=questions, judge=judge)


def _needs_no_targets(run: Run) -> bool:
    """Whether the run begins anew, as nothing of its plan could begin, and nothing of it may still be under way.

    It may be hours until it acts, where a person is asked, and nobody else could act on its targets meanwhile.
    """
    over = {fact.key for fact in run.facts if isinstance(fact, Finished) and fact.status is not StepStatus.UNKNOWN}
    is_idle = all(fact.key in over for fact in run.facts if isinstance(fact, Started))
    return is_idle and isinstance(stage_of(run), Fresh)


def locked_until(run: Run) -> datetime | None:
    """Until when the targets stay locked after the end: a step that is unknown may be under way for so long."""
    seen = {f.key for f in run.facts if isinstance(f, Finished) and f.status is not StepStatus.UNKNOWN}
    seen |= {f.key for f in run.facts if isinstance(f, LateFinished | Settled)}
    return max((f.deadline + MARGIN for f in run.facts if isinstance(f, Started) and f.key not in seen), default=None)


def _attempt(run: Run, step: StepId) -> int:
    """Which one the next try of a step is, in all rounds of the run."""
    return 1 + sum(isinstance(fact, Started) and fact.step == step for fact in run.facts)
