"""Other places are told of every run, and what they were told is kept for months: nothing is looked for among all that.

Work is counted in steps of SQLite's own machine, which are the same on any computer.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from remediator.model.message import NEWS, Message, Tone
from remediator.storage.retention import Retention
from remediator.storage.sqlite import migrating, outbox, retention

T0 = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
OLD = Retention(before=T0 - timedelta(days=90), at_most=1_000_000, settled=T0)
FEW = 10  # times a hundred steps


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    """A store with thousands of notices that were told, and one that waits."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as made:
        made.row_factory = sqlite3.Row
        migrating.migrate(made, "the store")
        message = Message(Tone.GOOD, "healed")
        for number in range(3000):
            outbox.notify(made, channel="notify:mail", key=f"{NEWS}r{number}.ended", message=message, at=T0)
        made.execute("UPDATE post SET sent_version = version, ref = 'x'")
        outbox.notify(made, channel="notify:mail", key=f"{NEWS}r0.asked", message=message, at=T0)
        yield made


def steps(db: sqlite3.Connection, work: Callable[[], object]) -> int:
    """What a piece of work takes, in hundreds of steps."""
    counted: list[None] = []
    db.set_progress_handler(lambda: counted.append(None), 100)
    work()
    db.set_progress_handler(None, 0)
    return len(counted)


def test_the_next_post_is_found_without_those_that_were_sent(db: sqlite3.Connection) -> None:
    """It is looked for twice a second, and once for each message, while runs are read by the same thread."""
    full = {"full": ["notify:mail"]}
    found = [outbox.next_post(db, resting=(), busy=(), passed=(), **given) for given in ({}, full)]

    assert [f"{NEWS}r0.asked", None] == [post and post.key for post in found]
    assert steps(db, lambda: outbox.next_post(db, resting=(), busy=(), passed=())) < FEW
    assert steps(db, lambda: outbox.next_post(db, resting=(), busy=(), passed=(), **full)) < FEW
    assert steps(db, lambda: outbox.waiting_levels(db, channel="notify:mail", limit=500)) < FEW


def test_where_nothing_is_old_that_is_found_out_at_once(db: sqlite3.Connection) -> None:
    """It is looked for each minute, and every delivery waits meanwhile."""
    assert steps(db, lambda: retention.delete_rest(db, old=OLD, news_before=0, limit=200)) < FEW
