"""The outbox: what chat is to be told. The same key again is a newer version of the same message."""

import json
import sqlite3
from collections.abc import Collection, Iterable
from datetime import datetime

from remediator.model.ids import RunId
from remediator.model.message import CARD, PARENT, TOLD_IN, Message, Post, QueuedPost
from remediator.storage import codec
from remediator.storage.outbox import NoticeState, OutboxState
from remediator.storage.queueing import IS_LEVEL, NEWER_VERSION, WAITING, has_its_turn
from remediator.storage.reading import PostState
from remediator.storage.rows import notice_state_of, outbox_state_of, post_state_of, queued_post_of

_QUEUE = "INSERT INTO post (run, key, channel, message, queued_at, is_minor) VALUES (?, ?, ?, ?, ?, ?)"


def queue(db: sqlite3.Connection, run: RunId, channel: str, posts: Iterable[Post], now: int) -> None:
    db.executemany(
        f"{_QUEUE} ON CONFLICT (run, key) {NEWER_VERSION}",
        [(run, post.key, channel, codec.write_message(post.message), now, post.is_minor) for post in posts],
    )


def notify(db: sqlite3.Connection, *, channel: str, key: str, message: Message, at: datetime) -> None:
    db.execute(
        f"{_QUEUE} ON CONFLICT (channel, key) WHERE run IS NULL {NEWER_VERSION}",
        (None, key, channel, codec.write_message(message), codec.to_us(at), False),
    )


def has_notice(db: sqlite3.Connection, *, channel: str, key: str) -> bool:
    found = db.execute("SELECT 1 FROM post WHERE run IS NULL AND channel = ? AND key = ?", (channel, key))
    return found.fetchone() is not None


# Nearly all notices were told long ago, and most of what waits is of runs: only their own index keeps this short.
_NOTICE = f"""
    SELECT p.*, parent.ref AS thread FROM post AS p INDEXED BY post_waiting_notice
    LEFT JOIN post AS parent ON parent.run = p.run AND parent.key = '{PARENT}'
    WHERE p.run IS NULL AND p.sent_version < p.version
"""  # noqa: S608 - a constant of ours
# A thread in which a question's card waits, as far as that card: what people are asked goes before what they are told.
_ASKING = f"""
    WITH asking AS (
        SELECT run, max(seq) AS seq FROM post
        WHERE sent_version < version AND substr(key, 1, {len(CARD)}) = '{CARD}' AND run IS NOT NULL GROUP BY run
    )
    SELECT p.*, parent.ref AS thread FROM asking
    CROSS JOIN post AS p ON p.run = asking.run AND p.seq <= asking.seq
    LEFT JOIN post AS parent ON parent.run = p.run AND parent.key = '{PARENT}' AND p.key <> parent.key
    WHERE p.sent_version < p.version
"""  # noqa: S608 - a constant of ours
_OF_RANK = f"{WAITING} AND p.is_minor = :minor"
_MAY_BE_SENT = f"""
    AND p.seq NOT IN (SELECT value FROM json_each(:resting))
    AND p.channel NOT IN (SELECT value FROM json_each(:busy))
    AND {has_its_turn("earlier.seq NOT IN (SELECT value FROM json_each(:passed))")}
"""  # noqa: S608 - constants of ours
# One that was tried was counted then, and may not wait for what it has used up itself.
_NOT_FULL = f" AND NOT ({IS_LEVEL} AND NOT p.attempted AND p.channel IN (SELECT value FROM json_each(:full)))"  # noqa: S608 - a constant of ours
_READ_NOTICES = """
    SELECT channel, key, seq, queued_at, ref FROM post WHERE run IS NULL
    AND (channel, key) IN (SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?))
"""


def read_notices(db: sqlite3.Connection, *, wanted: Collection[tuple[str, str]]) -> tuple[NoticeState, ...]:
    rows = db.execute(_READ_NOTICES, (json.dumps(list(wanted)),))
    return tuple(map(notice_state_of, rows))


def waiting_levels(db: sqlite3.Connection, *, channel: str, limit: int) -> tuple[QueuedPost, ...]:
    found = f"{_NOTICE} AND {IS_LEVEL} AND p.channel = :channel ORDER BY p.seq LIMIT :limit"
    return tuple(map(queued_post_of, db.execute(found, {"channel": channel, "limit": limit})))


