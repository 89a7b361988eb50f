"""What was under way when a process ended is carried on, told, and never done twice."""

import asyncio
from pathlib import Path

from remediator.model.facts import Finished, Started, StepStatus
from tests.unit.pipeline.flow_rules import GATED, NAME, unknown_steps
from tests.unit.pipeline.harness import MINUTE, SECOND, Harness, alert, last, rule


async def test_a_gated_run_waits_on_after_a_restart(tmp_path: Path) -> None:
    """A gate holds no task: the person may take their time over a deployment of ours."""
    async with Harness(tmp_path, GATED) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await it.crash()
        await it.pass_time(MINUTE)
        await it.decide()

        assert ["healed"] == await it.until_over()
        assert ["web"] == it.world.effects
        assert 1 == (await it.facts()).count("asked")


async def test_a_step_cut_short_by_a_crash_is_unknown_told_and_not_repeated(tmp_path: Path) -> None:
    """Nobody can know whether the restart went out."""
    async with Harness(tmp_path) as it:
        it.world.pause = asyncio.Event()
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await it.crash()

        assert ["unknown"] == await it.until_over()
        assert ["web"] == it.world.effects
        run = await it.run()
        assert StepStatus.UNKNOWN is last(run, Finished).status
        assert any("Not known whether" in p.message.title for p in await it.posts(run.id))
        assert 1 == unknown_steps(it)


async def test_an_unknown_step_that_helped_is_healed_and_says_so(tmp_path: Path) -> None:
    """Verification looks into it."""
    async with Harness(tmp_path) as it:
        it.world.pause = asyncio.Event()
        await it.deliver(alert())
        await it.pass_time(SECOND)
        it.world.sick = False
        await it.crash()

        assert ["healed"] == await it.until_over()
        assert "not known" in await it.ending()


async def test_an_idempotent_step_cut_short_is_repeated_once_and_it_is_said(tmp_path: Path) -> None:
    """Setting a value twice is the same as once."""
    changed = rule(remediate=[{"do": [{"test.set": {"name": NAME}}]}])
    async with Harness(tmp_path, changed) as it:
        it.world.pause = asyncio.Event()
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await it.crash()
        await it.pass_time(SECOND)
        await it.crash()

        assert ["unknown"] == await it.until_over()
        assert ["web", "web"] == it.world.effects
        run = await it.run()
        assert [1, 2] == [f.attempt for f in run.facts if isinstance(f, Started)]
        assert any("Repeating" in p.message.title for p in await it.posts(run.id))


async def test_the_target_of_an_unknown_step_stays_locked_until_its_deadline(tmp_path: Path) -> None:
    """The call may still be under way."""
    async with Harness(tmp_path, rule(verify={"settle": "0s", "sustain": "0s", "within": "1s", "every": "1s"})) as it:
        it.world.pause = asyncio.Event()
        await it.deliver(alert(severity="warning"))
        await it.pass_time(SECOND)
        await it.crash()
        await it.pass_time(SECOND)
        await it.deliver(alert(severity="critical"))
        await it.pass_time(20 * SECOND)

        assert ["web"] == it.world.effects


async def test_a_stop_lets_an_acting_step_end_and_be_recorded(tmp_path: Path) -> None:
    """A rolling upgrade of ours must not leave an unknown behind."""
    async with Harness(tmp_path) as it:
        it.world.pause, it.world.on_act = asyncio.Event(), it.world.heal
        await it.deliver(alert())
        await it.pass_time(SECOND)
        stopping = asyncio.create_task(it.process.stop())
        await it.settle()
        it.world.pause.set()
        await stopping
        recorded = await it.facts()
        await it.process.start()

        assert "finished" in recorded
        assert ["healed"] == await it.until_over()
        assert ["web"] == it.world.effects


async def test_an_idempotent_step_is_not_repeated_for_an_alert_that_is_over(tmp_path: Path) -> None:
    """There is no more reason to."""
    changed = rule(remediate=[{"do": [{"test.set": {"name": NAME}}]}])
    async with Harness(tmp_path, changed) as it:
        it.world.pause = asyncio.Event()
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await it.process.kill()
        await it.deliver(alert(), resolved=True)
        await it.crash()

        assert ["unknown"] == await it.until_over()
        assert ["web"] == it.world.effects


async def test_a_run_that_cannot_be_carried_on_with_a_step_in_doubt_is_unknown_and_stays_locked(tmp_path: Path) -> None:
    """`failed` would say that nothing was done."""
    async with Harness(tmp_path) as it:
        it.world.pause = asyncio.Event()
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await it.process.kill()
        await it.process.flow.give_up(await it.run(), "its rule cannot be read")

        assert ["unknown"] == await it.outcomes()
        assert StepStatus.UNKNOWN is last(await it.run(), Finished).status
        assert 1 == unknown_steps(it)
        await it.crash()
        await it.deliver(alert(severity="critical"))
        await it.pass_time(20 * SECOND)
        assert ["web"] == it.world.effects
