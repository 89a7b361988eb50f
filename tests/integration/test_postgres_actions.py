"""The postgres actions against a real server, up and in trouble, with `pg_isready` as the judge where it can tell."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from remediator.actions import postgres
from remediator.clients import Clients
from remediator.clients.reach import Reach
from remediator.errors import Failed, NotAllowed, Unavailable
from remediator.kit.clock import SystemClock
from remediator.kit.redaction import Redactor
from remediator.model.ids import StepId
from remediator.plugins import ActionContext
from remediator.settings import PostgresSettings, Settings
from tests import services

PASSWORD = "tiger-lily-81"
JUDGED = {0: "accepting", 1: "rejecting", 2: "no_response"}

Ask = Callable[..., Awaitable[ActionContext]]


@pytest.fixture(scope="module")
def server() -> Iterator[services.Postgres]:
    """A server that asks for a password, shared by the tests that do it no harm."""
    services.requires("postgres", "initdb", "pg_isready")
    with services.postgresql(password=PASSWORD) as running:
        yield running


@pytest.fixture
def own_server() -> Iterator[services.Postgres]:
    """A small server of the test's own, which it may stop."""
    services.requires("postgres", "initdb", "pg_isready")
    few = ("-c", "max_connections=4", "-c", "superuser_reserved_connections=0", "-c", "max_wal_senders=0")
    with services.postgresql(arguments=few) as running:
        yield running


@pytest.fixture
async def ask() -> AsyncIterator[Ask]:
    """Makes the context of an action that may ask the server of these settings, under the name `default`."""
    async with AsyncExitStack() as stack:

        async def context(port: int, **more: Any) -> ActionContext:
            settings = PostgresSettings.model_validate({"port": port, "timeout": "30s", **more})
            clients = Clients(Settings(postgres={"default": settings}))
            stack.push_async_callback(clients.close)
            ends = datetime.now(UTC) + timedelta(minutes=1)
            return ActionContext(clients, SystemClock(), StepId("diagnose.postgres"), ends)

        yield context


async def ready(context: ActionContext) -> postgres.Ready:
    found = await postgres.ready.perform(context, postgres.ServerParams())
    assert isinstance(found, postgres.Ready)
    return found


async def test_a_server_that_is_well_accepts_our_login(ask: Ask, server: services.Postgres) -> None:
    """The plain case."""
    found = await ready(await ask(server.port, password=PASSWORD))

    assert ("accepting", True, "", "") == (found.status, found.login, found.sqlstate, found.error)
    assert JUDGED[services.pg_isready(server.port)] == found.status
    assert 0 < found.milliseconds < 20_000
    assert found.brief().startswith("accepting connections, login in ")


@pytest.mark.parametrize(
    ("given", "sqlstate", "said"),
    [
        ({"password": "wrong-pony-17"}, "28P01", "password authentication failed"),
        ({}, "28P01", "password authentication failed"),
        ({"password": PASSWORD, "database": "nowhere"}, "3D000", 'database "nowhere" does not exist'),
        ({"password": PASSWORD, "user": "nobody"}, "28P01", "password authentication failed"),
        ({"url": "postgresql://nobody@127.0.0.1:PORT/postgres", "password": "x"}, "28P01", 'user "nobody"'),
    ],
    ids=["wrong password", "no password", "no such database", "no such user", "by url"],
)
async def test_a_server_that_refuses_the_login_still_accepts_connections(
    ask: Ask, server: services.Postgres, given: dict[str, str], sqlstate: str, said: str
) -> None:
    """As `pg_isready` says it: a wrong password in our settings is no reason to restart a database."""
    given = {name: value.replace("PORT", str(server.port)) for name, value in given.items()}
    context = await (ask(server.port, **given) if "url" not in given else _by_url(ask, given))
    found = await ready(context)

    assert ("accepting", False, sqlstate) == (found.status, found.login, found.sqlstate)
    assert "it accepts connections, but not this login" in found.error
    assert said in found.error
    assert JUDGED[services.pg_isready(server.port)] == found.status
    assert not [text for text in ("wrong-pony-17", PASSWORD) if text in found.model_dump_json()]


async def _by_url(ask: Ask, given: dict[str, str]) -> ActionContext:
    context = await ask(1)
    settings = PostgresSettings.model_validate({**given, "timeout": "2s"})
    clients = Clients(Settings(postgres={"default": settings}))
    return ActionContext(clients, context.clock, context.step, context.deadline)


async def test_a_server_that_starts_up_rejects(ask: Ask) -> None:
    """It is neither down nor ready: a restart would only make it begin again."""
    services.requires("postgres", "initdb", "pg_isready")
    with services.postgresql(rejecting=True) as starting:
        found, judged = await ready(await ask(starting.port)), services.pg_isready(starting.port)

    assert ("rejecting", False, "57P03") == (found.status, found.login, found.sqlstate)
    assert "SQLSTATE 57P03" in found.brief()
    assert JUDGED[judged] == found.status


async def test_a_server_that_shuts_down_rejects(ask: Ask, own_server: services.Postgres) -> None:
    """It waits for a client that does not leave; whoever comes now is turned away."""
    context = await ask(own_server.port)
    lingering = await asyncpg.connect(host="127.0.0.1", port=own_server.port, user="postgres", password="")
    try:
        own_server.shut_down("smart")
        services.wait_until(lambda: services.pg_isready(own_server.port) == 1, "the server to shut down")
        found = await ready(context)
    finally:
        await lingering.close()

    assert ("rejecting", "57P03") == (found.status, found.sqlstate)
    assert "shutting down" in found.error


