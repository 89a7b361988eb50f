"""Places told by apprise, against real receivers of HTTP and of mail: what arrives and what fails; nothing leaks."""

import asyncio
import email
import email.policy
import json
import logging
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from aiosmtpd.smtp import SMTP, Envelope, Session
from pydantic import SecretStr

from remediator.chat.apprise import AppriseChat, text_of
from remediator.chat.chat import Outgoing
from remediator.clients.apprise import AppriseClient
from remediator.errors import BadSettings, Failed, OutcomeUnknown, RemediatorError
from remediator.model.message import Excerpt, Fields, Message, Text, Tone
from remediator.settings import NotifySettings
from remediator.testing.clock import VirtualClock

T0 = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
PARTS = (
    Text("of <!channel> & @everyone"),
    Fields((("Plan", "kick web"),)),
    Excerpt("To decide", "remediator approve r1"),
)


def client_of(url: str, **settings: Any) -> AppriseClient:
    place = NotifySettings.model_validate({"url": url, **settings})
    return AppriseClient("team", SecretStr(url), place)


def outgoing(title: str = "A plan waits", *, repeated: bool = False) -> Outgoing:
    return Outgoing("notify:team", Message(Tone.WAITING, title, PARTS), None, "note/x", T0, repeated=repeated)


@dataclass
class Hook:
    """A receiver of apprise's JSON."""

    port: int = 0
    status: int = 200
    answers: asyncio.Event = field(default_factory=asyncio.Event)
    told: list[dict[str, Any]] = field(default_factory=list)

    async def hear(self, request: web.Request) -> web.Response:
        self.told.append(json.loads(await request.text()))
        await self.answers.wait()
        return web.Response(status=self.status, text="s3cr3t-p4th-1 is not what it was")


@pytest.fixture
async def hook() -> AsyncIterator[Hook]:
    hook = Hook()
    app = web.Application()
    app.router.add_post("/{path:.*}", hook.hear)
    async with TestServer(app) as server:
        hook.port = server.port or 0
        hook.answers.set()
        yield hook
        hook.answers.set()


class Mailbox:
    """What a mail server was handed."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.to: list[str] = []

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - its name
        content = envelope.content or b""
        raw = content if isinstance(content, bytes) else content.encode()
        parsed = email.message_from_bytes(raw, policy=email.policy.default)
        assert isinstance(parsed, EmailMessage)
        self.mails.append(parsed)
        self.to += envelope.rcpt_tos
        return "250 taken"


@contextmanager
def heard(name: str) -> Iterator[list[str]]:
    """All that is logged under a name from now on, down to the last detail."""
    lines: list[str] = []

    class Listening(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    handler, logger = Listening(1), logging.getLogger(name)
    logger.addHandler(handler)
    try:
        yield lines
    finally:
        logger.removeHandler(handler)


async def test_a_message_arrives_as_text_and_pings_nobody(hook: Hook) -> None:
    """Labels are anybody's words: in Discord or Slack they must not call everybody."""
    chat = AppriseChat(client_of(f"json://127.0.0.1:{hook.port}/x"), VirtualClock(T0))
    ref = await chat.post(outgoing("@here: a plan waits", repeated=True))
    (body,) = hook.told

    assert ref == f"taken at {T0.isoformat()}"
    assert ("@\u200bhere: a plan waits", "warning") == (body["title"], body["type"])
    assert [
        "This may be a repeat of an earlier message: nobody could tell whether that one had arrived.",
        "of <\u200b!channel> & @\u200beveryone",
        "Plan: kick web",
        "To decide:",
        "remediator approve r1",
    ] == body["message"].splitlines()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[approve](http://e.example)", "[approve]\u200b(http://e.example)"),
        ("![x](http://e.example/seen.png)", "![x]\u200b(http://e.example/seen.png)"),
        ("[approve][1] [1]: http://e.example", "[approve]\u200b[1] [1]\u200b: http://e.example"),
        ("<http://e.example|approve>", "<\u200bhttp://e.example|approve>"),
        ("<a href='http://e.example'>approve</a>", "<\u200ba href='http://e.example'>approve<\u200b/a>"),
        ("http://[::1]:8080/x 1 < 2 a[0] = b", "http://[::1]:8080/x 1 < 2 a[0] = b"),
    ],
)
def test_a_label_leads_nowhere_else_than_it_says(text: str, told: str) -> None:
    """Discord, Mattermost and others make links of these, whose words would be those of whoever sends alerts."""
    assert told == text_of(Message(Tone.WAITING, "t", (Text(text),)))


