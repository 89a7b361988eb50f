"""The buttons that stand in the chat, by the digests of their tokens. The tokens themselves are never here."""

import sqlite3
from collections.abc import Iterable
from datetime import datetime

from remediator.storage import codec
from remediator.storage.buttons import Button, OpenQuestions, Pressed
from remediator.storage.rows import open_questions_of, pressed_of

# That of a run which was forgotten meanwhile is of no use to anybody.
_KEEP = """
    INSERT INTO button (digest, run, round, revision, plan, approves, post, made_at)
    SELECT :digest, id, :round, :revision, :plan, :approves, :post, :made_at FROM run WHERE id = :run
"""
_FIND = """
    SELECT button.*, post.ref FROM button LEFT JOIN post ON post.seq = button.post AND post.run = button.run
    WHERE digest = ?
"""
# A quotation mark within a text is escaped in JSON: the words are found where there is a choice, and nowhere else.
_OPEN = """
    SELECT run.rule, post.channel, count(*) AS n FROM post JOIN run ON run.id = post.run
    WHERE substr(key, 1, 6) = 'asked.' AND instr(message, '"choice":{"run":') > 0
    GROUP BY run.rule, post.channel ORDER BY run.rule, post.channel
"""
_SEND_AGAIN = """
    UPDATE post SET version = version + 1, queued_at = ?
    WHERE seq = ? AND sent_version >= version AND ref IS NOT NULL AND instr(message, '"choice":{"run":') = 0
"""


def keep(db: sqlite3.Connection, *, buttons: Iterable[Button]) -> None:
    db.executemany(
        _KEEP,
        [
            {
                "digest": button.digest,
                "run": button.run,
                "round": button.round,
                "revision": button.revision,
                "plan": button.plan,
                "approves": button.approves,
                "post": button.post,
                "made_at": codec.to_us(button.made_at),
            }
            for button in buttons
        ],
    )


def find(db: sqlite3.Connection, *, digest: bytes) -> Pressed | None:
    row = db.execute(_FIND, (digest,)).fetchone()
    return None if row is None else pressed_of(row)


def send_again(db: sqlite3.Connection, *, post: int, now: datetime) -> None:
    db.execute(_SEND_AGAIN, (codec.to_us(now), post))


def open_questions(db: sqlite3.Connection) -> tuple[OpenQuestions, ...]:
    return tuple(map(open_questions_of, db.execute(_OPEN)))
