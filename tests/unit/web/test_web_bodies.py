"""Bodies of any size, compressed, cut, slow or made to do harm, on a real loopback socket."""

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from remediator.web.body import Limits
from tests.unit.web.serving import FIRING, Service, serving, until

MIB = 1024 * 1024


def raw_deflate(data: bytes) -> bytes:
    squeeze = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return squeeze.compress(data) + squeeze.flush()


GROUP = json.dumps({"alerts": [{"labels": {"alertname": "Down", "pod": f"web-{n}"}} for n in range(9_000)]}).encode()
ENCODED = {
    "gzip": ("gzip", gzip.compress(FIRING), 202),
    "x-gzip in capitals": ("X-GZIP", gzip.compress(FIRING), 202),
    "deflate": ("deflate", zlib.compress(FIRING), 202),
    "deflate without a header": ("deflate", raw_deflate(FIRING), 202),
    "identity": ("identity", FIRING, 202),
    "gzip of much": ("gzip", gzip.compress(GROUP), 202),
    "gzip of blanks": ("gzip", gzip.compress(b" " * MIB + FIRING + b" " * 262_144), 202),
    "cut off": ("gzip", gzip.compress(FIRING)[:-9], 400),
    "damaged": ("gzip", gzip.compress(FIRING)[:30] + b"\xff" * 30, 400),
    "not compressed": ("gzip", FIRING, 400),
    "more after it": ("gzip", gzip.compress(FIRING) + b"x", 400),
    "nothing": ("gzip", b"", 400),
    "unknown": ("snappy", FIRING, 400),
    "brotli": ("br", FIRING, 400),
    "twice": ("gzip, gzip", gzip.compress(gzip.compress(FIRING)), 400),
}


@pytest.mark.parametrize(("encoding", "body", "status"), ENCODED.values(), ids=ENCODED.keys())
async def test_a_compressed_body_is_read(service: Service, encoding: str, body: bytes, status: int) -> None:
    """Proxies may compress; what cannot be read is the sender's mistake, never an error of ours."""
    assert status == (await service.post(body, **{"Content-Encoding": encoding}))[0]


@pytest.mark.parametrize("size", range(262_144 - 300, 262_144 + 300, 37))
async def test_a_compressed_body_around_the_size_of_a_piece_is_whole(service: Service, size: int) -> None:
    """What an inflater keeps inside when a piece is full must not be lost."""
    body = FIRING + b" " * (size - len(FIRING))

    assert 202 == (await service.post(gzip.compress(body), **{"Content-Encoding": "gzip"}))[0]


async def test_groups_of_any_size_up_to_the_limit_are_taken(service: Service) -> None:
    """Alertmanager sends a group as one body, and a 413 would repeat it for ever."""
    many = json.dumps({"alerts": [{"labels": {"pod": f"web-{n}", "x": "y" * 100}} for n in range(15_000)]}).encode()
    status, _, _ = await service.post(many)

    assert len(many) > 2 * MIB
    assert (202, 15_000) == (status, len(service.intake.accepted[0].alerts))


async def in_chunks(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 65_536):
        yield b" " * 65_536


async def test_a_body_over_the_limit_is_refused() -> None:
    """With a length it is refused by its length, without one at the first byte too many."""
    async with serving(webhook={"max_body_mib": 1}) as service:
        status, body, _ = await service.post(b" " * (MIB + 1))
        async with service.client.post("/api/v1/alerts", data=in_chunks(2 * MIB)) as chunked:
            assert (413, 413) == (status, chunked.status)
        assert "webhook.max_body_mib" in body["error"]
        assert 2 == service.answered(413)


def bomb(mib: int) -> bytes:
    squeeze = zlib.compressobj(1, wbits=zlib.MAX_WBITS | 16)
    return b"".join(squeeze.compress(bytes(MIB)) for _ in range(mib)) + squeeze.flush()


