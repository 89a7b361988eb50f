"""Where people's decisions come in: whether a word counts is judged with the run as it is in the very transaction.

Called by the API and by Slack, on any replica. A decision is a signal, stored with its entry in the audit journal and
with the card that says so; nothing is started here: the run's owner looks at everything again before it does.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum

from remediator.kit import failpoints
from remediator.kit.clock import Clock
from remediator.kit.metrics import Metrics
from remediator.kit.redaction import Redactor
from remediator.model.approval import approved_by, settling
from remediator.model.audit import AuditEntry
from remediator.model.facts import Asked, Planned, Voided
from remediator.model.ids import Digest, RuleId, RunId
from remediator.model.person import Person
from remediator.model.plan import Effect
from remediator.model.priority import Priority
from remediator.model.run import Decision, Run
from remediator.model.stage import Drafted, Over, by_hand, cancelled, decisions_on, questions_of, resolved, stage_of
from remediator.model.stop import EVERYTHING, StopKind, scopes_of
from remediator.pipeline import story
from remediator.pipeline.dispatch import Dispatcher
from remediator.pipeline.people import People
from remediator.pipeline.refusals import Refusal, Refusals
from remediator.pipeline.tokens import revoked_tokens
from remediator.storage.runs import Word
from remediator.storage.store import Store


@dataclass(frozen=True, slots=True)
class Said:
    """A person's word on a plan."""

    person: Person
    approved: bool
    digest: Digest
    """Of the plan that they were shown, whole."""
    reason: str = ""
    question: tuple[int, int] | None = None
    """Round and revision of the very question, where it is known; a digest can be asked about twice."""
    origin: str = ""
    """From where it came, for the audit journal: an address, a channel."""
    asked_at: datetime | None = None
    """When the question that they were shown was asked, where it is known: in the place of `question`."""


class Answer(Enum):
    """What became of a person's word. Its value is the word for it in metrics."""

    TAKEN = "taken"
    NOBODY_ASKS = "nobody_asks"
    DECIDED = "decided"
    SAID_BEFORE = "said_before"
    CHANGED = "changed"
    EXPIRED = "expired"
    VOID = "void"
    NOT_ALLOWED = "not_allowed"
    NEEDS_REASON = "needs_reason"


@dataclass(frozen=True, slots=True)
class _Now:
    """What the run itself does not tell."""

    pauses: Mapping[str, str]
    """What stands for each scope that is paused."""
    revoked: Collection[str]
    """Ids of tokens."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a person's word, and what they are told."""

    answer: Answer
    says: str
    decision: Decision | None = None
    """Theirs where it was taken; the one that came before where it was not needed any more."""
    missing: int = 0
    """How many approvals are still needed."""
    is_news: bool = False
    """Whether the run has to look at it now: it goes on, or is asked for anew."""
    refusal: Refusal | None = None
    """How the audit journal tells that it was not taken."""


