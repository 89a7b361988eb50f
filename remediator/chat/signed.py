"""Tells a webhook of the settings' `notify` what becomes of runs, signed. The outbox calls it through `Chat`.

It is the JSON that webhooks of levels are told as well, with its own key in it. Nothing there can be edited or looked
for.
"""

from remediator.chat.chat import CannotTell, Found, Outgoing, taken_at
from remediator.chat.webhook import body_of
from remediator.clients.webhook import SignedClient
from remediator.kit.clock import Clock


class SignedChat:
    """One webhook."""

    name = "signed webhook"

    def __init__(self, client: SignedClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    async def post(self, post: Outgoing) -> str:
        """See Chat. Any answer of success means that it has landed."""
        await self._client.post({"id": post.mark, **body_of(post)}, key=post.mark)
        return taken_at(self._clock.now())

    async def edit(self, post: Outgoing, ref: str) -> None:
        """See Chat."""
        del ref
        await self.post(post)

    async def find(self, post: Outgoing) -> Found:
        """See Chat."""
        return CannotTell(f"what a webhook was told cannot be looked for ({post.mark})")

    async def check(self) -> None:
        """See Chat. It could only be told something, so nothing is asked."""

    async def close(self) -> None:
        """See Chat."""
        await self._client.close()
