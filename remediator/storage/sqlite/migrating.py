"""Brings the tables of a store to the version that this program knows. Called once, when a store is opened.

Every step from one version to the next is a file of SQL, carried out in one transaction with the number of the version
that it leads to: a store is never left half-way. A store that a newer program wrote is not touched.
"""

import sqlite3
from importlib.resources import files

import structlog

from remediator.errors import BadSettings

log = structlog.get_logger(__name__)

SCHEMA_VERSION = 7


def migrate(connection: sqlite3.Connection, name: str) -> None:
    """Make the tables, or bring those of an older version up to date. Raises BadSettings where they are newer."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise BadSettings(
            f"{name} was written by a newer remediator (schema {version}, known here: {SCHEMA_VERSION}); "
            "use that one, or another store.directory"
        )
    if version == 0:
        _carry_out(connection, "schema.sql", SCHEMA_VERSION)
        return
    for step in range(version + 1, SCHEMA_VERSION + 1):
        log.info("store_migration_begun", schema=step)  # a store of a million runs takes a minute or more
        _carry_out(connection, f"to_version_{step}.sql", step)
        log.info("store_migrated", schema=step)


def _carry_out(connection: sqlite3.Connection, file: str, version: int) -> None:
    statements = files("remediator.storage.sqlite").joinpath(file).read_text()
    connection.execute("PRAGMA foreign_keys = OFF")  # a table that others refer to cannot be made anew under it
    try:
        connection.executescript(f"BEGIN IMMEDIATE;\n{statements}\nPRAGMA user_version = {version};\nCOMMIT;")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("PRAGMA foreign_keys = ON")
