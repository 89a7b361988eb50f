"""The outbox: what chat is to be told. The same key again is a newer version of the same message."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from asyncpg import Record

from remediator.model.ids import RunId
from remediator.model.message import CARD, PARENT, TOLD_IN, Message, Post, QueuedPost
from remediator.storage import codec
from remediator.storage.outbox import NoticeState, OutboxState
from remediator.storage.postgres.keys import bounded, plain
from remediator.storage.queueing import IS_LEVEL, NEWER_VERSION, WAITING, has_its_turn
from remediator.storage.reading import PostState
from remediator.storage.rows import notice_state_of, outbox_state_of, post_state_of, queued_post_of

if TYPE_CHECKING:
    from remediator.storage.postgres.links import Db

_QUEUE = f"""
    INSERT INTO post (run, key, channel, message, queued_at, is_minor)
    SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[], $6::boolean[])
    ON CONFLICT (run, key) {NEWER_VERSION}
"""  # noqa: S608 - a constant of ours
_NOTIFY = f"""
    INSERT INTO post (key, channel, message, queued_at) VALUES ($1, $2, $3, $4)
    ON CONFLICT (channel, key) WHERE run IS NULL {NEWER_VERSION}
"""  # noqa: S608 - a constant of ours
_NOTICE = f"{WAITING} AND p.run IS NULL"  # with p.seq + 0 it is looked for among the few of these, and not among all
# A thread in which a question's card waits, as far as that card: what people are asked goes before what they are told.
_ASKING = f"""
    WITH asking AS MATERIALIZED (
        SELECT run, max(seq) AS seq FROM post
        WHERE sent_version < version AND starts_with(key, '{CARD}') AND run IS NOT NULL GROUP BY run
    )
    SELECT p.*, parent.ref AS thread FROM asking
    JOIN post AS p ON p.run = asking.run AND p.seq <= asking.seq
    LEFT JOIN post AS parent ON parent.run = p.run AND parent.key = '{PARENT}' AND p.key <> parent.key
    WHERE p.sent_version < p.version
"""  # noqa: S608 - a constant of ours
_BY_RANK = (_ASKING, f"{WAITING} AND NOT p.is_minor", f"{WAITING} AND p.is_minor")
_MAY_BE_SENT = f"""
    AND p.seq <> ALL ($1::bigint[]) AND p.channel <> ALL ($2::text[])
    AND {has_its_turn("earlier.seq <> ALL ($3::bigint[])")}
"""
# One that was tried was counted then, and may not wait for what it has used up itself.
_NOT_FULL = f" AND NOT ({IS_LEVEL} AND NOT p.attempted AND p.channel = ANY ($4::text[]))"
_READ_NOTICES = """
    SELECT p.channel, w.named AS key, p.seq, p.queued_at, p.ref
    FROM unnest($1::text[], $2::text[], $3::text[]) AS w (channel, key, named)
    JOIN post AS p ON p.run IS NULL AND p.channel = w.channel AND p.key = w.key
"""
_GATHER = """
    UPDATE post SET sent_version = greatest(sent_version, g.version), ref = $3, attempted = false
    FROM unnest($1::bigint[], $2::int[]) AS g (seq, version) WHERE post.seq = g.seq
