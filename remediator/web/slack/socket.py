"""Socket Mode: hears what people press and say in Slack over a connection of ours, where Slack cannot reach us.

The composition root starts `work`; the inbox decides, as it does for what comes over HTTP. An envelope is acknowledged
once the inbox has answered, so once a decision is on disk; one that comes twice is taken once. A connection that Slack
is about to end is replaced before it ends, one that is silent or broken after it was noticed, with longer and longer
pauses where that fails. While there is none, people decide by the terminal and the API.
"""

import asyncio
import random
from collections import OrderedDict
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Protocol

import structlog

from remediator.clients.slack_socket import SlackSocket, SlackSocketClient
from remediator.errors import Mistaken, NotAllowed, RemediatorError, Transient, Unavailable
from remediator.kit.clock import Clock
from remediator.kit.metrics import Metrics

log = structlog.get_logger(__name__)

_STEADY = 60.0  # seconds; a connection that has stood shorter counts as a failure
_LONGEST_PAUSE = 60.0  # seconds
_HELLO = 10.0  # seconds that Slack may take to greet
_LAST_ANSWERS = 3.0  # seconds that answers get when the process ends
_MOST_AT_ONCE = 100  # envelopes
_REMEMBERED = 1000  # envelopes that were answered
_CLOSED = "Slack ended the connection"


class Inbox(Protocol):
    """Takes what people press and say."""

    async def interact(self, payload: Mapping[str, Any], /) -> dict[str, Any] | None:
        """Take a press or a reason; what Slack is answered."""
        ...

    async def command(self, form: Mapping[str, str], /) -> dict[str, Any] | None:
        """Answer a slash command."""
        ...


class _Connection:
    """One connection: alive until it has ended, to be replaced from when Slack says so."""

    def __init__(self, socket: SlackSocket) -> None:
        self.socket = socket
        self.greeted = asyncio.Event()
        self.wanes = asyncio.Event()
        """Another one is needed: this one ends soon, or has ended."""


