"""How urgent a run is, from its alert's `severity` label. Pure.

Intake asks once for each new run; the store keeps the answer beside the run, so that it holds after a restart and for
other replicas. A label is an attacker's input: whatever it says, the answer is one of three.
"""

from collections.abc import Mapping
from enum import IntEnum


class Priority(IntEnum):
    """Which runs go first where places are few; the smaller number goes first."""

    HIGH = 0
    NORMAL = 1
    LOW = 2


_HIGH = frozenset({"critical", "page", "emergency", "fatal", "disaster", "high", "p0", "p1", "sev0", "sev1"})
_LOW = frozenset({"info", "informational", "information", "notice", "debug", "low", "none", "ok"})
_LONGEST = 32  # no known severity is longer, and a label can be as long as a body


def priority_of(labels: Mapping[str, str]) -> Priority:
    """How urgent an alert with these labels is; one that says nothing that is known is normal."""
    severity = labels.get("severity", "")[:_LONGEST].strip().casefold()
    if severity in _HIGH:
        return Priority.HIGH
    return Priority.LOW if severity in _LOW else Priority.NORMAL
