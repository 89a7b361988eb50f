"""Runs in a storm: few changes, one message, all is looked into, and the rest goes on."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from remediator.model.facts import Held
from remediator.model.message import QueuedPost
from remediator.model.outcome import Reason
from remediator.model.run import Run
from remediator.model.stop import EVERYTHING, StopKind
from remediator.pipeline.guards import Allow, Case, Review
from remediator.settings import LimitsSettings
from tests.unit.pipeline.harness import MINUTE, SECOND, Harness, alert, last, rule, wide

RULE = "rule:p/sick"
HOUR = 60 * MINUTE
OTHER = rule(name="other", match=['alertname="Other"'])


def stormy(**given: Any) -> LimitsSettings:
    """Only storms hold anything."""
    return wide(storm_quiet="10m", **given)


async def runs_of(it: Harness) -> list[Run]:
    found = [await it.store.read_run(one.id) for one in await it.store.list_runs(limit=1000)]
    return [run for run in found if run is not None]


async def notices(it: Harness) -> list[QueuedPost]:
    return [post for post in await it.store.waiting_posts(10_000) if post.run is None]


async def standing(it: Harness) -> list[tuple[StopKind, str]]:
    return [(stop.kind, stop.scope) for stop in await it.process.stops.standing()]


async def fall_ill(it: Harness, count: int, *, first: int = 0) -> None:
    """So many alerts of the rule, in one delivery, each of a target of its own."""
    await it.deliver_all([it.alert(alert(f"s{number}")) for number in range(first, first + count)])


class Slow:
    """A probe that answers once it is let go."""

    def __init__(self) -> None:
        self.release = asyncio.Event()

    async def look(self, _case: Case) -> Review:
        await self.release.wait()
        return Allow()


async def test_two_hundred_targets_within_a_minute_are_four_changes_and_one_message(tmp_path: Path) -> None:
    """The rest is looked into and waits; what is no part of it goes on."""
    async with Harness(tmp_path, rule(), OTHER, limits=stormy()) as it:
        it.world.on_act = it.world.heal
        for number in range(4):  # these come one by one
            await fall_ill(it, 1, first=number)
            await it.pass_time(SECOND)
        for tens in range(14):
            await fall_ill(it, 14, first=4 + 14 * tens)
            await it.pass_time(2 * SECOND)
        it.world.sick = True
        await it.deliver({"alertname": "Other", "service": "db"})
        await it.pass_time(MINUTE)
        runs, told, stops = await runs_of(it), await notices(it), await standing(it)

        assert 201 == len(runs)
        assert {"s0", "s1", "s2", "s3", "db"} == set(it.world.effects)
        assert all(run.facts[0].kind == "examined" for run in runs)
        held = [run for run in runs if any(isinstance(fact, Held) for fact in run.facts)]
        assert 196 == len(held)
        assert {Reason.STORM} == {last(run, Held).reason for run in held}
        assert {1} == {sum(isinstance(fact, Held) for fact in run.facts) for run in held}
        assert ([f"A storm: new changes wait: {RULE}"], [(StopKind.STORM, RULE)]) == (
            [post.message.title for post in told],
            stops,
        )


async def test_ten_quiet_minutes_end_a_storm(tmp_path: Path) -> None:
    """What was held goes on then, as far as the other guards let it."""
    async with Harness(tmp_path, limits=stormy()) as it:
        it.world.on_act = it.world.heal
        await fall_ill(it, 6)
        await it.pass_time(9 * MINUTE)
        await fall_ill(it, 1, first=6)
        late = it.clock.now()
        await it.pass_time(10 * MINUTE - SECOND)
        before = list(it.world.effects)
        await it.pass_time(2 * SECOND)

        assert ["healed"] * 7 == await it.until_over()
        assert ([], 7) == (before, len(it.world.effects))
        assert [] == await standing(it)
        (post,) = await notices(it)
        assert f"until {late + 10 * MINUTE:%Y-%m-%d %H:%M:%S}" in str(post.message.parts)


async def test_a_storm_that_a_person_has_lifted_is_over(tmp_path: Path) -> None:
    """It is not found again at once, and what waited goes on within two minutes."""
    async with Harness(tmp_path, limits=stormy()) as it:
        it.world.on_act = it.world.heal
        await fall_ill(it, 6)
        await it.pass_time(MINUTE)
        assert await it.process.stops.lift(StopKind.STORM, RULE, "ann")
        await it.pass_time(2 * MINUTE)
        (post,) = await notices(it)

        assert 6 == len(it.world.effects)
        assert "ann has lifted it" in str(post.message.parts)
        assert ["healed"] * 6 == await it.until_over()


async def test_a_run_of_a_storm_is_told_by_its_opening_and_in_full_once_it_goes_on(tmp_path: Path) -> None:
    """Chat takes one message a second, and there may be thousands; what is not in the storm must not wait for them."""
    async with Harness(tmp_path, rule(), OTHER, limits=stormy(tell_within="1m")) as it:
        it.world.on_act = it.world.heal
        await fall_ill(it, 6)
        await it.pass_time(5 * MINUTE)
        held, state = await it.runs(), await it.store.outbox_state()
        in_storm = [post.key for run in held for post in await it.posts(run.id)]
        for post in await notices(it):
            await it.store.note_sent(post.seq, post.version, "C1:1.0")
        await it.pass_time(10 * SECOND)
        it.world.sick = True
        await it.deliver({"alertname": "Other", "service": "db"})
        await it.pass_time(MINUTE / 2)
        beside = list(it.world.effects)
        assert await it.process.stops.lift(StopKind.STORM, RULE, "ann")
        await it.pass_time(3 * MINUTE)
        threads = [[post.key for post in await it.posts(run.id)] for run in held]

        assert (["parent"] * 6, 6) == (in_storm, state.minor)
        assert ["db"] == beside
        assert 7 == len(it.world.effects)
        assert 6 * [["parent", "examined.1", "planned.round.1.1", "held.round.1.1"]] == [keys[:4] for keys in threads]


async def test_who_has_waited_long_for_a_place_is_not_told_beside_the_storm(tmp_path: Path) -> None:
    """Where the machine has much to do, all of a storm wait to change something for longer than a moment."""
    slow = Slow()
    async with Harness(tmp_path, limits=stormy(), changes_at_once=1, probes=[slow]) as it:
        await fall_ill(it, 6)
        await it.pass_time(10 * SECOND)
        slow.release.set()
        await it.pass_time(MINUTE)
        keys = [[post.key for post in await it.posts(run.id)] for run in await it.runs()]

        assert 6 * [["parent"]] == keys
        assert {Reason.STORM} == {last(run, Held).reason for run in await it.runs()}


async def test_a_storm_outlives_the_process_that_has_found_it(tmp_path: Path) -> None:
    """It is the store's, and so everybody's; people are told once."""
    async with Harness(tmp_path, limits=stormy()) as it:
        await fall_ill(it, 6)
        await it.pass_time(MINUTE)
        await it.crash()
        await fall_ill(it, 1, first=6)
        await it.pass_time(5 * MINUTE)

        assert [] == it.world.effects
        assert ([(StopKind.STORM, RULE)], 1) == (await standing(it), len(await notices(it)))


@pytest.mark.parametrize("after", [False, True], ids=["before-commit", "after-commit"])
@pytest.mark.parametrize("commit", range(1, 20))
async def test_a_kill_at_any_commit_loses_no_storm_and_tells_it_once(tmp_path: Path, commit: int, after: bool) -> None:
    """Whoever comes after finds it, or has it already."""
    async with Harness(tmp_path, limits=stormy()) as it:
        await it.pass_time(SECOND)
        it.store.dies_at, it.store.dies_after_writing = it.store.writes + 1 + commit, after
        await fall_ill(it, 5)
        await it.pass_time(5 * SECOND)
        await it.crash()
        await it.pass_time(3 * MINUTE)

        assert [] == it.world.effects
        assert ([(StopKind.STORM, RULE)], 1) == (await standing(it), len(await notices(it)))


async def test_what_is_held_for_too_long_expires(tmp_path: Path) -> None:
    """Work too old to make sense is not replayed when the storm is over."""
    async with Harness(tmp_path, limits=stormy()) as it:
        await fall_ill(it, 5)
        for number in range(8):
            await it.pass_time(9 * MINUTE)
            await fall_ill(it, 1, first=5 + number)

        assert ["expired"] * 5 == (await it.outcomes())[:5]
        assert [] == it.world.effects


async def test_many_rules_at_once_hold_everything(tmp_path: Path) -> None:
    """One message for all of them."""
    rules = [rule(name=f"r{number}", match=[f'alertname="A{number}"']) for number in range(4)]
    async with Harness(tmp_path, *rules, OTHER, limits=stormy(storm="6/5m", storm_overall="20/5m")) as it:
        ill = [{"alertname": f"A{number}", "service": f"s{n}"} for number in range(4) for n in range(5)]
        await it.deliver_all([it.alert(labels) for labels in ill])
        await it.deliver({"alertname": "Other", "service": "db"})
        await it.pass_time(10 * SECOND)

        assert [] == it.world.effects
        assert [(StopKind.STORM, EVERYTHING)] == await standing(it)
        assert 1 == len(await notices(it))


async def test_whoever_ends_the_storm_of_everything_ends_those_of_its_rules(tmp_path: Path) -> None:
    """The first rules may have been in one before everything was; nobody wants to name each of them."""
    rules = [rule(name=f"r{number}", match=[f'alertname="A{number}"']) for number in range(3)]
    async with Harness(tmp_path, *rules, limits=stormy(storm="5/5m", storm_overall="13/5m")) as it:
        it.world.on_act = it.world.heal
        for number in range(3):
            ill = [{"alertname": f"A{number}", "service": f"s{number}-{n}"} for n in range(5)]
            await it.deliver_all([it.alert(labels) for labels in ill])
            await it.pass_time(SECOND)
        before = await standing(it)
        nothing = list(it.world.effects)
        lifted = await it.process.stops.lift(StopKind.STORM, EVERYTHING, "ann")
        await it.pass_time(4 * MINUTE)

        assert [(StopKind.STORM, scope) for scope in ("rule:p/r0", "rule:p/r1", EVERYTHING)] == before
        assert ([], True, []) == (nothing, lifted, await standing(it))
        assert 15 == len(set(it.world.effects))
        assert ["No storm any more: new changes go on: " + scope for _, scope in before] == [
            notice.message.title for notice in await notices(it)
        ]


@dataclass
class Meanwhile:
    """Has something happen at one of the looks at the world."""

    happen: Callable[[], Awaitable[None]] | None = None
    looks: int = 0
    at_look: int = 1

    async def look(self, case: Case) -> Review:
        self.looks += 1
        if self.looks == self.at_look and self.happen is not None:
            await self.happen()
        return Allow()


async def test_a_storm_that_comes_right_before_the_start_holds_it(tmp_path: Path) -> None:
    """The store judges in the transaction of the start, so that the fifth alert is not too late."""
    probe = Meanwhile()
    rung = {"when": "labels.service == 's0'", "do": [{"test.act": {"name": "{{ labels.service }}"}}]}
    async with Harness(tmp_path, rule(remediate=[rung]), limits=stormy(), probes=[probe]) as it:
        probe.happen = lambda: fall_ill(it, 4, first=1)  # nothing fits these, so that they meet no guard
        await fall_ill(it, 1)
        await it.pass_time(10 * SECOND)
        (held,) = [run for run in await runs_of(it) if any(isinstance(fact, Held) for fact in run.facts)]

        assert (1, []) == (probe.looks, it.world.effects)
        assert Reason.STORM is last(held, Held).reason
        assert ([(StopKind.STORM, RULE)], 1) == (await standing(it), len(await notices(it)))


async def test_a_plan_that_is_begun_goes_on_in_a_storm(tmp_path: Path) -> None:
    """What is running finishes."""
    steps: list[dict[str, Any]] = [{"test.act": {"name": "x"}}, {"test.set": {"name": "x"}}]
    probe = Meanwhile(at_look=2)
    async with Harness(tmp_path, rule(remediate=[{"do": steps}]), limits=stormy(), probes=[probe]) as it:
        it.world.on_act = it.world.heal
        probe.happen = lambda: fall_ill(it, 10, first=1)
        await fall_ill(it, 1)
        await it.pass_time(MINUTE)

        assert ["x", "x"] == it.world.effects
        assert (["healed"], [(StopKind.STORM, RULE)]) == (
            [outcome for outcome in await it.outcomes() if outcome is not None],
            await standing(it),
        )
