"""One alert that comes and goes is no storm: the others of its rule are healed meanwhile."""

from pathlib import Path

import pytest

from remediator.model.stop import StopKind
from tests.unit.pipeline.harness import MINUTE, SECOND, Harness, alert, rule
from tests.unit.pipeline.test_storms import stormy

RULE = "rule:p/sick"


@pytest.mark.parametrize(
    ("names", "storms"), [(["web"] * 8, []), ([f"web-{n}" for n in range(8)], [(StopKind.STORM, RULE)])]
)
async def test_a_storm_is_of_distinct_alerts(
    tmp_path: Path, names: list[str], storms: list[tuple[StopKind, str]]
) -> None:
    """Eight runs of a rule in three minutes: of one alert that flaps, or of eight targets. Then one more falls ill."""
    async with Harness(tmp_path, rule(), limits=stormy()) as it:
        it.world.on_act = it.world.heal
        for name in names:
            it.world.sick = True
            await it.deliver(alert(name))
            await it.pass_time(10 * SECOND)
            await it.deliver(alert(name), resolved=True)
            await it.pass_time(10 * SECOND)
        it.world.sick = True
        await it.deliver(alert("db"))
        await it.pass_time(MINUTE)

        assert 9 == len(await it.runs())
        assert storms == [(stop.kind, stop.scope) for stop in await it.process.stops.standing()]
        assert (not storms) is ("db" in it.world.effects)
