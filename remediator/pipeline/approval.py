"""The gate: whether a plan needs a person, and where it stands with them. Pure."""

from dataclasses import dataclass
from datetime import datetime

from remediator.model.facts import Asked
from remediator.model.plan import Effect, Mode, Plan
from remediator.model.run import Decision


@dataclass(frozen=True, slots=True)
class Free:
    """No person is needed, or one has approved this very plan."""

    approved: bool


@dataclass(frozen=True, slots=True)
class Ask:
    """A person is to be asked."""


@dataclass(frozen=True, slots=True)
class Wait:
    """A person was asked and has not answered yet."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Denied:
    """A person said no."""

    decision: Decision


@dataclass(frozen=True, slots=True)
class Expired:
    """Nobody answered in time."""


Standing = Free | Ask | Wait | Denied | Expired


def needs_person(plan: Plan, mode: Mode) -> bool:
    """Whether the plan waits for a person: its mode or its rung says so, or it destroys something."""
    return plan.gated or mode is not Mode.AUTO or any(step.effect is Effect.DESTROY for step in plan.steps)


def stand(plan: Plan, mode: Mode, asked: Asked | None, decision: Decision | None, at: datetime) -> Standing:
    """Where a plan stands with the people who decide on it.

    A decision counts only on the plan it names, only after it was asked for, and only in time: one that was given
    after the time was over decides nothing. Who was asked has been told that nothing is done without an answer: that
    holds on, also where nobody would be asked any more.
    """
    if asked is None:
        return Ask() if needs_person(plan, mode) else Free(approved=False)
    if decision is not None and decision.at <= asked.until:
        return Free(approved=True) if decision.approved else Denied(decision)
    return Expired() if at >= asked.until else Wait(asked.until)
