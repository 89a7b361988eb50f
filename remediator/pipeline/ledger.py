"""A run as far as its owner knows it: what is stored, and what was noted since and is not stored yet.

Facts become durable where a promise needs it, not one by one: each method that writes takes along what was noted, and
the messages that tell of it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from remediator.kit.redaction import Redactor
from remediator.model.change import Ended as ChangeEnded
from remediator.model.change import Ending
from remediator.model.facts import (
    Acknowledged,
    Asked,
    Ended,
    Evidence,
    Examined,
    Fact,
    Finished,
    Held,
    LateFinished,
    Planned,
    Proof,
    Settled,
    Started,
    StepStatus,
    Unsilenced,
    Verified,
    Voided,
)
from remediator.model.ids import StepId
from remediator.model.plan import Effect, PlannedCheck, PlannedStep
from remediator.model.run import Run
from remediator.model.stage import Underway, by_hand, stage_of
from remediator.model.undo import Captured, Undoing, Undone, undo_action, undone_by
from remediator.pipeline import auditing, story
from remediator.pipeline.escalation.notices import notices_of
from remediator.pipeline.notifying import NO_PLACES, Places
from remediator.storage.runs import Claim, Entry, Refusal, Reservation, RunStore


class Ledger:
    """One owner's hold on one run. Every write raises Fenced once the run is somebody else's."""

    def __init__(self, run: Run, store: RunStore, redactor: Redactor, places: Places = NO_PLACES) -> None:
        """`places`: where else than in the chat it is told."""
        self.run = run
        self._places = places
        self._store = store
        self._redactor = redactor
        self._noted: tuple[Fact, ...] = ()

    @property
    def _claim(self) -> Claim:
        return Claim(self.run.id, self.run.owner, self.run.epoch, len(self.run.signals))

    def note(self, fact: Fact) -> None:
        """Learn a fact; it is stored with the next write. Its words are redacted: an error may quote a secret."""
        fact = redacted(fact, self._redactor)
        self.run = replace(self.run, facts=(*self.run.facts, fact))
        self._noted = (*self._noted, fact)

    def _entry(self) -> Entry:
        return self._entry_of(self.run, self._noted, self._noted)

    def _entry_with(self, started: Started, noted: tuple[Fact, ...]) -> Entry:
        """What was noted, and messages that tell of the start as well, which the store records itself."""
        run = replace(self.run, facts=(*self.run.facts, started))
        return self._entry_of(run, noted, (*noted, started))

    def _entry_of(self, run: Run, noted: tuple[Fact, ...], told: tuple[Fact, ...]) -> Entry:
        """What was noted, and all that follows from it: what is told here and elsewhere, and what the journal gains."""
        posts = story.tell(run, told, self._redactor)
        ends = by_hand(run) is not None and any(isinstance(fact, Ended) for fact in noted)
        closes = run.occurrence if ends else None
        notices = (*notices_of(run, noted, self._redactor), *self._places.notices_of(run, told, self._redactor))
        audit = auditing.of_facts(run, told, self._redactor)
        return Entry(noted, posts, endings_of(run, noted), notices, audit, closes=closes)

    async def save(self, *, free_locks: bool = False) -> None:
        """Store what was noted; with `free_locks`, others may act on the run's targets from then on."""
        if self._noted:
            await self._store.learn(self._claim, self._entry(), free_locks=free_locks)
            self._noted = ()

    async def tell_wish(self) -> bool:
        """Tell of a person's wish to stop; whether there is one. It is one message, however often it is told."""
        posts = story.tell_wish(self.run, self._redactor)
        if posts:
            entry = self._entry()
            await self._store.learn(self._claim, replace(entry, posts=(*entry.posts, *posts)), free_locks=False)
            self._noted = ()
        return bool(posts)

    async def park(self, wake_at: datetime | None) -> bool:
        """Store what was noted and let the run rest; False where there is news to read first."""
        rests = await self._store.park(self._claim, self._entry(), wake_at)
        self._noted = ()
        return rests

    async def start(
        self, started: Started, reservation: Reservation, captured: Captured | None = None
    ) -> Refusal | None:
        """Store what was noted, with the reservation and the start of a step; a Refusal where it may not start.

        So is what was captured before it; where it may not start that is forgotten again.
        """
        before = () if captured is None else (redacted(captured, self._redactor),)
        entry = self._entry_with(started, (*self._noted, *before))
        refusal = await self._store.start(self._claim, entry, started, reservation)
        if refusal is None:
            self._noted = ()
            self.run = replace(self.run, facts=(*self.run.facts, *before, started))
        return refusal

    async def end(self, ended: Ended, *, keep_locks_until: datetime | None, wake_at: datetime | None = None) -> bool:
        """Give the run the outcome that was noted; False where there is news that is still to be told.

        It rests until `wake_at`, where it has still something to do by itself then.
        """
        rests = await self._store.end(
            self._claim, self._entry(), ended, keep_locks_until=keep_locks_until, wake_at=wake_at
        )
        self._noted = ()
        return rests

    async def read_signals(self) -> None:
        """Learn what has come from outside."""
        self.run = replace(self.run, signals=await self._store.read_signals(self.run.id))

    async def settle_late(self, finished: Finished) -> None:
        """Record the end of a call of ours although the run is somebody else's now: it settles what happened."""
        late = LateFinished(finished.at, finished.step, finished.attempt, finished.status, finished.brief)
        posts = story.tell_late(self.run, late, self._redactor)
        audit = auditing.of_facts(self.run, [late], self._redactor)
        await self._store.settle_late(self.run.id, late, posts, endings_of(self.run, [late]), audit)


