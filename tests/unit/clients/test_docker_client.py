"""The docker client against an engine that misbehaves on the wire, as a real one can hardly be made to."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from remediator.clients.docker import DockerEngine
from remediator.errors import BadSettings, Failed, OutcomeUnknown, TargetGone, Unavailable
from tests.services import free_port

_ID = "4f" * 32
_ENOUGH = timedelta(minutes=1)
_HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf"

Answer = bytes | None
Script = Callable[[str, str], Answer]
Start = Callable[[Script], Awaitable[DockerEngine]]


def said(status: int, value: object) -> bytes:
    body = json.dumps(value).encode()
    head = f"HTTP/1.1 {status} Whatever\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def hang_up(writer: asyncio.StreamWriter) -> None:
    """Close a connection, and be done when it is closed: the loop must not end before."""
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def connections_ended() -> None:
    """Wait until each connection has noticed that it is closed."""
    async with asyncio.timeout(20):
        while len(asyncio.all_tasks()) > 1:
            await asyncio.sleep(0.01)


def negotiating(script: Script) -> Script:
    """Answers the question for the version, and leaves the rest to `script`."""
    return lambda method, path: said(200, {"ApiVersion": "1.41"}) if path == "/version" else script(method, path)


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Starts an engine on a socket; its script gives the answer to a request, or None to hang up."""
    path, servers, engines = tmp_path / "engine.sock", list[asyncio.Server](), list[DockerEngine]()

    async def begin(script: Script) -> DockerEngine:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                    method, target, _ = head.split("\r\n")[0].split(" ")
                    answer = script(method, target.partition("?")[0])
                    writer.write(answer or b"")
                    if answer in (None, _HALF):
                        return
            except asyncio.IncompleteReadError:
                return
            finally:
                await hang_up(writer)

        servers.append(await asyncio.start_unix_server(talk, path))
        engines.append(DockerEngine("local", f"unix://{path}", timeout=timedelta(seconds=5)))
        return engines[-1]

    yield begin
    for engine in engines:
        await engine.close()
    for server in servers:
        server.close()
        await server.wait_closed()
    await connections_ended()


@pytest.mark.parametrize("answer", [None, _HALF], ids=["hung up", "half an answer"])
async def test_a_change_whose_answer_breaks_is_unknown_and_a_question_unavailable(start: Start, answer: Answer) -> None:
    """The engine had the request: whether it acted, nobody can say from here."""
    engine = await start(negotiating(lambda _method, _path: answer))

    with pytest.raises(OutcomeUnknown, match="it may have happened"):
        await engine.restart(_ID, stop_timeout=1, within=_ENOUGH)
    with pytest.raises(OutcomeUnknown):
        await engine.start(_ID, within=_ENOUGH)
    with pytest.raises(Unavailable):
        await engine.inspect("web")
    with pytest.raises(Unavailable):
        await engine.logs(_ID, tail=1)


async def test_an_engine_that_breaks_before_the_change_is_unavailable(start: Start) -> None:
    """The versions were still being talked about; no change had been asked for."""
    engine = await start(lambda _method, _path: None)

    with pytest.raises(Unavailable):
        await engine.restart(_ID, stop_timeout=1, within=_ENOUGH)


@pytest.mark.parametrize(
    ("status", "error"),
    [(404, TargetGone), (400, Failed), (403, Failed), (409, Failed), (500, Failed), (503, Failed)],
)
async def test_what_the_engine_refuses_is_final(start: Start, status: int, error: type[Exception]) -> None:
    """It was tried and the answer is no; the engine's own words say why."""
    engine = await start(negotiating(lambda _method, _path: said(status, {"message": "out of cheese"})))

    with pytest.raises(error, match=rf"start container {_ID} on Docker engine local: out of cheese") as refusal:
        await engine.start(_ID, within=_ENOUGH)

    assert error is type(refusal.value)


