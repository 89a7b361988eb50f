"""Looks at the database of the store without changing it: whether it could be opened, and written.

Called by the doctor, beside a store that may be open elsewhere. Its transaction can do nothing but read.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg

from remediator.errors import Failed
from remediator.model.token import Token
from remediator.settings import StoreSettings
from remediator.storage.postgres import tokens
from remediator.storage.postgres.links import FAILURES, SCHEMA, Links
from remediator.storage.postgres.migrating import STEPS

if TYPE_CHECKING:
    from asyncpg import Connection

_CLOSING = 2.0  # seconds
_SERVER = """
    SELECT current_setting('server_version_num')::int AS number, current_user::text AS who,
        current_database()::text AS database, pg_is_in_recovery() AS is_standby,
        current_setting('default_transaction_read_only')::boolean AS is_read_only,
        has_database_privilege(current_database(), 'CREATE') AS may_make_schema
"""
_SCHEMA = """
    SELECT has_schema_privilege(oid, 'USAGE') AS may_use, has_schema_privilege(oid, 'CREATE') AS may_make_tables
    FROM pg_namespace WHERE nspname = $1
"""
_TABLES = """
    SELECT relname::text AS name, pg_get_userbyid(relowner)::text AS owner, pg_has_role(relowner, 'USAGE') AS is_ours,
        has_table_privilege(oid, 'SELECT') AS may_read,
        has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT')
            AND has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE') AS may_write
    FROM pg_class WHERE relnamespace = to_regnamespace($1) AND relkind IN ('r', 'p') ORDER BY relname
"""
_VERSION = f"SELECT number FROM {SCHEMA}.version"  # noqa: S608 - a name of ours


@dataclass(frozen=True, slots=True)
class SchemaSight:
    """How our schema is, as our user sees it."""

    may_use: bool
    may_make_tables: bool
    has_tables: bool
    version: int | None
    """Of the tables; None where they are not there yet, or may not be read."""
    not_writable: tuple[str, ...]
    """Tables that our user may not read or change."""
    other_owners: tuple[str, ...]
    """Who else owns tables there, so that they alone can bring them to a new version."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What was seen of the database."""

    server: int
    """The server's version, as a number: 150004 is 15.4."""
    user: str
    database: str
    is_standby: bool
    is_read_only: bool
    may_make_schema: bool
    schema: SchemaSight | None
    """None where there is none yet."""
    known: int = len(STEPS)
    """The newest version of the tables that this program knows."""


async def look(settings: StoreSettings) -> Sight:
    """Log in and look. Raises StoreUnavailable, BadSettings; Failed where the tables are none of ours."""
    links = Links(settings)
    try:
        db = await links.connect()
        try:
            async with db.transaction(readonly=True):
                return await _look(db)
        finally:
            await db.close(timeout=_CLOSING)
    except asyncpg.UndefinedColumnError as error:
        raise Failed(f"the schema {SCHEMA} there is not ours: {error}") from error
    except FAILURES as error:
        ours = links.at_open(error)
        raise ours from ours.__cause__


async def list_tokens(settings: StoreSettings) -> tuple[Token, ...]:
    """The tokens of the API. Raises StoreUnavailable and BadSettings, or Failed where they cannot be read."""
    links = Links(settings)
    try:
        db = await links.connect()
        try:
            async with db.transaction(readonly=True):
                return await tokens.list_all(db)
        finally:
            await db.close(timeout=_CLOSING)
    except (asyncpg.UndefinedTableError, asyncpg.InsufficientPrivilegeError) as error:
        raise Failed(f"the tokens cannot be read: {error}") from error
    except FAILURES as error:
        ours = links.at_open(error)
        raise ours from ours.__cause__


async def _look(db: "Connection") -> Sight:
    server = await db.fetchrow(_SERVER)
    if server is None:
        raise Failed("the store's server told nothing of itself")
    return Sight(
        server=server["number"],
        user=server["who"],
        database=server["database"],
        is_standby=server["is_standby"],
        is_read_only=server["is_read_only"],
        may_make_schema=server["may_make_schema"],
        schema=await _look_at_schema(db),
    )


async def _look_at_schema(db: "Connection") -> SchemaSight | None:
    schema = await db.fetchrow(_SCHEMA, SCHEMA)
    if schema is None:
        return None
    tables = await db.fetch(_TABLES, SCHEMA)
    can_tell = schema["may_use"] and any(table["name"] == "version" and table["may_read"] for table in tables)
    return SchemaSight(
        may_use=schema["may_use"],
        may_make_tables=schema["may_make_tables"],
        has_tables=any(table["name"] == "version" for table in tables),
        version=await db.fetchval(_VERSION) if can_tell else None,
        not_writable=tuple(table["name"] for table in tables if not table["may_write"]),
        other_owners=tuple(sorted({table["owner"] for table in tables if not table["is_ours"]})),
    )
