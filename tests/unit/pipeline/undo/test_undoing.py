"""Which steps of a run are put back, in which order, and why not the others."""

from datetime import UTC, datetime, timedelta

import pytest

from remediator.model.facts import Finished, LateFinished, Planned, Settled, Started, StepStatus
from remediator.model.ids import StepId
from remediator.model.plan import Effect, Plan, PlannedStep, Verification
from remediator.model.target import Target
from remediator.model.undo import Captured, Cause, Undoing, undo_step, undone_by
from remediator.pipeline.undo.verdicts import Asks, Back, Facts, PutBack, Stays, Why, next_of, verdicts_on

AT = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
VERIFICATION = Verification(SECOND, SECOND, SECOND, SECOND, ())
DONE, FAILED, UNKNOWN = StepStatus.DONE, StepStatus.FAILED, StepStatus.UNKNOWN


def a_step(name: str, *targets: str, effect: Effect = Effect.CHANGE, action: str = "docker.set_memory") -> PlannedStep:
    on = tuple(Target("docker", ("local", target)) for target in targets or (name,))
    return PlannedStep(StepId(name), action, {}, effect, True, on, SECOND, f"do {name}")


def planned(*steps: PlannedStep, round_: int = 1) -> Planned:
    return Planned(AT, round_, 1, Plan(0, "rung", False, steps, VERIFICATION))


def captured(step: str, attempt: int = 1, *, was: int = 0, round_: int = 1) -> Captured:
    return Captured(AT, round_, StepId(step), attempt, {"was": was})


def started(step: str, attempt: int = 1, *, round_: int = 1) -> Started:
    return Started(AT, round_, StepId(step), attempt, 1, AT + SECOND)


def ended(step: str, status: StepStatus = DONE, attempt: int = 1, *, begun: bool = True, round_: int = 1) -> Finished:
    return Finished(AT, round_, StepId(step), attempt, status, f"it {status}", "", 1, begun=begun)


def carried_out(step: str, *, was: int = 0, round_: int = 1) -> Facts:
    return captured(step, was=was, round_=round_), started(step, round_=round_), ended(step, round_=round_)


def undoing(count: int = 1) -> Undoing:
    return Undoing(AT, count, Cause.ASKED, by="ann")


def undo(step: str, count: int = 1) -> str:
    return undo_step(StepId(step), count)


def test_the_last_change_is_put_back_first_across_rounds() -> None:
    """The reverse of the order in which they were done, whatever the order of the plan; reading needs no undo."""
    facts = (
        planned(a_step("a"), a_step("look", effect=Effect.READ), a_step("b")),
        *carried_out("a", was=1),
        started("look"),
        ended("look"),
        *carried_out("b", was=2),
        planned(a_step("c"), round_=2),
        *carried_out("c", was=3, round_=2),
    )
    verdicts = verdicts_on(facts)

    expected = [PutBack(2, a_step("c"), {"was": 3}), PutBack(1, a_step("b"), {"was": 2})]
    assert (*expected, PutBack(1, a_step("a"), {"was": 1})) == verdicts
    assert expected[0] == next_of(verdicts)
    assert tuple(expected[:1]) == verdicts_on(facts, round=2)
    assert verdicts[1:] == verdicts_on(facts, round=1)


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ((captured("a"), started("a")), Why.UNDERWAY),
        ((captured("a"), started("a"), ended("a", UNKNOWN)), Why.UNKNOWN),
        ((captured("a"), started("a"), captured("a", 2), started("a", 2), ended("a", UNKNOWN, 2)), Why.UNKNOWN),
        ((captured("a"), started("a"), captured("a", 2), started("a", 2), ended("a", FAILED, 2)), Why.UNKNOWN),
    ],
    ids=["it goes on", "nobody saw its end", "neither of its repeat", "its repeat has failed"],
)
def test_what_may_have_been_done_is_asked(facts: Facts, why: Why) -> None:
    """A person decides, and is shown how it is now: for that there is what was captured before the first try."""
    (verdict,) = verdicts_on((planned(a_step("a")), *facts))

    assert Asks(1, a_step("a"), why, before={"was": 0}) == verdict == next_of([verdict])


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ((started("a"), ended("a")), Stays(1, a_step("a"), Why.NOT_CAPTURED)),
        (
            (Captured(AT, 1, StepId("a"), 1, None, "no answer"), started("a"), ended("a")),
            Stays(1, a_step("a"), Why.NOT_CAPTURED, "no answer"),
        ),
        ((captured("a"), started("a"), ended("a", FAILED)), Stays(1, a_step("a"), Why.FAILED)),
        (
            (captured("a"), started("a"), ended("a", UNKNOWN), LateFinished(AT, StepId("a"), 1, FAILED, "")),
            Stays(1, a_step("a"), Why.FAILED),
        ),
        (
            (captured("a"), started("a"), ended("a", UNKNOWN), Settled(AT, StepId("a"), 1, False, "ann", "")),
            Stays(1, a_step("a"), Why.NOT_DONE, "ann says so"),
        ),
        (
            (captured("a"), started("a"), ended("a", UNKNOWN), LateFinished(AT, StepId("a"), 1, DONE, "")),
            PutBack(1, a_step("a"), {"was": 0}),
        ),
        (
            (captured("a"), started("a"), ended("a", UNKNOWN), Settled(AT, StepId("a"), 1, True, "ann", "")),
            PutBack(1, a_step("a"), {"was": 0}),
        ),
        (
            (captured("a", was=1), started("a"), captured("a", 2, was=2), started("a", 2), ended("a", DONE, 2)),
            PutBack(1, a_step("a"), {"was": 1}),
        ),
        (
            (
                captured("a", was=1),
                started("a"),
                ended("a", FAILED, begun=False),
                captured("a", 2, was=2),
                started("a", 2),
                ended("a", DONE, 2),
            ),
            PutBack(1, a_step("a"), {"was": 2}),
        ),
    ],
    ids=[
        "nothing was captured",
        "it could not be captured",
        "it has failed",
        "it has failed, as was heard late",
        "it was not done, as a person says",
        "it was done, as was heard late",
        "it was done, as a person says",
        "a repeat may have met the work of the first try",
        "a try that was not begun has done nothing",
    ],
)
def test_what_is_known_of_a_step_decides(facts: Facts, expected: PutBack | Stays) -> None:
    """Only what surely was done is put back, to what surely was there before."""
    assert (expected,) == verdicts_on((planned(a_step("a")), *facts))


