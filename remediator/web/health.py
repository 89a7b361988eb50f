"""The three pages for machines that watch us: alive, ready, metrics. Probes and Prometheus ask for them.

They need no token, so they must never show what an alert says: metrics are labelled by rules, actions,
outcomes and statuses only, all of them the operator's words or ours, and a check's detail is written by us.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass

import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from remediator.kit.metrics import Metrics

_PATIENCE = 5.0  # seconds; a probe gives up soon after

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """One thing that was looked at. `degraded`: it works, but somebody should look."""

    name: str
    ok: bool
    degraded: bool = False
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """Whether alerts can be accepted now, and what was looked at to say so."""

    ready: bool
    checks: tuple[HealthCheck, ...] = ()


class HealthPages:
    """Answers `/healthz`, `/readyz` and `/metrics`."""

    def __init__(self, health: Callable[[], Awaitable[Health]], metrics: Metrics) -> None:
        self._health = health
        self._metrics = metrics

    async def alive(self, request: web.Request) -> web.Response:
        """200 as long as the loop turns."""
        del request
        return web.json_response({"status": "ok"})

    async def ready(self, request: web.Request) -> web.Response:
        """200 or 503, with the checks."""
        del request
        health = await self._look()
        return web.json_response(
            {"ready": health.ready, "checks": [asdict(check) for check in health.checks]},
            status=200 if health.ready else 503,
        )

    async def _look(self) -> Health:
        """What the checks say; that they cannot be carried out is an answer too."""
        try:
            async with asyncio.timeout(_PATIENCE):
                return await self._health()
        except TimeoutError:
            return Health(ready=False, checks=(HealthCheck("checks", ok=False, detail="the checks take too long"),))
        except Exception:
            # Not being able to tell is not being ready.
            log.exception("health_checks_failed")
            return Health(
                ready=False,
                checks=(HealthCheck("checks", ok=False, detail="the checks failed; see the log"),),
            )

    async def metrics(self, request: web.Request) -> web.Response:
        """Every metric, in Prometheus' text format."""
        del request
        return web.Response(body=self._metrics.exposition(), headers={"Content-Type": CONTENT_TYPE_LATEST})
