"""The commands of the chat that were taken."""

import sqlite3
from datetime import datetime

from remediator.storage import codec
from remediator.storage.commands import KEPT

_FORGET = "DELETE FROM taken_command WHERE at < ?"
_TAKE = "INSERT INTO taken_command (key, at) VALUES (?, ?) ON CONFLICT (key) DO NOTHING"


def take(db: sqlite3.Connection, *, key: str, at: datetime) -> bool:
    """Whether nobody has taken it before."""
    db.execute(_FORGET, (codec.to_us(at - KEPT),))
    return bool(db.execute(_TAKE, (key, codec.to_us(at))).rowcount)
