"""Tells webhooks what a message says, for programs: levels of escalation. The outbox calls it through `Chat`.

A webhook has no messages to edit or to look for: what becomes of a message is told by another POST. The same told again
carries the same key, by which a receiver knows a repeat.
"""

from collections.abc import Iterator
from typing import Any, assert_never

from remediator.chat.chat import CannotTell, Found, Outgoing, taken_at
from remediator.chat.text import clip, one_line, paragraph
from remediator.clients.webhook import WebhookClient
from remediator.kit.clock import Clock
from remediator.model.message import Excerpt, Fields, Message, Part, Text

VERSION = 1
"""Of the JSON that webhooks are told."""
_TEXT = 3_000


class WebhookChat:
    """One webhook."""

    name = "webhook"

    def __init__(self, client: WebhookClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    async def post(self, post: Outgoing) -> str:
        """See Chat. Any answer of success means that it has landed."""
        await self._client.post(body_of(post), key=_key(post))
        return taken_at(self._clock.now())

    async def edit(self, post: Outgoing, ref: str) -> None:
        """See Chat."""
        del ref
        await self._client.post(body_of(post), key=_key(post))

    async def find(self, post: Outgoing) -> Found:
        """See Chat."""
        return CannotTell(f"what a webhook was told cannot be looked for ({post.mark})")

    async def check(self) -> None:
        """See Chat. It could only be told something, so nothing is asked."""

    async def close(self) -> None:
        """See Chat."""
        await self._client.close()


def body_of(post: Outgoing) -> dict[str, Any]:
    """What the webhook is told."""
    return {
        "version": VERSION,
        **dict(post.message.data),
        **({"problems": [dict(one) for one in post.message.problems]} if post.message.problems else {}),
        "repeated": post.repeated,
        "text": clip(_text(post.message), _TEXT),
    }


def _key(post: Outgoing) -> str:
    """What is the same for the same news: who has taken a problem on may change, and that is another."""
    data = dict(post.message.data)
    event = data.get("event", "message")
    return f"{post.mark}/{event}" + (f"/{data.get('taken_on_at', '')}" if event == "acknowledged" else "")


def _text(message: Message) -> str:
    lines = [one_line(message.title), *(line for part in message.parts for line in _lines(part))]
    return "\n".join(filter(None, lines))


def _lines(part: Part) -> Iterator[str]:
    match part:
        case Text():
            yield paragraph(part.text)
        case Fields():
            yield from (f"{one_line(name)}: {one_line(value)}" for name, value in part.pairs)
        case Excerpt():
            yield f"{one_line(part.title)}:"
            yield paragraph(part.text)
        case other:
            assert_never(other)
