"""A person settles what a crash left unknown: it is told, it frees the target, and it starts nothing."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from remediator.model.facts import Finished, LateFinished, Settled, StepStatus
from remediator.model.message import Text
from remediator.model.run import Run, Settle
from remediator.model.stage import Acted, settlement, stage_of, unsettled
from tests.unit.pipeline.harness import MINUTE, SECOND, Harness, alert, last, rule


@pytest.fixture
async def it(tmp_path: Path) -> AsyncIterator[Harness]:
    """A service that was killed while a step was acting, and has taken the run up again."""
    two = [
        rule(),
        rule(name="also", match=['alertname="Other"']),
    ]
    async with Harness(tmp_path, *two) as made:
        made.world.pause = asyncio.Event()
        await made.deliver(alert())
        await made.pass_time(SECOND)
        assert ["web"] == made.world.effects
        await made.crash()
        made.world.pause = None
        await made.pass_time(SECOND)
        yield made


async def settle(it: Harness, *, done: bool = True, by: str = "ann") -> Settle:
    """What the API does."""
    run = await it.run()
    unknown = unsettled(run)
    assert unknown is not None
    word = Settle(it.clock.now(), unknown.step, unknown.attempt, done, by, "I looked")
    await it.say(run.id, word)
    await it.settle()
    return word


async def other_is_acted_on(it: Harness) -> bool:
    """Whether another run gets the target, at once."""
    before = len(it.world.effects)
    await it.deliver({"alertname": "Other", "service": "web"})
    await it.pass_time(SECOND)
    return len(it.world.effects) > before


def kinds(run: Run) -> list[str]:
    return [fact.kind for fact in run.facts]


async def test_it_is_on_record_and_told_in_the_thread(it: Harness) -> None:
    """Who knew it, when, and how."""
    assert ["unknown"] == await it.until_over()
    word = await settle(it, done=False)
    run = await it.run()
    told = {post.key: post.message for post in await it.posts(run.id)}

    settled = Settled(word.at, word.step, 1, False, "ann", "I looked")
    assert settled == last(run, Settled)
    message = told[f"settled.{word.step}.1"]
    assert message.title.startswith("Settled: “")
    assert message.title.endswith("” was not done")
    assert (Text("ann says so. Nothing is done because of it."), Text("I looked")) == message.parts
    assert (None, None) == (unsettled(run), settlement(run))


async def test_how_to_settle_is_told_with_the_unknown_step(it: Harness) -> None:
    """Nobody remembers a command that is needed once a year."""
    run = await it.run()
    (message,) = (post.message for post in await it.posts(run.id) if post.key.startswith("finished."))

    assert f"remediator runs settle {run.id} not-done" in str(message.parts)


async def test_it_starts_nothing_and_changes_no_outcome(it: Harness) -> None:
    """What is known now comes too late for the run; the next alert gets a new one."""
    await it.until_over()
    before = await it.run()
    await settle(it, done=False)
    await it.pass_time(30 * MINUTE)
    after = await it.run()

    assert [*kinds(before), "settled"] == kinds(after)
    assert ["web"] == it.world.effects
    assert ["unknown"] == await it.outcomes()


async def test_the_target_is_free_at_once(tmp_path: Path) -> None:
    """Else the next remedy waits for a call that everybody knows to be over."""
    slow = rule(
        remediate=[{"name": "cure", "do": [{"test.act": {"name": "web"}, "timeout": "2h"}]}],
        verify={"settle": "1s", "sustain": "1s", "within": "10s", "every": "1s", "checks": [
            {"test.check": {"name": "web"}, "expect": "not result.sick"}]},
    )  # fmt: skip
    async with Harness(tmp_path, slow, rule(name="also", match=['alertname="Other"'])) as it:
        it.world.pause = asyncio.Event()
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await it.crash()
        it.world.pause = None
        await it.until_over()
        run = await it.run()
        was_free = await other_is_acted_on(it)
        unknown = unsettled(run)
        assert unknown is not None
        await it.say(run.id, Settle(it.clock.now(), unknown.step, unknown.attempt, True, "ann"))
        await it.pass_time(10 * SECOND)

        assert not was_free
        assert 2 == len(it.world.effects)


@pytest.mark.parametrize(
    ("done", "heals", "expected"),
    [
        (True, True, ("healed", "our own step was done, says ann")),
        (False, True, ("healed", "our own step was not done, says ann")),
        (True, False, ("not healed", "our own step was done, says ann; nothing more is tried")),
        (False, False, ("not healed", "our own step was not done, says ann; nothing more is tried")),
    ],
)
async def test_it_can_be_settled_while_the_proof_is_under_way(
    it: Harness, done: bool, heals: bool, expected: tuple[str, str]
) -> None:
    """The run goes on with its proof, its end does not contradict what was said, and it starts nothing more."""
    assert isinstance(stage_of(await it.run()), Acted)
    it.world.sick = not heals
    await settle(it, done=done)
    await it.pass_time(10 * SECOND)
    during = kinds(await it.run())
    (outcome,) = await it.until_over()
    run = await it.run()

    assert expected[0] == outcome
    assert (await it.ending()).endswith(f"; {expected[1]}")
    assert ["finished", "settled"] == during[-2:]
    assert ["settled", "verified", "ended"] == kinds(run)[-3:]
    assert ["web"] == it.world.effects


async def test_the_first_word_counts(it: Harness) -> None:
    """Two people who settle it at once do not both do so, and nothing goes wrong over it."""
    await it.until_over()
    first = await settle(it, done=True)
    await it.say((await it.run()).id, Settle(first.at + SECOND, first.step, first.attempt, False, "bob"))
    await it.pass_time(MINUTE)
    run = await it.run()

    assert [("ann", True)] == [(fact.by, fact.done) for fact in run.facts if isinstance(fact, Settled)]


async def test_it_survives_a_crash_right_after_it_was_said(it: Harness) -> None:
    """It was answered 202."""
    await it.until_over()
    run = await it.run()
    unknown = unsettled(run)
    assert unknown is not None
    await it.store.signal(run.id, Settle(it.clock.now(), unknown.step, unknown.attempt, True, "ann"))
    await it.crash()
    await it.pass_time(SECOND)

    assert "ann" == last(await it.run(), Settled).by


async def test_a_late_end_settles_it_too(it: Harness) -> None:
    """Then nobody has to be asked."""
    run = await it.run()
    unknown = last(run, Finished)
    assert StepStatus.UNKNOWN is unknown.status
    late = LateFinished(it.clock.now(), unknown.step, unknown.attempt, StepStatus.DONE, "done after all")
    await it.store.settle_late(run.id, late, ())

    assert unsettled(await it.run()) is None
