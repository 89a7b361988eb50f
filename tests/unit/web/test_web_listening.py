"""The door takes no more connections than it may, refuses nobody, and lets those go that say nothing."""

import asyncio
import resource
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from remediator.web import listening
from remediator.web.listening import Connections, Listener, most_connections

ASK = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"


class Counted(Connections):
    """Counts how often room was looked for."""

    looks = 0

    def make_room(self) -> None:
        self.looks += 1
        super().make_room()


class Place:
    """A small server behind the door; what it answers waits until it may."""

    def __init__(self, most: int) -> None:
        self.connections = Counted(most)
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.asked = self.asked_long = 0
        self.port = 0
        self.end: Callable[[], Coroutine[Any, Any, None]]
        self.writers: list[asyncio.StreamWriter] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.asked += 1
        await self.may_answer.wait()
        return web.Response(text="here")

    async def answer_long(self, _: web.Request) -> web.Response:
        """More than the system keeps for who does not read."""
        self.asked_long += 1
        return web.Response(body=bytes(20_000_000))

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writers.append(writer)
        return reader, writer

    async def hang_up(self) -> None:
        for writer in self.writers:
            writer.transport.abort()
            with suppress(ConnectionError):
                await writer.wait_closed()


@asynccontextmanager
async def place(most: int, *, patience: float = 1) -> AsyncIterator[Place]:
    made = Place(most)
    app = web.Application(middlewares=[made.connections.note])
    app.router.add_get("/", made.answer)
    app.router.add_get("/long", made.answer_long)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=patience)
    await runner.setup()
    made.end = runner.cleanup
    assert runner.server is not None
    listener = Listener(runner.server, made.connections)
    made.port = await listener.open("127.0.0.1", 0)
    try:
        yield made
    finally:
        made.may_answer.set()
        await made.hang_up()
        await listener.close()
        await runner.cleanup()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.005)


