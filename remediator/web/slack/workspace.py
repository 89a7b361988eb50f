"""Which workspace and which app we belong to: from the settings, else Slack is asked whose our token is.

Called for everything that comes from Slack. While that is not known, nothing is taken.
"""

import asyncio
from datetime import timedelta

from remediator.clients.slack import SlackClient
from remediator.errors import NotAllowed, RemediatorError, Unavailable
from remediator.settings import SlackSettings
from remediator.web.slack.payloads import Sender

_PATIENCE = timedelta(seconds=2)  # of the three that Slack waits


class Workspace:
    """Knows our workspace and our app."""

    def __init__(self, settings: SlackSettings, client: SlackClient) -> None:
        self._team = settings.team
        self._app = settings.app
        self._client = client

    async def check(self, sender: Sender) -> None:
        """That it was sent to us. Raises NotAllowed, or Unavailable while it is not known who we are."""
        if self._app is not None and sender.app != self._app:
            raise NotAllowed("this comes from another app than slack.app says")
        if sender.team != await self._our_team():
            raise NotAllowed("this comes from another workspace than slack.team says, or than the token's")

    async def is_of_us(self, sender: Sender) -> bool:
        """Whether the person is of our own workspace; in shared channels, others press buttons as well."""
        return sender.user_team == await self._our_team()

    async def learn(self) -> None:
        """Ask now, so that nobody waits for it later. What goes wrong is asked again when it is needed."""
        try:
            await self._our_team()
        except RemediatorError:
            return

    async def _our_team(self) -> str:
        if self._team is None:
            self._team = await self._ask()
        return self._team

    async def _ask(self) -> str:
        try:
            async with asyncio.timeout(_PATIENCE.total_seconds()):
                team = (await self._client.identity()).team
        except (RemediatorError, TimeoutError) as error:
            raise Unavailable("Slack does not say whose our token is; set slack.team") from error
        if team is None:
            raise Unavailable("Slack does not say of which workspace our token is; set slack.team")
        return team
