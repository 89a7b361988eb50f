"""What stands in the way of changes until it is lifted, or its time is over. Stored, and the same for every process."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from remediator.model.ids import RuleId

EVERYTHING = "everything"


class StopKind(StrEnum):
    """Why something stands in the way."""

    PAUSE = "pause"  # a person has said so
    QUARANTINE = "quarantine"  # what was tried on a target did not help, again and again
    FLAPPING = "flapping"  # what was healed there comes back again and again
    DEMOTION = "demotion"  # a rule may go no further by itself than `gated`
    BREAKER = "breaker"  # a rule, or an action, has failed too often
    STORM = "storm"  # too much at once


LIFTED_WITH = {
    StopKind.QUARANTINE: (StopKind.QUARANTINE, StopKind.FLAPPING),
    StopKind.FLAPPING: (StopKind.QUARANTINE, StopKind.FLAPPING),
}
"""What is lifted by one word: a person who has looked at a target lets it be changed again, whatever kept it back."""


@dataclass(frozen=True, slots=True)
class Stop:
    """One reason to change nothing within a scope. There is one at the most of each kind and scope."""

    kind: StopKind
    scope: str
    """`everything`, `pack:web`, `rule:web/down`, `action:docker.restart`, or `target:` and a target's stable name."""
    reason: str
    by: str
    """Who has said so; `remediator` for itself."""
    at: datetime
    until: datetime | None = None
    """When it ends by itself; None where somebody has to lift it."""

    def is_over(self, at: datetime) -> bool:
        """Whether its time has passed."""
        return self.until is not None and self.until <= at


@dataclass(frozen=True, slots=True)
class Listed:
    """A stop as people are shown it."""

    stop: Stop
    settled: str = ""
    """What became known since of the runs that are its reason."""
    trial_at: datetime | None = None
    """Of a breaker: from when on one change may try, which closes it if it goes well."""


@dataclass(frozen=True, slots=True)
class Bar:
    """What stands in the way, too, but is no stop: no command lifts it."""

    kind: str
    """`pause file`, `freeze`, `window`."""
    scope: str
    """As a stop's, or a pattern of targets."""
    reason: str
    """What it is, and how it ends."""
    at: datetime | None = None
    until: datetime | None = None


def scopes_of(rule: RuleId, *, targets: tuple[str, ...] = (), actions: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Every scope that a plan of a rule is in."""
    pack, _, _ = rule.partition("/")
    named = (f"pack:{pack}", f"rule:{rule}", *(f"target:{t}" for t in targets), *(f"action:{a}" for a in actions))
    return (EVERYTHING, *named)
