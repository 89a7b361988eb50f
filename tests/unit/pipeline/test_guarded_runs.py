"""Runs that meet guards: what is held goes on when it was told, what is refused stays so, and each is told with why."""

import asyncio
from pathlib import Path

import pytest

from remediator.errors import Failed
from remediator.kit.wording import say_time
from remediator.model.facts import Asked, Ended, Examined, Held, Planned, Started
from remediator.model.outcome import Reason
from remediator.model.plan import Mode
from remediator.model.run import Cancel
from remediator.model.stage import Drafted, stage_of
from remediator.model.stop import EVERYTHING, StopKind
from remediator.pipeline.guards import Allow, Ask, Hold, Refuse
from remediator.pipeline.stops import how_to_lift
from tests.unit.pipeline.guarded import (
    ACT,
    HOUR,
    QUICK,
    RULE,
    SET,
    WEB,
    Said,
    decide,
    fall_ill,
    journal,
    newest,
    standing,
)
from tests.unit.pipeline.harness import MINUTE, SECOND, Harness, alert, last, rule, wide


async def notices(it: Harness) -> list[str]:
    return [post.message.title for post in await it.store.waiting_posts(1000) if post.run is None]


async def test_a_cooldown_holds_the_next_run_and_lets_it_go_at_the_time_told(tmp_path: Path) -> None:
    """What the first change did has to show before there is another."""
    async with Harness(tmp_path, limits=wide(cooldown="10m")) as it:
        it.world.on_act = it.world.heal
        await fall_ill(it, 1)
        await it.until_over()
        ended = (await journal(it))[0].ended_at
        assert ended is not None
        await fall_ill(it, 2)
        await it.pass_time(MINUTE)
        held = last(await newest(it), Held)
        await it.until_over()

        assert (Reason.COOLING_DOWN, ended + 10 * MINUTE) == (held.reason, held.until)
        assert held.until == last(await newest(it), Started).at
        assert ["healed", "healed"] == await it.outcomes()


async def test_a_change_too_many_within_an_hour_is_held_until_there_is_room(tmp_path: Path) -> None:
    """A target is changed by a rule three times an hour at the most, whatever fires."""
    async with Harness(tmp_path, limits=wide(per_target="3/1h")) as it:
        it.world.on_act = it.world.heal
        for number in range(3):
            await fall_ill(it, number)
            await it.until_over()
        first = (await journal(it))[-1].at
        await fall_ill(it, 4)
        await it.pass_time(MINUTE)
        run = await newest(it)
        held, before = last(run, Held), list(it.world.effects)
        await it.until_over(limit=2 * HOUR)

        assert (Reason.BUDGET_USED, 3) == (held.reason, len(before))
        assert first + HOUR == held.until == last(await newest(it), Started).at
        assert "3/1h is used up" in held.detail


async def test_a_hold_that_outlasts_the_plan_says_that_nothing_will_be_done(tmp_path: Path) -> None:
    """There is room tomorrow, but the plan is dropped in an hour: who reads it must not wait for it."""
    async with Harness(tmp_path, limits=wide(per_target="1/1d")) as it:
        it.world.on_act = it.world.heal
        await fall_ill(it, 0)
        await it.until_over()
        await fall_ill(it, 1)
        await it.pass_time(MINUTE)
        run = await newest(it)
        held = last(run, Held)
        expires = last(run, Planned).at + HOUR
        await it.until_over(limit=2 * HOUR)
        over = await newest(it)
        said = [str(post.message) for post in await it.posts(over.id) if post.key.startswith("ended.")]

        assert held.detail.endswith(
            f"the plan expires before that, {say_time(expires)} (pipeline.hold_timeout), and nothing is done then"
        )
        assert ["healed", "expired"] == await it.outcomes()
        assert f"it was held: {Reason.BUDGET_USED}" in last(over, Ended).brief
        assert "This run is over, whatever is lifted now." in said[0]
        assert f"remediator rerun {over.id}" in said[0]


