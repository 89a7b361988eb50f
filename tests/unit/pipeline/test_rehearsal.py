"""What is rehearsed is what the service would do: the same evidence, the same rung, the same digest; and no change."""

import asyncio
from collections.abc import Coroutine, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from remediator.clients import Clients
from remediator.errors import Unavailable
from remediator.kit.metrics import Metrics
from remediator.kit.redaction import Redactor
from remediator.model.facts import Examined, Planned
from remediator.model.plan import Mode
from remediator.model.stage import Drafted, stage_of
from remediator.pipeline.calls import Calls
from remediator.pipeline.explaining import Explanation, explain
from remediator.pipeline.guards import Guards
from remediator.pipeline.guards.effective import limits_by
from remediator.pipeline.guards.shipped import shipped
from remediator.pipeline.rehearsal import Rehearsal, Rehearsed, nothing_known
from remediator.settings import Settings
from tests.unit.pipeline.harness import Harness, alert, last, rule

NAME = "{{ labels.service }}"
ACT = {"test.act": {"name": NAME}}
SET = {"test.set": {"name": NAME}}


def rehearsal_of(harness: Harness) -> Rehearsal:
    """One on the same actions and the same world as the harness, beside it."""
    calls = Calls(Clients(Settings()), harness.clock, Redactor(), Metrics())
    settings = Settings()
    guards = Guards(shipped(settings.calendar, settings.protected), nothing_known)
    return Rehearsal(calls, guards, ceiling=harness.ceiling, limits=limits_by(settings.limits))


async def gathered(harness: Harness, labels: Mapping[str, str] | None = None) -> Rehearsed:
    (only,) = harness.process.rulebook.book.rules
    return await rehearsal_of(harness).gather(harness.alert(labels or alert()), only)


def folder(tmp_path: Path, name: str) -> Path:
    made = tmp_path / name
    made.mkdir()
    return made


LADDERS: dict[str, dict[str, Any]] = {
    "one rung": {},
    "two steps": {"remediate": [{"do": [ACT, {"test.set": {"name": "db", "way": "{{ steps.state.looks }} times"}}]}]},
    "the second rung": {
        "remediate": [
            {"name": "no", "when": "not steps.state.sick", "do": [{"test.set": {"name": "a"}}]},
            {"name": "yes", "when": "steps.state.sick", "do": [ACT]},
        ]
    },
    "in turn": {
        "diagnose": {
            "state": {"test.look": {"name": NAME}},
            "twice": {"compute": {"let": {"more": "steps.state.looks * 2"}}},
        },
        "remediate": [{"do": [{"test.act": {"name": "{{ labels.service }}-{{ steps.twice.let.more }}"}}]}],
    },
    "with its own limits": {"limits": {"max_targets": 1}},
    "to be put back": {"remediate": [{"do": [SET], "for": "30m"}]},
    "with its own proof": {
        "remediate": [{"do": [ACT], "verify": {"settle": "1s", "sustain": "1s", "within": "1m", "every": "1s"}}]
    },
}


@pytest.mark.parametrize("changes", LADDERS.values(), ids=LADDERS.keys())
async def test_the_digest_is_the_one_that_the_service_would_ask_for(tmp_path: Path, changes: dict[str, Any]) -> None:
    """Whoever explains an alert beforehand knows what he is asked to approve later."""
    async with Harness(folder(tmp_path, "real"), rule(mode="gated", **changes)) as real:
        await real.deliver(alert())
        await real.settle()
        run = await real.run()
        planned: Planned = last(run, Planned)
        examined: Examined = last(run, Examined)
    async with Harness(folder(tmp_path, "rehearsed"), rule(mode="gated", **changes)) as harness:
        found = await gathered(harness)

    assert found.plan is not None
    assert planned.plan.digest == found.plan.digest
    assert planned.plan == found.plan
    assert {name: item.result for name, item in examined.evidence.items()} == {
        name: item.result for name, item in found.evidence.items()
    }


async def test_it_changes_nothing_and_stores_nothing(tmp_path: Path) -> None:
    """It may be tried on what is in production, at any time."""
    async with Harness(tmp_path, rule(mode="auto")) as harness:
        found = await gathered(harness)
        await harness.pass_time(timedelta(minutes=5))

        assert found.plan is not None
        assert ([], 1) == (harness.world.effects, harness.world.looks)
        assert () == await harness.store.list_runs(limit=1)
        assert () == await harness.store.waiting_posts(1)


