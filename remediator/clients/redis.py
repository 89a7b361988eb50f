"""One Redis server, asked or told something over a connection that is made for it and closed after it.

Made by `Clients` and used by the redis actions. Nothing is kept open: a server that is out of connections must not
lose one to us. It never tries again by itself, and never tells the password.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from remediator.errors import Failed, OutcomeUnknown, RemediatorError, Unavailable
from remediator.kit.redaction import Redactor, shorten
from remediator.settings import RedisSettings

if TYPE_CHECKING:
    from redis.asyncio import Redis

_PORT = 6379
_CLOSING = 1.0  # seconds
_NAMED = re.compile(r"'([a-z|_-]+)' command")
_HARMLESS = frozenset({"ping", "info", "config|get", "config|set"})  # what may be carried out to see whether it may
_NO_PARAMETER = "remediator-asks-for-its-rights"  # setting it does nothing: there is no such parameter


class RedisStatus(StrEnum):
    """How a server takes a PING."""

    READY = "ready"
    LOADING = "loading"
    LOGIN_REFUSED = "login_refused"
    FAILING = "failing"
    NO_RESPONSE = "no_response"


@dataclass(frozen=True, slots=True)
class Pong:
    """How a server took a PING, and what INFO told; empty where it told nothing."""

    status: RedisStatus
    error: str
    seconds: float
    info: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Configured:
    """What a server is configured to, of one parameter, and what INFO told; empty where it told nothing."""

    value: str
    info: Mapping[str, Any]

    @property
    def process(self) -> str:
        """The id of the server's process, which another one after a restart has not; empty where it is not told."""
        return str(self.info.get("run_id", ""))


@dataclass(frozen=True, slots=True)
class Denial:
    """A command that a server does not carry out for our user."""

    command: str
    said: str
    lacks_right: bool  # else the server knows no such command


