"""Finds what is old enough to be forgotten, and deletes it in pieces that hold up the writer for a moment only.

Finding is a read; deleting looks again, in the transaction that deletes. The server's own vacuum makes the room free.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from remediator.storage import codec
from remediator.storage.forgetting import (
    HAS_ALL_SENT,
    IS_ALONE,
    IS_FINISHED,
    IS_NEWS,
    IS_OVER,
    IS_TOLD,
    PARTS,
    Found,
    edge_of,
    edge_of_news,
)
from remediator.storage.retention import JOURNAL_KEPT, Forgotten, Retention

if TYPE_CHECKING:
    from remediator.storage.postgres.links import Db

PIECE = 100  # rows that one write deletes, with all that hangs on them
_IS_FREE = f"""
    NOT EXISTS (SELECT 1 FROM lock WHERE lock.run = run.id AND (lock.until IS NULL OR lock.until > $1))
    AND {HAS_ALL_SENT}
"""  # noqa: S608 - a constant of ours
_IS_ALONE = f"$1::bigint IS NOT NULL AND {IS_ALONE}"  # it takes the time that `_IS_FREE` compares with
_RULES = """
    DELETE FROM rule WHERE digest IN (SELECT digest FROM rule WHERE remembered_at < $1
        AND NOT EXISTS (SELECT 1 FROM run WHERE run.rule_digest = rule.digest) LIMIT $2) RETURNING 1
"""
_NOTICES = f"""
    DELETE FROM post WHERE seq = ANY (ARRAY(
        SELECT seq FROM post WHERE {IS_TOLD} AND queued_at < greatest($1::bigint, $2) AND (queued_at < $1 OR {IS_NEWS})
        ORDER BY queued_at LIMIT $3
    )) RETURNING 1
"""  # noqa: S608 - written by us
_NEWEST_NEWS_TOO_MANY = f"""
    SELECT queued_at FROM post WHERE {IS_TOLD} ORDER BY queued_at DESC LIMIT 1 OFFSET $1
"""  # noqa: S608 - written by us
_CHANGES = """
    DELETE FROM change WHERE seq = ANY (ARRAY(SELECT seq FROM change WHERE at < $1 ORDER BY at LIMIT $2)) RETURNING 1
"""
_STOPS = """
    DELETE FROM stop WHERE (kind, scope) IN (SELECT kind, scope FROM stop WHERE until < $1 LIMIT $2) AND until < $1
    RETURNING 1
"""


async def find(db: "Db", *, old: Retention, limit: int, now: datetime) -> Found:
    """Runs and occurrences that are old and that nothing keeps."""
    return Found(
        await _find(db, "run", "ended_at", IS_FINISHED, _IS_FREE, old, limit, now),
        await _find(db, "occurrence", "closed_at", IS_OVER, _IS_ALONE, old, limit, now),
        edge_of_news(old, await db.fetchval(_NEWEST_NEWS_TOO_MANY, old.at_most)),
    )


async def _find(
    db: "Db", table: str, ended: str, over: str, free: str, old: Retention, limit: int, now: datetime
) -> list[str]:
    # Both conditions and the table are written above; nothing in them comes from outside.
    newest_too_many = await db.fetchrow(
        f"SELECT {ended}, id FROM {table} WHERE {over} ORDER BY {ended} DESC, id DESC LIMIT 1 OFFSET $1",  # noqa: S608
        old.at_most,
    )
    at, last = edge_of(old, (newest_too_many[0], newest_too_many[1]) if newest_too_many else None)
    rows = await db.fetch(
        f"SELECT id FROM {table} WHERE {over} AND ({ended}, id) <= ($2, $3) AND {free}"  # noqa: S608
        f" ORDER BY {ended}, id LIMIT $4",
        codec.to_us(now),
        at,
        last,
        limit,
    )
    return [row["id"] for row in rows]


async def delete_runs(db: "Db", *, runs: Sequence[str], now: datetime) -> int:
    """Delete runs with all that hangs on them, except those for which something has come since they were found."""
    locked = f"SELECT id FROM run WHERE {IS_FINISHED} AND {_IS_FREE} AND id = ANY ($2) ORDER BY id FOR UPDATE"  # noqa: S608
    gone = [row["id"] for row in await db.fetch(locked, codec.to_us(now), runs)]
    for part in PARTS:
        await db.execute(f"DELETE FROM {part} WHERE run = ANY ($1::text[])", gone)  # noqa: S608 - a name from above
    await db.execute("DELETE FROM run WHERE id = ANY ($1::text[])", gone)
    return len(gone)


async def delete_occurrences(db: "Db", *, occurrences: Sequence[str], now: datetime) -> int:
    """Delete occurrences, except those that something needs by now."""
    statement = f"DELETE FROM occurrence WHERE {IS_OVER} AND {_IS_ALONE} AND id = ANY ($2) RETURNING 1"  # noqa: S608
    return len(await db.fetch(statement, codec.to_us(now), occurrences))


async def delete_rest(db: "Db", *, old: Retention, news_before: int, limit: int) -> Forgotten:
    """Delete rules that no run was started with and that are long out of force, and notices that were sent long ago."""
    before, settled = codec.to_us(old.before), codec.to_us(old.settled)
    rules = len(await db.fetch(_RULES, min(before, settled), limit))
    notices = len(await db.fetch(_NOTICES, before, news_before, limit))
    return Forgotten(rules=rules, notices=notices)


async def delete_journal(db: "Db", *, old: Retention, limit: int, now: datetime) -> Forgotten:
    """Delete what guards look back to no more: entries of the journal, and stops that are over."""
    before = codec.to_us(min(old.before, now - JOURNAL_KEPT))
    changes = len(await db.fetch(_CHANGES, before, limit))
    stops = len(await db.fetch(_STOPS, before, limit))
    return Forgotten(changes=changes, stops=stops)
