"""The tokens of the API. Of each only the digest of its secret is here."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from remediator.errors import Mistaken
from remediator.model.audit import AuditEntry
from remediator.model.token import Token
from remediator.storage import codec
from remediator.storage.postgres import audit
from remediator.storage.postgres.keys import plain

if TYPE_CHECKING:
    from remediator.storage.postgres.links import Db

_PUT = f"""
    INSERT INTO token ({codec.TOKEN}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
    ON CONFLICT (id) DO NOTHING RETURNING id
"""  # noqa: S608 - our own
_FIND = f"SELECT {codec.TOKEN} FROM token WHERE id = $1"  # noqa: S608 - our own
_LIST = f"SELECT {codec.TOKEN} FROM token ORDER BY made_at, id"  # noqa: S608 - our own
_REVOKE = "UPDATE token SET revoked_at = $2, revoked_by = $3 WHERE id = $1 AND revoked_at IS NULL RETURNING id"


async def put(db: "Db", *, token: Token, audited: Sequence[AuditEntry]) -> None:
    values = [plain(value) if isinstance(value, str) else value for value in codec.write_token(token)]
    if await db.fetchval(_PUT, *values) is None:
        raise Mistaken(f"there is a token {token.id} already")
    await audit.enter(db, audited)


async def find(db: "Db", *, token_id: str) -> Token | None:
    row = await db.fetchrow(_FIND, plain(token_id))
    return None if row is None else codec.read_token(row)


async def list_all(db: "Db") -> tuple[Token, ...]:
    return tuple(map(codec.read_token, await db.fetch(_LIST)))


async def revoke(db: "Db", *, token_id: str, at: datetime, by: str, audited: Sequence[AuditEntry]) -> bool:
    """Whether there was one that had not been revoked."""
    if await db.fetchval(_REVOKE, plain(token_id), codec.to_us(at), plain(by)) is None:
        return False
    await audit.enter(db, audited)
    return True
