"""Nothing is changed behind everybody's back, or where nobody can see whether it helped: then a person has to approve.

It goes by how long chat has not been told what waits for it (but for what is minor: after a storm that is hours of what
nobody waits for, at chat's own pace), and asks Prometheus whether it answers where the plan's proof needs it.

Whoever is asked may not hear of that, either. Where nobody can be asked a rule only observes: the question stands as
long as any other, so that people who look by themselves can decide with the command line, and hear of it in time where
chat comes back; then the run ends without a change, and says that nobody could be asked.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Protocol

from remediator.errors import RemediatorError
from remediator.kit.redaction import shorten
from remediator.kit.wording import counted, say_time
from remediator.model.duration import say_duration
from remediator.model.outcome import Reason
from remediator.pipeline.guards.guard import Allow, Ask, Case, Hold, Review
from remediator.storage.outbox import OutboxState

_FRESH = timedelta(seconds=5)
"""For so long an answer is good for everybody: in a storm very many want to know the same."""
_PATIENCE = 5.0  # seconds
_FIRST_TRY = timedelta(minutes=1)
"""So long a process that has just started may take to send what has waited since before."""
_ASKS_PROMETHEUS = "prometheus."
_MOST_SAID = 300


class Outbox(Protocol):
    """The part of the store that it asks."""

    async def outbox_state(self) -> OutboxState:
        """See `Store`."""
        ...


class DeadMan:
    """While people could not be told, or the proof could not be seen, nothing is begun without a person."""

    def __init__(
        self,
        outbox: Outbox,
        ping_prometheus: Callable[[], Awaitable[None]] | None,
        *,
        started: datetime | None = None,
    ) -> None:
        """`ping_prometheus` raises what is wrong with it; None where none is configured.

        `started`: when this process did. What has waited while nobody was there to send it is sent first.
        """
        self._started = started
        self._outbox = outbox
        self._ping = ping_prometheus
        self._one_at_a_time = asyncio.Lock()
        self._told: tuple[datetime, OutboxState] | None = None
        self._trouble: tuple[datetime, str] | None = None

    async def look(self, case: Case) -> Review:
        if case.begun:  # what is left of it is done, or people would have to clear up after it
            return Allow()
        async with self._one_at_a_time:
            state = await self._waiting(case.at)
            if state.oldest is not None and case.at - state.oldest > case.limits.tell_within:
                return self._cannot_tell(state, state.oldest, case)
            if self._ping is None or not any(
                check.action.startswith(_ASKS_PROMETHEUS) for check in case.plan.verification.checks
            ):
                return Allow()
            trouble = await self._trouble_of(self._ping, case.at)
        if not trouble:
            return Allow()
        return Ask(Reason.CANNOT_VERIFY, f"the proof asks Prometheus, and that does not answer: {trouble}")

    def _cannot_tell(self, state: OutboxState, oldest: datetime, case: Case) -> Review:
        since, limit = say_time(oldest), say_duration(case.limits.tell_within)
        waiting = f"{counted(state.waiting, 'message')} for chat could not be sent"
        if self._started is not None and self._started <= case.at < self._started + _FIRST_TRY:
            until = self._started + _FIRST_TRY
            why = f"{waiting} since {since}, and this process has only just begun to; it has until {say_time(until)}"
            return Hold(Reason.CANNOT_TELL, until, why)
        why = f"{waiting}, the oldest since {since}; the limit is {limit} (limits.tell_within)"
        return Ask(Reason.CANNOT_TELL, why)

    async def _waiting(self, at: datetime) -> OutboxState:
        """What chat is to be told. Raises StoreUnavailable."""
        if self._told is None or not _is_fresh(self._told[0], at):
            self._told = at, await self._outbox.outbox_state()
        return self._told[1]

    async def _trouble_of(self, ping: Callable[[], Awaitable[None]], at: datetime) -> str:
        """Why Prometheus does not answer; empty where it does."""
        if self._trouble is None or not _is_fresh(self._trouble[0], at):
            self._trouble = at, await _ask(ping)
        return self._trouble[1]


def _is_fresh(asked: datetime, at: datetime) -> bool:
    return abs(at - asked) < _FRESH


async def _ask(ping: Callable[[], Awaitable[None]]) -> str:
    try:
        async with asyncio.timeout(_PATIENCE):
            await ping()
    except TimeoutError:
        return f"it gave no answer in {_PATIENCE:g} s"
    except RemediatorError as error:
        return shorten(str(error), _MOST_SAID)
    return ""
