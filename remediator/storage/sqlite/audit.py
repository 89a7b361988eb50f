"""The audit journal's rows. Entered with what they tell of; sealed afterwards."""

import sqlite3
from collections.abc import Iterable

from remediator.model.audit import AuditEntry
from remediator.storage import codec


def enter(db: sqlite3.Connection, entries: Iterable[AuditEntry]) -> None:
    db.executemany(
        "INSERT INTO audit (run, at, body) VALUES (?, ?, ?)",
        [(entry.run, codec.to_us(entry.at), codec.write_audit(entry)) for entry in entries],
    )
