"""One chat for people, and webhooks beside it: each message goes where its channel leads. The outbox calls it."""

from collections.abc import Mapping

from remediator.chat.chat import Chat, Found, Outgoing


class RoutedChat:
    """A chat, with others that each have one channel."""

    def __init__(self, chat: Chat, others: Mapping[str, Chat]) -> None:
        """`others`: chats by the one channel that is theirs."""
        self.name = chat.name
        self._chat = chat
        self._others = others

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
        return self._others.get(post.channel, self._chat)
