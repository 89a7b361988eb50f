"""The gate: whether a plan needs a person, and where it stands with them. Pure.

Between the answer and the start time passes, and what was true then need not be so any more: what was approved is made
anew then, and goes on only if that leads to the same plan.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from remediator.kit.redaction import shorten
from remediator.model.approval import OnTimeout, Policy
from remediator.model.calendar import Interval
from remediator.model.facts import Asked, Planned
from remediator.model.person import Via
from remediator.model.plan import Effect, Mode, Plan, PlannedStep
from remediator.model.run import Decision
from remediator.rules.book import Gate, Rule, Rung
from remediator.settings import ApprovalSettings

_MOST_SAID = 600


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


def needs_person_of(rung: Rung, mode: Mode) -> bool:
    """Whether plans of a remedy wait for a person, as far as that is known without one."""
    acts = bool(rung.steps) and mode in (Mode.GATED, Mode.AUTO)
    return acts and (rung.gated or mode is not Mode.AUTO or any(s.action.effect is Effect.DESTROY for s in rung.steps))


def policy_of(gate: Gate | None, settings: ApprovalSettings) -> Policy:
    """Who decides on a plan, and how: as its remedy's gate says, and where that says nothing as the settings do."""
    gate = gate or Gate()
    return Policy(
        approvers=gate.approvers or settings.approvers,
        quorum=gate.quorum or settings.quorum,
        timeout=gate.timeout or settings.timeout,
        on_timeout=OnTimeout(gate.on_timeout or settings.on_timeout),
        remind=settings.remind,
        hours=settings.hours,
    )


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for questions here: the settings, and the hours in which the time to decide runs."""

    settings: ApprovalSettings
    hours: tuple[Interval, ...] = ()

    def policy(self, rule: Rule, plan: Plan) -> Policy:
        """Who decides on a plan of the rule, and how."""
        return policy_of(rule.rungs[plan.rung].gate, self.settings)


def stand(plan: Plan, mode: Mode, asked: Asked | None, decision: Decision | None, at: datetime) -> Standing:
    """Where a plan stands with the people who decide on it.

    A decision counts only on the plan it names, only after it was asked for, and only in time: one that was given
    after the time was over decides nothing. Who was asked has been told that nothing is done without an answer: that
    holds on, also where nobody would be asked any more.
    """
    if asked is None:
        return Ask() if needs_person(plan, mode) else Free(approved=False)
    answer = answered(asked, decision)
    if answer is not None:
        return answer
    return Expired() if at >= asked.until else Wait(asked.until)


def answered(asked: Asked | None, decision: Decision | None) -> Free | Denied | None:
    """What a person has said in time, if one has."""
    if asked is None or decision is None or (decision.at > asked.until and decision.via != Via.SERVICE):
        return None
    return Free(approved=True) if decision.approved else Denied(decision)


def made_anew(planned: Planned, before: Planned) -> Planned:
    """A plan that was made since a person has approved the one before: it stands for that one if it is equal to it.

    Else the approval is void, and this one is to be asked for.
    """
    if planned.plan.digest == before.plan.digest:
        return replace(planned, renews=before.renews or (before.round, before.revision))
    return replace(planned, differs=difference(before.plan, planned.plan))


def difference(before: Plan, now: Plan) -> str:
    """What is other in the newer of two plans, for people."""
    return shorten("; ".join(_differences(before, now)), _MOST_SAID) or "its limits, locks or times are others"


def _differences(before: Plan, now: Plan) -> Iterator[str]:
    if before.name != now.name:
        yield f"the remedy is “{now.name}”, and not “{before.name}”"
    for verb, steps, others in (("added", now.steps, before.steps), ("left out", before.steps, now.steps)):
        known = {_what(step) for step in others}
        for step in steps:
            if _what(step) not in known:
                yield f"{verb}: {step.sentence}"
    yield from _other_targets(before, now)
    if before.verification != now.verification:
        yield "whether it helps is found out in another way"


def _what(step: PlannedStep) -> tuple[str, str, Effect, float]:
    return step.action, repr(sorted(step.params.items())), step.effect, step.timeout.total_seconds()


def _other_targets(before: Plan, now: Plan) -> Iterator[str]:
    were = {target.name: target.incarnation for target in before.targets}
    are = {target.name: target.incarnation for target in now.targets}
    for name in sorted(are.keys() | were.keys()):
        if name not in were:
            yield f"{name} is a target now, too"
        elif name not in are:
            yield f"{name} is no target any more"
        elif were[name] != are[name]:
            yield f"{name} is not the one that it was ({were[name][:12]} then, {are[name][:12]} now)"