class SocketMode:
    """Keeps one connection to Slack, and answers what comes over it."""

    def __init__(
        self,
        client: SlackSocketClient,
        inbox: Inbox,
        clock: Clock,
        metrics: Metrics,
        *,
        first_pause: timedelta = timedelta(seconds=1),
    ) -> None:
        """`first_pause`: how long it waits after the first failure; twice as long after each more."""
        self._client = client
        self._inbox = inbox
        self._clock = clock
        self._metrics = metrics
        self._first_pause = first_pause.total_seconds()
        self._alive: dict[_Connection, asyncio.Task[None]] = {}
        self._answers: OrderedDict[str, asyncio.Task[dict[str, Any] | None]] = OrderedDict()
        self._replies: set[asyncio.Task[None]] = set()
        self._trouble: str | None = "it is being opened"
        metrics.slack_socket.set_function(lambda: int(self.trouble is None))

    @property
    def trouble(self) -> str | None:
        """Why nothing can come from Slack now; None while it can."""
        return None if any(one.greeted.is_set() for one in self._alive) else self._trouble

    async def work(self) -> None:
        """Keep a connection until cancelled."""
        failures = 0
        try:
            while True:
                began = self._clock.monotonic()
                least = timedelta(0)
                try:
                    connection = await self._open()
                except RemediatorError as error:
                    self._note(str(error))
                    if isinstance(error, Transient) and not isinstance(error, Unavailable):
                        least = error.retry_after  # Slack has said so
                except Exception as error:
                    # Whatever Slack and the library come up with must not end the process: people have other ways.
                    log.exception("slack_socket_broken")
                    self._note(type(error).__name__)
                else:
                    await connection.wanes.wait()
                failures = 0 if self._clock.monotonic() - began >= _STEADY else failures + 1
                if failures:
                    await self._clock.sleep(max(self._pause(failures), least))
        finally:
            await self._end()

    def _pause(self, failures: int) -> timedelta:
        longest = min(self._first_pause * 2.0 ** min(failures - 1, 10), _LONGEST_PAUSE)
        return timedelta(seconds=longest * random.uniform(0.5, 1.5))  # noqa: S311 - so that replicas do not come at once

    def _note(self, trouble: str) -> None:
        self._trouble = trouble
        log.warning("slack_socket_down", error=trouble)

    async def _open(self) -> _Connection:
        """A connection that Slack has greeted; the others end once it stands."""
        connection = _Connection(await self._client.connect())
        before = list(self._alive)
        self._alive[connection] = asyncio.create_task(self._listen(connection), name="slack-socket")
        try:
            async with asyncio.timeout(_HELLO):
                await connection.greeted.wait()
        except TimeoutError as error:
            await connection.socket.close()
            raise Unavailable("Slack opened a connection for Socket Mode and said nothing on it") from error
        if connection not in self._alive:
            raise Unavailable("Slack ended a connection for Socket Mode before it had greeted")
        log.info("slack_socket_up")
        if before and self._replies:
            await asyncio.wait(self._replies, timeout=_LAST_ANSWERS)  # each is acknowledged where it came from
        for old in before:
            await old.socket.close()
        return connection

    async def _listen(self, connection: _Connection) -> None:
        """Hear what comes until the connection ends."""
        try:
            while (message := await connection.socket.receive()) is not None:
                self._hear(connection, message)
        finally:
            del self._alive[connection]
            if not connection.wanes.is_set():
                self._note(_CLOSED)
            connection.wanes.set()
            connection.greeted.set()
            await connection.socket.close()

    def _hear(self, connection: _Connection, message: Mapping[str, Any]) -> None:
        match message.get("type"):
            case "hello":
                connection.greeted.set()
            case "disconnect":
                log.info("slack_socket_wanes", reason=str(message.get("reason"))[:40])
                self._trouble = "Slack has ended the connection; another one is being opened"
                connection.wanes.set()
            case _ if isinstance(message.get("envelope_id"), str):
                if len(self._replies) >= _MOST_AT_ONCE:
                    log.warning("slack_envelope_dropped", why=f"{_MOST_AT_ONCE} are being answered")
                    return
                reply = asyncio.create_task(self._reply(connection.socket, message))
                self._replies.add(reply)
                reply.add_done_callback(self._replies.discard)
            case _:
                log.warning("slack_message_unknown", why="it has neither a known type nor an envelope")

    async def _reply(self, socket: SlackSocket, envelope: Mapping[str, Any]) -> None:
        """Acknowledge an envelope with its answer. What was not taken is not acknowledged: Slack shows an error."""
        id_ = str(envelope["envelope_id"])
        if id_ not in self._answers:
            self._answers[id_] = asyncio.create_task(self._answer(envelope))
            self._forget_old()
        try:
            answer = await asyncio.shield(self._answers[id_])
        except (Mistaken, NotAllowed) as error:
            log.warning("slack_envelope_refused", kind=str(envelope.get("type"))[:40], error=str(error))
            return
        except RemediatorError as error:
            self._answers.pop(id_, None)  # sent again, it may be taken
            log.warning("slack_envelope_not_taken", kind=str(envelope.get("type"))[:40], error=str(error))
            return
        except Exception:
            self._answers.pop(id_, None)
            log.exception("slack_envelope_broken", kind=str(envelope.get("type"))[:40])
            return
        with_answer = answer is not None and envelope.get("accepts_response_payload") is True
        if not await socket.send({"envelope_id": id_, **({"payload": answer} if with_answer else {})}):
            log.warning("slack_envelope_not_acknowledged", why="the connection has ended")

    async def _answer(self, envelope: Mapping[str, Any]) -> dict[str, Any] | None:
        payload = envelope.get("payload")
        given = payload if isinstance(payload, Mapping) else {}
        match envelope.get("type"):
            case "interactive":
                return await self._inbox.interact(given)
            case "slash_commands":
                form = {name: value for name, value in given.items() if isinstance(value, str)}
                return await self._inbox.command(form)
            case _:  # nothing that we have asked for
                return None

    def _forget_old(self) -> None:
        while len(self._answers) > _REMEMBERED and next(iter(self._answers.values())).done():
            self._answers.popitem(last=False)

    async def _end(self) -> None:
        """What is being decided is decided and answered; then nothing is heard any more."""
        if self._replies:
            await asyncio.wait(self._replies, timeout=_LAST_ANSWERS)
        left = [*self._alive.values(), *self._replies]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await self._client.close()
