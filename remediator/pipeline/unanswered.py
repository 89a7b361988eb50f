"""What becomes of a plan that people have not decided on in time: its run ends, others are told, or it goes by itself.

Called by `deciding` when the time is over. That a plan goes by itself only its rule can say, and it is a decision like
any other: a signal with its entry in the audit journal. What destroys something, what a guard has doubts about, and
what nobody could be told of never goes that way.
"""

from dataclasses import dataclass
from datetime import datetime

import structlog

from remediator.kit.clock import Clock
from remediator.model.approval import OnTimeout, ends_at, reminders
from remediator.model.audit import AuditEntry
from remediator.model.facts import Asked, Ended, Prolonged
from remediator.model.person import SERVICE
from remediator.model.plan import Effect, Mode
from remediator.model.run import Decision, Run
from remediator.model.stage import Drafted, acknowledged, stage_of
from remediator.pipeline import outcome
from remediator.pipeline.approval import Terms
from remediator.pipeline.card import key_of
from remediator.pipeline.cases import Cases
from remediator.pipeline.escalation.levels import levels_left
from remediator.pipeline.guards import Allow, Hold, Review
from remediator.pipeline.ledger import Ledger
from remediator.pipeline.turn import A_MOMENT, Parked
from remediator.rules.book import Rule
from remediator.storage.runs import Word
from remediator.storage.store import Store

log = structlog.get_logger(__name__)

_MOST_POSTS = 1000
_REASON = "nobody decided in time, and the rule says to go on then"


class Unanswered:
    """Sees to questions whose time is over."""

    def __init__(self, cases: Cases, store: Store, clock: Clock, terms: Terms) -> None:
        self._cases = cases
        self._store = store
        self._clock = clock
        self._terms = terms

    async def see_to(self, ledger: Ledger, rule: Rule, stage: Drafted, review: Review) -> Parked | Ended | None:
        """The end of the run; not where it goes on: there is more time, or it was decided. Raises StoreUnavailable."""
        asked = stage.asked
        assert asked is not None  # noqa: S101 - else no time is over
        heard = len(ledger.run.signals)
        await ledger.read_signals()
        if len(ledger.run.signals) != heard:
            return None  # somebody was just in time, by their clock
        untold = await self._untold(ledger.run, asked)
        match asked.on_timeout:
            case OnTimeout.ESCALATE if levels_left(ledger.run, rule):
                self._prolong(ledger, rule, stage)
                return None
            case OnTimeout.ESCALATE:
                word = acknowledged(ledger.run)
                why = "there is no other level to tell" if word is None else f"{word.by} has taken the problem on"
            case OnTimeout.AUTO:
                why = self._why_not_by_itself(stage, review)
                if not why and untold is not None:
                    why = "chat could not be told of the question"
                if not why:
                    return await self._go_on(ledger, stage)
                why = f"it does not go by itself: {why}"
            case _:
                why = ""
        return outcome.unanswered(self._clock.now(), untold, why_not=why)

    async def _untold(self, run: Run, asked: Asked) -> datetime | None:
        """Since when the question waits for the chat; None where it stands where people could read it."""
        posts = await self._store.posts_of(run.id, limit=_MOST_POSTS)
        was_told = any(post.key == key_of(asked) and post.ref is not None for post in posts)
        return None if was_told else asked.at

    def _prolong(self, ledger: Ledger, rule: Rule, stage: Drafted) -> None:
        """There is as much time again; that the next level is told follows from the fact."""
        asked, now = stage.asked, self._clock.now()
        assert asked is not None  # noqa: S101
        policy = self._terms.policy(rule, stage.planned.plan)
        before = (fact for fact in ledger.run.facts if isinstance(fact, Prolonged))
        count = 1 + sum((fact.round, fact.revision) == (asked.round, asked.revision) for fact in before)
        until = ends_at(now, policy.timeout, self._terms.hours)
        ledger.note(
            Prolonged(now, asked.round, asked.revision, until, reminders(now, policy, self._terms.hours), count)
        )

    def _why_not_by_itself(self, stage: Drafted, review: Review) -> str:
        """Why a plan does not go without people although its rule says so; empty where it does."""
        asked, plan = stage.asked, stage.planned.plan
        assert asked is not None  # noqa: S101
        if any(step.effect is Effect.DESTROY for step in plan.steps):
            return "a step destroys something"
        if self._cases.ceiling is not Mode.AUTO:
            return f"the ceiling for all rules is {self._cases.ceiling}"
        if asked.reasons:
            return f"a guard wants a person: {', '.join(dict.fromkeys(map(str, asked.reasons)))}"
        if not isinstance(review, Allow):
            what = "it is held" if isinstance(review, Hold) else "a guard wants a person"
            return f"{what}: {review.reason}"
        return ""

    async def _go_on(self, ledger: Ledger, stage: Drafted) -> Parked | None:
        """Decide in the place of people, unless one has decided meanwhile, or the run is somebody else's now."""
        planned, now = stage.planned, self._clock.now()
        place, digest = planned.renews or (planned.round, planned.revision), planned.plan.digest
        decision = Decision(now, True, digest, *place, SERVICE.shown, _REASON, SERVICE.name, SERVICE.via.value)
        mine = _Mine(ledger.run, stage)
        entry = AuditEntry(
            now,
            "approved",
            SERVICE.name,
            SERVICE.via.value,
            run=ledger.run.id,
            subject=ledger.run.rule,
            digest=digest,
            detail=_REASON,
        )

        def judge(found: Run) -> Word[bool]:
            return Word(True, decision, audit=(entry,)) if mine.stands(found) else Word(False)

        is_decided = await self._store.hear(ledger.run.id, judge)
        await ledger.read_signals()
        if not is_decided:
            return Parked(now + A_MOMENT)
        log.info("run_goes_on_by_itself", run=ledger.run.id)
        return None


@dataclass(frozen=True, slots=True)
class _Mine:
    """A run as its owner has it, with a question that nobody has answered."""

    run: Run
    stage: Drafted

    def stands(self, found: Run) -> bool:
        """Whether the run that is stored is still that one."""
        if (found.owner, found.epoch) != (self.run.owner, self.run.epoch):
            return False
        stage = stage_of(found)
        return isinstance(stage, Drafted) and stage.decision is None and len(found.signals) == len(self.run.signals)