"""
_BEGIN_ANEW = "UPDATE post SET ref = NULL, attempted = false, sent_version = 0 WHERE run = $1 AND key = $2"
_MOVE_NOTICE = "UPDATE post SET channel = $2, ref = NULL, attempted = false, sent_version = 0 WHERE seq = $1"


async def queue(db: "Db", *, run: RunId, channel: str, posts: Sequence[Post], now: datetime) -> None:
    """Messages of a run whose row is locked."""
    if posts:
        at = codec.to_us(now)
        rows = [(post.key, channel, codec.write_message(post.message), at, post.is_minor) for post in posts]
        await db.execute(_QUEUE, run, *map(list, zip(*rows, strict=True)))


async def notify(db: "Db", *, channel: str, key: str, message: Message, at: datetime) -> None:
    await db.execute(_NOTIFY, bounded(key), channel, codec.write_message(message), codec.to_us(at))


async def has_notice(db: "Db", *, channel: str, key: str) -> bool:
    found = "SELECT EXISTS (SELECT 1 FROM post WHERE run IS NULL AND channel = $1 AND key = $2)"
    return bool(await db.fetchval(found, channel, bounded(key)))


async def read_notices(db: "Db", *, wanted: Collection[tuple[str, str]]) -> tuple[NoticeState, ...]:
    channels, keys = [channel for channel, _ in wanted], [key for _, key in wanted]
    rows = await db.fetch(_READ_NOTICES, channels, list(map(bounded, keys)), keys)
    return tuple(map(notice_state_of, rows))


async def waiting_levels(db: "Db", *, channel: str, limit: int) -> tuple[QueuedPost, ...]:
    found = f"{WAITING} AND {IS_LEVEL} AND p.channel = $1 ORDER BY p.seq + 0 LIMIT $2"
    return tuple(map(queued_post_of, await db.fetch(found, channel, limit)))


async def gather(db: "Db", *, posts: Collection[QueuedPost], key: str, message: Message, at: datetime) -> None:
    await db.execute(_GATHER, [post.seq for post in posts], [post.version for post in posts], f"{TOLD_IN}{key}")
    for channel in {post.channel for post in posts}:
        await notify(db, channel=channel, key=key, message=message, at=at)


async def waiting_posts(db: "Db", *, limit: int) -> tuple[QueuedPost, ...]:
    return tuple(map(queued_post_of, await db.fetch(f"{WAITING} ORDER BY p.seq LIMIT $1", limit)))


async def posts_of(db: "Db", *, run: RunId, limit: int) -> tuple[PostState, ...]:
    rows = await db.fetch("SELECT * FROM post WHERE run = $1 ORDER BY seq LIMIT $2", plain(run), limit)
    return tuple(map(post_state_of, rows))


async def next_post(
    db: "Db",
    *,
    resting: Collection[int],
    busy: Collection[str],
    passed: Collection[int],
    full: Collection[str] = (),
) -> QueuedPost | None:
    given = list(resting), list(busy), list(passed), *([list(full)] if full else [])
    may = f"{_MAY_BE_SENT} {_NOT_FULL if full else ''}"
    row = await db.fetchrow(f"{_NOTICE} {may} ORDER BY p.seq + 0 LIMIT 1", *given)
    for posts in _BY_RANK:
        if row is None:
            row = await db.fetchrow(f"{posts} {may} ORDER BY p.seq LIMIT 1", *given)
    return None if row is None else queued_post_of(row)


async def note_attempt(db: "Db", *, seq: int) -> bool:
    noted = "UPDATE post SET attempted = true WHERE seq = $1 AND NOT attempted RETURNING seq"
    return await db.fetchval(noted, seq) is not None


async def note_sent(db: "Db", *, seq: int, version: int, ref: str) -> None:
    await db.execute(
        "UPDATE post SET sent_version = greatest(sent_version, $2), ref = $3 WHERE seq = $1", seq, version, ref
    )


async def move_thread(db: "Db", *, seq: int, channel: str) -> None:
    post = await db.fetchrow("SELECT * FROM post WHERE seq = $1 FOR UPDATE", seq)
    if post is None:
        return
    if post["run"] is None:
        await _move_notice(db, post, channel)
        return
    await db.execute("UPDATE run SET channel = $2 WHERE id = $1", post["run"], channel)
    await db.execute("UPDATE post SET channel = $2 WHERE run = $1", post["run"], channel)
    await db.execute(_BEGIN_ANEW, post["run"], PARENT)


async def _move_notice(db: "Db", post: Record, channel: str) -> None:
    """Where the channel has that notice already, the one that was queued last is its newest version."""
    seq, key = post["seq"], post["key"]
    there = await db.fetchrow(
        "SELECT queued_at FROM post WHERE run IS NULL AND channel = $1 AND key = $2 AND seq <> $3", channel, key, seq
    )
    if there is None:
        await db.execute(_MOVE_NOTICE, seq, channel)
        return
    await db.execute("DELETE FROM post WHERE seq = $1", seq)
    if post["queued_at"] >= there["queued_at"]:
        await db.execute(_NOTIFY, key, channel, post["message"], post["queued_at"])


_STATE = """
    SELECT * FROM
        (SELECT count(*) AS waiting, min(queued_at) AS oldest FROM post
            WHERE sent_version < version AND NOT is_minor) AS ordinary,
        (SELECT count(*) AS minor FROM post WHERE sent_version < version AND is_minor) AS others
"""


async def state(db: "Db") -> OutboxState:
    row = await db.fetchrow(_STATE)
    if row is None:
        return OutboxState(0, None)
    return outbox_state_of(row)