def resident_kib() -> int:
    """The most memory that this process has had since `clear_peak`."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0])


def clear_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


async def test_a_decompression_bomb_is_refused_without_its_memory() -> None:
    """1 MiB on the wire would be 1 GiB in memory."""
    body = bomb(1024)
    async with serving(webhook={"max_body_mib": 4}) as service:
        clear_peak()
        before = resident_kib()
        status, _, _ = await service.post(body, **{"Content-Encoding": "gzip"})
        grown_mib = (resident_kib() - before) / 1024

        assert 413 == status
        assert grown_mib < 64
        assert 202 == (await service.post())[0]


async def test_a_body_that_inflates_to_nothing_is_bounded_too() -> None:
    """Empty blocks give no output that could be counted."""
    squeeze = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    body = squeeze.compress(b"x") + squeeze.flush(zlib.Z_FULL_FLUSH) + b"\x00\x00\x00\xff\xff" * 300_000
    async with serving(webhook={"max_body_mib": 1}) as service:
        assert 413 == (await service.post(body, **{"Content-Encoding": "gzip"}))[0]


async def talk(service: Service, *, length: int, body: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send the head of a request, wait until it is being handled, and send a part of its body."""
    server = service.client.server
    reader, writer = await asyncio.open_connection(server.host, server.port)
    head = f"POST /api/v1/alerts HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
    writer.write(head.encode())
    async with asyncio.timeout(30):
        assert b"HTTP/1.1 100 Continue\r\n\r\n" == await reader.readuntil(b"\r\n\r\n")
    writer.write(body)
    await writer.drain()
    return reader, writer


async def test_a_slow_sender_is_given_up() -> None:
    """A body that trickles in for ever would hold its place for ever."""
    async with serving(limits=Limits(time=timedelta(milliseconds=100))) as service:
        reader, writer = await talk(service, length=len(FIRING), body=FIRING[:100])
        async with asyncio.timeout(30):
            line = await reader.readline()
        writer.close()
        await writer.wait_closed()

        assert b"HTTP/1.1 408 Request Timeout\r\n" == line
        assert 202 == (await service.post())[0]


async def test_a_sender_that_hangs_up_half_way_gives_its_room_back() -> None:
    """It happens with every restart of Alertmanager; the next body would find no place."""
    limits = Limits(held=1, patience=timedelta(seconds=30))
    async with serving(limits=limits, webhook={"max_body_mib": 1}) as service:
        _, writer = await talk(service, length=MIB, body=b" " * (MIB - 1))
        writer.transport.abort()

        assert 202 == (await service.post(FIRING + b" " * (MIB - len(FIRING))))[0]
        assert 1 == len(service.intake.accepted)


async def test_more_than_fits_at_once_waits_and_is_then_told_to_come_again() -> None:
    """All requests together stay within one bound."""
    limits = Limits(held=MIB, patience=timedelta(milliseconds=50))
    large = FIRING + b" " * (MIB // 2)
    async with serving(limits=limits, webhook={"max_body_mib": 1}) as service:
        service.intake.hang = asyncio.Event()
        first = asyncio.create_task(service.post(large))
        await until(lambda: service.intake.begun == 1)
        second_status, _, second_headers = await service.post(b" " * MIB)
        service.intake.hang.set()

        assert (503, "5") == (second_status, second_headers["Retry-After"])
        assert 202 == (await first)[0]
        assert 202 == (await service.post(large))[0]


async def test_the_largest_body_finds_room_when_it_is_alone() -> None:
    """Else raising webhook.max_body_mib would only turn a 413 into a 503 for ever."""
    async with serving(
        limits=Limits(held=1, patience=timedelta(milliseconds=50)), webhook={"max_body_mib": 1}
    ) as service:
        assert 202 == (await service.post(FIRING + b" " * (MIB - len(FIRING))))[0]


async def test_the_loop_turns_while_a_large_body_is_parsed(service: Service) -> None:
    """Heart beats and other requests must not wait for it."""
    many = json.dumps({"alerts": [{"labels": {"pod": f"web-{n}"}} for n in range(60_000)]}).encode()
    request = asyncio.create_task(service.post(many))
    alive = 0
    while not request.done():
        async with service.client.get("/healthz") as answer:
            alive += answer.status == 200

    assert 202 == (await request)[0]
    assert alive > 3
