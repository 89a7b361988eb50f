"""Lifting a stop lifts it, whatever a clock has said before; and what was not concluded yet asks a person."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from remediator.errors import Failed
from remediator.model.facts import Asked, Held
from remediator.model.outcome import Reason
from remediator.model.run import Run
from remediator.model.stop import Stop, StopKind
from remediator.settings import LimitsSettings
from tests.unit.pipeline.guarded import HOUR, QUICK
from tests.unit.pipeline.harness import MINUTE, SECOND, Harness, alert, last, rule, wide

WEB, RULE, ACT = "target:test:web", "rule:p/sick", "action:test.act"
NEVER = {"gated_after_failures": 100_000, "gated_after_not_healed": 100_000}


def fail(_name: str) -> None:
    raise Failed("no")


def of(runs: Sequence[Run], service: str) -> Run:
    return next(run for run in runs if run.alert.labels["service"] == service)


def what(stops: Iterable[Stop]) -> list[tuple[StopKind, str]]:
    return sorted((stop.kind, stop.scope) for stop in stops)


@pytest.mark.parametrize(
    ("since", "changed"),
    [(MINUTE, ["db"]), (119 * MINUTE, ["web", "db"]), (3 * HOUR, ["web", "db"])],
    ids=["at once", "just before", "after"],
)
async def test_what_was_put_by_a_clock_that_was_ahead_can_be_lifted(
    tmp_path: Path, since: timedelta, changed: list[str]
) -> None:
    """Else the same endings would stand in the way again at the next plan, until the clock is where it was.

    The target cools down until then, as its last change is dated so.
    """
    limits = wide(failures_in_row=3, attempts="3/1h", **NEVER)
    async with Harness(tmp_path, rule(verify=QUICK), limits=limits) as it:
        it.world.on_act = fail
        it.clock.jump(2 * HOUR)
        for number in range(4):
            await it.deliver(alert("web", n=str(number)))
            await it.pass_time(30 * SECOND)
        it.clock.jump(-2 * HOUR)
        found = await it.process.stops.standing()
        lifted = [await it.process.stops.lift(stop.kind, stop.scope, "ann") for stop in found]
        await it.pass_time(since)
        it.world.on_act = it.world.heal
        it.world.effects.clear()
        for service in ("web", "db"):
            await it.deliver(alert(service, n="x"))
            await it.pass_time(30 * SECOND)
        after = await it.process.stops.standing()

        expected = [(StopKind.BREAKER, ACT), (StopKind.BREAKER, RULE), (StopKind.QUARANTINE, WEB)]
        assert expected == what(found)
        assert [True] * 3 == lifted
        held = [fact.reason for run in await it.runs() for fact in run.facts if isinstance(fact, Held)]
        assert (changed, []) == (it.world.effects, what(after))
        assert {Reason.COOLING_DOWN} >= set(held)


async def test_what_fails_after_that_counts_as_ever(tmp_path: Path) -> None:
    """To lift one is no reason to look away once the clock is where it was."""
    async with Harness(tmp_path, rule(verify=QUICK), limits=wide(attempts="3/1h", **NEVER)) as it:
        it.world.on_act = fail
        it.clock.jump(2 * HOUR)
        for number in range(3):
            await it.deliver(alert("web", n=str(number)))
            await it.pass_time(30 * SECOND)
        it.clock.jump(-2 * HOUR)
        await it.process.stops.lift(StopKind.QUARANTINE, WEB, "ann")
        await it.pass_time(2 * HOUR)
        for number in range(3, 7):
            await it.deliver(alert("web", n=str(number)))
            await it.pass_time(30 * SECOND)

        assert ["web"] * 6 == it.world.effects
        assert [(StopKind.QUARANTINE, WEB)] == what(await it.process.stops.standing())


async def test_a_failure_of_which_no_conclusions_were_drawn_asks_a_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process was killed, or hangs, when the ending was stored and the stop was not."""

    async def hang(_case: object) -> None:
        await asyncio.Event().wait()

    async with Harness(tmp_path, rule(mode="auto", verify=QUICK), limits=LimitsSettings()) as it:
        it.world.on_act = fail
        monkeypatch.setattr(it.process.flow._stages.lessons, "learn", hang)
        await it.deliver(alert("a"))
        await it.pass_time(10 * SECOND)
        stands = await it.process.stops.standing()
        await it.deliver(alert("b"))
        await it.pass_time(MINUTE)
        facts = of(await it.runs(), "b").facts

        assert (["a"], ()) == (it.world.effects, stands)
        assert ["asked"] == [fact.kind for fact in facts if fact.kind in ("asked", "started")]
        assert "a step failed in run" in str(last(of(await it.runs(), "b"), Asked))


async def test_a_conclusion_that_comes_late_does_not_undo_a_promotion(tmp_path: Path) -> None:
    """Another process had looked before, and is slow."""
    async with Harness(tmp_path, rule(mode="auto", verify=QUICK), limits=LimitsSettings()) as it:
        it.world.on_act = fail
        await it.deliver(alert("a"))
        await it.pass_time(10 * SECOND)
        found = await it.process.stops.standing()
        lifted = await it.process.stops.lift(StopKind.DEMOTION, RULE, "ann")
        await it.process.stops.put(found)

        assert ([(StopKind.DEMOTION, RULE)], True) == (what(found), lifted)
        assert [] == what(await it.process.stops.standing())
