"""The redis client against servers that misbehave on the wire, as a real one can hardly be made to."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import timedelta

import pytest
from pydantic import SecretStr

from remediator.clients.redis import RedisServer
from remediator.errors import Failed, OutcomeUnknown, Unavailable
from remediator.settings import RedisSettings
from tests.unit.clients.closing import close_all

PASSWORD = "tiger-lily-81"
Start = Callable[..., Awaitable[RedisServer]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts a server that answers command after command with the bytes given, and hangs up after the last.

    The library introduces itself first, which is taken note of; one of no bytes is no answer at all.
    """
    servers: list[asyncio.Server] = []

    async def begin(*answers: bytes, password: str | None = None, limit: float = 5) -> RedisServer:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(ConnectionError):
                left = list(answers)
                while left and (asked := await reader.read(4096)):
                    names = asked.count(b"SETINFO")
                    writer.write(b"+OK\r\n" * names or left.pop(0))
                    await writer.drain()
                if b"" in answers:
                    await reader.read()
            writer.close()

        servers.append(await asyncio.start_server(talk, "127.0.0.1", 0))
        settings = RedisSettings(
            url=f"redis://127.0.0.1:{servers[-1].sockets[0].getsockname()[1]}",
            password=SecretStr(password) if password else None,
            timeout=timedelta(seconds=limit),
        )
        return RedisServer("default", settings)

    yield begin
    await close_all(servers)


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        (b"-LOADING Redis is loading the dataset in memory\r\n", "loading", "it is loading its data into memory"),
        (b"-NOAUTH Authentication required.\r\n", "login_refused", "it refuses the login: Authentication required"),
        (b"-MISCONF Errors writing to the RDB\r\n", "failing", "MISCONF Errors writing to the RDB"),
        (b"-BUSY Redis is busy running a script\r\n", "failing", "busy running a script"),
        (b"-MASTERDOWN Link with MASTER is down\r\n", "failing", "Link with MASTER is down"),
        (b"-ERR \xff\xfe\r\n", "failing", "\ufffd"),
        (b"+OK\r\n", "failing", "it answers PING with something else"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "failing", ""),
        (b"$-5\r\nabc\r\n", "failing", ""),
        (b"$999999999999\r\nabc", "no_response", ""),
        (b"*9\r\n" * 3, "no_response", ""),
    ],
)
async def test_what_a_server_answers_is_read(start: Start, answer: bytes, status: str, said: str) -> None:
    """Whatever listens there, the question has an answer."""
    server = await start(answer)
    found = await server.ask()

    assert status == found.status
    assert said in found.error
    assert found.error
    assert {} == found.info


@pytest.mark.parametrize(
    "info",
    [
        b"-NOPERM this user has no permissions to run the 'info' command\r\n",
        b"$3\r\n\xff\xfe\xfd\r\n",
        b"+\r\n",
        b":5\r\n",
        b"*0\r\n",
    ],
)
async def test_a_pong_counts_whatever_info_says(start: Start, info: bytes) -> None:
    """INFO is only the evidence beside it."""
    server = await start(b"+PONG\r\n", info)
    found = await server.ask()

    assert ("ready", "") == (found.status, found.error)


async def test_a_server_that_hangs_up_gives_no_response(start: Start) -> None:
    """As one does that is out of memory, or out of connections."""
    found = await (await start()).ask()

    assert "no_response" == found.status
    assert found.error


async def test_a_server_that_sends_nothing_is_waited_for_until_the_limit(start: Start) -> None:
    """The limit is that of the whole question."""
    found = await (await start(b"", limit=0.3)).ask()

    assert ("no_response", "no answer in time") == (found.status, found.error)
    assert 0.25 < found.seconds < 60


async def test_a_password_that_comes_back_is_not_told(start: Start) -> None:
    """A server may put into its error what it was sent."""
    server = await start(f"-ERR unknown command 'AUTH {PASSWORD}'\r\n".encode() * 2, password=PASSWORD)

    with pytest.raises(Unavailable, match=r"ping Redis server default: .*AUTH \[redacted\]") as failure:
        await server.ping()

    assert PASSWORD not in str(failure.value)
    assert PASSWORD not in repr(server.__dict__)


async def test_a_long_error_is_cut_to_one_line(start: Start) -> None:
    """It goes into chat."""
    found = await (await start(b"-ERR " + b"a\tb " * 5000 + b"\r\n")).ask()

    assert len(found.error) <= 200
    assert "\t" not in found.error


def denied(command: str) -> bytes:
    return f"-NOPERM this user has no permissions to run the '{command}' command\r\n".encode()


