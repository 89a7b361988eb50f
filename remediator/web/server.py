"""The HTTP application: its routes, what it is given, and how every failure becomes a short answer.

Built by the composition root. The webhook's promise is kept here: 202 only after `accept` has returned, 503
for whatever another try may mend, and never a word about our insides. Nothing here knows store or pipeline.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from remediator.errors import Mistaken, StoreUnavailable
from remediator.kit.clock import Clock
from remediator.kit.metrics import Metrics
from remediator.model.alert import Delivery
from remediator.settings import Settings
from remediator.web.api import AlertPages, AlertReader, RunPages, RunReader
from remediator.web.auth import Callers
from remediator.web.body import Bodies, Hold, Limits, unavailable
from remediator.web.health import Health, HealthPages
from remediator.web.webhook import parse_delivery

_MAX_ERROR = 200  # characters; errors of the webhook land in Alertmanager's log

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the application is made of."""

    accept: Callable[[Delivery], Awaitable[None]]  # returns once all of it is on disk; raises StoreUnavailable
    runs: RunReader
    alerts: AlertReader
    health: Callable[[], Awaitable[Health]]
    metrics: Metrics
    settings: Settings
    clock: Clock
    admin_token: str = field(repr=False)


def build_app(parts: Parts, *, limits: Limits = Limits()) -> web.Application:  # noqa: B008 - frozen
    """The application, ready for a runner. Its clean-up waits for deliveries that are still being stored."""
    callers = Callers(parts.settings.webhook, admin_token=parts.admin_token)
    max_bytes = parts.settings.webhook.max_body_mib * 1024 * 1024
    bodies = Bodies(limits, largest=max_bytes)
    receiver = Receiver(parts, callers, bodies, max_bytes=max_bytes)
    runs = RunPages(parts.runs, parts.clock, bodies, hold_timeout=parts.settings.pipeline.hold_timeout)
    alerts = AlertPages(parts.alerts)
    pages = HealthPages(parts.health, parts.metrics)
    # Bodies are decompressed by `body.py`, within its bounds. A request whose sender has hung up is ended: aiohttp
    # would wait for the rest of its body otherwise. Storing is a task of its own, so nothing stops half-way.
    server = {"auto_decompress": False, "handler_cancellation": True}
    app = web.Application(middlewares=[answer_errors], handler_args=server)
    app.router.add_post("/api/v1/alerts", receiver.receive)
    app.router.add_get("/api/v1/alerts", _for_admins(callers, alerts.list))
    app.router.add_get("/api/v1/alerts/{fingerprint}", _for_admins(callers, alerts.show))
    app.router.add_get("/api/v1/runs", _for_admins(callers, runs.list))
    app.router.add_get("/api/v1/runs/{id}", _for_admins(callers, runs.show))
    app.router.add_post("/api/v1/runs/{id}/decision", _for_admins(callers, runs.decide))
    app.router.add_post("/api/v1/runs/{id}/cancel", _for_admins(callers, runs.cancel))
    app.router.add_post("/api/v1/runs/{id}/settle", _for_admins(callers, runs.settle))
    app.router.add_get("/healthz", pages.alive)
    app.router.add_get("/readyz", pages.ready)
    app.router.add_get("/metrics", pages.metrics)
    app.on_cleanup.append(receiver.finish)
    return app