def test_what_was_never_begun_is_not_told_of() -> None:
    """Nothing was done, so there is nothing to say."""
    facts = (
        planned(a_step("a"), a_step("b")),
        captured("a"),
        started("a"),
        ended("a", FAILED, begun=False),
    )

    assert () == verdicts_on(facts)
    assert next_of(()) is None


def test_what_cannot_be_put_back_is_passed_over() -> None:
    """A restart after a change of memory stays; the memory is put back all the same."""
    restart = a_step("r", "web", action="docker.restart")
    facts = (planned(a_step("a", "web"), restart), *carried_out("a"), started("r"), ended("r"))
    verdicts = verdicts_on(facts)

    assert (Stays(1, restart, Why.NOT_CAPTURED), PutBack(1, a_step("a", "web"), {"was": 0})) == verdicts
    assert verdicts[1] == next_of(verdicts)


def test_what_lies_below_a_change_that_stays_is_not_put_back() -> None:
    """The later value would be overwritten with one from before the earlier; on other targets nothing is in the way."""
    steps = a_step("a", "web"), a_step("b", "api"), a_step("c", "web")
    facts = (planned(*steps), *carried_out("a"), *carried_out("b"), started("c"), ended("c"))

    assert (
        Stays(1, steps[2], Why.NOT_CAPTURED),
        PutBack(1, steps[1], {"was": 0}),
        Stays(1, steps[0], Why.BELOW),
    ) == verdicts_on(facts)


def test_a_question_stops_what_was_done_before() -> None:
    """What came first may hold what came later; nobody knows before a person has looked."""
    steps = a_step("a"), a_step("b")
    facts = (planned(*steps), *carried_out("a"), captured("b"), started("b"), ended("b", UNKNOWN))
    found = next_of(verdicts_on(facts))

    assert isinstance(found, Asks)
    assert steps[1] == found.step


A, BEFORE = a_step("a"), {"was": 0}


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ((undoing(),), PutBack(1, A, BEFORE)),
        ((undoing(), started(undo("a"))), PutBack(1, A, BEFORE, repeats=True)),
        ((undoing(), started(undo("a")), ended(undo("a"))), Back(1, A)),
        (
            (undoing(), started(undo("a")), ended(undo("a"), FAILED, begun=False)),
            Asks(1, A, Why.REFUSED, "it failed", BEFORE),
        ),
        ((undoing(), started(undo("a")), ended(undo("a"), FAILED)), Asks(1, A, Why.UNDO_FAILED, "it failed", BEFORE)),
        ((undoing(), started(undo("a")), ended(undo("a"), UNKNOWN)), PutBack(1, A, BEFORE, repeats=True)),
        (
            (undoing(), started(undo("a")), started(undo("a"), 2), ended(undo("a"), UNKNOWN, 2)),
            Asks(1, A, Why.UNDO_UNKNOWN, "it unknown", BEFORE),
        ),
        (
            (
                undoing(),
                started(undo("a")),
                ended(undo("a"), UNKNOWN),
                Settled(AT, StepId(undo("a")), 1, True, "ann", ""),
            ),
            Back(1, A),
        ),
        (
            (undoing(), started(undo("a")), ended(undo("a"), FAILED, begun=False), undoing(2)),
            PutBack(1, A, BEFORE),
        ),
        ((undoing(), started(undo("a")), ended(undo("a")), undoing(2)), Back(1, A)),
    ],
    ids=[
        "it was begun",
        "it was cut short",
        "it is done",
        "somebody has changed it since",
        "it has failed",
        "nobody saw its end",
        "nobody saw the end of its repeat either",
        "a person says that it was done",
        "a person asks again",
        "a person asks again for what is done",
    ],
)
def test_putting_back_goes_on_where_it_was(facts: Facts, expected: PutBack | Back | Asks) -> None:
    """Across restarts: it is tried twice at most, never over somebody's change, and again where a person asks again."""
    assert (expected,) == verdicts_on((planned(A), *carried_out("a"), *facts))


def test_a_step_of_an_undo_tells_what_it_puts_back() -> None:
    """By its id, which is all that a fact has of it."""
    assert "undo.12.remediate.0.3" == undo_step(StepId("remediate.0.3"), 12)
    assert "remediate.0.3" == undone_by(StepId("undo.12.remediate.0.3"))
    assert undone_by(StepId("remediate.0.3")) is None
