"""What a sender told us: one alert of a webhook, and the webhook that carried it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from remediator.model.ids import Fingerprint


class AlertStatus(StrEnum):
    """What an alert says of itself; the status of its group counts for nothing."""

    FIRING = "firing"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert of a webhook. Labels and annotations are somebody else's words: data, never template text."""

    fingerprint: Fingerprint
    status: AlertStatus
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: datetime
    ends_at: datetime | None = None
    generator_url: str = ""
    is_start_known: bool = True
    """False where the sender left it out: `starts_at` is then the time of receipt, and tells nothing about order."""

    @property
    def name(self) -> str:
        return self.labels.get("alertname", "")


_MOST_OF_A_CUT_GROUP = 16_000
"""Characters of a group's receiver, key and labels: an address to ask for it has no room for more."""


@dataclass(frozen=True, slots=True)
class CutGroup:
    """A group of which a delivery left alerts out, and how often these were asked for in vain."""

    receiver: str
    group_key: str
    labels: Mapping[str, str]
    missing: int
    ask_at: datetime
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook request: its alerts, each fingerprint and state once, and what the envelope says of their group."""

    alerts: tuple[Alert, ...]
    received_at: datetime
    receiver: str = ""
    group_key: str = ""
    group_labels: Mapping[str, str] = field(default_factory=dict)
    external_url: str = ""
    truncated: int = 0
    repeated: int = 0  # alerts that stood in the body more than once

    @property
    def cut_group(self) -> CutGroup | None:
        """What is to be fetched, where alerts were left out; None also where nobody could be asked for it."""
        if not self.truncated:
            return None
        words = (self.receiver, self.group_key, *self.group_labels, *self.group_labels.values())
        if sum(map(len, words)) > _MOST_OF_A_CUT_GROUP:
            return None
        return CutGroup(self.receiver, self.group_key, self.group_labels, self.truncated, self.received_at)


_FNV_OFFSET, _FNV_PRIME, _64_BITS = 14695981039346656037, 1099511628211, 2**64 - 1


BY_HAND = "-by-hand"


def by_hand_fingerprint(labels: Mapping[str, str]) -> Fingerprint:
    """That of an alert that a person states. No sender's is the same: each of those ends with 16 hexadecimal digits."""
    return Fingerprint(f"{fingerprint_of(labels)}{BY_HAND}")


def fingerprint_of(labels: Mapping[str, str]) -> Fingerprint:
    """Alertmanager's fingerprint of a label set: FNV-1a, 64 bits, over the sorted names and values.

    Source: `labelSetToFingerprint` in prometheus/common, `model/signature.go`; each part is followed by byte 255.
    """
    parts: list[bytes] = []
    for name in sorted(labels):
        parts += (name.encode(), labels[name].encode())
    parts.append(b"")  # so that the last one is followed by it too
    value = _FNV_OFFSET
    for byte in b"\xff".join(parts):
        value = (value ^ byte) * _FNV_PRIME & _64_BITS
    return Fingerprint(f"{value:016x}")
