"""A run that a storm holds is shown with the end that the storm has as of now: it moves with each alert that comes."""

from dataclasses import replace
from datetime import timedelta

import pytest

from remediator.model.ids import RunId
from remediator.model.outcome import Reason
from remediator.model.run import Run
from remediator.model.stop import EVERYTHING, Stop, StopKind
from tests.unit.web.a_run import EXAMINED, HELD, NOW, PLANNED, RUN, run_with
from tests.unit.web.serving import Nothing, api, token
from tests.unit.web.test_web_stops import Keeper

MINUTE = timedelta(minutes=1)
OF_RULE = Stop(StopKind.STORM, f"rule:{RUN.rule}", "", "remediator", NOW, NOW + 10 * MINUTE)
OF_ALL = replace(OF_RULE, scope=EVERYTHING, until=NOW + 20 * MINUTE)
OF_OTHERS = replace(OF_RULE, scope="rule:p/other", until=NOW + 30 * MINUTE)
A_PAUSE = replace(OF_RULE, kind=StopKind.PAUSE, until=NOW + 40 * MINUTE)


class Held(Nothing):
    def __init__(self, reason: Reason) -> None:
        self.run = run_with(EXAMINED, PLANNED, replace(HELD, reason=reason))

    async def read_run(self, run: RunId, /) -> Run | None:
        return self.run


@pytest.mark.parametrize(
    ("reason", "stops", "ends"),
    [
        (Reason.STORM, (OF_RULE, OF_OTHERS, A_PAUSE), "2026-01-31T12:10:00Z"),
        (Reason.STORM, (OF_RULE, OF_ALL), "2026-01-31T12:20:00Z"),
        (Reason.STORM, (OF_OTHERS,), None),
        (Reason.PAUSED, (OF_RULE, A_PAUSE), None),
    ],
    ids=["its rule's", "of everything as well", "another rule's", "it is held by something else"],
)
async def test_the_end_of_its_storm_is_shown(reason: Reason, stops: tuple[Stop, ...], ends: str | None) -> None:
    """Else it would look as if it were looked at again for ever."""
    async with api(token(), runs=Held(reason), stops=Keeper(list(stops))) as client:
        shown = await (await client.get(f"/api/v1/runs/{RUN.id}")).json()

    assert ends == shown["held"]["ends"]
