"""The outbox: what chat is to be told. The same key again is a newer version of the same message."""

import json
import sqlite3
from collections.abc import Collection, Iterable
from datetime import datetime

from remediator.model.ids import RunId
from remediator.model.message import CARD, LEVEL, NEWS, PARENT, TOLD_IN, Message, Post, QueuedPost
from remediator.storage import codec
from remediator.storage.sqlite import reading
from remediator.storage.store import NoticeState, OutboxState, PostState

_QUEUE = "INSERT INTO post (run, key, channel, message, queued_at, is_minor) VALUES (?, ?, ?, ?, ?, ?)"
# What is minor no more waits from now on: people have waited for it since then. One that may have landed is looked for
# since the time at which it was queued first. No thread is minor as long as anything in it is waited for.
_NEWER_VERSION = f"""
    DO UPDATE SET message = excluded.message, version = version + (message <> excluded.message),
        queued_at = CASE WHEN sent_version < version AND (is_minor <= excluded.is_minor OR (attempted AND ref IS NULL))
            THEN queued_at ELSE excluded.queued_at END,
        is_minor = excluded.is_minor AND NOT EXISTS (
            SELECT 1 FROM post AS reply WHERE reply.run = post.run AND reply.key <> '{PARENT}'
                AND reply.sent_version < reply.version AND NOT reply.is_minor
        )
    WHERE message <> excluded.message OR is_minor <> excluded.is_minor
"""  # noqa: S608 - a constant of ours


def queue(db: sqlite3.Connection, run: RunId, channel: str, posts: Iterable[Post], now: int) -> None:
    db.executemany(
        f"{_QUEUE} ON CONFLICT (run, key) {_NEWER_VERSION}",
        [(run, post.key, channel, codec.write_message(post.message), now, post.is_minor) for post in posts],
    )


def notify(db: sqlite3.Connection, *, channel: str, key: str, message: Message, at: datetime) -> None:
    db.execute(
        f"{_QUEUE} ON CONFLICT (channel, key) WHERE run IS NULL {_NEWER_VERSION}",
        (None, key, channel, codec.write_message(message), codec.to_us(at), False),
    )


def has_notice(db: sqlite3.Connection, *, channel: str, key: str) -> bool:
    found = db.execute("SELECT 1 FROM post WHERE run IS NULL AND channel = ? AND key = ?", (channel, key))
    return found.fetchone() is not None


_POST = """
    SELECT p.*, parent.ref AS thread FROM post AS p
    LEFT JOIN post AS parent ON parent.run = p.run AND parent.key = :parent AND p.key <> parent.key
    WHERE p.sent_version < p.version
"""
_NOTICE = f"{_POST} AND p.run IS NULL"  # with +p.seq it is looked for among the few of these, and not among all
# A thread in which a question's card waits, as far as that card: what people are asked goes before what they are told.
_ASKING = f"""
    WITH asking AS (
        SELECT run, max(seq) AS seq FROM post
        WHERE sent_version < version AND substr(key, 1, {len(CARD)}) = '{CARD}' AND run IS NOT NULL GROUP BY run
    )
    SELECT p.*, parent.ref AS thread FROM asking
    CROSS JOIN post AS p ON p.run = asking.run AND p.seq <= asking.seq
    LEFT JOIN post AS parent ON parent.run = p.run AND parent.key = :parent AND p.key <> parent.key
    WHERE p.sent_version < p.version
"""  # noqa: S608 - a constant of ours
_OF_RANK = f"{_POST} AND p.is_minor = :minor"
# A notice that tells a level or a place of one run, and stands nowhere: not told yet, or together with others.
_LEVEL = f"""
    p.run IS NULL AND (substr(p.key, 1, {len(LEVEL)}) = '{LEVEL}' OR substr(p.key, 1, {len(NEWS)}) = '{NEWS}')
    AND (p.ref IS NULL OR substr(p.ref, 1, {len(TOLD_IN)}) = '{TOLD_IN}')
"""
_MAY_BE_SENT = """
    AND p.seq NOT IN (SELECT value FROM json_each(:resting))
    AND p.channel NOT IN (SELECT value FROM json_each(:busy))
    AND (p.run IS NULL OR p.key = :parent OR p.ref IS NOT NULL OR (parent.ref IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM post AS earlier
        WHERE earlier.run = p.run AND earlier.seq < p.seq AND earlier.key <> :parent AND earlier.ref IS NULL
            AND earlier.is_minor <= p.is_minor
            AND earlier.seq NOT IN (SELECT value FROM json_each(:passed))
    )))
"""
# One that was tried was counted then, and may not wait for what it has used up itself.
_NOT_FULL = f" AND NOT ({_LEVEL} AND NOT p.attempted AND p.channel IN (SELECT value FROM json_each(:full)))"  # noqa: S608 - a constant of ours
_READ_NOTICES = """
    SELECT channel, key, seq, queued_at, ref FROM post WHERE run IS NULL
    AND (channel, key) IN (SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?))
"""


