"""A remedy whose first step only looks meets what the world says before it is begun, like any other."""

from pathlib import Path
from typing import Any

import pytest

from remediator.model.facts import Asked, Held, Started
from remediator.model.outcome import Reason
from remediator.model.run import Run
from remediator.pipeline.guards import Ask, Hold, Refuse, Review
from tests.unit.pipeline.guarded import ACT, HOUR, Said, newest
from tests.unit.pipeline.harness import MINUTE, Harness, alert, last, rule

LOOK: dict[str, Any] = {"test.look": {"name": "{{ labels.service }}"}}
LOOKS_FIRST = rule(remediate=[{"name": "cure", "do": [LOOK, ACT]}])


def begun(run: Run) -> list[Started]:
    return [fact for fact in run.facts if isinstance(fact, Started)]


async def test_a_person_is_asked_before_a_first_step_that_only_looks(tmp_path: Path) -> None:
    """Nobody is asked once a step has begun: the last healthy one of a pool would be changed without a word."""
    probe = Said(Ask(Reason.LAST_OF_POOL, "it is the last one", subject="pool"))
    async with Harness(tmp_path, LOOKS_FIRST, probes=[probe]) as it:
        await it.deliver(alert("web"))
        await it.pass_time(MINUTE)
        run = await newest(it)

        assert [] == it.world.effects
        assert (Reason.LAST_OF_POOL,) == last(run, Asked).reasons
        assert [] == begun(run)


@pytest.mark.parametrize(
    "review",
    [Refuse(Reason.TOO_MANY_TARGETS, "too many"), "held"],
    ids=["refused", "held"],
)
async def test_what_stands_in_the_way_does_so_before_a_first_step_that_only_looks(
    tmp_path: Path, review: Review | str
) -> None:
    """What counts whole plans is not counted any more once a step has begun, so it has to be heard before."""
    probe = Said()
    async with Harness(tmp_path, LOOKS_FIRST, probes=[probe]) as it:
        until = it.clock.now() + HOUR
        probe.review = Hold(Reason.COOLING_DOWN, until, "deployed") if isinstance(review, str) else review
        await it.deliver(alert("web"))
        await it.pass_time(MINUTE)
        run = await newest(it)

        assert [] == begun(run)
        assert isinstance(review, Refuse) or Reason.COOLING_DOWN is last(run, Held).reason
