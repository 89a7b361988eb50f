"""What is told to people, without any chat's markup. Every text in here is plain data: who renders it escapes it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

from remediator.model.ids import Digest, RunId


class Tone(StrEnum):
    """How things stand; a chat shows it as a colour or a symbol."""

    FIRING = "firing"
    WORKING = "working"
    WAITING = "waiting"
    GOOD = "good"
    BAD = "bad"
    NEUTRAL = "neutral"


@dataclass(frozen=True, slots=True)
class Fields:
    """Names with their values, shown as a table where a chat can."""

    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Output shown as it is, in a fixed width."""

    title: str
    text: str


Part = Fields | Text | Excerpt


@dataclass(frozen=True, slots=True)
class Mention:
    """Who is to be pinged by a message. It comes from the settings alone: no text of a message pings anybody."""

    kind: Literal["user", "usergroup", "broadcast"]
    id: str
    """The id in the chat; of a broadcast `here`, `channel` or `everyone`."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The question that a message puts to people. A chat that can do so shows a button for each answer."""

    run: RunId
    round: int
    revision: int
    plan: Digest
    confirm: str = ""
    """What is to be confirmed before an approval; empty where nothing is changed."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message: a tone, a title in one line, and its parts."""

    tone: Tone
    title: str
    parts: tuple[Part, ...] = ()
    mention: Mention | None = None
    data: tuple[tuple[str, str], ...] = ()
    """The same for programs, as names and values. A chat for people shows nothing of it."""
    problems: tuple[tuple[tuple[str, str], ...], ...] = ()
    """For programs as well: each of the problems that the message tells of, where it tells of several."""
    choice: Choice | None = None
    """What people are to decide."""


LEVEL = "escalation."
"""How the key of a notice begins that tells a level of an escalation of one run."""
NEWS = "news."
"""How the key of a notice begins that tells another place of one run."""
TOLD_IN = "in:"
"""How it begins where a notice stands that was told together with others: the key of the one that tells of all."""
CARD = "asked."
"""How the key of a question's card begins."""
PARENT = "parent"
"""The key of the message that opens a run's thread and is edited in place."""


@dataclass(frozen=True, slots=True)
class Post:
    """A message for a run's thread. The same key again edits the earlier one in place."""

    key: str
    message: Message
    is_minor: bool = False
    """Whether it may wait behind all others: thousands like it may be told, and nobody waits for any of them."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A message of a run for another channel than its own. The same key again edits the earlier one in place."""

    channel: str
    key: str
    message: Message


@dataclass(frozen=True, slots=True)
class QueuedPost:
    """A post of the outbox whose newest version is not sent yet."""

    seq: int
    run: RunId | None  # None: a notice, which belongs to no run
    channel: str
    key: str
    message: Message
    version: int
    queued_at: datetime
    ref: str | None  # where it stands, once an earlier version was sent
    thread: str | None  # where the thread's parent stands, once that was sent
    attempted: bool = False  # somebody has begun to send it

    @property
    def mark(self) -> str:
        """What tells this message from all others. No run has an id of four letters."""
        return f"{self.run}/{self.key}" if self.run is not None else f"note/{self.channel}/{self.key}"
