"""Whether another run has changed the same later, and stands: then an earlier run must not put its own change back now.

Called where changes are put back, and where it is shown what would be. The journal of changes tells by its order which
runs came later, as hosts' clocks differ, and their facts how they stand. A change is left to the next one by word to
its run: that one puts nothing back past a word that it has not read, so either it has the word before it begins, or it
had begun and is waited for.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol, TypeVar, assert_never

from remediator.model.change import Change
from remediator.model.history import MOST_CHANGES, Known, Latest, Question, Which
from remediator.model.ids import RunId, StepId
from remediator.model.outcome import Reason
from remediator.model.plan import PlannedStep
from remediator.model.run import Run, Signal, TakeOver
from remediator.model.undo import is_undo_action
from remediator.pipeline.undo.timing import times_over
from remediator.pipeline.undo.verdicts import Asks, Back, LeftTo, PutBack, Stays, Steps, Verdict, Why
from remediator.storage.runs import Refusal, Reservation

_EVER = datetime(1970, 1, 1, tzinfo=UTC)

Open = TypeVar("Open", bound=PutBack | Asks)
"""What is not put back yet."""
IsSame = Callable[[PlannedStep, PlannedStep], bool]
"""Whether two steps of one action on one target change the same thing."""


class Runs(Protocol):
    """The part of the store that it asks; each may raise StoreUnavailable."""

    async def known(self, questions: Sequence[Question]) -> Known:
        """See `Store`."""
        ...

    async def read_run(self, run: RunId) -> Run | None:
        """See `Store`."""
        ...

    async def signal(self, run: RunId, signal: Signal) -> bool:
        """See `Store`."""
        ...


@dataclass(frozen=True, slots=True)
class Heir:
    """The next later run that has changed the same, and can put both back."""

    run: RunId
    round: int
    step: StepId
    until: datetime | None
    """Until when it keeps it so; None where it does for good."""


@dataclass(frozen=True, slots=True)
class Busy:
    """It is acting on the same, or putting it back, right now."""

    run: RunId


@dataclass(frozen=True, slots=True)
class Unclear:
    """A person has to look at it first, and why."""

    why: str


Later = Heir | Busy | Unclear


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is of later runs; and how the store finds out, at the start, whether another has come since."""

    later: Later | None
    reservation: Reservation
    place: int
    """Of the change itself, in the journal; 0 where that has forgotten it."""


class Younger:
    """Looks for what other runs have changed later."""

    def __init__(self, runs: Runs, wake: Callable[[RunId], None]) -> None:
        self._runs = runs
        self._wake = wake

    async def look(self, run: Run, verdict: Verdict, is_same: IsSame) -> Seen:
        """The next later change of the same that another run has made, and that stands. Raises StoreUnavailable."""
        asked = _Asked.of(run, verdict)
        known = await self._runs.known(asked.questions)
        return Seen(await self._first(asked, known, is_same), asked.reservation(known), asked.place(known))

    async def _first(self, asked: "_Asked", known: Known, is_same: IsSame) -> Later | None:
        steps: dict[RunId, tuple[Run, Steps] | None] = {}
        for change in asked.later(known):
            if change.run not in steps:
                found = await self._runs.read_run(change.run)
                steps[change.run] = None if found is None else (found, Steps(found.facts))
            if (one := steps[change.run]) is None:
                return Unclear(f"run {change.run} has changed it later, and is not kept any more")
            for verdict in reversed(one[1].verdicts(round=change.round)):
                if _meets(verdict, asked.verdict, is_same) and (later := _standing(one[0], verdict)):
                    return later
        if asked.is_cut(known):
            return Unclear(f"more than {MOST_CHANGES} changes were made to it later, so it is not known what needs it")
        return None

    async def leave_to(self, heir: Heir, word: TakeOver) -> bool:
        """Leave a change to a later run; False where that one does not stand any more, or puts its own back already.

        Raises StoreUnavailable; said twice, it is the same as once.
        """
        run = await self._runs.read_run(heir.run)
        if run is not None and not any(replace(word, at=one.at) == one for one in words_to(run)):
            if not await self._runs.signal(heir.run, word):
                return False
            self._wake(heir.run)
            run = await self._runs.read_run(heir.run)  # it may have begun before it could know
        verdicts = () if run is None else Steps(run.facts).verdicts(round=heir.round)
        return any(isinstance(one, PutBack) and not one.repeats and one.step.id == heir.step for one in verdicts)


def words_to(run: Run) -> tuple[TakeOver, ...]:
    """What earlier runs have left to a run."""
    return tuple(signal for signal in run.signals if isinstance(signal, TakeOver))


def taken_over(run: Run, round_: int, step: StepId) -> TakeOver | None:
    """The earliest of the changes that go back with a step."""
    words = (word for word in words_to(run) if (word.round, word.step) == (round_, step))
    return min(words, key=lambda word: (word.place, word.begun), default=None)


