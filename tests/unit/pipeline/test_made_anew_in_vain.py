"""A plan whose target is gone is made anew, and where that is in vain, less and less often."""

from datetime import timedelta
from pathlib import Path

from remediator.model.facts import Examined
from remediator.model.outcome import Reason
from remediator.pipeline.guards import Allow, Case, Hold, Review
from tests.unit.pipeline.harness import MINUTE, SECOND, Harness, alert, rule

HOUR = timedelta(hours=1)


class Gone:
    """A probe that cannot find what the plan names, whatever that is."""

    def __init__(self) -> None:
        self.is_gone = True

    async def look(self, case: Case) -> Review:
        gone = Hold(Reason.POOL_UNCERTAIN, case.at + 30 * SECOND, "no such container", is_outdated=True)
        return gone if self.is_gone else Allow()


async def test_few_posts_tell_of_an_hour_in_vain(tmp_path: Path) -> None:
    """Evidence, plan and hold every half minute would bury everything else in the channel."""
    async with Harness(tmp_path, rule(), probes=[Gone()]) as it:
        await it.deliver(alert())
        await it.pass_time(HOUR - MINUTE)
        run = await it.run()
        rounds, posts = sum(isinstance(fact, Examined) for fact in run.facts), len(await it.posts(run.id))
        await it.pass_time(2 * MINUTE)

        assert (10, ["expired"]) == (rounds, await it.until_over())
        assert posts <= 4 * rounds


async def test_it_goes_on_soon_where_it_was_in_vain_once(tmp_path: Path) -> None:
    """Most often the target has come back by the next look."""
    probe = Gone()
    async with Harness(tmp_path, rule(), probes=[probe]) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        await it.pass_time(MINUTE)
        probe.is_gone = False

        assert ["healed"] == await it.until_over(limit=2 * MINUTE)
