"""How far the audit journal is shortened; the same for every engine. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar

from remediator.storage import codec

Row = TypeVar("Row", bound=Any)


def last_to_drop(oldest: Sequence[Row], before: datetime, newest: int) -> Row | None:
    """The last of the oldest sealed rows, in the order of their places, that is old and not the newest of all.

    None where there is nothing to drop but a row whose body was dropped before.
    """
    until, found = codec.to_us(before), None
    for row in oldest:
        if row["at"] >= until or row["place"] >= newest:
            break
        found = row if row["body"] else found
    return found
