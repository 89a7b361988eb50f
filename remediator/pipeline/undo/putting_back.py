"""Carries an undoing out: each change that can be put back, the last one first, as a step of its own.

Called by the flow as long as an undoing of a run is under way. What has come of it is told once, when it is over. It
puts nothing back that somebody has changed since, or that a guard or a person does not let it touch: then people are
asked. What cannot be looked at for now waits, and is looked at again.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from remediator.errors import RemediatorError, Transient
from remediator.kit.clock import Clock
from remediator.kit.metrics import Metrics
from remediator.kit.redaction import shorten
from remediator.kit.wording import say_time
from remediator.model.facts import Finished, Held, Planned, Started, StepStatus
from remediator.model.ids import RunId, StepId
from remediator.model.outcome import Reason
from remediator.model.plan import Mode
from remediator.model.remains import Now, Remains
from remediator.model.run import Run
from remediator.model.stage import MOST_NOT_BEGUN, Over, stage_of
from remediator.model.undo import Cause, Left, Undoing, Undone, undo_step, undone_by
from remediator.pipeline.calls import Calls
from remediator.pipeline.execution import TOO_LATE, Execution
from remediator.pipeline.guards import Case, Guards, Hold, Refuse
from remediator.pipeline.ledger import Ledger
from remediator.pipeline.turn import A_MOMENT, LOOK_AGAIN, Parked, Turn, note_held, until_looked_at
from remediator.pipeline.undo.timing import due_undoing, under_way
from remediator.pipeline.undo.verdicts import Asks, Back, LeftTo, PutBack, Stays, Verdict, next_of, verdicts_on
from remediator.pipeline.undo.younger import Busy, Heir, Unclear, Younger, goes_back, taken_over, word_of
from remediator.storage.runs import NOTHING, Reservation

log = structlog.get_logger(__name__)

_LONGEST_PAUSE = timedelta(minutes=10)
_TOO_LONG = timedelta(days=1)
"""How long something may not be looked at until a person is asked about it."""
_MOST_SAID = 300

CaseOf = Callable[[Planned], Case]


@dataclass(frozen=True, slots=True)
class _Over:
    """It ends here, and why; the reason is empty where all that can be done is done."""

    why: str = ""


class PuttingBack:
    """Carries undoings out."""

    def __init__(
        self, calls: Calls, guards: Guards, execution: Execution, younger: Younger, clock: Clock, metrics: Metrics
    ) -> None:
        self._calls = calls
        self._guards = guards
        self._execution = execution
        self._younger = younger
        self._clock = clock
        self._metrics = metrics

    async def go_on(self, ledger: Ledger, undoing: Undoing, case_of: CaseOf, turn: Turn) -> Parked | None:
        """Put back what is to be put back next, or note that the undoing is over. None: there is more to do at once."""
        verdict = next_of(verdicts_on(ledger.run.facts, round=undoing.round))
        if not isinstance(verdict, PutBack):
            self._end(ledger, undoing, _Over())
            return None
        if not turn.may_change:
            await ledger.save()
            await turn.wait_to_change()
            await ledger.read_signals()
            return None
        left = await self._put_back(ledger, undoing, verdict, self._case(ledger, verdict, case_of))
        if isinstance(left, _Over):
            self._end(ledger, undoing, left)
            return None
        return left

    def give_up(self, ledger: Ledger, why: str) -> None:
        """Note that the undoing which a run is at, or is to begin, cannot be carried on, so that people hear of it."""
        undoing = under_way(ledger.run)
        if undoing is None:
            undoing = due_undoing(ledger.run, self._clock.now()) if isinstance(stage_of(ledger.run), Over) else None
            if undoing is None:
                return
            ledger.note(undoing)
        self._end(ledger, undoing, _Over(why))

    def _case(self, ledger: Ledger, verdict: PutBack, case_of: CaseOf) -> Case:
        """That this one step is to be put back, as it is brought before the guards."""
        facts = reversed(ledger.run.facts)
        planned = next(fact for fact in facts if isinstance(fact, Planned) and fact.round == verdict.round)
        plan = replace(planned.plan, steps=(verdict.step,), pools=())
        return replace(case_of(planned), plan=plan, approved=True, begun=True, undoes=True)

    async def _put_back(self, ledger: Ledger, undoing: Undoing, verdict: PutBack, case: Case) -> Parked | _Over | None:
        if case.mode in (Mode.OBSERVE, Mode.SUGGEST) and undoing.cause is not Cause.ASKED:
            return _Over(f"the mode is {case.mode} now, so only a person can have it put back")
        action = case.rule.action(verdict.step.id)
        if action.inverse is None:
            return _Over(f"this version of {action.name} cannot put it back")
        review = await self._guards.review(case)  # what is paused is not read either
        if isinstance(review, Refuse):
            return _refused(review.reason, review.detail)
        if isinstance(review, Hold):
            return self._hold(ledger, undoing, case, review)
        verdict, remains = goes_back(ledger.run, verdict), None
        try:
            remains = await self._calls.remains(verdict.step, action, verdict.before)
        except Transient as error:
            return self._look_later(ledger, undoing, case, str(error))
        except RemediatorError as error:  # to put it back shows the same, and has it on record
            log.warning("change_not_looked_at", step=verdict.step.id, error=str(error))
        if remains is not None and remains.now is Now.GONE:
            await self._record_back(ledger, undoing, verdict, remains)
            return None
        seen = await self._younger.look(ledger.run, verdict, self._calls.is_same(action))
        match seen.later:
            case Heir() as heir:
                await self._leave_to(ledger, undoing, verdict, heir, seen.place)
                return None
            case Busy(run=other):
                return self._hold(ledger, undoing, case, _until_done(other, case.at))
            case Unclear(why=why):
                return _Over(why)
        if remains is not None and remains.now is Now.AS_BEFORE:
            await self._record_back(ledger, undoing, verdict, remains)
            return None
        return await self._restore(ledger, undoing, verdict, case, seen.reservation)

    async def _leave_to(self, ledger: Ledger, undoing: Undoing, verdict: PutBack, heir: Heir, place: int) -> None:
        """Leave a change to a later run, which knows of it from then on: its own goes back to what was before both."""
        now = self._clock.now()
        if await self._younger.leave_to(heir, word_of(ledger.run, verdict, heir, now, place)):
            ledger.note(Left(now, verdict.round, verdict.step.id, undoing.count, heir.run, heir.until))
            log.info("change_left", step=verdict.step.id, to=heir.run)
            await ledger.save()

    async def _restore(
        self, ledger: Ledger, undoing: Undoing, verdict: PutBack, case: Case, besides: Reservation
    ) -> Parked | _Over | None:
        step = undo_step(verdict.step.id, undoing.count)
        for _ in range(MOST_NOT_BEGUN):
            refusal = await self._execution.restore(ledger, case, verdict, step, besides)
            if refusal is not None:
                break
            if not _came_too_late(ledger, step):
                return None
        else:
            return None
        if refusal.reason is Reason.SIGNALLED:
            await ledger.read_signals()
            return None
        now = self._clock.now()
        if refusal.until is not None and refusal.until <= now:  # it is no matter of time
            return _refused(refusal.reason, refusal.detail)
        hold = Hold(refusal.reason, refusal.until or now + LOOK_AGAIN, refusal.detail)
        return self._hold(ledger, undoing, case, hold)

    async def _record_back(self, ledger: Ledger, undoing: Undoing, verdict: PutBack, remains: Remains) -> None:
        """Have on record that there is nothing to put back: neither a lock nor a place in a budget is needed for it.

        Its start is refused where word has come, like any other: an earlier run may leave its change to this one.
        """
        now, step = self._clock.now(), undo_step(verdict.step.id, undoing.count)
        attempt = 1 + sum(isinstance(fact, Started) and fact.step == step for fact in ledger.run.facts)
        if await ledger.start(Started(now, verdict.round, step, attempt, ledger.run.epoch, now), NOTHING) is not None:
            await ledger.read_signals()
            return
        how = "it is gone, and the change with it" if remains.now is Now.GONE else "it is as it was before already"
        brief = f"{how}: {remains.found}"
        ledger.note(Finished(now, verdict.round, step, attempt, StepStatus.DONE, brief, "", 0))
        await ledger.save()

    def _look_later(self, ledger: Ledger, undoing: Undoing, case: Case, why: str) -> Parked | _Over:
        """It cannot be looked at now: the longer that lasts, the longer the pauses."""
        lasts = case.at - undoing.at
        if lasts >= _TOO_LONG:
            return _Over(f"how it is now could not be looked at for too long: {shorten(why, _MOST_SAID)}")
        pause = min(max(LOOK_AGAIN, lasts / 4), _LONGEST_PAUSE)
        if _is_told(ledger, undoing, Reason.TARGET_UNCERTAIN):  # the words differ from time to time
            return Parked(case.at + pause)
        hold = Hold(Reason.TARGET_UNCERTAIN, case.at + pause, shorten(why, _MOST_SAID))
        return self._hold(ledger, undoing, case, hold)

    def _hold(self, ledger: Ledger, undoing: Undoing, case: Case, hold: Hold) -> Parked:
        """Wait and be looked at again, however long it takes; told once for each reason."""
        now = self._clock.now()
        until = until_looked_at(ledger, case.round, hold, now)
        until = until if until > now else now + A_MOMENT
        if note_held(ledger, case.round, hold, now, until, since=undoing.at):
            self._metrics.held.labels(hold.reason.name.lower()).inc()
        return Parked(until)

    def _end(self, ledger: Ledger, undoing: Undoing, over: _Over) -> None:
        self._note_lost(ledger)
        verdicts = verdicts_on(ledger.run.facts, round=undoing.round)
        asks = isinstance(next_of(verdicts), Asks) or bool(over.why)
        ledger.note(Undone(self._clock.now(), undoing.count, asks, say_undone(verdicts, over.why, ledger.run)))
        log.info("undoing_over", cause=undoing.cause.name.lower(), needs_person=asks)

    def _note_lost(self, ledger: Ledger) -> None:
        """Say of what was begun, and nobody saw the end of, that it is unknown: nobody tries it again by itself."""
        seen = {fact.key for fact in ledger.run.facts if isinstance(fact, Finished)}
        back = {(one.round, one.step.id) for one in verdicts_on(ledger.run.facts) if isinstance(one, Back)}
        for fact in ledger.run.facts:
            if not isinstance(fact, Started) or fact.key in seen or (of := undone_by(fact.step)) is None:
                continue
            if (fact.round, of) not in back:
                ledger.note(lost_sight_of(fact, self._clock.now()))
                self._metrics.steps_unknown.labels(_action_of(ledger, fact.round, of)).inc()


def lost_sight_of(started: Started, now: datetime) -> Finished:
    """The end of a step that an earlier owner began, and whose own end nobody saw."""
    why = "the service was stopped or died while this was under way, and did not see how it ended"
    return Finished(now, started.round, started.step, started.attempt, StepStatus.UNKNOWN, why, "", 0)


def _until_done(other: RunId, now: datetime) -> Hold:
    why = f"run {other} is changing the same, or putting it back"
    return Hold(Reason.TARGET_BUSY, now + LOOK_AGAIN, why)


def say_undone(verdicts: tuple[Verdict, ...], why: str = "", run: Run | None = None) -> str:
    """What has become of each change, in words; with the run, also how far back it went."""
    if not verdicts:
        return "nothing was changed, so there is nothing to put back"
    waits = isinstance(next_of(verdicts), Asks)
    said = []
    for verdict in verdicts:
        match verdict:
            case Back():
                word = None if run is None else taken_over(run, verdict.round, verdict.step.id)
                far = f" (to what was there before run {word.left_by})" if word is not None else ""
                said.append(f"is back: {verdict.step.sentence}{far}")
            case LeftTo(run=other, until=until):
                lasts = f"until {say_time(until)}" if until is not None else "for good"
                said.append(f"left to run {other}, which has changed the same {lasts}: {verdict.step.sentence}")
            case Stays():
                because = f"{verdict.why}: {verdict.detail}" if verdict.detail else str(verdict.why)
                said.append(f"stays: {verdict.step.sentence} ({because})")
            case Asks():
                because = f"{verdict.why}: {verdict.detail}" if verdict.detail else str(verdict.why)
                said.append(f"needs a person: {verdict.step.sentence} ({because})")
            case PutBack():
                because = why or ("what was done after it has to be looked at first" if waits else "")
                said.append(f"not put back: {verdict.step.sentence}" + (f" ({because})" if because else ""))
    return "; ".join(said)


def _came_too_late(ledger: Ledger, step: StepId) -> bool:
    """Whether the newest try of a step was not begun because the store took too long to have its start on record."""
    last = next((one for one in reversed(ledger.run.facts) if isinstance(one, Finished) and one.step == step), None)
    return last is not None and not last.begun and last.brief.startswith(TOO_LATE)


def _is_told(ledger: Ledger, undoing: Undoing, reason: Reason) -> bool:
    """Whether people know that it waits for this."""
    facts = ledger.run.facts
    return any(isinstance(fact, Held) and fact.reason is reason and fact.at >= undoing.at for fact in facts)


def _refused(reason: Reason, detail: str) -> _Over:
    return _Over(f"{reason}: {detail}" if detail else str(reason))


def _action_of(ledger: Ledger, round_: int, step: str) -> str:
    plans = (fact.plan for fact in ledger.run.facts if isinstance(fact, Planned) and fact.round == round_)
    return next(one.action for plan in plans for one in plan.steps if one.id == step)
