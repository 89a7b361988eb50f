"""What a webhook of a level is told, how it is known for a repeat, and what its answers mean."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from remediator.chat.chat import CannotTell, Chat, Found, Landed, Outgoing
from remediator.chat.routed import RoutedChat
from remediator.chat.webhook import WebhookChat
from remediator.clients.webhook import WebhookClient
from remediator.errors import Failed, OutcomeUnknown
from remediator.model.message import Excerpt, Fields, Message, Text, Tone
from remediator.settings import EscalationSettings
from remediator.testing.clock import VirtualClock
from tests import services

T0 = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
DATA = (("event", "escalated"), ("run", "r1"), ("level", "pager"))
PARTS = (Fields((("Severity", "critical"),)), Text("look"), Excerpt("To take it on", "remediator escalation ack r1"))


def outgoing(data: tuple[tuple[str, str], ...] = DATA, *, repeated: bool = False) -> Outgoing:
    message = Message(Tone.FIRING, "web is down", PARTS, data=data)
    return Outgoing("webhook:pager", message, None, "note/webhook:pager/escalation.r1.1", T0, repeated=repeated)


@dataclass
class Pager:
    """A receiver that answers as it is told to."""

    status: int = 200
    text: str = "thanks"
    is_slow: bool = False
    told: list[tuple[Mapping[str, str], Any]] = field(default_factory=list)
    elsewhere: int = 0

    async def hear(self, request: web.Request) -> web.Response:
        if request.path == "/elsewhere":
            self.elsewhere += 1
            return web.Response()
        self.told.append((dict(request.headers), json.loads(await request.text())))
        if self.is_slow:
            await asyncio.Event().wait()
        return web.Response(status=self.status, text=self.text, headers={"Location": "/elsewhere"})


@pytest.fixture
def pager() -> Pager:
    return Pager()


@pytest.fixture
async def url(pager: Pager) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/{path:.*}", pager.hear)
    async with TestServer(app) as server:
        yield str(server.make_url("/hook/s3cr3t-path"))


def chat_of(url: str, **settings: Any) -> WebhookChat:
    level = EscalationSettings.model_validate({"webhook": url, **settings})
    return WebhookChat(WebhookClient("pager", url, level), VirtualClock(T0))


async def test_a_webhook_is_told_all_in_json(pager: Pager, url: str) -> None:
    """The shape that docs/operating.md describes."""
    chat = chat_of(url, secret="Bearer t0ken", header="X-Auth")
    ref = await chat.post(outgoing())
    await chat.close()
    ((headers, body),) = pager.told

    assert ref
    assert {"version": 1, "event": "escalated", "run": "r1", "level": "pager", "repeated": False} == {
        name: value for name, value in body.items() if name != "text"
    }
    assert "web is down\nSeverity: critical\nlook\nTo take it on:\nremediator escalation ack r1" == body["text"]
    assert "Bearer t0ken" == headers["X-Auth"]
    assert "application/json" == headers["Content-Type"]
    assert "note/webhook:pager/escalation.r1.1/escalated" == headers["Idempotency-Key"]


async def test_a_repeat_has_the_same_key_and_news_another(pager: Pager, url: str) -> None:
    """A receiver that keeps keys calls nobody twice, and still hears the end of it."""
    chat = chat_of(url)
    await chat.post(outgoing())
    found: Found = await chat.find(outgoing())
    await chat.post(outgoing(repeated=True))
    await chat.edit(outgoing((("event", "over"),)), "ref")
    await chat.close()
    keys = [headers["Idempotency-Key"] for headers, _ in pager.told]

    assert isinstance(found, CannotTell)
    assert keys[0] == keys[1] != keys[2]
    assert [False, True, False] == [body["repeated"] for _, body in pager.told]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (200, None),
        (202, None),
        (204, None),
        (301, Failed),
        (307, Failed),
        (400, Failed),
        (401, Failed),
        (404, Failed),
        (429, Failed),
        (500, OutcomeUnknown),
        (503, OutcomeUnknown),
    ],
)
async def test_what_an_answer_means(pager: Pager, url: str, status: int, error: type[Exception] | None) -> None:
    """Any success has landed; after a server's error it may have. Nothing else is ever told."""
    pager.status, pager.text = status, "" if status == 204 else "no, token=hunter2hunter2"
    chat = chat_of(url, secret="Bearer t0ken-of-ours")
    said = ""
    if error is None:
        await chat.post(outgoing())
    else:
        with pytest.raises(error) as caught:
            await chat.post(outgoing())
        said = str(caught.value)
    await chat.close()

    assert 0 == pager.elsewhere
    assert not any(secret in said for secret in ("s3cr3t-path", "t0ken-of-ours", "hunter2"))
    assert error is None or f"the webhook of pager (127.0.0.1): answered {status}" in said


