"""A small TCP proxy that misbehaves on request: it stands between the service under test and anything that it needs.

It runs on a thread of its own, so that it goes on while a test waits:

    with FaultProxy(server.address) as link:
        served.configure(redis={"default": {"url": f"redis://{link.address}"}})
        ...
        link.turn(Fault.HANG)

The kernel here has no netem; what a broken network or a broken server does to a connection is played by hand.
"""

import asyncio
import socket
import struct
import threading
from contextlib import suppress
from enum import StrEnum
from types import TracebackType
from typing import Any, Self

_PATIENCE = 10.0  # seconds that a test waits for the proxy's own thread
_CHUNK = 65536
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: on, zero seconds: what is closed is reset
_BROKEN = (
    b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/plain\r\nContent-Length: 7\r\n"
    b"Connection: close\r\n\r\nbroken\n"
)


class Fault(StrEnum):
    """What the proxy does to connections, those that are open included."""

    NONE = "none"
    """Pass everything on. What was kept back flows again."""
    DELAY = "delay"
    """Keep each piece back for a while, in both directions."""
    HANG = "hang"
    """Take connections, and pass nothing on."""
    SWALLOW = "swallow"
    """Pass on what is asked, and lose the answers: what was done there is never heard of here."""
    RESET = "reset"
    """Reset what is open, and whatever is opened."""
    REFUSE = "refuse"
    """Reset what is open, and let nobody connect."""
    ERROR = "error"
    """Reset what is open, and answer 500 over HTTP by itself."""


_LEAVES_NOTHING_OPEN = frozenset({Fault.RESET, Fault.REFUSE, Fault.ERROR})


class _Link:
    """One connection through the proxy."""

    def __init__(self, near: asyncio.StreamWriter) -> None:
        self.near = near
        self.far: asyncio.StreamWriter | None = None
        self.has_lost_bytes = False

    def reset(self) -> None:
        """Break it, so that both ends see an error and not an end."""
        for side in (self.near, self.far):
            if side is None:
                continue
            with suppress(OSError):
                side.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            side.transport.abort()

    async def close(self) -> None:
        """Let both sides have what was written, and wait until they are closed."""
        sides = [side for side in (self.near, self.far) if side is not None]
        for side in sides:
            side.close()
        for side in sides:
            with suppress(OSError):
                await side.wait_closed()


class FaultProxy:
    """Listens on a port of 127.0.0.1 that stays the same, and passes connections on to `there` (`host:port`)."""

    def __init__(self, there: str) -> None:
        host, _, port = there.rpartition(":")
        self._there = (host, int(port))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy")
        self._server: asyncio.Server | None = None
        self._links: dict[asyncio.Task[None], _Link] = {}
        self._fault = Fault.NONE
        self._delay = 0.0
        self._turned = asyncio.Event()
        self._cut_word, self._cut_every, self._cut_seen = b"", 0, 0
        self._port = 0
        self.connections = 0
        """How many it has taken so far."""
        self.cuts = 0
        """How many connections were cut at the word that was given to `cut_at`."""

    @property
    def address(self) -> str:
        """Where to connect instead, as `host:port`."""
        return f"127.0.0.1:{self._port}"

    def turn(self, fault: Fault, *, delay: float = 0.0) -> None:
        """From now on this happens; `delay` in seconds. It returns when it does."""
        self._call(self._turn(fault, delay))

    def cut_at(self, word: bytes, *, every: int) -> None:
        """Reset the connection at each so many-th piece that holds `word`: by turns before and after it was passed on.

        An empty word ends it.
        """
        self._call(self._set_cut(word, every))

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._listen())
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_PATIENCE)
        self._loop.close()

    def _call(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(_PATIENCE)

    # -- on the thread --

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._take, "127.0.0.1", self._port, backlog=512)
        self._port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        await _a_few_turns()  # what was being accepted is taken now
        tasks = list(self._links)
        for task, link in list(self._links.items()):
            link.reset()
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await _a_few_turns()  # what was closed is gone now

    async def _turn(self, fault: Fault, delay: float) -> None:
        before, self._fault, self._delay = self._fault, fault, delay
        self._turned.set()
        self._turned.clear()
        for link in list(self._links.values()):
            if fault in _LEAVES_NOTHING_OPEN or (link.has_lost_bytes and fault is not Fault.SWALLOW):
                link.reset()
        if fault is Fault.REFUSE and self._server is not None:
            self._server.close()
            self._server = None
        elif before is Fault.REFUSE and fault is not Fault.REFUSE:
            await self._listen()

    async def _set_cut(self, word: bytes, every: int) -> None:
        self._cut_word, self._cut_every, self._cut_seen = word, every, 0

    def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(writer)
        self.connections += 1
        task = asyncio.create_task(self._serve(link, reader), name="fault-proxy-link")
        self._links[task] = link
        task.add_done_callback(self._links.pop)

    async def _serve(self, link: _Link, reader: asyncio.StreamReader) -> None:
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                await self._pass_on(link, reader)
        finally:
            await link.close()

    async def _pass_on(self, link: _Link, reader: asyncio.StreamReader) -> None:
        await self._while_hanging()
        if self._fault in (Fault.RESET, Fault.REFUSE):
            return link.reset()
        if self._fault is Fault.ERROR:
            return await _answer_broken(link, reader)
        try:
            answers, link.far = await asyncio.open_connection(*self._there)
        except OSError:
            return link.reset()
        pumps = [self._ask(link, reader, link.far), self._answer(link, answers)]
        tasks = [asyncio.create_task(pump, name="fault-proxy-pump") for pump in pumps]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, link: _Link, reader: asyncio.StreamReader, far: asyncio.StreamWriter) -> None:
        while data := await reader.read(_CHUNK):
            await self._keep_back()
            cut = self._is_to_be_cut(data)
            if cut != "before":
                far.write(data)
                await far.drain()
            if cut:
                link.reset()
                return
        _end(far)

    async def _answer(self, link: _Link, answers: asyncio.StreamReader) -> None:
        while data := await answers.read(_CHUNK):
            await self._keep_back()
            if self._fault is Fault.SWALLOW:
                link.has_lost_bytes = True
                continue
            link.near.write(data)
            await link.near.drain()
        if not link.has_lost_bytes:
            _end(link.near)

    async def _keep_back(self) -> None:
        await self._while_hanging()
        if self._fault is Fault.DELAY:
            await asyncio.sleep(self._delay)
        await self._while_hanging()

    async def _while_hanging(self) -> None:
        while self._fault is Fault.HANG:
            await self._turned.wait()

    def _is_to_be_cut(self, data: bytes) -> str:
        """Whether the connection ends at this piece: `before` it is passed on, `after` that, or not at all."""
        if not self._cut_word or self._cut_word not in data:
            return ""
        self._cut_seen += 1
        if self._cut_seen % self._cut_every:
            return ""
        self.cuts += 1
        return "after" if self.cuts % 2 else "before"


async def _answer_broken(link: _Link, reader: asyncio.StreamReader) -> None:
    """Read a request as far as it has come, and answer 500."""
    await reader.readuntil(b"\r\n\r\n")
    link.near.write(_BROKEN)
    await link.near.drain()


async def _a_few_turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def _end(writer: asyncio.StreamWriter) -> None:
    """Tell one side that the other has nothing more to say."""
    with suppress(OSError):
        if writer.can_write_eof():
            writer.write_eof()
