"""How it stands with what a run has changed, as it is right now: what would be put back, and what would not, and why.

Called for people who look before they have something put back. It only reads, and promises nothing: it is all looked at
again right before anything is put back.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from remediator.errors import RemediatorError
from remediator.kit.redaction import shorten
from remediator.kit.wording import say_time
from remediator.model.ids import StepId
from remediator.model.plan import PlannedStep
from remediator.model.remains import Now, Remains
from remediator.model.run import Run
from remediator.model.undo import Cause, Undoing
from remediator.pipeline.calls import Calls
from remediator.pipeline.rulebook import Rulebook
from remediator.pipeline.undo.verdicts import Asks, Key, PutBack, Verdict, verdicts_on
from remediator.pipeline.undo.younger import Busy, Heir, Later, Unclear, Younger, goes_back
from remediator.plugins import Action

_MOST_LOOKS = 20
_AT_ONCE = 5
_PATIENCE = 10.0  # seconds for all looks together: a person waits
_MOST_SAID = 300
_SAYS = {
    Now.AS_SET: "it would be put back",
    Now.AS_BEFORE: "nothing is to be done, it is as it was before already",
    Now.CHANGED: "somebody has changed it since, so it would be left as it is",
    Now.GONE: "it is gone, and the change with it",
}


@dataclass(frozen=True, slots=True)
class Found:
    """What one change would come to."""

    says: str
    now: Now | None = None
    """How it is; None where that was not found out."""


@dataclass(frozen=True, slots=True)
class _Left:
    verdict: PutBack | Asks
    action: Action
    waits: bool
    """Whether something that was done to the same later goes back first."""


class Looking:
    """Looks at what is left of changes."""

    def __init__(self, calls: Calls, younger: Younger, rulebook: Rulebook) -> None:
        self._calls = calls
        self._younger = younger
        self._rulebook = rulebook

    async def look(self, run: Run) -> Mapping[Key, Found]:
        """Each step of a run that is not put back yet and could be, the newest first; some may be missing.

        Raises StoreUnavailable, and Failed or BadRules where the run's rule cannot be had any more.
        """
        rule = await self._rulebook.rule(run.rule_digest)
        count = max((fact.count for fact in run.facts if isinstance(fact, Undoing)), default=0)
        anew = Undoing(run.created_at, count + 1, Cause.ASKED)  # who asks has everything tried again
        verdicts = verdicts_on((*run.facts, anew))
        left = [one for one in self._left(run, verdicts, rule.action) if one.action.inverse is not None]
        found = {_key(one): Found("it was not looked at: there are too many") for one in left}
        room = asyncio.Semaphore(_AT_ONCE)

        async def look_at(one: _Left) -> None:
            found[_key(one)] = Found("it could not be looked at in time")
            async with room:
                found[_key(one)] = await self._look_at(run, one)

        try:
            async with asyncio.timeout(_PATIENCE), asyncio.TaskGroup() as looks:  # where one fails the others are ended
                for one in left[:_MOST_LOOKS]:
                    looks.create_task(look_at(one), name=f"look-{run.id}-{one.verdict.step.id}")
        except TimeoutError:
            pass  # each says so itself
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from failed
        return found

    def _left(self, run: Run, verdicts: tuple[Verdict, ...], action_of: Callable[[StepId], Action]) -> Iterator[_Left]:
        later: dict[tuple[str, str], list[PlannedStep]] = {}
        """By action and target, what goes back first."""
        for one in verdicts:
            if not isinstance(one, PutBack | Asks) or one.before is None:
                continue
            action, targets = action_of(one.step.id), [(one.step.action, target.name) for target in one.step.targets]
            is_same = self._calls.is_same(action)
            waits = any(is_same(one.step, step) for target in targets for step in later.get(target, ())[-1:])
            for target in targets:
                later.setdefault(target, []).append(one.step)
            yield _Left(goes_back(run, one), action, waits)

    async def _look_at(self, run: Run, one: _Left) -> Found:
        verdict, action = one.verdict, one.action
        try:
            remains = await self._calls.remains(verdict.step, action, verdict.before or {})
        except RemediatorError as error:
            return Found(f"it could not be looked at now: {shorten(str(error), _MOST_SAID)}")
        later = None
        if remains.now is not Now.GONE:
            later = (await self._younger.look(run, verdict, self._calls.is_same(action))).later
        found = _said(remains, later)
        if isinstance(verdict, Asks):
            return replace(found, says=f"{verdict.why}, so a person is asked first; for now: {remains.found}")
        if one.waits and later is None and remains.now is not Now.GONE:
            return replace(found, says=f"what was done to it later goes back first; for now: {remains.found}")
        return found


def _key(one: _Left) -> Key:
    return one.verdict.round, one.verdict.step.id


def _said(remains: Remains, later: Later | None) -> Found:
    match later:
        case Heir(run=other, until=until):
            lasts = f"until {say_time(until)}" if until is not None else "for good"
            says = f"it would be left to run {other}, which has changed the same {lasts}"
        case Busy(run=other):
            says = f"it would wait: run {other} is changing the same, or putting it back"
        case Unclear(why=why):
            says = f"it would be left as it is: {why}"
        case None:
            says = _SAYS[remains.now]
    return Found(f"{says}: {remains.found}", remains.now)
