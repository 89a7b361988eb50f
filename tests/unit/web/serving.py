"""The application on a real loopback socket, with stand-ins for what is behind it; tests say what they put there."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from remediator.kit.clock import SystemClock
from remediator.kit.metrics import Metrics
from remediator.model.alert import Delivery
from remediator.model.ids import OwnerId, RunId
from remediator.model.occurrence import Occurrence
from remediator.model.run import Cancel, Run, RunSummary, Settle, Undo
from remediator.pipeline.approvals import Said, Verdict
from remediator.pipeline.undo.looking import Found
from remediator.pipeline.undo.verdicts import Key
from remediator.settings import Settings
from remediator.web.body import Limits
from remediator.web.health import Health, HealthCheck
from remediator.web.server import Parts, build_app

ADMIN = "a" * 43
PAYLOADS = Path(__file__).parents[2] / "payloads"
FIRING = (PAYLOADS / "recorded-0.25-firing.json").read_bytes()
DEFAULTS = Limits()
Client = TestClient[web.Request, web.Application]


class Nothing:
    """Neither runs nor alerts."""

    async def list_runs(
        self, *, limit: int, outcome: str | None, active: bool, unsettled: bool
    ) -> Sequence[RunSummary]:
        return ()

    def processes(self) -> Mapping[OwnerId, str]:
        return {}

    async def read_run(self, run: RunId, /) -> Run | None:
        return None

    async def decide(self, run: RunId, said: Said, /) -> Verdict | None:
        return None

    async def cancel(self, run: RunId, wish: Cancel, /) -> bool:
        return False

    async def settle(self, run: RunId, word: Settle, /) -> bool:
        return False

    async def look_at_changes(self, run: Run, /) -> Mapping[Key, Found]:
        return {}

    async def undo(self, run: RunId, wish: Undo, /) -> bool:
        return False

    async def list_occurrences(self, *, limit: int, only_open: bool) -> Sequence[Occurrence]:
        return ()

    async def newest_occurrence(self, fingerprint: str, /) -> Occurrence | None:
        return None


async def ignore(delivery: Delivery) -> None:
    del delivery


async def is_ready() -> Health:
    return Health(ready=True)


@asynccontextmanager
async def api(headers: Mapping[str, str] | None = None, **parts: Any) -> AsyncIterator[Client]:
    """A client of the application with these parts; the others know nothing."""
    usual = Parts(
        accept=ignore,
        runs=Nothing(),
        alerts=Nothing(),
        health=is_ready,
        metrics=Metrics(),
        settings=Settings(),
        clock=SystemClock(),
        admin_token=ADMIN,
    )
    async with TestClient(TestServer(build_app(replace(usual, **parts))), headers=headers) as running:
        yield running


def token(value: str = ADMIN) -> dict[str, str]:
    return {"Authorization": f"Bearer {value}"}


@dataclass
class Intake:
    """Stands for the pipeline: it keeps what it accepts, and can be told to hang or to fail."""

    accepted: list[Delivery] = field(default_factory=list)
    error: Exception | None = None
    hang: asyncio.Event | None = None
    cancelled: bool = False
    begun: int = 0

    async def accept(self, delivery: Delivery) -> None:
        self.begun += 1
        if self.hang is not None:
            try:
                await self.hang.wait()
            except asyncio.CancelledError:
                self.cancelled = True
                raise
        if self.error is not None:
            raise self.error
        self.accepted.append(delivery)


async def ready() -> Health:
    return Health(ready=True, checks=(HealthCheck("store", ok=True), HealthCheck("slack", ok=True, degraded=True)))


@dataclass
class Service:
    """A running application with what stands behind it."""

    client: Client
    intake: Intake
    metrics: Metrics

    async def post(self, body: bytes = FIRING, **headers: str) -> tuple[int, dict[str, Any], Any]:
        """Status, body and headers of the answer to a webhook."""
        async with self.client.post("/api/v1/alerts", data=io.BytesIO(body), headers=headers) as answer:
            return answer.status, json.loads(await answer.read()), answer.headers

    def answered(self, status: int) -> float:
        found = self.metrics.registry.get_sample_value("remediator_deliveries_total", {"status": str(status)})
        return found or 0.0

    def refused(self, reason: str) -> float:
        found = self.metrics.registry.get_sample_value("remediator_refused_deliveries_total", {"reason": reason})
        return found or 0.0


@asynccontextmanager
async def serving(
    *,
    limits: Limits = DEFAULTS,
    health: Callable[[], Awaitable[Health]] = ready,
    admit: Callable[[], None] = lambda: None,
    **settings: Any,
) -> AsyncIterator[Service]:
    intake, metrics = Intake(), Metrics()
    parts = Parts(
        accept=intake.accept,
        runs=Nothing(),
        alerts=Nothing(),
        health=health,
        metrics=metrics,
        settings=Settings(**settings),
        clock=SystemClock(),
        admin_token=ADMIN,
        admit=admit,
    )
    async with TestClient(TestServer(build_app(parts, limits=limits))) as client:
        yield Service(client, intake, metrics)


async def until(condition: Callable[[], bool]) -> None:
    """Poll, with a generous deadline."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.005)