FATES = {
    "auto": ({"mode": "auto"}, "it would be done without asking anybody"),
    "gated": ({"mode": "gated"}, "a person would be asked to approve it: the mode is gated"),
    "a gate": (
        {"mode": "auto", "remediate": [{"do": [ACT], "gate": True}]},
        "a person would be asked to approve it: the remedy has a gate",
    ),
    "destroys": (
        {"mode": "auto", "remediate": [{"do": [{"test.destroy": {"name": NAME}}]}]},
        "a person would be asked to approve it: a step destroys something",
    ),
    "suggest": ({"mode": "suggest"}, "it would be suggested, and not done: the mode is suggest"),
    "observe": ({"mode": "observe"}, "it would not even be suggested: the mode is observe"),
    "no rung": (
        {"remediate": [{"when": "not steps.state.sick", "do": [ACT]}]},
        "nothing would be done: no remedy of the rule fits the evidence",
    ),
    "no remedy": ({"remediate": []}, "nothing would be done: the rule only diagnoses"),
    "advice": ({"remediate": [{"tell": "look at {{ labels.service }}"}]}, "people would be told: look at web"),
    "no label": (
        {"remediate": [{"do": [{"test.act": {"name": "a", "way": "{{ labels.zone }}"}}]}]},
        "the plan would be refused: a label that the step needs is not on the alert: zone",
    ),
}


@pytest.mark.parametrize(("changes", "says"), FATES.values(), ids=FATES.keys())
async def test_what_would_become_of_it_is_said(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    """The plan alone does not tell whether anybody is asked, or whether it is held."""
    async with Harness(tmp_path, rule(**changes)) as harness:
        found = await gathered(harness)

    assert found.says.startswith(says)


async def test_what_the_service_asks_is_what_was_said(tmp_path: Path) -> None:
    """The sentence on the gate is tested against a run that waits at it."""
    async with Harness(tmp_path, rule(mode="auto"), ceiling=Mode.GATED) as harness:
        found = await gathered(harness)
        await harness.deliver(alert())
        await harness.settle()
        stage = stage_of(await harness.run())

    assert found.says.startswith("a person would be asked to approve it: the mode is gated; ")
    assert isinstance(stage, Drafted)
    assert stage.asked is not None


async def test_too_many_targets_are_refused_as_in_earnest(tmp_path: Path) -> None:
    """A rule often matches more than its author thought."""
    async with Harness(tmp_path, rule(mode="auto")) as harness:
        harness.world.targets = 3
        found = await gathered(harness)

    assert found.says.startswith("it would be refused: more targets than the rule may touch at once: 3 targets")


async def test_evidence_that_cannot_be_had_is_shown_and_ends_the_search(tmp_path: Path) -> None:
    """As in earnest: what is not known is never taken for false."""
    async with Harness(
        tmp_path, rule(remediate=[{"name": "cure", "when": "steps.state.sick", "do": [ACT]}])
    ) as harness:
        harness.world.fail_look = Unavailable("nobody answers")
        looking = gathered(harness)
        found = await finished(harness, looking)

    assert (False, "nobody answers") == (found.evidence["state"].ok, found.evidence["state"].brief)
    assert found.says.startswith("nothing would be done: whether “cure” fits cannot be told")
    assert found.plan is None


async def finished(harness: Harness, looking: Coroutine[Any, Any, Rehearsed]) -> Rehearsed:
    """The result of something that waits between its tries."""
    task = asyncio.create_task(looking)
    while not task.done():
        await harness.clock.advance(timedelta(seconds=1))
    return await task


async def settled(harness: Harness) -> Explanation:
    book = harness.process.rulebook.book
    found = explain(harness.alert(alert()), book, ceiling=harness.ceiling, clients=Clients(Settings()))
    return await rehearsal_of(harness).settle(found)


READS = {"mode": "gated", "remediate": [{"do": [{"test.check": {"name": NAME}}]}]}


async def test_a_plan_for_which_nothing_is_to_be_found_out_has_its_digest_at_once(tmp_path: Path) -> None:
    """Without a look at anything."""
    async with Harness(tmp_path, rule(**READS)) as harness:
        found = await settled(harness)
        looks = harness.world.looks
        await harness.deliver(alert())
        await harness.settle()
        planned: Planned = last(await harness.run(), Planned)
    (view,) = found.matching
    assert view.outlook is not None

    assert [planned.plan.digest] == [rung.digest for rung in view.outlook.rungs]
    assert 0 == looks


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"remediate": [{"tell": "look"}]},
        {"remediate": [{"do": [{"test.check": {"name": "{{ steps.state.looks }}"}}]}]},
    ],
    ids=["targets", "advice", "a-result"],
)
async def test_a_plan_of_which_something_is_not_known_has_no_digest(tmp_path: Path, changes: dict[str, Any]) -> None:
    """A guess would be taken for the real one."""
    async with Harness(tmp_path, rule(**changes)) as harness:
        found = await settled(harness)
    (view,) = found.matching
    assert view.outlook is not None

    assert [None] == [rung.digest for rung in view.outlook.rungs]
    assert 0 == harness.world.looks
