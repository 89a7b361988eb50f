"""The audit journal's rows. Entered with what they tell of; sealed afterwards."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from remediator.model.audit import AuditEntry
from remediator.storage import codec
from remediator.storage.postgres.keys import plain

if TYPE_CHECKING:
    from remediator.storage.postgres.links import Db

_ENTER = """
    INSERT INTO audit (run, at, body) SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[])
"""


async def enter(db: "Db", entries: Sequence[AuditEntry]) -> None:
    if entries:
        rows = [(plain(entry.run), codec.to_us(entry.at), codec.write_audit(entry)) for entry in entries]
        await db.execute(_ENTER, *map(list, zip(*rows, strict=True)))
