"""What a run has changed for a while goes back when a person has another run begun; what is told of it is true."""

from pathlib import Path

from remediator.pipeline.rerun import Reruns
from tests.unit.pipeline.harness import MINUTE, Harness, alert
from tests.unit.pipeline.undo.temporary import temporary


async def test_nobody_is_told_that_an_alert_has_resolved_which_fires_still(tmp_path: Path) -> None:
    """Who reads at night that it has resolved goes back to bed."""
    async with Harness(tmp_path, temporary(mode="auto")) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        await it.until_over()
        old = await it.run()
        reruns = Reruns(it.store, it.process.intake, it.clock, it.process.intake._redactor)
        await reruns.of_run(old.id, "ann", "it is not well")
        undone: list[str] = []
        for _ in range(20):  # the new run may be acting on the same just then
            await it.pass_time(MINUTE)
            undone = [str(post.message) for post in await it.posts(old.id) if post.key.startswith("undone")]
            if undone:
                break

        (text,) = undone
        assert "has resolved" not in text
        assert "for as long as this run has the alert, and ann has had another run begun for it" in text
