"""Whether a drafted plan begins: has it still a reason, what do the guards say, is a person asked, is there a place.

Called by the flow for a plan of which nothing is done yet. A plan goes at once where nothing is known that could stand
in the way; else after a review, and where it has waited, only if it would be made the same way again. Steps are
`acting`'s; this never calls an action.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import assert_never

from remediator.kit.clock import Clock
from remediator.kit.metrics import Metrics
from remediator.model import stage as stages
from remediator.model.approval import ends_at, next_reminder, reminder_due, reminders
from remediator.model.facts import Asked, Ended, Examined, Planned, Reminded, Voided
from remediator.model.ids import RuleId
from remediator.model.outcome import Reason
from remediator.model.plan import Mode
from remediator.model.run import Run
from remediator.model.stage import Drafted, waits_since
from remediator.pipeline import approval, outcome
from remediator.pipeline.acting import Acting
from remediator.pipeline.briefing import record_of, touches
from remediator.pipeline.cases import Cases
from remediator.pipeline.diagnosis import Diagnosis
from remediator.pipeline.drafting import Drafting
from remediator.pipeline.guards import Ask, Case, Guards, Hold, Refuse, Review
from remediator.pipeline.holding import VOIDS, Holding
from remediator.pipeline.ledger import Ledger
from remediator.pipeline.lessons import Lessons
from remediator.pipeline.people import People
from remediator.pipeline.tokens import revoked_tokens
from remediator.pipeline.turn import A_MOMENT, LOOK_AGAIN, Parked, Turn, wait_a_moment, wait_to_change
from remediator.pipeline.unanswered import Unanswered
from remediator.rules.book import Rule
from remediator.settings import PipelineSettings
from remediator.storage.store import Store

_STALE = timedelta(minutes=1)
"""For how long a plan may have waited without that evidence is gathered anew, also for a person's approval."""
_LOOK_MEANWHILE = timedelta(minutes=1)
"""How often it is looked whether what people were asked still stands: a pause wakes nobody."""
_RESTLESS = 2  # a target that is another at each look is looked at with a pause


