"""Signed webhooks, places that are left alone, and places that are gone."""

import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from remediator.chat.chat import CannotTell, Chat, Outgoing
from remediator.chat.routed import RoutedChat, SparedChat
from remediator.chat.signed import SignedChat
from remediator.clients.webhook import SignedClient
from remediator.errors import Failed, OutcomeUnknown, Transient
from remediator.kit.clock import Clock, SystemClock
from remediator.model.message import Message, Text, Tone
from remediator.testing.clock import VirtualClock

T0 = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
SECRET = "0123456789abcdef-s3cr3t"
DATA = (("event", "asked"), ("run", "r1"))
PAGE = Path(__file__).parents[3] / "docs" / "notify.md"

IsGenuine = Callable[[str, Mapping[str, str], bytes], bool]


def outgoing(channel: str = "notify:board", *, repeated: bool = False) -> Outgoing:
    message = Message(Tone.WAITING, "a plan waits", (Text("äöü"),), data=DATA)
    return Outgoing(channel, message, None, f"note/{channel}/news.r1.asked.1", T0, repeated=repeated)


@dataclass
class Board:
    """A receiver that answers as it is told to."""

    url: str = ""
    status: int = 200
    told: list[tuple[Mapping[str, str], bytes]] = field(default_factory=list)

    async def hear(self, request: web.Request) -> web.Response:
        self.told.append((dict(request.headers), await request.read()))
        return web.Response(status=self.status, text="s3cr3t-path is wrong", headers={"Location": "/elsewhere"})


@pytest.fixture
async def board() -> AsyncIterator[Board]:
    board = Board()
    app = web.Application()
    app.router.add_post("/{path:.*}", board.hear)
    async with TestServer(app) as server:
        board.url = str(server.make_url("/hook/s3cr3t-path"))
        yield board


@pytest.fixture
def is_genuine() -> IsGenuine:
    """The example of docs/notify.md, as people copy it."""
    fence = PAGE.read_text().split("```python\n")[1].split("```")[0]
    names: dict[str, Any] = {}
    exec(fence, names)
    found: IsGenuine = names["is_genuine"]
    return found


def signed(board: Board, clock: Clock) -> SignedChat:
    client = SignedClient("board", board.url, SecretStr(SECRET), timeout=timedelta(seconds=5), clock=clock)
    return SignedChat(client, clock)


async def test_the_example_of_the_page_verifies_what_is_sent(board: Board, is_genuine: IsGenuine) -> None:
    """It is what people build their receivers with: it takes ours, and nothing that was touched, old or of others."""
    chat = signed(board, SystemClock())
    await chat.post(outgoing())
    await chat.close()
    ((headers, body),) = board.told
    stamp, proof = "X-Remediator-Timestamp", "X-Remediator-Signature"
    old = {**headers, stamp: str(int(time.time()) - 301)}

    assert is_genuine(SECRET, headers, body)
    assert [False] * 6 == [
        is_genuine("another-s3cr3t-of-us", headers, body),
        is_genuine(SECRET, headers, body + b" "),
        is_genuine(SECRET, old, body),
        is_genuine(SECRET, {**headers, stamp: "²"}, body),
        is_genuine(SECRET, {**headers, proof: "v1=é"}, body),
        is_genuine(SECRET, {}, body),
    ]


async def test_a_webhook_is_told_json_with_a_key_of_its_own(board: Board) -> None:
    """The same told again has the same key, and a signature of its own time."""
    clock = VirtualClock(T0)
    chat = signed(board, clock)
    await chat.post(outgoing())
    await clock.advance(timedelta(minutes=1))
    found = await chat.find(outgoing())
    await chat.post(outgoing(repeated=True))
    await chat.close()
    first, second = (json.loads(body) for _, body in board.told)
    (one, _), (other, _) = board.told
    key = "note/notify:board/news.r1.asked.1"

    assert {
        "id": key,
        "version": 1,
        "event": "asked",
        "run": "r1",
        "repeated": False,
        "text": "a plan waits\näöü",
    } == first
    assert {**first, "repeated": True} == second
    assert [key, key] == [headers["Idempotency-Key"] for headers in (one, other)]
    assert ["1767268800", "1767268860"] == [headers["X-Remediator-Timestamp"] for headers in (one, other)]
    assert one["X-Remediator-Signature"] != other["X-Remediator-Signature"]
    assert isinstance(found, CannotTell)


