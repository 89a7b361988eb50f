"""The http client against servers on loopback: what it reaches, follows, reads, and says of what went wrong."""

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import timedelta
from ipaddress import ip_network

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from remediator.clients.http import HttpClient, parse_json
from remediator.errors import Failed, NotAllowed, OutcomeUnknown, Unavailable
from remediator.settings import HttpSettings
from tests.services import free_port

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[[Handler], Awaitable[str]]

_LOOPBACK = ("127.0.0.0/8", "::1/128")
_BRIEFLY = timedelta(milliseconds=300)


def a_client(*allow: str, max_body_kib: int = 256) -> HttpClient:
    return HttpClient(
        HttpSettings(allow=tuple(map(ip_network, allow)), timeout=timedelta(seconds=20), max_body_kib=max_body_kib)
    )


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    """A client that may reach this machine."""
    made = a_client(*_LOOPBACK)
    yield made
    await made.close()


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts a server with one handler for every path; gives its URL."""
    servers: list[TestServer] = []

    async def start(handler: Handler) -> str:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        servers.append(TestServer(app))
        await servers[-1].start_server(shutdown_timeout=0.1)
        return f"http://127.0.0.1:{servers[-1].port}"

    yield start
    for server in servers:
        await server.close()


@pytest.fixture
def forever() -> Iterator[asyncio.Event]:
    """What a hanging handler waits for; set at the end, so that the server can stop."""
    event = asyncio.Event()
    yield event
    event.set()


async def _fine(_request: web.Request) -> web.StreamResponse:
    return web.json_response({"status": "fine"}, headers={"X-Version": "7", "Set-Cookie": "session=s3cret"})


async def test_an_answer_has_its_status_headers_and_value(client: HttpClient, serve: Serve) -> None:
    """Checks are written on these; a cookie is a secret and is left out."""
    url = await serve(_fine)

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
    port = (await serve(_fine)).rpartition(":")[2]

    answer = await client.request("GET", f"http://[::ffff:127.0.0.1]:{port}/")

    assert 200 == answer.status


async def test_a_name_with_one_allowed_address_is_reached_by_it(serve: Serve) -> None:
    """`localhost` is often two addresses; the one that is not allowed must not spoil the other."""
    client = a_client("127.0.0.0/8")
    port = (await serve(_fine)).rpartition(":")[2]

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


@pytest.mark.parametrize("headers", [{"X-A": "a\r\nX-B: b"}, {"X-A\r\n": "a"}, {"X A": "a"}, {"": "a"}, {"X-A": "a\0"}])
async def test_a_header_that_would_forge_another_is_refused(client: HttpClient, headers: dict[str, str]) -> None:
    """A header's value may come from a label. Nothing is sent, so it is no unknown outcome."""
    with pytest.raises(Failed, match="cannot be sent"):
        await client.request("POST", "http://127.0.0.1/", headers=headers)


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


async def test_a_long_body_is_cut(serve: Serve) -> None:
    """A server without an end must not fill our memory."""

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            try:
                await response.write(b"x" * 65536)
            except ConnectionError:
                return response

    client = a_client(*_LOOPBACK, max_body_kib=1)
    answer = await client.request("GET", await serve(endless))

    assert ("x" * 1024, True, None) == (answer.text, answer.truncated, answer.json)
    await client.close()


async def test_a_body_of_just_the_limit_is_whole(serve: Serve) -> None:
    """Off by one here would lose the JSON of an honest answer."""

    async def exact(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=b'"' + b"x" * 1022 + b'"')

    client = a_client(*_LOOPBACK, max_body_kib=1)
    answer = await client.request("GET", await serve(exact))

    assert (False, "x" * 1022) == (answer.truncated, answer.json)
    await client.close()


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_packed_body_is_unpacked_up_to_the_limit(serve: Serve, encoding: str) -> None:
    """A kilobyte can unpack to a gigabyte; only as much as is kept may ever be unpacked."""
    pack = gzip.compress if encoding == "gzip" else zlib.compress
    bomb, small = pack(bytes(50_000_000)), pack(b'{"a": 1}')

    async def packed(request: web.Request) -> web.StreamResponse:
        return web.Response(body=bomb if request.path == "/bomb" else small, headers={"Content-Encoding": encoding})

    client = a_client(*_LOOPBACK, max_body_kib=1)
    url = await serve(packed)
    honest = await client.request("GET", f"{url}/small")
    exploded = await client.request("GET", f"{url}/bomb")

    assert {"a": 1} == honest.json
    assert (1024, True) == (len(exploded.text), exploded.truncated)
    await client.close()


@pytest.mark.parametrize(("encoding", "body"), [("gzip", b"no gzip"), ("br", b"\x0b\x02\x80")])
async def test_a_body_that_cannot_be_unpacked_counts_as_cut(
    client: HttpClient, serve: Serve, encoding: str, body: bytes
) -> None:
    """The status is known all the same; only the text is not."""

    async def packed(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, headers={"Content-Encoding": encoding})

    answer = await client.request("GET", await serve(packed))

    assert (200, "", True) == (answer.status, answer.text, answer.truncated)


@pytest.mark.parametrize(
    ("body", "charset", "text"),
    [
        (b"caf\xe9", "iso-8859-1", "café"),
        (b"caf\xc3\xa9", "utf-8", "café"),
        (b"caf\xe9", "utf-8", "caf\ufffd"),
        (b"a\0b", "utf-8", "a\ufffdb"),
        (b"abc", "idna", "abc"),
        (b"abc", "hex", "abc"),
        (b"abc", "no-such-charset", "abc"),
    ],
)
async def test_text_is_read_by_its_charset(
    client: HttpClient, serve: Serve, body: bytes, charset: str, text: str
) -> None:
    """What cannot be read is replaced; an exotic charset is not looked into."""

    async def said(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, headers={"Content-Type": f"text/plain; charset={charset}"})

    assert text == (await client.request("GET", await serve(said))).text


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


async def test_two_bodies_are_a_mistake(client: HttpClient) -> None:
    """A request has one."""
    with pytest.raises(Failed, match="one body"):
        await client.request("POST", "http://127.0.0.1/", json=1, text="x")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no",
        "NaN",
        '{"a": Infinity}',
        "1e999",
        '"\\ud800"',
        '{"\\u0000": 1}',
        "[" * 100_000,
        "[" * 100 + "]" * 100,
        "9" * 10_000,
    ],
    ids=[
        "empty",
        "no json",
        "nan",
        "infinity",
        "too large",
        "surrogate",
        "nul",
        "bomb",
        "deep",
        "digits",
    ],
)
def test_json_that_could_not_be_stored_is_none(text: str) -> None:
    """An answer is kept with the run; one body must not break the store."""
    assert parse_json(text) is None


def test_json_is_the_value_it_says() -> None:
    """All its kinds."""
    value = {"a": [1, 2.5, True, None, "ä"]}

    assert value == parse_json(json.dumps(value))


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
