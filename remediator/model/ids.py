"""Names for the names of things, so that a run's id cannot be passed for a rule's."""

import base64
import hashlib
import secrets
from datetime import datetime
from typing import NewType

RunId = NewType("RunId", str)
RuleId = NewType("RuleId", str)  # `pack/rule`
OccurrenceId = NewType("OccurrenceId", str)
Fingerprint = NewType("Fingerprint", str)
StepId = NewType("StepId", str)  # `diagnose.state`, `remediate.0.1`
Digest = NewType("Digest", str)
OwnerId = NewType("OwnerId", str)  # one per process; a process that was declared dead comes back under a new one


_DIGITS = "0123456789abcdefghijklmnopqrstuv"
_PAIRS = [first + second for first in _DIGITS for second in _DIGITS]  # base64.b32hexencode takes twice as long


def _sortable(at: datetime) -> str:
    n = int(at.timestamp()) << 48 | int.from_bytes(secrets.token_bytes(6), "big")
    first = _PAIRS[n >> 70] + _PAIRS[n >> 60 & 1023] + _PAIRS[n >> 50 & 1023] + _PAIRS[n >> 40 & 1023]
    return first + _PAIRS[n >> 30 & 1023] + _PAIRS[n >> 20 & 1023] + _PAIRS[n >> 10 & 1023] + _PAIRS[n & 1023]


def new_run_id(at: datetime) -> RunId:
    """16 characters, sortable by the second it was made in."""
    return RunId(_sortable(at))


def new_occurrence_id(at: datetime) -> OccurrenceId:
    """16 characters, sortable by the second it was made in."""
    return OccurrenceId(_sortable(at))


def ids_of_request(request: str) -> tuple[RunId, OccurrenceId]:
    """The ids of what a request begins, the same each time that it is made, so that it begins nothing twice."""
    raw = hashlib.sha256(request.encode(errors="surrogatepass")).digest()
    first, second = (base64.b32hexencode(part).decode().lower() for part in (raw[:10], raw[10:20]))
    return RunId(first), OccurrenceId(second)


def new_owner_id(at: datetime) -> OwnerId:
    """A new one for each start of a process."""
    return OwnerId(_sortable(at))
