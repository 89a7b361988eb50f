"""Who looks before something is put back sees how it is now, and nothing is changed by the look."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from remediator.errors import Failed, OutcomeUnknown
from remediator.model.remains import Now
from remediator.model.undo import Undone
from remediator.pipeline.undo.looking import Found
from tests.unit.pipeline.harness import MINUTE, Harness, last, rule
from tests.unit.pipeline.undo.temporary import BOLD, HALF_AN_HOUR, NAME, SHIPPED, healed, temporary
from tests.unit.pipeline.undo.test_later_runs import both, same
from tests.unit.pipeline.world import World


async def looked(it: Harness) -> list[Found]:
    return list((await it.process.looking.look(await it.run())).values())


def away(world: World) -> None:
    world.fail_remains = Failed("no answer")


def by_hand(way: str) -> Callable[[World], None]:
    return lambda world: setattr(world, "setting", way)


@pytest.mark.parametrize(
    ("happens", "found"),
    [
        (lambda _world: None, Found("it would be put back: it is set boldly", Now.AS_SET)),
        (
            by_hand("by hand"),
            Found("somebody has changed it since, so it would be left as it is: it is set by hand", Now.CHANGED),
        ),
        (
            by_hand(SHIPPED),
            Found("nothing is to be done, it is as it was before already: it is set as shipped", Now.AS_BEFORE),
        ),
        (away, Found("it could not be looked at now: no answer")),
    ],
    ids=["as set", "changed", "as before", "away"],
)
async def test_it_is_told_what_would_come_of_it(tmp_path: Path, happens: Callable[[World], None], found: Found) -> None:
    """That it can be put back by what is on record says nothing of what somebody has done since."""
    async with Harness(tmp_path, temporary()) as it:
        await healed(it)
        happens(it.world)
        was, facts = it.world.setting, await it.facts()

        assert [found] == await looked(it)
        assert (was, [], facts) == (it.world.setting, it.world.restores, await it.facts())


async def test_what_was_done_first_is_not_taken_for_somebodys_change(tmp_path: Path) -> None:
    """It is as the later step has left it, and that one goes back first."""
    steps: list[dict[str, Any]] = [{"test.set": {"name": NAME, "way": way}} for way in ("first", BOLD)]
    async with Harness(tmp_path, rule(remediate=[{"name": "both", "do": steps}])) as it:
        await healed(it)

        assert [
            "it would be put back: it is set boldly",
            "what was done to it later goes back first; for now: it is set boldly",
        ] == [found.says for found in await looked(it)]


async def test_what_a_later_run_keeps_is_said(tmp_path: Path) -> None:
    """Whoever has it put back here would wonder why nothing happens."""
    async with Harness(tmp_path, *same()) as it:
        older, younger = await both(it)
        (found,) = (await it.process.looking.look(older)).values()

        assert f"it would be left to run {younger.id}, which has changed the same until " in found.says


async def test_what_may_not_have_been_done_asks_a_person_first(tmp_path: Path) -> None:
    """How it is now is what that person wants to know."""
    async with Harness(tmp_path, temporary()) as it:

        def lose(_name: str) -> None:
            it.world.setting = BOLD
            raise OutcomeUnknown("the connection broke")

        it.world.on_act = lose
        await it.deliver({"alertname": "Sick", "service": "web"})
        await it.until_over()

        says = "it is not known whether it was done, so a person is asked first; for now: it is set boldly"
        assert [says] == [found.says for found in await looked(it)]


async def test_what_was_refused_is_looked_at_as_it_would_be_tried_again(tmp_path: Path) -> None:
    """Somebody has seen to it since."""
    async with Harness(tmp_path, temporary()) as it:
        await healed(it)
        it.world.setting = "by hand"
        await it.pass_time(HALF_AN_HOUR + timedelta(minutes=1))
        assert last(await it.run(), Undone).asks
        it.world.setting = BOLD

        assert [Found("it would be put back: it is set boldly", Now.AS_SET)] == await looked(it)


async def test_what_is_back_is_not_looked_at(tmp_path: Path) -> None:
    """There is nothing that an undo would do."""
    async with Harness(tmp_path, temporary()) as it:
        await healed(it)
        await it.pass_time(HALF_AN_HOUR + MINUTE)

        assert [] == await looked(it)
