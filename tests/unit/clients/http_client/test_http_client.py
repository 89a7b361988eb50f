"""The http client against servers on loopback: what it reaches, follows, reads, and says of what went wrong."""

import asyncio
import json
from datetime import timedelta

import pytest
from aiohttp import web

from remediator.clients.http import HttpClient
from remediator.errors import Failed, OutcomeUnknown, Unavailable
from tests.services import free_port
from tests.unit.clients.http_client.clients import Serve, fine

_BRIEFLY = timedelta(milliseconds=300)


async def test_an_answer_has_its_status_headers_and_value(client: HttpClient, serve: Serve) -> None:
    """Checks are written on these; a cookie is a secret and is left out."""
    url = await serve(fine)

    answer = await client.request("GET", url)

    assert 200 == answer.status
    assert {"status": "fine"} == answer.json
    assert '{"status": "fine"}' == answer.text
    assert "7" == answer.headers["x-version"]
    assert "set-cookie" not in answer.headers
    assert 0 < answer.seconds < 20
    assert not answer.truncated


async def test_an_error_status_is_an_answer(client: HttpClient, serve: Serve) -> None:
    """A check may expect a 503."""

    async def broken(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=503, text="out of order")

    answer = await client.request("GET", await serve(broken))

    assert (503, "out of order", None) == (answer.status, answer.text, answer.json)


@pytest.mark.parametrize(
    ("body", "content_type", "received"),
    [
        ({"json": {"a": ["ä"]}}, "application/json", {"a": ["ä"]}),
        ({"text": '"ä"'}, "text/plain; charset=utf-8", "ä"),
    ],
    ids=["json", "text"],
)
async def test_a_post_sends_its_body(
    client: HttpClient, serve: Serve, body: dict[str, object], content_type: str, received: object
) -> None:
    """Both kinds arrive as they were given."""

    async def echo(request: web.Request) -> web.StreamResponse:
        return web.json_response({"type": request.headers["Content-Type"], "body": json.loads(await request.read())})

    answer = await client.request("POST", await serve(echo), **body)  # type: ignore[arg-type]  # one of two keywords

    assert {"type": content_type, "body": received} == answer.json


async def test_headers_are_sent(client: HttpClient, serve: Serve) -> None:
    """Such as the token of the service that is called."""

    async def echo(request: web.Request) -> web.StreamResponse:
        return web.Response(text=request.headers["Authorization"])

    answer = await client.request("GET", await serve(echo), headers={"Authorization": "Bearer x"})

    assert "Bearer x" == answer.text


@pytest.mark.parametrize("headers", [{"X-A": "a\r\nX-B: b"}, {"X-A\r\n": "a"}, {"X A": "a"}, {"": "a"}, {"X-A": "a\0"}])
async def test_a_header_that_would_forge_another_is_refused(client: HttpClient, headers: dict[str, str]) -> None:
    """A header's value may come from a label. Nothing is sent, so it is no unknown outcome."""
    with pytest.raises(Failed, match="cannot be sent"):
        await client.request("POST", "http://127.0.0.1/", headers=headers)


async def test_nobody_listening_is_unavailable(client: HttpClient) -> None:
    """Refused before anything was sent: for a change too, surely nothing was done."""
    url = f"http://127.0.0.1:{free_port()}/"

    with pytest.raises(Unavailable, match=r"GET http://127\.0\.0\.1"):
        await client.request("GET", url)
    with pytest.raises(Unavailable, match=r"POST http://127\.0\.0\.1"):
        await client.request("POST", url, text="x")


async def test_an_unknown_name_is_unavailable(client: HttpClient) -> None:
    """A name server may be away for a moment."""
    with pytest.raises(Unavailable):
        await client.request("POST", "http://no-such-host.invalid/", text="x")


@pytest.mark.parametrize(("method", "error"), [("GET", Unavailable), ("POST", OutcomeUnknown)])
@pytest.mark.parametrize("when", ["before the head", "in the body"])
async def test_a_slow_answer_ends_at_the_time_limit(
    client: HttpClient, serve: Serve, forever: asyncio.Event, when: str, method: str, error: type[Exception]
) -> None:
    """Who reads can ask again; who changes something cannot know."""

    async def slow(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        if when == "in the body":
            await response.prepare(request)
            await response.write(b"well")
        await forever.wait()
        return response

    url = await serve(slow)
    with pytest.raises(error, match=r"no complete answer in 0\.3 s"):
        await client.request(method, url, timeout=_BRIEFLY)
    forever.set()


@pytest.mark.parametrize(("method", "error"), [("GET", Unavailable), ("POST", OutcomeUnknown)])
@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", b"what?\r\n\r\n"])
async def test_a_connection_that_breaks_is_unknown_for_a_change(
    client: HttpClient, method: str, error: type[Exception], said: bytes
) -> None:
    """The request had arrived; whether it was carried out, the broken answer does not say."""

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    with pytest.raises(error):
        await client.request(method, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", text="x")
    server.close()
    await server.wait_closed()


async def test_a_change_never_uses_a_kept_connection(client: HttpClient, serve: Serve) -> None:
    """A kept one may be closed by the server at any moment, and then the outcome would be unknown for no reason."""
    peers: list[object] = []

    async def note(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        peers.append(request.transport.get_extra_info("peername"))
        return web.Response()

    url = await serve(note)
    for method in ("GET", "GET", "POST", "POST"):
        await client.request(method, url)

    assert 3 == len(set(peers))
    assert peers[0] == peers[1]


async def test_cookies_are_not_kept(client: HttpClient, serve: Serve) -> None:
    """Two runs must not share a session at somebody's service."""
    seen: list[str | None] = []

    async def note(request: web.Request) -> web.StreamResponse:
        seen.append(request.headers.get("Cookie"))
        return web.Response(headers={"Set-Cookie": "session=1"})

    url = (await serve(note)).replace("127.0.0.1", "localhost")
    await client.request("GET", url)
    await client.request("GET", url)

    assert [None, None] == seen


async def test_headers_are_told_as_text_that_can_be_stored(client: HttpClient) -> None:
    """One byte that is no character, in a header of a health page, and no run that looks at it could be stored."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        long, many = b"X-Long: " + b"y" * 5000, b"".join(b"X-%d: 1\r\n" % n for n in range(110))
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\nX-Odd: \xff\xfe a\tb\r\n"
            + long + b"\r\n" + many + b"\r\nok"
        )  # fmt: skip
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        got = await client.request("GET", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")

    json.dumps(dict(got.headers), ensure_ascii=False).encode()  # raises for half a character
    assert ("ok", "\ufffd\ufffd a\tb") == (got.text, got.headers["x-odd"])
    assert 2000 == len(got.headers["x-long"])
    assert 100 == len(got.headers)