async def test_two_runs_that_were_both_reviewed_do_not_use_up_one_place_twice(tmp_path: Path) -> None:
    """The start is judged by what is in the store at that moment."""
    async with Harness(tmp_path, limits=wide(overall="1/1h")) as it:
        it.world.on_act = it.world.heal
        await it.deliver_all([it.alert(alert("one")), it.alert(alert("two"))])
        await it.pass_time(MINUTE)

        assert 1 == len(it.world.effects)
        assert sorted([None, "healed"], key=str) == sorted(await it.outcomes(), key=str)


async def fail_to_heal(it: Harness, times: int) -> None:
    for number in range(times):
        await fall_ill(it, number)
        await it.pass_time(20 * SECOND)
        if isinstance(stage_of(await newest(it)), Drafted):
            await decide(it)
            await it.pass_time(20 * SECOND)


async def test_attempts_in_vain_quarantine_the_target_until_somebody_clears_it(tmp_path: Path) -> None:
    """Restarting it for ever helps nobody; a person has to look."""
    async with Harness(tmp_path, rule(verify=QUICK), limits=wide(attempts="3/1h")) as it:
        await fail_to_heal(it, 3)
        stood, told = await standing(it), await notices(it)
        await fall_ill(it, 3)
        await it.pass_time(SECOND)
        refused = await it.outcomes()
        assert await it.process.stops.lift(StopKind.QUARANTINE, f"target:{WEB}", "ann")
        assert await it.process.stops.lift(StopKind.DEMOTION, RULE, "ann")
        it.world.on_act = it.world.heal
        await fall_ill(it, 4)
        await it.until_over()

        assert (StopKind.QUARANTINE, f"target:{WEB}") in stood
        assert f"In quarantine: target:{WEB}" in told
        assert [*["not healed"] * 3, "refused"] == refused
        assert ([*refused, "healed"], 4) == (await it.outcomes(), len(it.world.effects))


async def test_a_refused_plan_names_the_quarantine_and_how_to_clear_it(tmp_path: Path) -> None:
    """Whoever reads it knows what to do."""
    async with Harness(tmp_path, rule(verify=QUICK), limits=wide(attempts="1/1h")) as it:
        await fail_to_heal(it, 2)
        ended = stage_of(await newest(it))

        assert "the limit is 1/1h" in str(ended)
        assert f"remediator quarantine clear target:{WEB}" in str(ended)


async def test_what_comes_back_again_and_again_is_left_alone_and_told(tmp_path: Path) -> None:
    """What heals it for minutes is no remedy."""
    async with Harness(tmp_path, limits=wide(flapping="2/1h", flapping_within="5m")) as it:
        it.world.on_act = it.world.heal
        for number in range(3):
            await fall_ill(it, number)
            await it.until_over()

        assert ["healed", "healed", "refused"] == await it.outcomes()
        assert [(StopKind.FLAPPING, f"target:{WEB}")] == await standing(it)
        assert [f"Comes back again and again: target:{WEB}"] == await notices(it)


async def test_a_pause_holds_and_a_resume_lets_go_within_a_minute(tmp_path: Path) -> None:
    """Alerts are still looked into meanwhile."""
    async with Harness(tmp_path) as it:
        it.world.on_act = it.world.heal
        await it.process.stops.pause(EVERYTHING, "release", "ann", None)
        await it.deliver(alert())
        await it.pass_time(5 * MINUTE)
        run = await it.run()
        assert await it.process.stops.lift(StopKind.PAUSE, EVERYTHING, "ann")
        resumed = it.clock.now()
        await it.until_over()

        assert ["examined", "planned", "held"] == [fact.kind for fact in run.facts]
        assert (Reason.PAUSED, 30 * SECOND) == (last(run, Held).reason, last(run, Held).until - last(run, Held).at)
        assert "release" in last(run, Held).detail
        assert last(await it.run(), Started).at <= resumed + MINUTE
        assert ["healed"] == await it.outcomes()


