"""After a start: what an earlier process has left to do is due again."""

from datetime import UTC, datetime

from remediator.pipeline.dispatch import Dispatcher
from remediator.storage.runs import RunStore

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


async def resume(store: RunStore, dispatcher: Dispatcher) -> int:
    """Make every run due that an earlier process left with something to do; how many there are.

    Those that rest until later are looked at too, and go on resting: if the machine's clock was set back meanwhile, one
    that was under way would else wait until the time at which it was woken comes again.
    """
    wakes = await store.wakes()
    for wake in wakes:
        dispatcher.wake(wake.run, _LONG_AGO, wake.priority)
    return len(wakes)