def _for_admins(callers: Callers, handler: Handler) -> Handler:
    async def checked(request: web.Request) -> web.StreamResponse:
        callers.check_admin(request.headers)
        return await handler(request)

    return checked


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every exception into a short JSON answer."""
    try:
        return await handler(request)
    except Exception as error:
        return answer_to(error)


def answer_to(error: Exception, *, unexpected: int = 500) -> web.Response:
    """The answer that fits an exception; an unforeseen one is logged whole and answered without detail."""
    match error:
        case web.HTTPException():
            kept = {name: value for name, value in error.headers.items() if name != "Content-Type"}
            return _error(error.status, error.text or error.reason, kept)
        case StoreUnavailable():
            log.warning("store_unavailable", error=str(error))
            retry_after = max(round(error.retry_after.total_seconds()), 1)
            return _error(503, "the store cannot be written or read now", {"Retry-After": str(retry_after)})
        case Mistaken():
            return _error(400, str(error), {})
        case _:
            log.error("request_failed", exc_info=error)
            headers = {"Retry-After": "5"} if unexpected == web.HTTPServiceUnavailable.status_code else {}
            return _error(unexpected, "something went wrong here; see the service's log", headers)


def _error(status: int, what: str, headers: dict[str, str]) -> web.Response:
    printable = "".join(c if c.isprintable() else "?" for c in what[:_MAX_ERROR])
    return web.json_response({"error": printable}, status=status, headers=headers)


class Receiver:
    """Answers the webhook."""

    def __init__(self, parts: Parts, callers: Callers, bodies: Bodies, *, max_bytes: int) -> None:
        self._accept = parts.accept
        self._metrics = parts.metrics
        self._clock = parts.clock
        self._callers = callers
        self._bodies = bodies
        self._max_bytes = max_bytes
        self._accept_timeout = parts.settings.webhook.accept_timeout.total_seconds()
        self._stop_grace = parts.settings.pipeline.stop_grace.total_seconds()
        self._storing: set[asyncio.Task[None]] = set()

    async def receive(self, request: web.Request) -> web.Response:
        """202 once the delivery is on disk; 503 for whatever another try may mend; 4xx for what it cannot."""
        try:
            await self._take_in(request)
            answer = web.Response(status=202, body=b"{}", content_type="application/json")
        except Exception as error:
            answer = answer_to(error, unexpected=503)
        self._metrics.deliveries.labels(status=str(answer.status)).inc()
        return answer

    async def _take_in(self, request: web.Request) -> None:
        self._callers.check_sender(request.headers)
        async with self._bodies.hold() as hold:
            body = await self._bodies.read(request, hold, max_bytes=self._max_bytes)
            began = self._clock.monotonic()
            delivery = await self._bodies.parse(body, partial(parse_delivery, received_at=self._clock.now()))
            if delivery.alerts:
                await self._store(delivery, hold)
            self._metrics.accept_seconds.observe(self._clock.monotonic() - began)

    async def _store(self, delivery: Delivery, hold: Hold) -> None:
        """Wait until it is on disk. Giving up the wait does not stop the writing: half of it may be done."""
        task = asyncio.create_task(self._carry(delivery), name="store a delivery")
        self._storing.add(task)
        task.add_done_callback(self._storing.discard)
        hold.until(task)
        try:
            done, _ = await asyncio.wait((task,), timeout=self._accept_timeout)
        except asyncio.CancelledError:
            task.add_done_callback(_tell_late)
            raise
        if not done:
            task.add_done_callback(_tell_late)
            raise unavailable("storing the alerts takes too long; send them again")
        task.result()

    async def _carry(self, delivery: Delivery) -> None:
        await self._accept(delivery)

    async def finish(self, app: web.Application) -> None:
        """Wait for what is still being stored; what is not within `pipeline.stop_grace` is cancelled."""
        del app
        if not self._storing:
            return
        _, late = await asyncio.wait(tuple(self._storing), timeout=self._stop_grace)
        for task in late:
            log.error("delivery_given_up", task=task.get_name(), waited=self._stop_grace)
            task.cancel()
        if late:
            await asyncio.wait(late)


def _tell_late(task: asyncio.Task[None]) -> None:
    """How a delivery ended that was answered 503 meanwhile; it will be sent again either way."""
    error = None if task.cancelled() else task.exception()
    if task.cancelled() or error is not None:
        log.warning("delivery_not_stored_after_all", error=repr(error) if error else "cancelled")
    else:
        log.info("delivery_stored_late")
