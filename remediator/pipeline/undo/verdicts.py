"""Which steps of a run can be put back, in which order, and why not the others. Pure: decided by the run's facts alone.

What was done last is put back first. Only what surely was done is put back without a question, and only with what was
captured before it; whether somebody has changed it since, the action looks at itself, right before it acts.

A remedy that recurs makes runs of very many facts, so they are gone through once, however many steps there are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from remediator.model.facts import Fact, Finished, LateFinished, Planned, Settled, Started, StepStatus
from remediator.model.ids import RunId, StepId
from remediator.model.plan import Effect, PlannedStep
from remediator.model.undo import Captured, Left, Undoing, undo_step, undone_by

Facts = Sequence[Fact]
Key = tuple[int, StepId]
"""A step of a round."""

_TRIES = 2
"""How often a step is put back whose end is not known: it looks first, so a second time does no harm."""


class Why(StrEnum):
    """Why a step is not put back, or not without a word of a person."""

    UNDERWAY = "it is acting, and has not ended yet"
    FAILED = "it has failed, so there is nothing to put back"
    NOT_DONE = "it was not done, so there is nothing to put back"
    UNKNOWN = "it is not known whether it was done"
    NOT_CAPTURED = "what was there before is not known"
    BELOW = "what was done to it later stays"
    REFUSED = "it was not put back"
    UNDO_FAILED = "putting it back has failed"
    UNDO_UNKNOWN = "it is not known whether it was put back"


@dataclass(frozen=True, slots=True)
class _OfStep:
    round: int
    step: PlannedStep


@dataclass(frozen=True, slots=True)
class PutBack(_OfStep):
    """It can be put back now."""

    before: Mapping[str, Any]
    repeats: bool = False
    """Whether that was begun before, and nobody saw its end."""


@dataclass(frozen=True, slots=True)
class Back(_OfStep):
    """It was put back."""


@dataclass(frozen=True, slots=True)
class Stays(_OfStep):
    """It cannot be put back; that is told, and the others are put back all the same."""

    why: Why
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Asks(_OfStep):
    """A person has to look at it; until then nothing that was done before it is put back."""

    why: Why
    detail: str = ""
    before: Mapping[str, Any] | None = None
    """With this, how it is now can be looked at for the question."""


@dataclass(frozen=True, slots=True)
class LeftTo(_OfStep):
    """Another run has changed the same later: it goes back with that run's change."""

    run: RunId
    until: datetime | None


Verdict = PutBack | Back | Stays | Asks | LeftTo


def verdicts_on(facts: Facts, *, round: int | None = None) -> tuple[Verdict, ...]:  # noqa: A002 - the word for it
    """What becomes of each step of a run, or of one round, that may have changed something: the last one first."""
    return Steps(facts).verdicts(round=round)


def next_of(verdicts: Sequence[Verdict]) -> PutBack | Asks | None:
    """What is to be done next; None where nothing is left to do."""
    return next((one for one in verdicts if isinstance(one, PutBack | Asks)), None)


