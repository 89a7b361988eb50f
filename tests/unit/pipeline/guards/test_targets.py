"""A plan touches what it may, and begins with one of it."""

from dataclasses import replace

import pytest

from remediator.model.budget import Share
from remediator.model.limits import Limits
from remediator.model.outcome import Reason
from remediator.model.plan import PlannedStep
from remediator.model.target import Target
from remediator.model.waves import wave_step
from remediator.pipeline.guards import Allow, Case, Refuse
from remediator.pipeline.guards.targets import Targets
from tests.unit.pipeline.guards.journal import Journal, judged
from tests.unit.pipeline.guards.probing import a_case, a_step

MANY = Limits(max_targets=Share(count=100))
HALF = Limits(max_targets=Share(percent=50))


def on(*names: str, number: int | None = None) -> PlannedStep:
    """A step on these, or a wave of it."""
    targets = tuple(Target("thing", (name,)) for name in names)
    step = a_step(targets=targets)
    if number is None:
        return step
    return replace(step, id=wave_step(step.id, number), sentence=f"wave {number}")


def case(*steps: PlannedStep, limits: Limits = MANY, begun: bool = False) -> Case:
    return a_case(steps=steps, limits=limits, begun=begun)


@pytest.mark.parametrize("limits", [MANY, HALF], ids=["count", "share"])
def test_several_at_once_are_refused_with_what_to_do(limits: Limits) -> None:
    """One call has no first failure to stop at."""
    why = "thing.kick cannot be told to act on a part of them (it has no `for_targets`)"

    assert Refuse(Reason.NO_RAMP, f"step 0: 2 targets at once, and {why}: thing:a, thing:b") == judged(
        Targets(), case(on("b", "a"), limits=limits), Journal()
    )


def test_waves_that_double_are_allowed() -> None:
    """However many targets there are."""
    waves = [on("a", number=1), on("b", "c", number=2), on("d", "e", "f", "g", number=3)]

    assert Allow() == judged(Targets(), case(*waves), Journal())
    assert isinstance(judged(Targets(), case(*waves[1:]), Journal()), Refuse)


def test_two_incarnations_of_one_thing_are_one_target() -> None:
    """As it is counted everywhere."""
    same = tuple(Target("thing", ("a",), incarnation) for incarnation in "12")

    assert Allow() == judged(Targets(), case(a_step(targets=same)), Journal())


def test_more_than_the_limit_is_told_before_that_there_is_no_ramp() -> None:
    """That one is for the author of the rule, and a ramp would not help."""
    said = judged(Targets(), case(on("a", "b"), limits=Limits()), Journal())

    assert Refuse(Reason.TOO_MANY_TARGETS, "2 targets, at most 1: thing:a, thing:b") == said


def test_a_plan_of_an_older_version_that_was_begun_is_finished() -> None:
    """Half a change is worse than one that ends a little late."""
    assert Allow() == judged(Targets(), case(on("a", "b"), begun=True), Journal())
