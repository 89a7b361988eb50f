"""A plan that nothing is known to stand in the way of is begun without a review: its start asks the same guards."""

from pathlib import Path

from remediator.model.facts import Held
from remediator.model.outcome import Reason
from remediator.model.run import Run
from remediator.pipeline.guards import Allow, Hold
from tests.unit.pipeline.guarded import Said
from tests.unit.pipeline.harness import MINUTE, Harness, alert, last, rule, wide


async def come(it: Harness, *services: str) -> list[Run]:
    """Alerts of so many services, one after the other; their runs."""
    for service in services:
        await it.deliver(alert(service))
        await it.pass_time(MINUTE)
    return list(await it.runs())


async def test_the_world_is_asked_once_before_a_plan_that_goes_at_once(tmp_path: Path) -> None:
    """Right before the act; asking it twice within a moment tells nothing new."""
    async with Harness(tmp_path, probes=[probe := Said()]) as it:
        it.world.on_act = it.world.heal
        await come(it, "web")

        assert (["web"], 1) == (it.world.effects, len(probe.cases))


async def test_what_stands_in_the_way_is_met_by_one_start_of_a_rule_and_then_looked_at_before(tmp_path: Path) -> None:
    """In a storm thousands of plans would all try to start in vain, each in a transaction."""
    async with Harness(tmp_path, limits=wide(per_rule="1/1h"), probes=[probe := Said()]) as it:
        it.world.on_act = it.world.heal
        _, second, third = await come(it, "web", "db", "cache")

        looks = [case.targets for case in probe.cases]
        assert (["web"], [("test:web",), ("test:db",)]) == (it.world.effects, looks)
        assert {Reason.BUDGET_USED} == {last(run, Held).reason for run in (second, third)}


async def test_what_the_world_says_against_it_is_told_as_ever(tmp_path: Path) -> None:
    """A hold is a hold, by whichever way it was found."""
    async with Harness(tmp_path, probes=[probe := Said()]) as it:
        it.world.on_act = it.world.heal
        probe.review = Hold(Reason.POOL_TOO_SMALL, it.clock.now() + 10 * MINUTE, "1 of 3 is healthy")
        (run,) = await come(it, "web")
        held = last(run, Held)
        probe.review = Allow()

        assert ([], "1 of 3 is healthy") == (it.world.effects, held.detail)
        assert ["healed"] == await it.until_over()


async def test_a_rule_that_asks_a_person_is_never_begun_at_once(tmp_path: Path) -> None:
    """That is for plans that go by themselves."""
    async with Harness(tmp_path, rule(mode="gated")) as it:
        await come(it, "web")

        assert ([], [None]) == (it.world.effects, await it.outcomes())
