"""A stand-in for Slack's web API, on the wire, for tests: ours and those of plug-in authors.

    async with SlackStandIn() as slack:
        client = SlackClient(token=slack.token, base_url=slack.base_url)
        ...
        assert [message.text for message in slack.messages["alerts"]] == [...]

It checks what Slack checks: the token, the channel, scopes, the thread, text and blocks. Faults are switched
on by `fail_next`. It serves on a free port of 127.0.0.1, and keeps everything in memory. People press buttons, send
modals off and type commands by `click`, `submit` and `command`, which post what Slack signs to `people_call`.
"""

import asyncio
import json
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import aiohttp
from aiohttp import web

from remediator.kit.clock import Clock, SystemClock
from remediator.testing import block_kit, slack_people
from remediator.testing.slack_messages import (
    Answer,
    Arguments,
    Edit,
    Refused,
    StoredMessage,
    checked,
    is_linked,
    is_within,
    metadata_of,
    paged,
    structured,
    told,
)
from remediator.testing.slack_people import Answered, Ephemeral, OpenedView, User

_TRIGGER = 3.0  # seconds for which a dialog can be opened after a press
_PATIENCE = 3.0  # seconds in which Slack wants an answer
_ANA = User()

__all__ = ["Call", "Edit", "SlackStandIn", "StoredMessage"]


@dataclass(frozen=True, slots=True)
class Call:
    """One request that has arrived."""

    method: str
    arguments: Arguments
    content_type: str


@dataclass(frozen=True, slots=True)
class _Fault:
    status: int | None = None
    error: str | None = None
    retry_after: int | None = None
    body: str | None = None
    hang: bool = False
    land_then_hang: bool = False
    land_then_reset: bool = False


