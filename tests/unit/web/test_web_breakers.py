"""The API over circuit breakers: what is listed, who may reset one, and what is refused."""

import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from remediator.model.system import Stand, SystemState
from tests.unit.web.serving import Client, api, token

OPEN = SystemState(
    name="redis:cache",
    family="redis",
    stand=Stand.OPEN,
    failures=5,
    opened_at=datetime(2026, 1, 31, 12, 0, tzinfo=UTC),
    asked_in=3.5,
    trouble="connection refused",
    calls=1,
    waiting=2,
)
HERE = SystemState("command:look", "command", None, 0, None, 0.0, "", 0, 0)


class Systems:
    """Two systems, of which one has a breaker."""

    def __init__(self) -> None:
        self.resets: list[tuple[str, str]] = []

    def states(self) -> Sequence[SystemState]:
        return (OPEN, HERE)

    async def reset(self, name: str, by: str, **said_by: Any) -> bool:
        self.resets.append((name, by))
        return name == OPEN.name


@pytest.fixture
def systems() -> Systems:
    return Systems()


@pytest.fixture
async def client(systems: Systems) -> AsyncIterator[Client]:
    async with api(breakers=systems) as running:
        yield running


async def reset(client: Client, said: Any, **headers: str) -> tuple[int, Any]:
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    async with client.post("/api/v1/breakers/reset", data=body, headers=headers or token()) as answer:
        return answer.status, await answer.json()


async def test_every_system_is_listed_as_it_stands(client: Client) -> None:
    """Times are times, and what has no breaker says so."""
    async with client.get("/api/v1/breakers", headers=token()) as answer:
        status, found = answer.status, await answer.json()

    assert 200 == status
    assert {
        "system": "redis:cache",
        "family": "redis",
        "state": "open",
        "failures": 5,
        "opened_at": "2026-01-31T12:00:00+00:00",
        "asked_in_seconds": 3.5,
        "trouble": "connection refused",
        "calls": 1,
        "waiting": 2,
    } == found["breakers"][0]
    assert ("command:look", None, None) == tuple(found["breakers"][1][key] for key in ("system", "state", "opened_at"))


async def test_a_reset_names_the_system_and_who_asks(client: Client, systems: Systems) -> None:
    """It is logged."""
    answered = await reset(client, {"system": "redis:cache", "by": " ann "})

    assert (200, {}) == answered
    assert [("redis:cache", "ann")] == systems.resets


async def test_a_breaker_that_is_not_there_is_told(client: Client) -> None:
    """A name is typed by hand."""
    assert (404, {"error": "there is no breaker redis:nobody"}) == await reset(
        client, {"system": "redis:nobody", "by": "ann"}
    )


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ([], "a reset is a JSON object: system, by"),
        ({"system": "a", "by": "ann", "all": True}, "a reset is a JSON object: system, by"),
        ({"system": 5, "by": "ann"}, "system and by are texts of at most 1000 characters"),
        ({"system": "a" * 1001, "by": "ann"}, "system and by are texts of at most 1000 characters"),
        ({"by": "ann"}, "system and by are needed: whose breaker, and who closes it"),
        ({"system": "a", "by": " "}, "system and by are needed: whose breaker, and who closes it"),
    ],
)
async def test_what_is_no_reset_is_refused(client: Client, systems: Systems, said: Any, error: str) -> None:
    """With what is wrong, and nothing is closed."""
    assert (400, {"error": error}) == await reset(client, said)
    assert [] == systems.resets


async def test_without_the_token_nothing_is_shown_or_closed(client: Client, systems: Systems) -> None:
    """Names may be those of hosts that a label gave."""
    async with client.get("/api/v1/breakers") as answer:
        listed = answer.status
    status, _ = await reset(client, {"system": "redis:cache", "by": "eve"}, **token("x" * 43))

    assert (401, 401) == (listed, status)
    assert [] == systems.resets


async def test_an_unknown_parameter_is_told(client: Client) -> None:
    """A filter that is ignored is taken for one that found everything."""
    async with client.get("/api/v1/breakers?open=true", headers=token()) as answer:
        assert (400, {"error": "there is no parameter 'open'; there is none"}) == (answer.status, await answer.json())
