"""The stand-in for Slack with Socket Mode: what people press and type comes over the connections that an app opens.

    async with SlackSocketStandIn() as slack:
        client = SlackSocketClient(token=slack.app_token, base_url=slack.base_url)
        ...
        assert None is await slack.press(message, "approve")

Every connection can be told to end, to fall silent, or to break.
"""

import asyncio
import json
from collections.abc import Mapping
from itertools import count
from typing import Any

from aiohttp import WSMsgType, web

from remediator.testing import slack_people
from remediator.testing.slack import Call, SlackStandIn, StoredMessage
from remediator.testing.slack_people import OpenedView, User

_PATIENCE = 3.0  # seconds in which Slack wants an envelope acknowledged
_ANA = User()


class Connection:
    """One connection of an app."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self.socket = socket
        self.is_silent = asyncio.Event()
        self.acknowledged: list[str] = []
        """The envelopes that were acknowledged on it, in their order."""
        self.pings = 0
        """How often the app has asked whether it lives."""
        self.pongs = 0

    async def end_soon(self, reason: str = "refresh_requested") -> None:
        """Tell the app that this one ends soon; it stays open until the app closes it."""
        await self.socket.send_json({"type": "disconnect", "reason": reason, "debug_info": {"host": "stand-in"}})

    def fall_silent(self) -> None:
        """Hear and answer nothing any more, not even pings, and keep it open, as a dead network does."""
        self.is_silent.set()


class SlackSocketStandIn(SlackStandIn):
    """Slack on 127.0.0.1, with Socket Mode. `greets` is whether it says hello on new connections."""

    def __init__(
        self,
        *,
        app_token: str = "xapp-stand-in",  # noqa: S107 - of a server that is not real
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self.app_token = app_token
        self.greets = True
        self.opened = 0
        """How many connections were asked for."""
        self.connections: list[Connection] = []
        """Those that stand, the oldest first."""
        self._waiting: dict[str, asyncio.Future[Any]] = {}
        self._numbers = count(1)

    async def press(self, message: StoredMessage, which: str, *, user: User = _ANA) -> Any:
        """Let somebody press a button of a message; what the press is answered.

        Raises TimeoutError where nobody acknowledges it in time, as people are shown it.
        """
        return await self.deliver("interactive", self.click_payload(message, which, user=user))

    async def send_off(self, view: OpenedView, *, user: User = _ANA, **values: str | None) -> Any:
        """Let somebody send a modal off. Raises as `press` does."""
        return await self.deliver("interactive", self.submission_payload(view, user=user, values=values))

    async def type(self, text: str, *, user: User = _ANA, channel: str = "alerts") -> Any:
        """Let somebody type `/remediator` and a text. Raises as `press` does."""
        form = slack_people.command_form(user=user, text=text, channel=self.channel_id(channel))
        return await self.deliver("slash_commands", form)

    async def deliver(
        self, kind: str, payload: Any, *, envelope: str | None = None, over: Connection | None = None
    ) -> Any:
        """Send an envelope over a connection, the newest one at first; what it is answered. Raises as `press` does."""
        id_ = envelope or f"envelope-{next(self._numbers)}"
        heard = self._waiting[id_] = asyncio.get_running_loop().create_future()
        connection = over or self.connections[-1]
        await connection.socket.send_json(
            {"envelope_id": id_, "type": kind, "payload": payload, "accepts_response_payload": True}
        )
        async with asyncio.timeout(_PATIENCE):
            return await heard

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        match request.match_info["method"]:
            case "apps.connections.open":
                return await self._open_connection(request)
            case "socket":
                return await self._connect(request)
            case _:
                return await super()._serve(request)

    async def _open_connection(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {self.app_token}":
            return web.json_response({"ok": False, "error": "invalid_auth"})
        self.opened += 1
        self.calls.append(Call("apps.connections.open", {}, request.content_type))
        if faults := self._faults["apps.connections.open"]:
            return await self._fail(faults.popleft(), request, "apps.connections.open", {})
        url = f"ws://127.0.0.1:{self._port}/api/socket?ticket=s3cr3t-{self.opened}"
        return web.json_response({"ok": True, "url": url})

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(autoping=False)
        await socket.prepare(request)
        connection = Connection(socket)
        self.connections.append(connection)
        try:
            if self.greets:
                await socket.send_json({"type": "hello", "num_connections": len(self.connections)})
            while not connection.is_silent.is_set() and not self._closing.is_set():
                await self._hear(connection)
            await self._closing.wait()
        except ConnectionError:
            return socket
        finally:
            self.connections.remove(connection)
        return socket

    async def _hear(self, connection: Connection) -> None:
        """Take one message of the app, unless the connection falls silent before. Raises ConnectionError at its end."""
        message = asyncio.ensure_future(connection.socket.receive())
        ends = [asyncio.ensure_future(one.wait()) for one in (connection.is_silent, self._closing)]
        await asyncio.wait([message, *ends], return_when=asyncio.FIRST_COMPLETED)
        for end in ends:
            end.cancel()
        if not message.done():
            message.cancel()
            return
        match message.result().type:
            case WSMsgType.PING:
                connection.pings += 1
                await connection.socket.pong(message.result().data)
            case WSMsgType.PONG:
                connection.pongs += 1
            case WSMsgType.TEXT:
                self._note(connection, json.loads(message.result().data))
            case _:
                raise ConnectionResetError("the app has ended it")

    def _note(self, connection: Connection, told: Mapping[str, Any]) -> None:
        id_ = told["envelope_id"]
        connection.acknowledged.append(id_)
        heard = self._waiting.get(id_)
        if heard is not None and not heard.done():
            heard.set_result(told.get("payload"))
