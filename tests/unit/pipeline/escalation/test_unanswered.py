"""A question that nobody answers, where others can be told: they are, and there is as much time again."""

from pathlib import Path
from typing import Any

from remediator.model.facts import Escalated, Prolonged
from remediator.model.message import Mention, QueuedPost
from remediator.model.run import Acknowledge
from remediator.pipeline.escalation.levels import Level
from tests.unit.pipeline.harness import MINUTE, SECOND, Harness, alert, rule

LEVELS = {"on-call": Level(("#on-call",), Mention("usergroup", "S0TEAM")), "pager": Level(("webhook:pager",))}


async def told_in(it: Harness, channel: str) -> list[QueuedPost]:
    return [post for post in await it.store.waiting_posts(1000) if post.run is None and post.channel == channel]


def asks_for_two_minutes(on_timeout: str) -> dict[str, Any]:
    gate = {"timeout": "2m", "on_timeout": on_timeout}
    remedy = {"name": "cure", "do": [{"test.act": {"name": "a"}}], "gate": gate}
    return rule(remediate=[remedy], escalate=[{"after": "15m", "to": "pager"}, {"after": "30m", "to": "on-call"}])


async def test_a_gate_that_nobody_answers_tells_each_level_and_gives_as_much_time_again(tmp_path: Path) -> None:
    """Whoever was asked is not there; whoever is told then can still decide."""
    async with Harness(tmp_path, asks_for_two_minutes("escalate"), levels=LEVELS) as it:
        seen = []
        await it.deliver(alert())
        for minutes in (1, 2, 2, 2):
            await it.pass_time(minutes * MINUTE)
            told = [len(await told_in(it, channel)) for channel in ("webhook:pager", "#on-call")]
            seen.append((told, await it.outcomes()))

        assert [([0, 0], [None]), ([1, 0], [None]), ([1, 1], [None]), ([1, 1], ["expired"])] == seen
        assert "nobody has approved the plan in time, and there is no other level to tell" in await it.ending()
        facts = (await it.run()).facts
        prolonged = [fact for fact in facts if isinstance(fact, Prolonged)]
        escalated = [fact for fact in facts if isinstance(fact, Escalated)]
        assert [2 * MINUTE, 2 * MINUTE] == [one.until - one.at for one in prolonged]
        assert all(told.at - one.at < SECOND for told, one in zip(escalated, prolonged, strict=True))
        assert [2 * MINUTE, 4 * MINUTE] == [one.after for one in escalated]


async def test_whoever_is_told_as_nobody_has_decided_is_told_how_long_it_has_lasted_and_how_to_decide(
    tmp_path: Path,
) -> None:
    """They are called for that; and that it has lasted as long as the level's own time would not be true."""
    async with Harness(tmp_path, asks_for_two_minutes("escalate"), levels=LEVELS) as it:
        await it.deliver(alert())
        await it.pass_time(3 * MINUTE)

        [post] = await told_in(it, "webhook:pager")
        assert f"remediator approve {(await it.run()).id}" in str(post.message)
        assert ("after", "2m") in post.message.data


async def test_a_prolonged_question_can_be_approved(tmp_path: Path) -> None:
    """That is what the time is for; and it survives a restart."""
    async with Harness(tmp_path, asks_for_two_minutes("escalate"), levels=LEVELS) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        await it.pass_time(3 * MINUTE)
        await it.crash()
        await it.decide()

        assert ["healed"] == await it.until_over()
        assert [1, 0] == [len(await told_in(it, channel)) for channel in ("webhook:pager", "#on-call")]


async def test_nobody_else_is_told_of_a_question_once_somebody_has_the_problem(tmp_path: Path) -> None:
    """They know of it; to page others for their plan would be noise."""
    async with Harness(tmp_path, asks_for_two_minutes("escalate"), levels=LEVELS) as it:
        await it.deliver(alert())
        await it.pass_time(MINUTE)
        await it.say((await it.run()).id, Acknowledge(it.clock.now(), "ana"))
        await it.pass_time(2 * MINUTE)

        assert "nobody has approved the plan in time, and ana has taken the problem on" in await it.ending()


async def test_a_gate_that_denies_leaves_each_level_its_own_time(tmp_path: Path) -> None:
    """The run is over, and the problem is not."""
    async with Harness(tmp_path, asks_for_two_minutes("deny"), levels=LEVELS) as it:
        seen = []
        await it.deliver(alert())
        for minutes in (3, 14, 14):
            await it.pass_time(minutes * MINUTE)
            told = [len(await told_in(it, channel)) for channel in ("webhook:pager", "#on-call")]
            seen.append((told, await it.outcomes()))

        assert [([0, 0], ["expired"]), ([1, 0], ["expired"]), ([1, 1], ["expired"])] == seen
