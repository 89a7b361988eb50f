"""A step that was recorded as started too late to begin: nothing was done, and the run goes on."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from remediator.model.facts import Asked, Ended, Examined, Finished, Held, Planned, Started
from remediator.model.message import QueuedPost
from remediator.model.outcome import Outcome, Reason
from remediator.model.stage import MOST_NOT_BEGUN
from remediator.pipeline.guards import Allow, Case, Hold, Review
from remediator.storage.codec import read_fact
from tests.unit.pipeline.harness import MINUTE, SECOND, Harness, alert, last, rule

NAME = "{{ labels.service }}"


def not_begun(it: Harness) -> float | None:
    return it.process.metrics.registry.get_sample_value("remediator_steps_not_begun_total", {"action": "test.act"})


async def replies(it: Harness) -> list[QueuedPost]:
    return [post for post in await it.posts((await it.run()).id) if post.key != "parent"]


async def test_a_step_that_could_not_begin_is_planned_anew_from_new_evidence(tmp_path: Path) -> None:
    """The store hung for a moment; that is no reason to leave people without help, nor to act on old evidence."""
    async with Harness(tmp_path) as it:
        it.world.on_act = it.world.heal
        it.store.slow_starts = 1
        await it.deliver(alert())

        assert ["healed"] == await it.until_over()
        assert (["web"], 2) == (it.world.effects, it.world.looks)
        first = ["examined", "planned", "started", "finished"]
        assert [*first, *first, "verified", "ended"] == await it.facts()
        assert 1 == not_begun(it)


async def test_each_start_is_an_attempt_of_its_own(tmp_path: Path) -> None:
    """A fact is unique by step and attempt, in all rounds of a run."""
    async with Harness(tmp_path) as it:
        it.world.on_act = it.world.heal
        it.store.slow_starts = 2
        await it.deliver(alert())
        await it.until_over()
        run = await it.run()
        ends = [(f.round, f.attempt, f.begun) for f in run.facts if isinstance(f, Finished)]

        assert [1, 2, 3] == [f.attempt for f in run.facts if isinstance(f, Started)]
        assert [(1, 1, False), (2, 2, False), (3, 3, True)] == ends
        assert [0, 0, 0] == [f.plan.rung for f in run.facts if isinstance(f, Planned)]


async def test_it_is_told_that_nothing_was_done_and_what_follows(tmp_path: Path) -> None:
    """It is no failure of the remedy, and no repeat of anything."""
    async with Harness(tmp_path) as it:
        it.world.on_act = it.world.heal
        it.store.slow_starts = 1
        await it.deliver(alert())
        await it.until_over()
        titles = [post.message.title for post in await replies(it)]

        assert "Not begun: test.act name='web'" in titles
        assert [] == [title for title in titles if title.startswith(("Failed", "Repeating"))]


async def test_a_store_that_is_always_too_slow_ends_the_run_as_failed(tmp_path: Path) -> None:
    """It must not go round for ever, and people have to hear of it."""
    async with Harness(tmp_path) as it:
        it.store.slow_starts = 100
        await it.deliver(alert())

        assert ["failed"] == await it.until_over()
        assert "too much time passed before it could begin, so it was not done" in await it.ending()
        assert (MOST_NOT_BEGUN + 1, []) == (not_begun(it), it.world.effects)


async def test_steps_that_are_done_are_not_done_again_when_the_next_could_not_begin(tmp_path: Path) -> None:
    """The rest of the plan goes on from where it stands: a new plan would begin with the first step."""
    step: dict[str, Any] = {"test.act": {"name": NAME}}
    async with Harness(tmp_path, rule(remediate=[{"name": "cure", "do": [step, step]}])) as it:
        it.world.on_act = lambda _name: setattr(it.store, "slow_starts", 2 - len(it.world.effects))
        await it.deliver(alert())
        await it.pass_time(10 * SECOND)
        it.world.sick = False

        assert ["healed"] == await it.until_over()
        assert ["web", "web"] == it.world.effects
        starts = [(f.step, f.attempt) for f in (await it.run()).facts if isinstance(f, Started)]
        assert [("remediate.0.0", 1), ("remediate.0.1", 1), ("remediate.0.1", 2)] == starts


async def test_the_next_rung_is_tried_after_the_plan_that_was_made_anew(tmp_path: Path) -> None:
    """A round that did nothing is no rung that was tried."""
    rungs = [{"name": n, "do": [{"test.act": {"name": NAME, "way": n}}]} for n in ("first", "second")]
    async with Harness(tmp_path, rule(remediate=rungs)) as it:
        it.store.slow_starts = 1
        await it.deliver(alert())

        assert ["not healed"] == await it.until_over()
        plans = [f.plan.name for f in (await it.run()).facts if isinstance(f, Planned)]
        assert ["first", "first", "second"] == plans


async def test_an_alert_that_resolved_meanwhile_needs_no_new_plan(tmp_path: Path) -> None:
    """New evidence is there for that."""
    async with Harness(tmp_path) as it:
        it.store.slow_starts = 1
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await it.deliver(alert(), resolved=True)

        assert ["resolved by itself"] == await it.until_over()
        assert [] == it.world.effects


async def test_whoever_waits_to_change_something_goes_first_then(tmp_path: Path) -> None:
    """Nothing is changed while evidence is gathered, so the place for it is given away."""
    async with Harness(tmp_path, changes_at_once=1) as it:
        it.world.on_act = it.world.heal
        it.store.slow_starts = 1
        await it.deliver(alert("one"))
        await it.pass_time(SECOND)
        await it.deliver(alert("two"))

        assert ["healed", "healed"] == await it.until_over()
        assert ["two", "one"] == it.world.effects


async def test_a_person_is_asked_anew(tmp_path: Path) -> None:
    """What was approved was another plan, on older evidence, even where it says the same."""
    async with Harness(tmp_path, rule(mode="gated")) as it:
        it.world.on_act = it.world.heal
        it.store.slow_starts = 1
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await it.decide()
        await it.pass_time(MINUTE)
        before = list(it.world.effects)
        await it.decide()

        assert ["healed"] == await it.until_over()
        assert ([], ["web"]) == (before, it.world.effects)
        assert [1, 2] == [f.round for f in (await it.run()).facts if isinstance(f, Asked)]


def two_rules(**first: Any) -> list[dict[str, Any]]:
    """Two rules that act on the same target."""
    one = rule(name="one", match=['alertname="One"'], **first)
    return [one, rule(name="two", match=['alertname="Two"'])]


async def test_others_may_act_on_its_targets_while_a_person_is_asked_anew(tmp_path: Path) -> None:
    """It has done nothing there, and nobody may answer for hours."""
    async with Harness(tmp_path, *two_rules(mode="gated")) as it:
        it.store.slow_starts = 1
        await it.deliver({"alertname": "One", "service": "web"})
        await it.pass_time(SECOND)
        await it.decide()
        await it.pass_time(MINUTE)
        asked = [f.round for f in (await it.run()).facts if isinstance(f, Asked)]
        it.world.on_act = it.world.heal
        await it.deliver({"alertname": "Two", "service": "web"})
        await it.pass_time(MINUTE)
        one, two = sorted(await it.runs(), key=lambda run: run.rule)

        assert [1, 2] == asked
        assert (False, Outcome.HEALED) == (any(isinstance(f, Ended) for f in one.facts), last(two, Ended).outcome)
        assert not [fact for fact in two.facts if isinstance(fact, Held)]
        assert ["web"] == it.world.effects


async def test_whoever_waits_for_its_target_is_woken_then(tmp_path: Path) -> None:
    """Looking again by itself would take it some seconds more."""
    async with Harness(tmp_path, *two_rules(mode="gated")) as it:
        it.world.on_act = it.world.heal
        it.store.slow_starts = 1
        await it.deliver({"alertname": "One", "service": "web"})
        await it.pass_time(SECOND)
        await it.decide()
        await it.pass_time(3 * SECOND)
        await it.deliver({"alertname": "Two", "service": "web"})
        await it.pass_time(MINUTE)
        one, two = sorted(await it.runs(), key=lambda run: run.rule)
        given_back = next(fact.at for fact in one.facts if isinstance(fact, Finished))
        begun = next(fact.at for fact in two.facts if isinstance(fact, Started))

        assert [Reason.TARGET_BUSY] == [fact.reason for fact in two.facts if isinstance(fact, Held)]
        assert given_back == begun
        assert 0 == len(it.process.busy)


class Patience:
    """A probe that holds a rule's runs from the moment when a step of theirs could not begin."""

    def __init__(self, rule_id: str) -> None:
        self._rule = rule_id

    async def look(self, case: Case) -> Review:
        in_vain = any(isinstance(fact, Finished) and not fact.begun for fact in case.run.facts)
        is_held = in_vain and case.run.rule == self._rule
        return Hold(Reason.FROZEN, case.at + 5 * SECOND, "a freeze") if is_held else Allow()


