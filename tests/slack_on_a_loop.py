"""Slack's stand-in on a loop of its own, for tests that wait for a service without a loop."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from remediator.testing.slack import SlackStandIn


@contextmanager
def slack_on_a_loop(token: str, channels: Sequence[str]) -> Iterator[SlackStandIn]:
    """It answers while a test waits."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="slack-stand-in")
    thread.start()
    made = SlackStandIn(token=token, channels=channels)
    try:
        asyncio.run_coroutine_threadsafe(made.start(), loop).result(60)
        yield made
        asyncio.run_coroutine_threadsafe(made.close(), loop).result(60)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(60)
        loop.close()
