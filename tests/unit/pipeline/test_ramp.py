"""Steps with several targets: one first, then two, four, and no further than the first that fails."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from remediator.cli.telling import tell_run
from remediator.clients import Clients
from remediator.errors import Failed, OutcomeUnknown
from remediator.kit.metrics import Metrics
from remediator.kit.redaction import Redactor
from remediator.model.change import Ending
from remediator.model.facts import Finished, Held, Planned, Started, StepStatus
from remediator.model.outcome import Reason
from remediator.model.plan import Plan
from remediator.model.stop import StopKind
from remediator.pipeline.calls import Calls
from remediator.pipeline.guards import Allow, Case, Hold, Review
from remediator.pipeline.planning import CannotPlan, Planner
from remediator.plugins import ActionContext, Actions, Effect, Nature, Params, Result, Target, action
from remediator.settings import Settings
from remediator.testing.clock import VirtualClock
from remediator.web.shown import show_run
from tests.unit.pipeline.guarded import Said, journal
from tests.unit.pipeline.guards.probing import a_case
from tests.unit.pipeline.harness import MINUTE, SECOND, Harness, alert, last, rule, wide
from tests.unit.pipeline.test_rehearsal import gathered

SWEEP = {"test.sweep": {"name": "{{ labels.service }}"}}
SEVEN = ["web", "web-1", "web-2", "web-3", "web-4", "web-5", "web-6"]
IDS = ["remediate.0.0#1", "remediate.0.0#2", "remediate.0.0#3"]


def sweeping(**changes: Any) -> dict[str, Any]:
    """A rule whose one step may have as many targets as there are."""
    return rule(**{"remediate": [{"name": "cure", "do": [SWEEP]}], "limits": {"max_targets": 10}, **changes})


@dataclass
class HoldsTheRest:
    """A probe that lets plans begin, and not go on."""

    holds: bool = True

    async def look(self, case: Case) -> Review:
        if case.begun and self.holds:
            return Hold(Reason.POOL_TOO_SMALL, case.at + MINUTE, "2 of 7 are healthy")
        return Allow()


def raises_at(name: str, error: Exception) -> Callable[[str], None]:
    def act(acted_on: str) -> None:
        if acted_on == name:
            raise error

    return act


async def steps_of(it: Harness, kind: type[Started | Finished]) -> list[str]:
    return [fact.step for fact in (await it.run()).facts if isinstance(fact, kind)]


async def test_several_targets_are_acted_on_in_waves(tmp_path: Path) -> None:
    """What goes wrong with the first must not go wrong with all."""
    async with Harness(tmp_path, sweeping()) as it:
        it.world.targets = 7
        it.world.on_act = lambda name: it.world.heal(name) if name == "web-6" else None
        await it.deliver(alert())
        ended = await it.until_over()
        run = await it.run()

        assert ["healed"] == ended
        assert SEVEN == it.world.effects
        assert IDS == await steps_of(it, Started) == await steps_of(it, Finished)
        assert [["web"], ["web-1", "web-2"], ["web-3", "web-4", "web-5", "web-6"]] == [
            step.params["only"] for step in last(run, Planned).plan.steps
        ]


async def test_a_wave_that_fails_is_the_last_one(tmp_path: Path) -> None:
    """The third has not been touched, and is free for others when the run has ended."""
    async with Harness(tmp_path, sweeping()) as it:
        it.world.targets = 7
        it.world.on_act = raises_at("web-1", Failed("it burns"))
        await it.deliver(alert())
        ended = await it.until_over()

        assert ["failed"] == ended
        assert SEVEN[:2] == it.world.effects
        assert IDS[:2] == await steps_of(it, Finished)
        assert [StepStatus.DONE, StepStatus.FAILED] == [
            fact.status for fact in (await it.run()).facts if isinstance(fact, Finished)
        ]


async def test_a_wave_whose_end_is_not_known_is_the_last_one(tmp_path: Path) -> None:
    """It may have failed."""
    async with Harness(tmp_path, sweeping()) as it:
        it.world.targets = 7
        it.world.on_act = raises_at("web-2", OutcomeUnknown("no answer"))
        await it.deliver(alert())
        await it.until_over()

        assert SEVEN[:3] == it.world.effects
        assert IDS[:2] == await steps_of(it, Finished)


@pytest.mark.parametrize("after", [False, True], ids=["before-commit", "after-commit"])
@pytest.mark.parametrize("commit", range(1, 10))
async def test_a_restart_in_a_ramp_goes_on_at_the_right_wave(tmp_path: Path, commit: int, after: bool) -> None:
    """No wave is done twice, whichever commit is the last one before the kill."""
    async with Harness(tmp_path, sweeping()) as it:
        it.world.targets = 7
        it.world.on_act = lambda name: it.world.heal(name) if name == "web-6" else None
        await it.deliver(alert())
        store = it.store
        store.dies_at, store.dies_after_writing = store.writes + commit, after
        await it.pass_time(MINUTE)
        await it.crash()
        await it.until_over()
        unknown = [f for f in (await it.run()).facts if isinstance(f, Finished) and f.status is StepStatus.UNKNOWN]

        assert SEVEN[: len(it.world.effects)] == it.world.effects
        assert unknown or it.world.effects == SEVEN
        assert len(set(await steps_of(it, Finished))) == len(await steps_of(it, Finished))


async def test_a_kill_between_two_waves_goes_on_with_the_next(tmp_path: Path) -> None:
    """The first is known to be done."""
    probe = HoldsTheRest()
    async with Harness(tmp_path, sweeping(), probes=[probe]) as it:
        it.world.targets = 7
        it.world.on_act = lambda name: it.world.heal(name) if name == "web-6" else None
        await it.deliver(alert())
        await it.pass_time(10 * SECOND)
        before = list(it.world.effects)
        await it.crash()
        probe.holds = False
        ended = await it.until_over()

        assert SEVEN[:1] == before
        assert ["healed"] == ended
        assert SEVEN == it.world.effects


async def test_the_world_is_looked_at_before_each_wave(tmp_path: Path) -> None:
    """A wave waits until the floor bears it, and the ones before it are not done again."""
    probe = Said()
    async with Harness(tmp_path, sweeping(), probes=[probe]) as it:
        until = it.clock.now() + 5 * MINUTE
        probe.later = [Allow(), Hold(Reason.POOL_TOO_SMALL, until, "2 of 7 are healthy")]
        it.world.targets = 7
        it.world.on_act = lambda name: it.world.heal(name) if name == "web-6" else None
        await it.deliver(alert())
        await it.pass_time(4 * MINUTE)
        meanwhile, held = list(it.world.effects), last(await it.run(), Held)
        ended = await it.until_over()

        assert SEVEN[:1] == meanwhile
        assert Reason.POOL_TOO_SMALL is held.reason
        assert ["healed"] == ended
        assert SEVEN == it.world.effects
        assert [False, True, True, True] == [case.begun for case in probe.cases]


async def test_a_pause_stops_a_ramp_between_two_waves(tmp_path: Path) -> None:
    """Whoever sees the first go wrong can stop the second."""
    async with Harness(tmp_path, sweeping()) as it:
        it.world.targets = 7
        it.world.pause = asyncio.Event()
        it.world.on_act = lambda name: it.world.heal(name) if name == "web-6" else None
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await it.process.stops.pause("rule:p/sick", "", "ann", None)
        it.world.pause.set()
        await it.pass_time(MINUTE)
        before, held = list(it.world.effects), last(await it.run(), Held)
        await it.process.stops.lift(StopKind.PAUSE, "rule:p/sick", "ann")

        assert SEVEN[:1] == before
        assert Reason.PAUSED is held.reason
        assert ["healed"] == await it.until_over()
        assert SEVEN == it.world.effects


async def test_a_plan_for_several_targets_is_counted_for_all_before_it_begins(tmp_path: Path) -> None:
    """A budget for two changes allows none of four: no ramp stops at it half-way."""
    limits = {"max_targets": 10, "per_rule": "2/1h"}
    async with Harness(tmp_path, sweeping(limits=limits)) as it:
        it.world.targets = 4
        await it.deliver(alert())

        assert ["refused"] == await it.until_over()
        assert "2/1h is too little for a plan of 4" in await it.ending()
        assert [] == it.world.effects


async def test_a_budget_that_is_used_up_in_part_holds_the_whole_ramp(tmp_path: Path) -> None:
    """There is room for two of four targets; it waits until there is room for all."""
    async with Harness(tmp_path, sweeping(limits={"max_targets": 10, "per_rule": "4/1h"}), limits=wide()) as it:
        it.world.targets = 2
        it.world.on_act = lambda name: it.world.heal(name) if name == "web-1" else None
        await it.deliver(alert())
        await it.until_over()
        begun = (await journal(it))[-1].at
        it.world.targets, it.world.sick, it.world.effects = 4, True, []
        it.world.on_act = lambda name: it.world.heal(name) if name == "web-3" else None
        await it.pass_time(SECOND)
        await it.deliver(alert(n="2"))
        await it.pass_time(MINUTE)
        held, before = last((await it.runs())[-1], Held), list(it.world.effects)
        await it.until_over(limit=timedelta(hours=2))

        assert (Reason.BUDGET_USED, begun + timedelta(hours=1)) == (held.reason, held.until)
        assert [] == before
        assert SEVEN[:4] == it.world.effects


async def test_the_locks_and_the_journal_have_all_targets_from_the_first_wave_on(tmp_path: Path) -> None:
    """Nobody else acts on what a later wave is about."""
    async with Harness(tmp_path, sweeping(), probes=[HoldsTheRest()]) as it:
        it.world.targets = 3
        await it.deliver(alert())
        await it.pass_time(10 * SECOND)
        entered = await journal(it, "test:web-2")
        await it.deliver(alert("web-2"))
        it.world.targets = 1
        await it.pass_time(10 * SECOND)
        other = (await it.runs())[-1]

        assert ["web"] == it.world.effects
        assert [("test.sweep", True)] == [(change.action, change.counts) for change in entered]
        assert Reason.TARGET_BUSY is last(other, Held).reason


async def test_the_thread_tells_each_wave(tmp_path: Path) -> None:
    """With its targets, whatever the action's own sentence says."""
    async with Harness(tmp_path, sweeping()) as it:
        it.world.targets = 3
        it.world.on_act = lambda name: it.world.heal(name) if name == "web-2" else None
        await it.deliver(alert())
        await it.until_over()
        run = await it.run()
        titles = [post.message.title for post in await it.posts(run.id)]

        said = "test.sweep name='web', only="
        waves = [f"wave 1 of 2 (test:web): {said}['web']", f"wave 2 of 2 (test:web-1, test:web-2): {said}"]
        assert waves[0] == last(run, Planned).plan.steps[0].sentence
        assert f"Done: {waves[0]}" in titles
        assert any(title.startswith(f"Done: {waves[1]}") for title in titles)
        assert [Ending.HEALED] == [change.ending for change in await journal(it, "test:web-2")]