def read_notices(db: sqlite3.Connection, *, wanted: Collection[tuple[str, str]]) -> tuple[NoticeState, ...]:
    rows = db.execute(_READ_NOTICES, (json.dumps(list(wanted)),))
    return tuple(NoticeState(channel, key, seq, codec.from_us(at), ref) for channel, key, seq, at, ref in rows)


def waiting_levels(db: sqlite3.Connection, *, channel: str, limit: int) -> tuple[QueuedPost, ...]:
    found = f"{_POST} AND {_LEVEL} AND p.channel = :channel ORDER BY +p.seq LIMIT :limit"
    return tuple(map(_post, db.execute(found, {"parent": PARENT, "channel": channel, "limit": limit})))


def gather(db: sqlite3.Connection, *, posts: Collection[QueuedPost], key: str, message: Message, at: datetime) -> None:
    db.executemany(
        "UPDATE post SET sent_version = max(sent_version, ?), ref = ?, attempted = 0 WHERE seq = ?",
        [(post.version, f"{TOLD_IN}{key}", post.seq) for post in posts],
    )
    for channel in {post.channel for post in posts}:
        notify(db, channel=channel, key=key, message=message, at=at)


def waiting_posts(db: sqlite3.Connection, *, limit: int) -> tuple[QueuedPost, ...]:
    rows = db.execute(f"{_POST} ORDER BY p.seq LIMIT :limit", {"parent": PARENT, "limit": limit})
    return tuple(map(_post, rows))


def posts_of(db: sqlite3.Connection, *, run: RunId, limit: int) -> tuple[PostState, ...]:
    rows = db.execute("SELECT * FROM post WHERE run = ? ORDER BY seq LIMIT ?", (run, limit))
    return tuple(
        PostState(
            key=row["key"],
            title=codec.read_message(row["message"]).title,
            channel=row["channel"],
            queued_at=codec.from_us(row["queued_at"]),
            is_sent=row["sent_version"] >= row["version"],
            ref=row["ref"],
        )
        for row in rows
    )


def next_post(
    db: sqlite3.Connection,
    *,
    resting: Collection[int],
    busy: Collection[str],
    passed: Collection[int],
    full: Collection[str] = (),
) -> QueuedPost | None:
    given = {
        "parent": PARENT,
        "resting": json.dumps(list(resting)),
        "busy": json.dumps(list(busy)),
        "passed": json.dumps(list(passed)),
        "full": json.dumps(list(full)),
    }
    may = f"{_MAY_BE_SENT} {_NOT_FULL if full else ''}"
    row = db.execute(f"{_NOTICE} {may} ORDER BY +p.seq LIMIT 1", given).fetchone()
    if row is None:
        row = db.execute(f"{_ASKING} {may} ORDER BY p.seq LIMIT 1", given).fetchone()
    for minor in (False, True):
        if row is None:
            row = db.execute(f"{_OF_RANK} {may} ORDER BY p.seq LIMIT 1", {**given, "minor": minor}).fetchone()
    return None if row is None else _post(row)


def _post(row: sqlite3.Row) -> QueuedPost:
    return QueuedPost(
        seq=row["seq"],
        run=None if row["run"] is None else RunId(row["run"]),
        channel=row["channel"],
        key=row["key"],
        message=codec.read_message(row["message"]),
        version=row["version"],
        queued_at=codec.from_us(row["queued_at"]),
        ref=None if (row["ref"] or "").startswith(TOLD_IN) else row["ref"],
        thread=row["thread"],
        attempted=bool(row["attempted"]),
    )


def note_attempt(db: sqlite3.Connection, *, seq: int) -> bool:
    return bool(db.execute("UPDATE post SET attempted = 1 WHERE seq = ? AND attempted = 0", (seq,)).rowcount)


def note_sent(db: sqlite3.Connection, *, seq: int, version: int, ref: str) -> None:
    db.execute("UPDATE post SET sent_version = max(sent_version, ?), ref = ? WHERE seq = ?", (version, ref, seq))


def move_thread(db: sqlite3.Connection, *, seq: int, channel: str) -> None:
    post = db.execute("SELECT * FROM post WHERE seq = ?", (seq,)).fetchone()
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
    return OutboxState(row["waiting"], reading.when(row["oldest"]), row["minor"])
