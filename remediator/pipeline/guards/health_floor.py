"""How much of a pool must stay healthy while a step acts on a part of it, counted right before the act.

What a pool is, the step's action says; a step whose action says nothing is not counted, unless it destroys. The
arithmetic is in pure functions (`weigh`, `needed`, `most_of`). Of several steps each is judged by itself, as they are
carried out one after another: the next one by what is healthy now, later ones only by what can never change until then.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import Enum, auto
from fractions import Fraction

from remediator.errors import RemediatorError, TargetGone
from remediator.kit.redaction import shorten
from remediator.kit.wording import counted as counted_of
from remediator.model.budget import Share
from remediator.model.duration import say_duration
from remediator.model.facts import Finished
from remediator.model.outcome import Reason
from remediator.model.plan import Effect, PlannedStep
from remediator.model.pool import Pool
from remediator.pipeline.calls import Calls
from remediator.pipeline.guards.guard import Allow, Ask, Case, Hold, Refuse, Review, together

_COUNT_AGAIN = timedelta(seconds=30)
_ALL = 100
_PAIR = 2
_MOST_SAID = 300


class Weight(Enum):
    """What a step means for its pool."""

    FREE = auto()  # all that it acts on is unhealthy already, or enough stays healthy
    LAST = auto()  # nothing stays healthy, and that is not forbidden: a person has to approve it
    NOT_NOW = auto()  # too few would stay healthy, because others are unhealthy
    NEVER = auto()  # too few would stay healthy even if all were


def needed(floor: Share, size: int) -> int:
    """How many members of a pool of this size have to stay healthy. Of two one may go, unless all have to stay."""
    if floor.percent is None:
        return floor.count or 0
    part = _part(floor.percent, size)
    if size == _PAIR and floor.percent < _ALL:
        return min(math.ceil(part), 1)
    return math.ceil(part)


def weigh(pool: Pool, floor: Share) -> Weight:
    """What a step means for its pool. Pure."""
    need = needed(floor, pool.size)
    if pool.healthy_targets == 0:
        return Weight.FREE
    if pool.size == 1 and need <= 1:
        return Weight.LAST
    if pool.left >= need:
        return Weight.FREE if pool.left else Weight.LAST
    return Weight.NOT_NOW if pool.size - pool.targets >= need else Weight.NEVER


def most_of(share: Share, size: int) -> int:
    """How many of so many members one plan may touch: at least one."""
    return share.count or 1 if share.percent is None else max(1, math.floor(_part(share.percent, size)))


def _part(percent: float, size: int) -> Fraction:
    """Exactly what a person wrote: 14.5 % of 200 are 29, and no rounding makes 30 of them."""
    return Fraction(str(percent)) * size / _ALL


@dataclass(frozen=True, slots=True)
class _Uncounted:
    why: str
    is_gone: bool = False
    """Whether its target is not there any more."""


@dataclass(frozen=True, slots=True)
class _Counted:
    """A step with its pool: None where its action names none."""

    step: PlannedStep
    pool: Pool | _Uncounted | None


class HealthFloor:
    """Enough of each pool stays healthy while a step acts, and no plan touches too large a part of them."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def look(self, case: Case) -> Review:
        counted = [_Counted(step, await self._count(step, case)) for step in _left_to_do(case)]
        said = [_judge(one, case, is_next=not place) for place, one in enumerate(counted)]
        return together([*said, _judge_share(counted, case)])

    async def _count(self, step: PlannedStep, case: Case) -> Pool | _Uncounted | None:
        try:
            return await self._calls.pool(step, case.rule.action(step.id))
        except RemediatorError as error:
            return _Uncounted(shorten(str(error), _MOST_SAID), isinstance(error, TargetGone))


def _left_to_do(case: Case) -> list[PlannedStep]:
    """The changing steps that have not ended, in order. One that could not begin is begun once more."""
    here = (fact for fact in case.run.facts if isinstance(fact, Finished) and fact.round == case.round)
    ended = {fact.step for fact in here if fact.begun}
    return [step for step in case.plan.steps if step.effect is not Effect.READ and step.id not in ended]


def _judge(counted: _Counted, case: Case, *, is_next: bool) -> Review:
    step, pool, floor = counted.step, counted.pool, case.limits.min_healthy
    if pool is None:
        return _judge_uncountable(step, floor)
    if isinstance(pool, _Uncounted) or not pool.targets:
        why = pool.why if isinstance(pool, _Uncounted) else f"its target is not in {pool.name}"
        hold = _not_now(Reason.POOL_UNCERTAIN, f"{step.sentence}: {why}", case)
        gone = isinstance(pool, _Uncounted) and pool.is_gone
        return replace(hold, is_outdated=gone) if is_next else Allow()
    match weigh(pool, floor):
        case Weight.NEVER:
            return Refuse(Reason.POOL_TOO_SMALL, _say_short(step, pool, floor))
        case Weight.NOT_NOW if is_next:
            return _not_now(Reason.POOL_TOO_SMALL, _say_short(step, pool, floor), case)
        case Weight.LAST:
            return Ask(Reason.LAST_OF_POOL, _say_last(step, pool), subject=pool.name)
    return Allow()


def _judge_uncountable(step: PlannedStep, floor: Share) -> Review:
    """A step whose action knows of no pool: what it destroys has to be given up in so many words."""
    if step.effect is not Effect.DESTROY:
        return Allow()
    what = f"{step.sentence}: it destroys, and {step.action} cannot count what stays healthy"
    if needed(floor, 1):
        return Refuse(Reason.POOL_UNCERTAIN, f"{what}; where nothing has to, say `limits: {{min_healthy: 0}}`")
    return Ask(Reason.LAST_OF_POOL, what, subject=step.sentence)


def _judge_share(counted: Sequence[_Counted], case: Case) -> Review:
    """How large a part of all that its steps' pools hold a plan may touch; one target is always allowed."""
    share, names = case.limits.max_targets, case.targets
    if share.percent is None or len(names) <= 1 or case.begun:
        return Allow()
    members = set()
    for one in counted:
        if isinstance(one.pool, _Uncounted):
            return _not_now(Reason.POOL_UNCERTAIN, f"{one.step.sentence}: {one.pool.why}", case)
        members |= {member.name for member in one.pool.members} if one.pool else set()
    most = most_of(share, len(members))
    if len(names) <= most:
        return Allow()
    what = f"{counted_of(len(names), 'target')}, at most {most} ({share} of {len(members)} in their pools)"
    return Refuse(Reason.TOO_MANY_TARGETS, f"{what}: {shorten(', '.join(names), _MOST_SAID)}")


def _not_now(reason: Reason, what: str, case: Case) -> Hold:
    return Hold(reason, case.at + _COUNT_AGAIN, f"{what}; it is counted again every {say_duration(_COUNT_AGAIN)}")


def _say_short(step: PlannedStep, pool: Pool, floor: Share) -> str:
    now = f"of {pool.name} {pool.healthy} of {pool.size} are healthy now, and {pool.left} would stay so"
    return f"{step.sentence}: {now}; at least {needed(floor, pool.size)} have to (min_healthy {floor})"


def _say_last(step: PlannedStep, pool: Pool) -> str:
    only = "it is the only one of" if pool.size == 1 else f"it takes all {pool.healthy} that are healthy of"
    return f"{step.sentence}: {only} {pool.name}, which is down meanwhile, for up to {say_duration(step.timeout)}"