async def test_runs_show_tells_each_wave(tmp_path: Path) -> None:
    """With the targets and the parameters that it has."""
    async with Harness(tmp_path, sweeping()) as it:
        it.world.targets = 3
        it.world.on_act = raises_at("web-1", Failed("it burns"))
        await it.deliver(alert())
        await it.until_over()
        said = "\n".join(tell_run(show_run(await it.run())))

    assert "1. wave 1 of 2 (test:web): test.sweep name='web', only=['web']\n       on test:web@id-1\n" in said
    assert "2. wave 2 of 2 (test:web-1, test:web-2): " in said
    assert re.search(r"started “wave 2 of 2 \(test:web-1, test:web-2\): ", said)
    assert re.search(r"“wave 2 of 2 \(.*” failed after .* it burns", said)


async def test_explain_tells_each_wave(tmp_path: Path) -> None:
    """The plan that is rehearsed is the plan that is made."""
    async with Harness(tmp_path, sweeping()) as it:
        it.world.targets = 3
        found = await gathered(it)

    assert found.plan is not None
    assert ["wave 1 of 2 (test:web)", "wave 2 of 2 (test:web-1, test:web-2)"] == [
        step.sentence.partition(": test.sweep")[0] for step in found.plan.steps
    ]
    assert found.says.startswith("it would be done without asking anybody")


