"""What targets share can be given a name: two plans that have one in common are not carried out at once."""

from pathlib import Path
from typing import Any

import pytest

from remediator.model.facts import Held, Planned
from remediator.model.outcome import Reason
from tests.unit.pipeline.harness import SECOND, Harness, alert, last, rule

ACT = {"do": [{"test.act": {"name": "{{ labels.service }}"}}]}


@pytest.mark.parametrize(
    ("of_rule", "of_rung", "names"),
    [
        ({"lock": "database"}, {}, ("database",)),
        ({}, {"lock": ["disk", "proxy"]}, ("disk", "proxy")),
        ({"lock": ["proxy", "database"]}, {"lock": "proxy"}, ("database", "proxy")),
    ],
)
async def test_plans_with_a_name_in_common_wait_for_each_other(
    tmp_path: Path, of_rule: dict[str, Any], of_rung: dict[str, Any], names: tuple[str, ...]
) -> None:
    """On whatever targets; who waits is told who has the lock."""
    async with Harness(tmp_path, rule(remediate=[{**ACT, **of_rung}], **of_rule)) as it:
        await it.deliver(alert("web"))
        await it.pass_time(SECOND)
        await it.deliver(alert("db"))
        await it.pass_time(30 * SECOND)
        first, second = await it.runs()
        during = list(it.world.effects)

        assert names == last(second, Planned).plan.groups
        assert ["web"] == during
        assert Reason.TARGET_BUSY is last(second, Held).reason
        assert f"lock:{names[0]} is held by run {first.id}" == last(second, Held).detail
        assert ["not healed", "not healed"] == await it.until_over()
        assert ["web", "db"] == it.world.effects


async def test_others_do_not_wait(tmp_path: Path) -> None:
    """What shares nothing is done at once."""
    async with Harness(tmp_path, rule()) as it:
        await it.deliver(alert("web"))
        await it.deliver(alert("db"))
        await it.pass_time(30 * SECOND)

        assert ["db", "web"] == sorted(it.world.effects)


async def test_another_lock_makes_another_plan(tmp_path: Path) -> None:
    """Who approves a plan approves what it waits for, and what waits for it."""
    digests = set()
    for number, locks in enumerate([[], ["a"], ["a", "b"], ["b", "a"]]):
        folder = tmp_path / str(number)
        folder.mkdir()
        async with Harness(folder, rule(mode="gated", lock=locks)) as it:
            await it.deliver(alert())
            await it.pass_time(SECOND)
            digests.add(last(await it.run(), Planned).plan.digest)

    assert 3 == len(digests)
