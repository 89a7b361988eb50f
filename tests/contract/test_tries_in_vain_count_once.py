"""A receiver that was away for a moment: what it did not take is tried again soon, whatever limit there is."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from remediator.chat.webhook import WebhookChat
from remediator.kit.metrics import Metrics
from remediator.model.budget import Budget
from remediator.model.message import Message, Tone
from remediator.pipeline.outbox import Outbox
from remediator.storage.store import Store
from remediator.testing.clock import VirtualClock
from tests.contract.pager import PAGER, Pager, paging

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture
def pager() -> Pager:
    return Pager()


@pytest.fixture
async def chat(pager: Pager) -> AsyncIterator[WebhookChat]:
    async with paging(pager) as made:
        yield made


def poster(store: Store, chat: WebhookChat, clock: VirtualClock, limit: Budget) -> Outbox:
    return Outbox(store=store, chat=chat, clock=clock, metrics=Metrics(), interval=timedelta(0), limits={PAGER: limit})


async def escalate(store: Store, clock: VirtualClock, run: str) -> None:
    data = (("event", "escalated"), ("level", "pager"), ("run", run), ("rule", "web/down"), ("summary", "it is down"))
    await store.notify(
        PAGER, f"escalation.{run}.1", Message(Tone.FIRING, f"Escalated: {run}", (), None, data), clock.now()
    )


async def wait(outbox: Outbox, clock: VirtualClock, for_: timedelta) -> None:
    end = clock.now() + for_
    while clock.now() < end:
        await clock.advance(SECOND)
        await outbox.send_waiting()


@pytest.mark.parametrize("status", [410, 503], ids=["refused", "away"])
async def test_tries_in_vain_do_not_use_up_the_limit(
    store: Store, clock: VirtualClock, pager: Pager, chat: WebhookChat, status: int
) -> None:
    """A pager that is away for two minutes must not be called an hour later, because few pages an hour are wanted."""
    pager.status = status
    outbox = poster(store, chat, clock, Budget(3, HOUR))
    await escalate(store, clock, "one")
    await wait(outbox, clock, 2 * MINUTE)
    pager.status = 200
    await wait(outbox, clock, 5 * MINUTE)

    assert ["one"] == pager.runs()


async def test_each_message_counts_once_however_often_it_was_tried(
    store: Store, clock: VirtualClock, pager: Pager, chat: WebhookChat
) -> None:
    """The limit is one of messages: no more than so many begin, and those that have begun are told."""
    pager.status = 503
    outbox = poster(store, chat, clock, Budget(2, HOUR))
    await escalate(store, clock, "one")
    await wait(outbox, clock, MINUTE)
    pager.status = 200
    await wait(outbox, clock, 5 * MINUTE)
    for run in ("two", "three"):
        await escalate(store, clock, run)
    await wait(outbox, clock, MINUTE)
    within = len(pager.told)
    await escalate(store, clock, "four")
    await wait(outbox, clock, MINUTE)
    before = pager.runs()
    await wait(outbox, clock, HOUR)

    assert (2, ["one", "two", "three"]) == (within, before)
    assert ["one", "two", "three", "four"] == pager.runs()
