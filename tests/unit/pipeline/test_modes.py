"""What a run may do in each mode, and what a person's word counts for."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from remediator.model.facts import Asked, Planned
from remediator.model.ids import Digest
from remediator.model.plan import Mode
from remediator.model.run import Cancel, Decision
from remediator.model.stage import Drafted, stage_of
from tests.unit.pipeline.flow_rules import GATED, NAME
from tests.unit.pipeline.harness import MINUTE, SECOND, Harness, alert, rule


@pytest.mark.parametrize(("mode", "ceiling"), [("observe", Mode.AUTO), ("auto", Mode.OBSERVE)])
async def test_observing_tells_and_does_nothing(tmp_path: Path, mode: str, ceiling: Mode) -> None:
    """The first mode of a rule that nobody trusts yet, and the ceiling over one that somebody trusts too much."""
    async with Harness(tmp_path, rule(mode=mode), ceiling=ceiling) as it:
        await it.deliver(alert())

        assert ["told"] == await it.until_over()
        assert ([], ["examined", "ended"]) == (it.world.effects, await it.facts())


async def test_suggesting_posts_the_plan_and_does_nothing(tmp_path: Path) -> None:
    """A person sees what would be done."""
    async with Harness(tmp_path, rule(mode="suggest")) as it:
        await it.deliver(alert())

        assert ["told"] == await it.until_over()
        assert ([], ["examined", "planned", "ended"]) == (it.world.effects, await it.facts())


async def test_a_gated_plan_waits_and_runs_once_it_is_approved(tmp_path: Path) -> None:
    """The shipped mode."""
    async with Harness(tmp_path, GATED) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        await it.pass_time(5 * MINUTE)
        waiting = list(it.world.effects)
        await it.decide()

        assert ["healed"] == await it.until_over()
        assert ([], ["web"]) == (waiting, it.world.effects)


async def test_the_shipped_ceiling_gates_a_rule_that_says_auto(tmp_path: Path) -> None:
    """A rule file from somewhere does not get to decide how far it may go."""
    async with Harness(tmp_path, rule(mode="auto"), ceiling=Mode.GATED) as it:
        await it.deliver(alert())

        assert ["expired"] == await it.until_over()
        assert [] == it.world.effects


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"remediate": [{"gate": True, "do": [{"test.act": {"name": NAME}}]}]}, id="gated-rung"),
        pytest.param({"remediate": [{"do": [{"test.destroy": {"name": NAME}}]}]}, id="destroying-step"),
    ],
)
async def test_some_plans_need_a_person_in_any_mode(tmp_path: Path, changes: dict[str, Any]) -> None:
    """What destroys, and what its author gated, is not for the machine alone."""
    async with Harness(tmp_path, rule(**changes)) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)

        assert isinstance((await it.run()).facts[-1], Asked)
        assert [] == it.world.effects


async def test_a_denied_plan_is_not_carried_out(tmp_path: Path) -> None:
    """And the thread says who said no, and why."""
    async with Harness(tmp_path, GATED) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await it.decide(approved=False, reason="we are deploying")

        assert ["denied"] == await it.until_over()
        assert "denied: ann said no: we are deploying" == await it.ending()
        assert [] == it.world.effects


async def test_a_decision_on_another_plan_decides_nothing(tmp_path: Path) -> None:
    """What was approved is what runs."""
    async with Harness(tmp_path, GATED) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        run = await it.run()
        await it.say(
            run.id, Decision(it.clock.now(), approved=True, digest=Digest("0" * 64), round=1, revision=1, by="ann")
        )

        assert ["expired"] == await it.until_over()
        assert [] == it.world.effects


async def test_an_approval_is_void_once_the_target_is_another(tmp_path: Path) -> None:
    """The container was created anew while the person thought about it: they are asked again."""
    async with Harness(tmp_path, GATED) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        await it.pass_time(SECOND)
        it.world.incarnation = "id-2"
        await it.decide()
        await it.pass_time(SECOND)
        after_first, plans = list(it.world.effects), [f for f in (await it.run()).facts if isinstance(f, Planned)]
        await it.decide()

        assert ["healed"] == await it.until_over()
        assert ([], ["web"]) == (after_first, it.world.effects)
        assert ["test:web@id-1", "test:web@id-2"] == [str(p.plan.targets[0]) for p in plans]


async def test_a_resolve_voids_what_was_not_begun(tmp_path: Path) -> None:
    """Nobody restarts a service that has recovered."""
    async with Harness(tmp_path, GATED) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await it.deliver(alert(), resolved=True)

        assert ["resolved by itself"] == await it.until_over(limit=MINUTE)
        await it.say(
            (await it.run()).id,
            Decision(it.clock.now(), approved=True, digest=Digest("0" * 64), round=1, revision=1, by="ann"),
        )
        await it.pass_time(MINUTE)
        assert [] == it.world.effects


async def test_a_cancelled_run_stops_and_says_who_did_it(tmp_path: Path) -> None:
    """The person on call knows better."""
    async with Harness(tmp_path, GATED) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await it.say((await it.run()).id, Cancel(it.clock.now(), "bob", "I am on it"))

        assert ["cancelled"] == await it.until_over(limit=MINUTE)
        assert "cancelled: bob cancelled it: I am on it" == await it.ending()


@pytest.mark.parametrize("ceiling", [Mode.OBSERVE, Mode.SUGGEST])
async def test_a_lowered_ceiling_holds_for_plans_that_wait(tmp_path: Path, ceiling: Mode) -> None:
    """The operator lowered it because something went wrong."""
    async with Harness(tmp_path, GATED) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await it.decide()
        await it.process.kill()
        await it.crash(ceiling=ceiling)

        assert ["told"] == await it.until_over()
        assert [] == it.world.effects


@pytest.mark.parametrize("ceiling", [Mode.OBSERVE, Mode.GATED])
async def test_a_lowered_ceiling_holds_for_the_rest_of_a_plan(tmp_path: Path, ceiling: Mode) -> None:
    """Nobody has approved the second step of what was begun unattended."""
    steps = [{"test.set": {"name": NAME, "way": way}} for way in ("one", "two")]
    async with Harness(tmp_path, rule(remediate=[{"do": steps}])) as it:
        it.world.pause = asyncio.Event()
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await it.crash(ceiling=ceiling)

        assert ["unknown"] == await it.until_over()
        assert ["web"] == it.world.effects


async def test_an_approval_does_not_count_for_a_question_that_was_asked_anew(tmp_path: Path) -> None:
    """A, then B, then A again: the person has approved the first A, in another situation."""
    async with Harness(tmp_path, GATED) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        it.world.incarnation = "id-2"
        await it.decide()
        await it.pass_time(SECOND)
        it.world.incarnation = "id-1"
        await it.decide()
        await it.pass_time(SECOND)
        waiting = stage_of(await it.run())

        assert ["expired"] == await it.until_over()
        assert isinstance(waiting, Drafted)
        assert (3, None) == (waiting.planned.revision, waiting.decision)
        assert [] == it.world.effects
