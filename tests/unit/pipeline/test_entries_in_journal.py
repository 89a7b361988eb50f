"""What runs have begun, what came of it, and what was never begun, as the journal of changes has it."""

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from remediator.model.change import Ending
from remediator.model.facts import Asked, Finished, Held, LateFinished, Started, StepStatus
from remediator.model.outcome import Reason
from remediator.model.run import Cancel, Run, Settle
from remediator.model.stage import MOST_NOT_BEGUN, unsettled
from remediator.model.stop import StopKind
from remediator.pipeline.guards import Allow, Case, Hold, Review
from remediator.pipeline.ledger import endings_of
from tests.unit.pipeline.guarded import ACT, QUICK, RULE, fall_ill, journal, newest, standing
from tests.unit.pipeline.harness import MINUTE, SECOND, Harness, alert, last, rule, wide


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
        before = (await it.process.stops.listed())[0].settled
        await it.pass_time(MINUTE)
        await settle(it, run, done=done)
        (listed,) = await it.process.stops.listed()
        stop, after = listed.stop, listed.settled
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
        told = (await it.process.stops.listed())[0].settled

        assert ([Ending.UNKNOWN], [Ending.DONE]) == (during, after)
        assert "counts as done" in told
        assert [(StopKind.DEMOTION, RULE)] == await standing(it)
