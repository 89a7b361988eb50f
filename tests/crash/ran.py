"""What the service says of a run, as the checker looks at it. Read from what the driver has written down at the end."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tests.crash.journal import Record

STEPS = {"post": 1, "two": 2, "gated": 1, "asked": 1, "put": 1}
"""How many effects a run of each kind has."""
NEAR = 0.3
"""Seconds by which what was done to a service may be seen late: a run so near to it was not left in peace."""


@dataclass(frozen=True)
class Trouble:
    """When a service was killed, or from when to when it was frozen or cut off."""

    begin: float
    end: float


@dataclass(frozen=True)
class Run:
    """A run as the API has shown it at the end."""

    id: str
    alert: str
    kind: str
    outcome: str | None
    began: float
    ended: float
    timeline: Sequence[Record]
    signals: Sequence[Record]

    @classmethod
    def of(cls, record: Record) -> "Run":
        return cls(
            id=record["id"],
            alert=record["alert"]["fingerprint"],
            kind=record["rule"].partition("/")[2],
            outcome=record["outcome"],
            began=seconds(record["created_at"]),
            ended=seconds(record["ended_at"]) if record["ended_at"] else float("inf"),
            timeline=record["timeline"],
            signals=record["signals"],
        )

    def facts(self, kind: str, step: int) -> list[Record]:
        wanted = f"remediate.0.{step - 1}"
        return [fact for fact in self.timeline if fact["kind"] == kind and fact["step"] == wanted]

    def statuses(self, step: int) -> set[str]:
        """How the calls of a step ended, as the service says."""
        return {fact["status"] for kind in ("finished", "late_finished") for fact in self.facts(kind, step)}

    @property
    def is_unknown(self) -> bool:
        return any(fact["kind"] == "finished" and fact["status"] == "unknown" for fact in self.timeline)

    @property
    def decisions(self) -> list[Record]:
        """People's words, in the order in which they were taken."""
        return [signal for signal in self.signals if signal["kind"] == "decision"]

    @property
    def is_denied(self) -> bool:
        return any(not decision["approved"] for decision in self.decisions)

    def was_under_way(self, trouble: Trouble) -> bool:
        return self.began - NEAR <= trouble.end and trouble.begin <= self.ended + NEAR


def seconds(said: str) -> float:
    """A time as the API says it, in seconds since 1970."""
    return datetime.fromisoformat(said).timestamp()
