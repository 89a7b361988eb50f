"""What the thread tells of a ramp that has ended early."""

from pathlib import Path

import pytest

from remediator.errors import Failed, OutcomeUnknown
from remediator.model.message import Text
from tests.unit.pipeline.harness import Harness, alert
from tests.unit.pipeline.test_ramp import SEVEN, raises_at, sweeping


async def told(folder: Path, name: str, error: Exception) -> list[str]:
    """Which waves were not begun, as the thread has it, when one target goes wrong."""
    async with Harness(folder, sweeping()) as it:
        it.world.targets = 7
        it.world.on_act = raises_at(name, error)
        await it.deliver(alert())
        await it.until_over()
        posts = await it.posts((await it.run()).id)
        texts = [part.text for post in posts for part in post.message.parts if isinstance(part, Text)]
    return [text for text in texts if text.startswith("Not begun")]


@pytest.mark.parametrize("error", [Failed("it burns"), OutcomeUnknown("no answer")], ids=["failed", "unknown"])
async def test_the_waves_that_were_not_come_to_are_named(tmp_path: Path, error: Exception) -> None:
    """Whoever reads that one went wrong need not compare it with the plan."""
    (left,) = await told(tmp_path, "web-1", error)

    assert left.startswith(
        "Not begun, as the plan ends here: wave 3 of 3 (test:web-3, test:web-4, test:web-5, test:web-6): "
    )


async def test_after_the_last_one_nothing_is_left(tmp_path: Path) -> None:
    """Nothing is said where there is nothing to say."""
    assert [] == await told(tmp_path, SEVEN[-1], Failed("it burns"))
