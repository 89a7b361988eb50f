"""Runs that wait for a target go on as soon as it is free, whoever has waited longest first."""

import asyncio
from datetime import datetime
from pathlib import Path

from remediator.model.facts import Ended, Started
from remediator.model.run import Cancel, Run, Settle
from remediator.model.stage import unsettled
from remediator.pipeline.busy import BusyTargets
from tests.unit.pipeline.harness import MINUTE, SECOND, Harness, alert, rule


def kinds(*names: str) -> list[dict[str, object]]:
    """A rule for each name, all of them acting on the same target."""
    return [rule(name=name.lower(), match=[f'alertname="{name}"']) for name in names]


async def deliver(it: Harness, *names: str, service: str = "web") -> None:
    for name in names:
        await it.deliver({"alertname": name, "service": service})
        await it.pass_time(SECOND)


def at(run: Run, kind: type) -> datetime | None:
    return next((fact.at for fact in run.facts if isinstance(fact, kind)), None)


async def by_name(it: Harness) -> dict[str, Run]:
    return {run.alert.name: run for run in await it.runs()}


async def test_a_run_that_waits_for_a_target_starts_when_the_one_that_has_it_ends(tmp_path: Path) -> None:
    """Seconds count while something is down; nobody has to wait until somebody looks again."""
    async with Harness(tmp_path, *kinds("One", "Two")) as it:
        it.world.on_act = it.world.heal
        await deliver(it, "One", "Two")
        await it.until_over()
        runs = await by_name(it)

        assert at(runs["One"], Ended) == at(runs["Two"], Started)
        assert 0 == len(it.process.busy)


async def test_whoever_has_waited_longest_goes_first(tmp_path: Path) -> None:
    """However often the others have looked meanwhile."""
    names = ["First", "Second", "Third", "Fourth"]
    async with Harness(tmp_path, *kinds(*names)) as it:
        await deliver(it, *names)
        await it.until_over()
        runs = await by_name(it)

        assert names == sorted(names, key=lambda name: str(at(runs[name], Started)))
        ends, starts = [at(runs[n], Ended) for n in names[:-1]], [at(runs[n], Started) for n in names[1:]]
        assert ends == starts


async def test_a_run_that_has_waited_and_needs_nothing_any_more_lets_the_next_one_go_on(tmp_path: Path) -> None:
    """It was its turn, and it has not taken the target."""
    async with Harness(tmp_path, *kinds("One", "Two", "Three")) as it:
        await deliver(it, "One", "Two", "Three")
        two = (await by_name(it))["Two"]
        await it.say(two.id, Cancel(it.clock.now(), "ann"))
        await it.until_over()
        runs = await by_name(it)

        assert at(runs["One"], Ended) == at(runs["Three"], Started)
        assert at(runs["Two"], Started) is None
        assert 0 == len(it.process.busy)


async def test_a_run_on_another_target_wakes_nobody(tmp_path: Path) -> None:
    """Each target has a line of its own."""
    async with Harness(tmp_path, *kinds("One", "Two", "Else")) as it:
        it.world.pause = asyncio.Event()
        await deliver(it, "One", "Two")
        await it.pass_time(SECOND)
        await deliver(it, "Else", service="db")
        other = (await by_name(it))["Else"]
        it.process.busy.free(other)
        after_other = it.process.dispatcher.due
        it.process.busy.free((await by_name(it))["One"])

        assert (0, 1) == (after_other, it.process.dispatcher.due)


async def test_a_target_that_is_freed_by_a_persons_word_is_taken_at_once(tmp_path: Path) -> None:
    """A step that was unknown is settled: its target is free, and whoever waited for it goes on."""
    brief = {"settle": "1s", "sustain": "1s", "within": "10s", "every": "1s"}
    checks = [{"test.check": {"name": "{{ labels.service }}"}, "expect": "not result.sick"}]
    quick = [{**one, "verify": {**brief, "checks": checks}} for one in kinds("One", "Two")]
    async with Harness(tmp_path, *quick) as it:
        it.world.pause = asyncio.Event()
        await deliver(it, "One")
        await it.process.kill()
        it.world.pause = None
        await it.crash()
        await it.pass_time(20 * SECOND)
        await deliver(it, "Two")
        one = (await by_name(it))["One"]
        unknown, before = unsettled(one), (await it.outcomes(), len(it.process.busy))
        assert unknown is not None
        now = it.clock.now()
        await it.say(one.id, Settle(now, unknown.step, unknown.attempt, done=True, by="ann"))
        await it.settle()

        assert (["unknown", None], 1) == before
        assert now == at((await by_name(it))["Two"], Started)


async def test_who_waits_here_and_was_never_seen_again_is_forgotten(tmp_path: Path) -> None:
    """Another process may have taken it up: it must not stand in the line for ever."""
    async with Harness(tmp_path, *kinds("One", "Two")) as it:
        await deliver(it, "One", "Two")
        runs = await by_name(it)
        one, two = runs["One"], runs["Two"]
        busy = BusyTargets(it.process.dispatcher, it.clock)
        busy.line_up(one, ("test:web",))
        await it.pass_time(2 * MINUTE)
        busy.line_up(two, ("test:web",))

        assert 1 == len(busy)


async def test_a_storm_on_one_target_is_worked_off_without_a_pause(tmp_path: Path) -> None:
    """Each is woken by the one before it."""
    async with Harness(tmp_path) as it:
        it.world.on_act = it.world.heal
        for number in range(6):
            await it.deliver(alert(n=str(number)))
        await it.until_over(limit=60 * MINUTE)
        runs = sorted(await it.runs(), key=lambda run: str(at(run, Started)))

        assert [at(run, Ended) for run in runs[:-1]] == [at(run, Started) for run in runs[1:]]
