"""Where the service tells: the chat of the settings, the webhooks of escalation, and the other places that are told.

Made by the wiring. It knows which chat there is and which channel leads where; what is told, and when, is the
outbox's. The libraries of a chat are imported only where the settings ask for it.
"""

import sys
from collections.abc import Mapping
from datetime import timedelta

from remediator.chat.chat import WEBHOOK, Chat
from remediator.chat.routed import RoutedChat, SparedChat
from remediator.chat.terminal import TerminalChat
from remediator.errors import BadSettings
from remediator.kit.clock import Clock
from remediator.model.budget import Budget
from remediator.pipeline.escalation.levels import Levels, levels_of, limits_of
from remediator.pipeline.notifying import Places, channel_of
from remediator.settings import NotifySettings, Settings

_TERMINAL, _SLACK = "terminal", "slack"


class Chats:
    """The chats of the settings, as one, and what is to be known of them."""

    def __init__(self, settings: Settings, clock: Clock, chat: Chat | None = None) -> None:
        """`chat`: the one for people, instead of the settings'. Raises BadSettings where a place cannot be told."""
        self._settings = settings
        self._webhooks = _webhooks_of(settings, clock)
        self.places = Places(settings.notify, settings.public_url)
        self._places = _places_of(settings, clock)
        self.chat = RoutedChat(chat or _chat_of(settings), {**self._webhooks, **self._places})
        self.channel = settings.slack.channel if self.chat.name != _TERMINAL else _TERMINAL

    @property
    def levels(self) -> Levels:
        """The levels of escalation, with the channels they have here."""
        return levels_of(self._settings.escalation, instead=self._one_channel)

    @property
    def interval(self) -> timedelta:
        """What lies between two posts at least."""
        return self._settings.slack.post_interval if self.chat.name != _TERMINAL else timedelta(0)

    @property
    def limits(self) -> Mapping[str, Budget]:
        """How many messages of levels, and of each place, may go to each channel."""
        return {**limits_of(self._settings.escalation, instead=self._one_channel), **self.places.limits}

    def has_buttons(self, _channel: str) -> bool:
        """Whether questions are shown with buttons: only where somebody listens to who presses them."""
        return self.chat.name == _SLACK and self._settings.slack.interactive

    def rests(self, channel: str) -> float:
        """For how many seconds a channel is left alone, as it has failed."""
        return self._places[channel].rests if channel in self._places else 0

    def moved(self, channel: str) -> str | None:
        """Where to tell instead what waits for a channel that the settings do not have any more."""
        if channel.startswith(WEBHOOK) and channel not in self._webhooks:
            return self.channel
        return self.channel if channel == _TERMINAL and channel != self.channel else None

    @property
    def _one_channel(self) -> str | None:
        """The only channel of a chat that has no others."""
        return _TERMINAL if self.channel == _TERMINAL else None


def _chat_of(settings: Settings) -> Chat:
    if settings.slack.token is None:
        return TerminalChat(sys.stdout)
    from remediator.chat.slack import SlackChat
    from remediator.clients.slack import SlackClient

    return SlackChat(SlackClient(token=settings.slack.token.get_secret_value(), base_url=settings.slack.base_url))


def _webhooks_of(settings: Settings, clock: Clock) -> dict[str, Chat]:
    """The webhooks of the levels of escalation, by their channels."""
    found: dict[str, Chat] = {}
    for name, level in settings.escalation.items():
        if level.webhook is not None:
            from remediator.chat.webhook import WebhookChat
            from remediator.clients.webhook import WebhookClient

            client = WebhookClient(name, level.webhook.get_secret_value(), level)
            found[f"{WEBHOOK}{name}"] = WebhookChat(client, clock)
    return found


def _places_of(settings: Settings, clock: Clock) -> dict[str, SparedChat]:
    """The other places that hear of runs, by their channels. Raises BadSettings where apprise cannot tell one."""
    return {channel_of(name): SparedChat(_place(name, place, clock), clock) for name, place in settings.notify.items()}


def _place(name: str, place: NotifySettings, clock: Clock) -> Chat:
    if place.url is not None:
        from remediator.chat.apprise import AppriseChat
        from remediator.clients.apprise import AppriseClient

        return AppriseChat(AppriseClient(name, place.url, place), clock)
    from remediator.chat.signed import SignedChat
    from remediator.clients.webhook import SignedClient

    if place.webhook is None or place.secret is None:
        raise BadSettings(f"notify.{name}: a place has a `url`, or a `webhook` with a `secret`")
    url = place.webhook.get_secret_value()
    return SignedChat(SignedClient(name, url, place.secret, timeout=place.timeout, clock=clock), clock)
