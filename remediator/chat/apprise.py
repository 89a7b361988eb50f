"""Tells people elsewhere (mail, Teams, Discord and others) what becomes of runs. The outbox calls it through `Chat`.

Nothing there can be edited or looked for. Texts are anybody's: what would ping somebody in one of these services, or
lead elsewhere than it says, is shown, and does neither.
"""

import re
from collections.abc import Iterator
from typing import assert_never

from remediator.chat.chat import REPEATED, CannotTell, Found, Outgoing, taken_at
from remediator.chat.text import clip, clip_middle, one_line, paragraph
from remediator.clients.apprise import AppriseClient
from remediator.kit.clock import Clock
from remediator.model.message import Excerpt, Fields, Message, Part, Text, Tone

_TITLE, _VALUE, _BODY = 200, 500, 1_800  # the shortest that is common: Discord takes 2,000
_KINDS = {
    Tone.FIRING: "warning",
    Tone.WORKING: "info",
    Tone.WAITING: "warning",
    Tone.GOOD: "success",
    Tone.BAD: "failure",
    Tone.NEUTRAL: "info",
}
_MARKUP = re.compile(r"@(?=\w)|<(?=[!@#&/\w])|\](?=[(\[]|:(?!\d))")  # mentions, and links that show other words
_UNSEEN = "\u200b"  # put behind it, it is none any more, and reads as it did


class AppriseChat:
    """One place."""

    name = "apprise"

    def __init__(self, client: AppriseClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    async def post(self, post: Outgoing) -> str:
        """See Chat."""
        title = clip(_harmless(one_line(post.message.title)), _TITLE) or "(no title)"
        await self._client.tell(title, text_of(post.message, repeated=post.repeated), _KINDS[post.message.tone])
        return taken_at(self._clock.now())

    async def edit(self, post: Outgoing, ref: str) -> None:
        """See Chat."""
        del ref
        await self.post(post)

    async def find(self, post: Outgoing) -> Found:
        """See Chat."""
        return CannotTell(f"what was sent by apprise cannot be looked for ({post.mark})")

    async def check(self) -> None:
        """See Chat. It could only be told something, so nothing is asked."""

    async def close(self) -> None:
        """See Chat. There is nothing to let go of: the library connects for each message."""


def text_of(message: Message, *, repeated: bool = False) -> str:
    """All parts as plain text."""
    lines = ([REPEATED] if repeated else []) + [line for part in message.parts for line in _lines(part)]
    return clip_middle(_harmless("\n".join(filter(None, lines))), _BODY) or "(nothing else)"


def _lines(part: Part) -> Iterator[str]:
    match part:
        case Text():
            yield paragraph(part.text)
        case Fields():
            yield from (f"{one_line(name)}: {clip(one_line(value), _VALUE)}" for name, value in part.pairs)
        case Excerpt():
            yield f"{one_line(part.title)}:"
            yield paragraph(part.text)
        case other:
            assert_never(other)


def _harmless(text: str) -> str:
    return _MARKUP.sub(lambda found: found[0] + _UNSEEN, text)