async def test_what_the_engine_says_is_redacted_and_cut(start: Start) -> None:
    """Its errors quote command lines and environments."""
    message = f"cannot exec: DB_PASSWORD=hunter2 {'x' * 5000}"
    engine = await start(negotiating(lambda _method, _path: said(500, {"message": message})))

    with pytest.raises(Failed) as refusal:
        await engine.start(_ID, within=_ENOUGH)

    assert "DB_PASSWORD=[redacted]" in str(refusal.value)
    assert "hunter2" not in str(refusal.value)
    assert 600 > len(str(refusal.value))


@pytest.mark.parametrize(
    "name", ["", "../images/json", "a/b", "web?all=1", "-rf", "a b", "a\n", "{{x}}", "a" * 300, "wéb"]
)
async def test_what_cannot_be_a_name_is_never_asked_for(start: Start, name: str) -> None:
    """The name may come from a label, and the SDK puts a `/` into the request's path as it is."""
    asked: list[str] = []

    def note(_method: str, path: str) -> Answer:
        asked.append(path)
        return said(200, {})

    engine = await start(note)
    for ask in (engine.inspect(name), engine.start(name, within=_ENOUGH), engine.logs(name, tail=1)):
        with pytest.raises(Failed, match="cannot be a container's name"):
            await ask

    assert [] == asked


async def test_a_strange_find_is_not_the_container(start: Start) -> None:
    """The engine found something by the first letters of its id."""
    found = {"Id": _ID, "Name": "/other", "State": {}}
    engine = await start(negotiating(lambda _method, _path: said(200, found)))

    with pytest.raises(TargetGone, match="no container has this name"):
        await engine.inspect("4f4f")

    assert _ID == (await engine.inspect("4f" * 6)).id


async def test_the_version_is_asked_for_once(start: Start) -> None:
    """Each further call is one request."""
    asked: list[str] = []

    def note(method: str, path: str) -> Answer:
        asked.append(f"{method} {path}")
        return said(200, {"Id": _ID, "Name": "/web"})

    engine = await start(negotiating(note))
    await engine.inspect("web")
    await engine.inspect("web")

    assert ["GET /v1.41/containers/web/json"] * 2 == asked


async def test_a_refused_tcp_connection_is_unavailable_for_a_change_too() -> None:
    """Nothing was sent."""
    engine = DockerEngine("far", f"tcp://127.0.0.1:{free_port()}", timeout=timedelta(seconds=5))

    with pytest.raises(Unavailable, match=r"docker\.engines\.far"):
        await engine.restart(_ID, stop_timeout=1, within=_ENOUGH)

    await engine.close()


@pytest.mark.parametrize("address", ["nonsense://x", "tcp://", "http://127.0.0.1"])
async def test_an_address_that_is_none_names_the_setting(address: str) -> None:
    """The operator can mend it; another try cannot."""
    engine = DockerEngine("local", address, timeout=timedelta(seconds=5))

    with pytest.raises(BadSettings, match=r"docker\.engines\.local"):
        await engine.ping()

    await engine.close()


