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
from remediator.model.facts import Asked, Ended, Examined, Planned, Voided
from remediator.model.ids import RuleId
from remediator.model.outcome import Reason
from remediator.model.plan import Mode, Plan
from remediator.model.run import Run
from remediator.model.stage import Drafted, again, waits_since
from remediator.pipeline import approval, outcome
from remediator.pipeline.acting import Acting
from remediator.pipeline.cases import Cases
from remediator.pipeline.diagnosis import Diagnosis
from remediator.pipeline.drafting import Drafting
from remediator.pipeline.guards import Ask, Guards, Hold, Refuse, Review
from remediator.pipeline.holding import Holding
from remediator.pipeline.ledger import Ledger
from remediator.pipeline.lessons import Lessons
from remediator.pipeline.people import People
from remediator.pipeline.turn import A_MOMENT, LOOK_AGAIN, Parked, Turn, wait_to_change
from remediator.rules.book import Rule
from remediator.settings import ApprovalSettings, PipelineSettings
from remediator.storage.store import Store

_STALE = timedelta(minutes=1)
"""For how long a plan may have waited without that evidence is gathered anew, also for a person's approval."""
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
        approval_settings: ApprovalSettings,
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
        self._approval_settings = approval_settings
        self._people = people
        self._rule_now = rule_now

    async def decide(self, ledger: Ledger, rule: Rule, stage: Drafted, turn: Turn) -> Parked | Ended | None:
        """Begin the plan, unless something stands in the way of it."""
        if (ended := self._has_no_reason(ledger, rule, stage)) is not None:
            return ended
        if self._approval_took_long(ledger, stage):
            await self._examine_again(ledger, rule, stage)
            return None
        if self._goes_at_once(rule, stage):
            if not await self._has_place(ledger, rule, stage, turn):
                return None
            if await self._acting.begin_at_once(ledger, rule, stage.planned, turn):
                return None
        return await self._let_through(ledger, rule, stage, turn)

    def _has_no_reason(self, ledger: Ledger, rule: Rule, stage: Drafted) -> Ended | None:
        """The end of a run whose plan is not to be begun any more."""
        if (ended := self._cases.called_off(ledger.run)) is not None:
            return ended
        now, plan = self._clock.now(), stage.planned.plan
        if self._cases.mode(rule) in (Mode.OBSERVE, Mode.SUGGEST):
            return outcome.told(now, f"the mode is {self._cases.mode(rule)} now, so the plan was not carried out")
        if now - waits_since(ledger.run, stage.planned) > max(self._hold_timeout, self._time_to_decide(rule, plan)):
            held = f"; it was held: {stage.held.reason}" if stage.held is not None else ""
            return outcome.expired(now, f"the plan is too old by now to make sense{held}")
        return None

    def _goes_at_once(self, rule: Rule, stage: Drafted) -> bool:
        """Whether nothing is known that could stand in the way: the start asks all guards itself."""
        planned = stage.planned
        is_new = stage.held is None and stage.asked is None and planned.renews is None and not planned.differs
        return (
            is_new
            and self._clock.now() - planned.at <= LOOK_AGAIN
            and not approval.needs_person(planned.plan, self._cases.mode(rule))
            and not self._acting.is_obstructed(rule)
        )

    async def _let_through(self, ledger: Ledger, rule: Rule, stage: Drafted, turn: Turn) -> Parked | Ended | None:
        """Guards, then the gate, then the first step."""
        now, plan = self._clock.now(), stage.planned.plan
        if why := self._why_void(ledger.run, stage):
            ledger.note(_voided(stage, now, why))
            return None
        case = self._cases.of(ledger, rule, stage.planned)
        review = await self._guards.review(case)
        if isinstance(review, Refuse):
            await self._lessons.learn(case)
            return self._holding.refuse(case, review.reason, review.detail)
        if isinstance(review, Hold):
            if review.is_outdated and now - stage.planned.at > LOOK_AGAIN:
                await self._examine_again(ledger, rule, stage)
                return None
            await self._lessons.watch_storms(case)
            return self._holding.hold(ledger, stage.planned, review)
        asks = isinstance(review, Ask) or bool(stage.planned.differs) or _was_voided(ledger.run, stage.planned)
        mode = self._cases.mode(rule).capped(Mode.GATED) if asks else self._cases.mode(rule)
        news = stage.asked is not None and isinstance(review, Ask) and not case.told.issuperset(review.concerns)
        match approval.stand(plan, mode, stage.asked, stage.decision, now):
            case approval.Ask() if _was_asked(ledger.run, stage.planned):
                return await self._ask_anew(ledger, rule, stage.planned, review)
            case approval.Ask():
                return await self._ask(ledger, rule, stage.planned, review)
            case approval.Wait() | approval.Free() if news:
                return await self._ask_anew(ledger, rule, stage.planned, review)
            case approval.Wait(until=until):
                return Parked(until)
            case approval.Denied() as denial:
                return outcome.denied(now, denial)
            case approval.Expired():
                return await self._unanswered(stage)
            case approval.Free():
                return await self._begin(ledger, rule, stage, turn)
            case other:
                assert_never(other)

    async def _ask(self, ledger: Ledger, rule: Rule, planned: Planned, review: Review) -> Parked:
        """Have people decide on the plan."""
        now = self._clock.now()
        policy = approval.policy_of(rule.rungs[planned.plan.rung].gate, self._approval_settings)
        until = now + policy.timeout
        reason, why = Reason.NEEDS_APPROVAL, ""
        if isinstance(review, Ask):
            reason = review.reason
            why = f"{review.reason}: {review.detail}" if review.detail else str(review.reason)
        if planned.differs:
            why = "; ".join(filter(None, (f"this is not what was approved: {planned.differs}", why)))
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
            reminders=tuple(sorted(until - before for before in policy.remind if until - before > now)),
            rule_now=self._rule_now(rule.id),
        )
        ledger.note(asked)
        self._metrics.held.labels(reason.name.lower()).inc()
        return Parked(until)

    async def _ask_anew(self, ledger: Ledger, rule: Rule, planned: Planned, review: Review) -> Parked:
        """Have people decide on the same plan once more: not all was told that there is to know, or it was void."""
        anew = replace(planned, at=self._clock.now(), revision=planned.revision + 1, renews=None, differs="")
        ledger.note(anew)
        return await self._ask(ledger, rule, anew, review)

    def _why_void(self, run: Run, stage: Drafted) -> str:
        """Why what was asked for cannot be approved any more, or its approval does not hold; empty where it does."""
        asked = stage.asked
        if asked is None:
            return ""
        if asked.rule_now and asked.rule_now != self._rule_now(run.rule):
            return "the rule has changed since it was asked for; this run goes by the rule that it began with"
        starter = again(run)
        for decision in stage.approvals:
            if not self._people.stands(decision, asked, starter=starter.person if starter else ""):
                return f"{decision.by}, who has approved it, may not decide on it any more"
        return ""

    def _time_to_decide(self, rule: Rule, plan: Plan) -> timedelta:
        """How long people have: what the remedy's gate says, else the settings."""
        gate = rule.rungs[plan.rung].gate
        return approval.policy_of(gate, self._approval_settings).timeout

    async def _unanswered(self, stage: Drafted) -> Ended:
        """The end of a run whose question nobody has answered in time, and may not have heard of."""
        oldest = (await self._store.outbox_state()).oldest
        is_unheard = stage.asked is not None and oldest is not None and oldest <= stage.asked.at
        return outcome.unanswered(self._clock.now(), oldest if is_unheard else None)

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
        return await self._acting.act(ledger, rule, stage.planned, 0, turn)

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


def _was_voided(run: Run, planned: Planned) -> bool:
    """Whether people were asked in vain about a plan of this round: they were told that nothing goes without them."""
    return any(isinstance(fact, Voided) and fact.round == planned.round for fact in run.facts)
