"""Asks Alertmanager, or Prometheus, for guards, and says what follows where it gives no answer: a hold first, a person
after a while.

One that hangs must hold up no run for long: where it gave no answer it is left alone for a few seconds, and what is
asked meanwhile gets that same answer at once. Nor must a storm of runs make it hang: few ask at the same time.
How long it has given none is known to this process only, so that a restart waits anew.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from remediator.errors import RemediatorError, Transient
from remediator.kit.clock import Clock
from remediator.kit.wording import say_time
from remediator.model.duration import say_duration
from remediator.model.outcome import Reason
from remediator.pipeline.guards.guard import Ask, Hold

T = TypeVar("T")
C = TypeVar("C")

ASK_AGAIN = timedelta(seconds=10)
"""How soon a plan is looked at again that was held because there was no answer."""
TOO_LONG = timedelta(minutes=5)
"""How long there may be no answer until a person may decide without it."""

_PATIENCE = timedelta(seconds=5)
_LEFT_ALONE = timedelta(seconds=5)
_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Why there is no answer."""

    why: str
    since: datetime | None = None
    """Since when; None where it answers, but refuses this very question."""
    is_lasting: bool = False
    """Whether waiting does not help, or has not helped for too long."""

    def stand(self, reason: Reason, at: datetime, *, subject: str = "") -> Hold | Ask:
        """What follows for a plan that needs the answer, which is about a `subject`."""
        if self.since is None:
            return Ask(reason, f"{self.why}; a person has to decide without the answer", subject=subject)
        if self.is_lasting:
            what = f"{self.why}; so it has been since {say_time(self.since)}, and a person has to decide"
            return Ask(reason, what, subject=subject)
        then = say_time(self.since + TOO_LONG)
        every = say_duration(ASK_AGAIN)
        return Hold(
            reason, at + ASK_AGAIN, f"{self.why}; it is asked every {every}, and from {then} on a person may decide"
        )


@dataclass(slots=True)
class _Silent:
    """A time in which there was no answer."""

    why: str
    since: datetime
    began: float
    tried: float


class Asking(Generic[C]):
    """The questions of all guards to one service."""

    def __init__(self, client: C, clock: Clock, *, name: str = "Alertmanager") -> None:
        """`name`: of the service, for people."""
        self.client = client
        self._clock = clock
        self._name = name
        self._silent: _Silent | None = None
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def ask(self, question: Callable[[], Awaitable[T]]) -> T | NoAnswer:
        """The answer, or why there is none."""
        async with self._places:
            silent = self._silent
            if silent is not None and self._clock.monotonic() < silent.tried + _LEFT_ALONE.total_seconds():
                return self._no_answer(silent)
            return await self._ask(question)

    async def _ask(self, question: Callable[[], Awaitable[T]]) -> T | NoAnswer:
        try:
            async with asyncio.timeout(_PATIENCE.total_seconds()):
                answer = await question()
        except TimeoutError:
            return self._no_answer(self._note(f"{self._name} gave no answer in {say_duration(_PATIENCE)}"))
        except Transient as error:
            return self._no_answer(self._note(str(error)))
        except RemediatorError as error:
            self._silent = None
            return NoAnswer(str(error))
        self._silent = None
        return answer

    def _note(self, why: str) -> _Silent:
        """It gave no answer now. The reason stays the first one, so that people are not told anew at each look."""
        at = self._clock.monotonic()
        if self._silent is None:
            self._silent = _Silent(why, self._clock.now(), at, at)
        self._silent.tried = at
        return self._silent

    def _no_answer(self, silent: _Silent) -> NoAnswer:
        lasted = self._clock.monotonic() - silent.began
        return NoAnswer(silent.why, silent.since, is_lasting=lasted >= TOO_LONG.total_seconds())
