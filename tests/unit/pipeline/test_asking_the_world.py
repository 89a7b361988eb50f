"""The world is asked again right before each changing step, and what it answers is heeded."""

import asyncio
from pathlib import Path

from remediator.errors import Protected
from remediator.model.facts import Finished, Held, Planned
from remediator.model.message import Message
from remediator.model.outcome import Reason
from remediator.model.run import Run
from remediator.model.stop import StopKind
from remediator.pipeline.guards import Allow, Ask, Hold, Refuse
from tests.unit.pipeline.guarded import ACT, HOUR, QUICK, RULE, SET, Said, fall_ill, standing
from tests.unit.pipeline.harness import MINUTE, SECOND, Harness, alert, last, rule, wide


async def test_each_plan_says_who_is_asked_whether_the_alert_still_fires(tmp_path: Path) -> None:
    """People weigh what Alertmanager says otherwise than what a webhook has said minutes ago."""
    async with Harness(tmp_path) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        await it.until_over()
        it.process.guards.alert_from = "Prometheus"
        await fall_ill(it, 2)
        await it.until_over()
        first, second = await it.runs()
        said = [message.title for run in (first, second) for message in await plans_of(it, run)]
        told = [str(message.parts) for run in (first, second) for message in await plans_of(it, run)]

        assert ["", "Prometheus"] == [last(run, Planned).alert_from for run in (first, second)]
        assert 2 == len(said)
        row = "('Alert', 'has to fire still right before each change, by Prometheus')"
        assert [False, True] == [row in one for one in told]


async def plans_of(it: Harness, run: Run) -> list[Message]:
    return [post.message for post in await it.posts(run.id) if post.key.startswith("planned.")]


async def test_the_world_is_asked_again_right_before_the_act(tmp_path: Path) -> None:
    """Between the review and the act lies a wait for a person, or for a place."""
    probe = Said(Refuse(Reason.NOT_FIRING, "gone"), later=[Allow(), Allow()])
    async with Harness(tmp_path, rule(mode="gated"), probes=[probe]) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await it.decide()

        assert ["resolved by itself"] == await it.until_over()
        assert (3, []) == (len(probe.cases), it.world.effects)


async def test_a_hold_of_the_world_before_a_later_step_stops_the_plan_there(tmp_path: Path) -> None:
    """The floor is counted before each step, as the one before has changed what is healthy."""
    hold = Reason.POOL_TOO_SMALL, "1 of 3 is healthy"
    async with Harness(tmp_path, rule(remediate=[{"name": "cure", "do": [ACT, SET]}]), probes=[probe := Said()]) as it:

        def drop(_name: str) -> None:
            probe.review = Hold(hold[0], it.clock.now() + 30 * SECOND, hold[1])

        it.world.on_act = drop
        await it.deliver(alert())
        await it.pass_time(MINUTE)
        run, effects = await it.run(), list(it.world.effects)
        probe.review, it.world.on_act = Allow(), it.world.heal

        assert ["healed"] == await it.until_over()
        assert (["web"], 1) == (effects, sum(isinstance(fact, Held) for fact in run.facts))
        assert hold == (last(run, Held).reason, last(run, Held).detail)
        assert [False, True, True] == [case.begun for case in probe.cases[:3]]


async def test_what_the_world_wants_to_ask_in_the_middle_of_a_plan_is_passed_over(tmp_path: Path) -> None:
    """Half a change is worse than one that ends a little late."""
    ask = Ask(Reason.LAST_OF_POOL, "the only one")
    probe = Said(ask, later=[Allow()])
    async with Harness(tmp_path, rule(remediate=[{"name": "cure", "do": [ACT, SET]}]), probes=[probe]) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())

        assert ["healed"] == await it.until_over()
        assert ["web", "web"] == it.world.effects


async def test_what_the_world_refuses_in_the_middle_of_a_plan_ends_it(tmp_path: Path) -> None:
    """It says that the rest was not done."""
    probe = Said(Refuse(Reason.POOL_TOO_SMALL, "never enough"), later=[Allow()])
    async with Harness(tmp_path, rule(remediate=[{"name": "cure", "do": [ACT, SET]}]), probes=[probe]) as it:
        await it.deliver(alert())

        assert ["refused"] == await it.until_over()
        assert "the rest of the plan was not done" in await it.ending()
        assert ["web"] == it.world.effects


async def test_a_repeat_of_what_nobody_saw_the_end_of_waits_as_well(tmp_path: Path) -> None:
    """Doing it again is a change like any other."""
    quick = rule(remediate=[{"name": "cure", "do": [SET]}])
    async with Harness(tmp_path, quick, probes=[probe := Said()]) as it:
        it.world.pause = asyncio.Event()
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await it.process.kill()
        it.world.pause = None
        it.world.on_act = it.world.heal
        probe.review = Hold(Reason.PAUSED, it.clock.now() + HOUR, "the file is there")
        await it.crash()
        await it.pass_time(2 * MINUTE)
        held, effects = last(await it.run(), Held), list(it.world.effects)
        probe.review = Allow()

        assert ["healed"] == await it.until_over()
        assert (Reason.PAUSED, ["web"]) == (held.reason, effects)
        assert ["web", "web"] == it.world.effects


async def test_a_repeat_that_is_refused_is_not_known_to_be_done(tmp_path: Path) -> None:
    """It was begun, and nobody saw its end."""
    quick = rule(remediate=[{"name": "cure", "do": [SET]}], verify=QUICK)
    async with Harness(tmp_path, quick, probes=[probe := Said()]) as it:
        it.world.pause = asyncio.Event()
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await it.process.kill()
        it.world.pause = None
        probe.review = Refuse(Reason.PROTECTED, "denied")
        await it.crash()

        assert ["unknown"] == await it.until_over()
        assert (StopKind.DEMOTION, RULE) in await standing(it)


async def test_what_says_itself_that_it_is_not_to_be_touched_is_no_failure_of_the_rule(tmp_path: Path) -> None:
    """It was put there by a person after the plan was made."""

    def opt_out(_name: str) -> None:
        raise Protected("it has the label remediator.dev/skip")

    async with Harness(tmp_path, limits=wide(failures_in_row=1, attempts="1/1h")) as it:
        it.world.on_act = opt_out
        await it.deliver(alert())
        await it.until_over()

        assert not any(fact.begun for fact in (await it.run()).facts if isinstance(fact, Finished))
        assert [] == await standing(it)
