"""Runs that meet guards: what is held goes on when it was told, what is refused stays so, and each is told with why."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from remediator.errors import Failed, Protected
from remediator.kit.wording import say_time
from remediator.model.change import Change, Ending
from remediator.model.facts import Asked, Ended, Examined, Finished, Held, LateFinished, Planned, Started, StepStatus
from remediator.model.history import Latest, Which
from remediator.model.message import Message
from remediator.model.outcome import Reason
from remediator.model.plan import Mode
from remediator.model.run import Cancel, Decision, Run, Settle
from remediator.model.stage import MOST_NOT_BEGUN, Drafted, stage_of, unsettled
from remediator.model.stop import EVERYTHING, StopKind
from remediator.pipeline.guards import Allow, Ask, Case, Hold, Refuse, Review
from remediator.pipeline.ledger import endings_of
from remediator.pipeline.stops import how_to_lift
from tests.unit.pipeline.harness import MINUTE, SECOND, Harness, alert, last, rule, wide

HOUR = 60 * MINUTE
WEB = "test:web"
RULE = "rule:p/sick"
ACT: dict[str, Any] = {"test.act": {"name": "{{ labels.service }}"}}
SET: dict[str, Any] = {"test.set": {"name": "{{ labels.service }}"}}
QUICK = {
    "settle": "1s",
    "sustain": "1s",
    "within": "10s",
    "every": "1s",
    "checks": [{"test.check": {"name": "{{ labels.service }}"}, "expect": "not result.sick"}],
}


@dataclass
class Said:
    """A probe that says what a test wants, and counts how often it was asked."""

    review: Review = field(default_factory=Allow)
    later: list[Review] = field(default_factory=list)
    """What it says first, one for each look; then `review`."""
    cases: list[Case] = field(default_factory=list)

    async def look(self, case: Case) -> Review:
        self.cases.append(case)
        return self.later.pop(0) if self.later else self.review


async def newest(it: Harness) -> Run:
    return (await it.runs())[-1]


async def fall_ill(it: Harness, number: int, *, service: str = "web") -> None:
    """An alert of its own for the same target, and nothing helps unless the world heals."""
    await it.pass_time(SECOND)  # runs are sorted by it
    it.world.sick = True
    await it.deliver(alert(service, n=str(number)))


async def standing(it: Harness) -> list[tuple[StopKind, str]]:
    return [(stop.kind, stop.scope) for stop in await it.process.stops.standing()]


async def notices(it: Harness) -> list[str]:
    return [post.message.title for post in await it.store.waiting_posts(1000) if post.run is None]


async def journal(it: Harness, target: str = WEB) -> Sequence[Change]:
    question = Latest(Which(target=target), 50, it.clock.now() - timedelta(days=30))
    return (await it.store.known([question])).latest(question)


async def decide(it: Harness, *, approved: bool = True) -> None:
    """Decide on the plan of the newest run."""
    run = await newest(it)
    stage = stage_of(run)
    assert isinstance(stage, Drafted)
    planned = stage.planned
    await it.say(
        run.id, Decision(it.clock.now(), approved, planned.plan.digest, planned.round, planned.revision, "ann")
    )


async def test_what_was_begun_and_what_came_of_it_is_in_the_journal(tmp_path: Path) -> None:
    """Every guard that counts goes by it."""
    async with Harness(tmp_path) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        await it.pass_time(SECOND)
        meanwhile = [one.ending for one in await journal(it)]
        await it.until_over()
        run, (change,) = await it.run(), await journal(it)

        assert [Ending.DONE] == meanwhile
        assert Ending.HEALED is change.ending
        assert (run.id, 1, "test.act", True, run.created_at) == (
            change.run,
            change.round,
            change.action,
            change.counts,
            change.alert_at,
        )
        assert last(run, Started).at == change.at


async def test_what_could_not_begin_uses_up_no_budget_and_starts_no_cooldown(tmp_path: Path) -> None:
    """Nothing was done: neither the run's own next plan nor the next run has to wait for it."""
    limits = wide(per_target="1/1h", cooldown="10m", attempts="1/1h", failures_in_row=1)
    async with Harness(tmp_path, limits=limits) as it:
        it.world.on_act = it.world.heal
        it.store.slow_starts = 1
        await it.deliver(alert())
        await it.until_over()
        run, changes = await it.run(), await journal(it)

        assert [1, 2] == [fact.round for fact in run.facts if isinstance(fact, Started)]
        assert [(2, Ending.HEALED)] == [(one.round, one.ending) for one in changes]
        assert not any(isinstance(fact, Held) for fact in run.facts)
        assert [] == await standing(it)


async def test_the_next_run_need_not_wait_for_one_that_could_never_begin(tmp_path: Path) -> None:
    """It gave up without having done anything."""
    async with Harness(tmp_path, limits=wide(per_target="1/1h", cooldown="10m")) as it:
        it.store.slow_starts = 1 + MOST_NOT_BEGUN
        await fall_ill(it, 1)
        await it.until_over()
        it.world.on_act = it.world.heal
        await fall_ill(it, 2)
        await it.until_over()

        assert ["failed", "healed"] == await it.outcomes()
        assert not any(isinstance(fact, Held) for fact in (await newest(it)).facts)