async def test_a_plan_that_is_paused_between_two_steps_goes_on_with_the_next_one(tmp_path: Path) -> None:
    """The step that is acting ends; no other one begins until it is resumed."""
    async with Harness(tmp_path, rule(remediate=[{"name": "cure", "do": [ACT, SET]}])) as it:
        it.world.on_act = it.world.heal
        it.world.pause = asyncio.Event()
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await it.process.stops.pause("rule:p/sick", "", "ann", None)
        it.world.pause.set()
        await it.pass_time(2 * MINUTE)
        run, effects = await it.run(), list(it.world.effects)
        await it.process.stops.lift(StopKind.PAUSE, "rule:p/sick", "ann")

        assert ["healed"] == await it.until_over()
        assert ["examined", "planned", "started", "finished", "held"] == [fact.kind for fact in run.facts]
        assert (["web"], ["web", "web"]) == (effects, it.world.effects)


async def test_a_plan_that_is_paused_for_too_long_leaves_the_rest_undone(tmp_path: Path) -> None:
    """Work too old to make sense is dropped, and people are told what is missing."""
    async with Harness(tmp_path, rule(remediate=[{"name": "cure", "do": [ACT, SET]}])) as it:
        it.world.pause = asyncio.Event()
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await it.process.stops.pause(EVERYTHING, "", "ann", None)
        it.world.pause.set()

        assert ["expired"] == await it.until_over(limit=2 * HOUR)
        assert "the rest of the plan was not done" in await it.ending()
        assert ["web"] == it.world.effects


async def test_a_rule_that_has_failed_asks_a_person_and_tells_why_until_it_is_promoted(tmp_path: Path) -> None:
    """It has shown that it should not be left alone with it."""

    def fail(_name: str) -> None:
        if len(it.world.effects) == 1:
            raise Failed("no such thing")
        it.world.heal("")

    async with Harness(tmp_path) as it:
        it.world.on_act = fail
        await fall_ill(it, 1)
        await it.until_over()
        stood, told = await standing(it), await notices(it)
        await fall_ill(it, 2)
        await it.pass_time(MINUTE)
        run = await newest(it)
        asked = last(run, Asked)
        (question,) = [p.message for p in await it.posts(run.id) if p.message.title == "This plan needs a person"]
        await decide(it)
        await it.until_over()
        await it.process.stops.lift(StopKind.DEMOTION, RULE, "ann")
        await fall_ill(it, 3)
        await it.until_over()

        assert ([(StopKind.DEMOTION, RULE)], [f"Acts by itself no more: {RULE}"]) == (stood, told)
        assert asked.why.startswith(f"{Reason.DEMOTED}: {RULE}: a step failed in run ")
        assert "a step failed in run" in str(question.parts)
        assert ["failed", "healed", "healed"] == await it.outcomes()
        assert not any(isinstance(fact, Asked) for fact in (await newest(it)).facts)


async def test_a_denial_counts_where_only_a_guard_has_asked(tmp_path: Path) -> None:
    """Also when the guard would not ask any more: who was asked has been told that nothing is done without him."""
    probe = Said(Ask(Reason.FROZEN, "a freeze"))
    async with Harness(tmp_path, probes=[probe]) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        probe.review = Allow()
        await it.decide(approved=False)

        assert ["denied"] == await it.until_over()
        assert [] == it.world.effects


async def test_who_was_asked_is_waited_for_when_the_guard_would_not_ask_any_more(tmp_path: Path) -> None:
    """The question says that nothing is done before it is answered."""
    probe = Said(Ask(Reason.FROZEN, "a freeze"))
    async with Harness(tmp_path, probes=[probe]) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        probe.review = Allow()

        assert ["expired"] == await it.until_over()
        assert [] == it.world.effects


async def test_a_breaker_opens_and_a_good_trial_closes_it(tmp_path: Path) -> None:
    """What has failed too often is left alone, then tried once."""
    limits = wide(failures_in_row=2, trial_after="30m")
    async with Harness(tmp_path, rule(verify=QUICK, mode="gated"), limits=limits) as it:
        await fail_to_heal(it, 2)
        opened = await standing(it)
        await fall_ill(it, 3)
        await it.until_over()
        await it.pass_time(30 * MINUTE)
        it.world.on_act = it.world.heal
        await fall_ill(it, 4)
        await it.pass_time(SECOND)
        await decide(it)
        await it.until_over()

        assert [(StopKind.BREAKER, RULE)] == opened
        assert ["not healed", "not healed", "refused", "healed"] == await it.outcomes()
        assert [] == await standing(it)
        assert f"Its breaker is closed again: {RULE}" in await notices(it)


