"""The http client and the bodies that it reads: their length, packing, charset and JSON."""

import gzip
import json
import zlib

import pytest
from aiohttp import web

from remediator.clients.http import HttpClient, parse_json
from remediator.errors import Failed
from tests.unit.clients.http_client.clients import LOOPBACK, Serve, a_client


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

    client = a_client(*LOOPBACK, max_body_kib=1)
    answer = await client.request("GET", await serve(endless))

    assert ("x" * 1024, True, None) == (answer.text, answer.truncated, answer.json)
    await client.close()


async def test_a_body_of_just_the_limit_is_whole(serve: Serve) -> None:
    """Off by one here would lose the JSON of an honest answer."""

    async def exact(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=b'"' + b"x" * 1022 + b'"')

    client = a_client(*LOOPBACK, max_body_kib=1)
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

    client = a_client(*LOOPBACK, max_body_kib=1)
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