async def test_a_plan_whose_later_step_could_not_begin_counts(tmp_path: Path) -> None:
    """Its first step was done."""
    steps = [{"name": "cure", "do": [ACT, ACT]}]
    async with Harness(tmp_path, rule(remediate=steps), limits=wide(per_target="1/1h")) as it:
        it.world.on_act = lambda _name: setattr(it.store, "slow_starts", 2 - len(it.world.effects))
        await fall_ill(it, 1)
        await it.pass_time(10 * SECOND)
        during = [one.ending for one in await journal(it)]
        it.world.sick = False
        await it.until_over()
        await fall_ill(it, 2)
        await it.pass_time(10 * SECOND)

        assert [Ending.DONE] == during
        assert Reason.BUDGET_USED is last(await newest(it), Held).reason


@dataclass
class Hangs:
    """A probe that has the store hang at the first start after it was asked in the middle of a plan."""

    it: Harness | None = None

    async def look(self, case: Case) -> Review:
        if case.begun and self.it is not None:
            self.it.store.slow_starts, self.it = 1, None
        return Allow()


async def test_a_plan_that_is_begun_by_a_second_try_counts_from_its_first_step_on(tmp_path: Path) -> None:
    """That only looked, and the second could not begin at once."""
    look = {"test.check": {"name": "{{ labels.service }}"}}
    steps = [{"name": "cure", "do": [look, ACT]}]
    probe = Hangs()
    async with Harness(tmp_path, rule(remediate=steps), limits=wide(per_target="1/1h"), probes=[probe]) as it:
        it.world.on_act = it.world.heal
        probe.it = it
        await fall_ill(it, 1)
        await it.until_over()
        (change,) = await journal(it)
        starts = [fact for fact in (await it.run()).facts if isinstance(fact, Started)]
        await fall_ill(it, 2)
        await it.pass_time(10 * SECOND)

        assert 3 == len(starts)
        assert (1, Ending.HEALED, starts[0].at) == (change.round, change.ending, change.at)
        assert Reason.BUDGET_USED is last(await newest(it), Held).reason


@dataclass
class HoldsOne:
    """A probe that holds the change of one service from the moment when it could not begin."""

    service: str
    review: Review

    async def look(self, case: Case) -> Review:
        in_vain = any(isinstance(fact, Finished) and not fact.begun for fact in case.run.facts)
        return self.review if in_vain and case.run.alert.labels["service"] == self.service else Allow()


def look_and_act() -> dict[str, Any]:
    """A rule whose plan looks before it acts."""
    look = {"test.look": {"name": "{{ labels.service }}"}}
    return rule(remediate=[{"name": "cure", "do": [look, ACT]}])


async def test_a_change_that_is_to_be_begun_again_keeps_its_place_in_the_budget(tmp_path: Path) -> None:
    """Its plan goes on without that any budget is asked again, so nobody else may take the place meanwhile."""
    probe, begun = HoldsOne("one", Allow()), Hangs()
    async with Harness(tmp_path, look_and_act(), limits=wide(per_rule="1/1h"), probes=[probe, begun]) as it:
        begun.it, it.world.on_act = it, it.world.heal
        probe.review = Hold(Reason.DEPENDENCY_DOWN, it.clock.now() + MINUTE, "the database is down")
        await fall_ill(it, 1, service="one")
        await it.pass_time(20 * SECOND)
        await fall_ill(it, 2, service="two")
        await it.pass_time(20 * SECOND)
        other = last(await newest(it), Held).reason
        probe.review = Allow()
        await it.pass_time(2 * MINUTE)

        assert (Reason.BUDGET_USED, ["one"]) == (other, it.world.effects)


async def test_a_plan_that_ends_with_its_change_not_begun_gives_its_place_back(tmp_path: Path) -> None:
    """It has changed nothing, and will not any more."""
    probe, begun = HoldsOne("one", Allow()), Hangs()
    async with Harness(tmp_path, look_and_act(), limits=wide(per_rule="1/1h"), probes=[probe, begun]) as it:
        begun.it, it.world.on_act = it, it.world.heal
        probe.review = Hold(Reason.DEPENDENCY_DOWN, it.clock.now() + MINUTE, "the database is down")
        await fall_ill(it, 1, service="one")
        await it.pass_time(20 * SECOND)
        await it.say((await it.run()).id, Cancel(it.clock.now(), "ann"))
        await it.pass_time(SECOND)
        await fall_ill(it, 2, service="two")

        assert ["cancelled", "healed"] == await it.until_over()
        assert ["two"] == it.world.effects


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


