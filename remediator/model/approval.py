"""What is asked for at a gate, and where it stands with the people who have decided. Pure.

An approval is bound to one question (`Asked`): to the digest of the plan, its round and its revision. It is used once:
a plan that is asked for anew is another question.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from remediator.model.facts import Asked
from remediator.model.run import Decision


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
    """The decisions that count: given in time, and of one person only the first."""
    counted: dict[str, Decision] = {}
    for decision in decisions:
        if decision.at <= asked.until:
            counted.setdefault(decision.who, decision)
    return tuple(counted.values())


def settling(asked: Asked, decisions: Iterable[Decision]) -> Decision | None:
    """The decision that settles it: the first denial, or the approval that makes enough of them; None until then."""
    approvals = 0
    for decision in in_time(asked, decisions):
        if not decision.approved:
            return decision
        approvals += 1
        if approvals >= asked.quorum:
            return decision
    return None


def approved_by(asked: Asked, decisions: Iterable[Decision]) -> tuple[Decision, ...]:
    """The approvals that count so far."""
    return tuple(decision for decision in in_time(asked, decisions) if decision.approved)
