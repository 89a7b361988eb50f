"""A ramp covers every target once, begins with one, doubles, and is the same whenever its targets are."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediator.model.ids import StepId
from remediator.model.plan import Effect, PlannedStep
from remediator.model.target import Target
from remediator.model.undo import undo_step, undone_by
from remediator.model.waves import step_of, too_broad, wave_step, waves_of

STEP = StepId("remediate.0.1")
PARTS = st.text("ab-@#/", min_size=1, max_size=3)
TARGETS = st.lists(st.builds(Target, st.just("thing"), st.tuples(PARTS), st.sampled_from(["", "1", "2"])), max_size=40)


def names(targets: tuple[Target, ...]) -> list[str]:
    return sorted({target.name for target in targets})


def steps(*sizes: int, step: StepId = STEP, effect: Effect = Effect.CHANGE) -> list[PlannedStep]:
    """The waves of a step, with so many targets each."""
    numbers = iter(range(sum(sizes)))
    return [
        PlannedStep(
            wave_step(step, number),
            "thing.kick",
            {},
            effect,
            idempotent=False,
            targets=tuple(Target("thing", (str(next(numbers)),)) for _ in range(size)),
            timeout=timedelta(seconds=1),
            sentence="",
        )
        for number, size in enumerate(sizes, 1)
    ]


@given(TARGETS)
def test_each_target_is_in_exactly_one_wave(targets: list[Target]) -> None:
    """None is left out, and none is acted on twice; what shares a name is one thing and stays together."""
    waves = waves_of(targets)

    assert sorted(set(targets), key=repr) == sorted((one for wave in waves for one in wave), key=repr)
    assert sorted({one.name for one in targets}) == sorted(name for wave in waves for name in names(wave))


@given(TARGETS)
def test_waves_begin_with_one_and_double(targets: list[Target]) -> None:
    """Only the last one may be smaller: it has what is left."""
    sizes = [len(names(wave)) for wave in waves_of(targets)]

    assert [2**place for place in range(len(sizes))][:-1] == sizes[:-1]
    assert all(1 <= size <= 2**place for place, size in enumerate(sizes))


@given(st.data())
def test_waves_do_not_depend_on_the_order_in_which_targets_are_found(data: st.DataObject) -> None:
    """A plan that is made again must be the same one, or its approval would count for nothing."""
    targets = data.draw(TARGETS)

    assert waves_of(targets) == waves_of(data.draw(st.permutations(targets)))


@pytest.mark.parametrize(
    ("count", "sizes"), [(0, []), (1, [1]), (2, [1, 1]), (3, [1, 2]), (4, [1, 2, 1]), (7, [1, 2, 4]), (8, [1, 2, 4, 1])]
)
def test_the_sizes_of_waves(count: int, sizes: list[int]) -> None:
    """As the documentation says."""
    assert sizes == [len(wave) for wave in waves_of(Target("thing", (str(n),)) for n in range(count))]


def test_a_wave_leads_to_the_step_of_its_rule() -> None:
    """Its action is looked up by that, also when it is put back."""
    wave = wave_step(STEP, 12)

    assert wave not in (STEP, wave_step(STEP, 1))
    assert [STEP, STEP] == [step_of(wave), step_of(STEP)]
    assert wave == undone_by(undo_step(wave, 1))


@pytest.mark.parametrize(
    ("sizes", "broad"),
    [((1,), None), ((1, 2, 4, 3), None), ((1, 1, 4), None), ((2,), 0), ((1, 3), 1), ((1, 2, 5), 2), ((0, 3), 1)],
)
def test_a_step_is_too_broad_where_it_acts_on_more_than_its_place_in_the_ramp_allows(
    sizes: tuple[int, ...], broad: int | None
) -> None:
    """What goes wrong with the first must not go wrong with all."""
    waves = steps(*sizes)

    assert (None if broad is None else waves[broad]) is too_broad(waves)


def test_each_step_has_a_ramp_of_its_own() -> None:
    """That one step went well with four targets says nothing about another one."""
    first, second = steps(1, 2), steps(4, step=StepId("remediate.0.2"))

    assert second[0] is too_broad([*first, *second])
    assert None is too_broad([*first, *steps(9, step=StepId("remediate.0.3"), effect=Effect.READ)])


@given(TARGETS)
def test_the_waves_of_any_targets_are_no_broader_than_allowed(targets: list[Target]) -> None:
    """What planning makes is never refused for it."""
    planned = [
        replace(one, targets=wave)
        for wave, one in zip(waves_of(targets), steps(*[0] * len(waves_of(targets))), strict=True)
    ]

    assert None is too_broad(planned)
