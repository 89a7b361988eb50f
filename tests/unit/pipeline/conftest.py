"""A desk with posts to send, and a Slack that takes them."""

from collections.abc import AsyncIterator

import pytest

from remediator.chat.slack import SlackChat
from remediator.clients.slack import SlackClient
from remediator.kit.metrics import Metrics
from remediator.testing.clock import VirtualClock
from remediator.testing.slack import SlackStandIn
from tests.unit.pipeline.desk import RULE, SECOND, Desk, WeakStore


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    clock = VirtualClock()
    store = WeakStore(None, clock=clock, metrics=Metrics())
    await store.open()
    await store.remember_rules({RULE: {"pack": "p"}})
    yield Desk(store, clock)
    await store.close()


@pytest.fixture
async def slack(desk: Desk) -> AsyncIterator[SlackStandIn]:
    async with SlackStandIn(channels=["c", "other"], clock=desk.clock) as stand_in:
        yield stand_in


@pytest.fixture
async def slack_chat(slack: SlackStandIn) -> AsyncIterator[SlackChat]:
    chat = SlackChat(SlackClient(token=slack.token, base_url=slack.base_url, timeout=SECOND / 2))
    yield chat
    await chat.close()
