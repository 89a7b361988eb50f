"""The settings of the Slack workspace that is told."""

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, SecretStr

from remediator.model.duration import Duration
from remediator.settings.addresses import web_address
from remediator.settings.sections.section import Section


class SlackSettings(Section):
    """The Slack workspace that is told. Without a token, the story is printed on the terminal."""

    secret_files = ("token",)

    token: SecretStr | None = None
    """A bot token (`xoxb-…`) with `chat:write`; with `channels:history` too, a message that may have been sent before
    a crash is looked for instead of being repeated with a note."""
    channel: str = "#alerts"
    """The channel of the threads; an id (`C…`) is needed to find messages again after a crash."""
    base_url: Annotated[str, AfterValidator(web_address)] = "https://slack.com/api/"
    """Slack's web API. Change it for a proxy, or for a stand-in in tests."""
    post_interval: Duration = timedelta(seconds=1)
    """At most one post in this time for each channel: Slack's own limit."""
