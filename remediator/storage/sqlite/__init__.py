"""The embedded store: one process, one writer thread, SQLite in WAL mode with synchronous=FULL."""

from remediator.storage.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
