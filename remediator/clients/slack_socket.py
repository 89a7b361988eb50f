"""Slack's Socket Mode: a connection that we open, and over which Slack sends what it would post to an address.

Its listener in `web/slack` calls it. A connection knows nothing of what is in an envelope. The address that Slack gives
for it is good for one connection and a secret: it is in no error and no log.
"""

import asyncio
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import aiohttp
from yarl import URL

from remediator.clients.slack import SlackClient
from remediator.errors import Failed, Unavailable

_LARGEST = 1024 * 1024  # bytes of a message; what people press and say is far less
_REMEDY = (
    "check slack.app_token (an app-level token, xapp-…, with the scope connections:write), "
    "and that Socket Mode is switched on in the app"
)


class SlackSocket:
    """One connection."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket

    async def receive(self) -> Mapping[str, Any] | None:
        """The next message; an empty one for what is no JSON object. None once the connection has ended."""
        message = await self._socket.receive()
        if message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.CLOSED):
            return None
        if message.type is aiohttp.WSMsgType.ERROR:
            return None
        try:
            value = json.loads(message.data) if message.type is aiohttp.WSMsgType.TEXT else None
        except (ValueError, RecursionError):
            value = None
        return value if isinstance(value, Mapping) else {}

    async def send(self, message: Mapping[str, Any]) -> bool:
        """Answer; whether that could be sent."""
        try:
            await self._socket.send_str(json.dumps(message))
        except (aiohttp.ClientError, ConnectionError, RuntimeError):  # it is closed, or closing
            return False
        return not self._socket.closed

    async def close(self) -> None:
        """End it."""
        await self._socket.close()


class SlackSocketClient(SlackClient):
    """Opens connections for an app, by its app-level token."""

    def __init__(
        self,
        *,
        token: str,
        base_url: str = "https://slack.com/api/",
        timeout: timedelta = timedelta(seconds=10),
        silence: timedelta = timedelta(seconds=20),
    ) -> None:
        """`silence`: after how long without a word the other end is asked whether it is there; it has half as long."""
        super().__init__(token=token, base_url=base_url, timeout=timeout)
        self._patience = timeout.total_seconds()
        self._silence = silence.total_seconds()
        self._may_be_plain = URL(base_url).scheme == "http"
        self._sockets: aiohttp.ClientSession | None = None

    async def connect(self) -> SlackSocket:
        """A connection. Raises Transient where another try is worth it, Failed where Slack refuses it."""
        url = await self.address()
        try:
            async with asyncio.timeout(self._patience):
                socket = await self._opened().ws_connect(url, heartbeat=self._silence, max_msg_size=_LARGEST)
        except (aiohttp.ClientError, OSError, ValueError) as error:  # their texts may hold the address
            raise Unavailable(f"Slack's Socket Mode cannot be connected to: {type(error).__name__}") from error
        return SlackSocket(socket)

    async def address(self) -> str:
        """Where one connection may be opened, soon; a secret. Raises as `connect` does."""
        try:
            answer = await self._call(
                "apps.connections.open", "", self._web().apps_connections_open(app_token=self._token), repeatable=True
            )
        except Failed as error:
            raise Failed(f"{str(error).partition('; ')[0]}; {_REMEDY}") from error
        url = answer.get("url")
        if not isinstance(url, str) or not self._is_ours(url):
            raise Unavailable("apps.connections.open gave no address of a connection (wss://…); check slack.base_url")
        return url

    async def close(self) -> None:
        """Close the connections."""
        if self._sockets is not None:
            await self._sockets.close()
        await super().close()

    def _is_ours(self, url: str) -> bool:
        """Whether it may be connected to: without encryption only where the web API is asked without it as well."""
        try:
            return URL(url).scheme in (("ws", "wss") if self._may_be_plain else ("wss",))
        except ValueError:
            return False

    def _opened(self) -> aiohttp.ClientSession:
        if self._sockets is None:
            self._sockets = aiohttp.ClientSession(trust_env=False, cookie_jar=aiohttp.DummyCookieJar())
        return self._sockets
