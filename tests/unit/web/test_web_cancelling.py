"""Whoever cancels a run is told what will come of it: a step that is acting is let to its end."""

from dataclasses import replace

import pytest

from remediator.model.ids import StepId
from remediator.model.run import Cancel, Run, Undo
from tests.unit.web.a_run import (
    ASKED,
    EXAMINED,
    FINISHED,
    NOW,
    PLAN,
    PLANNED,
    RUN,
    STARTED,
    STEP,
    VERIFIED,
    Runs,
    run_with,
)
from tests.unit.web.serving import Client

TWO = replace(PLANNED, plan=replace(PLAN, steps=(STEP, replace(STEP, id=StepId("remediate.0.1")))))
LOOKED_AT = "whether it has helped is still looked at, and nothing else is begun"
DONE = f"its steps are done: {LOOKED_AT}; to have what it has changed put back: remediator undo {RUN.id}"


async def cancel(client: Client) -> tuple[int, str, bool]:
    async with client.post(f"/api/v1/runs/{RUN.id}/cancel", json={"by": "bob"}) as answer:
        said = await answer.json()
        return answer.status, said["says"], said["at_once"]


@pytest.mark.parametrize(
    ("run", "says", "at_once"),
    [
        (run_with(EXAMINED, PLANNED, ASKED), "", True),
        (
            run_with(EXAMINED, PLANNED, STARTED),
            f"its last step is acting, and is let to its end; then {LOOKED_AT}",
            False,
        ),
        (
            run_with(EXAMINED, TWO, STARTED),
            "a step is acting, and is let to its end; then the run ends, and the rest is not done",
            False,
        ),
        (run_with(EXAMINED, PLANNED, STARTED, FINISHED), DONE, False),
        (run_with(EXAMINED, PLANNED, STARTED, FINISHED, VERIFIED), DONE, False),
    ],
    ids=["it waits", "its last step acts", "one of two acts", "it is checked", "it is proven"],
)
async def test_what_will_come_of_it_is_said(client: Client, runs: Runs, run: Run, says: str, at_once: bool) -> None:
    """That it is cancelled is believed, and then it ends as healed."""
    runs.known[RUN.id] = run

    assert (202, says, at_once) == await cancel(client)
    assert ["bob"] == [wish.by for _, wish in runs.cancelled]


@pytest.mark.parametrize(
    ("before", "says"),
    [
        (Cancel(NOW, "ann"), "ann has cancelled it already, at 2026-01-31 12:00:00 UTC"),
        (
            Undo(NOW, "ann"),
            "ann has asked for its changes to be put back already, at 2026-01-31 12:00:00 UTC, which stops it as well",
        ),
    ],
)
async def test_who_cancels_once_more_is_told_so(client: Client, runs: Runs, before: Cancel | Undo, says: str) -> None:
    """The wish stands: nothing new is recorded."""
    runs.known[RUN.id] = run_with(EXAMINED, PLANNED, STARTED, signals=(before,))
    status, said, _ = await cancel(client)

    assert (202, []) == (status, runs.cancelled)
    assert said.startswith(f"{says}; its last step is acting")
