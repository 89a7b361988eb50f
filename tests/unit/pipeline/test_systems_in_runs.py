"""Whole runs on a system that is away: they end at once with the reason, and go on when it is back. In virtual time."""

from pathlib import Path

from remediator.errors import Unavailable
from remediator.model.facts import Examined
from tests.unit.pipeline.harness import SECOND, Harness, alert, last, rule


async def test_runs_on_what_is_away_end_at_once_and_heal_again_afterwards(tmp_path: Path) -> None:
    """Nobody has to do anything when it is back."""
    name = "{{ labels.service }}"
    cure = {"name": "cure", "when": "steps.state.sick", "do": [{"test.act": {"name": name}}]}
    async with Harness(tmp_path, rule(remediate=[cure])) as harness:
        harness.world.fail_look = Unavailable("connection refused")
        for number in range(5):
            await harness.deliver(alert(f"web-{number}"))
        away = await harness.until_over()
        harness.world.looks = 0
        await harness.deliver(alert("web-5"))
        left_alone, looks = (await harness.until_over())[-1], harness.world.looks
        said = last((await harness.runs())[-1], Examined).evidence["state"].brief
        harness.world.fail_look = None
        harness.world.on_act = harness.world.heal
        await harness.pass_time(20 * SECOND)
        await harness.deliver(alert("web-6"))
        healed = (await harness.until_over())[-1]

    assert ["told"] * 5 == away
    assert ("told", 0) == (left_alone, looks)
    assert said.startswith("not done: test did not answer 5 times in a row, so it is left alone")
    assert "healed" == healed
