"""Alerts of one group share a run: one story and one remedy, and none of them is swallowed."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from remediator.model.facts import Asked, Closed, Ended
from remediator.model.message import PARENT, Fields
from remediator.model.run import Joined, Run
from remediator.model.stage import Drafted, stage_of
from tests.unit.pipeline.harness import MINUTE, SECOND, Harness, alert, last, rule

GROUPED = rule(group_by=["service"])
GATED = rule(group_by=["service"], mode="gated")
UNCHECKED = rule(group_by=["service"], verify={"within": "10m"})


def member(number: int, service: str = "web") -> dict[str, str]:
    return alert(service, instance=f"{service}-{number}")


async def fire(it: Harness, *numbers: int, service: str = "web") -> None:
    """Have alerts of one group accepted in one delivery."""
    await it.deliver_all([it.alert(member(number, service)) for number in numbers])


async def resolve(it: Harness, *numbers: int) -> None:
    await it.deliver_all([it.alert(member(number), resolved=True) for number in numbers])


async def told(it: Harness, name: str, run: Run | None = None) -> str:
    """What the opening message of the run, or of the only one, says under a name."""
    run = run or await it.run()
    (opening,) = [post.message for post in await it.posts(run.id) if post.key == PARENT]
    (fields,) = [part for part in opening.parts if isinstance(part, Fields)]
    return dict(fields.pairs).get(name, "")


async def members(it: Harness) -> int:
    """How many alerts the threads tell of, all together."""
    counts = [(await told(it, "Alerts", run)).partition(":")[0] for run in await it.runs()]
    return sum(int(count or 1) for count in counts)


async def test_a_body_of_fifty_alerts_of_one_group_is_one_run(tmp_path: Path) -> None:
    """Fifty restarts of one service would be the next outage, and fifty threads nobody's to read."""
    async with Harness(tmp_path, GROUPED) as it:
        it.world.on_act = it.world.heal
        await fire(it, *range(50))

        assert ["healed"] == await it.until_over()
        assert ["web"] == it.world.effects
        names = "; ".join(f"instance=web-{number}" for number in range(5))
        assert f"50: {names}, and 45 more" == await told(it, "Alerts")


async def test_each_group_has_a_run_of_its_own(tmp_path: Path) -> None:
    """What differs in the labels that the rule names is not the same trouble; a missing label is an empty one."""
    async with Harness(tmp_path, GROUPED) as it:
        it.world.on_act = it.world.heal
        await fire(it, 1, 2)
        await fire(it, 1, 2, service="db")
        await fire(it, 3)

        assert ["healed", "healed"] == await it.until_over()
        assert ["db", "web"] == sorted(it.world.effects)


async def test_a_group_cannot_be_forged_by_its_values(tmp_path: Path) -> None:
    """Labels are anybody's: what looks like two of them must not pass for another group."""
    both = rule(group_by=["service", "zone"])
    async with Harness(tmp_path, both) as it:
        for service, zone in [("x,zone=y", "z"), ("x", "y,zone=z"), ('x"],["zone","y', "z"), ("x", 'y"],["zone","z')]:
            await it.deliver(alert(service, zone=zone))
        await it.deliver(alert("web"))
        await it.deliver(alert("web", zone=""))

        assert 5 == len(await it.runs())


async def test_an_alert_that_joins_neither_answers_nor_voids_a_question(tmp_path: Path) -> None:
    """The person was asked about the whole group."""
    async with Harness(tmp_path, GATED) as it:
        it.world.on_act = it.world.heal
        await fire(it, 1)
        await it.pass_time(SECOND)
        before = [fact.kind for fact in (await it.run()).facts]
        await fire(it, 2, 3)
        await it.pass_time(SECOND)
        stage = stage_of(await it.run())
        after, shown = [fact.kind for fact in (await it.run()).facts], await told(it, "Alerts")
        await it.decide()
        await fire(it, 4)

        assert before == after
        assert isinstance(stage, Drafted)
        assert "3: instance=web-1; instance=web-2; instance=web-3" == shown
        assert ["healed"] == await it.until_over()
        assert ["web"] == it.world.effects
        assert 1 == sum(isinstance(fact, Asked) for fact in (await it.run()).facts)


