"""What names become before they are kept or looked up, as labels may be anything.

PostgreSQL's text cannot hold a NUL, and an index takes 2.7 kB at the most. Bodies are JSON, in which a NUL is escaped.
"""

from collections.abc import Iterable
from hashlib import sha256
from zlib import crc32

_LONGEST = 500  # bytes; also what a person can still read
_BUCKETS = 256  # a lock for every fingerprint of a large delivery would be more than a server has room for


def plain(text: str) -> str:
    """The text without a NUL."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def bounded(name: str) -> str:
    """The name itself, plain, or its beginning and its digest where it is very long."""
    name = plain(name)
    raw = name.encode()
    return name if len(raw) <= _LONGEST else f"{name[:80]}…{sha256(raw).hexdigest()}"


def buckets(fingerprints: Iterable[str]) -> list[int]:
    """The locks to take for fingerprints, in the one order in which everybody takes them."""
    return sorted({crc32(fingerprint.encode()) % _BUCKETS for fingerprint in fingerprints})
