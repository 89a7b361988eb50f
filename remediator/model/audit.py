"""The audit journal: what was decided or done, by whom, by which way, on what, and what came of it.

Entries are written in the transaction of what they tell of: without its entry nothing is decided or done. They are
sealed afterwards, each with the seal of the one before it (`seal_of`), so that a changed or missing one shows.
"""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from remediator.model.digest import digest_of


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One line of the journal. No text in it holds a secret: who makes it has taken them out."""

    at: datetime
    what: str
    """A word of few: `asked`, `approved`, `denied`, `refused`, `started`, `finished`, `paused`, `token made`, …"""
    who: str
    """The person's name (`Person.name`); `remediator` for ourselves."""
    via: str
    """The way (`Person.via`)."""
    run: str = ""
    subject: str = ""
    """What it is about: a step, a scope, a token, a rule."""
    digest: str = ""
    """Of the plan, where one was decided on or begun."""
    origin: str = ""
    """From where it came: an address, a Slack channel."""
    outcome: str = ""
    detail: str = ""
    shown: str = ""
    """What the person is called, or calls themselves, where that is not their name: with the admin token any name."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """An entry with its place in the chain; None as long as it has none."""

    seq: int
    entry: AuditEntry
    place: int | None
    seal: str | None
    """Hexadecimal."""
    key: str | None
    """The id of the key that it was sealed with (`key_id`)."""


class Part(StrEnum):
    """Which entries are meant."""

    ALL = "all"
    """The sealed ones, and then the others."""
    SEALED = "sealed"
    UNSEALED = "unsealed"


def key_id(key: bytes) -> str:
    """A name for a key that tells nothing of it."""
    return hashlib.sha256(b"remediator audit key id\0" + key).hexdigest()[:12]


def seal_of(key: bytes, before: str, place: int, entry: AuditEntry) -> str:
    """The seal of an entry: an HMAC-SHA256 over the seal of the one before it, its place and what it says."""
    said = {name: getattr(entry, name) for name in AuditEntry.__slots__ if name != "at"}
    said["at"] = entry.at.isoformat()
    text = f"{before}\n{place}\n{digest_of(said)}"
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def voucher_of(key: bytes, place: int, seal: str) -> str:
    """What proves that it was we who dropped what is old, up to a place: whoever only writes to the store cannot."""
    return hmac.new(key, f"dropped\n{place}\n{seal}".encode(), hashlib.sha256).hexdigest()