class RedisServer:
    """A server by its name in the settings."""

    def __init__(self, name: str, settings: RedisSettings) -> None:
        self.name = name
        self._settings = settings
        self._redactor = Redactor([settings.password.get_secret_value()] if settings.password else [])

    async def ask(self, *, within: timedelta | None = None) -> Pong:
        """PING, and INFO where that is answered. What goes wrong is a part of the answer, so nothing is raised."""
        from redis.exceptions import RedisError  # the library takes half a second to import

        began = time.monotonic()
        seconds = min(within or self._settings.timeout, self._settings.timeout).total_seconds()
        try:
            async with self._connected() as server, asyncio.timeout(seconds):
                said = await server.ping()
                answered = time.monotonic() - began
                if said is not True:
                    return Pong(RedisStatus.FAILING, "it answers PING with something else", answered, {})
                return Pong(RedisStatus.READY, "", answered, await _info(server))
        except (RedisError, OSError, ValueError) as error:  # TimeoutError is an OSError
            status, why = self._read(error)
            return Pong(status, why, time.monotonic() - began, {})

    async def ping(self, *, within: timedelta | None = None) -> None:
        """Raises Unavailable where the server does not answer PING with PONG `within` that time, with the reason."""
        found = await self.ask(within=within)
        if found.status is not RedisStatus.READY:
            raise Unavailable(f"ping Redis server {self.name}: {found.error}; {_advice(found.status, self.name)}")

    async def configured(self, parameter: str) -> Configured:
        """What a parameter is set to now. Raises Unavailable, Failed."""
        from redis.exceptions import RedisError

        try:
            async with self._connected() as server, asyncio.timeout(self._settings.timeout.total_seconds()):
                said = await server.config_get(parameter)
                value = said.get(parameter) if isinstance(said, Mapping) else None
                if not isinstance(value, str):
                    raise Failed(f"CONFIG GET {parameter} at Redis server {self.name}: it knows no such parameter")
                return Configured(value, await _info(server))
        except (RedisError, OSError, ValueError, LookupError, AttributeError) as error:
            raise self._refused(f"CONFIG GET {parameter} at", "config|get", error) from error

    async def configure(self, parameter: str, value: str) -> None:
        """Set a parameter, until the server restarts. Raises Unavailable, Failed, OutcomeUnknown."""
        from redis.exceptions import RedisError

        what, is_sent = f"CONFIG SET {parameter} {value} at", False
        try:
            async with self._connected() as server, asyncio.timeout(self._settings.timeout.total_seconds()):
                await server.ping()  # so that nothing was sent where it cannot be reached, or does not let us in
                is_sent = True
                await server.config_set(parameter, value)
        except (RedisError, OSError, ValueError, LookupError, AttributeError) as error:
            ours = self._refused(what, "config|set", error)
            if is_sent and isinstance(ours, Unavailable):
                why = "look at it before trying again"
                raise OutcomeUnknown(f"{what} Redis server {self.name}: it may have been done; {why}") from error
            raise ours from error

    def _refused(self, what: str, command: str, error: Exception) -> RemediatorError:
        """Our error for one of the library's that came of a command beside PING and INFO."""
        from redis.exceptions import NoPermissionError, ResponseError

        asked = f"{what} Redis server {self.name}"
        if isinstance(error, NoPermissionError):
            user = self._settings.username or "default"
            return Failed(f"{asked}: {self._told(str(error))}; let it: ACL SETUSER {user} +{command}")
        status, why = self._read(error)
        if status is RedisStatus.FAILING and isinstance(error, ResponseError):
            return Failed(f"{asked}: {why}")
        return Unavailable(f"{asked}: {why}; {_advice(status, self.name)}")

    async def denials(self, commands: Iterable[str]) -> tuple[Denial, ...]:
        """Which of these commands the server denies our user, and SELECT where that is in the way of all others.

        PING, INFO and CONFIG GET are carried out to see it, and CONFIG SET of a parameter that there is not; of others
        nothing is told. Raises Unavailable, Failed.
        """
        denials: dict[str, Denial] = {}
        wanted = {command.lower() for command in commands} & _HARMLESS
        for command in sorted(wanted, key=lambda one: (one != "ping", one)):  # whether it answers comes first
            denial = await self._denial(command)
            if denial is not None:
                denials[denial.command] = denial
        return tuple(denials.values())

    async def _denial(self, command: str) -> Denial | None:
        from redis import exceptions

        try:
            async with self._connected() as server, asyncio.timeout(self._settings.timeout.total_seconds()):
                said = await _carried_out(server, command)
                if command == "ping" and said is not True:
                    raise Failed(f"ping Redis server {self.name}: it answers PING with something else")
        except exceptions.NoPermissionError as error:
            why = self._told(str(error))
            named = _NAMED.search(why)  # choosing a database comes before the command
            other = named[1] if named else command
            is_its_part = command.startswith(f"{other}|")  # before 7.0, it does not tell which part
            return Denial(command if is_its_part else other, why, lacks_right=True)
        except exceptions.ResponseError as error:
            if str(error).lower().startswith(("unknown command", "unknown subcommand")):
                return Denial(command, self._told(str(error)), lacks_right=False)
            if _NO_PARAMETER in str(error):
                return None  # it looks for the parameter after our rights
            raise self._ours(command, error) from error
        except (exceptions.RedisError, OSError, ValueError, LookupError, AttributeError) as error:
            raise self._ours(command, error) from error
        return None

    def _ours(self, command: str, error: Exception) -> RemediatorError:
        status, why = self._read(error)
        asked = "ping Redis server" if command == "ping" else f"ask for {command.upper()} at Redis server"
        said = f"{asked} {self.name}: {why}; {_advice(status, self.name)}"
        return Failed(said) if status is RedisStatus.FAILING else Unavailable(said)

    async def close(self) -> None:
        """Nothing is kept open."""

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator["Redis"]:
        """A client with one connection, made at its first command."""
        server = self._client()
        try:
            yield server
        finally:
            with suppress(TimeoutError, OSError):  # the answer is there, or the reason why there is none
                async with asyncio.timeout(_CLOSING):
                    await server.aclose()

    def _client(self) -> "Redis":
        from redis.asyncio import Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        given, seconds = urlsplit(self._settings.url), self._settings.timeout.total_seconds()
        is_unix = given.scheme == "unix"
        database = parse_qs(given.query).get("db", ["0"])[0] if is_unix else given.path.removeprefix("/")
        return Redis(
            host=given.hostname or "",
            port=given.port or _PORT,
            unix_socket_path=unquote(given.path) if is_unix else None,
            db=int(database or 0),
            ssl=given.scheme == "rediss",
            username=self._settings.username,
            password=self._settings.password.get_secret_value() if self._settings.password else None,
            socket_timeout=seconds,
            socket_connect_timeout=seconds,
            retry=Retry(NoBackoff(), 0),  # the library would try three times, and a refusal is the answer here
            protocol=2,  # the one that every server speaks
            encoding_errors="replace",
            decode_responses=True,
        )

    def _read(self, error: Exception) -> tuple[RedisStatus, str]:
        """What the library's error says of the server, and in which words."""
        from redis import exceptions

        said = self._told(str(error))
        match error:
            case exceptions.BusyLoadingError():
                return RedisStatus.LOADING, "it is loading its data into memory"
            case exceptions.AuthenticationError() | exceptions.AuthorizationError() | exceptions.NoPermissionError():
                return RedisStatus.LOGIN_REFUSED, f"it refuses the login: {said}"
            case exceptions.TimeoutError() | TimeoutError():
                return RedisStatus.NO_RESPONSE, "no answer in time"
            case exceptions.ConnectionError() | OSError() if _is_refusal(error):
                return RedisStatus.NO_RESPONSE, "connection refused"
            case exceptions.ConnectionError() | OSError():
                return RedisStatus.NO_RESPONSE, said
        if "NOAUTH" in said or "WRONGPASS" in said:
            return RedisStatus.LOGIN_REFUSED, f"it refuses the login: {said}"
        return RedisStatus.FAILING, said

    def _told(self, text: str) -> str:
        return shorten(" ".join(self._redactor.text(text[:2000]).split()), 200).rstrip(".") or "no reason given"


async def _carried_out(server: "Redis", command: str) -> object:
    match command:
        case "ping":
            return await server.ping()
        case "config|get":
            return await server.config_get("timeout")
        case "config|set":
            return await server.config_set(_NO_PARAMETER, "")
    return await server.info()


async def _info(server: "Redis") -> Mapping[str, Any]:
    """What the server tells of itself; nothing where this user may not ask."""
    from redis.exceptions import RedisError

    try:
        told = await server.info()
    except (RedisError, ValueError, LookupError, AttributeError):  # the library takes any answer for text
        return {}
    return told if isinstance(told, Mapping) else {}


def _is_refusal(error: BaseException) -> bool:
    """Whether nobody listens; the library wraps the system's error, and sometimes keeps only its text."""
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, ConnectionRefusedError | FileNotFoundError):
            return True
        link = link.__cause__ or link.__context__
    return "refused" in str(error).lower()


def _advice(status: RedisStatus, name: str) -> str:
    match status:
        case RedisStatus.LOADING:
            return "wait until it has"
        case RedisStatus.LOGIN_REFUSED:
            return f"look at redis.{name}.username and redis.{name}.password"
        case RedisStatus.FAILING:
            return "look at the server's log"
    return f"is the server running, and is redis.{name}.url its address?"
