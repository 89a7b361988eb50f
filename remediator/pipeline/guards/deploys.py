"""Leaves a target alone for a while after somebody else has deployed it, where its system shows that.

What is ill minutes after a deploy is most likely ill because of it: a restart hides that from whoever watches the
rollout, and does not help. A plan that would go by itself waits until the cooldown is over. One that people are asked
for anyway is asked for at once, and tells of the deploy: they can judge it, and may not want to wait.

Who it was, few systems tell. What the journal has as a change of our own is none: the cooldown after that is another
guard's (`cooldown`), which counts from its end.
"""

from datetime import datetime, timedelta

from remediator.errors import RemediatorError, TargetGone
from remediator.kit.redaction import shorten
from remediator.kit.wording import say_time
from remediator.model.change import Change
from remediator.model.deployed import Deployed
from remediator.model.duration import say_duration
from remediator.model.outcome import Reason
from remediator.model.plan import Effect, PlannedStep
from remediator.pipeline import approval
from remediator.pipeline.calls import Calls
from remediator.pipeline.guards.engine import Look
from remediator.pipeline.guards.guard import Allow, Ask, Case, Hold, Review, together
from remediator.pipeline.guards.tries import of_target

_LOOK_AGAIN = timedelta(seconds=30)
_MOST_SAID = 300
_SHOWS_WITHIN = timedelta(minutes=2)
"""So soon after its start a change of our own that makes its target anew shows as a deploy. Its end tells nothing of
that: it is when it was known whether it had helped, and others may have deployed meanwhile."""


class Deploys:
    """No target of the plan was deployed by others a short time ago. What has been begun is ended."""

    def __init__(self, calls: Calls, journal: Look) -> None:
        self._calls = calls
        self._journal = journal

    async def look(self, case: Case) -> Review:
        if case.begun or not case.limits.cooldown_after_deploy:
            return Allow()
        steps = [step for step in case.plan.steps if step.effect is not Effect.READ]
        return together([await self._look(step, case) for step in steps])

    async def _look(self, step: PlannedStep, case: Case) -> Review:
        try:
            found = await self._calls.deployed(step, case.rule.action(step.id))
        except RemediatorError as error:
            why = shorten(str(error), _MOST_SAID)
            what = f"{step.sentence}: whether somebody has deployed it could not be found out: {why}"
            gone = isinstance(error, TargetGone)
            return Hold(Reason.TARGET_UNCERTAIN, case.at + _LOOK_AGAIN, what, is_outdated=gone)
        recent = [one for one in found if one.is_underway or _free(one, case) > case.at]
        return together([judge(one, case) for one in recent if not await self._is_ours(one, case)])

    async def _is_ours(self, deployed: Deployed, case: Case) -> bool:
        """Whether a run has changed the target at that time. Raises StoreUnavailable."""
        question = of_target(case, deployed.target)
        known = await self._journal([question])
        return any(_covers(change, deployed, case) for change in known.latest(question))


def judge(deployed: Deployed, case: Case) -> Review:
    """What follows from a deploy of others within the cooldown. Pure."""
    free = _free(deployed, case)
    cooldown = f"the cooldown of {say_duration(case.limits.cooldown_after_deploy)} (limits.cooldown_after_deploy)"
    then = f"{cooldown} begins when it ends" if deployed.is_underway else f"{cooldown} is over at {say_time(free)}"
    detail = f"{_say(deployed, case)}; {then}"
    if approval.needs_person(case.plan, case.mode):
        return Ask(Reason.COOLING_DOWN, detail, subject=f"{deployed.target} at {say_time(deployed.at)}")
    until = case.at + _LOOK_AGAIN if deployed.is_underway else free
    return Hold(Reason.COOLING_DOWN, until, detail)


def _free(deployed: Deployed, case: Case) -> datetime:
    return deployed.at + case.limits.cooldown_after_deploy


def _covers(change: Change, deployed: Deployed, case: Case) -> bool:
    """Whether it was done by a change of ours."""
    return change.at <= deployed.at <= min(change.ended_at or case.at, change.at + _SHOWS_WITHIN)


def _say(deployed: Deployed, case: Case) -> str:
    """Told by the alert's time: a text that changed at each look would be told at each look."""
    apart = case.run.created_at - deployed.at
    rounded = say_duration(timedelta(seconds=round(abs(apart).total_seconds())))
    when = f"{rounded} {'before' if apart >= timedelta(0) else 'after'} the alert came in"
    by = deployed.by or "somebody else"
    if deployed.is_underway:
        return f"{deployed.target}: {by} is deploying it since {say_time(deployed.at)}, {when} ({deployed.what})"
    return f"{deployed.target}: {by} has deployed it at {say_time(deployed.at)}, {when} ({deployed.what})"
