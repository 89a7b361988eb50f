"""Connections to the database of the store, and what its library's errors mean to us.

Used by the store, its writer and its migration. Nothing that is raised here tells the password.
"""

from typing import TYPE_CHECKING, Any

import asyncpg
from asyncpg.pool import Pool

from remediator.errors import BadSettings, RemediatorError, StoreUnavailable
from remediator.kit.redaction import Redactor, shorten
from remediator.settings import StoreSettings

if TYPE_CHECKING:
    from asyncpg import Connection
    from asyncpg.pool import PoolConnectionProxy

    Db = Connection | PoolConnectionProxy

SCHEMA = "remediator"
LABEL = "remediator "
"""The server shows each connection by this and by its owner."""
RELABEL = "SELECT set_config('application_name', $1, false)"
FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, EOFError, ValueError)
"""All that can go wrong in the library, when what answers may be no PostgreSQL at all."""

_READERS = 4
_RIGHTS = frozenset({"42501", "3F000"})
_LOGIN = frozenset({"28000", "28P01", "3D000"}) | _RIGHTS  # user, password, database
_AWAY = frozenset({"08", "25", "28", "3D", "40", "53", "55", "57", "58"})  # classes of errors that pass, or are mended
_RACES = frozenset({"23505", "40001", "40P01"})  # somebody else was faster: unique, serialization, deadlock


class Links:
    """Makes connections as the settings say, each with its time limits."""

    def __init__(self, settings: StoreSettings) -> None:
        self.place = settings.place
        self.timeout = settings.timeout.total_seconds()
        self.owner = ""  # whose connections these are, once that is known; the server shows it
        self._sslmode = settings.sslmode
        self._password = settings.password.get_secret_value() if settings.password else ""
        self._redactor = Redactor([self._password])

    @property
    def label(self) -> str:
        """The name that the server shows for the connections."""
        return LABEL + self.owner if self.owner else LABEL.strip()

    async def connect(self) -> "Connection":
        """A connection of one's own."""
        link: Connection = await asyncpg.connect(**self._arguments())
        return link

    async def pool(self) -> "Pool[asyncpg.Record]":
        """A few connections that only read. Each is made when it is first needed, and anew after it was lost."""
        return await asyncpg.create_pool(**self._arguments(), min_size=0, max_size=_READERS, reset=_leave_as_it_is)

    def _arguments(self) -> dict[str, Any]:
        limit = str(max(int(self.timeout * 1000), 1))
        return {
            "host": self.place.host,
            "port": self.place.port,
            "user": self.place.user,
            "database": self.place.database,
            "password": self._password,  # an empty one too: the library would look for one in the environment
            "ssl": self._sslmode,
            "timeout": self.timeout,
            "command_timeout": self.timeout + 1,  # the server's own limit comes first, and leaves the connection usable
            "server_settings": {
                "application_name": self.label,
                "search_path": SCHEMA,
                "statement_timeout": limit,
                # A frozen process must not hold its locks for as long as others wait for them.
                "idle_in_transaction_session_timeout": str(max(int(self.timeout * 500), 1)),
                "synchronous_commit": "on",
                "default_transaction_isolation": "read committed",
                "jit": "off",
                # Each statement is answered by an index, whatever is asked for; to plan one anew each time costs more.
                "plan_cache_mode": "force_generic_plan",
            },
        }

    def ours(self, error: Exception) -> Exception:
        """StoreUnavailable for what passes by itself or can be mended; anything else is a mistake of ours, as it is."""
        if isinstance(error, RemediatorError) or not is_outage(error):
            return error
        remedy = "is the server running, and is store.url its address?"
        if sqlstate(error):
            remedy = "what PostgreSQL says there has to be mended; its own log tells more"
        made = StoreUnavailable(f"the store at {self._where()}: {self._told(error)}; {remedy}")
        made.__cause__ = error
        return made

    def at_open(self, error: Exception) -> Exception:
        """As `ours`; but a login that is refused, or cannot be tried like this, is a mistake in the settings."""
        if sqlstate(error) not in _LOGIN and not (isinstance(error, ValueError) and not isinstance(error, OSError)):
            return self.ours(error)
        remedy = "look at store.url and store.password_file"
        if sqlstate(error) in _RIGHTS:
            remedy = "look whether that user may create a schema there, and use it; remediator doctor tells the grants"
        made = BadSettings(f"the store at {self._where()} cannot be opened: {self._told(error)}; {remedy}")
        made.__cause__ = error
        return made

    def _where(self) -> str:
        place = self.place
        return f"{place.host}:{place.port}, database {place.database}, user {place.user}"

    def _told(self, error: Exception) -> str:
        text = str(error) or ("no answer in time" if isinstance(error, TimeoutError) else type(error).__name__)
        code = f" (SQLSTATE {sqlstate(error)})" if sqlstate(error) else ""
        return shorten(" ".join(self._redactor.text(text[:2000]).split()), 200).rstrip(".") + code


def sqlstate(error: BaseException) -> str:
    """The code that the server gave, or empty."""
    return str(getattr(error, "sqlstate", None) or "")


def is_outage(error: BaseException) -> bool:
    """Whether the server was away, restarting, full, too slow or busy; nothing that another try would not change."""
    if code := sqlstate(error):
        return code[:2] in _AWAY
    if isinstance(error, asyncpg.InterfaceError):
        return not isinstance(error, ValueError)  # that is a parameter that cannot be sent
    return isinstance(error, (asyncpg.InternalClientError, EOFError, OSError))


def is_race(error: BaseException) -> bool:
    """Whether the same write, made again, would find what somebody else has just written."""
    return sqlstate(error) in _RACES


async def _leave_as_it_is(_link: "Db") -> None:
    """Readers change nothing in their session; the reset would double what a small read costs."""