async def test_a_hanging_engine_does_not_block_the_loop_nor_another_engine(start: Start, tmp_path: Path) -> None:
    """All threads of one engine hang; the other answers meanwhile."""
    hanging, release = asyncio.Event(), asyncio.Event()

    async def hang(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hanging.set()
        await release.wait()
        await hang_up(writer)

    server = await asyncio.start_unix_server(hang, tmp_path / "hanging.sock")
    stuck = DockerEngine("stuck", f"unix://{tmp_path}/hanging.sock", timeout=timedelta(seconds=60))
    well = await start(negotiating(lambda _method, _path: said(200, {"Id": _ID, "Name": "/web"})))
    calls = [asyncio.create_task(stuck.ping()) for _ in range(20)]
    await hanging.wait()

    async with asyncio.timeout(20):
        assert "web" == (await well.inspect("web")).name

    assert not any(call.done() for call in calls)
    release.set()
    server.close()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert {Unavailable} == {type(result) for result in results}
    await stuck.close()
    await server.wait_closed()


async def test_a_change_that_hangs_ends_before_its_callers_time_does(tmp_path: Path) -> None:
    """Its thread cannot be stopped: if it went on, the lock on the container would end before the call."""
    release = asyncio.Event()

    async def hang_after_negotiating(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            while b" /version " in await reader.readuntil(b"\r\n\r\n"):
                writer.write(said(200, {"ApiVersion": "1.41"}))
            await release.wait()
        await hang_up(writer)

    server = await asyncio.start_unix_server(hang_after_negotiating, tmp_path / "hanging.sock")
    engine = DockerEngine("slow", f"unix://{tmp_path}/hanging.sock", timeout=timedelta(seconds=60))

    async with asyncio.timeout(30):  # half of the engine's own limit
        with pytest.raises(OutcomeUnknown, match="no answer in 2 s"):
            await engine.restart(_ID, stop_timeout=1, within=timedelta(seconds=3.5))
        with pytest.raises(OutcomeUnknown, match="no answer in 1 s"):
            await engine.start(_ID, within=timedelta(seconds=2.5))

    release.set()
    server.close()
    await engine.close()
    await server.wait_closed()
    await connections_ended()


async def test_a_change_whose_time_is_too_short_is_not_asked_for(start: Start) -> None:
    """What cannot be waited for must not be begun."""
    asked: list[str] = []

    def note(method: str, path: str) -> Answer:
        asked.append(f"{method} {path}")
        return said(204, {})

    engine = await start(negotiating(note))

    with pytest.raises(Failed, match="not done, too little time"):
        await engine.restart(_ID, stop_timeout=60, within=timedelta(seconds=61))
    with pytest.raises(Failed, match="not done, too little time"):
        await engine.start(_ID, within=timedelta(0))

    assert [] == asked


@pytest.mark.parametrize(("status", "expected"), [(403, False), (401, False)])
async def test_a_refused_call_is_not_allowed(start: Start, status: int, expected: bool) -> None:
    """A proxy before the engine answers in the engine's place."""
    engine = await start(negotiating(lambda _method, _path: said(status, {"message": "no"})))

    assert expected is await engine.allows("POST /containers/{id}/start")


async def test_each_call_is_for_a_container_that_nobody_has(start: Start) -> None:
    """Whatever the call does, there is nothing to do it to; and a guess that hits is not repeated."""
    asked: list[tuple[str, str]] = []

    def script(method: str, path: str) -> Answer:
        asked.append((method, path))
        return said(404, {"message": f"No such container: {path.split('/')[3]}"})

    engine = await start(negotiating(script))

    assert await engine.allows("POST /containers/{id}/restart")
    assert await engine.allows("POST /containers/{id}/restart")
    assert ["POST"] * 2 == [method for method, _ in asked]
    assert 2 == len({path for _, path in asked})
    assert all(re.fullmatch(r"/v1\.41/containers/[0-9a-f]{64}/restart", path) for _, path in asked)


@pytest.mark.parametrize(
    ("status", "answer", "expected"),
    [(200, [], True), (403, {"message": "no"}, False), (200, [{"Id": _ID}], None), (404, [], None)],
    ids=["nobody", "forbidden", "somebody", "another 404"],
)
async def test_the_list_of_containers_is_asked_for_nobody(
    start: Start, status: int, answer: object, expected: bool | None
) -> None:
    """It changes nothing. A list with somebody in it heeded no filter, so that is not the engine's answer."""
    engine = await start(negotiating(lambda _method, _path: said(status, answer)))

    if expected is None:
        with pytest.raises(Failed, match=f"it answered {status}"):
            await engine.allows("GET /containers/json")
    else:
        assert expected is await engine.allows("GET /containers/json")


async def test_what_neither_refuses_nor_is_the_engine_is_told(start: Start) -> None:
    """Neither yes nor no: a person has to look at what stands there."""
    engine = await start(negotiating(lambda _method, _path: said(502, "token=hunter2 out of cheese")))

    with pytest.raises(
        Failed, match=r"ask for GET .* on Docker engine local: it answered 502 .*out of cheese"
    ) as raised:
        await engine.allows("GET /containers/{id}/json")

    assert "hunter2" not in str(raised.value)


async def test_an_engine_that_hangs_up_when_it_is_asked_is_unavailable(start: Start) -> None:
    """That is no refusal."""
    engine = await start(negotiating(lambda _method, _path: None))

    with pytest.raises(Unavailable):
        await engine.allows("GET /containers/{id}/json")
