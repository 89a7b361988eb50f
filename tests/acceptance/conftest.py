"""Fixtures of the acceptance tests."""

from collections.abc import Iterator

import pytest

from remediator.testing.slack import SlackStandIn
from tests.acceptance import story
from tests.slack_on_a_loop import slack_on_a_loop


@pytest.fixture
def slack() -> Iterator[SlackStandIn]:
    """Slack's stand-in on a loop of its own, so that it answers while a test waits."""
    with slack_on_a_loop(story.TOKEN, [story.CHANNEL]) as made:
        yield made
