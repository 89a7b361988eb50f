"""Readiness asks the store one question at a time, and does not wait for ever."""

import asyncio
from datetime import timedelta

from remediator.errors import StoreUnavailable
from remediator.kit.metrics import Metrics
from remediator.pipeline.store_check import StoreCheck
from remediator.storage.sqlite import SqliteStore
from remediator.testing.clock import VirtualClock

AT_ONCE, LONG = timedelta(milliseconds=1), timedelta(minutes=1)


class AskedStore(SqliteStore):
    """A store that counts how often it is asked, and hangs or fails as it is told to."""

    def __init__(self) -> None:
        super().__init__(None, clock=VirtualClock(), metrics=Metrics())
        self.asked = 0
        self.answers = asyncio.Event()
        self.error: Exception | None = None

    async def probe(self) -> None:
        self.asked += 1
        await self.answers.wait()
        if self.error is not None:
            raise self.error


async def test_a_store_that_can_be_written_is_no_trouble() -> None:
    """Each look asks anew: an answer from before says nothing about now."""
    store = AskedStore()
    store.answers.set()
    check = StoreCheck(store, VirtualClock(), patience=LONG)

    assert [None, None] == [await check.trouble(), await check.trouble()]
    assert 2 == store.asked


async def test_a_store_that_hangs_is_told_in_time_and_asked_once() -> None:
    """Each further question would be one more thing that waits in it, and nobody would be told."""
    store, clock = AskedStore(), VirtualClock()
    check = StoreCheck(store, clock, patience=AT_ONCE)
    first = await check.trouble()
    await clock.advance(timedelta(seconds=20))
    second = await check.trouble()
    asked = store.asked
    store.answers.set()
    patient = StoreCheck(store, clock, patience=LONG)
    await check.close()

    assert ["the store has not answered for 0 s", "the store has not answered for 20 s"] == [first, second]
    assert 1 == asked
    assert await patient.trouble() is None


async def test_those_who_ask_together_share_the_answer() -> None:
    """A supervisor, a load balancer and the metric ask at the same time."""
    store = AskedStore()
    check = StoreCheck(store, VirtualClock(), patience=LONG)
    asking = [asyncio.create_task(check.trouble()) for _ in range(5)]
    await asyncio.sleep(0)
    store.error = StoreUnavailable("the disk is full")
    store.answers.set()

    assert ["the disk is full"] * 5 == await asyncio.gather(*asking)
    assert 1 == store.asked


async def test_a_question_that_is_never_answered_does_not_outlive_the_service() -> None:
    """No task is left behind at the end."""
    store = AskedStore()
    check = StoreCheck(store, VirtualClock(), patience=AT_ONCE)
    await check.trouble()
    await check.close()

    assert [] == [task for task in asyncio.all_tasks() if task.get_name() == "store-check"]
