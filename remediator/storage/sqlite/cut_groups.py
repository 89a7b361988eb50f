"""Groups of which deliveries left alerts out, until these are fetched."""

import sqlite3
from datetime import datetime

from remediator.model.alert import CutGroup
from remediator.storage import codec
from remediator.storage.intake import CUT_GROUPS
from remediator.storage.rows import cut_group_of

_NOTE = """
    INSERT INTO cut_group (receiver, group_key, labels, missing, ask_at) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (receiver, group_key) DO UPDATE
        SET labels = excluded.labels, missing = excluded.missing, ask_at = excluded.ask_at, tries = 0
"""
_MAKE_ROOM = """
    DELETE FROM cut_group WHERE (receiver, group_key) IN (
        SELECT receiver, group_key FROM cut_group ORDER BY tries, ask_at DESC LIMIT -1 OFFSET ?
    )
"""
_SAME = "receiver = ? AND group_key = ? AND ask_at = ? AND tries = ?"


def note(db: sqlite3.Connection, group: CutGroup) -> None:
    labels = codec.write_mapping(group.labels)
    db.execute(_NOTE, (group.receiver, group.group_key, labels, group.missing, codec.to_us(group.ask_at)))
    db.execute(_MAKE_ROOM, (CUT_GROUPS,))


def due(db: sqlite3.Connection, *, at: datetime, limit: int) -> tuple[CutGroup, ...]:
    rows = db.execute("SELECT * FROM cut_group WHERE ask_at <= ? ORDER BY ask_at LIMIT ?", (codec.to_us(at), limit))
    return tuple(map(cut_group_of, rows))


def put_off(db: sqlite3.Connection, *, group: CutGroup, ask_at: datetime) -> None:
    db.execute(
        f"UPDATE cut_group SET ask_at = ?, tries = tries + 1 WHERE {_SAME}",  # noqa: S608 - a constant of ours
        (codec.to_us(ask_at), *_key(group)),
    )


def drop(db: sqlite3.Connection, *, group: CutGroup) -> None:
    db.execute(f"DELETE FROM cut_group WHERE {_SAME}", _key(group))  # noqa: S608 - a constant of ours


def _key(group: CutGroup) -> tuple[str, str, int, int]:
    return group.receiver, group.group_key, codec.to_us(group.ask_at), group.tries
