"""The settings of the Slack workspace that is told, and from which people decide."""

from datetime import timedelta
from typing import Annotated, Self

from pydantic import AfterValidator, SecretStr, model_validator

from remediator.model.duration import Duration
from remediator.settings.addresses import web_address
from remediator.settings.sections.section import Section


def _team(text: str | None) -> str | None:
    return _id(text, "T", "a workspace's id (T…); it stands in the workspace's address in a browser")


def _app(text: str | None) -> str | None:
    return _id(text, "A", "an app's id (A…); it stands under Basic Information of the app")


def _id(text: str | None, begins: str, what: str) -> str | None:
    if text is not None and not (text.startswith(begins) and text.isascii() and text.isalnum() and text.isupper()):
        raise ValueError(f"this takes {what}")
    return text


class SlackSettings(Section):
    """The Slack workspace that is told. Without a token, the story is printed on the terminal."""

    secret_files = ("token", "signing_secret", "app_token")

    token: SecretStr | None = None
    """A bot token (`xoxb-…`) with `chat:write`; with `channels:history` too, a message that may have been sent before
    a crash is looked for instead of being repeated with a note."""
    channel: str = "#alerts"
    """The channel of the threads; an id (`C…`) is needed to find messages again after a crash."""
    base_url: Annotated[str, AfterValidator(web_address)] = "https://slack.com/api/"
    """Slack's web API. Change it for a proxy, or for a stand-in in tests."""
    post_interval: Duration = timedelta(seconds=1)
    """At most one post in this time for each channel: Slack's own limit."""
    signing_secret: SecretStr | None = None
    """The signing secret of the app (Basic Information there). With it, questions have buttons, and
    `/slack/interactions` and `/slack/commands` take what Slack sends; without it, neither is there."""
    app_token: SecretStr | None = None
    """An app-level token (`xapp-…`) with `connections:write`. With it, Socket Mode is on: what people press and say
    comes over a connection that this service opens, for networks that Slack cannot reach."""
    team: Annotated[str | None, AfterValidator(_team)] = None
    """The id of the workspace (`T…`): only people of it decide. Left out, Slack is asked whose the token is; until it
    has answered, nothing that comes from Slack is taken."""
    app: Annotated[str | None, AfterValidator(_app)] = None
    """The id of the app (`A…`). With it, what another app sends is refused, whatever it is signed with."""

    @model_validator(mode="after")
    def _can_answer(self) -> Self:
        for name in ("signing_secret", "app_token"):
            secret = getattr(self, name)
            if secret is not None and not secret.get_secret_value():
                raise ValueError(f"{name}: this secret is empty")
            if secret is not None and self.token is None:
                raise ValueError(f"{name} is of no use without `token`: give the app's bot token (xoxb-…) as well")
        return self

    @property
    def interactive(self) -> bool:
        """Whether people can decide in Slack: only then do messages have buttons."""
        return self.signing_secret is not None or self.app_token is not None
