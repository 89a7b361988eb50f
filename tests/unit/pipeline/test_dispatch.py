"""The heap of wake-ups: in time, in order, and never lost."""

import asyncio
from datetime import timedelta

from remediator.model.ids import RunId
from remediator.pipeline.dispatch import HeapDispatcher
from remediator.testing.clock import VirtualClock

SECOND = timedelta(seconds=1)


async def test_runs_come_out_when_they_are_due_and_in_that_order() -> None:
    """Oldest first is what people expect of a queue."""
    clock = VirtualClock()
    heap = HeapDispatcher(clock)
    heap.wake(RunId("later"), clock.now() + 10 * SECOND)
    heap.wake(RunId("now"), clock.now())
    heap.wake(RunId("soon"), clock.now() + 5 * SECOND)

    assert "now" == await heap.next()
    waiting = asyncio.ensure_future(heap.next())
    await clock.advance(4 * SECOND)
    assert not waiting.done()
    await clock.advance(1 * SECOND)
    assert "soon" == await waiting
    await clock.advance(5 * SECOND)
    assert "later" == await heap.next()


async def test_an_earlier_wake_up_overtakes_a_later_one_and_it_comes_once() -> None:
    """A decision wakes a run that is parked until its time-out."""
    clock = VirtualClock()
    heap = HeapDispatcher(clock)
    heap.wake(RunId("r"), clock.now() + 100 * SECOND)
    waiting = asyncio.ensure_future(heap.next())
    await clock.advance(SECOND)
    heap.wake(RunId("r"), clock.now())

    assert "r" == await asyncio.wait_for(waiting, 5)
    waiting = asyncio.ensure_future(heap.next())
    await clock.advance(200 * SECOND)
    assert not waiting.done()
    waiting.cancel()


async def test_a_jump_of_the_wall_clock_fires_nothing_early() -> None:
    """NTP may correct the clock by hours; a time-out of 15 minutes stays one."""
    clock = VirtualClock()
    heap = HeapDispatcher(clock)
    heap.wake(RunId("r"), clock.now() + 100 * SECOND)
    waiting = asyncio.ensure_future(heap.next())
    clock.jump(timedelta(hours=5))
    await clock.advance(99 * SECOND)
    assert not waiting.done()
    clock.jump(timedelta(hours=-50))
    await clock.advance(1 * SECOND)

    assert "r" == await waiting


async def test_what_is_due_is_counted() -> None:
    """The metric tells how far the work is behind."""
    clock = VirtualClock()
    heap = HeapDispatcher(clock)
    for name in ("a", "b"):
        heap.wake(RunId(name), clock.now())
    heap.wake(RunId("c"), clock.now() + SECOND)

    assert (2, timedelta(0)) == (heap.due, heap.lateness)
    await clock.advance(3 * SECOND)
    assert (3, 3 * SECOND) == (heap.due, heap.lateness)
