"""While chat is not told of anything, a rule that acts by itself asks a person, and nobody's answer is a no."""

from pathlib import Path

from remediator.model.facts import Asked, Ended
from remediator.model.outcome import Reason
from remediator.pipeline.guards.dead_man import DeadMan
from remediator.pipeline.guards.guard import Case, Review
from tests.unit.pipeline.guarded import decide, newest
from tests.unit.pipeline.harness import MINUTE, SECOND, Harness, alert, last, rule


class OfHarness:
    """The guard on the store of a harness, in which nobody sends what waits."""

    def __init__(self) -> None:
        self.guard: DeadMan | None = None

    async def look(self, case: Case) -> Review:
        assert self.guard is not None
        return await self.guard.look(case)


async def test_nothing_is_begun_behind_everybodys_back(tmp_path: Path) -> None:
    """What could be told in time goes by itself; later a person can approve it, and without one it expires."""
    probe = OfHarness()
    async with Harness(tmp_path, probes=[probe]) as it:
        probe.guard, it.world.on_act = DeadMan(it.store, None), it.world.heal
        await it.deliver(alert("a"))
        await it.until_over()
        await it.pass_time(16 * MINUTE)
        await it.deliver(alert("b"))
        await it.pass_time(SECOND)
        asked, before = last(await newest(it), Asked), list(it.world.effects)
        await decide(it)
        await it.until_over()
        await it.deliver(alert("c"))

        assert asked.why.startswith(f"{Reason.CANNOT_TELL}: ")
        assert ["a"] == before
        assert ["healed", "healed", "expired"] == await it.until_over(limit=120 * MINUTE)
        assert ["a", "b"] == it.world.effects


async def test_where_nobody_can_be_asked_it_only_observes(tmp_path: Path) -> None:
    """Who looks later reads why nothing was done, and that nobody has ignored a question."""
    async with Harness(tmp_path, rule(mode="gated")) as it:
        await it.deliver(alert("a"))
        await it.until_over()

        ending = await it.ending()
        assert ending.startswith(
            "expired: nobody has approved the plan in time, and nobody may have been asked: chat was"
        )
        assert ending.endswith("So it was only observed")
        assert [] == it.world.effects


async def test_a_question_that_was_told_and_not_answered_is_a_no(tmp_path: Path) -> None:
    """What waits for chat since then says nothing of the question."""
    async with Harness(tmp_path, rule(mode="gated")) as it:
        await it.deliver(alert("a"))
        await it.pass_time(MINUTE)
        for post in await it.posts((await it.run()).id):
            await it.store.note_sent(post.seq, post.version, "ref")
        await it.deliver(alert("b"))
        await it.until_over()

        first, second = await it.runs()
        assert "nobody has approved the plan in time" == last(first, Ended).brief
        assert "nobody may have been asked" in last(second, Ended).brief
