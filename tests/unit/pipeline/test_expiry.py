"""Work that is too old to make sense is not done, and nothing becomes old because somebody set a clock."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from remediator.model.facts import Planned, Started
from tests.unit.pipeline.harness import MINUTE, SECOND, Harness, alert, last, rule

HOUR = timedelta(hours=1)
GATED = rule(mode="gated")


async def late(it: Harness, by: timedelta) -> None:
    """An alert comes, and the service carries its run on only so much later."""
    await it.process.stop()
    await it.deliver(alert())
    await it.pass_time(by)
    await it.crash()
    await it.pass_time(SECOND)


async def test_a_run_whose_turn_comes_hours_late_tells_and_does_nothing(tmp_path: Path) -> None:
    """What made sense five hours ago may do harm now; but people get evidence that is new, and the plan."""
    async with Harness(tmp_path) as it:
        await late(it, 5 * HOUR)

        assert (
            "expired: it has waited 5h for its turn, more than 1h (pipeline.hold_timeout), so nothing was done. The "
            "evidence is new: if the alert still fires, carry the plan out by hand; `remediator runs show "
            f"{(await it.run()).id}` has both" == await it.ending()
        )
        assert ["examined", "planned", "ended"] == await it.facts()
        assert ([], 1) == (it.world.effects, it.world.looks)


async def test_a_run_whose_turn_comes_a_little_late_is_carried_out(tmp_path: Path) -> None:
    """A restart, or a backlog of minutes, is no reason to leave people without help."""
    async with Harness(tmp_path) as it:
        it.world.on_act = it.world.heal
        await late(it, 59 * MINUTE)

        assert ["healed"] == await it.until_over()


async def test_people_are_asked_also_when_the_turn_comes_late(tmp_path: Path) -> None:
    """The plan is new, and whoever approves it knows what time it is."""
    async with Harness(tmp_path, GATED) as it:
        it.world.on_act = it.world.heal
        await late(it, 5 * HOUR)
        asked = await it.facts()
        await it.decide()

        assert ["examined", "planned", "asked"] == asked
        assert ["healed"] == await it.until_over()


async def test_a_run_that_only_looks_is_told_however_late(tmp_path: Path) -> None:
    """It would not have done anything anyway."""
    async with Harness(tmp_path, rule(mode="observe")) as it:
        await late(it, 5 * HOUR)

        assert ["told"] == await it.until_over()


async def test_the_rest_of_a_plan_is_not_done_hours_later(tmp_path: Path) -> None:
    """Half a plan of yesterday is no plan for today; people are told which half is done."""
    step = {"test.set": {"name": "{{ labels.service }}"}}
    async with Harness(tmp_path, rule(remediate=[{"name": "cure", "do": [step, step]}])) as it:
        it.world.on_act = lambda _name: setattr(it.store, "dies_at", it.store.writes + 2)
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await it.process.kill()
        await it.clock.advance(5 * HOUR)
        it.world.on_act = None
        await it.crash()
        await it.until_over()

        assert (await it.ending()).startswith("expired: it has waited 5h1s for its turn")
        assert "so the rest of the plan was not done" in await it.ending()
        assert ["web"] == it.world.effects


async def test_a_step_in_doubt_is_not_repeated_hours_later(tmp_path: Path) -> None:
    """It could be repeated without harm to itself, but not to what has happened since."""
    step = {"test.set": {"name": "{{ labels.service }}"}}
    async with Harness(tmp_path, rule(remediate=[{"name": "cure", "do": [step]}])) as it:
        it.world.pause = asyncio.Event()
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await it.process.kill()
        await it.clock.advance(5 * HOUR)
        it.world.pause = None
        await it.crash()

        assert ["unknown"] == await it.until_over()
        assert ["web"] == it.world.effects


async def test_a_plan_that_waits_too_long_for_others_changes_expires(tmp_path: Path) -> None:
    """Ten changes that hang for half an hour each would otherwise be followed by one of this morning."""
    async with Harness(tmp_path, changes_at_once=1) as it:
        it.world.pause = asyncio.Event()
        await it.deliver(alert("one"))
        await it.pass_time(SECOND)
        await it.deliver(alert("two"))
        await it.pass_time(SECOND)
        it.clock.jump(2 * HOUR)  # what time it is by the wall, without the first step's own time limit
        it.world.pause.set()
        await it.until_over()

        assert "expired" == (await it.outcomes())[1]
        assert ["one"] == it.world.effects


@pytest.mark.parametrize("by", [HOUR, -HOUR], ids=["forward", "back"])
async def test_a_question_keeps_its_time_when_the_machines_clock_is_set(tmp_path: Path, by: timedelta) -> None:
    """The person who was asked has 15 minutes, whatever NTP does; and no hour more."""
    async with Harness(tmp_path, GATED) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        it.clock.set_machine(by)
        await it.pass_time(14 * MINUTE)
        before = await it.outcomes()
        await it.pass_time(90 * SECOND)

        assert [None] == before
        assert ["expired"] == await it.outcomes()


@pytest.mark.parametrize("by", [HOUR, -HOUR], ids=["forward", "back"])
async def test_an_approval_counts_when_the_machines_clock_was_set(tmp_path: Path, by: timedelta) -> None:
    """A decision is compared with the time of the question: both are told by the clock that does not jump."""
    async with Harness(tmp_path, GATED) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        await it.pass_time(SECOND)
        it.clock.set_machine(by)
        await it.pass_time(10 * MINUTE)
        await it.decide()

        assert ["healed"] == await it.until_over()


@pytest.mark.parametrize("by", [2 * HOUR, -2 * HOUR], ids=["forward", "back"])
async def test_a_hold_neither_ends_early_nor_for_ever_when_the_machines_clock_is_set(
    tmp_path: Path, by: timedelta
) -> None:
    """Another run acts on its target: it waits an hour for it, not none and not three."""
    async with Harness(tmp_path, rule(), rule(name="second", match=['alertname="Second"'])) as it:
        it.world.pause = asyncio.Event()
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await it.process.kill()  # it leaves its target locked for a while
        it.world.pause = None
        await it.crash()
        await it.deliver({"alertname": "Second", "service": "web"})
        await it.pass_time(SECOND)
        it.clock.set_machine(by)
        await it.pass_time(10 * SECOND)
        (run,) = (run for run in await it.runs() if run.rule == "p/second")

        assert "held" == run.facts[-1].kind
        assert not [fact for fact in run.facts if isinstance(fact, Started)]
        assert last(run, Planned).plan.steps