async def test_several_targets_at_once_are_refused(tmp_path: Path) -> None:
    """An action that acts on all or none is never called for more than one, whatever the limits allow."""
    several = rule(limits={"max_targets": 10})
    async with Harness(tmp_path, several) as it:
        it.world.targets = 2
        await it.deliver(alert())

        assert ["refused"] == await it.until_over()
        assert Reason.NO_RAMP in await it.ending()
        assert "test.act cannot be told to act on a part of them" in await it.ending()
        assert [] == it.world.effects


# What an author of an action may get wrong


class Where(Params):
    name: str
    only: tuple[str, ...] = ()


class Done(Result):
    pass


def only(params: Where, targets: tuple[Target, ...]) -> Where:
    return params.model_copy(update={"only": tuple(target.parts[0] for target in targets)})


def broken(params: Where, targets: tuple[Target, ...]) -> Where:
    raise ZeroDivisionError("x")


def another_type(params: Where, targets: tuple[Target, ...]) -> Where:
    return params.model_copy(update={"only": len(targets)})


def as_it_was(params: Where, targets: tuple[Target, ...]) -> Where:
    return params


def another(params: Where, targets: tuple[Target, ...]) -> Where:
    return params.model_copy(update={"only": ("b",)})


def none_at_all(params: Where, targets: tuple[Target, ...]) -> Where:
    return params.model_copy(update={"only": ("z",)})


