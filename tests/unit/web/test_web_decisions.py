"""The API hands on who decides what about which plan, and takes a word only from somebody with a name."""

import json
from typing import Any

import pytest

from remediator.pipeline.approvals import Answer, Verdict
from tests.unit.web.a_run import PLAN, RUN, WRONG_WISHES, Runs
from tests.unit.web.serving import Client


async def decide(client: Client, said: Any, run: str = RUN.id) -> tuple[int, Any]:
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    async with client.post(f"/api/v1/runs/{run}/decision", data=body) as answer:
        return answer.status, await answer.json()


APPROVAL = {"approved": True, "digest": PLAN.digest, "by": "am"}


@pytest.mark.parametrize("approved", [True, False])
async def test_a_decision_is_handed_on_as_it_was_said(client: Client, runs: Runs, approved: bool) -> None:
    """Whether it counts is judged where it is stored; nothing is started here."""
    answer = await decide(client, {**APPROVAL, "approved": approved, "reason": " it is night "})
    ((run, said),) = runs.said

    assert (202, {"says": runs.verdict.says, "missing": 0}) == answer
    assert (RUN.id, approved, PLAN.digest, "am", "it is night", "127.0.0.1") == (
        run,
        said.approved,
        said.digest,
        said.person.shown,
        said.reason,
        said.origin,
    )


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer.TAKEN, 202),
        (Answer.NOT_ALLOWED, 403),
        (Answer.NEEDS_REASON, 400),
        (Answer.NOBODY_ASKS, 409),
        (Answer.DECIDED, 409),
        (Answer.SAID_BEFORE, 409),
        (Answer.CHANGED, 409),
        (Answer.EXPIRED, 409),
    ],
)
async def test_what_becomes_of_a_decision_is_answered(
    client: Client, runs: Runs, answer: Answer, expected: int
) -> None:
    """In the words of whoever has judged it."""
    runs.verdict = Verdict(answer, "this is why", missing=1)
    status, body = await decide(client, APPROVAL)

    assert (expected, "this is why") == (status, body.get("says") or body.get("error"))


async def test_a_decision_on_a_run_that_is_forgotten_meanwhile_is_404(client: Client, runs: Runs) -> None:
    """The run can go between reading and writing."""
    runs.is_gone = True

    assert 404 == (await decide(client, APPROVAL))[0]


async def test_a_decision_on_an_unknown_run_is_404(client: Client) -> None:
    """Not 409: there is nothing to look at again."""
    assert 404 == (await decide(client, APPROVAL, run="unknown"))[0]


BAD_DECISIONS: dict[str, Any] = {
    "no JSON": b"approved",
    "a list": [],
    "nothing": {},
    "approved a word": {**APPROVAL, "approved": "false"},
    "approved a number": {**APPROVAL, "approved": 1},
    "approved missing": {"digest": PLAN.digest, "by": "am"},
    "digest missing": {"approved": True, "by": "am"},
    "digest a number": {**APPROVAL, "digest": 1},
    "by missing": {"approved": True, "digest": PLAN.digest},
    "by blank": {**APPROVAL, "by": "  "},
    "by null": {**APPROVAL, "by": None},
    "reason too long": {**APPROVAL, "reason": "x" * 2001},
    "unknown field": {**APPROVAL, "aproved": False},
    "field twice": b'{"approved": true, "approved": false, "digest": "x", "by": "am"}',
    "half a character": b'{"approved": true, "digest": "x", "by": "\\ud800"}',
}


@pytest.mark.parametrize("said", BAD_DECISIONS.values(), ids=BAD_DECISIONS.keys())
async def test_a_decision_that_is_not_clear_is_refused(client: Client, runs: Runs, said: Any) -> None:
    """Nothing may be guessed about an approval."""
    status, _ = await decide(client, said)

    assert (400, []) == (status, runs.said)


@pytest.mark.parametrize(("missing", "told"), [("digest", "digest is needed: which plan"), ("by", "by is needed: who")])
async def test_what_a_decision_lacks_is_named(client: Client, missing: str, told: str) -> None:
    """Of the two that are needed, a token of the API has to give just one."""
    _, body = await decide(client, {name: value for name, value in APPROVAL.items() if name != missing})

    assert body["error"].startswith(told)


async def test_a_decision_is_a_small_body(client: Client) -> None:
    """The bound of the webhook is not needed here."""
    assert 413 == (await decide(client, b" " * 65_537))[0]


async def test_a_decision_needs_a_token(client: Client, runs: Runs) -> None:
    """Whoever may send alerts may not approve what they start."""
    async with client.post(
        f"/api/v1/runs/{RUN.id}/decision", json=APPROVAL, headers={"Authorization": "Bearer x"}
    ) as answer:
        assert (401, []) == (answer.status, runs.said)


async def cancel(client: Client, said: Any, run: str = RUN.id) -> tuple[int, Any]:
    async with client.post(f"/api/v1/runs/{run}/cancel", json=said) as answer:
        return answer.status, await answer.json()


async def test_a_run_is_cancelled_in_somebodys_name(client: Client, runs: Runs) -> None:
    """The thread says who stopped it, and why."""
    runs.known[RUN.id] = RUN

    assert (202, {"says": "", "at_once": True}) == await cancel(client, {"by": "ann", "reason": "I am on it"})
    assert [(RUN.id, "ann", "I am on it")] == [(run, wish.by, wish.reason) for run, wish in runs.cancelled]


@pytest.mark.parametrize(("said", "run", "status"), WRONG_WISHES)
async def test_a_wrong_cancellation_stops_nothing(client: Client, runs: Runs, said: Any, run: str, status: int) -> None:
    """A typing mistake must not look like success."""
    runs.known[RUN.id] = RUN

    answered, _ = await cancel(client, said, run)

    assert (status, []) == (answered, runs.cancelled)


async def test_what_has_ended_cannot_be_cancelled(client: Client, runs: Runs) -> None:
    """Whoever cancels has to know that it was too late."""
    runs.known[RUN.id], runs.has_ended = RUN, True

    status, _ = await cancel(client, {"by": "ann"})

    assert 409 == status
