"""Finds what is old enough to be forgotten, and deletes it in pieces that hold up the writer for a moment only.

Finding is a read and may take a while in a large store; deleting looks again, in the transaction that deletes. Space
that becomes free is used for new rows: the file does not shrink, and never stops the service to do so.
"""

import sqlite3
import time
from collections.abc import Callable, Sequence
from datetime import datetime

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

_LONGEST = 0.004  # seconds of one piece; a commit with others in it takes as long
PIECE = 100  # entries of the journal that one write deletes: some 2 ms
_IS_FREE = f"""
    NOT EXISTS (SELECT 1 FROM lock WHERE lock.run = run.id AND (lock.until IS NULL OR lock.until > :now))
    AND {HAS_ALL_SENT}
"""  # noqa: S608 - a constant of ours


def find(db: sqlite3.Connection, *, old: Retention, limit: int, now: datetime) -> Found:
    """Runs and occurrences that are old and that nothing keeps."""
    return Found(
        _find(db, "run", "ended_at", IS_FINISHED, _IS_FREE, old, limit, now),
        _find(db, "occurrence", "closed_at", IS_OVER, IS_ALONE, old, limit, now),
        edge_of_news(old, _newest_news_too_many(db, old.at_most)),
    )


def _newest_news_too_many(db: sqlite3.Connection, at_most: int) -> int | None:
    """When the newest notice was queued that is one more than may be kept of those that were told."""
    row = db.execute(
        f"SELECT queued_at FROM post INDEXED BY post_told_notice WHERE {IS_TOLD}"  # noqa: S608 - written by us
        " ORDER BY queued_at DESC LIMIT 1 OFFSET ?",
        (at_most,),
    ).fetchone()
    return None if row is None else int(row["queued_at"])


def _find(
    db: sqlite3.Connection, table: str, ended: str, over: str, free: str, old: Retention, limit: int, now: datetime
) -> list[str]:
    # Both conditions and the table are written above; nothing in them comes from outside.
    newest_too_many = db.execute(
        f"SELECT {ended}, id FROM {table} WHERE {over} ORDER BY {ended} DESC, id DESC LIMIT 1 OFFSET ?",  # noqa: S608
        (old.at_most,),
    ).fetchone()
    at, last = edge_of(old, tuple(newest_too_many) if newest_too_many else None)
    rows = db.execute(
        f"SELECT id FROM {table} WHERE {over} AND ({ended}, id) <= (:at, :last) AND {free}"  # noqa: S608
        f" ORDER BY {ended}, id LIMIT :limit",
        {"at": at, "last": last, "now": codec.to_us(now), "limit": limit},
    )
    return [row["id"] for row in rows]


def delete_runs(db: sqlite3.Connection, *, runs: Sequence[str], now: datetime) -> tuple[int, Sequence[str]]:
    """Delete runs until the moment is over: how many were, and which are left to look at."""
    return _delete_some(runs, lambda run: _delete_run(db, run, now))


def delete_occurrences(db: sqlite3.Connection, *, occurrences: Sequence[str]) -> tuple[int, Sequence[str]]:
    """Delete occurrences until the moment is over: how many were, and which are left to look at."""
    statement = f"DELETE FROM occurrence WHERE id = ? AND {IS_OVER} AND {IS_ALONE}"  # noqa: S608 - all written above
    return _delete_some(occurrences, lambda one: db.execute(statement, (one,)).rowcount)


def _delete_some(ids: Sequence[str], delete: Callable[[str], int]) -> tuple[int, Sequence[str]]:
    began, deleted = time.monotonic(), 0
    for done, one in enumerate(ids, start=1):
        deleted += delete(one)
        if time.monotonic() - began > _LONGEST:
            return deleted, ids[done:]
    return deleted, ()


def _delete_run(db: sqlite3.Connection, run: str, now: datetime) -> int:
    """Delete a run with all that hangs on it, unless something has come for it since it was found."""
    known = db.execute(
        f"SELECT 1 FROM run WHERE id = :run AND {IS_FINISHED} AND {_IS_FREE}",  # noqa: S608 - all written above
        {"run": run, "now": codec.to_us(now)},
    ).fetchone()
    if known is None:
        return 0
    for part in PARTS:
        db.execute(f"DELETE FROM {part} WHERE run = ?", (run,))  # noqa: S608 - a name from above
    db.execute("DELETE FROM run WHERE id = ?", (run,))
    return 1


_OLD_NOTICES = f"""
    SELECT seq FROM post INDEXED BY post_told_notice
    WHERE {IS_TOLD} AND queued_at < max(:before, :news_before) AND (queued_at < :before OR {IS_NEWS})
    ORDER BY queued_at LIMIT :limit
"""  # noqa: S608 - written by us


def delete_rest(db: sqlite3.Connection, *, old: Retention, news_before: int, limit: int) -> Forgotten:
    """Delete rules that no run was started with and that are long out of force, and notices that were sent long ago."""
    before, settled = codec.to_us(old.before), codec.to_us(old.settled)
    rules = db.execute(
        "DELETE FROM rule WHERE digest IN (SELECT digest FROM rule WHERE remembered_at < ?"
        " AND NOT EXISTS (SELECT 1 FROM run WHERE run.rule_digest = rule.digest) LIMIT ?)",
        (min(before, settled), limit),
    ).rowcount
    notices = db.execute(
        f"DELETE FROM post WHERE seq IN ({_OLD_NOTICES})",  # noqa: S608 - written by us
        {"before": before, "news_before": news_before, "limit": limit},
    ).rowcount
    return Forgotten(rules=rules, notices=notices)


def pieces(limit: int) -> list[int]:
    """How many entries of the journal each write is to delete, for so many in all."""
    return [min(PIECE, limit - start) for start in range(0, limit, PIECE)]


def delete_journal(db: sqlite3.Connection, *, old: Retention, limit: int, now: datetime) -> Forgotten:
    """Delete what guards look back to no more: entries of the journal, and stops that are over."""
    before = codec.to_us(min(old.before, now - JOURNAL_KEPT))
    changes = db.execute(
        "DELETE FROM change WHERE seq IN (SELECT seq FROM change WHERE at < ? ORDER BY at LIMIT ?)", (before, limit)
    ).rowcount
    stops = db.execute(
        "DELETE FROM stop WHERE (kind, scope) IN (SELECT kind, scope FROM stop WHERE until < ? LIMIT ?)",
        (before, limit),
    ).rowcount
    return Forgotten(changes=changes, stops=stops)
