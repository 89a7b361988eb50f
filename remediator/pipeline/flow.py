"""The order of the stages, and nothing else that could live elsewhere. It alone knows what comes after what.

The worker calls `carry_on` with a run that it owns. Where a run stands is folded from its stored facts and signals, so
that it goes on the same way here, elsewhere, or after a restart. How one of them is gone through is told by the flow's
own parts: `drafting` makes a plan, `deciding` lets it begin or not, `acting` takes it from step to step, `proving` sees
whether it has helped, and `epilogue` sees to runs that have ended.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import assert_never

import structlog

from remediator.kit import failpoints
from remediator.kit.clock import Clock
from remediator.kit.metrics import Metrics
from remediator.kit.redaction import Redactor
from remediator.kit.wording import say_time
from remediator.model.calendar import Interval
from remediator.model.facts import Ended, Planned, Started
from remediator.model.outcome import Outcome, Reason
from remediator.model.plan import Mode
from remediator.model.run import Run
from remediator.model.stage import (
    Acted,
    Diagnosed,
    Drafted,
    Fresh,
    InDoubt,
    NotHelped,
    Over,
    Proven,
    Underway,
    cancelled,
    found_out,
    has_begun,
    recurs_at,
    resolved,
    stage_of,
)
from remediator.model.undo import Undoing
from remediator.pipeline import outcome
from remediator.pipeline.acting import Acting
from remediator.pipeline.approval import Terms
from remediator.pipeline.cases import Cases
from remediator.pipeline.concluding import Concluding
from remediator.pipeline.deciding import Deciding
from remediator.pipeline.diagnosis import Diagnosis
from remediator.pipeline.drafting import Drafting
from remediator.pipeline.epilogue import Epilogue, note_end_of_alert
from remediator.pipeline.escalation.escalating import Escalating
from remediator.pipeline.escalation.levels import NO_LEVELS, Levels
from remediator.pipeline.execution import Execution, locked_until
from remediator.pipeline.guards import Guards, Hold
from remediator.pipeline.guards.effective import LimitsOf
from remediator.pipeline.holding import Holding
from remediator.pipeline.ledger import Ledger
from remediator.pipeline.lessons import Lessons
from remediator.pipeline.notifying import NO_PLACES, Places
from remediator.pipeline.people import People
from remediator.pipeline.planning import Planner
from remediator.pipeline.promotion import suggestion
from remediator.pipeline.proving import Proving
from remediator.pipeline.rounds import survive
from remediator.pipeline.rulebook import Rulebook
from remediator.pipeline.settling import note_settlement
from remediator.pipeline.silencing.silencing import Silencing
from remediator.pipeline.timers import next_timer
from remediator.pipeline.turn import A_MOMENT, LOOK_AGAIN, Left, Parked, Turn, hear_news, note_held
from remediator.pipeline.undo.putting_back import PuttingBack, lost_sight_of
from remediator.pipeline.undo.timing import due_rollback, next_undoing, under_way, what_came_of_rollback
from remediator.pipeline.verification import Watch
from remediator.rules.book import Rule
from remediator.settings import ApprovalSettings, PipelineSettings
from remediator.storage.store import Store

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Stages:
    """The stages, wired by the composition root."""

    diagnosis: Diagnosis
    planner: Planner
    guards: Guards
    execution: Execution
    watch: Watch
    lessons: Lessons
    putting_back: PuttingBack
    silencing: Silencing


class Flow:
    """Takes runs through their stages."""

    def __init__(
        self,
        *,
        store: Store,
        rulebook: Rulebook,
        stages: Stages,
        clock: Clock,
        metrics: Metrics,
        redactor: Redactor,
        settings: PipelineSettings,
        ceiling: Mode,
        limits: LimitsOf,
        people: People,
        approval: ApprovalSettings,
        levels: Levels = NO_LEVELS,
        places: Places = NO_PLACES,
        hours: Sequence[Interval] = (),
    ) -> None:
        """`hours`: the only ones in which the time that people have to decide runs; without any, it always does."""
        self._store = store
        self._rulebook = rulebook
        self._stages = stages
        self._clock = clock
        self._metrics = metrics
        self._redactor = redactor
        self._places = places
        self._cases = Cases(clock, ceiling, limits)
        self._concluding = Concluding(stages.lessons, self._cases)
        self._escalating = Escalating(levels, clock, metrics)
        holding = Holding(clock, metrics, settings.hold_timeout)
        self._drafting = Drafting(
            cases=self._cases,
            planner=stages.planner,
            guards=stages.guards,
            clock=clock,
            metrics=metrics,
            hold_timeout=settings.hold_timeout,
        )
        self._acting = Acting(
            cases=self._cases,
            concluding=self._concluding,
            holding=holding,
            guards=stages.guards,
            execution=stages.execution,
            silencing=stages.silencing,
            clock=clock,
            metrics=metrics,
            hold_timeout=settings.hold_timeout,
        )
        self._deciding = Deciding(
            cases=self._cases,
            drafting=self._drafting,
            acting=self._acting,
            holding=holding,
            diagnosis=stages.diagnosis,
            guards=stages.guards,
            lessons=stages.lessons,
            store=store,
            clock=clock,
            metrics=metrics,
            settings=settings,
            terms=Terms(approval, tuple(hours)),
            people=people,
            rule_now=rulebook.digest_now,
        )
        self._proving = Proving(stages.watch, stages.silencing, self._escalating, self._concluding, clock)
        self._epilogue = Epilogue(stages.silencing, stages.execution, clock)

    async def carry_on(self, run: Run, turn: Turn) -> datetime | None:
        """Take a run as far as it can go now, and store that; when it wants to be taken on again, if ever."""
        ledger = Ledger(run, self._store, self._redactor, self._places)
        rule = await self._rulebook.rule(run.rule_digest)
        while True:
            await self._escalating.see_to(ledger, rule)
            match await self._advance(ledger, rule, turn):
                case Parked(until=until):
                    until = _not_at_once(next_timer(ledger.run, rule, at_most=until), self._clock.now())
                    if await ledger.park(until):
                        failpoints.hit("run.parked")
                        return until
                    await ledger.read_signals()
                case Ended() as ended:
                    if await self._end(ledger, ended, rule):
                        return next_timer(ledger.run, rule)
                    await ledger.read_signals()
                case Left(until=until):
                    return until
                case None:
                    continue

    async def give_up(self, run: Run, why: str) -> datetime | None:
        """End a run that cannot be carried on, so that people hear of it; when it has still something to do, if so."""
        ledger = Ledger(run, self._store, self._redactor, self._places)
        self._stages.putting_back.give_up(ledger, why)
        match stage_of(run):
            case Over(ended=ended):
                rule = await self._rule_of(ledger)
                until = next_timer(ledger.run, rule) if rule is not None else next_undoing(ledger.run)
                until = None if until is None else max(until, self._clock.now() + LOOK_AGAIN)  # it has just broken
                await ledger.end(ended, keep_locks_until=locked_until(ledger.run), wake_at=until)
                self._stages.execution.let_go(ledger.run)
                return until
            case InDoubt(started=started):
                ledger.note(lost_sight_of(started, self._clock.now()))
                until = await self._end_anyhow(ledger, Outcome.UNKNOWN, why)
                self._metrics.steps_unknown.labels(_action_of(run, started)).inc()
                return until
            case Acted(unknown=True) | NotHelped(unknown=True):
                return await self._end_anyhow(ledger, Outcome.UNKNOWN, why)
            case _:
                return await self._end_anyhow(ledger, Outcome.FAILED, why)

    async def _end_anyhow(self, ledger: Ledger, how: Outcome, why: str) -> datetime | None:
        """End a run; that no conclusions can be drawn from what it has begun must not keep it from ending."""

        async def conclude() -> None:
            planned = next((fact for fact in reversed(ledger.run.facts) if isinstance(fact, Planned)), None)
            if planned is not None and has_begun(ledger.run, planned):
                await self._concluding.conclude(ledger, await self._rulebook.rule(ledger.run.rule_digest), planned)

        await survive(conclude(), "run_taught_nothing", run=ledger.run.id)
        rule = await self._rule_of(ledger)
        await self._end(ledger, Ended(self._clock.now(), how, why), rule)
        return next_timer(ledger.run, rule) if rule is not None else next_undoing(ledger.run)

    async def _rule_of(self, ledger: Ledger) -> Rule | None:
        """The rule of a run, where it can still be read."""
        found: list[Rule] = []

        async def find() -> None:
            found.append(await self._rulebook.rule(ledger.run.rule_digest))

        await survive(find(), "run_has_no_rule", run=ledger.run.id)
        return found[0] if found else None

    async def _advance(self, ledger: Ledger, rule: Rule, turn: Turn) -> Parked | Ended | Left | None:
        """One stage on. None: there is more to do at once."""
        if (undoing := under_way(ledger.run)) is not None:
            return await self._put_back(ledger, rule, undoing, turn)
        match stage_of(ledger.run):
            case Fresh() as stage:
                turn.end_change()
                ledger.note(await self._stages.diagnosis.examine(ledger.run, rule, stage.round))
                await hear_news(ledger, turn)
                return None
            case Diagnosed() as stage:
                return await self._drafting.plan(ledger, rule, stage)
            case Drafted() as stage:
                return await self._deciding.decide(ledger, rule, stage, turn)
            case Underway() as stage:
                return await self._acting.go_on(ledger, rule, stage, turn)
            case InDoubt() as stage:
                return await self._acting.settle_doubt(ledger, rule, stage, turn)
            case Acted() as stage:
                turn.end_change()
                return await self._proving.verify(ledger, rule, stage, turn)
            case NotHelped() as stage:
                turn.end_change()
                await self._stages.silencing.lift(ledger)
                note_settlement(ledger)
                await self._concluding.conclude(ledger, rule, stage.planned)
                return await self._next_rung(ledger, rule, stage)
            case Proven() as stage:
                note_settlement(ledger)
                await self._concluding.conclude_well(ledger, rule, stage.planned)
                if (due := recurs_at(ledger.run, stage)) is not None:
                    await self._stages.silencing.lift(ledger)
                    return await self._do_again(ledger, rule, stage, due)
                return await self._proven(ledger, rule, stage)
            case Over() as stage:
                return await self._epilogue.see_to(ledger, rule, stage)
            case other:
                assert_never(other)

    async def _put_back(self, ledger: Ledger, rule: Rule, undoing: Undoing, turn: Turn) -> Parked | Left | None:
        """The next change that is to be put back; a run that has ended rests again when all of that is done."""
        if isinstance(stage_of(ledger.run), Over):
            await self._stages.silencing.lift(ledger)  # its timer does not wait for the undoing
        left = await self._stages.putting_back.go_on(ledger, undoing, partial(self._cases.of, ledger, rule), turn)
        if under_way(ledger.run) is not None:
            return left
        turn.end_change()
        stage = stage_of(ledger.run)
        return await self._epilogue.end_again(ledger, rule, stage.ended) if isinstance(stage, Over) else None

    async def _next_rung(self, ledger: Ledger, rule: Rule, stage: NotHelped) -> Ended | None:
        """The next rung, with evidence gathered anew; or the end of the ladder."""
        now, planned = self._clock.now(), stage.planned
        if stage.unknown:
            return outcome.gave_up(now, stage, "nothing more is tried", found_out(ledger.run))
        if cancelled(ledger.run) is not None:
            return outcome.called_off(now, cancelled(ledger.run), None)
        if resolved(ledger.run) is not None:
            return Ended(now, Outcome.INCONCLUSIVE, "the alert has resolved, but the proof was not seen")
        if (rollback := due_rollback(ledger.run, planned.round, now)) is not None:
            ledger.note(rollback)
            return None
        undone = what_came_of_rollback(ledger.run, planned.round)
        if undone is not None and undone.asks:
            return outcome.gave_up(now, stage, f"nothing more is tried until a person has looked: {undone.brief}")
        if planned.plan.rung + 1 >= len(rule.rungs):
            brief = f"{undone.brief}; the rule" if undone is not None else "the rule"
            return outcome.gave_up(now, stage, f"{brief} has nothing else to try")
        ledger.note(await self._stages.diagnosis.examine(ledger.run, rule, planned.round + 1))
        await ledger.read_signals()
        return None

    async def _do_again(self, ledger: Ledger, rule: Rule, stage: Proven, due: datetime) -> Parked | None:
        """What recurs rests until it is time, with its targets given back, and is looked at anew then."""
        now, round_ = self._clock.now(), stage.planned.round
        if now < due:
            detail = f"as long as the alert fires, it is done again at {say_time(due)}"
            if note_held(ledger, round_, Hold(Reason.RECURS, due, detail), now, due):
                await ledger.save(free_locks=True)
                self._stages.execution.let_go(ledger.run)
            return Parked(due)
        ledger.note(await self._stages.diagnosis.examine(ledger.run, rule, round_ + 1))
        await ledger.read_signals()
        return None

    async def _proven(self, ledger: Ledger, rule: Rule, stage: Proven) -> Ended:
        """The end that verification has spoken for, with what is worth considering after it."""
        ended = outcome.proven(self._clock.now(), stage, found_out(ledger.run))
        if ended.outcome is not Outcome.HEALED:
            return ended
        word = await suggestion(self._store, self._cases.of(ledger, rule, stage.planned))
        return replace(ended, brief=f"{ended.brief}; {word}") if word else ended

    async def _end(self, ledger: Ledger, ended: Ended, rule: Rule | None) -> bool:
        await self._stages.silencing.find_again(ledger, rule)
        await self._stages.silencing.lift(ledger)
        note_settlement(ledger)
        ledger.note(ended)
        note_end_of_alert(ledger, ended, self._clock.now())
        wake_at = next_timer(ledger.run, rule) if rule is not None else next_undoing(ledger.run)
        rests = await ledger.end(ended, keep_locks_until=locked_until(ledger.run), wake_at=wake_at)
        self._stages.execution.let_go(ledger.run)
        self._metrics.runs_ended.labels(ledger.run.rule, ended.outcome).inc()
        log.info("run_ended", outcome=ended.outcome, brief=ended.brief)
        return rests


def _not_at_once(until: datetime | None, now: datetime) -> datetime | None:
    """A run that rests rests for a moment, so that no time in the past keeps it awake."""
    return None if until is None else max(until, now + A_MOMENT)


def _action_of(run: Run, started: Started) -> str:
    plans = (fact.plan for fact in run.facts if isinstance(fact, Planned))
    return next(step.action for plan in plans for step in plan.steps if step.id == started.step)