class Steps:
    """The steps of a run that may have changed something, as its facts tell of them."""

    def __init__(self, facts: Facts) -> None:
        self._plans: dict[Key, PlannedStep] = {}
        self._starts: dict[Key, list[Started]] = {}
        self._undo_starts: dict[Key, list[Started]] = {}
        self._not_begun: set[tuple[str, int]] = set()
        self._ends: dict[tuple[str, int], StepStatus] = {}
        self._said: dict[tuple[str, int], str] = {}
        self._not_done: dict[tuple[str, int], str] = {}
        """What people say was not done, and who does."""
        self._captured: dict[tuple[str, int], Captured] = {}
        self._left: dict[Key, Left] = {}
        self._undoings = 0
        for fact in facts:
            self._learn(fact)
        self._changed: list[_OfStep] = []
        """The one that was started last first."""
        self._by_round: dict[int, list[_OfStep]] = {}
        for key in reversed(self._starts):
            if (step := self._plans[key]).effect is not Effect.READ and self._tries(key):
                of = _OfStep(key[0], step)
                self._changed.append(of)
                self._by_round.setdefault(of.round, []).append(of)

    def _learn(self, fact: Fact) -> None:
        match fact:
            case Planned():
                self._plans.update({(fact.round, step.id): step for step in fact.plan.steps})
            case Started():
                of = undone_by(fact.step)
                starts = self._starts if of is None else self._undo_starts
                starts.setdefault((fact.round, of or fact.step), []).append(fact)
            case Finished():
                self._ends[fact.key], self._said[fact.key] = fact.status, fact.brief
                if not fact.begun:
                    self._not_begun.add(fact.key)
            case LateFinished():
                self._ends[fact.key] = fact.status
            case Settled():
                self._ends[fact.key] = StepStatus.DONE if fact.done else StepStatus.FAILED
                if not fact.done:
                    self._not_done[fact.key] = f"{fact.by} says so"
            case Captured():
                self._captured.setdefault(fact.key, fact)
            case Left():
                self._left[fact.round, fact.step] = fact
            case Undoing():
                self._undoings = max(self._undoings, fact.count)
            case _:
                pass

    def verdicts(self, *, round: int | None = None) -> tuple[Verdict, ...]:  # noqa: A002 - the word for it
        """What becomes of each of them, or of those of one round: the last one first."""
        found: list[Verdict] = []
        stays: set[tuple[str, str]] = set()
        """By which actions which targets were changed later, where that stays."""
        for of in self._changed if round is None else self._by_round.get(round, ()):
            verdict = self._of_undo(of) or self._of_step(of)
            touched = {(of.step.action, target.name) for target in of.step.targets}
            if isinstance(verdict, PutBack) and touched & stays:  # it would put that back as well
                verdict = Stays(of.round, of.step, Why.BELOW)
            if isinstance(verdict, Stays) and verdict.why not in (Why.FAILED, Why.NOT_DONE):
                stays |= touched
            found.append(verdict)
        return tuple(found)

    def begun_at(self, round_: int, step: StepId) -> datetime:
        """When the step was first begun that may have changed something."""
        return self._tries((round_, step))[0].at

    def _tries(self, key: Key) -> list[Started]:
        """Its tries, without those of which it is certain that they have done nothing."""
        return [one for one in self._starts[key] if one.key not in self._not_begun]

    def _of_step(self, of: _OfStep) -> Verdict:
        """What the facts say of a step that nobody has begun to put back."""
        tries = self._tries((of.round, of.step.id))
        captured = self._captured.get(tries[0].key)  # later tries may have met the work of the first
        before = captured.before if captured is not None else None
        match self._ends.get(tries[-1].key):  # what was found out later counts more
            case None:
                return Asks(of.round, of.step, Why.UNDERWAY, before=before)
            case StepStatus.UNKNOWN:
                return Asks(of.round, of.step, Why.UNKNOWN, before=before)
            case StepStatus.FAILED if len(tries) == 1:
                if (said := self._not_done.get(tries[-1].key)) is not None:
                    return Stays(of.round, of.step, Why.NOT_DONE, said)
                return Stays(of.round, of.step, Why.FAILED)
            case StepStatus.FAILED:  # an earlier try may have done it
                return Asks(of.round, of.step, Why.UNKNOWN, before=before)
        if before is None:
            return Stays(of.round, of.step, Why.NOT_CAPTURED, captured.why_not if captured is not None else "")
        return PutBack(of.round, of.step, before)

    def _of_undo(self, of: _OfStep) -> Verdict | None:
        """What has come of putting a step back; None where that was not begun, in the newest undoing."""
        begun = self._undo_starts.get((of.round, of.step.id), [])
        if any(self._ends.get(one.key) is StepStatus.DONE for one in begun):
            return Back(of.round, of.step)
        if (left := self._left.get((of.round, of.step.id))) is not None:
            return LeftTo(of.round, of.step, left.run, left.until)
        step = undo_step(of.step.id, self._undoings)
        tries = [one for one in begun if one.step == step]
        return self._of_tries(of, tries) if tries else None

    def _of_tries(self, of: _OfStep, tries: Sequence[Started]) -> Verdict:
        captured, key = self._of_step(of), tries[-1].key
        before = captured.before if isinstance(captured, PutBack | Asks) else None
        said = self._said.get(key, "")
        if key in self._not_begun:
            return Asks(of.round, of.step, Why.REFUSED, said, before)
        if (word := self._not_done.get(key)) is not None:
            return Asks(of.round, of.step, Why.REFUSED, word, before)
        if self._ends.get(key) is StepStatus.FAILED:
            return Asks(of.round, of.step, Why.UNDO_FAILED, said, before)
        if before is not None and len(tries) < _TRIES:
            return PutBack(of.round, of.step, before, repeats=True)
        return Asks(of.round, of.step, Why.UNDO_UNKNOWN, said, before)
