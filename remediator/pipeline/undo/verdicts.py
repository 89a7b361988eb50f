"""Which steps of a run can be put back, in which order, and why not the others. Pure: decided by the run's facts alone.

What was done last is put back first. Only what surely was done is put back without a question, and only with what was
captured before it; whether somebody has changed it since, the action looks at itself, right before it acts.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from remediator.model.facts import Fact, Finished, LateFinished, Planned, Settled, Started, StepStatus
from remediator.model.ids import StepId
from remediator.model.plan import Effect, PlannedStep
from remediator.model.undo import Captured, Undoing, undo_step, undone_by

Facts = Sequence[Fact | Captured | Undoing]

_TRIES = 2
"""How often a step is put back whose end is not known: it looks first, so a second time does no harm."""


class Why(StrEnum):
    """Why a step is not put back, or not without a word of a person."""

    UNDERWAY = "it has not ended yet"
    FAILED = "it has failed, so there is nothing to put back"
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


Verdict = PutBack | Back | Stays | Asks


def verdicts_on(facts: Facts, *, round: int | None = None) -> tuple[Verdict, ...]:  # noqa: A002 - the word for it
    """What becomes of each step of a run, or of one round, that may have changed something: the last one first."""
    found: list[Verdict] = []
    for of in _changed(facts):
        if round is None or of.round == round:
            verdict = _of_undo(facts, of) or _of_step(facts, of)
            found.append(Stays(of.round, of.step, Why.BELOW) if _is_below(verdict, found) else verdict)
    return tuple(found)


def next_of(verdicts: Sequence[Verdict]) -> PutBack | Asks | None:
    """What is to be done next; None where nothing is left to do."""
    return next((one for one in verdicts if isinstance(one, PutBack | Asks)), None)


def _changed(facts: Facts) -> Iterator[_OfStep]:
    """The steps of the plans that were begun and that change something, the one that was started last first."""
    plans = {(fact.round, step.id): step for fact in facts if isinstance(fact, Planned) for step in fact.plan.steps}
    begun = [(fact.round, fact.step) for fact in facts if isinstance(fact, Started) and undone_by(fact.step) is None]
    for key in reversed(dict.fromkeys(begun)):
        step = plans[key]
        if step.effect is not Effect.READ and any(not _was_not_begun(facts, fact) for fact in _starts(facts, *key)):
            yield _OfStep(key[0], step)


def _starts(facts: Facts, round_: int, step: StepId) -> list[Started]:
    return [fact for fact in facts if isinstance(fact, Started) and (fact.round, fact.step) == (round_, step)]


def _was_not_begun(facts: Facts, started: Started) -> bool:
    """Whether it is certain that this try has done nothing."""
    return any(isinstance(fact, Finished) and fact.key == started.key and not fact.begun for fact in facts)


def _of_step(facts: Facts, of: _OfStep) -> Verdict:
    """What the facts say of a step that nobody has begun to put back."""
    tries = [one for one in _starts(facts, of.round, of.step.id) if not _was_not_begun(facts, one)]
    captured = _captured(facts, tries[0])
    before = captured.before if captured is not None else None
    match _end_of(facts, tries[-1]):
        case None:
            return Asks(of.round, of.step, Why.UNDERWAY, before=before)
        case StepStatus.UNKNOWN:
            return Asks(of.round, of.step, Why.UNKNOWN, before=before)
        case StepStatus.FAILED if len(tries) == 1:
            return Stays(of.round, of.step, Why.FAILED)
        case StepStatus.FAILED:  # an earlier try may have done it
            return Asks(of.round, of.step, Why.UNKNOWN, before=before)
    if before is None:
        return Stays(of.round, of.step, Why.NOT_CAPTURED, captured.why_not if captured is not None else "")
    return PutBack(of.round, of.step, before)


def _captured(facts: Facts, started: Started) -> Captured | None:
    """What was there before the first try that may have done something: later ones may have met its own work."""
    return next((fact for fact in facts if isinstance(fact, Captured) and fact.key == started.key), None)


def _end_of(facts: Facts, started: Started) -> StepStatus | None:
    """How a try has ended, as it is known by now: what was found out later counts more. None where it has not."""
    status: StepStatus | None = None
    for fact in facts:
        if isinstance(fact, Finished | LateFinished) and fact.key == started.key:
            status = fact.status
        elif isinstance(fact, Settled) and fact.key == started.key:
            status = StepStatus.DONE if fact.done else StepStatus.FAILED
    return status


def _of_undo(facts: Facts, of: _OfStep) -> Verdict | None:
    """What has come of putting a step back; None where that was not begun, in the newest undoing."""
    begun = list(_undo_starts(facts, of))
    if any(_end_of(facts, fact) is StepStatus.DONE for fact in begun):
        return Back(of.round, of.step)
    count = max((fact.count for fact in facts if isinstance(fact, Undoing)), default=0)
    tries = [fact for fact in begun if fact.step == undo_step(of.step.id, count)]
    if not tries:
        return None
    captured = _of_step(facts, of)
    before = captured.before if isinstance(captured, PutBack | Asks) else None
    said = next((f.brief for f in reversed(facts) if isinstance(f, Finished) and f.key == tries[-1].key), "")
    if _was_not_begun(facts, tries[-1]):
        return Asks(of.round, of.step, Why.REFUSED, said, before)
    if _end_of(facts, tries[-1]) is StepStatus.FAILED:
        return Asks(of.round, of.step, Why.UNDO_FAILED, said, before)
    if before is not None and len(tries) < _TRIES:
        return PutBack(of.round, of.step, before, repeats=True)
    return Asks(of.round, of.step, Why.UNDO_UNKNOWN, said, before)


def _undo_starts(facts: Facts, of: _OfStep) -> Iterator[Started]:
    for fact in facts:
        if isinstance(fact, Started) and fact.round == of.round and undone_by(fact.step) == of.step.id:
            yield fact


def _is_below(verdict: Verdict, later: Sequence[Verdict]) -> bool:
    """Whether the same action has acted on one of its targets later, and that stays: putting this back would be
    putting that back as well."""
    if not isinstance(verdict, PutBack):
        return False
    names = {target.name for target in verdict.step.targets}
    return any(
        isinstance(one, Stays)
        and one.why is not Why.FAILED
        and one.step.action == verdict.step.action
        and names & {target.name for target in one.step.targets}
        for one in later
    )
