"""What a guard is, and the one engine that asks them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from remediator.model.outcome import Reason
from remediator.model.plan import Plan
from remediator.storage.store import Reservation


@dataclass(frozen=True, slots=True)
class Allow:
    """This guard has nothing against the plan."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Not now; to be asked again at `until`."""

    reason: Reason
    until: datetime
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Never."""

    reason: Reason
    detail: str = ""


Review = Allow | Hold | Refuse


class Guard(Protocol):
    """One reason to wait or stop. It looks at the plan and never changes it."""

    async def review(self, plan: Plan, *, at: datetime) -> Review:
        """Whether the plan may be begun now."""
        ...

    def reserve(self, plan: Plan) -> tuple[Reservation, ...]:
        """What the plan takes; the store reserves it in the transaction that records the start, or refuses."""
        ...


class Guards:
    """All guards. A refusal of one outweighs a hold of another; the longest hold counts."""

    def __init__(self, guards: Sequence[Guard]) -> None:
        self._guards = tuple(guards)

    async def review(self, plan: Plan, *, at: datetime) -> Review:
        """What the guards say together."""
        said = [await guard.review(plan, at=at) for guard in self._guards]
        for review in said:
            if isinstance(review, Refuse):
                return review
        holds = [review for review in said if isinstance(review, Hold)]
        return max(holds, key=lambda hold: hold.until) if holds else Allow()

    def reserve(self, plan: Plan) -> tuple[Reservation, ...]:
        """Everything that the plan takes."""
        return tuple(reservation for guard in self._guards for reservation in guard.reserve(plan))
