"""That a rule might act by itself is only suggested, and only on recorded evidence."""

from pathlib import Path

import pytest

from remediator.model.facts import Ended
from remediator.pipeline.promotion import ENOUGH
from tests.unit.pipeline.guarded import decide, fall_ill, newest
from tests.unit.pipeline.harness import MINUTE, SECOND, Harness, last, rule, wide

WORD = "`mode: auto` may be considered"


async def heal(it: Harness, count: int, *, first: int = 0) -> list[bool]:
    """So many runs, one after another, approved and healed; which of them say the word."""
    said = []
    for number in range(first, first + count):
        await fall_ill(it, number)
        await it.pass_time(SECOND)
        await decide(it)
        await it.until_over()
        said.append(WORD in last(await newest(it), Ended).brief)
    return said


async def test_ten_plans_that_were_approved_and_healed_are_worth_a_word(tmp_path: Path) -> None:
    """From the tenth on; it changes nothing by itself."""
    async with Harness(tmp_path, rule(mode="gated"), limits=wide()) as it:
        it.world.on_act = it.world.heal

        assert [False] * (ENOUGH - 1) + [True, True] == await heal(it, ENOUGH + 1)


async def test_one_that_did_not_help_lets_the_row_begin_anew(tmp_path: Path) -> None:
    """It is the latest experience that counts."""
    async with Harness(tmp_path, rule(mode="gated"), limits=wide()) as it:
        it.world.on_act = it.world.heal
        await heal(it, ENOUGH - 1)
        it.world.on_act = None
        await fall_ill(it, 100)
        await it.pass_time(SECOND)
        await decide(it)
        await it.until_over()
        it.world.on_act = it.world.heal

        assert not any(await heal(it, ENOUGH - 1, first=200))


async def test_plans_that_nobody_approved_say_nothing(tmp_path: Path) -> None:
    """A rule that acts by itself needs no suggestion."""
    async with Harness(tmp_path, limits=wide()) as it:
        it.world.on_act = it.world.heal
        for number in range(ENOUGH + 1):
            await fall_ill(it, number)
            await it.until_over()

        assert WORD not in last(await newest(it), Ended).brief


async def test_a_plan_that_was_made_anew_before_it_was_approved_is_not_unchanged(tmp_path: Path) -> None:
    """What people approved is not what the rule came up with first."""
    async with Harness(tmp_path, rule(mode="gated"), limits=wide()) as it:
        it.world.on_act = it.world.heal
        await heal(it, ENOUGH - 1)
        await fall_ill(it, 50)
        await it.pass_time(SECOND)
        it.world.incarnation = "id-2"
        await decide(it)
        await it.pass_time(SECOND)
        await decide(it)
        await it.until_over()

        assert ("healed", False) == ((await it.outcomes())[-1], WORD in last(await newest(it), Ended).brief)


@pytest.mark.parametrize(("replaced", "expected"), [(False, True), (True, False)], ids=["the same", "another target"])
async def test_a_plan_that_was_approved_late_counts_if_it_was_still_the_same(
    tmp_path: Path, *, replaced: bool, expected: bool
) -> None:
    """It was looked at anew; one that became another plan then was not approved as the rule came up with it."""
    async with Harness(tmp_path, rule(mode="gated"), limits=wide()) as it:
        it.world.on_act = it.world.heal
        await heal(it, ENOUGH - 1)
        await fall_ill(it, 100)
        await it.pass_time(5 * MINUTE)
        it.world.incarnation = "id-2" if replaced else it.world.incarnation
        await decide(it)
        await it.pass_time(10 * SECOND)
        if replaced:
            await decide(it)
        await it.until_over()

        assert "healed" == (await it.outcomes())[-1]
        assert expected == (WORD in last(await newest(it), Ended).brief)