@pytest.mark.parametrize(("steps", "acted"), [(1, ["web"]), (2, [])], ids=["nothing of it was done", "it was begun"])
async def test_a_plan_that_was_begun_keeps_its_targets(tmp_path: Path, steps: int, acted: list[str]) -> None:
    """The rest of it goes on from what its first steps have made of them."""
    do: list[dict[str, Any]] = [{"test.act": {"name": NAME}}] * steps
    rules = two_rules(remediate=[{"name": "cure", "do": do}])
    async with Harness(tmp_path, *rules, probes=[Patience("p/one")]) as it:
        it.world.on_act = lambda _name: setattr(it.store, "slow_starts", steps - len(it.world.effects))
        it.store.slow_starts = 2 - steps
        await it.deliver({"alertname": "One", "service": "web"})
        await it.pass_time(10 * SECOND)
        before = list(it.world.effects)
        await it.deliver({"alertname": "Two", "service": "web"})
        await it.pass_time(MINUTE)
        one, two = sorted(await it.runs(), key=lambda run: run.rule)

        assert [Reason.FROZEN] == [fact.reason for fact in one.facts if isinstance(fact, Held)]
        assert before == ["web"] * (steps - 1)
        assert [Reason.TARGET_BUSY] * (steps - 1) == [fact.reason for fact in two.facts if isinstance(fact, Held)]
        assert [*before, *acted] == it.world.effects