async def test_a_mail_arrives() -> None:
    """Mail is what everybody has."""
    box = Mailbox()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(box, loop=loop), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    url = f"mailto://127.0.0.1:{port}/?mode=insecure&from=robot@a.example&to=team@b.example"
    try:
        await client_of(url).tell("A plan waits: web", "remediator approve r1", "warning")
    finally:
        server.close()
        await server.wait_closed()
    (mail,) = box.mails

    assert ["team@b.example"] == box.to
    assert "A plan waits: web" == mail["Subject"]
    assert "remediator approve r1" in (mail.get_body(("plain", "html")) or mail).as_string()


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
async def test_a_refusal_is_told_without_the_address(hook: Hook, caplog: pytest.LogCaptureFixture, status: int) -> None:
    """Whether a service has done it all the same, nobody can tell; its error names the path, as many do."""
    caplog.set_level(logging.DEBUG, logger="apprise")  # then it logs whole addresses
    hook.status = status
    client = client_of(f"json://robot:w0rd-of-mine@127.0.0.1:{hook.port}/s3cr3t-p4th-1")
    with heard("") as lines, pytest.raises(OutcomeUnknown, match=r"^team \(json://…\): ") as caught:
        await client.tell("t", "b", "info")

    assert str(status) in str(caught.value)
    assert "check notify.team" in str(caught.value)
    assert not any(secret in line for secret in ("s3cr3t", "w0rd") for line in (*lines, str(caught.value)))


async def test_one_that_does_not_answer_is_left_in_time_and_not_asked_twice_at_once(hook: Hook) -> None:
    """The library blocks: the outbox goes on, and threads do not pile up."""
    hook.answers.clear()
    client = client_of(f"json://127.0.0.1:{hook.port}/x?rto=20", timeout="2s")
    with pytest.raises(OutcomeUnknown, match=r"no end in 2 s; if it needs longer, raise notify\.team\.timeout"):
        await client.tell("one", "b", "info")
    with pytest.raises(Failed, match="an earlier message is still under way"):
        await client.tell("two", "b", "info")
    hook.answers.set()
    taken: RemediatorError | None = Failed("not yet")
    while isinstance(taken, Failed):
        try:
            await client.tell("three", "b", "info")
            taken = None
        except Failed as error:
            taken = error
            await asyncio.sleep(0)

    assert ["one", "three"] == [body["title"] for body in hook.told]


async def test_nobody_there_is_told_with_the_reason() -> None:
    """Whoever reads it in the log knows where to look."""
    with pytest.raises(OutcomeUnknown, match=r"onnection error.*127\.0\.0\.1.*; check notify\.team"):
        await client_of("json://127.0.0.1:1/x").tell("t", "b", "info")


@pytest.mark.parametrize("url", ["nonsense://s3cr3t-p4th", "tgram://s3cr3t", "json://a/s3cr3t,json://b/s3cr3t"])
def test_an_address_that_apprise_does_not_know_is_refused_at_the_start(url: str) -> None:
    """Not when the first plan waits."""
    with pytest.raises(BadSettings, match=r"^notify\.team\.url: apprise does not know") as caught:
        client_of(url)

    assert "s3cr3t" not in str(caught.value)


def test_without_the_package_the_settings_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is optional, and who asks for it is told how to get it."""
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(BadSettings, match=r"pip install 'apprise>=2\.2'"):
        client_of("json://127.0.0.1:1/x")
