"""Proves that a rung helped, or that it did not. Errors of a check are inconclusive: they prove neither.

`judge` is pure; `Watch` samples until it can tell.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from remediator.errors import BadExpression
from remediator.kit.clock import Clock
from remediator.model.duration import say_duration
from remediator.model.facts import Evidence, Examined, Proof, StepStatus
from remediator.model.plan import Verification
from remediator.model.run import Run
from remediator.model.stage import by_hand
from remediator.pipeline.calls import Calls
from remediator.pipeline.rulebook import scope_of
from remediator.rules.book import Check, Rule

_NOBODY_TELLS = (
    "whether it has helped cannot be seen: the rule has no checks, and no alert tells, as the run was started by hand"
)


class Sight(StrEnum):
    """What one sample of all checks showed."""

    HOLDS = "holds"
    FAILS = "fails"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at all checks, at a time of the monotonic clock, in seconds."""

    at: float
    sight: Sight
    brief: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What the samples prove."""

    proof: Proof
    brief: str


class Resting(Protocol):
    """Lets time pass without keeping a worker busy."""

    async def rest(self, duration: timedelta) -> None:
        """Return when `duration` is over, or earlier when there is news of the run."""
        ...


def judge(samples: Sequence[Sample], policy: Verification, *, deadline: float, resolved: bool) -> Finding | None:
    """What the samples prove so far; None while more are needed. Pure.

    What holds when the deadline comes gets the time to show that it lasts: a slow start is no failure.
    """
    if not samples:
        return None
    last = samples[-1]
    held_since = _held_since(samples)
    if held_since is not None:
        if last.at - held_since >= policy.sustain.total_seconds():
            return Finding(Proof.HEALED, f"{last.brief}, and it has held for {_whole(last.at - held_since)}")
        return Finding(Proof.HEALED, f"{last.brief}, and the alert has resolved") if resolved else None
    if last.at < deadline:
        return None
    if last.sight is Sight.ERROR:
        return Finding(Proof.INCONCLUSIVE, last.brief)
    lasted = any(sample.sight is Sight.HOLDS for sample in samples)
    return Finding(Proof.NOT_HEALED, f"it did not last: {last.brief}" if lasted else last.brief)


def _held_since(samples: Sequence[Sample]) -> float | None:
    """Since when every sample has held, up to the newest; errors in between prove nothing and break it."""
    since = None
    for sample in reversed(samples):
        if sample.sight is not Sight.HOLDS:
            break
        since = sample.at
    return since


def _evidence(run: Run) -> Mapping[str, Evidence]:
    """The newest evidence: what a check may compare with."""
    return next((fact.evidence for fact in reversed(run.facts) if isinstance(fact, Examined)), {})


def _whole(seconds: float) -> str:
    return say_duration(timedelta(seconds=round(seconds)))


class Watch:
    """Watches whether what was done has helped."""

    def __init__(self, calls: Calls, clock: Clock) -> None:
        self._calls = calls
        self._clock = clock

    async def until_proven(
        self,
        run: Run,
        rule: Rule,
        policy: Verification,
        *,
        since: datetime,
        resting: Resting,
        is_resolved: Callable[[], Awaitable[bool]],
        ask_every: timedelta | None = None,
    ) -> tuple[Finding, int]:
        """What verification finds, and from how many samples. `since` is when the last step ended.

        That the alert has resolved is news, unless nobody tells of it: then it is asked for again after `ask_every`.

        After a restart it is begun anew, with the time that is left, but long enough to tell. Only what has passed
        since then is taken from the wall clock, and never more than the policy's own times.
        """
        passed = min(max(self._clock.now() - since, timedelta(0)), policy.within)
        left = max(policy.within - passed, policy.sustain + 2 * policy.every)
        deadline = self._clock.monotonic() + left.total_seconds()
        if not policy.checks and by_hand(run) is not None:
            return Finding(Proof.INCONCLUSIVE, _NOBODY_TELLS), 0
        if not policy.checks:
            return await self._until_resolved(deadline, resting, is_resolved, ask_every)
        await self._rest(policy.settle - passed, resting)
        samples: list[Sample] = []
        while True:
            samples.append(await self._look(run, rule, policy))
            found = judge(samples, policy, deadline=deadline, resolved=await is_resolved())
            if found is not None:
                return found, len(samples)
            await self._rest(policy.every, resting)

    async def _until_resolved(
        self,
        deadline: float,
        resting: Resting,
        is_resolved: Callable[[], Awaitable[bool]],
        ask_every: timedelta | None,
    ) -> tuple[Finding, int]:
        """The proof of a rule without checks: the alert itself has to resolve."""
        looks = 0
        while True:
            looks += 1
            if await is_resolved():
                return Finding(Proof.HEALED, "the alert has resolved"), looks
            left = deadline - self._clock.monotonic()
            if left <= 0:
                why = "the alert has not resolved in time, and the rule has no checks"
                return Finding(Proof.INCONCLUSIVE, why), looks
            pause = timedelta(seconds=left)
            await resting.rest(pause if ask_every is None else min(pause, ask_every))

    async def _rest(self, duration: timedelta, resting: Resting) -> None:
        """Let `duration` pass, news or not."""
        end = self._clock.monotonic() + duration.total_seconds()
        while (left := end - self._clock.monotonic()) > 0:
            await resting.rest(timedelta(seconds=left))

    async def _look(self, run: Run, rule: Rule, policy: Verification) -> Sample:
        checks = [self._check(run, rule, rule.check(c.id), c.params, c.timeout) for c in policy.checks]
        sights = await asyncio.gather(*checks) if len(checks) > 1 else [await checks[0]]  # one needs no task
        now = self._clock.monotonic()
        for wanted in (Sight.FAILS, Sight.ERROR):
            if briefs := [brief for sight, brief in sights if sight is wanted]:
                return Sample(now, wanted, "; ".join(briefs))
        return Sample(now, Sight.HOLDS, "; ".join(brief for _, brief in sights))

    async def _check(
        self, run: Run, rule: Rule, check: Check, params: Mapping[str, Any], timeout: timedelta
    ) -> tuple[Sight, str]:
        action = check.step.action
        rendered = action.params.model_validate(dict(params))
        answer = await self._calls.read(check.step.id, action, rendered, timeout, watching=True)
        if answer.status is not StepStatus.DONE:
            return Sight.ERROR, f"{action.name}: {answer.brief}"
        try:
            holds = bool(check.expect.evaluate(scope_of(run.alert, rule, _evidence(run), answer.result)))
        except BadExpression as error:
            return Sight.ERROR, f"{action.name}: {error}"
        said = f"{action.name}: {answer.brief}"
        return (Sight.HOLDS, said) if holds else (Sight.FAILS, f"{said}; expected {check.expect.source}")
