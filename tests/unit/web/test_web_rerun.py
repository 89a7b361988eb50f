"""The API that begins another run: who may ask, what is answered, and what is refused."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from remediator.model.ids import RuleId, RunId
from remediator.model.run import Again, Resolved
from remediator.pipeline.intake import NothingAnew
from remediator.pipeline.rerun import Begun
from remediator.web.shown import show_signal
from tests.unit.web.serving import Client, api, token

AT = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
NEW = (RunId("r2"), RuleId("p/r"))


class Reruns:
    """Knows the run r1, which may be begun anew, and the alert f, whose run is under way."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []

    async def of_run(self, run_id: RunId, by: str, reason: str, **said_by: Any) -> Begun | None:
        self.asked.append((run_id, by, reason))
        return Begun((NEW,), ()) if run_id == "r1" else None

    async def of_alert(self, fingerprint: str, by: str, reason: str, **said_by: Any) -> Begun | None:
        self.asked.append((fingerprint, by, reason))
        if fingerprint == "f":
            raise NothingAnew("run r1 of this alert is under way")
        return Begun((), (NEW,)) if fingerprint == "own-g" else None


@pytest.fixture
def reruns() -> Reruns:
    return Reruns()


@pytest.fixture
async def client(reruns: Reruns) -> AsyncIterator[Client]:
    async with api(reruns=reruns) as made:
        yield made


async def post(client: Client, path: str, said: Any, headers: Callable[[], Any] = token) -> tuple[int, Any]:
    async with client.post(f"/api/v1/{path}/rerun", json=said, headers=headers()) as answer:
        return answer.status, await answer.json()


async def test_a_run_is_begun_anew_in_somebodys_name(client: Client, reruns: Reruns) -> None:
    """The answer names the new runs, and who asks is handed on."""
    assert (201, {"runs": [{"id": "r2", "rule": "p/r"}], "joined": []}) == await post(
        client, "runs/r1", {"by": " ann ", "reason": "the disk is back"}
    )
    assert (201, {"runs": [], "joined": [{"id": "r2", "rule": "p/r"}]}) == await post(
        client, "alerts/own-g", {"by": "ann"}
    )
    assert [("r1", "ann", "the disk is back"), ("own-g", "ann", "")] == reruns.asked


@pytest.mark.parametrize(
    ("path", "said", "status", "why"),
    [
        ("runs/r9", {"by": "ann"}, 404, "there is no run r9"),
        ("runs/" + "r" * 65, {"by": "ann"}, 404, "there is no such run"),
        ("alerts/g", {"by": "ann"}, 404, "there is no alert g"),
        ("alerts/" + "g" * 200, {"by": "ann"}, 404, "there is no such alert"),
        ("alerts/f", {"by": "ann"}, 409, "run r1 of this alert is under way"),
        ("runs/r1", {"by": " "}, 400, "by is needed: who has it begun"),
        ("runs/r1", {"by": "ann", "force": True}, 400, "to have a run begun anew takes a JSON object: by, reason"),
        ("runs/r1", [], 400, "to have a run begun anew takes a JSON object: by, reason"),
        ("runs/r1", {"by": "ann", "reason": "x" * 2001}, 400, "reason is not a text of at most 2000 characters"),
    ],
)
async def test_what_is_refused_says_why(client: Client, path: str, said: Any, status: int, why: str) -> None:
    """A person reads it at night."""
    assert (status, {"error": why}) == await post(client, path, said)


@pytest.mark.parametrize("path", ["runs/r1", "alerts/own-g"])
async def test_only_who_has_the_token_may_ask(client: Client, reruns: Reruns, path: str) -> None:
    """It may lead to a change."""
    status, _ = await post(client, path, {"by": "ann"}, headers=dict)

    assert (401, []) == (status, reruns.asked)


def test_both_runs_show_who_has_asked() -> None:
    """The alert's end, in the old one, would be untrue."""
    new, old = show_signal(Again(AT, "ann", "the disk is back")), show_signal(Resolved(AT, anew="ann"))

    assert ("begun anew by ann", "the disk is back") == (new["text"], new["reason"])
    assert "ann has had another run begun for the alert, which fires still" == old["text"]
