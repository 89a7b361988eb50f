"""The API takes a word on a step that nobody saw the end of, and a wish to undo, where it would come to something."""

from dataclasses import replace
from typing import Any

import pytest

from remediator.model.facts import (
    LateFinished,
    StepStatus,
)
from remediator.model.run import Run, Settle
from remediator.model.undo import Captured
from remediator.web.shown import show_run
from tests.unit.web.a_run import (
    ENDED,
    EXAMINED,
    FINISHED,
    NOW,
    PLANNED,
    RUN,
    STARTED,
    STEP,
    VERIFIED,
    WRONG_WISHES,
    Runs,
    get,
    run_with,
)
from tests.unit.web.serving import Client

UNKNOWN = replace(FINISHED, status=StepStatus.UNKNOWN, brief="nobody saw its end")
ENDED_UNKNOWN = run_with(EXAMINED, PLANNED, STARTED, UNKNOWN, VERIFIED, ENDED)
SETTLE = Settle(at=NOW, step=STEP.id, attempt=1, done=True, by="ann")
LATE = LateFinished(at=NOW, step=STEP.id, attempt=1, status=StepStatus.DONE, brief="restarted")


async def settle(client: Client, said: Any, run: str = RUN.id) -> tuple[int, Any]:
    async with client.post(f"/api/v1/runs/{run}/settle", json=said) as answer:
        return answer.status, await answer.json()


def test_what_nobody_saw_the_end_of_is_shown_until_it_is_settled() -> None:
    """A person has to find it to look into it."""
    unsettled = {"step": STEP.id, "attempt": 1, "sentence": STEP.sentence, "since": "2026-01-31T12:00:00Z"}

    assert unsettled == show_run(ENDED_UNKNOWN)["unsettled"]
    assert show_run(replace(ENDED_UNKNOWN, signals=(SETTLE,)))["unsettled"] is None
    assert show_run(run_with(EXAMINED, PLANNED, STARTED, UNKNOWN, LATE))["unsettled"] is None


@pytest.mark.parametrize("done", [True, False])
async def test_an_unknown_step_is_settled_in_somebodys_name(client: Client, runs: Runs, done: bool) -> None:
    """The thread says who knows it, and how."""
    runs.known[RUN.id] = ENDED_UNKNOWN

    assert (202, {}) == await settle(client, {"done": done, "by": "ann", "reason": "I looked"})
    ((run, word),) = runs.settled
    assert (RUN.id, STEP.id, 1, done, "ann", "I looked") == (
        run,
        word.step,
        word.attempt,
        word.done,
        word.by,
        word.reason,
    )


NOT_UNKNOWN = {
    "it is done": (run_with(EXAMINED, PLANNED, STARTED, FINISHED), "nothing of this run is unknown"),
    "it is acting": (run_with(EXAMINED, PLANNED, STARTED), "nothing of this run is unknown"),
    "its end came late": (run_with(EXAMINED, PLANNED, STARTED, UNKNOWN, LATE), "it was settled already"),
    "somebody has settled it": (replace(ENDED_UNKNOWN, signals=(SETTLE,)), "it was settled already"),
}


@pytest.mark.parametrize(("run", "why"), NOT_UNKNOWN.values(), ids=NOT_UNKNOWN.keys())
async def test_only_what_is_unknown_can_be_settled(client: Client, runs: Runs, run: Run, why: str) -> None:
    """What was seen, or said once, is not overruled."""
    runs.known[RUN.id] = run

    assert (409, {"error": why}) == await settle(client, {"done": True, "by": "bob"})
    assert [] == runs.settled


@pytest.mark.parametrize(
    ("said", "run", "status"),
    [
        pytest.param({"done": True, "by": ""}, RUN.id, 400, id="nobody"),
        pytest.param({"done": "yes", "by": "ann"}, RUN.id, 400, id="neither-done-nor-not"),
        pytest.param({"by": "ann"}, RUN.id, 400, id="nothing-said"),
        pytest.param({"done": True, "by": "ann", "step": "x"}, RUN.id, 400, id="unknown-field"),
        pytest.param([], RUN.id, 400, id="no-object"),
        pytest.param({"done": True, "by": "ann"}, "another", 404, id="no-such-run"),
    ],
)
async def test_a_wrong_settlement_settles_nothing(client: Client, runs: Runs, said: Any, run: str, status: int) -> None:
    """A lock must not be released by a typing mistake."""
    runs.known[RUN.id] = ENDED_UNKNOWN

    answered, _ = await settle(client, said, run)

    assert (status, []) == (answered, runs.settled)


