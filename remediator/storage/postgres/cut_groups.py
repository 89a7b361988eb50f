"""Groups of which deliveries left alerts out, until these are fetched."""

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from remediator.model.alert import CutGroup
from remediator.storage import codec
from remediator.storage.intake import CUT_GROUPS
from remediator.storage.postgres.keys import bounded
from remediator.storage.rows import cut_group_of

if TYPE_CHECKING:
    from remediator.storage.postgres.links import Db

_NOTE = """
    INSERT INTO cut_group (receiver, group_key, labels, missing, ask_at)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::bigint[]) ORDER BY 1, 2
    ON CONFLICT (receiver, group_key) DO UPDATE
        SET labels = excluded.labels, missing = excluded.missing, ask_at = excluded.ask_at, tries = 0
"""
_MAKE_ROOM = """
    DELETE FROM cut_group WHERE (receiver, group_key) IN (
        SELECT receiver, group_key FROM cut_group ORDER BY tries, ask_at DESC OFFSET $1 FOR UPDATE SKIP LOCKED
    )
"""
_DUE = "SELECT * FROM cut_group WHERE ask_at <= $1 ORDER BY ask_at LIMIT $2"
_SAME = "receiver = $1 AND group_key = $2 AND ask_at = $3 AND tries = $4"


async def note(db: "Db", groups: Iterable[CutGroup]) -> None:
    """Keep the newest word on each group."""
    rows = {_name(group): (*_name(group), codec.write_mapping(group.labels), *_numbers(group)) for group in groups}
    if rows:
        await db.execute(_NOTE, *map(list, zip(*rows.values(), strict=True)))
        await db.execute(_MAKE_ROOM, CUT_GROUPS)


async def due(db: "Db", *, at: datetime, limit: int) -> tuple[CutGroup, ...]:
    return tuple(map(cut_group_of, await db.fetch(_DUE, codec.to_us(at), limit)))


async def put_off(db: "Db", *, group: CutGroup, ask_at: datetime) -> None:
    statement = f"UPDATE cut_group SET ask_at = $5, tries = tries + 1 WHERE {_SAME}"  # noqa: S608 - a constant of ours
    await db.execute(statement, *_key(group), codec.to_us(ask_at))


async def drop(db: "Db", *, group: CutGroup) -> None:
    await db.execute(f"DELETE FROM cut_group WHERE {_SAME}", *_key(group))  # noqa: S608 - a constant of ours


def _name(group: CutGroup) -> tuple[str, str]:
    return bounded(group.receiver), bounded(group.group_key)


def _numbers(group: CutGroup) -> tuple[int, int]:
    return group.missing, codec.to_us(group.ask_at)


def _key(group: CutGroup) -> tuple[str, str, int, int]:
    return *_name(group), codec.to_us(group.ask_at), group.tries
