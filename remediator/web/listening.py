"""The door: takes connections from the listening socket, and never more than the process can bear at once.

Used by the composition root in place of aiohttp's own sites, which take whatever comes: with 8,000 senders at once the
process runs out of files, asyncio's accept loop spins, and no action can connect to anything. Here the socket is left
alone while there is no room. The system keeps who waits there, nobody is refused, and nothing spins.
"""

import asyncio
import errno
import resource
import socket
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

log = structlog.get_logger(__name__)

_BACKLOG = 4096  # who waits in the system for us to take the connection; it has a limit of its own
_AT_ONCE = 64  # connections taken before others get their turn
_LOOK_AGAIN = 1.0  # seconds, while there is no room
_TICK = 0.9  # seconds between two ticks at the least
_TELL_EVERY = 60.0  # seconds
_IDLE = 5  # ticks of a second without room, after which a connection that was answered before makes way for others
_SILENT = 20  # the same for one that has not asked anything yet: in a storm the sender itself may be slow
_NO_FILES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

Protocol = asyncio.BaseProtocol


def most_connections(wanted: int) -> int:
    """How many connections may be open: `wanted`, but no more than half of the files that this process may open."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if limit == resource.RLIM_INFINITY else max(min(wanted, limit // 2), 1)
    if most < wanted:
        log.warning("connections_limited", most=most, wanted=wanted, remedy=f"raise the limit of open files ({limit})")
    return most


class Connections:
    """Which connections are open, and since when each has had no request under way.

    That is counted in ticks while there is no room, not in seconds: while the loop is busy, time passes and nobody can
    be heard.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.is_full = False  # whoever is answered makes way then
        self._open: set[socket.socket] = set()
        self._idle: dict[object, int] = {}  # by protocol, with the tick since when; the longest first
        self._silent: dict[object, int] = {}
        self._ticks = 0
        self._ticked_at = 0.0

    @property
    def count(self) -> int:
        return len(self._open)

    @web.middleware
    async def note(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Know what is under way. While others wait for a connection, this one is closed after its answer."""
        protocol = request.protocol
        self._forget(protocol)
        try:
            answer = await handler(request)
        finally:
            if protocol.transport is not None:
                self._idle[protocol] = self._ticks
        if self.is_full:
            answer.force_close()
        return answer

    def _forget(self, protocol: object) -> None:
        self._idle.pop(protocol, None)
        self._silent.pop(protocol, None)

    def opened(self, conn: socket.socket) -> None:
        self._open.add(conn)

    def connected(self, conn: socket.socket, protocol: object) -> None:
        """It can be spoken on now; it counts as silent until the head of a request has come."""
        if conn in self._open:
            self._silent[protocol] = self._ticks

    def closed(self, conn: socket.socket, protocol: object) -> None:
        self._open.discard(conn)
        self._forget(protocol)

    def make_room(self) -> None:
        """Close what has been idle for a while: a sender between two alerts, or one that does not come to its point."""
        now = asyncio.get_running_loop().time()
        if now - self._ticked_at < _TICK:
            return
        self._ticked_at = now
        self._ticks += 1
        self._close_since(self._idle, self._ticks - _IDLE)
        self._close_since(self._silent, self._ticks - _SILENT)

    async def see_out(self, ending: Coroutine[Any, Any, None]) -> None:
        """Wait for the end of all that is under way, and not for those who do not read what they are answered."""
        task = asyncio.create_task(ending, name="see connections out")
        try:
            while not task.done():
                self.make_room()
                await asyncio.wait((task,), timeout=_TICK)
            task.result()
        finally:
            task.cancel()

    def _close_since(self, known: dict[object, int], last: int) -> None:
        for protocol, since in list(known.items()):
            if since > last:
                return
            del known[protocol]
            if isinstance(protocol, web.RequestHandler) and (transport := protocol.transport) is not None:
                protocol.force_close()
                transport.abort()  # closing alone waits for an answer to be read, which somebody may never do


class _Conn(socket.socket):
    """A connection's socket that says when its file is closed, however that comes about."""

    told: Callable[[], None] | None = None

    def close(self) -> None:
        super().close()
        told, self.told = self.told, None
        if told is not None:
            told()


class Listener:
    """Listens, and takes connections while there is room."""

    def __init__(self, serve: Callable[[], Protocol], connections: Connections) -> None:
        """`serve`: makes what speaks on a connection."""
        self._serve = serve
        self._connections = connections
        self._sockets: list[socket.socket] = []
        self._taking: set[asyncio.Task[None]] = set()
        self._later: asyncio.TimerHandle | None = None
        self._tell_from = 0.0

    async def open(self, host: str, port: int) -> int:
        """Listen, and tell the port. Raises OSError."""
        # asyncio knows how to find and bind all addresses of a name; the taking is ours.
        bound = await asyncio.get_running_loop().create_server(self._serve, host, port, start_serving=False)
        try:
            self._sockets = [one.dup() for one in bound.sockets]
        finally:
            bound.close()
        try:
            for one in self._sockets:
                one.setblocking(False)
                one.listen(_BACKLOG)
        except OSError:
            self._close_sockets()
            raise
        self._watch()
        return int(self._sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Take no more connections. Those that are open go on."""
        self._rest()
        self._close_sockets()
        if self._later is not None:
            self._later.cancel()
        await asyncio.gather(*self._taking, return_exceptions=True)

    def _close_sockets(self) -> None:
        for one in self._sockets:
            one.close()
        self._sockets = []

    def _watch(self) -> None:
        self._later = None
        loop = asyncio.get_running_loop()
        for one in self._sockets:
            loop.add_reader(one, self._take_some, one)

    def _rest(self) -> None:
        loop = asyncio.get_running_loop()
        for one in self._sockets:
            loop.remove_reader(one)

    def _rest_and_look_again(self) -> None:
        self._rest()
        if self._later is None:
            self._later = asyncio.get_running_loop().call_later(_LOOK_AGAIN, self._watch)

    def _take_some(self, listening: socket.socket) -> None:
        """Called where somebody waits, and again where somebody still does."""
        if not self._has_room():
            self._rest_and_look_again()
            return
        for _ in range(min(_AT_ONCE, self._connections.most - self._connections.count)):
            try:
                taken, _ = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _NO_FILES:
                    raise
                log.warning("connection_not_taken", error=str(error), open=self._connections.count)
                self._rest_and_look_again()
                return
            self._take(_Conn(fileno=taken.detach()))

    def _has_room(self) -> bool:
        """Whether another connection may be taken, for somebody who waits for it."""
        known = self._connections
        if known.count >= known.most:
            known.make_room()
            known.is_full = True
            self._tell_full()
        elif known.count < known.most * 3 // 4:
            known.is_full = False
        return known.count < known.most

    def _tell_full(self) -> None:
        """Once a minute: in a storm it is full, and not full, many times a second."""
        now = asyncio.get_running_loop().time()
        if now >= self._tell_from:
            self._tell_from = now + _TELL_EVERY
            log.warning("connections_full", most=self._connections.most)

    def _take(self, conn: _Conn) -> None:
        conn.setblocking(False)
        protocol = self._serve()
        conn.told = lambda: self._closed(conn, protocol)
        self._connections.opened(conn)
        task = asyncio.create_task(self._connect(conn, protocol), name="take a connection")
        self._taking.add(task)
        task.add_done_callback(self._taking.discard)

    async def _connect(self, conn: _Conn, protocol: Protocol) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: protocol, conn)
        except OSError as error:  # the sender has gone meanwhile
            log.debug("connection_lost_at_once", error=str(error))
            conn.close()
        except BaseException:
            conn.close()
            raise
        self._connections.connected(conn, protocol)

    def _closed(self, conn: _Conn, protocol: Protocol) -> None:
        self._connections.closed(conn, protocol)
        if self._later is not None and self._sockets:
            self._later.cancel()
            with suppress(RuntimeError):  # the loop has ended
                self._watch()
