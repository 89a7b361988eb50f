"""The service is killed at every failpoint and at random moments, on both stores: nothing lost, nothing done twice."""

import asyncio
import os
import random
import time
from pathlib import Path
from typing import Any

import pytest

from remediator.kit.failpoints import POINTS
from tests.crash.api import Api
from tests.crash.checker import judge, told
from tests.crash.driver import LONGER_THAN_TAKEOVER, ONLY_SHARED, Deed, Fate, Sender, dump, settle
from tests.crash.journal import read
from tests.crash.people import deciding
from tests.crash.rig import LIMIT, Rig, rig
from tests.crash.scenes import Scene, every_point, play, report

pytestmark = pytest.mark.timeout(600)

SEED = int(os.environ.get("CRASH_SEED", "0")) or int(time.time())
RANDOM_KILLS = 4
KILLED_OVER = (("decision.judged", 1), ("decision.stored", 2), ("step.started", 1))
"""Where it is killed over the second of two decisions, and how often it comes there before: also for the run before."""


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str:
    """The URL of a new database, or nothing for the embedded store."""
    return str(request.getfixturevalue("new_database")) if request.param == "postgresql" else ""


async def test_nothing_is_lost_and_nothing_done_twice_under_kill(database: str, tmp_path: Path) -> None:
    """At each failpoint once, and then wherever it falls: promises 1 and 2 of the design."""
    fates = every_point(random.Random(SEED), shared=bool(database))
    times = len(fates) + RANDOM_KILLS
    scene = Scene(SEED, times, database, fates=[*fates, *[Fate()] * RANDOM_KILLS], every=0.5, point_limit=20)
    verdict, counts = await play(scene, tmp_path)
    missed = {f"kill {fate.point}" for fate in fates} - counts.keys()
    said = report(scene, verdict, counts)

    assert [] == verdict.problems, said
    assert set() == missed, said


async def test_a_message_that_cannot_be_looked_for_is_repeated_with_a_note(tmp_path: Path) -> None:
    """Killed right after it has landed; of the channel only the name is known, and nothing else is posted there."""
    async with rig(tmp_path, seed=SEED, finds=False) as whole:
        (service,) = whole.services
        await whole.start(service, {"post.sent": ("kill", 0)})
        assert await whole.until_ready(service)
        sender = Sender(whole, random.Random(SEED), every=1)
        sender.send(1, "post", to=service)
        await whole.until(lambda: not service.lives, "the kill")
        await whole.start(service)
        await sender.until_taken()
        await settle(whole)
        await dump(whole)
    verdict = judge(tmp_path, least_calm=0)

    assert [] == verdict.problems, told(verdict)
    assert 1 == verdict.counts["messages repeated"], told(verdict)


async def test_a_decision_that_is_killed_over_is_taken_once_and_acted_on_once(tmp_path: Path) -> None:
    """Killed before it is on disk, after it, and when the step is to begin: it is said again, and is there once."""
    chance, done = random.Random(SEED), []
    async with rig(tmp_path, seed=SEED) as whole:
        (service,) = whole.services
        sender = Sender(whole, chance, every=1)
        async with deciding(whole, chance, denies=False):
            for point, after in KILLED_OVER:
                await whole.start(service, {point: ("kill", after)})
                assert await whole.until_ready(service)
                await until_none_is_active(whole)
                sender.send(1, "gated", to=service)
                await whole.until(lambda: not service.lives, f"{point} to be reached")
                done.append(len(read(tmp_path / "effects.jsonl")))
            await whole.start(service)
            await sender.until_taken()
            await settle(whole)
        await dump(whole)
    verdict = judge(tmp_path, least_calm=0)

    assert [] == verdict.problems, told(verdict)
    assert [0, 1, 2] == done
    counts = {name: verdict.counts[name] for name in ("runs", "decisions", "effects", "unknown steps")}
    assert {"runs": 3, "decisions": 6, "effects": 2, "unknown steps": 1} == counts


