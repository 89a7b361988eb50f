"""The service as a process, and requests that nobody should send: no body upsets it."""

import asyncio
import gzip
import io
import json
import random
from collections.abc import Iterator, Mapping
from typing import Any

import aiohttp
import pytest

from tests import services
from tests.integration.delivering import PAYLOADS, body_of, down
from tests.served import Served


def odd_requests(chance: random.Random, count: int) -> Iterator[tuple[bytes, dict[str, str]]]:
    """Recorded bodies, bent in every way, with headers that may lie about them."""
    recorded = [path.read_bytes() for path in sorted(PAYLOADS.glob("*.json"))]
    for _ in range(count):
        body = chance.choice(BENDS)(chance, chance.choice(recorded))
        headers = {"Authorization": chance.choice(["Bearer hook", "Bearer hook", "Bearer hook", "Bearer x", "Basic"])}
        kind = chance.choice(["application/json", "text/plain", "application/json; charset=latin-1", "x"])
        encoding = chance.choice(["", "", "", "gzip", "deflate", "br", "identity"])
        if encoding == "gzip" and chance.random() < 0.7:
            body = gzip.compress(body)
        yield body, {**headers, "Content-Type": kind, **({"Content-Encoding": encoding} if encoding else {})}


def _noise(chance: random.Random, _body: bytes) -> bytes:
    return chance.randbytes(chance.randrange(400))


def _cut(chance: random.Random, body: bytes) -> bytes:
    return body[: chance.randrange(len(body))]


def _flip(chance: random.Random, body: bytes) -> bytes:
    bent = bytearray(body)
    for _ in range(chance.randrange(1, 8)):
        bent[chance.randrange(len(bent))] = chance.randrange(256)
    return bytes(bent)


def _replace(chance: random.Random, body: bytes) -> bytes:
    """One value somewhere in it becomes something else."""
    whole = json.loads(body)
    places: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        for key, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
            places.append((value, key))
            if isinstance(item, dict | list):
                walk(item)

    walk(whole)
    holder, key = chance.choice(places)
    if chance.random() < 0.2 and isinstance(holder, dict):
        del holder[key]
    else:
        holder[key] = chance.choice(ODD_VALUES)
    return json.dumps(whole).encode("utf-8", "surrogatepass")


def _nest(chance: random.Random, _body: bytes) -> bytes:
    depth = chance.choice([10, 1_000, 100_000])
    return b'{"alerts":' + b"[" * depth + b"]" * depth + b"}"


def _grow(chance: random.Random, body: bytes) -> bytes:
    return body + b" " * chance.choice([10, 2_000_000])


def _repeat(_chance: random.Random, body: bytes) -> bytes:
    return body + body


def _as_it_is(_chance: random.Random, body: bytes) -> bytes:
    return body


BENDS = (_noise, _cut, _flip, _replace, _replace, _replace, _nest, _grow, _repeat, _as_it_is)
ODD_VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 2**70, 1e308, "", "x" * 5000, "\x00", "\x1b[2J", "\ud800", "{{ 7 * 7 }}", [], {}, [[]],
    {"a": {}}, [None], "0000-00-00T00:00:00Z", "9999-12-31T23:59:59.999999999-23:59", "2026-02-30T00:00:00Z", "firing",
    "resolved", {"alertname": "Down", "service": "-rf /"}, {"alertname": "Down", "service": "web\nEOF"}, {"": ""},
)  # fmt: skip


@pytest.mark.parametrize("seed", [1, 2])
async def test_no_body_upsets_the_service(served: Served, seed: int) -> None:
    """Whoever can reach the webhook can send it anything; the next real alert must still find it well."""
    served.configure(mode="auto", webhook={"tokens": ["hook"], "max_body_mib": 1}, log={"level": "warning"})
    served.start()
    chance = random.Random(seed)
    places = asyncio.Semaphore(20)

    async def post(session: aiohttp.ClientSession, body: bytes, headers: Mapping[str, str]) -> int:
        async with (
            places,
            session.post(served.url + "/api/v1/alerts", data=io.BytesIO(body), headers=headers) as answer,
        ):
            said = await answer.read()
            assert len(said) < 1000
            return answer.status

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        statuses = await asyncio.gather(*(post(session, *odd) for odd in odd_requests(chance, 400)))
    after = served.ask("/api/v1/alerts", body=body_of(down()), headers={"Authorization": "Bearer hook"})[0]
    services.wait_until((served.folder / "mended-web").exists, "a real alert to be healed")
    services.wait_until(lambda: not served.get("/api/v1/runs?active=true")["runs"], "all runs to end")

    assert {202, 400, 401, 413} == set(statuses)
    assert 202 == after
    assert 200 == served.readiness()[0]
    assert [] == [line for line in served.log().splitlines() if "Traceback" in line or "request_failed" in line]
    assert {"mended-web"} == {path.name for path in served.folder.glob("mended*")}
    assert 0 == served.stop()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /api/v1/alerts HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
        b"POST /api/v1/alerts HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n{}",
        b"POST /api/v1/alerts HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"POST /api/v1/alerts HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /api/v1/alerts HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        b"POST /api/v1/alerts HTTP/1.1\r\n" + b"X: " + b"y" * 100_000 + b"\r\n\r\n",
        b"\x00" * 10_000,
    ],
    ids=["nothing", "tls", "version", "cut", "negative", "two-lengths", "chunk", "both", "huge-header", "zeros"],
)  # fmt: skip
async def test_bytes_that_are_no_request_are_refused(shared: Served, raw: bytes) -> None:
    """Scanners and broken proxies send such things all day."""
    reader, writer = await asyncio.open_connection("127.0.0.1", shared.port)
    writer.write(raw)
    writer.write_eof()
    async with asyncio.timeout(30):
        answer = await reader.read()
    writer.close()

    assert answer == b"" or answer.split(b" ")[1] in (b"400", b"505")
    assert 200 == shared.readiness()[0]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One service for tests that only knock at its door."""
    made = Served(tmp_path_factory.mktemp("served"))
    made.configure(log={"level": "warning"})
    made.start()
    yield made
    made.end()
