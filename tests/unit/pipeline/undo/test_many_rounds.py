"""A remedy that recurred hundreds of times is judged in one pass over its facts, and counted round by round."""

import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from types import FrameType
from typing import Any

from remediator.model.alert import Alert, AlertStatus
from remediator.model.change import Ending
from remediator.model.facts import Fact, Finished, Planned, Started, StepStatus
from remediator.model.ids import Digest, Fingerprint, OccurrenceId, OwnerId, RuleId, RunId, StepId
from remediator.model.plan import Effect, Plan, PlannedStep, Verification
from remediator.model.run import Run
from remediator.model.target import Target
from remediator.model.undo import Captured, undo_action, undo_step
from remediator.pipeline.ledger import endings_of
from remediator.pipeline.undo.timing import next_undoing, times_over
from remediator.pipeline.undo.verdicts import PutBack, Stays, verdicts_on
from remediator.web.undo import refusal_of, show_changes

AT = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
VERIFICATION = Verification(SECOND, SECOND, SECOND, SECOND, ())
STEP = PlannedStep(
    StepId("remediate.0.0"), "test.set", {}, Effect.CHANGE, True, (Target("t", ("web",)),), SECOND, "set web"
)
UNDO = undo_step(STEP.id, 1)


class Counted(tuple[Fact, ...]):
    """Facts that count how many of them were looked at."""

    looks = 0

    def __iter__(self) -> Iterator[Fact]:
        for fact in super().__iter__():
            type(self).looks += 1
            yield fact

    def __reversed__(self) -> Iterator[Fact]:
        for fact in super().__getitem__(slice(None, None, -1)):
            type(self).looks += 1
            yield fact


def rounds(count: int, lasts: timedelta | None = None, *, kept: bool = True) -> list[Fact]:
    facts: list[Fact] = []
    for round_ in range(1, count + 1):
        facts.append(Planned(AT, round_, 1, Plan(0, "more", False, (STEP,), VERIFICATION, lasts=lasts)))
        facts.append(Captured(AT, round_, STEP.id, round_, {"value": round_} if kept else None))
        facts.append(Started(AT, round_, STEP.id, round_, 1, AT + SECOND))
        facts.append(Finished(AT, round_, STEP.id, round_, StepStatus.DONE, "done", "", 1))
    return facts


def a_run(facts: Sequence[Fact]) -> Run:
    return Run(
        id=RunId("d1m0k2s3abcdefgh"),
        rule=RuleId("web/slow"),
        rule_digest=Digest("0" * 64),
        occurrence=OccurrenceId("d1m0k2s3zzzzzzzz"),
        alert=Alert(Fingerprint("2fc4c353ef13c5b1"), AlertStatus.FIRING, {"alertname": "Slow"}, {}, AT),
        channel="#alerts",
        summary="web is slow",
        owner=OwnerId("owner"),
        epoch=1,
        created_at=AT,
        facts=tuple(facts) if not isinstance(facts, Counted) else facts,
    )


def calls_of(work: Callable[[], object]) -> int:
    """How many calls, and steps of generators, a piece of work takes."""
    count = 0

    def note(_frame: FrameType, event: str, _arg: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def looks_and_calls(count: int, work: Callable[[Run], object], **given: Any) -> tuple[int, int]:
    run = a_run(Counted(rounds(count, **given)))
    Counted.looks = 0
    calls = calls_of(lambda: work(run))
    return Counted.looks, calls


def is_linear(work: Callable[[Run], object], **given: Any) -> bool:
    """Whether ten times as many rounds are hardly more than ten times the work."""
    few, many = looks_and_calls(50, work, **given), looks_and_calls(500, work, **given)
    return all(later <= 11 * earlier for earlier, later in zip(few, many, strict=True))


def test_what_can_be_put_back_is_found_in_one_pass() -> None:
    """At 720 rounds one look took most of a second, and each step that is put back looks anew."""
    looks, _ = looks_and_calls(100, lambda run: verdicts_on(run.facts))

    assert 400 == looks
    assert is_linear(lambda run: verdicts_on(run.facts))
    assert 100 == sum(isinstance(one, PutBack) for one in verdicts_on(rounds(100)))


def test_what_stays_is_found_in_one_pass_too() -> None:
    """Each change below one that stays was compared with all of them."""
    assert is_linear(lambda run: verdicts_on(run.facts), kept=False)
    assert 100 == sum(isinstance(one, Stays) for one in verdicts_on(rounds(100, kept=False)))


def test_when_it_is_due_is_found_in_one_pass() -> None:
    """Each time that the run rests, its timer is worked out."""
    assert is_linear(times_over, lasts=HOUR)
    assert is_linear(next_undoing, lasts=HOUR)
    assert 100 == len(times_over(a_run(rounds(100, lasts=HOUR))))


def test_it_is_shown_in_one_pass() -> None:
    """Whoever looks at the run waits for it."""
    assert is_linear(show_changes)
    assert is_linear(lambda run: refusal_of(run, AT))


def undo_of(round_: int, attempt: int, *, begun: bool) -> list[Fact]:
    how = StepStatus.DONE if begun else StepStatus.FAILED
    return [
        Started(AT, round_, UNDO, attempt, 1, AT + SECOND),
        Finished(AT, round_, UNDO, attempt, how, "", "", 1, begun=begun),
    ]


def test_tries_to_put_a_round_back_are_counted_by_round() -> None:
    """The step has the same id in all rounds: that one of them was put back says nothing of another."""
    facts = [*rounds(2), *undo_of(2, 1, begun=True), *undo_of(1, 2, begun=False)]
    (ending,) = endings_of(a_run(facts), facts[-1:])

    assert (1, Ending.NOT_BEGUN, undo_action("test.set")) == (ending.round, ending.ending, ending.action)


def test_a_second_try_of_the_same_round_may_follow_one_that_was_begun() -> None:
    """Then it is not certain that nothing was done."""
    facts = [*rounds(2), *undo_of(1, 1, begun=True)[:1], *undo_of(1, 2, begun=False)]

    assert () == endings_of(a_run(facts), facts[-1:])
