"""A kill before and after every commit of a run: nothing is lost, nothing is done twice, what is unknown says so."""

import asyncio
from pathlib import Path

import pytest

from remediator.model.facts import Finished, StepStatus
from remediator.model.stage import Drafted, stage_of
from tests.unit.pipeline.harness import MINUTE, SECOND, Harness, alert, rule

_COMMITS = 7  # more than a run has; a run that is over before the kill passes as well


@pytest.mark.parametrize("after", [False, True], ids=["before-commit", "after-commit"])
@pytest.mark.parametrize("commit", range(1, _COMMITS + 1))
@pytest.mark.parametrize("mode", ["auto", "gated"])
async def test_a_kill_at_a_commit_loses_nothing_and_doubles_nothing(
    tmp_path: Path, mode: str, commit: int, after: bool
) -> None:
    """Promises 1 and 2 at each point where they could break."""
    async with Harness(tmp_path, rule(mode=mode)) as it:
        it.world.on_act = it.world.heal
        store = it.store
        store.dies_at, store.dies_after_writing = store.writes + commit, after
        delivery = asyncio.create_task(it.deliver(alert()))
        await it.pass_time(5 * SECOND)
        if mode == "gated" and await _is_waiting(it):
            deciding = asyncio.create_task(it.decide())
            await it.pass_time(MINUTE)
            deciding.cancel()
            await asyncio.gather(deciding, return_exceptions=True)
        else:
            await it.pass_time(MINUTE)
        accepted = delivery.done()
        delivery.cancel()
        await asyncio.gather(delivery, return_exceptions=True)

        await it.crash()
        if not accepted:
            await it.deliver(alert())  # it was not answered 202: Alertmanager sends it again
        await it.pass_time(SECOND)
        if await _is_waiting(it):
            await it.decide()

        (outcome,) = await it.until_over()
        run = await it.run()
        unknown = [f for f in run.facts if isinstance(f, Finished) and f.status is StepStatus.UNKNOWN]
        assert len(it.world.effects) == 1 or (unknown and it.world.effects == [])
        assert outcome == "healed" if it.world.effects else outcome == "unknown"


async def _is_waiting(it: Harness) -> bool:
    return any(
        isinstance(stage, Drafted) and stage.asked is not None and stage.decision is None
        for stage in map(stage_of, await it.runs())
    )