class SlackStandIn:
    """Slack on 127.0.0.1. Enter it as an asynchronous context manager, or call `start` and `close`."""

    def __init__(
        self,
        *,
        token: str = "xoxb-stand-in",  # noqa: S107 - of a server that is not real
        channels: Iterable[str] = ("alerts",),
        scopes: Iterable[str] = ("chat:write", "channels:history"),
        rate_limit: timedelta | None = None,
        signing_secret: str = "stand-in-signing-secret",  # noqa: S107 - of a server that is not real
        people_call: str = "",
        clock: Clock | None = None,
        on_message: Callable[[StoredMessage], None] = lambda _message: None,
    ) -> None:
        """`on_message` is called with each message that was posted or edited, before that is answered.

        `people_call` is the address of the service that presses, modals and commands are sent to, without a path.
        """
        self.token = token
        self.signing_secret = signing_secret
        self.people_call = people_call
        self.ephemerals: list[Ephemeral] = []
        """Every message that one person alone was shown."""
        self.views: list[OpenedView] = []
        """Every modal that was opened."""
        self._triggers: dict[str, tuple[str, float]] = {}
        self._triggered = 0
        self.scopes = set(scopes)
        self.rate_limit = rate_limit
        """The least time between two posts to one channel; None for no limit. Slack's is about a second."""
        self.messages: dict[str, list[StoredMessage]] = {}
        """The messages of each channel by its name, oldest first, replies included."""
        self.calls: list[Call] = []
        """Every request that came with the right token, faulty ones included."""
        self._clock = clock or SystemClock()
        self._on_message = on_message
        self._ids: dict[str, str] = {}
        self._joined: set[str] = set()
        self._last_post: dict[str, float] = {}
        self._last_ts = 0
        self._faults: defaultdict[str, deque[_Fault]] = defaultdict(deque)
        self._closing = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._port = 0
        for name in channels:
            self.add_channel(name)

    # -- for tests --

    @property
    def base_url(self) -> str:
        """What to give to a client as the API's address."""
        return f"http://127.0.0.1:{self._port}/api/"

    def add_channel(self, name: str, *, joined: bool = True) -> str:
        """Add a channel, with the bot in it or not; gives its id."""
        self._ids[name] = f"C{len(self._ids) + 1:08d}"
        self.messages[name] = []
        if joined:
            self._joined.add(self._ids[name])
        return self._ids[name]

    def channel_id(self, name: str) -> str:
        """The id of the channel of that name."""
        return self._ids[name]

    def thread(self, channel: str, ts: str) -> list[StoredMessage]:
        """A thread, its parent first; `channel` is a name or an id."""
        return [m for m in self._in(self._id_of(channel)) if ts in (m.ts, m.thread_ts)]

    @property
    def pings(self) -> list[str]:
        """Whom all messages together would have notified."""
        return [ping for messages in self.messages.values() for message in messages for ping in message.pings]

    def delete(self, channel: str, ts: str) -> None:
        """Delete a message, as a person may."""
        name = self._name_of(self._id_of(channel))
        self.messages[name] = [message for message in self.messages[name] if message.ts != ts]

    async def click(
        self, message: StoredMessage, which: str, *, user: User = _ANA, to: str | None = None, **changes: str
    ) -> Answered:
        """Let somebody press a button of a message, `approve` or `deny`; `changes` are of `click_payload`.

        A button that is not there cannot be pressed: LookupError.
        """
        return await self.send_interaction(self.click_payload(message, which, user=user, **changes), to=to)

    def click_payload(self, message: StoredMessage, which: str, *, user: User = _ANA, **changes: str) -> dict[str, Any]:
        """What a press sends, however it is sent."""
        trigger = self._trigger(user)
        given: dict[str, Any] = {
            "user": user,
            "channel": message.channel,
            "ts": message.ts,
            "thread_ts": message.thread_ts,
            "blocks": message.blocks,
            "button": slack_people.button_in(message.blocks, which),
            "trigger": trigger,
        }
        return slack_people.click_payload(**(given | changes))

    async def submit(
        self, view: OpenedView, *, user: User = _ANA, to: str | None = None, **values: str | None
    ) -> Answered:
        """Let somebody send a modal off, with what they have typed into its inputs by the names of their blocks."""
        return await self.send_interaction(self.submission_payload(view, user=user, values=values), to=to)

    def submission_payload(
        self, view: OpenedView, *, user: User = _ANA, values: Mapping[str, str | None]
    ) -> dict[str, Any]:
        """What a modal sends, however it is sent."""
        return slack_people.submission_payload(user=user, view=view, values=values, trigger=self._trigger(user))

    def _trigger(self, user: User) -> str:
        self._triggered += 1
        trigger = f"{self._triggered}.stand-in"
        self._triggers[trigger] = user.id, time.monotonic()
        return trigger

    async def command(
        self, text: str, *, user: User = _ANA, channel: str = "alerts", to: str | None = None
    ) -> Answered:
        """Let somebody type `/remediator` and a text."""
        form = self.command_form(text, user=user, channel=channel)
        return await self.send("/slack/commands", urlencode(form).encode(), to=to)

    def command_form(self, text: str, *, user: User = _ANA, channel: str = "alerts") -> dict[str, str]:
        """What a command sends, however it is sent."""
        trigger = self._trigger(user)
        return slack_people.command_form(user=user, text=text, channel=self._id_of(channel), trigger=trigger)

    async def send_interaction(self, payload: Mapping[str, Any], *, to: str | None = None) -> Answered:
        """Send an interaction as Slack does: signed, and with an answer within three seconds."""
        return await self.send("/slack/interactions", slack_people.interaction_body(payload), to=to)

    async def send(self, path: str, body: bytes, *, to: str | None = None) -> Answered:
        """Send a body, signed now. Raises TimeoutError where nobody answers in time, as people are shown it."""
        headers = slack_people.signed(self.signing_secret, int(self._clock.now().timestamp()), body)
        timeout = aiohttp.ClientTimeout(total=_PATIENCE)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post((to or self.people_call) + path, data=body, headers=headers) as answer,
        ):
            return Answered(answer.status, await answer.read())

    def fail_next(
        self,
        method: str,
        *,
        times: int = 1,
        status: int | None = None,
        error: str | None = None,
        retry_after: int | None = None,
        body: str | None = None,
        hang: bool = False,
        land_then_hang: bool = False,
        land_then_reset: bool = False,
    ) -> None:
        """Let the next `times` calls of `method` (`chat.postMessage`) go wrong.

        `status` answers with that HTTP status, `error` with `ok: false` and that error, `body` with it;
        `hang` never answers and does nothing; `land_then_hang` and `land_then_reset` do the work, then never
        answer, or break the connection.
        """
        fault = _Fault(status, error, retry_after, body, hang, land_then_hang, land_then_reset)
        self._faults[method].extend([fault] * times)

    async def start(self) -> None:
        """Listen on a free port of 127.0.0.1; after `close`, on the same one again."""
        self._closing.clear()
        app = web.Application(client_max_size=4 * 1024 * 1024)
        app.router.add_route("*", "/api/{method}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Let go of every request that hangs, and stop listening. The messages stay."""
        self._closing.set()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self.close()

    # -- the wire --

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        arguments = await _arguments(request)
        given = request.headers.get("Authorization", "").removeprefix("Bearer ") or arguments.get("token")
        if given != self.token:
            return web.json_response({"ok": False, "error": "invalid_auth" if given else "not_authed"})
        self.calls.append(Call(method, arguments, request.content_type))
        faults = self._faults[method]
        if faults:
            return await self._fail(faults.popleft(), request, method, arguments)
        return self._answer(method, arguments)

    async def _fail(self, fault: _Fault, request: web.Request, method: str, arguments: Arguments) -> web.StreamResponse:
        if fault.land_then_hang or fault.land_then_reset:
            self._answer(method, arguments)
        if fault.hang or fault.land_then_hang:
            await self._closing.wait()
        if fault.hang or fault.land_then_hang or fault.land_then_reset:
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        status = fault.status or 200
        headers = {"Retry-After": str(fault.retry_after)} if fault.retry_after is not None else {}
        if fault.error is not None:
            return web.json_response({"ok": False, "error": fault.error}, status=status, headers=headers)
        text = fault.body if fault.body is not None else f"<html>{status}</html>"
        return web.Response(status=status, headers=headers, text=text, content_type="text/html")

    def _answer(self, method: str, arguments: Arguments) -> web.Response:
        methods: dict[str, Callable[[Arguments], Answer]] = {
            "auth.test": self._auth_test,
            "chat.postMessage": self._post_message,
            "chat.postEphemeral": self._post_ephemeral,
            "chat.update": self._update,
            "views.open": self._open_view,
            "conversations.history": self._history,
            "conversations.replies": self._replies,
        }
        if method not in methods:
            return web.json_response({"ok": False, "error": "unknown_method", "req_method": method})
        try:
            headers = {"X-OAuth-Scopes": ",".join(sorted(self.scopes))}
            return web.json_response({"ok": True, **methods[method](arguments)}, headers=headers)
        except Refused as refused:
            wait = refused.answer.pop("retry_after", None)
            if wait is None:
                return web.json_response(refused.answer)
            return web.json_response(refused.answer, status=429, headers={"Retry-After": str(wait)})

    # -- the methods --

    def _auth_test(self, _arguments: Arguments) -> Answer:
        return {
            "url": "https://stand-in.slack.com/",
            "team": "Stand-in",
            "user": "remediator",
            "team_id": "T00000001",
            "user_id": "U00000001",
            "bot_id": "B00000001",
        }

    def _post_message(self, arguments: Arguments) -> Answer:
        self._need("chat:write")
        channel = self._writable(arguments)
        thread_ts = arguments.get("thread_ts")
        if thread_ts is not None and not any(m.ts == thread_ts for m in self._in(channel)):
            raise Refused("thread_not_found")
        text, blocks = checked(arguments)
        metadata = metadata_of(arguments)
        self._pace(channel)
        message = StoredMessage(
            channel=channel,
            ts=self._next_ts(),
            thread_ts=thread_ts,
            text=text,
            blocks=blocks,
            metadata=metadata,
            pings=block_kit.pings(text, blocks, linked=is_linked(arguments)),
        )
        self._in(channel).append(message)
        self._on_message(message)
        return {"channel": channel, "ts": message.ts, "message": told(message, with_metadata=False)}

    def _post_ephemeral(self, arguments: Arguments) -> Answer:
        self._need("chat:write")
        channel, user = self._writable(arguments), arguments.get("user")
        if not isinstance(user, str) or not user.startswith(("U", "W")):
            raise Refused("user_not_in_channel")
        text, _ = checked(arguments)
        self.ephemerals.append(Ephemeral(channel, user, text, arguments.get("thread_ts")))
        return {"message_ts": self._next_ts()}

    def _open_view(self, arguments: Arguments) -> Answer:
        user, made = self._triggers.pop(str(arguments.get("trigger_id")), ("", 0.0))
        if not user:
            raise Refused("invalid_trigger_id")
        if time.monotonic() - made > _TRIGGER:
            raise Refused("expired_trigger_id")
        view = structured(arguments, "view", "invalid_arguments")
        if found := slack_people.view_problems(view):
            raise Refused("invalid_arguments", response_metadata={"messages": found})
        shown = tuple(block_kit.texts([view]))
        self.views.append(OpenedView(f"V{len(self.views) + 1:08d}", user, view, shown))
        return {"view": {**view, "id": self.views[-1].id}}

    def _update(self, arguments: Arguments) -> Answer:
        self._need("chat:write")
        channel = self._by_id(arguments)
        message = next((m for m in self._in(channel) if m.ts == arguments.get("ts")), None)
        if message is None:
            raise Refused("message_not_found")
        text, blocks = checked(arguments)
        message.edits.append(Edit(message.text, message.blocks))
        message.text, message.blocks = text, blocks
        message.pings += block_kit.pings(text, blocks, linked=is_linked(arguments))
        if "metadata" in arguments:
            message.metadata = metadata_of(arguments)
        self._on_message(message)
        return {"channel": channel, "ts": message.ts, "text": text}

    def _history(self, arguments: Arguments) -> Answer:
        self._need("channels:history")
        channel = self._by_id(arguments)
        found = [m for m in self._in(channel) if m.thread_ts in (None, m.ts) and is_within(m, arguments)]
        return paged(found[::-1], arguments)

    def _replies(self, arguments: Arguments) -> Answer:
        self._need("channels:history")
        channel = self._by_id(arguments)
        thread = self.thread(channel, str(arguments.get("ts")))
        if not thread:
            raise Refused("thread_not_found")
        return paged([m for m in thread if m.thread_ts is None or is_within(m, arguments)], arguments)

    # -- what they share --

    def _need(self, scope: str) -> None:
        if scope not in self.scopes:
            raise Refused("missing_scope", needed=scope, provided=",".join(sorted(self.scopes)))

    def _id_of(self, channel: str) -> str:
        return self._ids.get(channel.removeprefix("#"), channel)

    def _name_of(self, channel: str) -> str:
        return next(name for name, known in self._ids.items() if known == channel)

    def _in(self, channel: str) -> list[StoredMessage]:
        return self.messages[self._name_of(channel)]

    def _writable(self, arguments: Arguments) -> str:
        return self._joined_one(self._id_of(str(arguments.get("channel", ""))))

    def _by_id(self, arguments: Arguments) -> str:
        """Only chat.postMessage takes a name."""
        return self._joined_one(str(arguments.get("channel", "")))

    def _joined_one(self, channel: str) -> str:
        if channel not in self._ids.values():
            raise Refused("channel_not_found")
        if channel not in self._joined:
            raise Refused("not_in_channel")
        return channel

    def _pace(self, channel: str) -> None:
        if self.rate_limit is None:
            return
        now = time.monotonic()
        wait = self._last_post.get(channel, float("-inf")) + self.rate_limit.total_seconds() - now
        if wait > 0:
            raise Refused("ratelimited", retry_after=int(wait) + 1)
        self._last_post[channel] = now

    def _next_ts(self) -> str:
        now = int(self._clock.now().timestamp() * 1_000_000)
        self._last_ts = max(now, self._last_ts + 1)
        return f"{self._last_ts // 1_000_000}.{self._last_ts % 1_000_000:06d}"


async def _arguments(request: web.Request) -> Arguments:
    """From the query, a form or JSON, as Slack takes them."""
    arguments: dict[str, Any] = dict(request.query)
    if request.content_type == "application/json":
        body = await request.text()
        arguments |= json.loads(body) if body else {}
    elif request.can_read_body:
        arguments |= dict(await request.post())
    return arguments
