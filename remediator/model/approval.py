"""What is asked for at a gate, and where it stands with the people who have decided. Pure.

An approval is bound to one question (`Asked`): to the digest of the plan, its round and its revision. It is used once:
a plan that is asked for anew is another question.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from remediator.model.calendar import Interval, borders
from remediator.model.facts import Asked, Reminded
from remediator.model.person import Via
from remediator.model.run import Decision

_IN_SIGHT = timedelta(days=400)


class OnTimeout(StrEnum):
    """What happens when nobody has decided in time."""

    DENY = "deny"
    ESCALATE = "escalate"
    AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Policy:
    """Who decides on a plan, how many of them, until when, and what happens then."""

    approvers: tuple[str, ...] = ()
    """Groups; without any, everybody who may decide at all."""
    quorum: int = 1
    timeout: timedelta = timedelta(minutes=15)
    on_timeout: OnTimeout = OnTimeout.DENY
    remind: tuple[timedelta, ...] = ()
    """How long before the end people are reminded."""
    hours: tuple[str, ...] = ()
    """Names of time intervals; outside of them the time to decide does not run."""


def in_time(asked: Asked, decisions: Iterable[Decision]) -> tuple[Decision, ...]:
    """The decisions that count: given in time, and of one person only the first approval.

    Who has approved can still deny. What the rule decides when nobody has comes when the time is over.
    """
    counted: list[Decision] = []
    approved: set[str] = set()
    for decision in decisions:
        is_late = decision.at > asked.until and decision.via != Via.SERVICE
        if is_late or (decision.approved and decision.who in approved):
            continue
        counted.append(decision)
        if decision.approved:
            approved.add(decision.who)
    return tuple(counted)


def settling(asked: Asked, decisions: Iterable[Decision]) -> Decision | None:
    """The decision that settles it: the first denial, or the approval that makes enough of them; None until then.

    The rule's own, when nobody has decided in time, is enough whatever the quorum.
    """
    for approvals, decision in enumerate(in_time(asked, decisions), start=1):  # a denial before it would have settled
        if not decision.approved or decision.via == Via.SERVICE or approvals >= asked.quorum:
            return decision
    return None


def approved_by(asked: Asked, decisions: Iterable[Decision]) -> tuple[Decision, ...]:
    """The approvals that count so far."""
    return tuple(decision for decision in in_time(asked, decisions) if decision.approved)


def ends_at(at: datetime, time: timedelta, hours: Sequence[Interval]) -> datetime:
    """When so much time has passed within one of the hours; without any, it passes always.

    It does so too where the hours do not come often enough within a year: nobody waits for years.
    """
    if not hours:
        return at + time
    left, since = time, at
    for moment in borders(hours, at, _IN_SIGHT):
        if any(interval.contains(since) for interval in hours):
            if moment - since >= left:
                return since + left
            left -= moment - since
        since = moment
    return at + time


def reminders(at: datetime, policy: Policy, hours: Sequence[Interval]) -> tuple[datetime, ...]:
    """When people are reminded of what they are asked now, in order."""
    due = {ends_at(at, policy.timeout - before, hours) for before in policy.remind if before < policy.timeout}
    return tuple(sorted(due))


def reminder_due(asked: Asked, told: Iterable[Reminded], now: datetime) -> bool:
    """Whether people are to be reminded now: one reminder for all that are due since the last one."""
    since = _last_told(asked, told)
    return any(since < at <= now for at in asked.reminders)


def next_reminder(asked: Asked, told: Iterable[Reminded], now: datetime) -> datetime | None:
    """When people are reminded next."""
    since = max(_last_told(asked, told), now)
    return next((at for at in asked.reminders if at > since), None)


def _last_told(asked: Asked, told: Iterable[Reminded]) -> datetime:
    ours = (one.at for one in told if (one.round, one.revision) == (asked.round, asked.revision))
    return max(ours, default=asked.at)
