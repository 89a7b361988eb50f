"""Seals the audit journal: a chain over its entries with a key, so that one that was changed or removed shows.

Started by the application. It works behind what is written and holds up nothing: entries are committed with what they
tell of, and sealed a second later, in small portions, by the process that leads. What is old is dropped here as well.
The head of the chain goes out to the log, the metrics and a file, where nobody who rewrites the store can change it.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

import structlog

from remediator.errors import StoreUnavailable
from remediator.kit.clock import Clock
from remediator.kit.metrics import Metrics
from remediator.model.audit import key_id, seal_of
from remediator.model.chain import NO_HEAD, SHORTEST_SEAL, Head
from remediator.pipeline import auditing
from remediator.pipeline.head_watch import HeadWatch
from remediator.pipeline.noted_head import HeadFile
from remediator.pipeline.rounds import anybody, look_again_and_again, survive
from remediator.storage.audit import AuditStore

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
        store: AuditStore,
        key: bytes,
        clock: Clock,
        metrics: Metrics,
        file: HeadFile,
        *,
        keep: timedelta,
        leads: Callable[[], bool] = anybody,
    ) -> None:
        """`file`: where the head is noted. `leads`: whether it is this process that seals, at this moment."""
        self._store = store
        self._key = key
        self._key_id = key_id(key)
        self._watch = HeadWatch(store, self._key_id, clock, file)
        self._clock = clock
        self._metrics = metrics
        self._keep = keep
        self._leads = leads
        self._told: Head = NO_HEAD
        self._tell_from = clock.monotonic()
        self._drop_from = clock.monotonic()

    @property
    def trouble(self) -> str:
        """What people should know of the journal, until somebody has settled it; empty where all is well."""
        return self._watch.trouble

    async def work(self) -> None:
        """Look every second until cancelled."""
        await look_again_and_again(self._look, every=_EVERY, clock=self._clock, waits="audit_waits_for_store")

    async def recall(self) -> None:
        """Take up what was noted before this start, and look whether it still holds. Raises StoreUnavailable."""
        await self._watch.recall()

    async def _look(self) -> None:
        await self._watch.settle()
        if not self._leads():
            return
        await survive(self.seal(), "audit_not_sealed")
        if self._clock.monotonic() >= self._drop_from:
            self._drop_from = self._clock.monotonic() + _DROP_EVERY.total_seconds()
            await survive(self.drop(), "audit_not_shortened")

    async def seal(self) -> int:
        """Seal all that is not; how much that was. Raises StoreUnavailable."""
        if self._watch.seen is None:
            await self._watch.recall()
        waiting = await self._store.audit_unsealed()
        sealed = await self._seal_all() if waiting else 0
        if sealed:
            await self._watch.look_back()
            await self._watch.note(await self._store.audit_head())
        self._show()
        self._metrics.audit_unsealed.set(max(waiting - sealed, 0))
        if self._clock.monotonic() >= self._tell_from:
            self._tell()
        return sealed

    async def _seal_all(self) -> int:
        sealed, portion = 0, _AT_ONCE
        while portion == _AT_ONCE:
            portion = await self._store.seal_audit(partial(seal_of, self._key), self._key_id, _AT_ONCE)
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

    def _show(self) -> None:
        place, seal = self._watch.seen or NO_HEAD
        self._metrics.audit_sealed.set(place)
        self._metrics.audit_head.set(int(seal[:SHORTEST_SEAL] or "0", 16))

    def _tell(self) -> None:
        """Have the head in the log, if it has moved since it was."""
        head = self._watch.seen
        if head is None or head == self._told:
            return
        self._told = head
        self._tell_from = self._clock.monotonic() + _TELL_EVERY.total_seconds()
        log.info("audit_head", place=head[0], seal=head[1], key=self._key_id)


def _earlier(now: datetime, by: timedelta) -> datetime:
    """The time so long ago; a setting may go back further than the calendar does."""
    try:
        return now - by
    except OverflowError:
        return datetime.min.replace(tzinfo=now.tzinfo)