async def ask(place: Place) -> tuple[bytes, bool]:
    """The first line of the answer, and whether the connection was closed after it."""
    reader, writer = await place.connect()
    writer.write(ASK)
    async with asyncio.timeout(30):
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(4)
    writer.close()
    await writer.wait_closed()
    return head.split(b"\r\n")[0], b"Connection: close" in head


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks again at once, and takes a connection for idle that has said nothing for a moment."""
    for name, value in {"_IDLE": 3, "_SILENT": 3, "_TICK": 0.01, "_LOOK_AGAIN": 0.02}.items():
        monkeypatch.setattr(listening, name, value)


async def test_more_than_may_be_open_wait_and_are_all_answered() -> None:
    """Nobody is refused: a refused sender would be one more to come again."""
    async with place(4) as here:
        here.may_answer.clear()
        asking = [asyncio.create_task(ask(here)) for _ in range(20)]
        await until(lambda: here.asked == 4)
        held = here.connections.count
        here.may_answer.set()
        answers = await asyncio.gather(*asking)
        await until(lambda: here.connections.count == 0)

    assert 4 == held
    assert {b"HTTP/1.1 200 OK"} == {line for line, _ in answers}
    assert any(closed for _, closed in answers)


async def test_never_more_are_open_than_may_be() -> None:
    """Each is a file; what is above the limit of files is taken from the actions."""
    most = 0
    async with place(5) as here:
        asking = [asyncio.create_task(ask(here)) for _ in range(60)]
        while not all(task.done() for task in asking):
            most = max(most, here.connections.count)
            await asyncio.sleep(0)

    assert 0 < most <= 5


async def test_with_room_a_connection_is_kept_for_the_next_request() -> None:
    """Alertmanager sends on the one that it has."""
    async with place(4) as here:
        reader, writer = await here.connect()
        for _ in range(3):
            writer.write(ASK)
            async with asyncio.timeout(30):
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(4)

            assert b"Connection: close" not in head


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("said", [b"", ASK, ASK[:20]], ids=["nothing", "one request", "half a request"])
async def test_who_says_nothing_more_makes_way(said: bytes) -> None:
    """Else a few idle connections, or a malicious sender of half headers, would keep everybody else out."""
    async with place(4) as here:
        idle = [await here.connect() for _ in range(4)]
        for _, writer in idle:
            writer.write(said)
        await until(lambda: here.asked == (4 if said == ASK else 0) and here.connections.count == 4)
        line, _ = await ask(here)

    assert b"HTTP/1.1 200 OK" == line


@pytest.mark.usefixtures("impatient")
async def test_who_does_not_read_their_answer_makes_way() -> None:
    """Closing waits for what is still to be sent: a few that ask and never read would keep everybody else out."""
    async with place(4) as here:
        for _ in range(4):
            _, writer = await here.connect()
            writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport that can read, too
            writer.write(ASK.replace(b"/ ", b"/long ", 1))
        await until(lambda: here.connections.count == 4)
        line, _ = await ask(here)

    assert b"HTTP/1.1 200 OK" == line


@pytest.mark.usefixtures("impatient")
async def test_who_does_not_read_their_answer_keeps_no_service_from_ending() -> None:
    """Anybody could have it killed at each restart, whatever its steps are doing just then."""
    async with place(4, patience=3600) as here:
        _, writer = await here.connect()
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport that can read, too
        writer.write(ASK.replace(b"/ ", b"/long ", 1))
        await until(lambda: here.asked_long == 1)
        async with asyncio.timeout(60):
            await here.connections.see_out(here.end())

    assert 0 == here.connections.count


@pytest.mark.usefixtures("impatient")
async def test_who_waits_for_an_answer_keeps_the_connection() -> None:
    """A delivery that is being stored must hear that it is."""
    async with place(4) as here:
        here.may_answer.clear()
        asking = [asyncio.create_task(ask(here)) for _ in range(4)]
        await until(lambda: here.asked == 4)
        late = asyncio.create_task(ask(here))
        began = asyncio.get_running_loop().time()
        await until(lambda: here.connections.looks > 3 and asyncio.get_running_loop().time() > began + 0.1)
        taken_meanwhile = here.asked
        here.may_answer.set()
        answers = await asyncio.gather(*asking, late)

    assert 4 == taken_meanwhile
    assert [b"HTTP/1.1 200 OK"] * 5 == [line for line, _ in answers]


async def test_a_sender_that_hangs_up_leaves_its_place() -> None:
    """However a connection ends, it is counted once."""
    async with place(4) as here:
        for _ in range(12):
            _, writer = await here.connect()
            writer.transport.abort()
        line, _ = await ask(here)
        await until(lambda: here.connections.count == 0)

    assert b"HTTP/1.1 200 OK" == line


@pytest.mark.usefixtures("impatient")
async def test_without_a_file_left_it_waits_and_goes_on() -> None:
    """The system goes on saying that somebody waits: taking at once again would take all of the processor."""
    async with place(40) as here:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
        with socket.socket() as highest:
            resource.setrlimit(resource.RLIMIT_NOFILE, (highest.fileno(), hard))
        try:
            with capture_logs() as logs:
                for one in waiting:
                    one.connect_ex(("127.0.0.1", here.port))
                await until(lambda: len(logs) > 2)
            taken = here.connections.count
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        await until(lambda: here.connections.count == 3)
        for one in waiting:
            one.close()

    assert 0 == taken
    assert {"connection_not_taken"} == {line["event"] for line in logs}


@pytest.mark.parametrize(("limit", "wanted", "most"), [(256, 1000, 128), (4096, 1000, 1000), (1000, 500, 500)])
def test_half_of_the_files_are_for_actions(limit: int, wanted: int, most: int) -> None:
    """What senders take, an action cannot have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        found = most_connections(wanted)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert most == found


async def test_a_port_that_is_taken_is_an_error_of_the_system() -> None:
    """The application makes it a mistake in the settings."""
    async with place(4) as here:
        other = Listener(asyncio.Protocol, Connections(4))
        with pytest.raises(OSError, match="address already in use"):
            await other.open("127.0.0.1", here.port)
