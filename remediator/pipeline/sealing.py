"""Seals the audit journal: a chain over its entries with a key, so that one that was changed or removed shows.

Started by the application. It works behind what is written and holds up nothing: entries are committed with what they
tell of, and sealed a second later, in small portions, by the process that leads. What is old is dropped here as well.
The head of the chain goes out to the log and the metrics, where nobody who rewrites the store can change it.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

import structlog

from remediator.errors import StoreUnavailable
from remediator.kit.clock import Clock
from remediator.kit.metrics import Metrics
from remediator.model.audit import Part, key_id, seal_of
from remediator.model.chain import NO_HEAD, SHORTEST_SEAL, Head
from remediator.pipeline import auditing
from remediator.pipeline.rounds import anybody, look_again_and_again, survive
from remediator.storage.store import Store

log = structlog.get_logger(__name__)

_EVERY = timedelta(seconds=1)
_AT_ONCE = 100
_TELL_EVERY = timedelta(minutes=10)
_DROP_EVERY = timedelta(hours=1)
_PAUSE = timedelta(milliseconds=50)  # between two portions that are dropped, for whoever has to write as well


class Sealer:
    """Seals, drops, and tells the head."""

    def __init__(
        self,
        store: Store,
        key: bytes,
        clock: Clock,
        metrics: Metrics,
        *,
        keep: timedelta,
        leads: Callable[[], bool] = anybody,
    ) -> None:
        """`leads`: whether it is this process that seals, at this moment."""
        self._store = store
        self._key = key
        self._clock = clock
        self._metrics = metrics
        self._keep = keep
        self._leads = leads
        self._head: Head | None = None  # as it was seen last
        self._told: Head = NO_HEAD
        self._tell_from = clock.monotonic()
        self._drop_from = clock.monotonic()

    async def work(self) -> None:
        """Look every second until cancelled."""
        await look_again_and_again(
            self._look, every=_EVERY, clock=self._clock, waits="audit_waits_for_store", leads=self._leads
        )

    async def _look(self) -> None:
        await survive(self.seal(), "audit_not_sealed")
        if self._clock.monotonic() >= self._drop_from:
            self._drop_from = self._clock.monotonic() + _DROP_EVERY.total_seconds()
            await survive(self.drop(), "audit_not_shortened")

    async def seal(self) -> int:
        """Seal all that is not; how much that was. Raises StoreUnavailable."""
        if self._head is None:
            self._note(await self._store.audit_head())
        waiting = await self._store.audit_unsealed()
        sealed = await self._seal_all() if waiting else 0
        if sealed:
            await self._look_back()
            self._note(await self._store.audit_head())
        self._metrics.audit_unsealed.set(max(waiting - sealed, 0))
        if self._clock.monotonic() >= self._tell_from:
            self._tell()
        return sealed

    async def _seal_all(self) -> int:
        sealed, portion = 0, _AT_ONCE
        while portion == _AT_ONCE:
            portion = await self._store.seal_audit(partial(seal_of, self._key), key_id(self._key), _AT_ONCE)
            sealed += portion
        return sealed

    async def drop(self) -> int:
        """Drop what is older than it is to be kept; how much that was. Raises StoreUnavailable."""
        now, dropped = self._clock.now(), 0
        before = _earlier(now, self._keep)
        while count := await self._store.drop_audit(before, _AT_ONCE, partial(auditing.of_drop, now, self._key)):
            dropped += count
            await self._clock.sleep(_PAUSE)
        if dropped:
            log.info("audit_shortened", entries=dropped)
        return dropped

    async def finish(self) -> None:
        """Seal what is left, as far as that can be, and tell the head."""
        try:
            await survive(self.seal(), "audit_not_sealed")
        except StoreUnavailable as error:
            log.warning("audit_waits_for_store", error=str(error))
        self._tell()

    async def _look_back(self) -> None:
        """Whether the chain goes on from the head that was seen last: somebody may have cut off its end since."""
        place, seal = self._head or NO_HEAD
        if place == 0:
            return
        found = await self._store.audit_page(after=place - 1, limit=1, part=Part.SEALED)
        if not found or (found[0].place, found[0].seal) != (place, seal):
            log.error(
                "audit_chain_broken",
                place=place,
                seal=seal,
                what="the entry that was the newest is gone, or is another one: somebody has changed the store",
            )

    def _note(self, head: Head) -> None:
        self._head = head
        self._metrics.audit_sealed.set(head[0])
        self._metrics.audit_head.set(int(head[1][:SHORTEST_SEAL] or "0", 16))

    def _tell(self) -> None:
        """Have the head in the log, if it has moved since it was."""
        if self._head is None or self._head == self._told:
            return
        self._told = self._head
        self._tell_from = self._clock.monotonic() + _TELL_EVERY.total_seconds()
        log.info("audit_head", place=self._head[0], seal=self._head[1], key=key_id(self._key))


def _earlier(now: datetime, by: timedelta) -> datetime:
    """The time so long ago; a setting may go back further than the calendar does."""
    try:
        return now - by
    except OverflowError:
        return datetime.min.replace(tzinfo=now.tzinfo)
