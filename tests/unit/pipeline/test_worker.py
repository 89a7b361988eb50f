"""Who is worked on when places are few: diagnosis before remedies, no rule alone, the urgent first, nobody lost."""

import asyncio
from pathlib import Path

import pytest

from remediator.model.facts import Planned, Started
from remediator.model.run import Cancel
from tests.unit.pipeline.harness import MINUTE, SECOND, Harness, alert, rule


def other(**changes: object) -> dict[str, object]:
    return rule(name="other", match=['alertname="Other"'], **changes)


async def have(it: Harness, kind: type) -> list[str]:
    """The services of the runs that have such a fact, the oldest first."""
    return [r.alert.labels["service"] for r in await it.runs() if any(isinstance(f, kind) for f in r.facts)]


async def test_diagnosis_does_not_wait_behind_remedies(tmp_path: Path) -> None:
    """Changes may take minutes each; what is wrong with the next alert is found out and told meanwhile."""
    async with Harness(tmp_path, rule(), other(mode="observe"), runs_at_once=3, changes_at_once=2) as it:
        it.world.pause = asyncio.Event()
        for n in range(10):
            await it.deliver(alert(f"web-{n}"))
        await it.pass_time(3 * SECOND)
        acting = list(it.world.effects)
        await it.deliver({"alertname": "Other", "service": "new"})
        for _ in range(10):  # each with a moment for the store
            await it.pass_time(SECOND)

        assert 2 == len(acting)
        assert (8, 1) == (it.process.worker.waiting_to_change, it.process.worker.room)
        assert "told" in await it.outcomes()


async def test_a_run_that_waits_to_change_something_has_not_started(tmp_path: Path) -> None:
    """A start that is on record locks its target and counts down its time."""
    async with Harness(tmp_path, changes_at_once=1) as it:
        it.world.pause = asyncio.Event()
        await it.deliver(alert("one"))
        await it.deliver(alert("two"))
        await it.pass_time(SECOND)
        started = await have(it, Started)
        it.world.sick = False
        it.world.pause.set()

        assert ["one"] == started
        assert ["healed", "healed"] == await it.until_over()
        assert ["one", "two"] == it.world.effects


async def test_what_has_waited_to_change_something_is_looked_at_anew(tmp_path: Path) -> None:
    """An alert that resolves meanwhile needs no remedy, and a person's wish counts."""
    async with Harness(tmp_path, changes_at_once=1) as it:
        it.world.pause = asyncio.Event()
        for name in ("one", "two", "three"):
            await it.deliver(alert(name))
            await it.pass_time(SECOND)
        await it.deliver(alert("two"), resolved=True)
        (three,) = (run.id for run in await it.runs() if run.alert.labels["service"] == "three")
        await it.say(three, Cancel(it.clock.now(), "ann"))
        await it.pass_time(SECOND)

        assert [None, "resolved by itself", "cancelled"] == await it.outcomes()
        assert 0 == it.process.worker.waiting_to_change


async def test_word_that_comes_as_soon_as_a_run_waits_is_heard(tmp_path: Path) -> None:
    """It need not wait until there is a place: that may take minutes."""
    async with Harness(tmp_path, changes_at_once=1) as it:
        it.world.pause = asyncio.Event()
        await it.deliver(alert("one"))
        await it.pass_time(SECOND)
        await it.deliver(alert("two"))
        await it.pass_time(SECOND / 2)
        await it.say((await it.runs())[-1].id, Cancel(it.clock.now(), "ann"))
        await it.pass_time(10 * SECOND)

        assert [None, "cancelled"] == await it.outcomes()


async def test_a_target_that_changed_during_the_wait_is_not_acted_on_as_it_was(tmp_path: Path) -> None:
    """The plan is made again after a wait, as it is after one for a person."""
    async with Harness(tmp_path, changes_at_once=1) as it:
        it.world.pause = asyncio.Event()
        await it.deliver(alert("one"))
        await it.deliver(alert("two"))
        await it.pass_time(20 * SECOND)
        it.world.incarnation = "id-2"
        it.world.pause.set()
        await it.until_over()
        (run,) = (run for run in await it.runs() if run.alert.labels["service"] == "two")
        plans = [fact.revision for fact in run.facts if fact.kind == "planned"]

        assert [1, 2] == plans


async def test_the_more_urgent_changes_first(tmp_path: Path) -> None:
    """A critical outage does not wait behind ten warnings."""
    async with Harness(tmp_path, changes_at_once=1) as it:
        it.world.pause = asyncio.Event()
        for name, severity in (("first", "warning"), ("warn", "warning"), ("info", "info"), ("page", "critical")):
            await it.deliver(alert(name, severity=severity))
            await it.pass_time(SECOND)
        it.world.sick = False
        it.world.pause.set()
        await it.until_over()

        assert ["first", "page", "warn", "info"] == it.world.effects


