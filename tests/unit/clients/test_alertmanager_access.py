"""Whether a call gets to Alertmanager, told by who has answered it; nothing can come of what is asked."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from remediator.clients.alertmanager import AlertmanagerClient
from remediator.errors import Failed, Unavailable
from remediator.settings import AlertmanagerSettings
from tests.services import free_port

Serve = Callable[[int, str], Awaitable[AlertmanagerClient]]
READ, MAKE, END = "GET /api/v2/silences", "POST /api/v2/silences", "DELETE /api/v2/silence/{id}"
FAULTY = '{"code": 602, "message": "comment in body is required"}'


@pytest.fixture
async def asked() -> list[tuple[str, str, bytes]]:
    """What the server has been asked: method, path and body."""
    return []


@pytest.fixture
async def serve(asked: list[tuple[str, str, bytes]]) -> AsyncIterator[Serve]:
    """Starts a server that gives one answer to everything; gives a client of it."""
    ends: list[Callable[[], Awaitable[None]]] = []

    async def start(status: int, body: str) -> AlertmanagerClient:
        async def answer(request: web.Request) -> web.Response:
            asked.append((request.method, request.path, await request.read()))
            return web.Response(status=status, text=body)

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        server = TestServer(app)
        await server.start_server()
        client = AlertmanagerClient(AlertmanagerSettings(url=f"http://127.0.0.1:{server.port}"))
        ends.extend([client.close, server.close])
        return client

    yield start
    for end in ends:
        await end()


@pytest.mark.parametrize(
    ("call", "status", "body"), [(READ, 200, "[]"), (MAKE, 422, FAULTY), (MAKE, 400, FAULTY), (END, 422, FAULTY)]
)
async def test_alertmanager_says_what_is_wrong_with_it(serve: Serve, call: str, status: int, body: str) -> None:
    """So it was let through."""
    assert await (await serve(status, body)).allows(call)


@pytest.mark.parametrize("status", [401, 403, 405])
@pytest.mark.parametrize("call", [READ, MAKE, END])
async def test_a_refusal_is_none_of_its_answers(serve: Serve, call: str, status: int) -> None:
    """It asks for no login itself, and knows these calls."""
    assert not await (await serve(status, "<h1>no</h1>")).allows(call)


@pytest.mark.parametrize(
    ("call", "status", "body"),
    [
        (READ, 200, "<h1>welcome</h1>"),
        (READ, 200, '[{"id": "another"}]'),
        (READ, 302, ""),
        (MAKE, 200, '{"silenceID": "x"}'),
        (MAKE, 400, "bad request"),
        (MAKE, 404, "not here"),
        (MAKE, 502, "bad gateway"),
        (END, 200, ""),
        (END, 422, '{"error": "no"}'),
        (END, 500, '"something"'),
    ],
)
async def test_any_other_answer_tells_nothing(serve: Serve, call: str, status: int, body: str) -> None:
    """What stands there is not what the settings say, or something stands in between."""
    client = await serve(status, body)
    with pytest.raises(Failed):
        await client.allows(call)


async def test_what_is_asked_for_can_not_be_done(serve: Serve, asked: list[tuple[str, str, bytes]]) -> None:
    """A silence needs matchers, times and a comment, and its id is a UUID: not even an odd server finds work in it."""
    client = await serve(403, "")
    for call in (READ, MAKE, END):
        await client.allows(call)

    nobody = "/api/v2/silence/remediator-asks-for-its-rights"
    expected = [("GET", "/api/v2/silences", b""), ("POST", "/api/v2/silences", b"{}"), ("DELETE", nobody, b"")]
    assert expected == asked


async def test_another_call_is_not_made(serve: Serve, asked: list[tuple[str, str, bytes]]) -> None:
    """A plug-in may need one of which something would come."""
    client = await serve(200, "")
    with pytest.raises(Failed, match="cannot be asked without doing it"):
        await client.allows("POST /api/v2/alerts")

    assert [] == asked


async def test_nobody_there_is_no_refusal() -> None:
    """It is told as of any service."""
    client = AlertmanagerClient(AlertmanagerSettings(url=f"http://127.0.0.1:{free_port()}"))
    with pytest.raises(Unavailable):
        await client.allows(MAKE)
    await client.close()
