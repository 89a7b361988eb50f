"""The card of a question follows its run: through decisions by any process, time, and the end of the alert."""

from datetime import timedelta
from pathlib import Path

import pytest

from remediator.kit.metrics import Metrics
from remediator.kit.redaction import Redactor
from remediator.model.facts import Asked
from remediator.model.message import Message
from remediator.model.run import Cancel
from remediator.model.stage import Drafted, stage_of
from remediator.pipeline.approvals import Answer, Approvals, Said
from tests.unit.pipeline.harness import MINUTE, SECOND, Harness, alert, last, rule


def approvals(it: Harness) -> Approvals:
    """Where decisions come in."""
    process = it.process
    return Approvals(
        it.store,
        process.people,
        process.dispatcher,
        it.clock,
        Redactor(),
        Metrics(),
        rule_now=process.rulebook.digest_now,
    )


async def say(it: Harness, by: str, *, approved: bool = True, reason: str = "") -> Answer:
    run = await it.run()
    stage = stage_of(run)
    assert isinstance(stage, Drafted)
    said = Said(it.process.people.of_token(by), approved, stage.planned.plan.digest, reason)
    verdict = await approvals(it).decide(run.id, said)
    assert verdict is not None
    return verdict.answer


async def card(it: Harness) -> Message:
    """The newest card as it is to be shown."""
    run = await it.run()
    key = f"asked.{last(run, Asked).key[0]}.{last(run, Asked).key[1]}"
    return next(post.message for post in await it.posts(run.id) if post.key == key)


def gated(quorum: int = 1) -> dict[str, object]:
    made = rule()
    (rung,) = made["remediate"]
    return {**made, "remediate": [{**rung, "gate": {"quorum": quorum}}]}


async def test_a_decision_is_on_the_card_with_the_very_write_that_stores_it(tmp_path: Path) -> None:
    """The run's owner may be slow, or another process: nobody should press what is decided."""
    async with Harness(tmp_path, gated()) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        await it.pass_time(SECOND)
        before = await card(it)
        answer = await say(it, "ann", reason="go")
        at_once = await card(it)
        await it.until_over()
        after = await card(it)

    assert before.choice is not None
    assert (Answer.TAKEN, "Approved by ann", None) == (answer, at_once.title, at_once.choice)
    assert at_once == after


async def test_two_of_two_are_told_one_after_the_other(tmp_path: Path) -> None:
    """The second person sees who was first, and the buttons are there until then."""
    async with Harness(tmp_path, gated(2)) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await say(it, "ann")
        await it.pass_time(MINUTE)
        one = await card(it)
        acted = list(it.world.effects)
        await say(it, "bob")
        two = await card(it)
        await it.until_over()

        assert "1 of 2: ann" in str(one.parts)
        assert one.choice is not None
        assert ([], "Approved by ann and bob", None) == (acted, two.title, two.choice)
        assert ["web"] == it.world.effects


@pytest.mark.parametrize(
    ("what", "title"),
    [
        ("nothing", "Nobody has decided in time"),
        ("resolve", "The alert is over: there is nothing to decide any more"),
        ("cancel", "Called off: there is nothing to decide any more"),
        ("deny", "Denied by ann"),
    ],
)
async def test_a_question_that_is_over_has_no_buttons(tmp_path: Path, what: str, title: str) -> None:
    """Whatever has ended it."""
    async with Harness(tmp_path, gated()) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        if what == "resolve":
            await it.deliver(alert(), resolved=True)
        elif what == "cancel":
            await it.say((await it.run()).id, Cancel(it.clock.now(), "bob", "stop"))
        elif what == "deny":
            await say(it, "ann", approved=False, reason="no")
        await it.pass_time(timedelta(minutes=16))
        shown = await card(it)

        assert (title, None) == (shown.title, shown.choice)
        assert [] == it.world.effects