_OF_PROOF = {
    Proof.HEALED: Ending.HEALED,
    Proof.NOT_HEALED: Ending.NOT_HEALED,
    Proof.INCONCLUSIVE: Ending.INCONCLUSIVE,
}


def endings_of(run: Run, noted: Iterable[Fact]) -> tuple[ChangeEnded, ...]:
    """What facts of a run say of the changes that it has begun, in their order.

    That a step is done is said of its action alone; all else is said of the whole round, also what became of it where
    that was unknown.
    """
    return tuple(ending for fact in noted if (ending := _ending_of(run, fact)) is not None)


def _ending_of(run: Run, fact: Fact) -> ChangeEnded | None:
    match fact:
        case Finished() | LateFinished() | Settled() if undone_by(fact.step) is not None:
            return _ending_of_undo(run, fact)
        case Finished(begun=True, status=StepStatus.DONE):
            step = _step_of(run, fact.round, fact.step)
            return None if step.effect is Effect.READ else ChangeEnded(fact.round, Ending.DONE, fact.at, step.action)
        case Finished(begun=True, status=status):
            bad = Ending.FAILED if status is StepStatus.FAILED else Ending.UNKNOWN
            return ChangeEnded(fact.round, bad, fact.at)
        case Finished(begun=False):
            goes_on = isinstance(stage_of(run), Underway)  # with this very plan, and nobody counts it again
            return None if goes_on else _taken_back(run, fact.round, fact.at)
        case Ended():
            rounds = (one.round for one in reversed(run.facts) if isinstance(one, Started) and not undone_by(one.step))
            round_ = next(rounds, None)
            return None if round_ is None else _taken_back(run, round_, fact.at)
        case Verified():
            return ChangeEnded(fact.round, _OF_PROOF[fact.proof], fact.at)
        case LateFinished(status=StepStatus.DONE | StepStatus.FAILED):
            return _settled(run, fact, is_done=fact.status is StepStatus.DONE)
        case Settled():
            return _settled(run, fact, is_done=fact.done)
        case _:
            return None


