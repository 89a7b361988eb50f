"""What a guard is, and the one engine that asks them.

A guard says what it has to know, and judges when it knows it: a pure function of the case and of the answers. It is
asked twice. `review` tells people early what stands in the way. `reserve` has the store ask it again, in the
transaction that records the start, so that no two processes can use up the same budget. What only the world can tell
is a `Probe`'s business, right before the start.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Protocol

from remediator.model.history import Known, Question, Standing
from remediator.model.limits import Limits
from remediator.model.outcome import Concern, Reason
from remediator.model.plan import Effect, Mode, Plan
from remediator.model.run import Run
from remediator.model.stop import scopes_of
from remediator.rules.book import Rule


@dataclass(frozen=True)
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
    told: frozenset[Concern] = frozenset()
    """What people were told of why guards want one of them to decide on it, and about what."""

    @cached_property
    def targets(self) -> tuple[str, ...]:
        """The stable names of what it would change, sorted."""
        return tuple(sorted({target.name for target in self.plan.targets}))

    @cached_property
    def actions(self) -> tuple[str, ...]:
        """The actions of the plan that change something, each once, sorted."""
        return tuple(sorted({step.action for step in self.plan.steps if step.effect is not Effect.READ}))

    @cached_property
    def standing(self) -> Standing:
        """The question for every stop in whose scope the plan is; all guards ask the same one."""
        return Standing(scopes_of(self.run.rule, targets=self.targets, actions=self.actions))

    def has_approved(self, ask: "Ask") -> bool:
        """Whether a person has approved the plan, and was told of all that a guard asks for, unless it has begun."""
        return self.approved and (self.begun or self.told.issuperset(ask.concerns))


@dataclass(frozen=True, slots=True)
class Allow:
    """This guard has nothing against the plan."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Not by itself: a person has to approve it."""

    reason: Reason
    detail: str = ""
    also: tuple[Concern, ...] = ()
    """All else that `detail` tells of."""
    subject: str = ""
    """What it is about, by a name that stays as it is while figures change: an approval covers it for nothing else."""

    @property
    def concerns(self) -> tuple[Concern, ...]:
        """All that a person decides on."""
        return (Concern(self.reason, self.subject), *self.also)

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Why, each once."""
        return tuple(dict.fromkeys(concern.reason for concern in self.concerns))


@dataclass(frozen=True, slots=True)
class Hold:
    """Not now; to be asked again at `until`. `detail` names the figure, the limit, and when it would allow."""

    reason: Reason
    until: datetime
    detail: str = ""
    is_outdated: bool = False
    """Whether the plan names what is not there any more: one that has not begun is made anew, as waiting is in vain."""


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
    """What several guards say as one: a refusal outweighs a hold, the longest hold counts, then all wishes to ask.

    A pause counts before longer holds: it is a person's word, and what was asked for is void with it.
    """
    if (refusal := next((review for review in said if isinstance(review, Refuse)), None)) is not None:
        return refusal
    if holds := [review for review in said if isinstance(review, Hold)]:
        return max(holds, key=lambda hold: (hold.reason is Reason.PAUSED, hold.until))
    asks = list(dict.fromkeys(review for review in said if isinstance(review, Ask)))
    return _one_question(asks) if asks else Allow()


def _one_question(asks: Sequence[Ask]) -> Ask:
    """All that a person has to know who decides."""
    first, *rest = asks
    if not rest:
        return first
    concerns = dict.fromkeys(concern for ask in asks for concern in ask.concerns)
    others = (f"{ask.reason}: {ask.detail}" if ask.detail else str(ask.reason) for ask in rest)
    detail = "; ".join(text for text in (first.detail, *others) if text)
    return Ask(first.reason, detail, tuple(concerns)[1:], first.subject)
