"""Reads request bodies within bounds: size and time of each, memory of all, work that keeps others waiting.

Called by the webhook and the API once a caller is known to be welcome. The server passes bodies on as they
came (`auto_decompress` is off, see `server.py`), because aiohttp would go on inflating a bomb that we have
refused already, and would let nobody else have a turn meanwhile. Nothing here may hold more than its bound.
"""

import asyncio
import zlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from aiohttp import web
from aiohttp.web_protocol import RequestPayloadError

from remediator.errors import Overloaded

T = TypeVar("T")

_KIB, _MIB = 1024, 1024 * 1024
_PIECE = 256 * _KIB  # inflated at a time; others get their turn in between
_CHARGE = 16 * _KIB  # what a request costs besides its body: its task, its alerts as objects
_BY_SIZE, _BY_OBJECT = 4, 350  # bytes of memory that parsing takes, measured: for a byte of text, for an object in it
_LARGEST_PARSED = 20  # times the largest body; real alerts take 4 to 8 times their text, the barest ones 17
_PLAIN, _GZIP, _DEFLATE = ("", "identity"), ("gzip", "x-gzip"), ("deflate",)
_ZLIB_METHOD = 8  # the low half of the first byte of a zlib stream


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of reading. The defaults are for production; tests use smaller ones."""

    held: int = 256 * _MIB  # bytes held by all requests together, from their first byte to their answer
    patience: timedelta = timedelta(seconds=5)  # how long a request waits for room
    time: timedelta = timedelta(seconds=30)  # how long a sender may take for its body
    thread_above: int = 256 * _KIB  # larger bodies are parsed in a thread, so that the loop goes on turning
    alone_above: int = 1 * _MIB  # larger ones one at a time: parsing takes several times their size
    ahead: bool = True  # whether there is room for all of a body before its first byte; not where anybody may begin one


class Room:
    """How many bytes all requests hold together. Whoever came first gets what becomes free first."""

    def __init__(self, size: int) -> None:
        self._free = size
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def free(self) -> int:
        """Bytes that nobody holds."""
        return self._free

    async def take(self, count: int, *, patience: timedelta) -> None:
        """Hold `count` bytes more. Raises TimeoutError when they do not become free within `patience`."""
        if not self._waiting and count <= self._free:
            self._free -= count
            return
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((count, granted))
        try:
            async with asyncio.timeout(patience.total_seconds()):
                await granted
        except BaseException:  # a time-out or a cancellation; whichever it is goes on
            if granted.done() and not granted.cancelled():
                self.give_back(count)
            else:
                granted.cancel()
                self._serve()
            raise

    def give_back(self, count: int) -> None:
        """Hold `count` bytes less."""
        self._free += count
        self._serve()

    def _serve(self) -> None:
        while self._waiting and (self._waiting[0][1].done() or self._waiting[0][0] <= self._free):
            count, granted = self._waiting.popleft()
            if not granted.done():
                self._free -= count
                granted.set_result(None)


class Hold:
    """What one request holds of the room, until the end of `async with` or of a task that outlives it."""

    def __init__(self, room: Room, patience: timedelta) -> None:
        self._room = room
        self._patience = patience
        self._count = 0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Hold":
        await self.grow_to(_CHARGE)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is None or self._task.done():
            self._give_back()
        else:
            self._task.add_done_callback(lambda _: self._give_back())

    async def grow_to(self, count: int) -> None:
        """Hold at least `count` bytes. Raises Overloaded when there is no room for them."""
        more = count - self._count
        if more <= 0:
            return
        try:
            await self._room.take(more, patience=self._patience)
        except TimeoutError:
            raise Overloaded("too many large requests at once; send this one again", reason="memory") from None
        self._count += more

    def until(self, task: asyncio.Task[None]) -> None:
        """Go on holding until `task` has ended, if it outlives the request."""
        self._task = task

    def _give_back(self) -> None:
        self._room.give_back(self._count)
        self._count = 0


class Bodies:
    """Reads and parses the bodies of all requests of one application."""

    def __init__(self, limits: Limits, *, largest: int = 0) -> None:
        """`largest`: a body of this size must always find room, if no other is there."""
        self._limits = limits
        size = max(limits.held, largest + _CHARGE)
        self._most_of_one = size // 2  # what one may hold besides its body, so that others find room beside it
        self._most_parsed = max(largest, _MIB) * _LARGEST_PARSED
        self.room = Room(size)
        self._alone = asyncio.Lock()

    def hold(self) -> Hold:
        """Room for one request: `async with bodies.hold() as hold`."""
        return Hold(self.room, self._limits.patience)

    async def read(self, request: web.Request, hold: Hold, *, max_bytes: int, setting: str = "") -> bytes:
        """The whole body, decompressed. Raises the HTTPException that fits, 400, 408 or 413, or Overloaded.

        `setting`: by which `max_bytes` can be made larger.
        """
        encoding = request.headers.get("Content-Encoding", "").strip().lower()
        length = request.content_length
        if (length or 0) > max_bytes:
            raise _too_large(max_bytes, setting)
        if not encoding and length is not None and request.content.is_eof():
            # Nearly every request: all of it is here. It is taken without the machinery below.
            await hold.grow_to(length)
            return request.content.read_nowait()
        # Room for what will be made of it is taken before the first byte: several that each hold a part of what they
        # need, and wait for the rest, would all be refused in the end.
        if self._limits.ahead:
            await hold.grow_to(min((length or 0) * _BY_SIZE, self._most_of_one))
        pieces = _at_most(max_bytes, self._received(request), setting)
        if encoding in _GZIP or encoding in _DEFLATE:
            inflated = _inflated(pieces, raw_allowed=encoding in _DEFLATE)
            pieces = _at_most(max_bytes, inflated, setting)
        elif encoding not in _PLAIN:
            raise web.HTTPBadRequest(text="this Content-Encoding is not known here; use gzip, deflate or none")
        body: list[bytes] = []
        size = 0
        async for piece in pieces:
            size += len(piece)
            await hold.grow_to(size)
            body.append(piece)
        return body[0] if len(body) == 1 else b"".join(body)

    async def parse(self, body: bytes, hold: Hold, parser: Callable[[bytes], T]) -> T:
        """What `parser` makes of the body, without keeping other requests waiting for a large one.

        Raises HTTPRequestEntityTooLarge for one that is made to take many times its own size as objects.
        """
        needed = len(body) * _BY_SIZE + (body.count(b"{") + body.count(b"[")) * _BY_OBJECT
        if needed > self._most_parsed:
            raise web.HTTPRequestEntityTooLarge(
                max_size=self._most_parsed, actual_size=needed, text="the body has too many objects for its size"
            )
        await hold.grow_to(min(needed, self._most_of_one))
        if len(body) <= self._limits.thread_above:
            return parser(body)
        if len(body) <= self._limits.alone_above:
            return await asyncio.to_thread(parser, body)
        async with self._alone:
            return await asyncio.to_thread(parser, body)

    async def _received(self, request: web.Request) -> AsyncIterator[bytes]:
        """The bytes as they come. Our own waiting for room does not count against the sender's time."""
        clock = asyncio.get_running_loop().time
        left = self._limits.time.total_seconds()
        while True:
            began = clock()
            try:
                async with asyncio.timeout(left):
                    piece = await request.content.readany()
            except TimeoutError:
                raise web.HTTPRequestTimeout(text="the body did not arrive in time") from None
            except (RequestPayloadError, ConnectionError) as error:
                raise web.HTTPBadRequest(text="the body broke off") from error
            if not piece:
                return
            left -= clock() - began
            yield piece


