"""The http client and where it may connect to: by address, by name, by a redirect."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from remediator.clients.http import HttpClient
from remediator.errors import Failed, NotAllowed
from remediator.settings import HttpSettings
from tests.services import free_port
from tests.unit.clients.http_client.clients import Serve, a_client, fine


@pytest.fixture
async def elsewhere() -> AsyncIterator[HttpClient]:
    """A client that may reach another network only."""
    made = a_client("10.0.0.0/8")
    yield made
    await made.close()


@pytest.fixture
async def door() -> AsyncIterator[tuple[int, list[str]]]:
    """A port of this machine, and who has knocked there."""
    knocks: list[str] = []

    async def note(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        knocks.append("knock")
        writer.close()

    server = await asyncio.start_server(note, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1], knocks
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "0x7f.1"])
async def test_an_address_outside_the_allowed_networks_is_never_connected_to(
    elsewhere: HttpClient, door: tuple[int, list[str]], host: str, method: str
) -> None:
    """Names, notations and mapped addresses all lead to a socket, and there the check is."""
    port, knocks = door

    with pytest.raises(NotAllowed, match=r"http\.allow"):
        await elsewhere.request(method, f"http://{host}:{port}/")

    assert [] == knocks


@pytest.mark.parametrize("host", ["2130706433", "127.1", "017700000001"])
async def test_an_odd_notation_of_an_address_is_refused(
    client: HttpClient, door: tuple[int, list[str]], host: str
) -> None:
    """Who writes an address like that wants it to be misread, even where the address is allowed."""
    port, knocks = door

    with pytest.raises(Failed, match="not a canonical IPv4 address"):
        await client.request("POST", f"http://{host}:{port}/")

    assert [] == knocks


async def test_nothing_is_allowed_by_default() -> None:
    """The shipped settings reach nothing: a URL may carry a label, and a label is anybody's."""
    client = HttpClient(HttpSettings())

    with pytest.raises(NotAllowed, match=r"127\.0\.0\.1 is in none of the networks of http\.allow"):
        await client.request("GET", f"http://127.0.0.1:{free_port()}/")

    await client.close()


async def test_a_mapped_address_of_an_allowed_network_is_reached(client: HttpClient, serve: Serve) -> None:
    """Unmapping works both ways: it is the same server."""
    port = (await serve(fine)).rpartition(":")[2]

    answer = await client.request("GET", f"http://[::ffff:127.0.0.1]:{port}/")

    assert 200 == answer.status


async def test_a_name_with_one_allowed_address_is_reached_by_it(serve: Serve) -> None:
    """`localhost` is often two addresses; the one that is not allowed must not spoil the other."""
    client = a_client("127.0.0.0/8")
    port = (await serve(fine)).rpartition(":")[2]

    answer = await client.request("GET", f"http://localhost:{port}/")

    assert 200 == answer.status
    await client.close()


@pytest.mark.parametrize(
    "url",
    [
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "127.0.0.1:80/",
        "http://",
        "/health",
        "",
        "http://127.0.0.1:99999/",
        "http://[::1/",
    ],
)
async def test_what_is_not_a_web_address_is_refused(client: HttpClient, url: str) -> None:
    """The same mistake will never work, so it is not worth another try."""
    with pytest.raises(Failed, match="is not a URL"):
        await client.request("GET", url)


async def test_a_user_in_the_url_is_refused_and_not_told(client: HttpClient) -> None:
    """Passwords in addresses end up in logs; and a label could put `@` into one to reach another host."""
    with pytest.raises(Failed, match="carries a user") as refusal:
        await client.request("GET", "http://admin:hunter2@127.0.0.1/")

    assert "hunter2" not in str(refusal.value)


async def test_a_redirect_within_its_origin_is_followed(client: HttpClient, serve: Serve) -> None:
    """`/health` → `/health/` is everyday."""

    async def onward(request: web.Request) -> web.StreamResponse:
        if request.path != "/end":
            raise web.HTTPFound("/end")
        return web.Response(text="here")

    answer = await client.request("GET", f"{await serve(onward)}/begin")

    assert (200, "here") == (answer.status, answer.text)


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_a_redirect_to_another_origin_is_not_followed(client: HttpClient, serve: Serve, code: int) -> None:
    """Else any service that may be asked decides what else is asked."""
    asked: list[str] = []

    async def other(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        return web.Response()

    elsewhere = await serve(other)

    async def onward(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=code, headers={"Location": f"{elsewhere}/secret"})

    with pytest.raises(NotAllowed, match="another origin"):
        await client.request("GET", await serve(onward))

    assert [] == asked


async def test_endless_redirects_end(client: HttpClient, serve: Serve) -> None:
    """Three are followed, the fourth is one too many."""
    asked: list[str] = []

    async def onward(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        raise web.HTTPFound(f"/{len(asked)}")

    with pytest.raises(Failed, match="more than 3 redirects"):
        await client.request("GET", await serve(onward))

    assert ["/", "/1", "/2", "/3"] == asked


async def test_a_redirected_post_is_not_sent_again(client: HttpClient, serve: Serve) -> None:
    """Sending a change twice is never ours to decide; the answer is told as it is."""
    asked: list[str] = []

    async def onward(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        raise web.HTTPTemporaryRedirect("/again")

    answer = await client.request("POST", f"{await serve(onward)}/do", text="x")

    assert 307 == answer.status
    assert ["/do"] == asked
