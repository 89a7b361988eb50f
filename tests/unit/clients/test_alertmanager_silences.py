"""The Alertmanager client as it makes and ends silences, against servers that answer oddly."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from remediator.clients.alertmanager import CREATED_BY, AlertmanagerClient
from remediator.errors import Failed, OutcomeUnknown, Unavailable
from remediator.model.matchers import Matcher
from remediator.settings import AlertmanagerSettings
from tests.services import free_port

Serve = Callable[..., Awaitable[AlertmanagerClient]]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
DOWN = [Matcher("alertname", "Down")]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts a server that gives one answer to everything, or hangs up; gives a client of it."""
    servers: list[TestServer] = []
    clients: list[AlertmanagerClient] = []

    async def start(status: int, body: str) -> AlertmanagerClient:
        async def answer(request: web.Request) -> web.Response:
            if not status:
                assert request.transport is not None
                request.transport.abort()
            return web.Response(status=status or 200, text=body)

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        servers.append(TestServer(app))
        await servers[-1].start_server()
        url = f"http://127.0.0.1:{servers[-1].port}"
        clients.append(AlertmanagerClient(AlertmanagerSettings(url=url, timeout=timedelta(seconds=5))))
        return clients[-1]

    yield start
    for client in clients:
        await client.close()
    for server in servers:
        await server.close()


async def make(client: AlertmanagerClient) -> str:
    return await client.make_silence(DOWN, starts_at=NOW, ends_at=NOW + timedelta(hours=1), comment="c")


@pytest.mark.parametrize(
    ("status", "body", "error", "said"),
    [
        (400, '"bad matcher"', Failed, "Alertmanager answered 400 to POST /api/v2/silences: bad matcher"),
        (404, "nothing here", Failed, "answered 404"),
        (302, "", Failed, "answered 302"),
        (429, "", Unavailable, "answered 429"),
        (502, "<html>", OutcomeUnknown, "answered 502: <html>; it may have been done"),
        (200, "<html>", OutcomeUnknown, "a silence may have been made"),
        (200, '{"silenceID": "../x"}', OutcomeUnknown, "a silence may have been made"),
        (0, "", OutcomeUnknown, "it may have been done"),
    ],
)
async def test_only_what_may_have_been_made_is_unknown(
    serve: Serve, status: int, body: str, error: type[Exception], said: str
) -> None:
    """What cannot have been made may be tried again at once; what may have been is looked for before."""
    client = await serve(status, body)
    with pytest.raises(error, match=said):
        await make(client)


async def test_nothing_was_made_where_nobody_listens() -> None:
    """The connection itself was refused."""
    client = AlertmanagerClient(AlertmanagerSettings(url=f"http://127.0.0.1:{free_port()}"))
    with pytest.raises(Unavailable, match=r"check alertmanager\.url"):
        await make(client)
    await client.close()


async def test_an_empty_answer_to_an_end_is_well(serve: Serve) -> None:
    """That is how Alertmanager says it."""
    await (await serve(200, "")).end_silence("3f6e-1")


def a_silence(**changed: Any) -> dict[str, Any]:
    return {
        "id": "3f6e-1",
        "status": {"state": "active"},
        "matchers": [{"name": "alertname", "value": "Down", "isRegex": False}],
        "createdBy": CREATED_BY,
        "comment": "c",
        "startsAt": "2026-01-01T00:00:00Z",
        "endsAt": "2026-01-01T01:00:00Z",
        "updatedAt": "2026-01-01T00:00:00Z",
        **changed,
    }


@pytest.mark.parametrize(
    ("changed", "is_found"),
    [
        ({}, True),
        ({"status": {"state": "expired"}}, False),
        ({"createdBy": "ann"}, False),
        ({"matchers": [{"name": "alertname", "value": "Down", "isRegex": True, "isEqual": True}]}, False),
        ({"matchers": [{"name": "alertname", "value": "Down", "isRegex": False, "isEqual": False}]}, False),
        ({"matchers": [*a_silence()["matchers"], {"name": "a", "value": "b", "isRegex": False}]}, False),
        ({"matchers": []}, False),
    ],
    ids=["ours", "over", "another's", "a regular expression", "negated", "narrower", "of nothing"],
)
async def test_only_the_very_same_of_ours_is_found(serve: Serve, changed: dict[str, Any], *, is_found: bool) -> None:
    """The filter of the API finds narrower ones as well; and one before 0.22 tells no `isEqual`."""
    client = await serve(200, json.dumps([a_silence(**changed)]))
    found = await client.own_silences(DOWN)

    assert ["3f6e-1"] * is_found == [one.id for one in found]


@pytest.mark.parametrize(
    "body", ["{}", "[1]", '[{"status": 1}]', json.dumps([a_silence(id="../x")]), json.dumps([a_silence(endsAt="soon")])]
)
async def test_what_is_no_list_of_silences_is_not_taken_for_one(serve: Serve, body: str) -> None:
    """Else another would be made beside the one that is there."""
    client = await serve(200, body)
    with pytest.raises(Unavailable, match=r"check alertmanager\.url"):
        await client.own_silences(DOWN)