def gather(db: sqlite3.Connection, *, posts: Collection[QueuedPost], key: str, message: Message, at: datetime) -> None:
    db.executemany(
        "UPDATE post SET sent_version = max(sent_version, ?), ref = ?, attempted = 0 WHERE seq = ?",
        [(post.version, f"{TOLD_IN}{key}", post.seq) for post in posts],
    )
    for channel in {post.channel for post in posts}:
        notify(db, channel=channel, key=key, message=message, at=at)


def waiting_posts(db: sqlite3.Connection, *, limit: int) -> tuple[QueuedPost, ...]:
    rows = db.execute(f"{WAITING} ORDER BY p.seq LIMIT :limit", {"limit": limit})
    return tuple(map(queued_post_of, rows))


def posts_of(db: sqlite3.Connection, *, run: RunId, limit: int) -> tuple[PostState, ...]:
    rows = db.execute("SELECT * FROM post WHERE run = ? ORDER BY seq LIMIT ?", (run, limit))
    return tuple(map(post_state_of, rows))


def next_post(
    db: sqlite3.Connection,
    *,
    resting: Collection[int],
    busy: Collection[str],
    passed: Collection[int],
    full: Collection[str] = (),
) -> QueuedPost | None:
    given = {
        "resting": json.dumps(list(resting)),
        "busy": json.dumps(list(busy)),
        "passed": json.dumps(list(passed)),
        "full": json.dumps(list(full)),
    }
    may = f"{_MAY_BE_SENT} {_NOT_FULL if full else ''}"
    row = db.execute(f"{_NOTICE} {may} ORDER BY p.seq LIMIT 1", given).fetchone()
    if row is None:
        row = db.execute(f"{_ASKING} {may} ORDER BY p.seq LIMIT 1", given).fetchone()
    for minor in (False, True):
        if row is None:
            row = db.execute(f"{_OF_RANK} {may} ORDER BY p.seq LIMIT 1", {**given, "minor": minor}).fetchone()
    return None if row is None else queued_post_of(row)


def note_attempt(db: sqlite3.Connection, *, seq: int) -> bool:
    return bool(db.execute("UPDATE post SET attempted = 1 WHERE seq = ? AND attempted = 0", (seq,)).rowcount)


def note_sent(db: sqlite3.Connection, *, seq: int, version: int, ref: str) -> None:
    db.execute("UPDATE post SET sent_version = max(sent_version, ?), ref = ? WHERE seq = ?", (version, ref, seq))


def move_thread(db: sqlite3.Connection, *, seq: int, channel: str) -> None:
    post = db.execute("SELECT * FROM post WHERE seq = ?", (seq,)).fetchone()
    if post is None:
        return
    if post["run"] is None:
        _move_notice(db, post, channel)
        return
    run = post["run"]
    db.execute("UPDATE run SET channel = ? WHERE id = ?", (channel, run))
    db.execute("UPDATE post SET channel = ? WHERE run = ?", (channel, run))
    db.execute("UPDATE post SET ref = NULL, attempted = 0, sent_version = 0 WHERE run = ? AND key = ?", (run, PARENT))


def _move_notice(db: sqlite3.Connection, post: sqlite3.Row, channel: str) -> None:
    """Where the channel has that notice already, the one that was queued last is its newest version."""
    there = db.execute(
        "SELECT queued_at FROM post WHERE run IS NULL AND channel = ? AND key = ? AND seq <> ?",
        (channel, post["key"], post["seq"]),
    ).fetchone()
    if there is None:
        db.execute(
            "UPDATE post SET channel = ?, ref = NULL, attempted = 0, sent_version = 0 WHERE seq = ?",
            (channel, post["seq"]),
        )
        return
    db.execute("DELETE FROM post WHERE seq = ?", (post["seq"],))
    if post["queued_at"] >= there["queued_at"]:
        message, at = codec.read_message(post["message"]), codec.from_us(post["queued_at"])
        notify(db, channel=channel, key=post["key"], message=message, at=at)


_STATE = """
    SELECT * FROM
        (SELECT count(*) AS waiting, min(queued_at) AS oldest FROM post WHERE sent_version < version AND is_minor = 0),
        (SELECT count(*) AS minor FROM post WHERE sent_version < version AND is_minor = 1)
"""


def state(db: sqlite3.Connection) -> OutboxState:
    row = db.execute(_STATE).fetchone()
    return outbox_state_of(row)