@pytest.mark.parametrize(("status", "error"), [(301, Failed), (404, Failed), (429, Failed), (503, OutcomeUnknown)])
async def test_what_an_answer_means(board: Board, status: int, error: type[Exception]) -> None:
    """Nothing of the address or the secret is in an error, though the receiver quotes it."""
    board.status = status
    chat = signed(board, VirtualClock(T0))
    with pytest.raises(error, match=r"the webhook of board \(127\.0\.0\.1\): answered") as caught:
        await chat.post(outgoing())
    await chat.close()

    assert "s3cr3t" not in str(caught.value)


class Scripted:
    """A chat that does as it is told."""

    name = "scripted"

    def __init__(self, *outcomes: Exception | None) -> None:
        self.outcomes = list(outcomes)
        self.posts = 0

    async def post(self, post: Outgoing) -> str:
        self.posts += 1
        if (outcome := self.outcomes.pop(0)) is not None:
            raise outcome
        return "there"

    async def edit(self, post: Outgoing, ref: str) -> None:
        raise NotImplementedError

    async def find(self, post: Outgoing) -> CannotTell:
        return CannotTell("why")

    async def check(self) -> None:
        """Fine."""

    async def close(self) -> None:
        """Nothing to close."""


async def test_a_place_that_fails_is_left_alone_for_longer_and_longer() -> None:
    """The outbox sends one after the other: a mail server that hangs must not keep approvals out of the chat."""
    clock = VirtualClock(T0)
    inner = Scripted(OutcomeUnknown("hangs"), OutcomeUnknown("hangs again"), None, Failed("no"), None)
    chat: Chat = SparedChat(inner, clock)
    with pytest.raises(OutcomeUnknown, match=r"^hangs$"):
        await chat.post(outgoing())
    with pytest.raises(Failed, match=r"^hangs \(it is left alone for 2 s\)$"):
        await chat.post(outgoing())
    await clock.advance(timedelta(seconds=2))
    with pytest.raises(OutcomeUnknown, match=r"^hangs again$"):
        await chat.post(outgoing())
    await clock.advance(timedelta(seconds=3))
    with pytest.raises(Failed, match=r"left alone for 1 s"):
        await chat.post(outgoing())
    await clock.advance(timedelta(seconds=1))
    ref = await chat.post(outgoing())
    with pytest.raises(Failed, match=r"^no$"):
        await chat.post(outgoing())
    await clock.advance(timedelta(seconds=2))
    await chat.post(outgoing())

    assert ("there", 5) == (ref, inner.posts)


async def test_a_place_that_has_no_time_does_not_hold_up_the_chat() -> None:
    """`Transient` pauses all channels of the outbox; one place must not."""
    chat: Chat = SparedChat(Scripted(Transient("later")), VirtualClock(T0))
    with pytest.raises(Failed, match=r"^later$"):
        await chat.post(outgoing())


async def test_what_waits_for_a_place_that_is_gone_is_given_up_and_people_are_not_told() -> None:
    """In the chat it would be told twice: the run's own thread has it."""
    people, board = Scripted(None), Scripted(None)
    chat: Chat = RoutedChat(people, {"notify:board": board})
    refs = [await chat.post(outgoing(channel)) for channel in ("notify:board", "notify:gone", "#c")]

    assert ["there", "given up", "there"] == refs
    assert (1, 1) == (people.posts, board.posts)
