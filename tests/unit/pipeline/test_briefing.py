"""What people are told with a question of how much it touches, and of how its rule has done."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from remediator.model.change import Ending
from remediator.model.facts import Asked
from remediator.model.pool import Member, Pool
from remediator.model.target import Target
from remediator.pipeline.briefing import Uncounted, say_record, touches
from tests.unit.pipeline.harness import MINUTE, Harness, alert, last, rule
from tests.unit.pipeline.test_story import PLAN, STEP

ALONE = Pool("container web", (Member("a", True, True),))
ILL = Pool("container web", (Member("a", False, True),))
POOL = Pool("shop", (Member("a", True, True), Member("b", True, False), Member("c", False, False)))


@pytest.mark.parametrize(
    ("endings", "said"),
    [
        ((), "nothing was changed by it in the last 30 days"),
        ((Ending.NOT_BEGUN,), "nothing was changed by it in the last 30 days"),
        ((Ending.HEALED,), "its last plan: healed"),
        (
            (*[Ending.HEALED] * 7, *[Ending.NOT_HEALED] * 2, Ending.UNKNOWN),
            "of its last 10 plans: 7 healed, 2 not healed, 1 unknown",
        ),
        ((Ending.FAILED, None, Ending.DONE), "of its last 3 plans: 1 failed, 1 done, 1 not over yet"),
    ],
)
def test_the_record_of_a_rule_is_counted(endings: Sequence[Ending | None], said: str) -> None:
    """Whoever decides sees whether it helps as a rule."""
    assert said == say_record(endings)


@pytest.mark.parametrize(
    ("pools", "said"),
    [
        ((), ""),
        ((POOL,), "1 target; 1 of the 3 of shop (2 of them healthy now, 1 meanwhile)"),
        ((POOL, POOL), "1 target; 1 of the 3 of shop (2 of them healthy now, 1 meanwhile)"),
        ((ALONE,), "1 target; all of container web"),
        ((ILL,), "1 target; all of container web, which is not healthy now"),
        ((Uncounted("away"),), "1 target; what they are a part of could not be counted: away"),
    ],
)
def test_how_much_is_touched_is_counted(pools: Sequence[Pool | Uncounted], said: str) -> None:
    """One container of three is another thing than the only one."""
    assert said == touches(PLAN, pools)


def test_each_target_is_counted_once() -> None:
    """Whatever the number of steps that act on it."""
    steps = (STEP, replace(STEP, targets=(Target("thing", ("web",)), Target("thing", ("db",)))))

    assert "2 targets" == touches(replace(PLAN, steps=steps), ())


async def test_a_question_says_what_came_of_the_plans_before(tmp_path: Path) -> None:
    """It is counted when people are asked, and stored with the question."""
    async with Harness(tmp_path, rule(mode="gated")) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        await it.pass_time(MINUTE)
        first = last(await it.run(), Asked)
        await it.decide()
        await it.until_over()
        it.world.sick = True
        await it.deliver(alert("db"))
        await it.pass_time(MINUTE)
        runs = await it.store.list_runs(limit=5)
        second = await it.store.read_run(runs[0].id)
        assert second is not None
        asked = last(second, Asked)

        assert ("nothing was changed by it in the last 30 days", "") == (first.record, first.touches)
        assert ("its last plan: healed", "") == (asked.record, asked.touches)