@pytest.mark.parametrize("text", ["Cannot POST /hook/s3cr3t-path", "no s3cr3t-path here", "<p>s3cr3t-path</p>"])
async def test_an_answer_that_names_the_address_is_not_quoted(pager: Pager, url: str, text: str) -> None:
    """Many servers name the path that they do not know, and the path is often the secret."""
    pager.status, pager.text = 404, text
    chat = chat_of(url)
    with pytest.raises(Failed) as caught:
        await chat.post(outgoing())
    await chat.close()

    assert "s3cr3t" not in str(caught.value)
    assert "answered 404: its reason names the address, so it is not shown" in str(caught.value)


async def test_one_that_does_not_answer_in_time_may_have_heard_it(pager: Pager, url: str) -> None:
    """So it is told again, with a word that it may be a repeat."""
    pager.is_slow = True
    chat = chat_of(url, timeout="500ms")
    with pytest.raises(OutcomeUnknown, match=r"no answer in 0.5 s; .* raise escalation.pager.timeout"):
        await chat.post(outgoing())
    await chat.close()


async def test_one_that_is_not_there_has_not_heard_it() -> None:
    """It is told later, as if for the first time."""
    chat = chat_of(f"http://127.0.0.1:{services.free_port()}/s3cr3t-path")
    with pytest.raises(Failed, match=r"check escalation\.pager\.webhook") as caught:
        await chat.post(outgoing())
    await chat.close()

    assert "s3cr3t-path" not in str(caught.value)


@dataclass
class Noting:
    """A chat that notes what it was asked."""

    name: str
    asked: list[str] = field(default_factory=list)

    async def post(self, post: Outgoing) -> str:
        self.asked.append(f"post {post.channel}")
        return self.name

    async def edit(self, post: Outgoing, ref: str) -> None:
        self.asked.append(f"edit {post.channel}")

    async def find(self, post: Outgoing) -> Found:
        self.asked.append(f"find {post.channel}")
        return Landed(self.name)

    async def check(self) -> None:
        self.asked.append("check")

    async def close(self) -> None:
        self.asked.append("close")


async def test_each_message_goes_where_its_channel_leads() -> None:
    """Everything that is no webhook's is the chat's, whatever its channel is called."""
    people, pager = Noting("slack"), Noting("webhook")
    chat: Chat = RoutedChat(people, {"webhook:pager": pager})
    here = Outgoing("#c", Message(Tone.NEUTRAL, "hello"), None, "m", T0)
    refs = [await chat.post(post) for post in (here, outgoing())]
    for post in (here, outgoing()):
        await chat.edit(post, "ref")
        await chat.find(post)
    await chat.check()
    await chat.close()

    assert ("slack", ["slack", "webhook"]) == (chat.name, refs)
    assert ["post #c", "edit #c", "find #c", "check", "close"] == people.asked
    assert [f"{what} webhook:pager" for what in ("post", "edit", "find")] + ["close"] == pager.asked
