"""The fault proxy itself: a chaos test whose fault does nothing would prove nothing."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from tests.faults import Fault, FaultProxy

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]
LIMIT = 30


class Echo:
    """Answers each line with itself, and remembers what it has heard."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.news = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                self.heard.append(line)
                self.news.set()
                writer.write(line)
                await writer.drain()
        except ConnectionError:
            self.heard.append(b"reset")
            self.news.set()
        finally:
            writer.close()

    async def until(self, *heard: bytes) -> None:
        async with asyncio.timeout(LIMIT):
            while self.heard != list(heard):
                self.news.clear()
                await self.news.wait()


@pytest.fixture
async def echo() -> AsyncIterator[tuple[Echo, str]]:
    made = Echo()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    yield made, f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()


@pytest.fixture
def proxy(echo: tuple[Echo, str]) -> Iterator[FaultProxy]:
    with FaultProxy(echo[1]) as made:
        yield made


@asynccontextmanager
async def connected(proxy: FaultProxy) -> AsyncIterator[Ends]:
    host, _, port = proxy.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def said(ends: Ends, line: bytes) -> bytes:
    ends[1].write(line)
    async with asyncio.timeout(LIMIT):
        return await ends[0].readline()


async def is_silent(ends: Ends) -> bool:
    """Whether nothing comes for a moment; something that came later fails the test that follows it."""
    try:
        async with asyncio.timeout(0.2):
            await ends[0].readline()
    except TimeoutError:
        return True
    return False


async def test_without_a_fault_it_passes_everything_on(proxy: FaultProxy) -> None:
    """Both ways, the end included."""
    async with connected(proxy) as ends:
        assert b"one\n" == await said(ends, b"one\n")
        ends[1].write_eof()
        async with asyncio.timeout(LIMIT):
            assert b"" == await ends[0].read()


async def test_what_hangs_flows_again_when_it_is_told_to(proxy: FaultProxy, echo: tuple[Echo, str]) -> None:
    """A frozen link loses nothing: neither on an open connection nor on one that was made meanwhile."""
    async with connected(proxy) as before:
        assert b"one\n" == await said(before, b"one\n")
        proxy.turn(Fault.HANG)
        async with connected(proxy) as during:
            before[1].write(b"two\n")
            during[1].write(b"three\n")

            assert await is_silent(before)
            assert await is_silent(during)
            assert [b"one\n"] == echo[0].heard

            proxy.turn(Fault.NONE)

            assert b"two\n" == await said(before, b"")
            assert b"three\n" == await said(during, b"")


async def test_what_is_delayed_comes_late(proxy: FaultProxy) -> None:
    """Slow is not gone."""
    async with connected(proxy) as ends:
        proxy.turn(Fault.DELAY, delay=0.5)
        ends[1].write(b"one\n")

        assert await is_silent(ends)
        assert b"one\n" == await said(ends, b"")


async def test_what_is_swallowed_was_done_and_is_never_heard_of(proxy: FaultProxy, echo: tuple[Echo, str]) -> None:
    """The most treacherous fault; the connection can only break afterwards, as bytes are missing."""
    async with connected(proxy) as ends:
        proxy.turn(Fault.SWALLOW)
        ends[1].write(b"one\n")
        await echo[0].until(b"one\n")

        assert await is_silent(ends)

        proxy.turn(Fault.NONE)
        with pytest.raises(ConnectionResetError):
            await said(ends, b"two\n")


@pytest.mark.parametrize("fault", [Fault.RESET, Fault.REFUSE, Fault.ERROR])
async def test_what_is_open_is_reset(proxy: FaultProxy, echo: tuple[Echo, str], fault: Fault) -> None:
    """An error at both ends, not an orderly end."""
    async with connected(proxy) as ends:
        assert b"one\n" == await said(ends, b"one\n")
        proxy.turn(fault)
        with pytest.raises(ConnectionResetError):
            await said(ends, b"")
        await echo[0].until(b"one\n", b"reset")


async def test_what_is_opened_is_reset(proxy: FaultProxy) -> None:
    """As by a firewall that has forgotten everything."""
    proxy.turn(Fault.RESET)
    with pytest.raises(ConnectionResetError):
        async with connected(proxy) as ends:
            await said(ends, b"one\n")


async def test_nobody_can_connect_until_it_is_over(proxy: FaultProxy) -> None:
    """The address stays the same, as that of a server that comes back."""
    proxy.turn(Fault.REFUSE)
    with pytest.raises(ConnectionRefusedError):
        async with connected(proxy):
            pass
    proxy.turn(Fault.NONE)
    async with connected(proxy) as ends:
        assert b"one\n" == await said(ends, b"one\n")


async def test_an_error_is_an_answer_over_http(proxy: FaultProxy, echo: tuple[Echo, str]) -> None:
    """From the proxy itself: the server hears nothing of it."""
    proxy.turn(Fault.ERROR)
    async with connected(proxy) as ends:
        answer = await said(ends, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")

    assert b"HTTP/1.1 500 Internal Server Error\r\n" == answer
    assert [] == echo[0].heard


async def test_a_connection_is_cut_at_a_word_by_turns_after_it_and_before_it(
    proxy: FaultProxy, echo: tuple[Echo, str]
) -> None:
    """Whoever sent it cannot tell which."""
    proxy.cut_at(b"COMMIT", every=2)
    for number in range(4):
        async with connected(proxy) as ends:
            word = b"COMMIT %d\n" % number
            if number % 2 == 0:
                assert word == await said(ends, word)
            else:
                with pytest.raises(ConnectionResetError):
                    await said(ends, word)

    assert 2 == proxy.cuts
    assert b"COMMIT 1\n" in echo[0].heard
    assert b"COMMIT 3\n" not in echo[0].heard
