"""What the outbox asks of a chat. The outbox calls it; a chat never decides, stores, retries or paces."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from remediator.model.message import Message

WEBHOOK = "webhook:"
"""What begins the name of a channel that is no channel of the chat, but the webhook of the level that follows it."""
NOTIFY = "notify:"
"""What begins it for another place that hears of runs: `notify` of the settings has it by the name that follows."""
REPEATED = "This may be a repeat of an earlier message: nobody could tell whether that one had arrived."
"""Shown with a message that is sent though an earlier try may have landed."""


_TAKEN_AT = "taken at "
_IN_SLACK = re.compile(r"\w+:(\d{9,11})\.(\d{6})")


def taken_at(at: datetime) -> str:
    """Where a message stands in a chat that has no places, only a time at which it took the message."""
    return f"{_TAKEN_AT}{at.isoformat()}"


def landed_at(ref: str) -> datetime | None:
    """When the message at `ref` came to stand there, by its chat or by us; None where `ref` does not say."""
    try:
        if ref.startswith(_TAKEN_AT):
            return datetime.fromisoformat(ref.removeprefix(_TAKEN_AT)).astimezone(UTC)
        found = _IN_SLACK.fullmatch(ref)
        return datetime.fromtimestamp(int(found[1]), UTC).replace(microsecond=int(found[2])) if found else None
    except (ValueError, OverflowError):  # it was written by a program of another version
        return None


@dataclass(frozen=True, slots=True)
class Buttons:
    """The tokens of a question's two buttons. Whoever has one can press it: they are told to the chat alone."""

    approve: str = field(repr=False)
    deny: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message on its way to a chat."""

    channel: str
    message: Message
    thread: str | None
    """Where the thread's parent stands; None for the parent itself."""
    mark: str
    """What tells this message from all others, such as `<run id>/<post key>`. It is not shown."""
    queued_at: datetime
    repeated: bool = False
    """It may be shown a second time, and says so."""
    buttons: Buttons | None = None
    """Of the message's choice, where this chat is to show any."""


@dataclass(frozen=True, slots=True)
class Landed:
    """The message is in the chat, at `ref`."""

    ref: str


@dataclass(frozen=True, slots=True)
class NotLanded:
    """Everything was looked through, and the message is not there."""


@dataclass(frozen=True, slots=True)
class CannotTell:
    """It could not be found out; `why` is for the log."""

    why: str


Found = Landed | NotLanded | CannotTell


class Chat(Protocol):
    """Renders and sends; it never decides, stores, retries or paces."""

    name: str

    async def post(self, post: Outgoing) -> str:
        """Send a new message; gives the reference that `edit` and a thread's replies need.

        Raises Transient where nothing was sent and another try is worth it, OutcomeUnknown where the message
        may have landed, Failed where the chat will never take it.
        """
        ...

    async def edit(self, post: Outgoing, ref: str) -> None:
        """Put the message in the place of the one at `ref`. Doing it twice does no harm.

        Raises Transient where another try is worth it, Failed where the chat will never take it.
        """
        ...

    async def find(self, post: Outgoing) -> Found:
        """Whether an earlier try to send the message landed. Raises Transient where it cannot look now."""
        ...

    async def check(self) -> None:
        """Raises Transient where the chat cannot be reached, Failed where it does not know us."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