async def test_a_command_that_may_not_be_run_is_told_by_its_name(start: Start) -> None:
    """So that the remedy can name what to allow."""
    server = await start(denied("info|server"))

    found = await server.denials(["INFO"])

    assert [("info|server", True)] == [(one.command, one.lacks_right) for one in found]
    assert "no permissions to run" in found[0].said


async def test_a_command_that_was_taken_away_is_told_apart(start: Start) -> None:
    """`rename-command INFO ""`: no right brings it back."""
    server = await start(b"-ERR unknown command 'INFO', with args beginning with: \r\n")

    assert [("info", False)] == [(one.command, one.lacks_right) for one in await server.denials(["info"])]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("ERR Unknown option or number of arguments for CONFIG SET - '{}'", []),
        ("ERR Unsupported CONFIG parameter: {}", []),  # before 7.0
        ("NOPERM this user has no permissions to run the 'config|set' command", [("config|set", True)]),
        ("NOPERM this user has no permissions to run the 'config' command or its subcommand", [("config|set", True)]),
        ("ERR unknown command 'CONFIG', with args beginning with: 'SET' '{}' ''", [("config|set", False)]),
        ("ERR unknown subcommand 'SET'. Try CONFIG HELP.", [("config|set", False)]),
    ],
)
async def test_whether_a_parameter_may_be_set_is_asked_of_one_that_there_is_not(
    start: Start, said: str, expected: list[tuple[str, bool]]
) -> None:
    """A server looks for our right first; so nothing is set, and it is known all the same."""
    answer = said.format("remediator-asks-for-its-rights")

    denials = await (await start(f"-{answer}\r\n".encode())).denials(["config|set"])

    assert expected == [(one.command, one.lacks_right) for one in denials]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"-LOADING Redis is loading the dataset in memory\r\n", Unavailable),
        (b"-MISCONF cannot save\r\n", Failed),
        (b"HTTP/1.1 200 OK\r\n\r\n", Failed),
        (b"+OK\r\n", Failed),
    ],
)
async def test_what_says_nothing_of_rights_is_an_error(start: Start, answer: bytes, error: type[Exception]) -> None:
    """Neither allowed nor denied."""
    server = await start(answer)

    with pytest.raises(error, match="ping Redis server default: "):
        await server.denials(["ping"])


async def test_whether_it_answers_is_asked_before_all_else(start: Start) -> None:
    """That INFO is not answered says nothing to somebody whose server is down."""
    with pytest.raises(Unavailable, match=r"^ping Redis server default: it is loading"):
        await (await start(b"-LOADING Redis is loading the dataset in memory\r\n")).denials(["info", "ping"])
    with pytest.raises(Unavailable, match=r"^ask for INFO at Redis server default: it is loading"):
        await (await start(b"-LOADING Redis is loading the dataset in memory\r\n")).denials(["info"])


async def test_a_command_that_could_change_something_is_never_tried(start: Start) -> None:
    """A plug-in may need `FLUSHALL`; that is no question to ask."""
    server = await start(denied("flushall"))

    assert () == await server.denials(["flushall", "set"])


PONG = b"+PONG\r\n"


@pytest.mark.parametrize(
    ("answers", "error", "said"),
    [
        ((PONG, b""), OutcomeUnknown, "it may have been done; look at it before trying again"),
        ((PONG,), OutcomeUnknown, "it may have been done"),
        ((b"",), Unavailable, "no answer in time; is the server running"),
        ((b"-LOADING Redis is loading\r\n",), Unavailable, "it is loading its data into memory"),
        ((PONG, b"-ERR CONFIG SET failed - argument must be between 0 and 9\r\n"), Failed, "argument must be between"),
        ((PONG, b"-NOPERM this user has no permissions\r\n"), Failed, r"let it: ACL SETUSER default \+config\|set"),
    ],
    ids=["no answer after it was told", "hung up", "no answer before", "loading", "refused", "no right"],
)
async def test_only_what_may_have_been_set_is_unknown(
    start: Start, answers: tuple[bytes, ...], error: type[Exception], said: str
) -> None:
    """What cannot have been done may be tried again; what may have been done must be looked at first."""
    server = await start(*answers, limit=0.5)
    with pytest.raises(error, match=said):
        await server.configure("timeout", "9")


async def test_a_parameter_that_it_does_not_know_is_a_failure(start: Start) -> None:
    """An older server answers with nothing."""
    server = await start(b"*0\r\n")
    with pytest.raises(Failed, match="CONFIG GET hz at Redis server default: it knows no such parameter"):
        await server.configured("hz")
