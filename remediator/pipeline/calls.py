"""One call of one action: its time limit, retries where they are harmless, redaction, and an answer whatever happens.

Diagnosis, targeting, execution and verification make all their calls here. An action is somebody's code: anything that
it raises becomes an answer, and a change that raised something unforeseen counts as unknown, never as not done.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

import structlog
from pydantic import ValidationError

from remediator.clients import Clients
from remediator.errors import (
    Conflicted,
    Failed,
    Mistaken,
    OutcomeUnknown,
    Protected,
    RemediatorError,
    Transient,
    Unavailable,
)
from remediator.kit.clock import Clock
from remediator.kit.metrics import Metrics
from remediator.kit.redaction import Redactor
from remediator.model.deployed import Deployed
from remediator.model.duration import say_duration
from remediator.model.facts import StepStatus
from remediator.model.ids import StepId
from remediator.model.plan import Effect, PlannedStep
from remediator.model.pool import Pool
from remediator.model.system import System
from remediator.model.target import Target
from remediator.pipeline.answer import Answer, Keeping
from remediator.pipeline.retrying import Trouble, retried
from remediator.pipeline.systems import Manner, Systems, Visit
from remediator.plugins import Action, ActionContext, Before, Inverse, Params, Remains, Result

log = structlog.get_logger(__name__)

T = TypeVar("T")


class Calls:
    """Calls actions."""

    def __init__(
        self, clients: Clients, clock: Clock, redactor: Redactor, metrics: Metrics, systems: Systems | None = None
    ) -> None:
        """Without `systems` it spares them by itself, as a command does that calls a few actions and ends."""
        self.clients = clients
        self.clock = clock
        self._redactor = redactor
        self._keeping = Keeping(redactor)
        self._metrics = metrics
        self._systems = systems or Systems(clients.settings.systems, clock, metrics, redactor)

    async def read(
        self, step: StepId, action: Action, params: Params, timeout: timedelta | None, *, watching: bool = False
    ) -> Answer:
        """Call a reading action; what does not answer is tried again within the time limit.

        `watching`: it looks whether a remedy has helped, and so is carried out whatever is known of the system.
        """
        asked_ago = 0.0

        async def call() -> Result:
            nonlocal asked_ago
            nature = action.nature_of(self.clients, params)
            if nature.effect is not Effect.READ:
                raise Failed(f"{action.name} would {nature.effect} something here, and this place only reads")
            limit = timeout or nature.timeout
            system, manner = _system(action, params), Manner.WATCHING if watching else _manner(action)
            if manner is Manner.PROBING and (found := self._systems.recall(system, action.name, params)) is not None:
                asked_ago = max(found[1], 0.1)
                return found[0]
            context, trouble, seconds = self._context(step, limit), Trouble(), limit.total_seconds()
            async with self._systems.visit(system, manner, patience=seconds) as visit:
                waiting = asyncio.timeout(seconds - visit.waited)
                try:
                    async with waiting:
                        result = await retried(self.clock, lambda: action.perform(context, params), trouble)
                except TimeoutError:
                    if not waiting.expired():
                        raise
                    raise trouble.last or Unavailable(self._say_hung(action, params, limit)) from None
                self._note_away(visit, system, action, params, result)
                return result

        answer = await self._answer(action, call, surprise=StepStatus.FAILED)
        if not asked_ago:
            return answer
        return replace(answer, brief=self._keeping.brief(f"{answer.brief} (so it was {asked_ago:.1f} s ago)"))

    def _note_away(self, visit: Visit, system: System, action: Action, params: Params, result: Result) -> None:
        """Where the result itself says that the system does not answer, nobody need ask it the same again at once."""
        if action.away is not None and action.away(result):
            visit.away = result.brief() or "no answer"
            self._systems.remember(system, action.name, params, result)

    async def change(self, step: PlannedStep, action: Action, *, may_retry: bool) -> Answer:
        """Call a planned step on the targets that were seen. Only an idempotent one may be tried again.

        It is over within the step's time limit, waiting for a place among the calls to its system included. A change
        waits for half of it at the most: one that begins late would be cut off, and then nobody knows what happened.
        """
        params = action.params.model_validate(dict(step.params))
        context = self._context(step.id, step.timeout, step.targets)
        seconds = step.timeout.total_seconds()
        patience = seconds if step.effect is Effect.READ else seconds / 2

        async def call() -> Result:
            system = _system(action, params)
            async with self._systems.visit(system, _manner(action), patience=patience) as visit:
                try:
                    async with asyncio.timeout(seconds - visit.waited):
                        if may_retry and step.idempotent:
                            result = await retried(self.clock, lambda: action.perform(context, params))
                        else:
                            result = await action.perform(context, params)
                except TimeoutError:
                    if step.effect is Effect.READ:
                        raise Unavailable(self._say_hung(action, params, step.timeout)) from None
                    place = action.place_of(self.clients, params)
                    why = f"no answer within {seconds:g} s; it may have been done"
                    raise OutcomeUnknown(f"{place}: {why}" if place else why) from None
                self._note_away(visit, system, action, params, result)
                return result

        surprise = StepStatus.FAILED if step.effect is Effect.READ else StepStatus.UNKNOWN
        return await self._answer(action, call, surprise=surprise)

    async def resolve(self, step: StepId, action: Action, params: Params, timeout: timedelta) -> tuple[Target, ...]:
        """The targets that a step would touch. Raises RemediatorError where they cannot be looked up."""
        resolve = action.resolve
        if resolve is None:
            return ()
        context = self._context(step, timeout)
        late = "the target was not found"
        return await self._looked_up(action, params, timeout, lambda: resolve(context, params), late)

    async def pool(self, step: PlannedStep, action: Action) -> Pool | None:
        """The pool of a planned step as it is now; None where its action names none.

        Raises RemediatorError where it cannot be counted, also where the action breaks.
        """
        count = action.pool
        if count is None:
            return None
        return await self._told(step, action, count, "the pool was not counted", "it counted the pool")

    async def deployed(self, step: PlannedStep, action: Action) -> tuple[Deployed, ...]:
        """When the targets of a planned step were last deployed; nothing where their system does not show it.

        Raises RemediatorError where that cannot be told, also where the action breaks.
        """
        look = action.deployed
        if look is None:
            return ()
        late = "there was no answer on deploys"
        return await self._told(step, action, look, late, "it looked for deploys")

    async def _told(
        self,
        step: PlannedStep,
        action: Action,
        look: Callable[[ActionContext, Any], Awaitable[T]],
        late: str,
        when: str,
    ) -> T:
        """What an action tells of a planned step's targets. Raises RemediatorError, also where the action breaks."""
        params = action.params.model_validate(dict(step.params))
        context = self._context(step.id, step.timeout, step.targets)
        try:
            return await self._looked_up(action, params, step.timeout, lambda: look(context, params), late)
        except RemediatorError:
            raise
        except Exception as error:
            log.exception("action_raised", action=action.name)
            raise Failed(f"the action broke when {when}: {type(error).__name__}: {error}") from error

    async def capture(self, step: PlannedStep, action: Action) -> Mapping[str, Any]:
        """What is there before a planned step, as putting it back takes it: plain JSON, as it is stored.

        Raises RemediatorError where it cannot be read, or must not be stored, also where the action breaks.
        """
        inverse, params = _inverse_of(action), action.params.model_validate(dict(step.params))
        context = self._context(step.id, step.timeout, step.targets)
        late = "what is there before was not read"
        before = await self._read_back(action, params, step.timeout, lambda: inverse.capture(context, params), late)
        kept: dict[str, Any] = before.model_dump(mode="json")
        if self._redactor.value(kept) != kept:  # a mask cannot be put back, and a secret must not be stored
            raise Failed(f"what {action.name} would change holds what looks like a secret, so it cannot be put back")
        return kept

    async def remains(self, step: PlannedStep, action: Action, before: Mapping[str, Any]) -> Remains:
        """How that which a step has changed is now. Raises RemediatorError where that cannot be told."""
        inverse, params = _inverse_of(action), action.params.model_validate(dict(step.params))
        context, read = self._context(step.id, step.timeout, step.targets), _before(inverse, before)
        late = "what remains of the change was not read"
        found = await self._read_back(
            action, params, step.timeout, lambda: inverse.remains(context, params, read), late
        )
        return Remains(found.now, self._keeping.brief(found.found))

    def is_same(self, action: Action) -> Callable[[PlannedStep, PlannedStep], bool]:
        """Tells whether two of its steps on one target change the same thing; where that cannot be told, they do."""

        def tell(one: PlannedStep, other: PlannedStep) -> bool:
            same = None if action.inverse is None else action.inverse.same
            if same is None:
                return True
            try:
                first, second = (action.params.model_validate(dict(step.params)) for step in (one, other))
                return same(self.clients, first, second)
            except (RemediatorError, ValueError) as error:
                log.warning("steps_not_compared", action=action.name, error=str(error))
                return True

        return tell

    async def restore(self, step: PlannedStep, action: Action, before: Mapping[str, Any]) -> Answer:
        """Put back what a step has changed, called once: an Answer that is not `begun` says that nothing was done."""
        inverse, params = _inverse_of(action), action.params.model_validate(dict(step.params))
        context, seconds = self._context(step.id, step.timeout, step.targets), step.timeout.total_seconds()

        async def call() -> Result:
            read = _before(inverse, before)
            async with self._systems.visit(_system(action, params), Manner.ORDINARY, patience=seconds / 2) as visit:
                try:
                    async with asyncio.timeout(seconds - visit.waited):
                        return await inverse.restore(context, params, read)
                except TimeoutError:
                    raise OutcomeUnknown(f"no answer within {seconds:g} s; it may have been put back") from None

        return await self._answer(action, call, surprise=StepStatus.UNKNOWN)

    async def _read_back(
        self, action: Action, params: Params, timeout: timedelta, look: Callable[[], Awaitable[T]], late: str
    ) -> T:
        try:
            return await self._looked_up(action, params, timeout, look, late)
        except RemediatorError:
            raise
        except Exception as error:
            log.exception("action_raised", action=action.name)
            raise Failed(f"the action broke: {late}: {type(error).__name__}: {error}") from error

    async def _looked_up(
        self, action: Action, params: Params, timeout: timedelta, look: Callable[[], Awaitable[T]], late: str
    ) -> T:
        seconds = timeout.total_seconds()
        async with self._systems.visit(_system(action, params), Manner.ORDINARY, patience=seconds) as visit:
            try:
                async with asyncio.timeout(seconds - visit.waited):
                    return await retried(self.clock, look)
            except TimeoutError:
                raise Unavailable(f"{late} within {seconds:g} s") from None

    def _context(self, step: StepId, timeout: timedelta, targets: tuple[Target, ...] = ()) -> ActionContext:
        return ActionContext(self.clients, self.clock, step, self.clock.now() + timeout, targets)

    def _say_hung(self, action: Action, params: Params, limit: timedelta) -> str:
        """That no answer came within the time limit: from where, and what to do."""
        place = action.place_of(self.clients, params)
        remedy = "longer, give the step a longer `timeout`"
        if not place:
            return f"no answer within its time limit of {say_duration(limit)}; if it needs {remedy}"
        return f"{place}: no answer within {say_duration(limit)}; is it running? If it needs {remedy}"

    async def _answer(self, action: Action, call: Callable[[], Awaitable[Result]], *, surprise: StepStatus) -> Answer:
        began = self.clock.monotonic()
        kept: Mapping[str, Any] = {}
        detail, begun = "", True
        try:
            result = await call()
            kept, detail, brief = self._keeping.result(result), self._keeping.detail(result), result.brief()
            status = StepStatus.DONE
        except TimeoutError:
            status, brief = StepStatus.FAILED, "the action gave up waiting for an answer"
        except OutcomeUnknown as error:
            status, brief = StepStatus.UNKNOWN, str(error)
        except (Failed, Transient, Mistaken) as error:
            status, brief, begun = StepStatus.FAILED, str(error), not isinstance(error, Protected | Conflicted)
        except RemediatorError as error:
            status, brief = surprise, str(error)
        except Exception as error:
            log.exception("action_raised", action=action.name)
            status, brief = surprise, f"the action broke: {type(error).__name__}: {error}"
        seconds = self.clock.monotonic() - began
        self._metrics.step_seconds.labels(action.name, status).observe(seconds)
        return Answer(status, kept, self._keeping.brief(brief), detail, round(seconds, 3), begun)


def _system(action: Action, params: Params) -> System:
    """What a call would talk to. Raises Failed where that cannot be told: then nothing was done."""
    try:
        return action.system_of(params)
    except RemediatorError:
        raise
    except Exception as error:
        log.exception("action_raised", action=action.name)
        why = f"{type(error).__name__}: {error}"
        raise Failed(f"not done: the action broke when it was to say what it talks to: {why}") from error


def _inverse_of(action: Action) -> Inverse[Any, Any]:
    if action.inverse is None:
        raise Failed(f"what {action.name} does cannot be put back: it has no inverse")
    return action.inverse


def _before(inverse: Inverse[Any, Any], before: Mapping[str, Any]) -> Before:
    """What was captured, as it was stored. Raises Failed where the action does not understand it any more."""
    try:
        return inverse.before.model_validate_json(json.dumps(dict(before)))
    except ValidationError as error:
        raise Failed(
            f"what was captured before the change cannot be read any more: {error.error_count()} faults"
        ) from None


def _manner(action: Action) -> Manner:
    return Manner.ORDINARY if action.away is None else Manner.PROBING
