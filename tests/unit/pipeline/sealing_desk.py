"""A store with an audit journal, a folder beside it, and who seals: for the tests of both."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from remediator.kit.metrics import Metrics
from remediator.model.audit import AuditEntry, Part, key_id
from remediator.model.chain import check_chain
from remediator.pipeline.noted_head import HeadFile
from remediator.pipeline.sealing import Sealer
from remediator.storage.sqlite import SqliteStore
from remediator.testing.clock import VirtualClock

KEY = b"k" * 43
T0 = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)


class Desk:
    """All of it."""

    def __init__(self, store: SqliteStore, clock: VirtualClock, metrics: Metrics, keep: timedelta, folder: Path):
        self.store, self.clock, self.metrics, self.folder = store, clock, metrics, folder
        self.leads = True
        self._keep = keep
        self.sealer = self.restarted()

    def restarted(self, key: bytes = KEY) -> Sealer:
        """Another process goes on."""
        file = HeadFile(self.folder)
        self.sealer = Sealer(self.store, key, self.clock, self.metrics, file, keep=self._keep, leads=lambda: self.leads)
        return self.sealer

    async def enter(self, count: int = 1) -> None:
        await self.store.audit([AuditEntry(self.clock.now(), "started", "remediator", "service")] * count)

    async def cut(self, place: int) -> None:
        """Remove the end of the chain, as whoever owns the store can."""
        await self.store._write(lambda db: db.execute("DELETE FROM audit WHERE place >= ?", (place,)).rowcount)

    def gauge(self, name: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"remediator_audit_{name}")

    async def check(self) -> str:
        entries = await self.store.audit_page(after=0, limit=10_000, part=Part.SEALED)
        return check_chain(entries, keys={key_id(KEY): KEY}, begins=await self.store.audit_begin()).finding


@asynccontextmanager
async def desk(keep: timedelta = 365 * DAY) -> AsyncIterator[Desk]:
    clock, metrics = VirtualClock(T0), Metrics()
    store = SqliteStore(None, clock=clock, metrics=metrics)
    await store.open()
    with TemporaryDirectory() as folder:
        yield Desk(store, clock, metrics, keep, Path(folder))
    await store.close()