class Deciding:
    """Decides on plans that have not begun."""

    def __init__(
        self,
        *,
        cases: Cases,
        drafting: Drafting,
        acting: Acting,
        holding: Holding,
        diagnosis: Diagnosis,
        guards: Guards,
        lessons: Lessons,
        store: Store,
        clock: Clock,
        metrics: Metrics,
        settings: PipelineSettings,
        terms: approval.Terms,
        people: People,
        rule_now: Callable[[RuleId], str],
    ) -> None:
        """`rule_now`: the digest of a rule as it is in force; empty where there is none of that name any more."""
        self._cases = cases
        self._drafting = drafting
        self._acting = acting
        self._holding = holding
        self._diagnosis = diagnosis
        self._guards = guards
        self._lessons = lessons
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._hold_timeout = settings.hold_timeout
        self._terms = terms
        self._people = people
        self._rule_now = rule_now
        self._unanswered = Unanswered(cases, store, clock, terms)

    async def decide(self, ledger: Ledger, rule: Rule, stage: Drafted, turn: Turn) -> Parked | Ended | None:
        """Begin the plan, unless something stands in the way of it."""
        if (ended := self._has_no_reason(ledger, rule, stage)) is not None:
            return ended
        if self._approval_took_long(ledger, stage):
            await self._examine_again(ledger, rule, stage)
            return None
        if self._goes_at_once(ledger.run, rule, stage):
            if not turn.may_change:
                if await wait_a_moment(ledger, turn):
                    return None
                case = self._cases.of(ledger, rule, stage.planned)
                if not turn.may_change and not await self._lessons.watch_storms(case):
                    await self._has_place(ledger, rule, stage, turn)
                    return None
            may_begin = turn.may_change and self._goes_at_once(ledger.run, rule, stage)
            if may_begin and await self._acting.begin_at_once(ledger, rule, stage.planned, turn):
                return None
        return await self._let_through(ledger, rule, stage, turn)

    def _has_no_reason(self, ledger: Ledger, rule: Rule, stage: Drafted) -> Ended | None:
        """The end of a run whose plan is not to be begun any more."""
        if (ended := self._cases.called_off(ledger.run)) is not None:
            return ended
        now = self._clock.now()
        if (denial := stages.denial_of(ledger.run)) is not None:
            return outcome.denied(now, approval.Denied(denial))  # whatever has changed since
        if self._cases.mode(rule) in (Mode.OBSERVE, Mode.SUGGEST):
            return outcome.told(now, f"the mode is {self._cases.mode(rule)} now, so the plan was not carried out")
        if _is_open(stage):
            return None  # its time is the one that people were given
        if now - waits_since(ledger.run, stage.planned) > self._hold_timeout:
            held = f"; it was held: {stage.held.reason}" if stage.held is not None else ""
            return outcome.expired(now, f"the plan is too old by now to make sense{held}")
        return None

    def _goes_at_once(self, run: Run, rule: Rule, stage: Drafted) -> bool:
        """Whether nothing is known that could stand in the way: the start asks all guards itself."""
        planned, was_asked = stage.planned, stage.asked is not None or stages.was_asked(run)
        is_new = stage.held is None and planned.renews is None and not planned.differs
        return (
            is_new
            and not was_asked
            and self._clock.now() - planned.at <= LOOK_AGAIN
            and not approval.needs_person(planned.plan, self._cases.mode(rule))
            and not self._acting.is_obstructed(rule)
        )

    async def _let_through(self, ledger: Ledger, rule: Rule, stage: Drafted, turn: Turn) -> Parked | Ended | None:
        """Guards, then the gate, then the first step."""
        now, plan = self._clock.now(), stage.planned.plan
        if why := await self._why_void(ledger.run, rule, stage):
            ledger.note(_voided(stage, now, why))
            return None
        case = self._cases.of(ledger, rule, stage.planned)
        review = await self._guards.review(case)
        if isinstance(review, Refuse):
            await self._lessons.learn(case)
            return self._holding.refuse(case, review.reason, review.detail)
        if isinstance(review, Hold):
            return await self._hold(ledger, rule, stage, case, review)
        # Who was asked has been told that nothing is done without them.
        asks = isinstance(review, Ask) or bool(stage.planned.differs) or stages.was_asked(ledger.run)
        mode = self._cases.mode(rule).capped(Mode.GATED) if asks else self._cases.mode(rule)
        news = stage.asked is not None and isinstance(review, Ask) and not case.told.issuperset(review.concerns)
        match approval.stand(plan, mode, stage.asked, stage.decision, now):
            case approval.Ask() if stage.planned.renews is not None or _was_asked(ledger.run, stage.planned):
                return await self._ask_anew(ledger, rule, stage.planned, review)
            case approval.Ask():
                return await self._ask(ledger, rule, stage.planned, review)
            case approval.Wait() | approval.Free() if news:
                return await self._ask_anew(ledger, rule, stage.planned, review)
            case approval.Wait():
                return self._wait(ledger, stage)
            case approval.Denied() as denial:
                return outcome.denied(now, denial)
            case approval.Expired():
                return await self._unanswered.see_to(ledger, rule, stage, review)
            case approval.Free():
                return await self._begin(ledger, rule, stage, turn)
            case other:
                assert_never(other)

    async def _hold(self, ledger: Ledger, rule: Rule, stage: Drafted, case: Case, hold: Hold) -> Parked | Ended | None:
        """What follows where a guard holds the plan: as long as people have time to decide, they may do so."""
        now = self._clock.now()
        is_due = stage.held is None or now >= stage.held.until
        if hold.is_outdated and is_due and now - stage.planned.at > LOOK_AGAIN:
            if _is_open(stage):
                ledger.note(_voided(stage, now, f"{hold.reason}: {hold.detail}"))
            await self._examine_again(ledger, rule, stage)
            return None
        await self._lessons.watch_storms(case)
        if _is_open(stage) and hold.reason not in VOIDS:
            is_over = stage.asked is not None and now >= stage.asked.until
            return await self._unanswered.see_to(ledger, rule, stage, hold) if is_over else self._wait(ledger, stage)
        return self._holding.hold(ledger, stage.planned, hold)

    def _wait(self, ledger: Ledger, stage: Drafted) -> Parked:
        """Rest until people decide, are to be reminded, or their time is over; it may become void meanwhile."""
        now, asked = self._clock.now(), stage.asked
        assert asked is not None  # noqa: S101 - else nobody is waited for
        told = [fact for fact in ledger.run.facts if isinstance(fact, Reminded)]
        if reminder_due(asked, told, now):
            ours = sum((fact.round, fact.revision) == (asked.round, asked.revision) for fact in told)
            told.append(Reminded(now, asked.round, asked.revision, ours + 1))
            ledger.note(told[-1])
        return Parked(min(asked.until, next_reminder(asked, told, now) or asked.until, now + _LOOK_MEANWHILE))

    async def _ask(self, ledger: Ledger, rule: Rule, planned: Planned, review: Review) -> Parked:
        """Have people decide on the plan."""
        now = self._clock.now()
        policy = self._terms.policy(rule, planned.plan)
        until = ends_at(now, policy.timeout, self._terms.hours)
        reason, why = Reason.NEEDS_APPROVAL, ""
        if isinstance(review, Ask):
            reason = review.reason
            why = f"{review.reason}: {review.detail}" if review.detail else str(review.reason)
        if planned.differs:
            why = "; ".join(filter(None, (f"this is not what was approved: {planned.differs}", why)))
        starter = stages.by_hand(ledger.run)
        nobody = self._people.lack(policy.approvers, policy.quorum, starter=starter.person if starter else "")
        why = "; ".join(filter(None, (why, f"nobody can approve it as things are: {nobody}" if nobody else "")))
        concerns = review.concerns if isinstance(review, Ask) else ()
        asked = Asked(
            at=now,
            round=planned.round,
            revision=planned.revision,
            until=until,
            why=why,
            reasons=tuple(one.reason for one in concerns),
            subjects=tuple(one.subject for one in concerns),
            approvers=policy.approvers,
            quorum=policy.quorum,
            on_timeout=policy.on_timeout.value,
            reminders=reminders(now, policy, self._terms.hours),
            rule_now=self._rule_now(rule.id),
            record=await record_of(self._store, self._cases.of(ledger, rule, planned)),
            touches=touches(planned.plan, await self._diagnosis.count(rule, planned.plan)),
            before=await self._acting.before(rule, planned.plan),
        )
        ledger.note(asked)
        self._metrics.held.labels(reason.name.lower()).inc()
        return Parked(min(until, next_reminder(asked, (), now) or until, now + _LOOK_MEANWHILE))

    async def _ask_anew(self, ledger: Ledger, rule: Rule, planned: Planned, review: Review) -> Parked:
        """Have people decide on the same plan once more: not all was told that there is to know, or it was void."""
        anew = replace(planned, at=self._clock.now(), revision=planned.revision + 1, renews=None, differs="")
        ledger.note(anew)
        return await self._ask(ledger, rule, anew, review)

    async def _why_void(self, run: Run, rule: Rule, stage: Drafted) -> str:
        """Why what was asked for cannot be approved any more, or its approval does not hold; empty where it does."""
        asked = stage.asked
        if asked is None:
            return ""
        if asked.rule_now and asked.rule_now != self._rule_now(run.rule):
            return "the rule has changed since it was asked for; this run goes by the rule that it began with"
        policy = self._terms.policy(rule, stage.planned.plan)
        if (frozenset(policy.approvers), policy.quorum) != (frozenset(asked.approvers), asked.quorum):
            return "the settings have changed who has to approve it"
        starter = stages.by_hand(run)
        revoked = await revoked_tokens(self._store) if any(one.token for one in stage.approvals) else ()
        return self._people.fallen(stage.approvals, asked, starter=starter.person if starter else "", revoked=revoked)

    def _approval_took_long(self, ledger: Ledger, stage: Drafted) -> bool:
        """Whether a person has approved what was worked out so long ago that it is looked at anew before the start."""
        if not isinstance(approval.answered(stage.asked, stage.decision), approval.Free) or stage.decision is None:
            return False
        examined = next(fact for fact in reversed(ledger.run.facts) if isinstance(fact, Examined))
        return examined.at < stage.decision.at and self._clock.now() - examined.at > _STALE

    async def _begin(self, ledger: Ledger, rule: Rule, stage: Drafted, turn: Turn) -> Parked | Ended | None:
        """The first step; where the plan has waited, only if it would be made the same way again now."""
        if not await self._has_place(ledger, rule, stage, turn):
            return None
        if stage.held is not None and self._clock.now() - stage.planned.at > _STALE:
            await self._examine_again(ledger, rule, stage)
            return None
        waited = stage.asked is not None or stage.held is not None or stage.planned.at < self._clock.now() - LOOK_AGAIN
        if waited:
            evidence = next(f.evidence for f in reversed(ledger.run.facts) if isinstance(f, Examined))
            planned = stage.planned
            anew = await self._drafting.draft(ledger, rule, evidence, planned.plan.rung - 1, planned.revision + 1)
            if isinstance(anew, Ended):
                return anew if stage.asked is None else outcome.void(anew)
            if anew.plan.digest != planned.plan.digest:
                ledger.note(anew if stage.asked is None else approval.made_anew(anew, planned))
                return Parked(self._clock.now() + LOOK_AGAIN) if anew.revision > _RESTLESS else None
            if changed := await self._changed_since_asked(rule, stage):
                ledger.note(_voided(stage, self._clock.now(), changed))
                return None
        return await self._acting.act(ledger, rule, stage.planned, 0, turn)

    async def _changed_since_asked(self, rule: Rule, stage: Drafted) -> str:
        """What the plan would change and is not as it was when people were asked; empty where all of it is."""
        asked, plan = stage.asked, stage.planned.plan
        if asked is None or not asked.before:
            return ""
        now = await self._acting.before(rule, plan)
        changed = [step.sentence for step in plan.steps if now.get(step.id) != asked.before.get(step.id)]
        return f"what is there before has changed since it was asked for: {'; '.join(changed)}" if changed else ""

    async def _has_place(self, ledger: Ledger, rule: Rule, stage: Drafted, turn: Turn) -> bool:
        """Whether it may change something now; if not, wait for that, and if that took a moment, look anew."""
        if turn.may_change:
            return True
        began, signals = self._clock.now(), len(ledger.run.signals)
        await wait_to_change(ledger, turn)
        waited = self._clock.now() - began
        if turn.may_change and waited > _STALE:
            await self._examine_again(ledger, rule, stage)
        return turn.may_change and waited <= A_MOMENT and len(ledger.run.signals) == signals

    async def _examine_again(self, ledger: Ledger, rule: Rule, stage: Drafted) -> None:
        """Gather evidence anew, for the same rungs. The place to change something is kept, or it might never end."""
        if self._cases.called_off(ledger.run) is not None:
            return  # it ends anyway
        ledger.note(await self._diagnosis.examine(ledger.run, rule, stage.planned.round + 1))
        await ledger.read_signals()


def _voided(stage: Drafted, at: datetime, why: str) -> Voided:
    """That the newest question about this plan stands no more."""
    assert stage.asked is not None  # noqa: S101 - else nothing is void
    return Voided(at, stage.asked.round, stage.asked.revision, why)


def _was_asked(run: Run, planned: Planned) -> bool:
    """Whether there was a question already about the plan of this revision."""
    return any(isinstance(fact, Asked) and fact.key == planned.key for fact in run.facts)


def _is_open(stage: Drafted) -> bool:
    """Whether people were asked, and have not decided."""
    return stage.asked is not None and approval.answered(stage.asked, stage.decision) is None
