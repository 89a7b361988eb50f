"""The tokens of the API. Of each only the digest of its secret is here."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime

from remediator.errors import Mistaken
from remediator.model.audit import AuditEntry
from remediator.model.token import Token
from remediator.storage import codec
from remediator.storage.sqlite import audit

_PUT = f"""
    INSERT INTO token ({codec.TOKEN}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING
"""  # noqa: S608 - our own
_FIND = f"SELECT {codec.TOKEN} FROM token WHERE id = ?"  # noqa: S608 - our own
_LIST = f"SELECT {codec.TOKEN} FROM token ORDER BY made_at, id"  # noqa: S608 - our own
_REVOKE = "UPDATE token SET revoked_at = ?, revoked_by = ? WHERE id = ? AND revoked_at IS NULL"


def put(db: sqlite3.Connection, *, token: Token, audited: Sequence[AuditEntry]) -> None:
    if not db.execute(_PUT, codec.write_token(token)).rowcount:
        raise Mistaken(f"there is a token {token.id} already")
    audit.enter(db, audited)


def find(db: sqlite3.Connection, *, token_id: str) -> Token | None:
    row = db.execute(_FIND, (token_id,)).fetchone()
    return None if row is None else codec.read_token(row)


def list_all(db: sqlite3.Connection) -> tuple[Token, ...]:
    return tuple(map(codec.read_token, db.execute(_LIST)))


def revoke(db: sqlite3.Connection, *, token_id: str, at: datetime, by: str, audited: Sequence[AuditEntry]) -> bool:
    """Whether there was one that had not been revoked."""
    if not db.execute(_REVOKE, (codec.to_us(at), by, token_id)).rowcount:
        return False
    audit.enter(db, audited)
    return True