async def test_a_step_after_the_first_does_not_queue_again(tmp_path: Path) -> None:
    """Half a plan holds its targets while it waits."""
    step = {"test.act": {"name": "{{ labels.service }}"}}
    async with Harness(tmp_path, rule(remediate=[{"name": "cure", "do": [step, step]}]), changes_at_once=1) as it:
        it.world.sick = False
        await it.deliver_all([it.alert(alert("a")), it.alert(alert("b"))])
        await it.until_over()

        assert it.world.effects in (["a", "a", "b", "b"], ["b", "b", "a", "a"])


async def test_a_storm_of_one_rule_leaves_places_to_others(tmp_path: Path) -> None:
    """Two thirds of the places for the storm, the last one for whatever else is wrong."""
    async with Harness(tmp_path, rule(), other(), runs_at_once=3, runs_at_once_per_rule=2) as it:
        it.world.pause = asyncio.Event()
        for n in range(20):
            await it.deliver(alert(f"web-{n}"))
        await it.deliver({"alertname": "Other", "service": "other"})
        await it.pass_time(SECOND)
        dispatcher = it.process.dispatcher

        assert ["web-0", "web-1", "other"] == it.world.effects
        assert (18, 0) == (dispatcher.due, dispatcher.ready)


@pytest.mark.parametrize("restart", [False, True])
async def test_everybody_of_a_storm_has_a_turn(tmp_path: Path, *, restart: bool) -> None:
    """Those that step aside are not forgotten, nor after a restart, when their rule is not known at first."""
    async with Harness(tmp_path, runs_at_once=4, runs_at_once_per_rule=1, changes_at_once=1) as it:
        it.world.sick = False
        if restart:
            await it.process.stop()
        for n in range(12):
            await it.deliver(alert(f"web-{n}"))
        if restart:
            await it.crash()

        assert ["healed"] * 12 == await it.until_over()
        assert sorted(f"web-{n}" for n in range(12)) == sorted(it.world.effects)
        assert 4 == it.process.worker.room


async def test_the_urgent_is_worked_on_first_after_a_restart_too(tmp_path: Path) -> None:
    """How urgent a run is stands in the store."""
    async with Harness(tmp_path, runs_at_once=1) as it:
        await it.process.stop()
        for name, severity in (("info", "info"), ("warn", "warning"), ("page", "critical")):
            await it.deliver(alert(name, severity=severity))
        it.world.pause = asyncio.Event()
        await it.crash()
        await it.pass_time(SECOND)

        assert ["page"] == it.world.effects


async def test_news_reaches_a_run_that_rests_while_all_places_are_taken(tmp_path: Path) -> None:
    """Its alert has resolved; that must not wait behind everybody who needs a place to begin."""
    resting = other(verify={"within": "20m"})
    async with Harness(tmp_path, rule(), resting, runs_at_once=2, runs_at_once_per_rule=2, changes_at_once=2) as it:
        await it.deliver({"alertname": "Other", "service": "other"})
        await it.pass_time(SECOND)
        it.world.pause = asyncio.Event()
        for n in range(6):
            await it.deliver(alert(f"web-{n}"))
        await it.pass_time(SECOND)
        full = it.process.worker.room
        await it.deliver({"alertname": "Other", "service": "other"}, resolved=True)
        await it.pass_time(SECOND)
        waiting = it.process.dispatcher.due
        it.world.sick = False
        it.world.pause.set()
        await it.pass_time(SECOND)

        assert (0, 5) == (full, waiting)
        assert "healed" == (await it.outcomes())[0]


async def test_a_process_that_stops_leaves_no_place_taken(tmp_path: Path) -> None:
    """Runs that wait for one are cancelled wherever they wait."""
    async with Harness(tmp_path, runs_at_once=2, changes_at_once=1) as it:
        it.world.pause = asyncio.Event()
        for n in range(5):
            await it.deliver(alert(f"web-{n}"))
        await it.pass_time(SECOND)
        it.world.pause.set()
        await it.process.stop()

        assert (2, 0) == (it.process.worker.room, it.process.worker.waiting_to_change)
        it.world.sick = False
        await it.crash()
        assert 5 == (await it.until_over(limit=60 * MINUTE)).count("healed")
        assert ["web-0", "web-1", "web-2", "web-3", "web-4"] == sorted(it.world.effects)


async def test_evidence_is_gathered_while_a_rules_remedies_fill_its_changes(tmp_path: Path) -> None:
    """Also for alerts of the same rule: a place that is waited for is not held."""
    async with Harness(tmp_path, runs_at_once=2, runs_at_once_per_rule=2, changes_at_once=1) as it:
        it.world.pause = asyncio.Event()
        for n in range(5):
            await it.deliver(alert(f"web-{n}"))
        await it.pass_time(3 * SECOND)

        told = [await it.posts(run.id) for run in await it.runs()]

        assert 5 == it.world.looks
        assert ["web-0"] == it.world.effects
        assert [5, 5] == [len(await have(it, Planned)), len([posts for posts in told if len(posts) > 1])]
