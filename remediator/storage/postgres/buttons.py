"""The buttons that stand in the chat, by the digests of their tokens. The tokens themselves are never here."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from remediator.storage import codec
from remediator.storage.buttons import Button, OpenQuestions, Pressed
from remediator.storage.rows import open_questions_of, pressed_of

if TYPE_CHECKING:
    from remediator.storage.postgres.links import Db

# That of a run which was forgotten meanwhile is of no use to anybody.
_KEEP = """
    INSERT INTO button (digest, run, round, revision, plan, approves, post, made_at)
    SELECT new.digest, run.id, new.round, new.revision, new.plan, new.approves, new.post, new.made_at
    FROM unnest($1::bytea[], $2::text[], $3::int[], $4::int[], $5::text[], $6::boolean[], $7::bigint[], $8::bigint[])
        AS new (digest, run, round, revision, plan, approves, post, made_at)
    JOIN run ON run.id = new.run
"""
_FIND = """
    SELECT button.*, post.ref FROM button LEFT JOIN post ON post.seq = button.post AND post.run = button.run
    WHERE digest = $1
"""
# A quotation mark within a text is escaped in JSON: the words are found where there is a choice, and nowhere else.
_OPEN = """
    SELECT run.rule, post.channel, count(*) AS n FROM post JOIN run ON run.id = post.run
    WHERE starts_with(key, 'asked.') AND strpos(message, '"choice":{"run":') > 0
    GROUP BY run.rule, post.channel ORDER BY run.rule, post.channel
"""
_SEND_AGAIN = """
    UPDATE post SET version = version + 1, queued_at = $1
    WHERE seq = $2 AND sent_version >= version AND ref IS NOT NULL AND strpos(message, '"choice":{"run":') = 0
"""


async def keep(db: "Db", *, buttons: Sequence[Button]) -> None:
    rows = [
        (one.digest, one.run, one.round, one.revision, one.plan, one.approves, one.post, codec.to_us(one.made_at))
        for one in buttons
    ]
    if rows:
        await db.execute(_KEEP, *map(list, zip(*rows, strict=True)))


async def find(db: "Db", *, digest: bytes) -> Pressed | None:
    row = await db.fetchrow(_FIND, digest)
    return None if row is None else pressed_of(row)


async def send_again(db: "Db", *, post: int, now: datetime) -> None:
    await db.execute(_SEND_AGAIN, codec.to_us(now), post)


async def open_questions(db: "Db") -> tuple[OpenQuestions, ...]:
    return tuple(map(open_questions_of, await db.fetch(_OPEN)))
