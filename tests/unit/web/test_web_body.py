"""The room for request bodies: what is held never exceeds it, and whoever came first is served first."""

import asyncio
from datetime import timedelta

import pytest
from aiohttp import StreamReader
from aiohttp.base_protocol import BaseProtocol
from aiohttp.test_utils import make_mocked_request

from remediator.errors import Overloaded
from remediator.web.body import Bodies, Hold, Limits, Room

AT_ONCE = timedelta(0)
LONG = timedelta(seconds=30)


async def _turn() -> None:
    """Let every task go on as far as it can."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_is_free_is_taken_at_once() -> None:
    """The usual case costs no wait."""
    room = Room(10)
    await room.take(6, patience=AT_ONCE)
    await room.take(4, patience=AT_ONCE)

    assert 0 == room.free


async def test_more_than_is_free_is_refused_after_a_while() -> None:
    """A sender gets its 503 while it still waits for one."""
    room = Room(10)
    await room.take(6, patience=AT_ONCE)
    with pytest.raises(TimeoutError):
        await room.take(5, patience=timedelta(milliseconds=10))

    assert 4 == room.free


async def test_whoever_waits_longest_is_served_first() -> None:
    """A stream of small requests must not starve a large one."""
    room, order = Room(10), []

    async def take(count: int) -> None:
        await room.take(count, patience=LONG)
        order.append(count)

    await room.take(10, patience=AT_ONCE)
    async with asyncio.TaskGroup() as group:
        for count in (8, 1, 2):
            group.create_task(take(count))
        await _turn()
        room.give_back(3)
        await _turn()
        assert [] == order
        room.give_back(7)
        await _turn()
        assert [8, 1] == order
        room.give_back(1)

    assert [8, 1, 2] == order


async def test_one_that_gives_up_makes_way() -> None:
    """A large request that leaves must not keep the small ones behind it waiting."""
    room = Room(10)
    await room.take(9, patience=AT_ONCE)
    large = asyncio.create_task(room.take(8, patience=LONG))
    small = asyncio.create_task(room.take(1, patience=LONG))
    await _turn()
    large.cancel()
    await asyncio.gather(large, return_exceptions=True)
    await asyncio.wait_for(small, 30)

    assert 0 == room.free


async def test_one_that_is_cancelled_as_it_is_served_loses_nothing() -> None:
    """Bytes that are leaked are gone until the next start."""
    room = Room(10)
    await room.take(10, patience=AT_ONCE)
    waiting = asyncio.create_task(room.take(5, patience=LONG))
    await _turn()
    room.give_back(10)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)

    assert waiting.cancelled()
    assert 10 == room.free


async def test_a_hold_is_given_back_also_when_the_request_fails() -> None:
    """The next request needs it."""
    room, free = Room(100_000), []

    async def fail() -> None:
        async with Hold(room, AT_ONCE) as hold:
            await hold.grow_to(50_000)
            free.append(room.free)
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await fail()

    assert [50_000, 100_000] == [*free, room.free]


async def test_a_hold_lasts_as_long_as_the_task_that_outlives_the_request() -> None:
    """Deliveries that a hanging store has not taken count against the bound as well."""
    room, stored = Room(100_000), asyncio.Event()

    async def store() -> None:
        await stored.wait()

    async with Hold(room, AT_ONCE) as hold:
        task = asyncio.create_task(store())
        hold.until(task)
    held = 100_000 - room.free
    stored.set()
    await task
    await _turn()

    assert held > 0
    assert 100_000 == room.free


async def test_a_request_that_finds_no_room_is_told_to_come_again() -> None:
    """503 makes Alertmanager try again; 413 or 429 would lose the group for minutes."""
    async with Hold(Room(20_000), AT_ONCE) as hold:
        with pytest.raises(Overloaded) as caught:
            await hold.grow_to(20_001)

    assert "memory" == caught.value.reason


async def test_large_bodies_are_parsed_one_at_a_time() -> None:
    """Each takes several times its size while it is parsed."""
    bodies = Bodies(Limits(thread_above=10, alone_above=20))
    at_once = most = 0

    def parser(body: bytes) -> int:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        found = sum(body * 20_000)
        at_once -= 1
        return found

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(bodies.parse(b"\x01" * 21, bodies.hold(), parser)) for _ in range(4)]

    assert [420_000] * 4 == [task.result() for task in tasks]
    assert 1 == most


@pytest.mark.parametrize("size", [5, 15, 25])
async def test_what_a_parser_raises_is_raised_for_every_size(size: int) -> None:
    """A bad body is answered 400, in a thread or not."""
    bodies = Bodies(Limits(thread_above=10, alone_above=20))

    def parser(body: bytes) -> int:
        raise ValueError(len(body))

    with pytest.raises(ValueError, match=str(size)):
        await bodies.parse(b"x" * size, bodies.hold(), parser)


@pytest.mark.parametrize(("ahead", "held"), [(True, 400_000), (False, 20_000)])
async def test_what_a_body_holds_while_it_comes(ahead: bool, held: int) -> None:
    """Room for all of it where a secret was shown; what has come where anybody may begin one, and never end it."""
    protocol = BaseProtocol(asyncio.get_running_loop())
    protocol.connection_made(asyncio.Transport())
    content = StreamReader(protocol, 2**16)
    request = make_mocked_request("POST", "/", headers={"Content-Length": "100000"}, payload=content)
    bodies = Bodies(Limits(held=1_000_000, ahead=ahead))
    async with bodies.hold() as hold:
        reading = asyncio.create_task(bodies.read(request, hold, max_bytes=100_000))
        content.feed_data(b"1" * 20_000)
        await _turn()
        assert held == 1_000_000 - bodies.room.free
        content.feed_eof()
        assert b"1" * 20_000 == await reading