def gentle(clients: Clients, params: Where) -> Nature:
    return Nature(Effect.CHANGE, idempotent=False, timeout=SECOND)


def brutal_in_part(clients: Clients, params: Where) -> Nature:
    return replace(gentle(clients, params), effect=Effect.DESTROY if params.only else Effect.CHANGE)


def repeatable_in_part(clients: Clients, params: Where) -> Nature:
    return replace(gentle(clients, params), idempotent=bool(params.only))


async def planned(
    narrow: Callable[[Where, tuple[Target, ...]], Where],
    names: str = "cab",
    nature: Callable[[Clients, Where], Nature] = gentle,
) -> Plan | CannotPlan:
    async def targets(ctx: ActionContext, params: Where) -> tuple[Target, ...]:
        return tuple(Target("thing", (name,)) for name in names if not params.only or name in params.only)

    @action("thing.kick", effect=Effect.DESTROY, targets=targets, for_targets=narrow, nature=nature)
    async def kick(ctx: ActionContext, params: Where) -> Done:
        """Kicks things."""
        return Done()

    case = a_case(actions=Actions({"thing.kick": kick}))
    planner = Planner(Calls(Clients(Settings()), VirtualClock(), Redactor(), Metrics()))
    return await planner.draft(case.run, case.rule, case.rule.rungs[0], {})


@pytest.mark.parametrize(
    ("narrow", "why"),
    [
        (broken, "it broke when it was given a part of its targets: ZeroDivisionError: x"),
        (another_type, "it broke when it was given a part of its targets: ValidationError"),
        (as_it_was, "narrowed to thing:a it leads to thing:a, thing:b, thing:c"),
        (another, "narrowed to thing:a it leads to thing:b"),
        (none_at_all, "narrowed to thing:a it leads to nothing"),
    ],
)
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
async def test_a_wave_that_leads_to_anything_but_its_targets_makes_no_plan(
    narrow: Callable[[Where, tuple[Target, ...]], Where], why: str
) -> None:
    """Else the first wave would act on all of them."""
    found = await planned(narrow)

    assert isinstance(found, CannotPlan)
    assert Reason.TARGET_UNCERTAIN is found.reason
    assert why in found.detail


@pytest.mark.parametrize("nature", [brutal_in_part, repeatable_in_part])
async def test_a_wave_that_would_do_something_else_makes_no_plan(nature: Callable[[Clients, Where], Nature]) -> None:
    """Whether a person is asked, and whether it may be repeated, was decided by the whole."""
    found = await planned(only, nature=nature)

    assert isinstance(found, CannotPlan)
    assert "a part of its targets would make it another step" in found.detail


async def test_one_target_is_no_wave() -> None:
    """Its step is as the rule has it."""
    found = await planned(broken, "a")

    assert isinstance(found, Plan)
    assert [("remediate.0.0", {"name": "web", "only": []})] == [(s.id, s.params) for s in found.steps]


async def test_another_way_to_split_is_another_plan() -> None:
    """An approval is for these waves."""
    found, again, more = [await planned(only, names) for names in ("cab", "abc", "abcd")]

    assert isinstance(found, Plan)
    assert isinstance(again, Plan)
    assert isinstance(more, Plan)
    assert found.digest == again.digest
    assert found.digest != more.digest
    assert found.digest != replace(found, steps=found.steps[::-1]).digest