class Approvals:
    """Takes decisions."""

    def __init__(
        self,
        store: Store,
        people: People,
        dispatcher: Dispatcher,
        clock: Clock,
        redactor: Redactor,
        metrics: Metrics,
        *,
        rule_now: Callable[[RuleId], str],
        pause_file: Callable[[], str] = str,
    ) -> None:
        """`rule_now`: the digest of a rule as it is in force; empty where there is none of that name any more.

        `pause_file`: why nothing is changed because of the pause file; empty where it is not there.
        """
        self._store = store
        self._people = people
        self._dispatcher = dispatcher
        self._clock = clock
        self._redactor = redactor
        self._metrics = metrics
        self._rule_now = rule_now
        self._pause_file = pause_file
        self._refusals = Refusals(clock.monotonic)

    async def decide(self, run: RunId, said: Said) -> Verdict | None:
        """Take a person's word; None where there is no such run. Raises StoreUnavailable: then nothing was taken."""
        stops = await self._store.list_stops(self._clock.now()) if said.approved else ()
        pauses = {stop.scope: f"{stop.scope}, by {stop.by}" for stop in stops if stop.kind is StopKind.PAUSE}
        if said.approved and (file := self._pause_file()):
            pauses[EVERYTHING] = file
        revoked = await revoked_tokens(self._store) if said.approved else frozenset[str]()
        now = _Now(pauses, revoked)
        verdict = await self._store.hear(run, lambda found: self._judge(found, said, self._clock.now(), now))
        if verdict is None:
            return None
        self._metrics.decisions.labels(verdict.answer.value).inc()
        if verdict.refusal is not None:
            self._refusals.note(verdict.refusal)
        if verdict.answer is Answer.TAKEN:
            failpoints.hit("decision.stored")
        if verdict.is_news:
            self._dispatcher.wake(run, self._clock.now(), Priority.HIGH)  # a person waits to see it done
        return verdict

    def _judge(self, run: Run, said: Said, at: datetime, now: _Now) -> Word[Verdict]:
        refused = self._refused(run, said, at, now)
        if refused is not None:
            return self._refuse(run, said, refused, at)
        stage = stage_of(run)
        assert isinstance(stage, Drafted) and stage.asked is not None  # noqa: S101,PT018 - else it was refused
        asked, planned = stage.asked, stage.planned
        place = planned.renews or (planned.round, planned.revision)
        by, reason = self._redactor.text(said.person.shown), self._redactor.text(said.reason)
        groups = tuple(sorted(said.person.given))
        name, via = said.person.name, said.person.via.value
        decision = Decision(at, said.approved, said.digest, *place, by, reason, name, via, groups, said.person.token)
        decisions = (*decisions_on(run, planned), decision)
        missing = 0 if settling(asked, decisions) else asked.quorum - len(approved_by(asked, decisions))
        what = "approved" if said.approved else "denied"
        entry = self._entry(run, said, at, what, "" if not missing else f"{missing} more needed")
        posts = story.tell_decision(run, asked, decisions, self._redactor)
        says = f"{what}: plan {said.digest[:12]} of run {run.id}"
        if missing:
            says += f"; {missing} more {'person has' if missing == 1 else 'people have'} to approve it"
        failpoints.hit("decision.judged")
        return Word(Verdict(Answer.TAKEN, says, decision, missing, is_news=True), decision, posts, (entry,))

    def _refused(self, run: Run, said: Said, at: datetime, now: _Now) -> Verdict | None:
        stage = stage_of(run)
        if not isinstance(stage, Drafted) or stage.asked is None or cancelled(run) or resolved(run):
            return self._too_late(run, said)
        planned, asked = stage.planned, stage.asked
        place = planned.renews or (planned.round, planned.revision)
        if planned.plan.digest != said.digest or (said.question is not None and said.question != place):
            return Verdict(
                Answer.CHANGED, "the plan has changed since it was shown; look at it again, then decide on the new one"
            )
        if said.asked_at is not None and said.asked_at != asked.at:
            says = "people were asked about this plan anew since it was shown; look at why, then decide on that"
            return Verdict(Answer.CHANGED, says)
        if stage.decision is not None:
            return _decided(stage.decision)
        if at > asked.until:
            return Verdict(Answer.EXPIRED, f"the time to decide is over since {asked.until:%H:%M:%S} UTC")
        if asked.rule_now and asked.rule_now != self._rule_now(run.rule):
            says = "the rule has changed since this was asked for, so it cannot be approved"
            return Verdict(Answer.CHANGED, says, is_news=True)
        if paused := _paused(run, planned, now.pauses):
            says = f"changes are paused: {paused}. What was asked for is void; it is asked for anew when they go on"
            return Verdict(Answer.VOID, says)
        begun = by_hand(run)
        starter = begun.person if begun else ""
        why = self._people.refusal(said.person, asked.approvers, starter=starter)
        if why:
            return Verdict(Answer.NOT_ALLOWED, why)
        fallen = self._people.fallen(stage.approvals, asked, starter=starter, revoked=now.revoked)
        if said.approved and fallen:
            return Verdict(Answer.VOID, f"what was asked for is void: {fallen}. It is asked for anew", is_news=True)
        mine = next((one for one in decisions_on(run, planned) if one.who == said.person.name), None)
        if mine is not None and said.approved:
            return Verdict(Answer.SAID_BEFORE, f"you have approved it already, at {mine.at:%H:%M:%S} UTC", mine)
        if not said.approved and not said.reason.strip():
            return Verdict(Answer.NEEDS_REASON, "say why not: a denial needs a reason")
        return None

    def _too_late(self, run: Run, said: Said) -> Verdict:
        """Nobody waits for it: somebody was first, or there is nothing to decide any more."""
        questions = questions_of(run)
        for planned in (fact for fact in reversed(run.facts) if isinstance(fact, Planned)):
            if planned.plan.digest == said.digest:
                asked = questions.get((planned.round, planned.revision))
                if asked is not None and (why := _why_void(run, asked)) and not isinstance(stage_of(run), Over):
                    says = f"what was asked for is void: {why}. It is asked for anew, if it is still to be done"
                    return Verdict(Answer.VOID, says)
                first = settling(asked, decisions_on(run, planned)) if asked is not None else None
                if first is not None:
                    return _decided(first)
        return Verdict(Answer.NOBODY_ASKS, f"no plan of this run waits for a decision: it is {story.say_standing(run)}")

    def _refuse(self, run: Run, said: Said, verdict: Verdict, at: datetime) -> Word[Verdict]:
        if verdict.answer is Answer.NEEDS_REASON:
            return Word(verdict)  # they may decide on it, and are asked why: Slack finds out so whether to ask
        entry = self._entry(run, said, at, "refused", f"{verdict.answer.value}: {verdict.says}")
        refusal = self._refusals.judge(entry, verdict.answer.value)
        return Word(replace(verdict, refusal=refusal), audit=refusal.entries)

    def _entry(self, run: Run, said: Said, at: datetime, what: str, outcome: str) -> AuditEntry:
        return AuditEntry(
            at,
            what,
            said.person.name,
            said.person.via.value,
            run=run.id,
            subject=run.rule,
            digest=said.digest,
            origin=said.origin,
            outcome=self._redactor.text(outcome),
            detail=self._redactor.text(said.reason),
            shown=self._redactor.text(said.person.shown) if said.person.shown != said.person.name else "",
        )


def _paused(run: Run, planned: Planned, pauses: Mapping[str, str]) -> str:
    """Which of the pauses holds a plan; empty where none does."""
    plan = planned.plan
    actions = tuple(step.action for step in plan.steps if step.effect is not Effect.READ)
    scopes = scopes_of(run.rule, targets=tuple(target.name for target in plan.targets), actions=actions)
    return next((pauses[scope] for scope in scopes if scope in pauses), "")


def _why_void(run: Run, asked: Asked) -> str:
    """Why a question cannot be answered any more; empty where that is not on record."""
    return next((fact.why for fact in reversed(run.facts) if isinstance(fact, Voided) and fact.key == asked.key), "")


def _decided(decision: Decision) -> Verdict:
    what = "approved" if decision.approved else "denied"
    why = f": {decision.reason}" if decision.reason else ""
    return Verdict(Answer.DECIDED, f"{decision.by} has {what} it already, at {decision.at:%H:%M:%S} UTC{why}", decision)