async def test_joining_costs_no_message(tmp_path: Path) -> None:
    """A storm told one by one would bury the story."""
    async with Harness(tmp_path, GATED) as it:
        await fire(it, 1)
        await it.pass_time(SECOND)
        before = [post.key for post in await it.posts((await it.run()).id)]
        for number in range(2, 30):
            await fire(it, number)
        await it.pass_time(SECOND)

        assert before == [post.key for post in await it.posts((await it.run()).id)]
        assert "29: instance=web-1; instance=web-2" in await told(it, "Alerts")


async def test_a_storm_of_joins_does_not_keep_the_run_from_acting(tmp_path: Path) -> None:
    """It comes just when help is needed most: there is always one more that was not read yet."""
    async with Harness(tmp_path, GROUPED) as it:
        it.world.on_act = it.world.heal
        write, numbers = it.store.start, iter(range(2, 1000))

        async def start(*args: object) -> object:
            await fire(it, next(numbers))
            return await write(*args)  # type: ignore[arg-type]  # handed through

        it.store.start = start  # type: ignore[method-assign,assignment]  # another joins at each start
        await fire(it, 1)

        assert ["healed"] == await it.until_over()
        assert ["web"] == it.world.effects


async def test_the_run_has_resolved_when_all_its_alerts_have(tmp_path: Path) -> None:
    """One that is well again proves nothing for the others."""
    async with Harness(tmp_path, UNCHECKED) as it:
        await fire(it, 1, 2)
        await it.pass_time(SECOND)
        await resolve(it, 1)
        await it.pass_time(MINUTE)
        early = await it.outcomes()
        await resolve(it, 2)

        assert [None] == early
        assert ["healed"] == await it.until_over()


async def test_a_waiting_plan_is_called_off_when_the_last_alert_has_resolved(tmp_path: Path) -> None:
    """Before that there is a reason to act."""
    async with Harness(tmp_path, GATED) as it:
        await fire(it, 1, 2)
        await it.pass_time(SECOND)
        await resolve(it, 2)
        await it.pass_time(SECOND)
        early = await it.outcomes()
        await resolve(it, 1)
        await it.pass_time(SECOND)

        assert ([None], ["resolved by itself"]) == (early, await it.outcomes())


async def test_an_alert_that_comes_when_all_have_resolved_has_a_run_of_its_own(tmp_path: Path) -> None:
    """The old run is about to end as resolved, and the new alert fires."""
    async with Harness(tmp_path, GROUPED) as it:
        it.world.on_act = it.world.heal
        it.world.pause = asyncio.Event()
        await fire(it, 1)
        await it.pass_time(SECOND)
        await resolve(it, 1)
        await fire(it, 2)
        it.world.pause.set()

        assert ["healed", "healed"] == await it.until_over()
        assert [[], []] == [[s for s in run.signals if isinstance(s, Joined)] for run in await it.runs()]


@pytest.mark.parametrize("when", ["before-the-end", "after-the-end"])
async def test_an_alert_that_comes_as_the_run_ends_is_told(tmp_path: Path, when: str) -> None:
    """It has joined, and the thread says so, or it has a run of its own; there is nothing in between."""
    async with Harness(tmp_path, GROUPED) as it:
        it.world.on_act = it.world.heal
        write = it.store.end

        async def end(*args: object, **kwargs: object) -> bool:
            it.store.end = write  # type: ignore[method-assign]  # once
            if when == "before-the-end":
                await fire(it, 2)
            rests = await write(*args, **kwargs)  # type: ignore[arg-type]  # handed through
            if when == "after-the-end":
                await fire(it, 2)
            return rests

        it.store.end = end  # type: ignore[method-assign]  # an alert comes right then
        await fire(it, 1)
        outcomes = await it.until_over()
        await it.pass_time(SECOND)

        if when == "before-the-end":
            assert ["healed"] == outcomes
            assert "2: instance=web-1; instance=web-2" == await told(it, "Alerts")
            assert ["web"] == it.world.effects
        else:
            assert 2 == len(await it.runs())


async def test_the_end_of_the_last_alert_is_told_once_after_the_run(tmp_path: Path) -> None:
    """With the run long over, the thread still says when everything was well."""
    async with Harness(tmp_path, GROUPED) as it:
        it.world.on_act = it.world.heal
        await fire(it, 1, 2)
        await it.until_over()
        await resolve(it, 1)
        await it.pass_time(MINUTE)
        early = [fact.kind for fact in (await it.run()).facts]
        await resolve(it, 2)
        await it.pass_time(MINUTE)
        await resolve(it, 2)
        await it.pass_time(MINUTE)
        run = await it.run()
        (title,) = [p.message.title for p in await it.posts(run.id) if p.key.startswith("closed")]

        assert "closed" not in early
        assert 1 == sum(isinstance(fact, Closed) for fact in run.facts)
        assert "All of its alerts have ended" == title


