"""The outbox: what chat is to be told. The same key again is a newer version of the same message."""

import sqlite3
from collections.abc import Iterable

from remediator.model.ids import RunId
from remediator.model.message import PARENT, Post, QueuedPost
from remediator.storage import codec
from remediator.storage.sqlite import reading
from remediator.storage.store import OutboxState


def queue(db: sqlite3.Connection, run: RunId, channel: str, posts: Iterable[Post], now: int) -> None:
    db.executemany(
        "INSERT INTO post (run, key, channel, message, queued_at) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (run, key) DO UPDATE SET message = excluded.message, version = version + 1,"
        " queued_at = CASE WHEN sent_version < version THEN queued_at ELSE excluded.queued_at END"
        " WHERE message <> excluded.message",
        [(run, post.key, channel, codec.write_message(post.message), now) for post in posts],
    )


def waiting_posts(db: sqlite3.Connection, *, limit: int) -> tuple[QueuedPost, ...]:
    rows = db.execute(
        "SELECT p.*, parent.ref AS thread FROM post AS p"
        " LEFT JOIN post AS parent ON parent.run = p.run AND parent.key = ? AND p.key <> parent.key"
        " WHERE p.sent_version < p.version ORDER BY p.seq LIMIT ?",
        (PARENT, limit),
    )
    return tuple(
        QueuedPost(
            seq=row["seq"],
            run=RunId(row["run"]),
            channel=row["channel"],
            key=row["key"],
            message=codec.read_message(row["message"]),
            version=row["version"],
            queued_at=codec.from_us(row["queued_at"]),
            ref=row["ref"],
            thread=row["thread"],
        )
        for row in rows
    )


def note_sent(db: sqlite3.Connection, *, seq: int, version: int, ref: str) -> None:
    db.execute("UPDATE post SET sent_version = max(sent_version, ?), ref = ? WHERE seq = ?", (version, ref, seq))


def state(db: sqlite3.Connection) -> OutboxState:
    row = db.execute("SELECT count(*) AS n, min(queued_at) AS oldest FROM post WHERE sent_version < version").fetchone()
    return OutboxState(row["n"], reading.when(row["oldest"]))
