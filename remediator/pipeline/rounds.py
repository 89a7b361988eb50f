"""What all background work has in common that looks again and again: the store may be away, and one may lead for all.

Called by whatever keeps the store tidy or completes what has come. It knows nothing of what is looked at.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, NoReturn

import structlog

from remediator.errors import StoreUnavailable
from remediator.kit.clock import Clock

log = structlog.get_logger(__name__)


def anybody() -> bool:
    """`leads` of the only process that there is."""
    return True


async def look_again_and_again(
    look: Callable[[], Awaitable[object]],
    *,
    every: timedelta,
    clock: Clock,
    waits: str,
    leads: Callable[[], bool] = anybody,
    wait_first: bool = False,
) -> NoReturn:
    """Look, and again after `every`, until cancelled, while `leads` says that it is this process that does.

    While the store is away it is only logged, as the event `waits`.
    """
    if wait_first:
        await clock.sleep(every)
    while True:
        try:
            if leads():
                await look()
        except StoreUnavailable as error:
            log.warning(waits, error=str(error))
        await clock.sleep(every)


async def survive(work: Awaitable[object], event: str, **told: Any) -> Exception | None:
    """The error that a piece of work broke with, logged as `event`: a mistake of ours must not end the service.

    Raises StoreUnavailable: then there is no point in the next piece.
    """
    try:
        await work
    except StoreUnavailable:
        raise
    except Exception as error:
        log.exception(event, **told)
        return error
    return None