@pytest.mark.parametrize("after", [False, True], ids=["before-commit", "after-commit"])
@pytest.mark.parametrize("commit", [1, 2, 3])
async def test_a_kill_after_it_leaves_it_known_or_unknown_and_doubles_nothing(
    tmp_path: Path, commit: int, *, after: bool
) -> None:
    """Whether the end is on record decides: without it nobody can say that nothing was done."""
    async with Harness(tmp_path) as it:
        it.world.on_act = it.world.heal
        store = it.store
        store.slow_starts = 1
        await it.deliver(alert())
        await it.settle()
        store.dies_at, store.dies_after_writing = store.writes + commit, after
        await it.pass_time(20 * SECOND)
        await it.crash()
        (outcome,) = await it.until_over()
        recorded = [f for f in (await it.run()).facts if isinstance(f, Finished) and not f.begun]

        assert len(it.world.effects) <= 1
        assert ("healed" if it.world.effects else "unknown") == outcome
        assert recorded or outcome == "unknown"


async def test_a_repeat_that_could_not_begin_stays_unknown(tmp_path: Path) -> None:
    """The try that was cut short may have been done: nobody may say that nothing was."""
    step = {"test.set": {"name": NAME}}
    async with Harness(tmp_path, rule(remediate=[{"name": "cure", "do": [step]}])) as it:
        it.world.pause = asyncio.Event()
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await it.process.kill()
        it.world.pause, it.store.slow_starts = None, 1
        await it.crash()

        assert ["unknown"] == await it.until_over()
        finished = last(await it.run(), Finished)
        assert (2, "unknown", True) == (finished.attempt, finished.status, finished.begun)
        assert ["web"] == it.world.effects


async def test_a_start_after_one_that_could_not_begin_may_be_repeated_once(tmp_path: Path) -> None:
    """That its number is the second says nothing: the first was surely not done."""
    step = {"test.set": {"name": NAME}}
    async with Harness(tmp_path, rule(remediate=[{"name": "cure", "do": [step]}])) as it:
        it.store.slow_starts = 1
        it.world.pause = asyncio.Event()
        await it.deliver(alert())
        await it.pass_time(8 * SECOND)
        await it.process.kill()
        it.world.pause, it.world.on_act = None, it.world.heal
        await it.crash()

        assert ["healed"] == await it.until_over()
        assert ["web", "web"] == it.world.effects
        assert [1, 2, 3] == [f.attempt for f in (await it.run()).facts if isinstance(f, Started)]


async def test_what_could_not_begin_for_hours_is_not_done_any_more(tmp_path: Path) -> None:
    """Rounds that did nothing count as waiting: work too old to make sense is dropped."""
    async with Harness(tmp_path) as it:
        it.store.slow_starts = 1
        await it.deliver(alert())
        await it.settle()
        it.clock.jump(2 * timedelta(hours=1))
        await it.until_over()

        assert (await it.ending()).startswith("expired: it has waited 2h6s for its turn")
        assert ([], 2) == (it.world.effects, sum(isinstance(f, Examined) for f in (await it.run()).facts))


def test_an_end_that_an_older_version_has_stored_was_begun() -> None:
    """It did not know of anything else."""
    stored = (
        '{"at":"2026-01-01T00:00:00Z","round":1,"step":"remediate.0.0","attempt":1,"status":"failed","brief":"no",'
        '"detail":"","seconds":1.0,"kind":"finished"}'
    )
    fact = read_fact(stored)

    assert isinstance(fact, Finished)
    assert fact.begun