@pytest.mark.parametrize("after", [False, True], ids=["before-commit", "after-commit"])
@pytest.mark.parametrize("commit", range(1, 12))
async def test_a_kill_at_any_commit_loses_no_quarantine_and_tells_it_once(
    tmp_path: Path, commit: int, after: bool
) -> None:
    """What has shown that it does not help must not begin anew because of a restart."""
    async with Harness(tmp_path, rule(verify=QUICK, mode="gated"), limits=wide(attempts="1/1h")) as it:
        await fall_ill(it, 0)
        await it.pass_time(SECOND)
        await decide(it)
        it.store.dies_at, it.store.dies_after_writing = it.store.writes + commit, after
        await it.pass_time(30 * SECOND)
        await it.crash()
        (outcome,) = await it.until_over()

        assert outcome in ("not healed", "unknown")
        assert [(StopKind.QUARANTINE, f"target:{WEB}")] == await standing(it)
        assert [f"In quarantine: target:{WEB}"] == await notices(it)


async def test_a_rung_that_failed_does_not_wait_for_its_own_cooldown(tmp_path: Path) -> None:
    """It is the same run that tries the next remedy."""
    rungs = [{"name": "first", "do": [ACT]}, {"name": "second", "do": [SET]}]
    async with Harness(tmp_path, rule(remediate=rungs, verify=QUICK), limits=wide(cooldown="10m")) as it:
        it.world.on_act = lambda _name: it.world.heal("") if len(it.world.effects) == 2 else None
        await it.deliver(alert())

        assert ["healed"] == await it.until_over()
        assert not any(isinstance(fact, Held) for fact in (await it.run()).facts)


async def test_a_rule_says_limits_of_its_own(tmp_path: Path) -> None:
    """The nearest place counts."""
    async with Harness(tmp_path, rule(limits={"cooldown": "0s"}), limits=wide(cooldown="10m")) as it:
        it.world.on_act = it.world.heal
        for number in range(2):
            await fall_ill(it, number)
            await it.until_over()

        assert not any(isinstance(fact, Held) for fact in (await newest(it)).facts)


async def test_a_plan_that_is_held_for_longer_than_makes_sense_expires_at_that_time(tmp_path: Path) -> None:
    """Not only when the guard would be asked again."""
    probe = Said()
    async with Harness(tmp_path, probes=[probe]) as it:
        probe.review = Hold(Reason.FROZEN, it.clock.now() + 48 * HOUR, "a freeze of two days")
        await it.deliver(alert())

        assert ["expired"] == await it.until_over(limit=HOUR + 2 * MINUTE)


async def test_a_held_run_can_be_cancelled(tmp_path: Path) -> None:
    """It rests, but it hears."""
    async with Harness(tmp_path) as it:
        await it.process.stops.pause(EVERYTHING, "", "ann", None)
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await it.say((await it.run()).id, Cancel(it.clock.now(), "ann"))

        assert ["cancelled"] == await it.until_over()


async def test_evidence_and_plan_are_told_before_a_plan_is_refused(tmp_path: Path) -> None:
    """People carry it out by hand, if they want to."""
    async with Harness(tmp_path, probes=[Said(Refuse(Reason.PROTECTED, "denied"))]) as it:
        await it.deliver(alert())

        assert ["refused"] == await it.until_over()
        kinds = [type(fact) for fact in (await it.run()).facts]
        assert [Examined, Planned] == kinds[:2]


async def test_every_stop_says_how_it_is_lifted(tmp_path: Path) -> None:
    """The message in chat is what people have at night."""
    async with Harness(tmp_path, rule(verify=QUICK), ceiling=Mode.AUTO, limits=wide(attempts="1/1h")) as it:
        await fail_to_heal(it, 1)
        (stop,) = await it.process.stops.standing()
        (post,) = [post for post in await it.store.waiting_posts(1000) if post.run is None]

        assert how_to_lift(stop) in str(post.message.parts)
