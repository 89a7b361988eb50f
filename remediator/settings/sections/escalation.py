"""The settings of the levels that rules escalate to: a channel of the chat, a webhook, or both."""

import re
from datetime import timedelta
from typing import Annotated, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from remediator.model.budget import Budget, Window
from remediator.model.duration import Duration
from remediator.model.message import Mention
from remediator.settings.addresses import web_address
from remediator.settings.sections.section import Section

_BROADCASTS = ("here", "channel", "everyone")
_PERSON = re.compile(r"[UW][A-Z0-9]{4,20}")
_GROUP = re.compile(r"S[A-Z0-9]{4,20}")
_LEVEL = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,60}")
_OURS = ("content-type", "content-length", "host", "idempotency-key", "user-agent", "transfer-encoding", "connection")


def level_name(name: str) -> str:
    """A name of a level, as rules may write it. Raises ValueError for what is none."""
    if not _LEVEL.fullmatch(name):
        raise ValueError(f"{name[:80]!r} is not a level's name; use up to 63 of a-z, 0-9 and -, such as level-2")
    return name


def _mention(text: str | None) -> str | None:
    if text is not None and _mention_of(text) is None:
        raise ValueError(
            "this takes the id of a user group (S…) or of a person (U…) in Slack, or @here, @channel, @everyone; "
            "an id is in the menu of the group's or the person's profile"
        )
    return text


def _mention_of(text: str) -> Mention | None:
    if text.removeprefix("@") in _BROADCASTS:
        return Mention("broadcast", text.removeprefix("@"))
    if _GROUP.fullmatch(text):
        return Mention("usergroup", text)
    return Mention("user", text) if _PERSON.fullmatch(text) else None


def _webhook(url: SecretStr | None) -> SecretStr | None:
    """The address may be a secret itself, so it is never shown."""
    if url is not None:
        try:
            web_address(url.get_secret_value())
        except ValueError:
            raise ValueError("write the address with http:// or https://, such as https://pager.example/hook") from None
    return url


def _header(name: str) -> str:
    if not _HEADER.fullmatch(name) or name.lower() in _OURS:
        raise ValueError(f"{name[:80]!r} cannot be the header of a secret; use one such as Authorization or X-Token")
    return name


class EscalationSettings(Section):
    """One level of escalation: whom to turn to."""

    secret_files = ("webhook", "secret")

    channel: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """The channel of the chat that is told. Without Slack, it is told on the terminal."""
    mention: Annotated[str | None, AfterValidator(_mention)] = None
    """Who is pinged there: the id of a user group (`S…`) or of a person (`U…`), or `@here`, `@channel`, `@everyone`."""
    webhook: Annotated[SecretStr | None, AfterValidator(_webhook)] = None
    """The address that is told by POST, with what docs/operating.md describes. A secret, as it often holds one."""
    header: Annotated[str, AfterValidator(_header)] = "Authorization"
    """The header that carries `secret` to the webhook."""
    secret: SecretStr | None = None
    """What that header says, such as `Bearer …`; none is sent without it."""
    timeout: Duration = timedelta(seconds=10)
    """How long the webhook may take; then it is told again."""
    limit: Window = Budget(10, timedelta(minutes=1))
    """How many messages in what time. What comes beyond that is told together, in the last of them, with a list."""

    @property
    def pinged(self) -> Mention | None:
        """Who is pinged in the channel."""
        return None if self.mention is None else _mention_of(self.mention)

    @model_validator(mode="after")
    def _leads_somewhere(self) -> Self:
        if self.channel is None and self.webhook is None:
            raise ValueError("a level tells a `channel` or a `webhook`, or both; this one tells nobody")
        if self.mention is not None and self.channel is None:
            raise ValueError("`mention` pings somebody in a `channel`, and this level has none")
        if self.secret is not None and self.webhook is None:
            raise ValueError("`secret` is for a `webhook`, and this level has none")
        if self.secret is not None and not _is_header_value(self.secret.get_secret_value()):
            raise ValueError("the secret cannot stand in a header: it is empty, or not one line of plain characters")
        return self


def _is_header_value(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable()
