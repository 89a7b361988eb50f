"""One way to say that two JSON-like values are the same: the SHA-256 of their canonical form."""

import hashlib
import json
from typing import Any

from remediator.model.ids import Digest


def digest_of(value: Any) -> Digest:
    """Hex SHA-256 over sorted, compact JSON. Raises TypeError for what JSON cannot say."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return Digest(hashlib.sha256(text.encode()).hexdigest())
