"""What is to be told, and how far the telling is, as a store keeps it.

Asked by the outbox, and by whoever tells something that belongs to no run.
What holds of every method is said in `storage/store.py`.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from remediator.model.message import Message, QueuedPost


@dataclass(frozen=True, slots=True)
class OutboxState:
    """How much waits to be told, and since when; and how much that is minor, which may wait for as long as it likes."""

    waiting: int
    oldest: datetime | None
    minor: int = 0


@dataclass(frozen=True, slots=True)
class NoticeState:
    """How far the telling of a notice is."""

    channel: str
    key: str
    seq: int
    queued_at: datetime
    ref: str | None
    """Where it stands, once some version of it was sent."""


class OutboxStore(Protocol):
    """Keeps messages until they are told, and where they stand."""

    async def notify(self, channel: str, key: str, message: Message, at: datetime) -> None:
        """Queue a message that belongs to no run; one with the same key, in the same channel, is edited in place.

        People are not alerted to an edit: what they are to notice anew needs a new key. What stands in the message is
        stored and shown as it is: who calls this has taken secrets out of it.
        """
        ...

    async def has_notice(self, channel: str, key: str) -> bool:
        """Whether a message that belongs to no run was queued under that key, sent or not."""
        ...

    async def read_notices(self, wanted: Collection[tuple[str, str]]) -> tuple[NoticeState, ...]:
        """Those of the notices, each named by its channel and its key, that are there."""
        ...

    async def waiting_levels(self, channel: str, limit: int) -> tuple[QueuedPost, ...]:
        """Notices of a channel that tell of escalations, and that stand nowhere yet, the oldest first."""
        ...

    async def gather(self, posts: Collection[QueuedPost], key: str, message: Message, at: datetime) -> None:
        """Have one notice under a new key tell what all of these tell, which wait for one channel: all or nothing.

        What becomes of one of them later is told by itself again, as a new message.
        """
        ...

    async def waiting_posts(self, limit: int) -> tuple[QueuedPost, ...]:
        """Posts whose newest version is not sent, the oldest first."""
        ...

    async def next_post(
        self, *, resting: Collection[int], busy: Collection[str], passed: Collection[int], full: Collection[str] = ()
    ) -> QueuedPost | None:
        """The oldest post that may be sent now, however many wait before it that may not.

        Notices go first, then threads in which the card of a question waits, as far as the card, and what is minor
        last. The opening message of a thread in which something waits that is not
        minor is not minor either.

        A reply waits until its thread stands, and for the replies before it, except for those that are `passed`.
        Posts that are `resting`, and those to `busy` channels, are left out; of `full` channels those that
        `waiting_levels` names and that were not tried yet.
        """
        ...

    async def note_attempt(self, seq: int) -> bool:
        """Somebody is about to send this post: from now on it may have landed. False where that was noted before."""
        ...

    async def note_sent(self, seq: int, version: int, ref: str) -> None:
        """This version of a post stands at `ref` now; version 0 for one that was found there, whichever it is."""
        ...

    async def move_thread(self, seq: int, channel: str) -> None:
        """Tell what this post belongs to in another channel from now on.

        A run's thread begins anew there, with the opening message; a notice is sent as a new message. It may be the
        same channel, where the message is gone.
        """
        ...

    async def outbox_state(self) -> OutboxState:
        """How much waits, and since when."""
        ...