async def _at_most(max_bytes: int, pieces: AsyncIterator[bytes], setting: str) -> AsyncIterator[bytes]:
    """The same bytes, up to a limit. Raises HTTPRequestEntityTooLarge at the first one above it."""
    size = 0
    async for piece in pieces:
        size += len(piece)
        if size > max_bytes:
            raise _too_large(max_bytes, setting)
        yield piece


async def _inflated(pieces: AsyncIterator[bytes], *, raw_allowed: bool) -> AsyncIterator[bytes]:
    """The decompressed bytes, never more than a piece at a time."""
    inflater = None
    try:
        async for piece in pieces:
            inflater = inflater or _inflater(piece[0], raw_allowed=raw_allowed)
            data, rest = inflater.decompress(piece, _PIECE), inflater.unconsumed_tail
            while data:
                yield data
                await asyncio.sleep(0)
                # A full piece may have left some of its output inside, also where all input is used up.
                data = inflater.decompress(rest, _PIECE) if rest or len(data) == _PIECE else b""
                rest = inflater.unconsumed_tail
    except zlib.error:
        raise web.HTTPBadRequest(text="the body is not what its Content-Encoding says") from None
    if inflater is not None and (not inflater.eof or inflater.unused_data):
        raise web.HTTPBadRequest(text="the compressed body ends too early, or goes on after its end")


def _inflater(first: int, *, raw_allowed: bool) -> "zlib._Decompress":
    """Both formats by their header; `deflate` without one is sent by senders that took the name literally."""
    raw = raw_allowed and first & 0x0F != _ZLIB_METHOD
    return zlib.decompressobj(-zlib.MAX_WBITS if raw else zlib.MAX_WBITS | 32)


def _too_large(max_bytes: int, setting: str) -> web.HTTPRequestEntityTooLarge:
    text = f"the body is larger than {max_bytes} bytes" + (f"; see {setting}" if setting else "")
    return web.HTTPRequestEntityTooLarge(max_size=max_bytes, actual_size=max_bytes, text=text)
