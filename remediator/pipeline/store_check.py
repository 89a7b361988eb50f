"""Whether the store can be written now: one question at a time, however many ask and however long it takes.

Called by readiness. A store that hangs must be told as such in time, and must not be asked once more by each probe.
"""

import asyncio
from datetime import timedelta

from remediator.errors import RemediatorError
from remediator.kit.clock import Clock
from remediator.storage.store import Store

_PATIENCE = timedelta(seconds=3)  # probes of a supervisor give up soon after


class StoreCheck:
    """Asks the store to write something, and remembers a question that is not answered yet."""

    def __init__(self, store: Store, clock: Clock, *, patience: timedelta = _PATIENCE) -> None:
        self._store = store
        self._clock = clock
        self._patience = patience
        self._asking: asyncio.Task[None] | None = None
        self._since = 0.0

    async def trouble(self) -> str | None:
        """Why it cannot be written now; None where it can."""
        if self._asking is None or self._asking.done():
            self._since = self._clock.monotonic()
            self._asking = asyncio.create_task(self._store.probe(), name="store-check")
        asking = self._asking
        await asyncio.wait((asking,), timeout=self._patience.total_seconds())
        if not asking.done():
            return f"the store has not answered for {self._clock.monotonic() - self._since:.0f} s"
        try:
            asking.result()
        except RemediatorError as error:
            return str(error)
        return None

    async def close(self) -> None:
        """Give up a question that is not answered."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait((self._asking,))
