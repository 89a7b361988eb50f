"""A pause of a target whose name is escaped otherwise than the target's own would hold nothing: it is refused."""

from datetime import timedelta
from pathlib import Path

import pytest

from remediator.errors import Mistaken
from tests.unit.pipeline.guarded import fall_ill
from tests.unit.pipeline.harness import Harness, rule, wide

TYPED = ["w3/workers", "w3%2fworkers"]


@pytest.mark.parametrize("typed", TYPED)
async def test_a_name_that_is_escaped_otherwise_than_a_targets_own_is_refused(tmp_path: Path, typed: str) -> None:
    """At night nobody sees that one was paused that there is not. What was meant is told, and nothing guessed."""
    async with Harness(tmp_path, limits=wide()) as it:
        it.world.on_act = it.world.heal
        await fall_ill(it, 1, service="w3/workers")
        assert ["healed"] == await it.until_over()
        with pytest.raises(Mistaken) as refused:
            await it.process.stops.pause(f"target:test:{typed}", "", "ann", timedelta(hours=1))

        said = f"nothing has been changed on target:test:{typed}; did you mean target:test:w3%2Fworkers?"
        assert said == str(refused.value)
        assert () == tuple(await it.process.stops.standing())
        assert "" == (await it.process.stops.pause("target:test:w3%2Fworkers", "", "ann", None))[1]


@pytest.mark.parametrize("typed", TYPED)
async def test_a_target_of_a_plan_that_waits_is_known_too(tmp_path: Path, typed: str) -> None:
    """Nothing was ever changed on it, and it is what the person sees on the screen."""
    async with Harness(tmp_path, rule(mode="gated"), limits=wide()) as it:
        await fall_ill(it, 1, service="w3/workers")
        await it.settle()
        with pytest.raises(Mistaken, match=r"; did you mean target:test:w3%2Fworkers\?"):
            await it.process.stops.pause(f"target:test:{typed}", "", "ann", None)

        assert "" == (await it.process.stops.pause("target:test:w3%2Fworkers", "", "ann", None))[1]


async def test_a_name_of_very_many_parts_is_looked_for_all_the_same(tmp_path: Path) -> None:
    """Not all of its spellings, of which there would be a million."""
    async with Harness(tmp_path) as it:
        _, note = await it.process.stops.pause(f"target:test:{'/'.join('abcdefghijklmnopqrst')}", "", "ann", None)

        assert note.startswith("nothing has been changed on target:test:a/b/c")
