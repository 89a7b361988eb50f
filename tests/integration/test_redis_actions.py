"""The redis action against a real server, up and in trouble."""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from remediator.actions import redis
from remediator.clients import Clients
from remediator.clients.reach import Reach
from remediator.errors import NotAllowed
from remediator.kit.clock import SystemClock
from remediator.kit.redaction import Redactor
from remediator.model.ids import StepId
from remediator.plugins import ActionContext
from remediator.settings import RedisSettings, Settings
from tests import services

PASSWORD = "tiger-lily-81"

Ask = Callable[..., Awaitable[ActionContext]]


@pytest.fixture(autouse=True)
def _needs_redis() -> None:
    services.requires("redis-server")


@pytest.fixture
def server() -> Iterator[services.Service]:
    """A server that asks for a password."""
    with services.redis_server(password=PASSWORD) as running:
        yield running


@pytest.fixture
async def ask() -> AsyncIterator[Ask]:
    """Makes the context of an action that may ask the server of these settings, under the name `default`."""
    async with AsyncExitStack() as stack:

        async def context(url: str, **more: Any) -> ActionContext:
            settings = RedisSettings.model_validate({"url": url, "timeout": "30s", **more})
            clients = Clients(Settings(redis={"default": settings}))
            stack.push_async_callback(clients.close)
            ends = datetime.now(UTC) + timedelta(minutes=1)
            return ActionContext(clients, SystemClock(), StepId("diagnose.redis"), ends)

        yield context


async def ping(context: ActionContext) -> redis.Pinged:
    found = await redis.ping.perform(context, redis.ServerParams())
    assert isinstance(found, redis.Pinged)
    return found


def say(address: str, *commands: str) -> None:
    """Send commands as a person would by telnet, and wait for the answer to the last."""
    host, _, port = address.partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as link, link.makefile("rb") as answers:
        for command in commands:
            link.sendall(f"{command}\r\n".encode())
            assert answers.readline().startswith(b"+")


async def test_a_server_that_is_well_answers_and_tells_how_it_is(ask: Ask, server: services.Service) -> None:
    """Evidence that a person would look for next: its version, role, memory and clients."""
    found = await ping(await ask(f"redis://{server.address}/3", password=PASSWORD))

    assert (True, "ready", "", "master") == (found.answers, found.status, found.error, found.role)
    assert found.version[0].isdigit()
    assert found.used_memory is not None
    assert 100_000 < found.used_memory < 100_000_000
    assert 1 == found.connected_clients
    assert 0 < found.milliseconds < 20_000
    assert f"Redis {found.version}, master" in found.brief()


async def test_a_unix_socket_will_do(ask: Ask, tmp_path: Path) -> None:
    """A server on this machine may listen on nothing else."""
    with services.redis_server(arguments=("--unixsocket", "redis.sock")) as running:
        folder = Path(f"/proc/{running.process.pid}/cwd").readlink()
        found = await ping(await ask(f"unix://{folder}/redis.sock?db=1"))
        missing = await ping(await ask(f"unix://{tmp_path}/none.sock"))

    assert found.answers
    assert (False, "no_response") == (missing.answers, missing.status)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "Authentication required"),
        ({"password": "wrong-pony-17"}, "invalid username-password pair"),
        ({"password": PASSWORD, "username": "nobody"}, "invalid username-password pair"),
    ],
    ids=["no password", "wrong password", "no such user"],
)
async def test_a_server_that_refuses_the_login_is_not_down(
    ask: Ask, server: services.Service, given: dict[str, str], said: str
) -> None:
    """A wrong password in our settings is no reason to restart it."""
    found = await ping(await ask(f"redis://{server.address}", **given))

    assert (False, "login_refused") == (found.answers, found.status)
    assert said in found.error
    assert ("", None) == (found.version, found.used_memory)
    assert not [text for text in ("wrong-pony-17", PASSWORD) if text in found.model_dump_json()]


async def test_a_user_who_may_only_ping_gets_an_answer(ask: Ask, server: services.Service) -> None:
    """INFO is more than is needed."""
    say(server.address, f"AUTH {PASSWORD}", "ACL SETUSER watcher on >only-a-ping +ping")
    found = await ping(await ask(f"redis://{server.address}", username="watcher", password="only-a-ping"))

    assert (True, "ready", "") == (found.answers, found.status, found.version)
    assert found.brief().startswith("PONG in ")


async def test_a_server_that_loads_its_data_says_so(ask: Ask, tmp_path: Path) -> None:
    """It is not down: a restart would make it begin again."""
    kept = ("--dir", str(tmp_path), "--enable-debug-command", "yes")
    with services.redis_server(arguments=kept) as full:
        say(full.address, "DEBUG POPULATE 20000", "SAVE")
    slow = ("--key-load-delay", "10000", "--loading-process-events-interval-bytes", "1024")
    with services.redis_server(arguments=(*kept, *slow)) as loading:
        found = await ping(await ask(f"redis://{loading.address}"))
        loading.process.kill()

    assert (False, "loading", "it is loading its data into memory") == (found.answers, found.status, found.error)


async def test_a_server_that_is_busy_with_a_script_answers_with_that(ask: Ask) -> None:
    """It answers PING with an error: neither down nor well."""
    with services.redis_server(arguments=("--enable-debug-command", "yes")) as running:
        say(running.address, "CONFIG SET busy-reply-threshold 1")
        host, _, port = running.address.partition(":")
        with socket.create_connection((host, int(port)), timeout=30) as link:
            link.sendall(b"EVAL 'while true do end' 0\r\n")
            context = await ask(f"redis://{running.address}")
            found = await ping(context)
        running.process.kill()

    assert (False, "failing") == (found.answers, found.status)
    assert "busy running a script" in found.error.lower()


async def test_a_server_that_hangs_or_was_stopped_gives_no_response(ask: Ask, server: services.Service) -> None:
    """These two are what a restart is for; a question is over within its time limit."""
    context = await ask(f"redis://{server.address}", password=PASSWORD, timeout="2s")
    server.freeze()
    hanging = await ping(context)
    server.stop()
    stopped = await ping(context)

    assert ("no_response", "no answer in time") == (hanging.status, hanging.error)
    assert 1900 < hanging.milliseconds < 60_000
    assert ("no_response", "connection refused") == (stopped.status, stopped.error)
    assert "no PONG: connection refused" == stopped.brief()


async def test_a_server_that_the_settings_do_not_name_is_not_allowed(ask: Ask, server: services.Service) -> None:
    """Rules choose among the servers of the settings, and no other."""
    with pytest.raises(NotAllowed, match="add it under redis"):
        await redis.ping.perform(await ask(f"redis://{server.address}"), redis.ServerParams(server="other"))


async def test_readiness_tells_of_a_server_that_cannot_be_reached(ask: Ask, server: services.Service) -> None:
    """Before the alert comes for which it is needed; and a wrong password is found at start."""
    reach = Reach((await ask(f"redis://{server.address}", password=PASSWORD)).clients, Redactor())
    await reach.look()
    well = dict(reach.troubles)
    refused = Reach((await ask(f"redis://{server.address}", password="wrong-pony-17")).clients, Redactor())
    await refused.look()
    server.stop()
    await reach.look()

    assert {"redis default": ""} == well
    assert "look at redis.default.username and redis.default.password" in refused.troubles["redis default"]
    assert "connection refused; is the server running" in reach.troubles["redis default"]
