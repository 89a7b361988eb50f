"""The audit journal's rows. Entered with what they tell of; sealed afterwards, which gives them their places.

The newest entry that was dropped as it was old stays as a row without a body: its seal is where the chain goes on.
"""

import sqlite3
from collections.abc import Callable, Iterable
from datetime import datetime

from remediator.model.audit import AuditEntry, Part, Sealed
from remediator.model.chain import NO_HEAD, Head
from remediator.model.ids import RunId
from remediator.storage import codec
from remediator.storage.dropping import last_to_drop
from remediator.storage.rows import head_of

_PAGES = {
    Part.ALL: """
        SELECT * FROM (SELECT * FROM audit WHERE place > :after AND body <> '' ORDER BY place LIMIT :limit)
        UNION ALL SELECT * FROM (SELECT * FROM audit WHERE place IS NULL ORDER BY seq LIMIT :limit)
        ORDER BY place NULLS LAST, seq LIMIT :limit
    """,
    Part.SEALED: "SELECT * FROM audit WHERE place > :after AND body <> '' ORDER BY place LIMIT :limit",
    Part.UNSEALED: "SELECT * FROM audit WHERE place IS NULL AND seq > :after ORDER BY seq LIMIT :limit",
}
_OF_RUN = """
    SELECT * FROM audit WHERE run = :run AND run <> '' AND (place > :after OR place IS NULL)
    ORDER BY place NULLS LAST, seq LIMIT :limit
"""
_HEAD = "SELECT place, seal FROM audit WHERE place IS NOT NULL ORDER BY place DESC LIMIT 1"
_OLDEST = "SELECT place, seal, at, body FROM audit WHERE place IS NOT NULL ORDER BY place LIMIT ?"


def enter(db: sqlite3.Connection, entries: Iterable[AuditEntry]) -> None:
    db.executemany(
        "INSERT INTO audit (run, at, body) VALUES (?, ?, ?)",
        [(entry.run, codec.to_us(entry.at), codec.write_audit(entry)) for entry in entries],
    )


def page(db: sqlite3.Connection, *, after: int, limit: int, run: RunId | None, part: Part) -> tuple[Sealed, ...]:
    statement = _PAGES[part] if run is None else _OF_RUN
    found = map(codec.read_sealed, db.execute(statement, {"after": after, "limit": limit, "run": run}))
    return tuple(found)


def head(db: sqlite3.Connection) -> Head:
    return head_of(db.execute(_HEAD).fetchone())


def begin(db: sqlite3.Connection) -> Head:
    row = db.execute(_OLDEST, (1,)).fetchone()
    return head_of(row) if row is not None and not row["body"] else NO_HEAD


def count_unsealed(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT count(*) FROM audit WHERE place IS NULL").fetchone()[0])


def seal(db: sqlite3.Connection, *, sealing: Callable[[str, int, AuditEntry], str], key: str, limit: int) -> int:
    newest, before = head(db)
    rows = db.execute("SELECT * FROM audit WHERE place IS NULL ORDER BY seq LIMIT ?", (limit,)).fetchall()
    sealed = []
    for place, row in enumerate(rows, newest + 1):
        before = sealing(before, place, codec.read_sealed(row).entry)
        sealed.append((place, before, key, row["seq"]))
    db.executemany("UPDATE audit SET place = ?, seal = ?, key = ? WHERE seq = ?", sealed)
    return len(sealed)


def drop(db: sqlite3.Connection, *, before: datetime, limit: int, told: Callable[[int, str], AuditEntry]) -> int:
    newest, _ = head(db)
    oldest = db.execute(_OLDEST, (limit + 1,)).fetchall()
    last = last_to_drop(oldest, before, newest)
    if last is None:
        return 0
    gone = sum(bool(row["body"]) for row in oldest if row["place"] <= last["place"])
    db.execute("DELETE FROM audit WHERE place < ?", (last["place"],))
    db.execute("UPDATE audit SET body = '', run = '' WHERE place = ?", (last["place"],))
    enter(db, [told(last["place"], last["seal"])])
    return gone