def _taken_back(run: Run, round_: int, at: datetime) -> ChangeEnded | None:
    """That a round has changed nothing, where that is certain: every start of a changing step of it never began."""
    plans = [one.plan for one in run.facts if isinstance(one, Planned) and one.round == round_]
    reads = {step.id for plan in plans for step in plan.steps if step.effect is Effect.READ}
    starts = {one.key for one in run.facts if isinstance(one, Started) and one.round == round_}
    never = {one.key for one in run.facts if isinstance(one, Finished) and not one.begun}
    has_begun = any(key not in never and key[0] not in reads for key in starts)
    return None if has_begun else ChangeEnded(round_, Ending.NOT_BEGUN, at)


def _ending_of_undo(run: Run, fact: Finished | LateFinished | Settled) -> ChangeEnded | None:
    """That something was put back ends its own entry alone: it says nothing of the rule, nor of how its action does."""
    step = undone_by(fact.step)
    if step is None or not isinstance(fact, Finished):
        return None
    action = undo_action(_step_of(run, fact.round, step).action)
    if fact.status is StepStatus.DONE:
        return ChangeEnded(fact.round, Ending.DONE, fact.at, action)
    of_round = (one for one in run.facts if isinstance(one, Started) and one.round == fact.round)
    tries = sum(undone_by(one.step) == step for one in of_round)
    return None if fact.begun or tries > 1 else ChangeEnded(fact.round, Ending.NOT_BEGUN, fact.at, action)


def _settled(run: Run, fact: LateFinished | Settled, *, is_done: bool) -> ChangeEnded | None:
    """What became of a round whose step was unknown, unless its proof has said more already."""
    rounds = (one.round for one in run.facts if isinstance(one, Started) and one.key == fact.key)
    round_ = next(rounds, None)
    if round_ is None or any(isinstance(one, Verified) and one.round == round_ for one in run.facts):
        return None
    return ChangeEnded(round_, Ending.DONE if is_done else Ending.FAILED, fact.at, settles=True)


def _step_of(run: Run, round_: int, id_: StepId) -> PlannedStep:
    plans = (fact.plan for fact in reversed(run.facts) if isinstance(fact, Planned) and fact.round == round_)
    return next(step for plan in plans for step in plan.steps if step.id == id_)


_SAID: Mapping[type[Fact], str] = {
    Held: "detail",
    Voided: "why",
    Finished: "brief",
    Verified: "brief",
    Ended: "brief",
    Settled: "reason",
    Captured: "why_not",
    Undoing: "reason",
    Undone: "brief",
    Unsilenced: "brief",
    Acknowledged: "reason",
}
"""What is said in a fact in free words, where that is one text."""


def redacted(fact: Fact, redactor: Redactor) -> Fact:
    """The fact with secrets taken out of whatever is said in it; what is to be carried out stays as it is."""
    match fact:
        case Examined():
            told = {name: _told(item, "brief", redactor) for name, item in fact.evidence.items()}
            return fact if told == fact.evidence else replace(fact, evidence=told)
        case Planned():
            return _told_plan(_told(fact, "differs", redactor), redactor)
        case Asked():
            return _told(_told(fact, "why", redactor), "touches", redactor)
        case _:
            return _told(fact, _SAID[type(fact)], redactor) if type(fact) in _SAID else fact


def _told_plan(fact: Planned, redactor: Redactor) -> Planned:
    plan, verification = fact.plan, fact.plan.verification
    steps = tuple(_told(step, "sentence", redactor) for step in plan.steps)
    checks = tuple(_told(check, "sentence", redactor) for check in verification.checks)
    if (steps, checks) == (plan.steps, verification.checks):
        return fact
    return replace(fact, plan=replace(plan, steps=steps, verification=replace(verification, checks=checks)))


_Telling = TypeVar("_Telling", bound=Evidence | PlannedStep | PlannedCheck | Fact)


def _told(said: _Telling, field: str, redactor: Redactor) -> _Telling:
    """The same with one of its texts redacted; itself where that changes nothing, which is nearly always."""
    text: str = getattr(said, field)
    changed: dict[str, Any] = {field: redactor.text(text)}
    return said if changed[field] == text else replace(said, **changed)