async def test_a_server_with_too_many_connections_rejects(ask: Ask, own_server: services.Postgres) -> None:
    """The services behind it cannot get in either, whatever `pg_isready` says of it."""
    context = await ask(own_server.port)
    async with AsyncExitStack() as stack:
        for _ in range(4):
            link = await asyncpg.connect(host="127.0.0.1", port=own_server.port, user="postgres", password="")
            stack.push_async_callback(link.close)
        found = await ready(context)
        with pytest.raises(Unavailable, match=r"it rejects connections: .*SQLSTATE 53300"):
            await postgres.connections.perform(context, postgres.ServerParams())

    assert ("rejecting", False, "53300") == (found.status, found.login, found.sqlstate)


async def test_a_server_that_hangs_or_was_stopped_gives_no_response(ask: Ask, own_server: services.Postgres) -> None:
    """These two are what a restart is for; a question is over within its time limit."""
    context = await ask(own_server.port, timeout="2s")
    own_server.freeze()
    hanging = await ready(context)
    own_server.stop()
    stopped, judged = await ready(context), services.pg_isready(own_server.port)

    assert ("no_response", "", "no answer in time") == (hanging.status, hanging.sqlstate, hanging.error)
    assert 1900 < hanging.milliseconds < 60_000
    assert ("no_response", "connection refused") == (stopped.status, stopped.error)
    assert "no response: connection refused" == stopped.brief()
    assert JUDGED[judged] == stopped.status


def counted(found: postgres.Connections) -> dict[str, int]:
    return {state: number for state, number in found.by_state.items() if number}


async def test_connections_are_counted_by_state(ask: Ask, own_server: services.Postgres) -> None:
    """A pool that leaks transactions shows in one look."""
    context = await ask(own_server.port)
    async with AsyncExitStack() as stack:
        links = []
        for _ in range(2):
            links.append(await asyncpg.connect(host="127.0.0.1", port=own_server.port, user="postgres", password=""))
            stack.push_async_callback(links[-1].close)
        await links[0].execute("BEGIN; SELECT 1")
        found = await postgres.connections.perform(context, postgres.ServerParams())

    assert isinstance(found, postgres.Connections)
    assert {"active": 1, "idle": 1, "idle in transaction": 1} == counted(found)
    assert 0 == found.by_state["idle in transaction (aborted)"]  # an expression may read it also then
    assert (3, 4, 0, 75.0) == (found.used, found.max_connections, found.reserved, found.percent)
    assert "3 of 4 connections used (75 %): 1 active, 1 idle, 1 idle in transaction" == found.brief()


async def test_a_user_who_may_not_look_still_counts_all(ask: Ask, own_server: services.Postgres) -> None:
    """The server hides the state of other users' connections, and not that they are there."""
    own_server.sql("CREATE ROLE visitor LOGIN")
    context = await ask(own_server.port, user="visitor")
    other = await asyncpg.connect(host="127.0.0.1", port=own_server.port, user="postgres", password="")
    try:
        found = await postgres.connections.perform(context, postgres.ServerParams())
    finally:
        await other.close()

    assert isinstance(found, postgres.Connections)
    assert {"active": 1, "hidden": 1} == counted(found)


async def test_connections_say_what_to_do_about_a_refused_login(ask: Ask, server: services.Postgres) -> None:
    """Here it is an error: nothing was counted."""
    context = await ask(server.port, password="wrong-pony-17")

    with pytest.raises(Failed, match=r"password authentication failed.*look at postgres\.default\.user") as failure:
        await postgres.connections.perform(context, postgres.ServerParams())

    assert "wrong-pony-17" not in str(failure.value)


async def test_a_server_that_the_settings_do_not_name_is_not_allowed(ask: Ask, server: services.Postgres) -> None:
    """Rules choose among the servers of the settings, and no other."""
    with pytest.raises(NotAllowed, match="add it under postgres"):
        await postgres.ready.perform(await ask(server.port), postgres.ServerParams(server="other"))


async def test_nothing_of_the_environment_leads_elsewhere(
    ask: Ask, server: services.Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library reads the variables of PostgreSQL's programs; ours come from the settings alone."""
    for name, value in {"PGPASSWORD": PASSWORD, "PGHOST": "192.0.2.1", "PGTARGETSESSIONATTRS": "standby"}.items():
        monkeypatch.setenv(name, value)

    without, given = await ready(await ask(server.port)), await ready(await ask(server.port, password=PASSWORD))

    assert (False, "28P01") == (without.login, without.sqlstate)
    assert given.login


async def test_readiness_tells_of_a_server_that_cannot_be_reached(ask: Ask, own_server: services.Postgres) -> None:
    """Before the alert comes for which it is needed."""
    reach = Reach((await ask(own_server.port)).clients, Redactor())
    await reach.look()
    well = dict(reach.troubles)
    own_server.stop()
    await reach.look()

    assert {"postgres default": ""} == well
    assert (
        "connection refused; is the server running, and is postgres.default.host" in reach.troubles["postgres default"]
    )
