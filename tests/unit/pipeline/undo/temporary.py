"""Rules that change something for a while, and what is told of putting it back."""

from typing import Any

from remediator.model.message import QueuedPost
from remediator.model.run import Undo
from tests.unit.pipeline.harness import MINUTE, Harness, alert, rule

NAME = "{{ labels.service }}"
HALF_AN_HOUR = 30 * MINUTE
SHIPPED, BOLD = "as shipped", "boldly"


def setting(way: str = BOLD, **more: Any) -> dict[str, Any]:
    return {"name": way, "do": [{"test.set": {"name": NAME, "way": way}}], **more}


def for_a_while(way: str = BOLD) -> dict[str, Any]:
    return setting(way, **{"for": "30m"})


def temporary(**changes: Any) -> dict[str, Any]:
    return rule(remediate=[for_a_while()], **changes)


async def healed(it: Harness) -> None:
    """A change was made, and it has helped."""
    it.world.on_act = it.world.heal
    await it.deliver(alert())
    assert ["healed"] == await it.until_over()
    assert BOLD == it.world.setting


async def undo(it: Harness, reason: str = "") -> None:
    await it.say((await it.run()).id, Undo(it.clock.now(), "ann", reason))


async def replies(it: Harness) -> list[QueuedPost]:
    return [post for post in await it.posts((await it.run()).id) if post.key != "parent"]


async def undone_posts(it: Harness) -> list[QueuedPost]:
    return [post for post in await replies(it) if post.key.startswith("undone")]
