"""The order of the stages, and nothing else that could live elsewhere. It alone knows what comes after what.

The worker calls `carry_on` with a run that it owns. Where a run stands is folded from its stored facts and signals, so
that it goes on the same way here, elsewhere, or after a restart.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import assert_never

import structlog

from remediator.kit import failpoints
from remediator.kit.clock import Clock
from remediator.kit.metrics import Metrics
from remediator.kit.redaction import Redactor
from remediator.kit.wording import say_time
from remediator.model.facts import (
    Asked,
    Closed,
    Ended,
    Evidence,
    Examined,
    Planned,
    Settled,
    Started,
    Verified,
)
from remediator.model.outcome import Outcome, Reason
from remediator.model.plan import Effect, Mode, Plan
from remediator.model.run import Run, Undo
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
    approval_of,
    cancelled,
    found_out,
    has_begun,
    last_at,
    recurs_at,
    resolved,
    settlement,
    stage_of,
    told_of,
    wait_before,
    waits_since,
)
from remediator.model.undo import Undoing
from remediator.pipeline import approval, outcome, planning
from remediator.pipeline.diagnosis import Diagnosis
from remediator.pipeline.escalation.levels import NO_LEVELS, Levels, due_levels, taken_on
from remediator.pipeline.execution import Execution, locked_until
from remediator.pipeline.guards import Ask, Case, Guards, Hold, Refuse, Review
from remediator.pipeline.guards.effective import LimitsOf
from remediator.pipeline.holding import Holding
from remediator.pipeline.ledger import Ledger
from remediator.pipeline.lessons import Lessons
from remediator.pipeline.planning import CannotPlan, NoRung, Planner
from remediator.pipeline.promotion import suggestion
from remediator.pipeline.rounds import survive
from remediator.pipeline.rulebook import Rulebook
from remediator.pipeline.silencing.silences import open_silences
from remediator.pipeline.silencing.silencing import ASK_EVERY, Silencing
from remediator.pipeline.timers import next_timer
from remediator.pipeline.turn import A_MOMENT, LOOK_AGAIN, Left, Parked, Turn, note_held
from remediator.pipeline.undo.putting_back import PuttingBack, lost_sight_of
from remediator.pipeline.undo.timing import due_rollback, due_undoing, next_undoing, under_way, what_came_of_rollback
from remediator.pipeline.verification import Watch
from remediator.rules.book import Rule
from remediator.settings import PipelineSettings
from remediator.storage.store import Store

log = structlog.get_logger(__name__)

_STALE = timedelta(minutes=1)
"""For how long a plan that nobody was asked for may have waited without that evidence is gathered anew."""
_RESTLESS = 2  # a target that is another at each look is looked at with a pause


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


class _NoMoreProof(Exception):  # noqa: N818 - it only ends the proof, and never leaves the flow
    """A person wants what was done to be put back: whether it helps does not matter any more."""


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
        levels: Levels = NO_LEVELS,
    ) -> None:
        self._store = store
        self._rulebook = rulebook
        self._stages = stages
        self._clock = clock
        self._metrics = metrics
        self._redactor = redactor
        self._settings = settings
        self._holding = Holding(clock, metrics, settings.hold_timeout)
        self._ceiling = ceiling
        self._limits = limits
        self._levels = levels

    async def carry_on(self, run: Run, turn: Turn) -> datetime | None:
        """Take a run as far as it can go now, and store that; when it wants to be taken on again, if ever."""
        ledger = Ledger(run, self._store, self._redactor)
        rule = await self._rulebook.rule(run.rule_digest)
        while True:
            await self._see_to_escalation(ledger, rule)
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
        ledger = Ledger(run, self._store, self._redactor)
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
                await self._conclude(ledger, await self._rulebook.rule(ledger.run.rule_digest), planned)

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
                await self._hear_news(ledger, turn)
                return None
            case Diagnosed() as stage:
                return await self._plan(ledger, rule, stage)
            case Drafted() as stage:
                return await self._decide(ledger, rule, stage, turn)
            case Underway() as stage:
                return await self._go_on(ledger, rule, stage, turn)
            case InDoubt() as stage:
                return await self._settle_doubt(ledger, rule, stage, turn)
            case Acted() as stage:
                turn.end_change()
                return await self._verify(ledger, rule, stage, turn)
            case NotHelped() as stage:
                turn.end_change()
                await self._stages.silencing.lift(ledger)
                self._note_settlement(ledger)
                await self._conclude(ledger, rule, stage.planned)
                return await self._next_rung(ledger, rule, stage)
            case Proven() as stage:
                self._note_settlement(ledger)
                await self._conclude_well(ledger, rule, stage.planned)
                if (due := recurs_at(ledger.run, stage)) is not None:
                    await self._stages.silencing.lift(ledger)
                    return await self._do_again(ledger, rule, stage, due)
                return await self._proven(ledger, rule, stage)
            case Over() as stage:
                return await self._epilogue(ledger, rule, stage)
            case other:
                assert_never(other)

    async def _put_back(self, ledger: Ledger, rule: Rule, undoing: Undoing, turn: Turn) -> Parked | Left | None:
        """The next change that is to be put back; a run that has ended rests again when all of that is done."""
        if isinstance(stage_of(ledger.run), Over):
            await self._stages.silencing.lift(ledger)  # its timer does not wait for the undoing
        left = await self._stages.putting_back.go_on(ledger, undoing, partial(self._case, ledger, rule), turn)
        if under_way(ledger.run) is not None:
            return left
        turn.end_change()
        stage = stage_of(ledger.run)
        return await self._end_again(ledger, rule, stage.ended) if isinstance(stage, Over) else None

    async def _see_to_escalation(self, ledger: Ledger, rule: Rule) -> None:
        """Tell the next level where it is time, and that a person has taken the problem on: both at once."""
        now, run = self._clock.now(), ledger.run
        word, due = taken_on(run, now), tuple(due_levels(run, rule, self._levels, now))
        if word is not None:
            ledger.note(word)
        for level in due:
            ledger.note(level)
        if word is not None or due:
            await ledger.save()
        for level in due:
            self._metrics.escalations.labels(level.to).inc()
            log.info("run_escalated", level=level.level, to=level.to, told=list(level.channels))

    async def _hear_news(self, ledger: Ledger, turn: Turn) -> None:
        """Read what has come, if this process knows that something has; the store refuses to go on past the rest."""
        if turn.has_news:
            await ledger.read_signals()

    def _mode(self, rule: Rule) -> Mode:
        return rule.mode.capped(self._ceiling)

    def _case(self, ledger: Ledger, rule: Rule, planned: Planned) -> Case:
        """A plan as it is brought before the guards, now."""
        run, plan = ledger.run, planned.plan
        return Case(
            run=run,
            rule=rule,
            plan=plan,
            at=self._clock.now(),
            mode=self._mode(rule),
            limits=self._limits(rule, plan),
            round=planned.round,
            approved=approval_of(run, planned) is not None,
            told=told_of(run, planned),
            begun=has_begun(run, planned),
        )

    async def _conclude(self, ledger: Ledger, rule: Rule, planned: Planned) -> None:
        """Have what a round has shown stand in the way from now on. The journal must show it as well, so it is stored.

        Raises StoreUnavailable: then all of it is done again, before the run goes on.
        """
        await ledger.save()
        await self._stages.lessons.learn(self._case(ledger, rule, planned))

    async def _conclude_well(self, ledger: Ledger, rule: Rule, planned: Planned) -> None:
        """The same for an ending that was not bad: all that can follow is that a breaker closes."""
        if await self._stages.lessons.has_open_breaker(self._case(ledger, rule, planned)):
            await self._conclude(ledger, rule, planned)

    def _is_forbidden(self, ledger: Ledger, rule: Rule, planned: Planned) -> Ended | None:
        """The end of a run that was begun under another ceiling: what it has left to do is not allowed any more."""
        mode = self._mode(rule)
        approved = approval_of(ledger.run, planned) is not None
        if mode in (Mode.OBSERVE, Mode.SUGGEST) or (approval.needs_person(planned.plan, mode) and not approved):
            return Ended(self._clock.now(), Outcome.CANCELLED, f"the mode is {mode} now, so the rest was not done")
        return None

    def _called_off(self, ledger: Ledger) -> Ended | None:
        return outcome.called_off(self._clock.now(), cancelled(ledger.run), resolved(ledger.run))

    async def _plan(self, ledger: Ledger, rule: Rule, stage: Diagnosed) -> Ended | None:
        if (ended := self._called_off(ledger)) is not None:
            return ended
        if self._mode(rule) is Mode.OBSERVE:
            return self._observed(ledger, rule, stage)
        planned = await self._draft(ledger, rule, stage.examined.evidence, stage.after_rung, stage.revision)
        if isinstance(planned, Ended):
            return planned
        ledger.note(planned)
        if self._mode(rule) is Mode.SUGGEST:
            return outcome.told(self._clock.now(), f"suggested, not done: {planned.plan.name}")
        return self._too_late(ledger, rule, planned)

    def _too_late(self, ledger: Ledger, rule: Rule, planned: Planned) -> Ended | None:
        """The end of a run whose turn came so late that it should not act by itself; people may still be asked."""
        waited = wait_before(ledger.run)
        if waited <= self._settings.hold_timeout or approval.needs_person(planned.plan, self._mode(rule)):
            return None
        return outcome.too_late(self._clock.now(), ledger.run.id, waited, self._settings.hold_timeout)

    def _observed(self, ledger: Ledger, rule: Rule, stage: Diagnosed) -> Ended:
        """The end of a run that may only look: the advice that fits, if the rule has one."""
        why = "the rule only observes" if rule.mode is Mode.OBSERVE else "the ceiling for all rules is to observe"
        rung = planning.choose(ledger.run, rule, stage.examined.evidence, stage.after_rung)
        said = None if isinstance(rung, NoRung) else planning.advice(ledger.run, rule, rung, stage.examined.evidence)
        return outcome.told(self._clock.now(), said or why)

    async def _draft(
        self, ledger: Ledger, rule: Rule, evidence: Mapping[str, Evidence], after_rung: int, revision: int
    ) -> Planned | Ended:
        run, now = ledger.run, self._clock.now
        rung = planning.choose(run, rule, evidence, after_rung)
        if isinstance(rung, NoRung):
            return outcome.ladder_over(now(), rung.why, tried=after_rung >= 0)
        said = planning.advice(run, rule, rung, evidence)
        if said is not None:
            return outcome.ladder_over(now(), said, tried=after_rung >= 0)
        plan = await self._stages.planner.draft(run, rule, rung, evidence)
        if isinstance(plan, CannotPlan):
            self._metrics.held.labels(plan.reason.name.lower()).inc()
            return outcome.refused(now(), plan.reason, plan.detail)
        round_ = next(f.round for f in reversed(run.facts) if isinstance(f, Examined))
        return Planned(now(), round_, revision, plan, self._stages.guards.alert_from)

    async def _decide(self, ledger: Ledger, rule: Rule, stage: Drafted, turn: Turn) -> Parked | Ended | None:
        """Guards, then the gate, then the first step."""
        now = self._clock.now()
        if (ended := self._called_off(ledger)) is not None:
            return ended
        plan = stage.planned.plan
        if self._mode(rule) in (Mode.OBSERVE, Mode.SUGGEST):
            return outcome.told(now, f"the mode is {self._mode(rule)} now, so the plan was not carried out")
        if now - waits_since(ledger.run, stage.planned) > max(
            self._settings.hold_timeout, self._time_to_decide(rule, plan)
        ):
            held = f"; it was held: {stage.held.reason}" if stage.held is not None else ""
            return outcome.expired(now, f"the plan is too old by now to make sense{held}")
        case = self._case(ledger, rule, stage.planned)
        review = await self._stages.guards.review(case)
        if isinstance(review, Refuse):
            await self._stages.lessons.learn(case)
            return self._holding.refuse(case, review.reason, review.detail)
        if isinstance(review, Hold):
            await self._stages.lessons.watch_storms(case)
            return self._holding.hold(ledger, stage.planned, review)
        mode = self._mode(rule).capped(Mode.GATED) if isinstance(review, Ask) else self._mode(rule)
        news = stage.asked is not None and isinstance(review, Ask) and not case.told.issuperset(review.reasons)
        match approval.stand(plan, mode, stage.asked, stage.decision, now):
            case approval.Ask():
                return self._ask(ledger, rule, stage.planned, review)
            case approval.Wait() | approval.Free() if news:
                return self._ask_anew(ledger, rule, stage.planned, review)
            case approval.Wait(until=until):
                return Parked(until)
            case approval.Denied() as denial:
                return outcome.denied(now, denial)
            case approval.Expired():
                return outcome.expired(now, "nobody has approved the plan in time")
            case approval.Free():
                return await self._begin(ledger, rule, stage, turn)
            case other:
                assert_never(other)

    def _ask_anew(self, ledger: Ledger, rule: Rule, planned: Planned, review: Review) -> Parked:
        """Have a person decide on the same plan once more: people were not told of all that there is to know."""
        again = replace(planned, at=self._clock.now(), revision=planned.revision + 1)
        ledger.note(again)
        return self._ask(ledger, rule, again, review)

    def _ask(self, ledger: Ledger, rule: Rule, planned: Planned, review: Review) -> Parked:
        """Have a person decide on the plan."""
        now = self._clock.now()
        until = now + self._time_to_decide(rule, planned.plan)
        reason, why = Reason.NEEDS_APPROVAL, ""
        if isinstance(review, Ask):
            reason = review.reason
            why = f"{review.reason}: {review.detail}" if review.detail else str(review.reason)
        reasons = review.reasons if isinstance(review, Ask) else ()
        ledger.note(Asked(now, planned.round, planned.revision, until, why, reasons))
        self._metrics.held.labels(reason.name.lower()).inc()
        return Parked(until)

    def _time_to_decide(self, rule: Rule, plan: Plan) -> timedelta:
        """How long people have: what the remedy's gate says, else the settings."""
        gate = rule.rungs[plan.rung].gate
        return (gate.timeout if gate else None) or self._settings.approval_timeout

    async def _begin(self, ledger: Ledger, rule: Rule, stage: Drafted, turn: Turn) -> Parked | Ended | None:
        """The first step; where the plan has waited, only if it would be made the same way again now."""
        if not turn.may_change:
            began = self._clock.now()
            await self._wait_to_change(ledger, turn)
            if turn.may_change and stage.asked is None and self._clock.now() - began > _STALE:
                await self._examine_again(ledger, rule, stage)
            return None
        if stage.asked is None and stage.held is not None and self._clock.now() - stage.planned.at > _STALE:
            await self._examine_again(ledger, rule, stage)
            return None
        waited = stage.asked is not None or stage.held is not None or stage.planned.at < self._clock.now() - LOOK_AGAIN
        if waited:
            evidence = next(f.evidence for f in reversed(ledger.run.facts) if isinstance(f, Examined))
            planned = stage.planned
            anew = await self._draft(ledger, rule, evidence, planned.plan.rung - 1, planned.revision + 1)
            if isinstance(anew, Ended):
                return anew
            if anew.plan.digest != planned.plan.digest:
                ledger.note(anew)
                return Parked(self._clock.now() + LOOK_AGAIN) if anew.revision > _RESTLESS else None
        return await self._act(ledger, rule, stage.planned, 0, turn)

    async def _examine_again(self, ledger: Ledger, rule: Rule, stage: Drafted) -> None:
        """Gather evidence anew, for the same rungs. The place to change something is kept, or it might never end."""
        if self._called_off(ledger) is not None:
            return  # it ends anyway
        ledger.note(await self._stages.diagnosis.examine(ledger.run, rule, stage.planned.round + 1))
        await ledger.read_signals()

    async def _wait_to_change(self, ledger: Ledger, turn: Turn) -> None:
        """Wait for one of the places to change something; whether there is still reason to is looked at after it.

        It may take minutes: evidence and plan are told before.
        """
        await ledger.save()
        await turn.wait_to_change()
        await ledger.read_signals()

    async def _go_on(self, ledger: Ledger, rule: Rule, stage: Underway, turn: Turn) -> Parked | Ended | None:
        left = await self._next_step(ledger, rule, stage, turn)
        if isinstance(left, Ended):
            await self._conclude_well(ledger, rule, stage.planned)
        return left

    async def _next_step(self, ledger: Ledger, rule: Rule, stage: Underway, turn: Turn) -> Parked | Ended | None:
        if (wish := cancelled(ledger.run)) is not None:
            return outcome.called_off(self._clock.now(), wish, None)
        if (forbidden := self._is_forbidden(ledger, rule, stage.planned)) is not None:
            return forbidden
        waited = self._clock.now() - last_at(ledger.run)
        if waited > self._settings.hold_timeout:
            return outcome.too_late_for_rest(self._clock.now(), ledger.run.id, waited, self._settings.hold_timeout)
        return await self._act(ledger, rule, stage.planned, stage.next, turn)

    async def _act(
        self,
        ledger: Ledger,
        rule: Rule,
        planned: Planned,
        index: int,
        turn: Turn,
        *,
        repeats: bool = False,
    ) -> Parked | Ended | None:
        if not turn.may_change:
            await self._wait_to_change(ledger, turn)
            return None
        step, case = planned.plan.steps[index], self._case(ledger, rule, planned)
        if step.effect is not Effect.READ:
            review = await self._stages.guards.look(case)
            if isinstance(review, Refuse):
                return self._holding.refuse(case, review.reason, review.detail)
            if isinstance(review, Hold):
                return self._holding.hold(ledger, planned, review)
            if isinstance(review, Ask) and not (case.begun or case.has_approved(review)):
                return Parked(case.at + A_MOMENT)  # the review says the same, and asks
            await self._stages.silencing.begin(ledger, rule)
        refusal = await self._stages.execution.perform(ledger, case, step, repeats=repeats)
        if refusal is None:
            await self._hear_news(ledger, turn)
            return None
        if refusal.reason is Reason.SIGNALLED:
            await ledger.read_signals()
            return None
        return self._holding.heed(ledger, planned, case, refusal)

    async def _settle_doubt(self, ledger: Ledger, rule: Rule, stage: InDoubt, turn: Turn) -> Parked | Ended | None:
        """A step that an earlier owner began and never ended: repeated once where that is harmless, else unknown."""
        started, planned = stage.started, stage.planned
        index, step = next((i, s) for i, s in enumerate(planned.plan.steps) if s.id == started.step)
        has_reason = self._called_off(ledger) is None and self._is_forbidden(ledger, rule, planned) is None
        makes_sense = self._clock.now() - started.at <= self._settings.hold_timeout
        if step.idempotent and not stage.repeats and has_reason and makes_sense:
            left = await self._act(ledger, rule, planned, index, turn, repeats=True)
            if not isinstance(left, Ended):  # else a guard refuses to have it repeated
                return left
        ledger.note(lost_sight_of(started, self._clock.now()))
        await ledger.save()
        self._metrics.steps_unknown.labels(step.action).inc()
        log.warning("step_unknown", step=step.id, action=step.action)
        return None

    async def _verify(self, ledger: Ledger, rule: Rule, stage: Acted, turn: Turn) -> Ended | None:
        async def is_resolved() -> bool:
            await self._stages.silencing.look(ledger)
            await ledger.read_signals()
            if is_to_be_undone(ledger.run):
                raise _NoMoreProof
            if self._note_settlement(ledger):  # told now: a proof can take its time
                await ledger.save()
            await self._see_to_escalation(ledger, rule)
            return resolved(ledger.run) is not None

        if stage.unknown:  # the proof may have another word on the same changes
            await self._conclude(ledger, rule, stage.planned)
        policy = stage.planned.plan.verification
        since = stage.last.at if stage.last else stage.planned.at
        try:
            if is_to_be_undone(ledger.run):
                raise _NoMoreProof  # noqa: TRY301 - as while it is looked for
            found, samples = await self._stages.watch.until_proven(
                ledger.run,
                rule,
                policy,
                since=since,
                resting=turn,
                is_resolved=is_resolved,
                ask_every=ASK_EVERY if open_silences(ledger.run) else None,
            )
        except _NoMoreProof:
            await self._conclude_well(ledger, rule, stage.planned)
            return outcome.called_off(self._clock.now(), cancelled(ledger.run), None)
        ledger.note(Verified(self._clock.now(), stage.planned.round, found.proof, samples, found.brief))
        return None

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
        word = await suggestion(self._store, self._case(ledger, rule, stage.planned))
        return replace(ended, brief=f"{ended.brief}; {word}") if word else ended

    async def _epilogue(self, ledger: Ledger, rule: Rule, stage: Over) -> Parked | Left | None:
        """News of a run that has ended: the alert's own end is told once, and so is what a person has settled.

        And what it has changed is put back, where it is time or where a person asks for it.
        """
        await self._stages.silencing.lift(ledger)
        if not stage.closed:
            self._note_end_of_alert(ledger, stage.ended)
        if self._note_settlement(ledger):
            return await self._end_again(ledger, rule, stage.ended)
        if (undoing := due_undoing(ledger.run, self._clock.now())) is not None:
            ledger.note(undoing)
            return None
        return Parked(None)

    async def _end_again(self, ledger: Ledger, rule: Rule, ended: Ended) -> Left | None:
        """Have a run rest again that had ended before; its targets may be free now."""
        until = next_timer(ledger.run, rule)
        rests = await ledger.end(ended, keep_locks_until=locked_until(ledger.run), wake_at=until)
        self._stages.execution.let_go(ledger.run)
        if rests:
            return Left(until)
        await ledger.read_signals()
        return None

    def _note_settlement(self, ledger: Ledger) -> bool:
        """Whether a person has settled what was unknown."""
        word = settlement(ledger.run)
        if word is not None:
            ledger.note(Settled(word.at, word.step, word.attempt, word.done, word.by, word.reason))
            log.info("step_settled", step=word.step, done=word.done, by=word.by)
        return word is not None

    def _note_end_of_alert(self, ledger: Ledger, ended: Ended) -> None:
        word = resolved(ledger.run)
        if word is not None and ended.outcome is not Outcome.RESOLVED_BY_ITSELF:
            brief = "its resolution was never heard" if word.missed else "Alertmanager says that it has resolved"
            ledger.note(Closed(self._clock.now(), brief))

    async def _end(self, ledger: Ledger, ended: Ended, rule: Rule | None) -> bool:
        await self._stages.silencing.find_again(ledger, rule)
        await self._stages.silencing.lift(ledger)
        self._note_settlement(ledger)
        ledger.note(ended)
        self._note_end_of_alert(ledger, ended)
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


def is_to_be_undone(run: Run) -> bool:
    """Whether a person wants what the run has done to be put back."""
    return any(isinstance(signal, Undo) for signal in run.signals)
