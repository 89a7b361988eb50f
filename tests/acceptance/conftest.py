"""Fixtures of the acceptance tests."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from remediator.testing.slack import SlackStandIn
from tests.acceptance import story


@pytest.fixture
def slack() -> Iterator[SlackStandIn]:
    """Slack's stand-in on a loop of its own, so that it answers while a test waits."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="slack-stand-in")
    thread.start()
    made = SlackStandIn(token=story.TOKEN, channels=[story.CHANNEL])
    asyncio.run_coroutine_threadsafe(made.start(), loop).result(10)
    yield made
    asyncio.run_coroutine_threadsafe(made.close(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()
