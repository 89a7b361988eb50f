"""Background work goes on, whatever happens to one look or to one piece of work."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from remediator.errors import Failed, StoreUnavailable
from remediator.pipeline.rounds import look_again_and_again, survive
from remediator.testing.clock import VirtualClock

SECOND = timedelta(seconds=1)


@asynccontextmanager
async def looking(
    look: Callable[[], Awaitable[object]], *, leads: Callable[[], bool] = lambda: True, wait_first: bool = False
) -> AsyncIterator[VirtualClock]:
    clock = VirtualClock()
    work = look_again_and_again(
        look, every=SECOND, clock=clock, waits="look_waits_for_store", leads=leads, wait_first=wait_first
    )
    task = asyncio.create_task(work, name="rounds")
    try:
        yield clock
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_it_looks_at_once_and_then_each_time() -> None:
    """What was left by an earlier process does not wait."""
    looks: list[float] = []

    async def look() -> None:
        looks.append(clock.monotonic())

    async with looking(look) as clock:
        await clock.advance(2 * SECOND)

    assert [0, 1, 2] == looks


async def test_it_can_wait_first() -> None:
    """Just after a start much may come anew by itself."""
    looks: list[float] = []

    async def look() -> None:
        looks.append(clock.monotonic())

    async with looking(look, wait_first=True) as clock:
        await clock.advance(2 * SECOND)

    assert [1, 2] == looks


async def test_only_who_leads_looks() -> None:
    """It is asked each time: the lead changes."""
    looks: list[float] = []

    async def look() -> None:
        looks.append(clock.monotonic())

    async with looking(look, leads=lambda: clock.monotonic() >= 2) as clock:
        await clock.advance(3 * SECOND)

    assert [2, 3] == looks


async def test_a_store_that_is_away_is_waited_for() -> None:
    """And it is said, by the name that the work has for it."""
    looks: list[float] = []

    async def look() -> None:
        looks.append(clock.monotonic())
        raise StoreUnavailable("away")

    with capture_logs() as said:
        async with looking(look) as clock:
            await clock.advance(SECOND)

    assert [0, 1] == looks
    assert ["look_waits_for_store"] * 2 == [line["event"] for line in said]


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("x"), Failed("no")], ids=["a mistake of ours", "one that is known"]
)
async def test_what_breaks_is_logged_and_given_back(error: Exception) -> None:
    """Whoever has more to do decides what becomes of this one."""

    async def work() -> None:
        raise error

    with capture_logs() as said:
        broke = await survive(work(), "work_broke", number=7)

    assert error is broke
    assert [("work_broke", 7)] == [(line["event"], line["number"]) for line in said]


async def test_what_does_not_break_gives_nothing_back() -> None:
    """So that it can be told apart."""
    assert await survive(asyncio.sleep(0), "work_broke") is None


async def test_a_store_that_is_away_stops_the_round() -> None:
    """The next piece would find it away as well."""

    async def work() -> None:
        raise StoreUnavailable("away")

    with pytest.raises(StoreUnavailable):
        await survive(work(), "work_broke")