async def test_what_a_person_has_approved_is_not_looked_into_again(tmp_path: Path) -> None:
    """It is the plan that was approved, and the guards have their say on it still."""
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
        assert 1 == (await it.facts()).count("examined")


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
    """Between the review and the act lies a wait for a place, or more."""
    probe = Said(Refuse(Reason.NOT_FIRING, "gone"), later=[Allow()])
    async with Harness(tmp_path, probes=[probe]) as it:
        await it.deliver(alert())

        assert ["resolved by itself"] == await it.until_over()
        assert (2, []) == (len(probe.cases), it.world.effects)


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
        assert [False, False, True] == [case.begun for case in probe.cases[:3]]


async def test_what_the_world_wants_to_ask_in_the_middle_of_a_plan_is_passed_over(tmp_path: Path) -> None:
    """Half a change is worse than one that ends a little late."""
    ask = Ask(Reason.LAST_OF_POOL, "the only one")
    probe = Said(ask, later=[Allow(), Allow()])
    async with Harness(tmp_path, rule(remediate=[{"name": "cure", "do": [ACT, SET]}]), probes=[probe]) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())

        assert ["healed"] == await it.until_over()
        assert ["web", "web"] == it.world.effects


async def test_what_the_world_refuses_in_the_middle_of_a_plan_ends_it(tmp_path: Path) -> None:
    """It says that the rest was not done."""
    probe = Said(Refuse(Reason.POOL_TOO_SMALL, "never enough"), later=[Allow(), Allow()])
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
        assert f"Over: its breaker is open: {RULE}" in await notices(it)


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


async def left_unknown(it: Harness) -> Run:
    """A run whose step was cut short, so that nobody knows whether it was done; it did not help."""
    it.world.pause = asyncio.Event()
    await it.deliver(alert())
    await it.pass_time(SECOND)
    await it.crash()
    it.world.pause = None
    await it.until_over()
    return await it.run()


async def ends_late(it: Harness, run: Run, *, done: bool) -> None:
    """The call that was cut short comes back after all."""
    unknown = next(fact for fact in run.facts if isinstance(fact, Finished))
    status = StepStatus.DONE if done else StepStatus.FAILED
    late = LateFinished(it.clock.now(), unknown.step, unknown.attempt, status, "it came back")
    await it.store.settle_late(run.id, late, (), endings_of(replace(run, facts=(*run.facts, late)), [late]))


async def is_settled(it: Harness, run: Run, *, done: bool) -> None:
    """A person has looked."""
    unknown = unsettled(run)
    assert unknown is not None
    await it.say(run.id, Settle(it.clock.now(), unknown.step, unknown.attempt, done, "ann", "I looked"))
    await it.pass_time(SECOND)


@pytest.mark.parametrize(
    ("settle", "done", "told"),
    [
        (ends_late, True, "its unknown step ended late: done"),
        (ends_late, False, "its unknown step ended late: failed"),
        (is_settled, True, "its unknown step was done, says ann"),
        (is_settled, False, "its unknown step was not done, says ann"),
    ],
)
async def test_a_rule_demoted_for_an_unknown_step_stays_so_once_that_is_known_and_it_is_told(
    tmp_path: Path, settle: Any, told: str, *, done: bool
) -> None:
    """That it may act by itself again only a person says, and whoever does knows what there is to know."""
    async with Harness(tmp_path, rule(verify=QUICK)) as it:
        run = await left_unknown(it)
        ((_, before),) = await it.process.stops.listed()
        await it.pass_time(MINUTE)
        await settle(it, run, done=done)
        ((stop, after),) = await it.process.stops.listed()
        (change,) = await journal(it)
        await fall_ill(it, 2)
        await it.pass_time(SECOND)
        why = last(await newest(it), Asked).why

        assert (StopKind.DEMOTION, RULE) == (stop.kind, stop.scope)
        assert f"whether a step was done is not known in run {run.id}" == stop.reason
        assert Ending.NOT_HEALED is change.ending  # that is what the proof has shown, and it says more
        counts = f"since then: run {run.id} counts as not healed "
        assert before.startswith(counts)
        assert f"{before}; run {run.id}: {told}" == after
        assert f"{stop.reason}; {counts}" in why
        assert f"until remediator promote {RULE}" in why


async def test_a_step_that_ends_late_before_its_proof_is_done_in_the_journal(tmp_path: Path) -> None:
    """It counts as no failure any more: neither does the breaker open for it, nor the next stop follow from it."""
    slow = {**QUICK, "settle": "10m", "within": "20m"}
    limits = wide(failures_in_row=2, attempts="9/1h")
    async with Harness(tmp_path, rule(verify=slow), limits=limits) as it:
        it.world.pause = asyncio.Event()
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await it.crash()
        it.world.pause = None
        await it.pass_time(SECOND)
        during = [one.ending for one in await journal(it)]
        await ends_late(it, await it.run(), done=True)
        after = [one.ending for one in await journal(it)]
        ((_, told),) = await it.process.stops.listed()

        assert ([Ending.UNKNOWN], [Ending.DONE]) == (during, after)
        assert "counts as done" in told
        assert [(StopKind.DEMOTION, RULE)] == await standing(it)
