"""What is paused is left in peace: nothing is read of it either right before a change that is not made."""

from pathlib import Path
from typing import Any

import pytest

from remediator.model.stop import EVERYTHING, Stop, StopKind
from tests.unit.pipeline.harness import MINUTE, Harness, alert, rule
from tests.unit.pipeline.undo.temporary import BOLD, NAME, SHIPPED, healed, temporary

SET: dict[str, Any] = {"test.set": {"name": NAME, "way": BOLD}}


async def pause(it: Harness) -> None:
    """As another process would: this one knows nothing of it."""
    assert await it.store.put_stop(Stop(StopKind.PAUSE, EVERYTHING, "", "ann", it.clock.now()))


async def resume(it: Harness) -> None:
    await it.process.stops.lift(StopKind.PAUSE, EVERYTHING, "ann")


async def test_a_first_step_is_not_prepared_on_what_is_paused(tmp_path: Path) -> None:
    """The short way to a start asks the journal with the start, which is after what was there has been kept."""
    async with Harness(tmp_path, temporary()) as it:
        it.world.on_act = it.world.heal
        await pause(it)
        await it.deliver(alert())
        await it.pass_time(5 * MINUTE)
        read = it.world.captures
        await resume(it)

        assert ["healed"] == await it.until_over()
        assert (0, 1) == (read, it.world.captures)


async def test_neither_is_a_later_step(tmp_path: Path) -> None:
    """Somebody has paused all while the first one acted, and it is looked at again and again."""
    steps = [{"test.act": {"name": NAME}}, SET]
    async with Harness(tmp_path, rule(remediate=[{"name": "both", "do": steps}])) as it:

        async def pause_then() -> None:
            it.world.before_act = None
            await pause(it)

        it.world.before_act = pause_then
        await it.deliver(alert())
        await it.pass_time(5 * MINUTE)
        read = it.world.captures
        it.world.on_act = it.world.heal
        await resume(it)

        assert ["healed"] == await it.until_over()
        assert (0, 1) == (read, it.world.captures)


async def test_nor_is_it_looked_at_to_be_put_back(tmp_path: Path) -> None:
    """What was for a while stays until somebody resumes."""
    async with Harness(tmp_path, temporary()) as it:
        await healed(it)
        looks = 0

        async def look() -> None:
            nonlocal looks
            looks += 1

        it.world.on_remains = look
        await pause(it)
        await it.pass_time(60 * MINUTE)
        assert (0, BOLD) == (looks, it.world.setting)
        await resume(it)
        await it.pass_time(11 * MINUTE)

        assert (True, SHIPPED) == (looks > 0, it.world.setting)


@pytest.mark.parametrize("act", ["test.act", "test.set"])
async def test_what_reads_nothing_goes_the_short_way(tmp_path: Path, act: str) -> None:
    """The journal is asked once more only where a target would be read for nothing."""
    async with Harness(tmp_path, rule(remediate=[{"name": "do", "do": [{act: {"name": NAME}}]}])) as it:
        asked = 0
        known = it.store.known

        async def counted(questions: Any) -> Any:
            nonlocal asked
            asked += 1
            return await known(questions)

        it.process.guards._look = counted
        it.world.on_act = it.world.heal
        await it.deliver(alert())

        assert ["healed"] == await it.until_over()
        assert (act == "test.set") == (asked > 0)