async def test_settling_needs_the_admin_token(client: Client, runs: Runs) -> None:
    """Whoever may send alerts may not free what is locked."""
    runs.known[RUN.id] = ENDED_UNKNOWN
    async with client.post(
        f"/api/v1/runs/{RUN.id}/settle", json={"done": True, "by": "x"}, headers={"Authorization": "Bearer x"}
    ) as answer:
        assert (401, []) == (answer.status, runs.settled)


CAPTURED = Captured(at=NOW, round=1, step=STEP.id, attempt=1, before={"was": 1})
CHANGED = run_with(EXAMINED, PLANNED, CAPTURED, STARTED, FINISHED, VERIFIED, ENDED)


async def undo(client: Client, said: Any, run: str = RUN.id) -> tuple[int, Any]:
    async with client.post(f"/api/v1/runs/{run}/undo", json=said) as answer:
        return answer.status, await answer.json()


@pytest.mark.parametrize(("run", "ends_run"), [(CHANGED, False), (replace(CHANGED, facts=CHANGED.facts[:-1]), True)])
async def test_an_undo_is_stored_in_somebodys_name(client: Client, runs: Runs, run: Run, ends_run: bool) -> None:
    """The answer says what is put back, and whether the run is stopped for it; asking for that alone stores nothing."""
    runs.known[RUN.id] = run
    shown, nothing = await get(client, f"/api/v1/runs/{RUN.id}/undo"), list(runs.undone)
    status, answer = await undo(client, {"by": "ann", "reason": "it was me"})

    assert (200, answer, []) == (*shown, nothing)
    assert (202, ends_run, None) == (status, answer["ends_run"], answer["refused"])
    assert [(STEP.id, "can be put back", {"was": 1})] == [
        (change["step"], change["stands"], change["before"]) for change in answer["changes"]
    ]
    assert [(RUN.id, "ann", "it was me")] == [(of, wish.by, wish.reason) for of, wish in runs.undone]


async def test_an_undo_that_would_come_to_nothing_is_refused(client: Client, runs: Runs) -> None:
    """With the reason; that is what asking beforehand says as well."""
    runs.known[RUN.id] = run_with(ENDED)
    why = "this run has changed nothing, so there is nothing to put back"
    _, shown = await get(client, f"/api/v1/runs/{RUN.id}/undo")

    assert (409, {"error": why}) == await undo(client, {"by": "ann"})
    assert (why, []) == (shown["refused"], runs.undone)


@pytest.mark.parametrize(("said", "run", "status"), WRONG_WISHES)
async def test_a_wrong_undo_undoes_nothing(client: Client, runs: Runs, said: Any, run: str, status: int) -> None:
    """A typing mistake must not change anything."""
    runs.known[RUN.id] = CHANGED

    answered, _ = await undo(client, said, run)

    assert (status, []) == (answered, runs.undone)


async def test_a_run_that_is_forgotten_meanwhile_is_404(client: Client, runs: Runs) -> None:
    """Nothing would come of it."""
    runs.known[RUN.id], runs.is_gone = CHANGED, True

    assert (404, {"error": "the run is gone"}) == await undo(client, {"by": "ann"})


async def test_undoing_needs_the_admin_token(client: Client, runs: Runs) -> None:
    """Whoever may send alerts may not undo what others have done, nor see it."""
    runs.known[RUN.id] = CHANGED
    path, headers = f"/api/v1/runs/{RUN.id}/undo", {"Authorization": "Bearer x"}
    async with client.post(path, json={"by": "x"}, headers=headers) as answer:
        assert (401, []) == (answer.status, runs.undone)
    async with client.get(path, headers=headers) as answer:
        assert 401 == answer.status
