"""The tokens of the API as a store keeps them.

Asked by the commands that make and revoke them, and for every call of the API.
What holds of every method is said in `storage/store.py`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from remediator.model.audit import AuditEntry
from remediator.model.token import Token


class TokenStore(Protocol):
    """Keeps tokens."""

    async def put_token(self, token: Token, audit: Sequence[AuditEntry] = ()) -> None:
        """Keep a token. Raises Mistaken where there is one of its id."""
        ...

    async def find_token(self, token_id: str) -> Token | None:
        """A token, whether it is good or not."""
        ...

    async def list_tokens(self) -> tuple[Token, ...]:
        """All of them, the oldest first."""
        ...

    async def revoke_token(self, token_id: str, at: datetime, by: str, audit: Sequence[AuditEntry] = ()) -> bool:
        """Let a token not be used any more; whether there was one that had not been revoked."""
        ...
