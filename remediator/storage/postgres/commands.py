"""The commands of the chat that were taken."""

from datetime import datetime
from typing import TYPE_CHECKING

from remediator.storage import codec
from remediator.storage.commands import KEPT
from remediator.storage.postgres.keys import plain

if TYPE_CHECKING:
    from remediator.storage.postgres.links import Db

_FORGET = "DELETE FROM taken_command WHERE at < $1"
_TAKE = "INSERT INTO taken_command (key, at) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING RETURNING key"


async def take(db: "Db", *, key: str, at: datetime) -> bool:
    """Whether nobody has taken it before."""
    await db.execute(_FORGET, codec.to_us(at - KEPT))
    return await db.fetchval(_TAKE, plain(key), codec.to_us(at)) is not None