async def test_a_repeat_of_any_alert_of_the_group_starts_nothing(tmp_path: Path) -> None:
    """Alertmanager sends the whole group again with each new alert."""
    async with Harness(tmp_path, GROUPED) as it:
        it.world.on_act = it.world.heal
        alerts = [it.alert(member(number)) for number in range(3)]
        await it.deliver_all(alerts)
        await it.until_over()
        await it.pass_time(MINUTE)
        await it.deliver_all([replace(one, starts_at=one.starts_at - SECOND) for one in alerts])
        await it.pass_time(MINUTE)

        assert ["healed"] == await it.outcomes()
        assert "3" == (await told(it, "Alerts"))[0]


async def test_one_that_began_anew_after_the_end_starts_a_run_for_its_group(tmp_path: Path) -> None:
    """Its resolve was missed; the others of the group stay with the run that has ended."""
    async with Harness(tmp_path, GROUPED) as it:
        it.world.on_act = it.world.heal
        await fire(it, 1, 2)
        await it.until_over()
        await it.pass_time(MINUTE)
        await fire(it, 2)
        await it.pass_time(SECOND)
        runs = await it.runs()

        assert 2 == len(runs)
        assert ["joined"] == [signal.kind for signal in runs[0].signals]
        assert isinstance(last(runs[0], Ended), Ended)


async def test_secrets_in_the_labels_of_a_group_are_not_told(tmp_path: Path) -> None:
    """They stand in the thread of another alert, but they are secrets all the same."""
    async with Harness(tmp_path, GATED) as it:
        token = (
            f"eyJhbGciOiJIUzI1NiJ9.{'eyJzdWIiOiJ3ZWIifQ' * 3}.{'c2lnbmF0dXJl' * 4}"  # cut, it would not look like one
        )
        await it.deliver(alert("web", note="plain"))
        await it.deliver(alert("web", note=token))
        await it.pass_time(SECOND)
        shown = await told(it, "Alerts")

        assert shown.startswith("2: note=plain; note=")
        assert "eyJ" not in shown


@pytest.mark.parametrize(("seconds", "runs"), [(0, 1), (3, 1), (14, 1), (30, 2)])
async def test_alerts_join_however_far_the_run_has_come(tmp_path: Path, seconds: int, runs: int) -> None:
    """As long as it has not ended; after that they share another one."""
    async with Harness(tmp_path, GROUPED) as it:
        it.world.on_act = it.world.heal
        await fire(it, 0)
        await it.pass_time(timedelta(seconds=seconds))
        for number in range(1, 30):
            await fire(it, number)

        assert ["healed"] * runs == await it.until_over()
        assert ["web"] * runs == it.world.effects
        assert 30 == await members(it)


@pytest.mark.parametrize("after", [False, True], ids=["before-commit", "after-commit"])
@pytest.mark.parametrize("commit", range(1, 11))
async def test_a_kill_at_a_commit_swallows_no_alert_of_a_group(tmp_path: Path, commit: int, after: bool) -> None:
    """Alerts come with the first body, while the run acts, and while its proof is under way; each is told once."""
    async with Harness(tmp_path, GROUPED) as it:
        it.world.on_act = it.world.heal
        store = it.store
        store.dies_at, store.dies_after_writing = store.writes + commit, after
        bodies = []
        for numbers, wait in (((0, 1), 2), ((2, 3), 8), ((4, 0), 60)):
            alerts = [it.alert(member(number)) for number in numbers]
            bodies.append((alerts, asyncio.create_task(it.deliver_all(alerts))))
            await it.pass_time(wait * SECOND)
        lost = [alerts for alerts, delivery in bodies if not delivery.done()]
        for _, delivery in bodies:
            delivery.cancel()
        await asyncio.gather(*(delivery for _, delivery in bodies), return_exceptions=True)

        await it.crash()
        for alerts in lost:
            await it.deliver_all(alerts)  # they were not answered 202: Alertmanager sends them again
        outcomes = await it.until_over()
        await it.pass_time(MINUTE)

        assert 5 == await members(it)
        assert len(it.world.effects) <= len(outcomes)
        assert {"healed", "unknown"} >= set(outcomes)
