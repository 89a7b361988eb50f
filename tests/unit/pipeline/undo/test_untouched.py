"""What was there before a change is what it has met: not what another run has put back since it was looked at."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from remediator.model.change import Change, Ended, Ending
from remediator.model.ids import RuleId, RunId
from remediator.model.undo import Captured
from remediator.storage.sqlite import journal
from tests.unit.pipeline.harness import Harness, alert
from tests.unit.pipeline.undo.temporary import SHIPPED, temporary

OTHER = RunId("other")


def theirs(it: Harness, target: str) -> Change:
    at = it.clock.now() - timedelta(hours=1)
    return Change(OTHER, 1, RuleId("p/other"), target, "test.set", at, at)


async def put_back(it: Harness, target: str) -> None:
    """Another run has put back what it had set on a target, and has ended."""
    change = replace(theirs(it, target), action="undo:test.set")
    await it.store.write(partial(journal.enter, changes=[change]))
    ended = Ended(1, Ending.DONE, it.clock.now(), change.action)
    await it.store.write(partial(journal.note_endings, run=OTHER, endings=[ended]))


async def end(it: Harness, target: str) -> None:
    """What another run was doing is done, and known to be."""
    ended = Ended(1, Ending.HEALED, it.clock.now())
    await it.store.write(partial(journal.note_endings, run=OTHER, endings=[ended]))


@pytest.mark.parametrize("comes", [put_back, end], ids=["put back", "ended"])
@pytest.mark.parametrize(("target", "looks"), [("test:web", 2), ("test:db", 1)], ids=["the same", "another target"])
async def test_what_another_run_ends_between_the_look_and_the_start_is_looked_at_again(
    tmp_path: Path, comes: Callable[[Harness, str], Awaitable[None]], target: str, looks: int
) -> None:
    """Its locks are free by then, and what was read is not there any more."""
    async with Harness(tmp_path, temporary()) as it:
        it.world.setting = "theirs"
        await it.store.write(partial(journal.enter, changes=[theirs(it, target)]))

        async def ends() -> None:
            it.world.on_capture = None
            it.world.setting = SHIPPED
            await comes(it, target)

        it.world.on_capture = ends
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        assert ["healed"] == await it.until_over()
        captured = [fact for fact in (await it.run()).facts if isinstance(fact, Captured)]

        assert looks == it.world.captures
        assert [{"value": SHIPPED if looks > 1 else "theirs"}] == [fact.before for fact in captured]