@pytest.mark.parametrize("replicas", [2, 3])
async def test_replicas_that_are_killed_frozen_and_cut_off_lose_nothing(
    replicas: int, new_database: str, tmp_path: Path
) -> None:
    """Whoever lives carries on, and what a frozen one writes late changes nothing but the record."""
    deeds: list[Deed] = ["freeze", "cut", "hang", "kill"]
    fates = [Fate(deed=deed) for deed in deeds[:replicas]]
    scene = Scene(SEED, 3, new_database, replicas, deeds=deeds, fates=fates, every=0.6)
    verdict, counts = await play(scene, tmp_path)

    assert [] == verdict.problems, report(scene, verdict, counts)


@pytest.mark.parametrize(
    ("deed", "point", "effects", "late"),
    [
        pytest.param("kill", "step.call", 0, set(), id="killed"),
        pytest.param("freeze", "step.started", 0, {"failed"}, id="frozen before its last look at the time"),
        pytest.param("freeze", "step.call", 1, {"done"}, id="frozen after it"),
    ],
)
async def test_a_run_is_taken_over_and_its_step_is_unknown(
    deed: Deed, point: str, effects: int, late: set[str], new_database: str, tmp_path: Path
) -> None:
    """The other replica says within seconds that nobody knows; what the frozen one says late is recorded as late.

    A process that is frozen after its last look at the time acts late: the one window that remains.
    """
    async with rig(tmp_path, seed=SEED, database=new_database, replicas=2) as whole:
        victim, other = whole.services
        await whole.start(victim, {point: (deed, 0)})
        assert await whole.until_ready(victim)
        sender = Sender(whole, random.Random(SEED), every=1)
        sender.send(1, "post", to=victim)
        await whole.start(other)
        await sender.until_taken()
        await whole.until(lambda: victim.is_frozen or not victim.lives, f"{point} to be reached")
        began = time.monotonic()
        run = await until_run(whole, lambda run: statuses(run) == {"unknown"}, "the run to be taken over")
        took = time.monotonic() - began
        if deed == "freeze":
            await asyncio.sleep(max(LONGER_THAN_TAKEOVER - took, 0))  # the last look allows for some seconds
            whole.thaw(victim)
            await until_run(whole, lambda run: statuses(run) == {"unknown", *late}, "the late end to be recorded")
        await settle(whole)
        await dump(whole)
    verdict = judge(tmp_path, least_calm=0)
    print(f"taken over after {took:.1f} s")  # noqa: T201 - a measurement, for people

    assert [] == verdict.problems, told(verdict)
    assert "unknown" in [fact["status"] for fact in run["timeline"] if fact["kind"] == "finished"]
    assert effects == verdict.counts["effects"]
    assert took < LIMIT


def statuses(run: dict[str, Any]) -> set[str]:
    """How its step's calls have ended; one that could not begin, on a slow machine, is made again."""
    ended = (fact for fact in run["timeline"] if fact["kind"] in ("finished", "late_finished"))
    return {fact["status"] for fact in ended if fact.get("begun", True)}


async def until_none_is_active(whole: Rig) -> None:
    """Wait until all that was begun has ended."""
    api = Api(whole)
    async with asyncio.timeout(LIMIT):
        while (listed := await api.get("/api/v1/runs?active=true&limit=1")) is None or listed["runs"]:
            await asyncio.sleep(0.05)


async def until_run(whole: Rig, is_so: Any, what: str) -> dict[str, Any]:
    """Wait until the one run is like that."""
    api = Api(whole)
    run: dict[str, Any] | None = None
    try:
        async with asyncio.timeout(LIMIT):
            while True:
                listed = await api.get("/api/v1/runs?limit=2") or {"runs": []}
                for line in listed["runs"]:
                    run = await api.get(f"/api/v1/runs/{line['id']}")
                    if run is not None and is_so(run):
                        return run
                await asyncio.sleep(0.05)
    except TimeoutError:
        logs = "\n".join(f"{one.name}:\n{whole.log(one)[-3000:]}" for one in whole.services)
        raise AssertionError(f"waited {LIMIT:g} s in vain: {what}; the run: {run}\n{logs}") from None


def test_the_short_version_comes_to_every_failpoint() -> None:
    """Those of a shared store only where it is shared."""
    chance = random.Random(1)

    assert set(POINTS) == {fate.point for fate in every_point(chance, shared=True)}
    assert set(POINTS) - set(ONLY_SHARED) == {fate.point for fate in every_point(chance, shared=False)}
