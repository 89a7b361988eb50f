"""The commands of the chat that were taken, so that none is taken twice.

Asked by who answers commands.
What holds of every method is said in `storage/store.py`.
"""

from datetime import datetime, timedelta
from typing import Protocol

KEPT = timedelta(hours=1)
"""For how long a command is remembered; what was signed longer ago than some minutes is not let in anyway."""


class CommandStore(Protocol):
    """Remembers commands."""

    async def take_command(self, key: str, at: datetime) -> bool:
        """Whether nobody has taken the command of this key before, by any process; from now on somebody has."""
        ...
