"""One PostgreSQL server, asked over a connection that is made for the question and closed after it.

Made by `Clients` and used by the postgres actions. Nothing is kept open: a server that is out of connections must not
lose one to us. Each statement is limited in time at the server too. It never tells the password.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from remediator.errors import Failed, RemediatorError, Unavailable
from remediator.kit.redaction import Redactor, shorten
from remediator.settings import PostgresSettings

if TYPE_CHECKING:
    from asyncpg import Connection

_CLOSING = 1.0  # seconds
_REJECTING = frozenset({"57P03", "53300"})  # cannot connect now (starting up, shutting down); too many connections
_LOST = frozenset({"57P01", "57P02"})  # it went away while we talked
_COUNTED = """
SELECT CASE
         WHEN backend_type = 'client backend' THEN coalesce(state, 'hidden')
         WHEN backend_type IS NULL AND datid IS NOT NULL THEN 'hidden'
         ELSE ''
       END AS state,
       count(*) AS number
FROM pg_stat_activity
GROUP BY 1
LIMIT 20
"""
_LIMITS = """
SELECT current_setting('max_connections')::int AS most, current_setting('superuser_reserved_connections')::int AS kept
"""
_MISSING = """
SELECT current_user::text AS who, ARRAY(
    SELECT rolname::text FROM pg_roles WHERE rolname = ANY ($1::text[]) AND NOT pg_has_role(oid, 'USAGE') ORDER BY 1
) AS roles
"""


class PostgresStatus(StrEnum):
    """Whether a server takes connections, as `pg_isready` says it."""

    ACCEPTING = "accepting"
    REJECTING = "rejecting"
    NO_RESPONSE = "no_response"


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a server takes connections, and whether ours was one."""

    status: PostgresStatus
    login: bool
    sqlstate: str
    error: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Connections:
    """How many connections there are, by their state, ours included."""

    by_state: Mapping[str, int]
    most: int
    reserved: int


@dataclass(frozen=True, slots=True)
class Missing:
    """Roles that a user has not the rights of."""

    user: str
    roles: tuple[str, ...]


class PostgresServer:
    """A server by its name in the settings."""

    def __init__(self, name: str, settings: PostgresSettings) -> None:
        self.name = name
        self._settings = settings
        self._redactor = Redactor([settings.password.get_secret_value()] if settings.password else [])

    async def ready(self) -> Readiness:
        """Try to log in. What goes wrong is a part of the answer, so nothing is raised."""
        began = time.monotonic()
        try:
            async with self._connected():
                return Readiness(PostgresStatus.ACCEPTING, True, "", "", time.monotonic() - began)
        except _failures() as error:
            status, sqlstate, why = self._read(error)
            if status is PostgresStatus.ACCEPTING:
                why = f"it accepts connections, but not this login: {why}"
            return Readiness(status, False, sqlstate, why, time.monotonic() - began)

    async def connections(self) -> Connections:
        """Count the connections of clients. Raises Unavailable, Failed."""
        what = f"count the connections of PostgreSQL server {self.name}"
        try:
            async with self._connected() as link:
                counted = await link.fetch(_COUNTED)
                limits = await link.fetchrow(_LIMITS)
        except _failures() as error:
            raise self._ours(what, error) from error
        if limits is None:
            raise Failed(f"{what}: the server told no limit")
        by_state = {str(row["state"]): int(row["number"]) for row in counted if row["state"]}
        return Connections(by_state, int(limits["most"]), int(limits["kept"]))

    async def missing(self, roles: Collection[str]) -> Missing:
        """Of which of these roles our user has not the rights; of those that there are. Raises Unavailable, Failed."""
        what = f"ask PostgreSQL server {self.name} for our rights"
        try:
            async with self._connected() as link:
                row = await link.fetchrow(_MISSING, list(roles))
        except _failures() as error:
            raise self._ours(what, error) from error
        if row is None:
            raise Failed(f"{what}: it told nothing")
        return Missing(str(row["who"]), tuple(map(str, row["roles"])))

    async def ping(self, *, within: timedelta | None = None) -> None:
        """Log in and ask for the number 1, `within` that time. Raises Unavailable, Failed."""
        limit = min(within or self._settings.timeout, self._settings.timeout)
        try:
            async with self._connected(limit) as link:
                await link.fetchval("SELECT 1")
        except _failures() as error:
            raise self._ours(f"ping PostgreSQL server {self.name}", error) from error

    async def close(self) -> None:
        """Nothing is kept open."""

    @asynccontextmanager
    async def _connected(self, within: timedelta | None = None) -> AsyncIterator["Connection"]:
        """A connection of its own. All that is done with it, connecting included, is over within the time limit."""
        import asyncpg  # it takes a quarter of a second to import
        from asyncpg.connect_utils import SessionAttribute

        place, seconds = self._settings.place, (within or self._settings.timeout).total_seconds()
        password = self._settings.password.get_secret_value() if self._settings.password else ""
        async with asyncio.timeout(seconds):
            link = await asyncpg.connect(
                host=place.host,
                port=place.port,
                user=place.user,
                database=place.database,
                password=password,  # an empty one too: the library would look for one in the environment
                ssl=self._settings.sslmode,
                timeout=seconds,
                command_timeout=seconds,
                target_session_attrs=SessionAttribute.any,
                statement_cache_size=0,  # a pooler in between may not know prepared statements again
                server_settings={
                    "application_name": "remediator",
                    "statement_timeout": str(max(int(seconds * 1000), 1)),
                },
            )
            try:
                yield link
            finally:
                try:
                    await link.close(timeout=_CLOSING)
                except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                    link.terminate()

    def _read(self, error: Exception) -> tuple[PostgresStatus, str, str]:
        """What the library's error says of the server, with the SQLSTATE where the server gave one."""
        sqlstate = str(getattr(error, "sqlstate", None) or "")
        if sqlstate.startswith("08"):
            sqlstate = ""  # the connection broke, and the code is the library's own
        said = self._told(str(error) or type(error).__name__)
        if sqlstate in _REJECTING:
            return PostgresStatus.REJECTING, sqlstate, f"{said} (SQLSTATE {sqlstate})"
        if sqlstate and sqlstate not in _LOST:
            return PostgresStatus.ACCEPTING, sqlstate, f"{said} (SQLSTATE {sqlstate})"
        match error:
            case TimeoutError():
                said = "no answer in time"
            case ConnectionRefusedError() | FileNotFoundError():
                said = "connection refused"
        return PostgresStatus.NO_RESPONSE, sqlstate, said

    def _ours(self, what: str, error: Exception) -> RemediatorError:
        """Our error for one of the library's."""
        status, _, why = self._read(error)
        match status:
            case PostgresStatus.ACCEPTING:
                here = f"postgres.{self.name}"
                return Failed(f"{what}: {why}; look at {here}.user, {here}.password and {here}.database")
            case PostgresStatus.REJECTING:
                return Unavailable(f"{what}: it rejects connections: {why}")
        where = "url" if self._settings.url is not None else "host"
        return Unavailable(f"{what}: {why}; is the server running, and is postgres.{self.name}.{where} its address?")

    def _told(self, text: str) -> str:
        return shorten(" ".join(self._redactor.text(text[:2000]).split()), 200).rstrip(".")


def _failures() -> tuple[type[Exception], ...]:
    """All that can go wrong in the library, when what answers may be no PostgreSQL at all."""
    import asyncpg

    return (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, EOFError, ValueError)
