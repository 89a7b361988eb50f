"""Brings the tables to the version that this program knows. Called once, when a store is opened.

Each version is a file of SQL on top of the one before it. All that are missing are carried out in one transaction,
under a lock that lets one process in at a time; a store that a newer program wrote is not touched.
"""

from collections.abc import Sequence
from importlib.resources import files
from typing import TYPE_CHECKING

import structlog

from remediator.errors import BadSettings
from remediator.storage.postgres.links import SCHEMA

if TYPE_CHECKING:
    from asyncpg import Connection

log = structlog.get_logger(__name__)

STEPS = ("schema.sql", "to_version_2.sql", "to_version_3.sql", "to_version_4.sql", "to_version_5.sql")
_LOCK = 0x72656D65  # any number, as long as it stays the same
_OLDEST_SINCE = 3  # the version before has brought the column
_NOTE = "UPDATE version SET number = $1, oldest = $1"
_NOTE_NUMBER = "UPDATE version SET number = $1"
_MAKE_SCHEMA = f"CREATE SCHEMA {SCHEMA}"
_MAKE_VERSION = "CREATE TABLE version (number integer NOT NULL)"


async def migrate(db: "Connection", name: str, steps: Sequence[str] | None = None) -> None:
    """Make the tables, or bring those of an older version up to date. Raises BadSettings where they are newer.

    `steps` are the SQL of each version, the oldest first. One with whose tables programs of an earlier version can work
    as well sets `version.oldest` to that; otherwise they are refused.
    """
    wanted = tuple(read(file) for file in STEPS) if steps is None else steps
    async with db.transaction():
        await db.execute("SET LOCAL statement_timeout = 0")  # somebody else's migration may take its time
        await db.execute("SELECT pg_advisory_xact_lock($1)", _LOCK, timeout=600)
        version = await _version(db)
        if version > len(wanted) and await _oldest(db) <= len(wanted):
            log.info("store_is_newer", schema=version, known=len(wanted))
            return
        if version > len(wanted):
            raise BadSettings(
                f"{name} was written by a newer remediator (schema {version}, known here: {len(wanted)}); "
                "use that one, or another database in store.url"
            )
        for number, statements in enumerate(wanted[version:], start=version + 1):
            log.info("store_migration_begun", schema=number)
            await db.execute(_NOTE if number >= _OLDEST_SINCE else _NOTE_NUMBER, number)
            await db.execute(statements, timeout=3600)
            log.info("store_migrated", schema=number)


async def _version(db: "Connection") -> int:
    """The version of the tables; 0 where there are none, and then there is a place for them."""
    if await db.fetchval("SELECT to_regclass($1) IS NULL", f"{SCHEMA}.version"):
        if await db.fetchval("SELECT to_regnamespace($1) IS NULL", SCHEMA):
            await db.execute(_MAKE_SCHEMA)
        await db.execute(_MAKE_VERSION)
        await db.execute("INSERT INTO version (number) VALUES (0)")
    return int(await db.fetchval("SELECT number FROM version"))


async def _oldest(db: "Connection") -> int:
    """The oldest version whose programs can work with the tables as they are."""
    return int(await db.fetchval("SELECT oldest FROM version"))


def read(file: str) -> str:
    """The SQL of one version."""
    return files("remediator.storage.postgres").joinpath(file).read_text()
