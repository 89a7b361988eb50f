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
    undoes: bool = False
    """Whether the plan's step is to be put back: then only who is `AlsoOfUndoing` is asked."""
    told: frozenset[Reason] = frozenset()
    """What people were told of why guards want one of them to decide on it."""

    @property
    def targets(self) -> tuple[str, ...]:
        """The stable names of what it would change, sorted."""
        return tuple(sorted({target.name for target in self.plan.targets}))

    def has_approved(self, ask: "Ask") -> bool:
        """Whether a person has approved the plan, and was told of all that a guard asks for, unless it has begun."""
        return self.approved and (self.begun or self.told.issuperset(ask.reasons))


@dataclass(frozen=True, slots=True)
class Allow:
    """This guard has nothing against the plan."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Not by itself: a person has to approve it."""

    reason: Reason
    detail: str = ""
    also: tuple[Reason, ...] = ()
    """The other reasons that `detail` tells of."""

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """All of them."""
        return (self.reason, *self.also)


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


class AlsoOfUndoing:
    """A guard, or a probe, that a change must pass as well when it is put back.

    All others are passed over then: they keep new changes from being made, and what was to be for a while must not stay
    because a budget is used up or the alert is silenced.
    """


def together(said: Sequence[Review]) -> Review:
    """What several guards say as one: a refusal outweighs a hold, the longest hold counts, then all wishes to ask."""
    if (refusal := next((review for review in said if isinstance(review, Refuse)), None)) is not None:
        return refusal
    if holds := [review for review in said if isinstance(review, Hold)]:
        return max(holds, key=lambda hold: hold.until)
    asks = list(dict.fromkeys(review for review in said if isinstance(review, Ask)))
    return _one_question(asks) if asks else Allow()


def _one_question(asks: Sequence[Ask]) -> Ask:
    """All that a person has to know who decides."""
    first, *rest = asks
    if not rest:
        return first
    reasons = dict.fromkeys(reason for ask in asks for reason in ask.reasons)
    others = (f"{ask.reason}: {ask.detail}" if ask.detail else str(ask.reason) for ask in rest)
    detail = "; ".join(text for text in (first.detail, *others) if text)
    return Ask(first.reason, detail, tuple(reason for reason in reasons if reason is not first.reason))
