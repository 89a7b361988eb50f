"""Another try of a call that may succeed then: how often, and after which pauses.

Called for calls that are harmless when they are made twice, and for no others.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_exponential_jitter

from remediator.errors import Transient, Unavailable
from remediator.kit.clock import Clock

T = TypeVar("T")

_TRIES = 3


@dataclass(slots=True)
class Trouble:
    """Why the last try of a call failed: where the time limit ends the next one, it is what there is to tell."""

    last: Transient | None = None


async def retried(clock: Clock, call: Callable[[], Awaitable[T]], trouble: Trouble | None = None) -> T:
    """The result of a call, tried again where that may help. Most calls succeed at once, and then cost no more."""
    try:
        return await call()
    except Transient as error:
        failed: list[Transient] = [error]

    async def again() -> T:
        if failed:  # the first try, so that tries and pauses are counted from it
            raise failed.pop()
        return await call()

    async def rest(seconds: float) -> None:
        await clock.sleep(timedelta(seconds=seconds))

    retrying = AsyncRetrying(
        retry=retry_if_exception_type(Transient),
        stop=stop_after_attempt(_TRIES),
        wait=_wait_as_told,
        sleep=rest,
        reraise=True,
    )
    async for attempt in retrying:
        with attempt:
            try:
                return await again()
            except Transient as error:
                if trouble is not None:
                    trouble.last = error
                raise
    raise AssertionError("tenacity gave up without an error")


_backoff = wait_exponential_jitter(multiplier=0.2, max=5, jitter=0.2)


def _wait_as_told(state: RetryCallState) -> float:
    """A growing pause with jitter, or what the other side asked for where that is longer."""
    error = state.outcome.exception() if state.outcome else None
    own = _backoff(state)
    asked = (
        error.retry_after.total_seconds()
        if isinstance(error, Transient) and not isinstance(error, Unavailable)
        else 0.0
    )
    return max(own, asked)
