"""PostgreSQL stores that share a database, as processes do, and alerts for them."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from remediator.kit.metrics import Metrics
from remediator.model.alert import Alert, AlertStatus, Delivery
from remediator.model.ids import Digest, Fingerprint, OccurrenceId, OwnerId, RuleId, RunId
from remediator.model.message import Message, Tone
from remediator.model.occurrence import NewRun, Occurrence, Opening, Ruling, Verdict
from remediator.model.priority import Priority
from remediator.settings import StoreSettings
from remediator.storage.postgres import PostgresStore
from remediator.storage.runs import FREE
from remediator.testing.clock import VirtualClock

T0 = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
A, B = OwnerId("a"), OwnerId("b")
RULE = Digest("d" * 64)


@asynccontextmanager
async def opened(url: str, count: int = 1, timeout: str = "20s") -> AsyncIterator[list[PostgresStore]]:
    """So many stores on one database, each like that of a process of its own."""
    async with AsyncExitStack() as stack:
        stores = []
        for _ in range(count):
            folder = Path(stack.enter_context(TemporaryDirectory()))
            settings = StoreSettings.model_validate({"url": url, "directory": folder, "timeout": timeout})
            store = PostgresStore(settings, clock=VirtualClock(T0), metrics=Metrics())
            await store.open()
            stack.push_async_callback(store.close)
            stores.append(store)
        await stores[0].remember_rules({RULE: {"pack": "p"}})
        yield stores


async def fire(store: PostgresStore, *names: str, owner: OwnerId = FREE, severity: str = "") -> None:
    """A run for each name, called like it."""

    def judge(one: Alert, known: Occurrence | None) -> Verdict:
        if known is not None:
            return Verdict(Ruling.REPEATED, hear=True)
        priority = Priority.HIGH if severity == "critical" else Priority.NORMAL
        new = NewRun(RunId(one.name), RuleId("p/r"), RULE, "down", "#c", Message(Tone.FIRING, "x"), "", priority)
        return Verdict(Ruling.OPENED, open=Opening(OccurrenceId(f"o-{one.name}"), (new,)))

    alerts = tuple(Alert(Fingerprint(name), AlertStatus.FIRING, {"alertname": name}, {}, T0) for name in names)
    await store.accept(Delivery(alerts, received_at=T0), judge, owner)
