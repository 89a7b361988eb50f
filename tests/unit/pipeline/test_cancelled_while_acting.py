"""A person's wish to stop that comes when all steps have begun is told in the thread, whatever comes of the run."""

import asyncio
from pathlib import Path

from remediator.model.message import Text
from remediator.model.run import Cancel, Run
from tests.unit.pipeline.harness import MINUTE, SECOND, Harness, alert, rule


async def said(it: Harness, run: Run, key: str) -> tuple[str, list[str]]:
    """The title and the texts of one reply."""
    (message,) = [post.message for post in await it.posts(run.id) if post.key == key]
    return message.title, [part.text for part in message.parts if isinstance(part, Text)]


async def cancelled_while_acting(it: Harness) -> Run:
    it.world.pause = asyncio.Event()
    it.world.on_act = it.world.heal
    await it.deliver(alert())
    await it.pass_time(SECOND)
    run = await it.run()
    await it.say(run.id, Cancel(it.clock.now(), "ann", "wrong host"))
    await it.settle()
    it.world.pause.set()
    await it.settle()
    return run


async def test_it_is_told_while_the_proof_is_looked_for_and_with_the_end(tmp_path: Path) -> None:
    """Who wanted it, and why: else the thread tells of a run that healed, and of nobody."""
    async with Harness(tmp_path, rule()) as it:
        run = await cancelled_while_acting(it)
        title, texts = await said(it, run, "cancel.1")
        during = await it.outcomes()
        outcomes = await it.until_over()
        _, ending = await said(it, run, "ended.1")

        assert ([None], ["healed"]) == (during, outcomes)
        assert "ann wants it to stop" == title
        assert [
            "wrong host",
            "Its steps have ended: whether that has helped is still looked at, and nothing else is begun.",
        ] == texts
        assert "ann wanted it to stop: wrong host. What had begun was let to its end." in ending


async def test_it_is_told_once_also_over_a_restart(tmp_path: Path) -> None:
    """The proof is begun anew then; the word was said."""
    async with Harness(tmp_path, rule()) as it:
        run = await cancelled_while_acting(it)
        await it.crash()
        await it.until_over()

        assert 1 == len([post for post in await it.posts(run.id) if post.key == "cancel.1"])


async def test_it_is_told_of_what_recurs(tmp_path: Path) -> None:
    """It rests when it is cancelled, so no proof is looked for any more."""
    recurring = rule(remediate=[{"name": "cure", "do": [{"test.act": {"name": "web"}}], "every": "1d"}])
    async with Harness(tmp_path, recurring) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        await it.pass_time(MINUTE)
        run = await it.run()
        await it.say(run.id, Cancel(it.clock.now(), "ann"))
        await it.until_over()
        _, ending = await said(it, run, "ended.1")

        assert "ann wanted it to stop. What had begun was let to its end." in ending


async def test_a_run_that_ends_as_cancelled_says_it_once(tmp_path: Path) -> None:
    """Its end names who and why already."""
    async with Harness(tmp_path, rule(mode="gated")) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        run = await it.run()
        await it.say(run.id, Cancel(it.clock.now(), "ann", "wrong host"))
        await it.until_over()
        _, ending = await said(it, run, "ended.1")

        assert "ann cancelled it: wrong host" == ending[0]
        assert not [text for text in ending if "wanted it" in text]
