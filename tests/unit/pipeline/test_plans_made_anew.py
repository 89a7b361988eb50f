"""Plans that were held for long are made from new evidence, and people are asked for what they were not told of."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from remediator.model.facts import Asked, Ended, Examined, Held, Planned
from remediator.model.outcome import Reason
from remediator.pipeline.guards import Allow, Ask, Case, Hold, Refuse, Review
from tests.unit.pipeline.guarded import ACT, HOUR, Said
from tests.unit.pipeline.harness import MINUTE, SECOND, Harness, alert, last, rule

NOT_YET = Reason.DEPENDENCY_DOWN
SICK_ONLY = [{"name": "cure", "when": "steps.state.sick", "do": [ACT]}]


@pytest.mark.parametrize(("held", "effects"), [(50 * SECOND, ["web"]), (5 * MINUTE, [])], ids=["shortly", "long"])
async def test_a_plan_that_was_held_for_long_is_made_from_new_evidence(
    tmp_path: Path, held: timedelta, effects: list[str]
) -> None:
    """What was found out before may not be so any more."""
    probe = Said()
    async with Harness(tmp_path, rule(remediate=SICK_ONLY), probes=[probe]) as it:
        probe.review = Hold(NOT_YET, it.clock.now() + held, "the database is down")
        await it.deliver(alert())
        await it.pass_time(SECOND)
        it.world.sick, probe.review = False, Allow()
        await it.until_over()

        assert effects == it.world.effects


async def test_new_evidence_that_says_the_same_leads_to_the_same_plan(tmp_path: Path) -> None:
    """A round in which nothing was begun is no rung that was tried. Evidence is gathered anew once for each hold."""
    rungs = [{"name": name, "do": [ACT]} for name in ("first", "second")]
    probe = Said()
    async with Harness(tmp_path, rule(remediate=rungs), probes=[probe]) as it:
        it.world.on_act = it.world.heal
        probe.review = Hold(NOT_YET, it.clock.now() + 2 * MINUTE, "the database is down")
        await it.deliver(alert())
        await it.pass_time(SECOND)
        probe.review = Allow()

        assert ["healed"] == await it.until_over()
        run = await it.run()
        assert ["first", "first"] == [fact.plan.name for fact in run.facts if isinstance(fact, Planned)]
        assert (["web"], 2) == (it.world.effects, sum(isinstance(fact, Examined) for fact in run.facts))


class HoldsEachPlan:
    """A probe that holds each new plan for two minutes."""

    async def look(self, case: Case) -> Review:
        was_held = any(isinstance(fact, Held) and fact.round == case.round for fact in case.run.facts)
        return Allow() if was_held else Hold(NOT_YET, case.at + 2 * MINUTE, "the database is down")


async def test_a_plan_that_is_made_anew_after_each_hold_gets_no_younger(tmp_path: Path) -> None:
    """Else it could act hours after its alert, or never end."""
    async with Harness(tmp_path, probes=[HoldsEachPlan()]) as it:
        await it.deliver(alert())

        assert ["expired"] == await it.until_over(limit=2 * HOUR)
        run = await it.run()
        assert HOUR <= last(run, Ended).at - run.created_at <= HOUR + 3 * MINUTE
        assert [] == it.world.effects


async def test_what_a_person_has_approved_is_looked_into_again_after_a_long_hold(tmp_path: Path) -> None:
    """It is the plan that was approved, as long as what is seen then leads to the same one."""
    probe = Said()
    async with Harness(tmp_path, rule(mode="gated", remediate=SICK_ONLY), probes=[probe]) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        await it.pass_time(SECOND)
        probe.review = Hold(NOT_YET, it.clock.now() + 5 * MINUTE, "the database is down")
        await it.decide()
        await it.pass_time(SECOND)
        probe.review = Allow()

        assert ["healed"] == await it.until_over()
        facts = await it.facts()
        assert (2, 1) == (facts.count("examined"), facts.count("asked"))


async def test_who_stood_in_line_for_long_to_change_something_looks_again(tmp_path: Path) -> None:
    """In a storm that may be minutes."""
    slow = asyncio.Event()
    async with Harness(tmp_path, rule(remediate=SICK_ONLY), changes_at_once=1) as it:
        it.world.pause = slow
        await it.deliver(alert("one"))
        await it.pass_time(SECOND)
        await it.deliver(alert("two"))
        await it.pass_time(2 * MINUTE)
        it.world.sick, it.world.pause = False, None
        slow.set()
        await it.until_over()

        assert ["one"] == it.world.effects


LAST = Ask(Reason.LAST_OF_POOL, "it is the only one of shop")


@pytest.mark.parametrize("first", [None, Ask(Reason.FROZEN, "a freeze")], ids=["by its mode", "by another guard"])
async def test_an_approval_covers_only_what_people_were_told_of(tmp_path: Path, first: Ask | None) -> None:
    """Who says yes to one thing has not said yes to what came up later."""
    probe = Said(first or Allow())
    async with Harness(tmp_path, rule(mode="auto" if first else "gated"), probes=[probe]) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        await it.pass_time(MINUTE)
        probe.review = LAST
        await it.decide()
        await it.pass_time(MINUTE)
        run, before = await it.run(), list(it.world.effects)
        questions = [fact for fact in run.facts if isinstance(fact, Asked)]
        titles = [post.message.title for post in await it.posts(run.id)]
        await it.decide()

        assert ["healed"] == await it.until_over()
        assert ([], ["web"]) == (before, it.world.effects)
        assert [1, 2] == [fact.revision for fact in questions]
        assert (Reason.LAST_OF_POOL,) == questions[-1].reasons
        assert f"{LAST.reason}: {LAST.detail}" == questions[-1].why
        assert questions[-1].at + 15 * MINUTE == questions[-1].until
        assert "This plan needs a person once more" in titles
        assert 1 == sum(title.startswith("Plan") for title in titles)


async def test_what_a_person_was_told_of_is_not_asked_again(tmp_path: Path) -> None:
    """Its figures may be others at each look; and it may come and go."""
    probe = Said(Ask(Reason.CANNOT_TELL, "7 messages could not be sent"))
    async with Harness(tmp_path, probes=[probe]) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        await it.pass_time(MINUTE)
        probe.review = Ask(Reason.CANNOT_TELL, "9 messages could not be sent")
        await it.decide()

        assert ["healed"] == await it.until_over()
        assert 1 == (await it.facts()).count("asked")


async def test_reasons_that_come_and_go_are_asked_for_once_each(tmp_path: Path) -> None:
    """Else people would be asked for ever."""
    probe = Said(one := Ask(Reason.CANNOT_TELL, "chat is away"))
    async with Harness(tmp_path, probes=[probe]) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        for review in (LAST, one):
            await it.pass_time(SECOND)
            probe.review = review
            await it.decide()

        assert ["healed"] == await it.until_over()
        assert 2 == (await it.facts()).count("asked")


async def test_all_that_wants_a_person_is_told_at_once(tmp_path: Path) -> None:
    """Who approves has to know everything."""
    first, second = Said(Ask(Reason.CANNOT_TELL, "chat is away")), Said(LAST)
    async with Harness(tmp_path, probes=[first, second]) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        await it.pass_time(SECOND)
        asked = last(await it.run(), Asked)
        await it.decide()

        assert ["healed"] == await it.until_over()
        assert (Reason.CANNOT_TELL, Reason.LAST_OF_POOL) == asked.reasons
        assert f"{Reason.CANNOT_TELL}: chat is away; {LAST.reason}: {LAST.detail}" == asked.why


async def test_a_denial_stands_whatever_comes_up_later(tmp_path: Path) -> None:
    """Nobody has to say no twice."""
    probe = Said()
    async with Harness(tmp_path, rule(mode="gated"), probes=[probe]) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        probe.review = LAST
        await it.decide(approved=False)

        assert ["denied"] == await it.until_over()


async def test_what_comes_up_between_the_review_and_the_act_is_asked_for(tmp_path: Path) -> None:
    """The world is looked at once more right before the act."""
    probe = Said(LAST, later=[Allow(), Allow()])
    async with Harness(tmp_path, rule(mode="gated"), probes=[probe]) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await it.decide()
        await it.pass_time(10 * SECOND)

        assert [] == it.world.effects
        assert (Reason.LAST_OF_POOL,) == last(await it.run(), Asked).reasons


async def test_a_plan_whose_alert_is_over_ends_as_resolved_by_itself(tmp_path: Path) -> None:
    """Much heals by itself while it is looked into."""
    async with Harness(tmp_path, probes=[Said(Refuse(Reason.NOT_FIRING, "Alertmanager does not have it"))]) as it:
        await it.deliver(alert())

        assert ["resolved by itself"] == await it.until_over()
        assert [] == it.world.effects