def goes_back(run: Run, verdict: Open) -> Open:
    """The same, with what was there before the earliest change that goes back with it."""
    word = taken_over(run, verdict.round, verdict.step.id)
    return verdict if word is None else replace(verdict, before=word.before)


def word_of(run: Run, verdict: PutBack, heir: Heir, at: datetime, place: int = 0) -> TakeOver:
    """What a run says that leaves a change to a later one; `verdict` as `goes_back` tells it, `place` as `Seen`."""
    earlier = taken_over(run, verdict.round, verdict.step.id)
    begun = Steps(run.facts).begun_at(verdict.round, verdict.step.id) if earlier is None else earlier.begun
    return TakeOver(
        at,
        heir.round,
        heir.step,
        verdict.before,
        begun,
        left_by=run.id,
        left_round=verdict.round,
        left_step=verdict.step.id,
        place=place if earlier is None else earlier.place,
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked of the journal on one step."""

    run: RunId
    verdict: Verdict
    since: datetime

    @classmethod
    def of(cls, run: Run, verdict: Verdict) -> "_Asked":
        return cls(run.id, verdict, Steps(run.facts).begun_at(verdict.round, verdict.step.id))

    @property
    def _targets(self) -> tuple[str, ...]:
        return tuple(sorted({target.name for target in self.verdict.step.targets}))

    def _of_target(self, target: str) -> Latest:
        """All that was done to it, by the entries that count: each plan has one for each of its targets."""
        return Latest(Which(target=target), MOST_CHANGES, _EVER)

    @property
    def _of_action(self) -> Latest:
        return Latest(Which(action=self.verdict.step.action), MOST_CHANGES, _EVER)

    @property
    def questions(self) -> tuple[Latest, ...]:
        return (*map(self._of_target, self._targets), self._of_action)

    def place(self, known: Known) -> int:
        """Where the journal has the change itself; 0 where it has forgotten it, or does not tell of it."""
        told = (one for question in self.questions for one in known.latest(question) if self._is_own(one))
        return min((one.seq for one in told), default=0)

    def _is_own(self, change: Change) -> bool:
        return (change.run, change.round) == (self.run, self.verdict.round) and not is_undo_action(change.action)

    def _is_complete(self, known: Known, question: Latest) -> bool:
        """Whether it is told of all that came later: those that are told reach back to the change itself."""
        told = known.latest(question)
        return len(told) < MOST_CHANGES or told[-1].at <= self.since or any(map(self._is_own, told))

    def is_cut(self, known: Known) -> bool:
        """Whether there are more later changes than the journal tells at once."""
        return not self._is_complete(known, self._of_action) and not self._knows_targets(known)

    def _knows_targets(self, known: Known) -> bool:
        return all(self._is_complete(known, self._of_target(target)) for target in self._targets)

    def later(self, known: Known) -> tuple[Change, ...]:
        """The later changes by other runs that may be of the same, the oldest first."""
        if self._knows_targets(known) or not self._is_complete(known, self._of_action):
            found = [one for target in self._targets for one in known.latest(self._of_target(target))]
        else:
            found = [one for one in known.latest(self._of_action) if one.target in self._targets]
        place = self.place(known)
        others = (one for one in found if one.run != self.run and not is_undo_action(one.action))
        return tuple(sorted((one for one in others if self._is_later(one, place)), key=lambda one: one.seq))

    def _is_later(self, change: Change, place: int) -> bool:
        """By the journal's order; where that has forgotten the change itself, by the clocks of those who began them."""
        return change.seq > place if place else change.at > self.since

    def reservation(self, known: Known) -> Reservation:
        """Refuses a start where another run has changed a target since this answer."""
        questions = tuple(map(self._of_target, self._targets))
        seen = self._entries(known)

        def judge(now: Known) -> Refusal | None:
            return None if self._entries(now) <= seen else Refusal(Reason.SIGNALLED)

        return Reservation(questions=questions, judge=judge)

    def _entries(self, known: Known) -> set[tuple[RunId, int, str]]:
        changes = (one for target in self._targets for one in known.latest(self._of_target(target)))
        return {(one.run, one.round, one.action) for one in changes if one.run != self.run}


def _meets(one: Verdict, other: Verdict, is_same: IsSame) -> bool:
    names = {target.name for target in other.step.targets}
    return (
        one.step.action == other.step.action
        and any(target.name in names for target in one.step.targets)
        and is_same(other.step, one.step)
    )


def _standing(run: Run, verdict: Verdict) -> Later | None:
    """How a later change stands in the way; None where it does not."""
    match verdict:
        case Back() | LeftTo() | Stays(why=Why.FAILED | Why.NOT_DONE):
            return None
        case PutBack(repeats=False):
            return Heir(run.id, verdict.round, verdict.step.id, times_over(run).get(verdict.round))
        case PutBack() | Asks(why=Why.UNDERWAY):
            return Busy(run.id)
        case Stays(why=why) | Asks(why=why):
            return Unclear(f"run {run.id} has changed the same later, and needs a person first ({why})")
        case other:
            assert_never(other)
