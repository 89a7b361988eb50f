"""The postgres client against servers that misbehave on the wire, as a real one can hardly be made to."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import timedelta

import pytest
from pydantic import SecretStr

from remediator.clients.postgres import PostgresServer
from remediator.errors import Failed, Unavailable
from remediator.settings import PostgresSettings
from tests.unit.clients.closing import close_all

PASSWORD = "tiger-lily-81"
Start = Callable[..., Awaitable[PostgresServer]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts a server that answers a login with the bytes given; with none it hangs up, with None it says nothing."""
    servers: list[asyncio.Server] = []

    async def begin(answer: bytes | None, *, limit: float = 5) -> PostgresServer:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(ConnectionError):
                await reader.read(4096)
                if answer is None:
                    await reader.read()
                else:
                    writer.write(answer)
                    await writer.drain()
            writer.close()

        servers.append(await asyncio.start_server(talk, "127.0.0.1", 0))
        settings = PostgresSettings(
            port=servers[-1].sockets[0].getsockname()[1],
            password=SecretStr(PASSWORD),
            sslmode="disable",
            timeout=timedelta(seconds=limit),
        )
        return PostgresServer("default", settings)

    yield begin
    await close_all(servers)


def refusing(code: str, message: str) -> bytes:
    """A server's refusal, as the protocol has it."""
    fields = b"".join(
        kind + text.encode() + b"\0" for kind, text in ((b"S", "FATAL"), (b"V", "FATAL"), (b"C", code), (b"M", message))
    )
    return b"E" + (len(fields) + 5).to_bytes(4, "big") + fields + b"\0"


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("57P03", "rejecting"),
        ("53300", "rejecting"),
        ("28P01", "accepting"),
        ("28000", "accepting"),
        ("3D000", "accepting"),
        ("53200", "accepting"),
        ("XX000", "accepting"),
        ("ZZZZZ", "accepting"),
        ("57P01", "no_response"),
        ("57P02", "no_response"),
    ],
)
async def test_the_code_of_a_refusal_says_how_the_server_is(start: Start, code: str, status: str) -> None:
    """Only what a restart may help against must look like it."""
    found = await (await start(refusing(code, "sorry"))).ready()

    assert (status, code, False) == (found.status, found.sqlstate, found.login)
    assert "sorry" in found.error


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"E\xff\xff\xff\xff",
        b"R\0\0\0\x04",
        b"R\0\0\0\x08\0\0\0\x63",
        b"-ERR unknown command\r\n",
    ],
)
async def test_what_is_no_postgresql_does_not_accept_connections(start: Start, answer: bytes) -> None:
    """Another program at the port, or one in between that broke."""
    server = await start(answer, limit=1)
    found = await server.ready()

    assert ("no_response", False, "") == (found.status, found.login, found.sqlstate)
    assert found.error
    with pytest.raises(Unavailable, match=r"is the server running, and is postgres\.default\.host its address"):
        await server.connections()


async def test_rights_of_a_user_who_is_refused_are_an_error(start: Start) -> None:
    """Nothing is known of them then."""
    with pytest.raises(Failed, match=r"ask PostgreSQL server default for our rights: .*no entry"):
        await (await start(refusing("28000", "no entry"))).missing(["pg_monitor"])


async def test_a_server_that_sends_nothing_is_waited_for_until_the_limit(start: Start) -> None:
    """The limit is that of the whole question."""
    found = await (await start(None, limit=0.3)).ready()

    assert ("no_response", "no answer in time") == (found.status, found.error)
    assert 0.25 < found.seconds < 60


async def test_a_password_that_comes_back_is_not_told(start: Start) -> None:
    """Long or short: it goes into chat."""
    server = await start(refusing("28P01", f"you said {PASSWORD}\n" + "x" * 5000))

    with pytest.raises(Failed, match=r"ping PostgreSQL server default: you said \[redacted\] x") as failure:
        await server.ping()

    assert PASSWORD not in str(failure.value)
    assert PASSWORD not in repr(server.__dict__)
    assert 500 > len(str(failure.value))
