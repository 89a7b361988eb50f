"""One chat for people, and other places beside it: each message goes where its channel leads. The outbox calls it."""

from collections.abc import Mapping

import structlog

from remediator.chat.chat import NOTIFY, CannotTell, Chat, Found, Outgoing
from remediator.errors import Failed, OutcomeUnknown, Transient
from remediator.kit.clock import Clock

log = structlog.get_logger(__name__)

_LONGEST_REST = 300.0  # seconds
_GIVEN_UP = "given up"


class RoutedChat:
    """A chat, with others that each have one channel."""

    def __init__(self, chat: Chat, others: Mapping[str, Chat]) -> None:
        """`others`: chats by the one channel that is theirs."""
        self.name = chat.name
        self._chat = chat
        self._others = others
        self._gone = _Gone()

    async def post(self, post: Outgoing) -> str:
        """See Chat."""
        return await self._of(post).post(post)

    async def edit(self, post: Outgoing, ref: str) -> None:
        """See Chat."""
        await self._of(post).edit(post, ref)

    async def find(self, post: Outgoing) -> Found:
        """See Chat."""
        return await self._of(post).find(post)

    async def check(self) -> None:
        """See Chat. The others are told something now and then, and looked at by `remediator doctor`."""
        await self._chat.check()

    async def close(self) -> None:
        """See Chat."""
        for chat in (self._chat, *self._others.values()):
            await chat.close()

    def _of(self, post: Outgoing) -> Chat:
        is_place = post.channel.startswith(NOTIFY)
        return self._others.get(post.channel, self._gone if is_place else self._chat)


class SparedChat:
    """A place that is left alone for a while after it has failed, longer each time: it keeps no others waiting.

    What it is to be told meanwhile fails at once, and is told later.
    """

    def __init__(self, chat: Chat, clock: Clock) -> None:
        self.name = chat.name
        self._chat = chat
        self._clock = clock
        self._failures = 0
        self._rests_until = clock.monotonic()
        self._why = ""

    async def post(self, post: Outgoing) -> str:
        """See Chat. Raises Failed while it is left alone, and where it takes nothing now: the others go on."""
        self._raise_while_resting()
        try:
            ref = await self._chat.post(post)
        except (Failed, OutcomeUnknown, Transient) as error:
            self._rest(error)
            if isinstance(error, Transient):
                raise Failed(str(error)) from error
            raise
        self._failures = 0
        return ref

    async def edit(self, post: Outgoing, ref: str) -> None:
        """See Chat."""
        del ref
        await self.post(post)

    async def find(self, post: Outgoing) -> Found:
        """See Chat."""
        return await self._chat.find(post)

    async def check(self) -> None:
        """See Chat."""
        await self._chat.check()

    async def close(self) -> None:
        """See Chat."""
        await self._chat.close()

    @property
    def rests(self) -> float:
        """For how many seconds it is left alone from now on."""
        return max(self._rests_until - self._clock.monotonic(), 0)

    def _raise_while_resting(self) -> None:
        if self.rests > 0:
            raise Failed(f"{self._why} (it is left alone for {self.rests:.0f} s)")

    def _rest(self, error: Exception) -> None:
        self._failures += 1
        self._why = str(error)
        self._rests_until = self._clock.monotonic() + min(2.0 ** min(self._failures, 10), _LONGEST_REST)


class _Gone:
    """Where messages end for a place that the settings have no more: the run's own thread tells all of it."""

    name = "gone"

    async def post(self, post: Outgoing) -> str:
        """See Chat. It is given up, and the log says so."""
        log.warning("notice_given_up", channel=post.channel, mark=post.mark, why="the settings have no such place")
        return _GIVEN_UP

    async def edit(self, post: Outgoing, ref: str) -> None:
        """See Chat."""

    async def find(self, post: Outgoing) -> Found:
        """See Chat."""
        return CannotTell(f"the settings have no such place ({post.mark})")

    async def check(self) -> None:
        """See Chat."""

    async def close(self) -> None:
        """See Chat."""
