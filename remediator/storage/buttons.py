"""The buttons of the chat as a store keeps them.

Asked by the outbox, and by who is told of a press.
What holds of every method is said in `storage/store.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from remediator.model.ids import Digest, RuleId, RunId


@dataclass(frozen=True, slots=True)
class Button:
    """A button in the chat, by the digest of its token: one decision on one question, in one message."""

    digest: bytes
    run: RunId
    round: int
    revision: int
    plan: Digest
    approves: bool
    post: int
    """The post (`QueuedPost.seq`) of the message that it stands in."""
    made_at: datetime


@dataclass(frozen=True, slots=True)
class Pressed:
    """A button that was found, with where its message stands; None where that is not known (yet)."""

    button: Button
    ref: str | None


@dataclass(frozen=True, slots=True)
class OpenQuestions:
    """How many plans of a rule wait for people, by the cards in one channel."""

    rule: RuleId
    channel: str
    count: int


class ButtonStore(Protocol):
    """Keeps buttons."""

    async def keep_buttons(self, made: Sequence[Button], /) -> None:
        """Remember buttons before the message is sent that they stand in."""
        ...

    async def find_button(self, digest: bytes) -> Pressed | None:
        """The button whose token has this digest."""
        ...

    async def send_again(self, post: int) -> None:
        """Have a message that stands somewhere, and puts no choice to people, be written there once more.

        Somebody has pressed a button in it: what stands there is older than what was sent last.
        """
        ...

    async def open_questions(self) -> tuple[OpenQuestions, ...]:
        """How many questions have a card that puts a choice to people, by rule and channel, sent or not."""
        ...
