"""The audit journal's rows. Entered with what they tell of; sealed afterwards, which gives them their places.

Rows are committed in another order than that of their numbers, so the places are given by whoever seals, one process at
a time: another one that comes meanwhile does nothing, and waits for nobody. The newest entry that was dropped as it was
old stays as a row without a body: its seal is where the chain goes on.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from remediator.model.audit import AuditEntry, Part, Sealed
from remediator.model.chain import NO_HEAD, Head
from remediator.model.ids import RunId
from remediator.storage import codec
from remediator.storage.dropping import last_to_drop
from remediator.storage.postgres.keys import plain
from remediator.storage.rows import head_of

if TYPE_CHECKING:
    from remediator.storage.postgres.links import Db

_ENTER = """
    INSERT INTO audit (run, at, body) SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[])
"""
_PAGES = {
    Part.ALL: """
        (SELECT * FROM audit WHERE place > $1 AND body <> '' ORDER BY place LIMIT $2)
        UNION ALL (SELECT * FROM audit WHERE place IS NULL ORDER BY seq LIMIT $2)
        ORDER BY place NULLS LAST, seq LIMIT $2
    """,
    Part.SEALED: "SELECT * FROM audit WHERE place > $1 AND body <> '' ORDER BY place LIMIT $2",
    Part.UNSEALED: "SELECT * FROM audit WHERE place IS NULL AND seq > $1 ORDER BY seq LIMIT $2",
}
_OF_RUN = """
    SELECT * FROM audit WHERE run = $3 AND run <> '' AND (place > $1 OR place IS NULL)
    ORDER BY place NULLS LAST, seq LIMIT $2
"""
_HEAD = "SELECT place, seal FROM audit WHERE place IS NOT NULL ORDER BY place DESC LIMIT 1"
_OLDEST = "SELECT place, seal, at, body FROM audit WHERE place IS NOT NULL ORDER BY place LIMIT $1"
_UNSEALED = "SELECT * FROM audit WHERE place IS NULL ORDER BY seq LIMIT $1"
_SEAL = """
    UPDATE audit SET place = new.place, seal = new.seal, key = $4
    FROM unnest($1::bigint[], $2::bigint[], $3::text[]) AS new (seq, place, seal) WHERE audit.seq = new.seq
"""
# It waits for nobody: the rows of runs that the transaction has locked may be what another one waits for.
_MINE = "SELECT pg_try_advisory_xact_lock(x'72656d7365616c73'::bigint)"  # any number, as long as it stays the same


async def enter(db: "Db", entries: Sequence[AuditEntry]) -> None:
    if entries:
        rows = [(plain(entry.run), codec.to_us(entry.at), codec.write_audit(entry)) for entry in entries]
        await db.execute(_ENTER, *map(list, zip(*rows, strict=True)))


async def page(db: "Db", *, after: int, limit: int, run: RunId | None, part: Part) -> tuple[Sealed, ...]:
    if run is None:
        rows = await db.fetch(_PAGES[part], after, limit)
    else:
        rows = await db.fetch(_OF_RUN, after, limit, plain(run))
    return tuple(map(codec.read_sealed, rows))


async def head(db: "Db") -> Head:
    return head_of(await db.fetchrow(_HEAD))


async def begin(db: "Db") -> Head:
    row = await db.fetchrow(_OLDEST, 1)
    return head_of(row) if row is not None and not row["body"] else NO_HEAD


async def count_unsealed(db: "Db") -> int:
    return int(await db.fetchval("SELECT count(*) FROM audit WHERE place IS NULL"))


async def seal(db: "Db", *, sealing: Callable[[str, int, AuditEntry], str], key: str, limit: int) -> int:
    if not await db.fetchval(_MINE):
        return 0
    newest, before = await head(db)
    sealed: list[tuple[int, int, str]] = []
    for place, row in enumerate(await db.fetch(_UNSEALED, limit), newest + 1):
        before = sealing(before, place, codec.read_sealed(row).entry)
        sealed.append((row["seq"], place, before))
    if sealed:
        await db.execute(_SEAL, *map(list, zip(*sealed, strict=True)), key)
    return len(sealed)


async def drop(db: "Db", *, before: datetime, limit: int, told: Callable[[int, str], AuditEntry]) -> int:
    if not await db.fetchval(_MINE):
        return 0
    newest, _ = await head(db)
    oldest = await db.fetch(_OLDEST, limit + 1)
    last = last_to_drop(oldest, before, newest)
    if last is None:
        return 0
    gone = sum(bool(row["body"]) for row in oldest if row["place"] <= last["place"])
    await db.execute("DELETE FROM audit WHERE place < $1", last["place"])
    await db.execute("UPDATE audit SET body = '', run = '' WHERE place = $1", last["place"])
    await enter(db, [told(last["place"], last["seal"])])
    return gone
