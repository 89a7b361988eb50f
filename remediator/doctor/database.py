"""Whether the PostgreSQL database of the store, where there is one, can be opened and written.

Called by the examination. It changes nothing there: the tables are made, and brought to a new version, by the service
itself when it starts.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from remediator.clients import Clients
from remediator.doctor.finding import Finding, ok, problem
from remediator.doctor.needs import Needs
from remediator.doctor.servers import quoted
from remediator.errors import RemediatorError, StoreUnavailable

if TYPE_CHECKING:
    from remediator.storage.postgres.looking import SchemaSight, Sight

_WHAT = "store database"
_OLDEST = 13  # of PostgreSQL
_GRANT_TABLES = "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA remediator TO "


async def store(clients: Clients, needs: Needs) -> list[Finding]:
    """Log in where the settings name a database, and look."""
    del needs
    settings = clients.settings.store
    if settings.url is None:
        return []
    from remediator.storage.postgres.looking import look  # most have no PostgreSQL, and its library takes its time

    try:
        sight = await look(settings)
    except StoreUnavailable as error:
        return [problem(_WHAT, str(error), "without it no alert is taken; check store.url and the network")]
    except RemediatorError as error:
        return [problem(_WHAT, str(error), "the service refuses to start like this")]
    return list(judged(sight)) or [ok(_WHAT, _well(sight))]


def judged(sight: "Sight") -> Iterator[Finding]:
    """What is wrong with what was seen."""
    if sight.server < _OLDEST * 10_000:
        said = f"it is PostgreSQL {sight.server // 10_000}, and {_OLDEST} or later is needed"
        yield problem(_WHAT, said, "bring the server to a newer version, or name another one in store.url")
    if sight.is_standby:
        yield problem(_WHAT, "it is a standby, which cannot be written", "name the primary in store.url")
    if sight.is_read_only:
        said = f"transactions of user {sight.user} are read-only there (default_transaction_read_only)"
        yield problem(_WHAT, said, f"ALTER ROLE {quoted(sight.user)} SET default_transaction_read_only = off")
    schema = sight.schema
    if schema is not None:
        yield from _of_schema(sight, schema)
    elif not sight.may_make_schema:
        said = f"user {sight.user} may not make the schema remediator in database {sight.database}"
        yield problem(_WHAT, said, f"GRANT CREATE ON DATABASE {quoted(sight.database)} TO {quoted(sight.user)}")


def _of_schema(sight: "Sight", schema: "SchemaSight") -> Iterator[Finding]:
    user, is_old = quoted(sight.user), schema.version is None or schema.version < sight.known
    if schema.version is not None and schema.version > sight.known:
        said = f"its tables are of version {schema.version}, and this program knows {sight.known}"
        yield problem(_WHAT, said, "use the newer remediator that wrote them, or another database in store.url")
        return
    if not schema.may_use:
        said = f"user {sight.user} may not use the schema remediator"
        grants = [f"GRANT USAGE, CREATE ON SCHEMA remediator TO {user}"]
        grants += [_GRANT_TABLES + user] if schema.not_writable else []  # all that can be told in one round
        yield problem(_WHAT, said, "; ".join(grants))
        return
    if schema.has_tables and schema.not_writable:
        said = f"user {sight.user} may not read and write {', '.join(schema.not_writable)}"
        yield problem(_WHAT, said, _GRANT_TABLES + user)
        if schema.version is None:
            return  # it could not be read
    if is_old and not schema.may_make_tables:
        said = f"user {sight.user} may not make tables in the schema remediator"
        yield problem(_WHAT, said, f"GRANT CREATE ON SCHEMA remediator TO {user}")
    if is_old and schema.has_tables and schema.other_owners:
        owners = ", ".join(map(quoted, schema.other_owners))
        said = f"its tables have to be brought to version {sight.known}, and only their owner can: {owners}"
        yield problem(_WHAT, said, f"GRANT {owners} TO {user}, or log in as the owner once")


def _well(sight: "Sight") -> str:
    said = f"PostgreSQL {sight.server // 10_000}, database {sight.database}"
    if sight.schema is None or not sight.schema.has_tables:
        return f"{said}: the tables can be made at the first start"
    if sight.schema.version is not None and sight.schema.version < sight.known:
        return f"{said}: the tables will be brought from version {sight.schema.version} to {sight.known} at the start"
    return f"{said}: the tables can be read and written"
