"""Which runs and occurrences are old enough to be forgotten; the same for every engine. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from remediator.model.message import NEWS
from remediator.storage import codec
from remediator.storage.retention import Retention

IS_FINISHED = "ended_at IS NOT NULL AND wake_at IS NULL AND open_alerts = 0"
"""Of a run, as SQL."""
IS_OVER = "closed_at IS NOT NULL AND doubt_until IS NULL"
"""Of an occurrence, as SQL."""
HAS_ALL_SENT = "NOT EXISTS (SELECT 1 FROM post WHERE post.run = run.id AND post.sent_version < post.version)"
IS_ALONE = """
    NOT EXISTS (SELECT 1 FROM member WHERE member.occurrence = occurrence.id)
    AND NOT EXISTS (SELECT 1 FROM run WHERE run.occurrence = occurrence.id)
"""
PARTS = ("fact", "signal", "button", "post", "lock", "member")
"""The tables of what goes with a run."""
IS_TOLD = "run IS NULL AND sent_version >= version"
"""Of a notice, as SQL."""
IS_NEWS = f"substr(key, 1, {len(NEWS)}) = '{NEWS}'"
"""Of a notice that tells another place of one run, as SQL: there are several of each run."""
_LAST_ID = "\U0010ffff"  # after every id

Edge = tuple[int, str]
"""A time and an id: what does not come after it is old."""


@dataclass(frozen=True, slots=True)
class Found:
    """What may be deleted, the oldest first."""

    runs: Sequence[str]
    occurrences: Sequence[str]
    news_before: int
    """Notices that tell other places of runs are old where they were queued before this time."""


def edge_of(old: Retention, newest_too_many: Edge | None) -> Edge:
    """What is old, where that one is the newest of those that are more than may be kept."""
    by_age: Edge = (codec.to_us(old.before) - 1, _LAST_ID)
    too_new: Edge = (codec.to_us(old.settled) - 1, _LAST_ID)
    return min(max(by_age, newest_too_many or by_age), too_new)


def edge_of_news(old: Retention, newest_too_many: int | None) -> int:
    """From when on such notices are kept, where that is when the newest was queued of those that are too many."""
    by_count = codec.to_us(old.before) if newest_too_many is None else newest_too_many + 1
    return min(max(codec.to_us(old.before), by_count), codec.to_us(old.settled))
