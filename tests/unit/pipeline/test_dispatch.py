"""The heap of wake-ups: in time, in order, and never lost."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from remediator.model.ids import RuleId, RunId
from remediator.model.priority import Priority
from remediator.pipeline.dispatch import HeapDispatcher
from remediator.pipeline.lines import OLDEST_EVERY
from remediator.testing.clock import VirtualClock

SECOND = timedelta(seconds=1)


async def test_runs_come_out_when_they_are_due_and_in_that_order() -> None:
    """Oldest first is what people expect of a queue."""
    clock = VirtualClock()
    heap = HeapDispatcher(clock)
    heap.wake(RunId("later"), clock.now() + 10 * SECOND)
    heap.wake(RunId("now"), clock.now())
    heap.wake(RunId("soon"), clock.now() + 5 * SECOND)

    assert "now" == (await heap.next()).run
    waiting = asyncio.ensure_future(heap.next())
    await clock.advance(4 * SECOND)
    assert not waiting.done()
    await clock.advance(1 * SECOND)
    assert "soon" == (await waiting).run
    await clock.advance(5 * SECOND)
    assert "later" == (await heap.next()).run


async def test_an_earlier_wake_up_overtakes_a_later_one_and_it_comes_once() -> None:
    """A decision wakes a run that is parked until its time-out."""
    clock = VirtualClock()
    heap = HeapDispatcher(clock)
    heap.wake(RunId("r"), clock.now() + 100 * SECOND)
    waiting = asyncio.ensure_future(heap.next())
    await clock.advance(SECOND)
    heap.wake(RunId("r"), clock.now())

    assert "r" == (await asyncio.wait_for(waiting, 60)).run
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

    assert "r" == (await waiting).run


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


async def test_among_those_that_are_due_the_urgent_goes_first() -> None:
    """Being due earlier is no merit while a critical alert waits."""
    clock = VirtualClock()
    heap = HeapDispatcher(clock)
    heap.wake(RunId("low"), clock.now(), Priority.LOW)
    heap.wake(RunId("normal"), clock.now())
    heap.wake(RunId("not-yet"), clock.now() + SECOND, Priority.HIGH)
    heap.wake(RunId("high"), clock.now(), Priority.HIGH)

    assert ["high", "normal", "low"] == [(await heap.next()).run for _ in range(3)]


async def test_what_comes_for_a_run_that_has_its_turn_is_news_and_not_work() -> None:
    """It needs no place, and is not kept behind ten thousand others that do."""
    clock = VirtualClock()
    heap = HeapDispatcher(clock)
    news = asyncio.Event()
    heap.attend(RunId("r"), news)
    heap.wake(RunId("r"), clock.now())

    assert (True, 0) == (news.is_set(), heap.due)
    heap.dismiss(RunId("r"))
    heap.wake(RunId("r"), clock.now())
    assert "r" == (await heap.next()).run


async def test_a_timer_of_a_run_that_has_its_turn_by_then_is_news() -> None:
    """Two turns of one run at once would be two owners of it."""
    clock = VirtualClock()
    heap = HeapDispatcher(clock)
    news = asyncio.Event()
    heap.wake(RunId("r"), clock.now() + SECOND)
    heap.attend(RunId("r"), news)
    await clock.advance(2 * SECOND)

    assert 0 == heap.due
    assert news.is_set()


async def test_a_run_of_a_full_rule_waits_without_a_place_until_one_of_its_rule_leaves() -> None:
    """`next` is woken by that, not only by wake-ups."""
    clock = VirtualClock()
    heap = HeapDispatcher(clock, at_once_per_rule=1)
    for name in ("a", "b"):
        heap.wake(RunId(name), clock.now(), Priority.NORMAL, RuleId("rule"))
    first = await heap.next()
    waiting = asyncio.ensure_future(heap.next())
    await clock.advance(SECOND)

    assert (False, 1, 0) == (waiting.done(), heap.due, heap.ready)
    heap.leave(first)
    assert "b" == (await asyncio.wait_for(waiting, 60)).run


async def test_wake_ups_that_were_superseded_do_not_pile_up() -> None:
    """A run that is woken each second while it has an hour's timer would fill the memory."""
    clock = VirtualClock()
    heap = HeapDispatcher(clock)
    for _ in range(5000):
        heap.wake(RunId("r"), clock.now() + timedelta(hours=1))
        heap.wake(RunId("r"), clock.now())
        await heap.next()

    assert len(heap._heap) < 2000


@dataclass
class Wake:
    """What the naive model knows of a run."""

    at: float
    priority: Priority
    order: int | None = None  # in its line, once it is due


class Naive:
    """The dispatcher with plain lists, looked through each time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.wakes: dict[str, Wake] = {}
        self.given = 0
        self.order = 0

    def due(self) -> dict[str, Wake]:
        for _, wake in sorted(self.wakes.items(), key=lambda item: (item[1].at, item[0])):
            if wake.order is None and wake.at <= self.now:
                self.order += 1
                wake.order = self.order
        return {name: wake for name, wake in self.wakes.items() if wake.order is not None}

    def wake(self, name: str, delay: float, priority: Priority) -> None:
        known, at = (self.due().get(name) or self.wakes.get(name)), self.now + max(delay, 0)
        if known is None:
            self.wakes[name] = Wake(at, priority)
        elif known.order is None:
            known.at, known.priority = min(known.at, at), min(known.priority, priority)
        elif priority < known.priority:
            self.order += 1
            known.priority, known.order = priority, self.order
        self.due()

    def next(self) -> str:
        self.given += 1
        due = self.due()
        heads: list[str] = []
        for priority in Priority:
            line = [name for name, wake in due.items() if wake.priority is priority]
            heads += sorted(line, key=lambda name: due[name].order or 0)[:1]
        if self.given % OLDEST_EVERY == 0:
            heads.sort(key=lambda name: due[name].at)
        del self.wakes[heads[0]]
        return heads[0]


OPS = st.lists(
    st.one_of(
        st.tuples(st.just("wake"), st.sampled_from("abcdefgh"), st.integers(-2, 9), st.sampled_from(list(Priority))),
        st.tuples(st.just("pass"), st.just(""), st.integers(0, 5), st.just(Priority.NORMAL)),
        st.tuples(st.just("next"), st.just(""), st.just(0), st.just(Priority.NORMAL)),
    ),
    max_size=60,
)


@settings(deadline=None)
@given(OPS)
def test_it_does_what_a_naive_one_does(ops: list[tuple[str, str, int, Priority]]) -> None:
    """Every wake-up comes, in time and in order, however they overtake each other; also while the clock is set."""

    async def play() -> None:
        clock, naive = VirtualClock(), Naive()
        heap = HeapDispatcher(clock)
        for op, name, number, priority in ops:
            if op == "wake":
                heap.wake(RunId(name), clock.now() + number * SECOND, priority)
                naive.wake(name, number, priority)
            elif op == "pass":
                clock.jump(timedelta(hours=number - 2))
                await clock.advance(number * SECOND)
                naive.now += number
            elif naive.due():
                assert naive.next() == (await heap.next()).run
            assert len(naive.due()) == heap.due

    asyncio.run(play())
