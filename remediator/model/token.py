"""A token of the API: whose it is, what it may do, until when. The secret itself is known to its owner alone."""

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

PREFIX = "rmd_"
"""With this every token begins, so that it is known for a secret wherever it turns up."""

_TOKEN = re.compile(rf"{PREFIX}([0-9a-f]{{12}})_([A-Za-z0-9_-]{{43}})")


class Scope(StrEnum):
    """What a token may do. Each takes those before it along."""

    READ = "read"
    DECIDE = "decide"
    ADMIN = "admin"

    def covers(self, needed: "Scope") -> bool:
        """Whether it is as much as what is needed, or more."""
        order = list(Scope)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True, slots=True)
class Token:
    """One token, as it is stored: with the digest of its secret."""

    id: str
    subject: str
    """Whose it is: `people.<name>.token` gives them their name."""
    scope: Scope
    groups: tuple[str, ...]
    """Groups of approvers that its owner is in, besides those of the settings."""
    digest: bytes
    """SHA-256 of the secret, which is random and long."""
    made_at: datetime
    made_by: str
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    revoked_by: str = ""

    def is_good(self, at: datetime) -> bool:
        """Whether it may be used now."""
        return self.revoked_at is None and (self.expires_at is None or at < self.expires_at)


def new_token_text() -> str:
    """A token as its owner is shown it, once: `rmd_<id>_<secret>`."""
    return f"{PREFIX}{secrets.token_hex(6)}_{secrets.token_urlsafe(32)}"


def parts_of(text: str) -> tuple[str, bytes] | None:
    """The id of a token, and the digest of its secret; None for what is none."""
    found = _TOKEN.fullmatch(text)
    return None if found is None else (found[1], hashlib.sha256(found[2].encode()).digest())
