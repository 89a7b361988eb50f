"""What a guard is, and the one engine that asks them.

A guard says what it has to know, and judges when it knows it: a pure function of the case and of the answers. It is
asked twice. `review` tells people early what stands in the way. `reserve` has the store ask it again, in the
transaction that records the start, so that no two processes can use up the same budget. What only the world can tell
is a `Probe`'s business, right before the start.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from remediator.model.history import Known, Question
from remediator.model.limits import Limits
from remediator.model.outcome import Reason
from remediator.model.plan import Mode, Plan
from remediator.model.run import Run
from remediator.rules.book import Rule


@dataclass(frozen=True, slots=True)
class Case:
    """What guards judge: a plan of a run, at a time."""

    run: Run
    rule: Rule
    plan: Plan
    at: datetime
    mode: Mode
    """The rule's, under the ceiling of the settings."""
    limits: Limits
    round: int = 1
    approved: bool = False
    """Whether a person has approved this very plan."""
    begun: bool = False
    """Whether a step of this plan was started before: what counts whole plans was asked then."""

    @property
    def targets(self) -> tuple[str, ...]:
        """The stable names of what it would change, sorted."""
        return tuple(sorted({target.name for target in self.plan.targets}))


@dataclass(frozen=True, slots=True)
class Allow:
    """This guard has nothing against the plan."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Not by itself: a person has to approve it."""

    reason: Reason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Hold:
    """Not now; to be asked again at `until`. `detail` names the figure, the limit, and when it would allow."""

    reason: Reason
    until: datetime
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Never."""

    reason: Reason
    detail: str = ""


Review = Allow | Ask | Hold | Refuse


class Guard(Protocol):
    """One reason to wait or stop. It looks at the case and never changes anything."""

    def asks(self, case: Case) -> tuple[Question, ...]:
        """What it has to know."""
        ...

    def judge(self, case: Case, known: Known) -> Review:
        """Whether the plan may be begun, or go on, now. Pure."""
        ...


class Probe(Protocol):
    """A guard that has to look at the world: asked before people are, and again right before each changing step."""

    async def look(self, case: Case) -> Review:
        """Whether the plan may be begun, or go on, now. What cannot be found out holds."""
        ...


def together(said: Sequence[Review]) -> Review:
    """What several guards say as one: a refusal outweighs a hold, the longest hold counts, then a wish to ask."""
    for kind in (Refuse, Hold, Ask):
        found = [review for review in said if isinstance(review, kind)]
        if found and kind is Hold:
            return max((review for review in found if isinstance(review, Hold)), key=lambda hold: hold.until)
        if found:
            return found[0]
    return Allow()
