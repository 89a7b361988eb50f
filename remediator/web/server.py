"""The HTTP application: its routes, what it is given, and how every failure becomes a short answer.

Built by the composition root. The webhook's promise is kept here: 202 only after `accept` has returned, 503
for whatever another try may mend, and never a word about our insides. Nothing here knows store or pipeline.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cache, partial

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from remediator.errors import Mistaken, Overloaded, StoreUnavailable, Transient
from remediator.kit.clock import Clock
from remediator.kit.metrics import Metrics
from remediator.model.alert import Delivery
from remediator.pipeline.people import People
from remediator.settings import Settings
from remediator.web.api import AlertPages, AlertReader, RunPages, RunReader
from remediator.web.auth import Callers
from remediator.web.body import Bodies, Limits
from remediator.web.breakers import BreakerPages, Breakers
from remediator.web.escalations import EscalationKeeper, EscalationPages
from remediator.web.health import Health, HealthPages
from remediator.web.listening import Connections
from remediator.web.rerun import Rerunner, RerunPages
from remediator.web.stops import StopKeeper, StopPages
from remediator.web.storing import Storing
from remediator.web.webhook import parse_delivery

_MAX_ERROR = 200  # characters; errors of the webhook land in Alertmanager's log
_KEEP_ALIVE = 75.0  # seconds for the next request's first line and headers, on a connection new or old

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
    admit: Callable[[], None] = lambda: None  # asked before a delivery is read; raises Overloaded while none is taken
    breakers: Breakers | None = None
    stops: StopKeeper | None = None
    escalations: EscalationKeeper | None = None
    reruns: Rerunner | None = None
    connections: Connections | None = None  # where who listens wants to know what is under way


def build_app(parts: Parts, *, limits: Limits = Limits()) -> web.Application:  # noqa: B008 - frozen
    """The application, ready for a runner. Its clean-up waits for deliveries that are still being stored."""
    callers = Callers(parts.settings.webhook, admin_token=parts.admin_token)
    max_bytes = parts.settings.webhook.max_body_mib * 1024 * 1024
    bodies = Bodies(limits, largest=max_bytes)
    receiver = Receiver(parts, callers, bodies, max_bytes=max_bytes)
    people = People(parts.settings.people, parts.settings.approval)
    runs = RunPages(parts.runs, people, parts.clock, bodies, hold_timeout=parts.settings.pipeline.hold_timeout)
    alerts = AlertPages(parts.alerts)
    pages = HealthPages(parts.health, parts.metrics)
    # Bodies are decompressed by `body.py`, within its bounds. A request whose sender has hung up is ended: aiohttp
    # would wait for the rest of its body otherwise. Storing is a task of its own, so nothing stops half-way.
    server = {"auto_decompress": False, "handler_cancellation": True, "keepalive_timeout": _KEEP_ALIVE}
    noting = [parts.connections.note] if parts.connections is not None else []
    app = web.Application(middlewares=[*noting, answer_errors], handler_args=server)
    app.router.add_post("/api/v1/alerts", receiver.receive)
    app.router.add_get("/api/v1/alerts", _for_admins(callers, alerts.list))
    app.router.add_get("/api/v1/alerts/{fingerprint}", _for_admins(callers, alerts.show))
    app.router.add_get("/api/v1/runs", _for_admins(callers, runs.list))
    app.router.add_get("/api/v1/runs/{id}", _for_admins(callers, runs.show))
    app.router.add_post("/api/v1/runs/{id}/decision", _for_admins(callers, runs.decide))
    app.router.add_post("/api/v1/runs/{id}/cancel", _for_admins(callers, runs.cancel))
    app.router.add_post("/api/v1/runs/{id}/settle", _for_admins(callers, runs.settle))
    app.router.add_get("/api/v1/runs/{id}/undo", _for_admins(callers, runs.show_undo))
    app.router.add_post("/api/v1/runs/{id}/undo", _for_admins(callers, runs.undo))
    if parts.breakers is not None:
        breakers = BreakerPages(parts.breakers, bodies)
        app.router.add_get("/api/v1/breakers", _for_admins(callers, breakers.list))
        app.router.add_post("/api/v1/breakers/reset", _for_admins(callers, breakers.reset))
    if parts.stops is not None:
        stops = StopPages(parts.stops, bodies)
        app.router.add_get("/api/v1/stops", _for_admins(callers, stops.list))
        app.router.add_post("/api/v1/stops/pause", _for_admins(callers, stops.pause))
        app.router.add_post("/api/v1/stops/lift", _for_admins(callers, stops.lift))
    if parts.escalations is not None:
        escalations = EscalationPages(parts.escalations, bodies)
        app.router.add_get("/api/v1/escalations", _for_admins(callers, escalations.list))
        app.router.add_post("/api/v1/runs/{id}/acknowledge", _for_admins(callers, escalations.acknowledge))
    if parts.reruns is not None:
        reruns = RerunPages(parts.reruns, bodies)
        app.router.add_post("/api/v1/runs/{id}/rerun", _for_admins(callers, reruns.of_run))
        app.router.add_post("/api/v1/alerts/{fingerprint}/rerun", _for_admins(callers, reruns.of_alert))
    app.router.add_get("/healthz", pages.alive)
    app.router.add_get("/readyz", pages.ready)
    app.router.add_get("/metrics", pages.metrics)
    app.on_shutdown.append(runs.stop)
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
        if isinstance(error, StoreUnavailable):
            log.warning("store_unavailable", error=str(error))
        return answer_to(error)


def answer_to(error: Exception, *, unexpected: int = 500) -> web.Response:
    """The answer that fits an exception; an unforeseen one is logged whole and answered without detail."""
    match error:
        case web.HTTPException():
            kept = {name: value for name, value in error.headers.items() if name != "Content-Type"}
            return _error(error.status, error.text or error.reason, kept)
        case Overloaded():
            return _error(503, str(error), _later(error), reason=error.reason)
        case StoreUnavailable():
            return _error(503, "the store cannot be written or read now", _later(error), reason="store")
        case Mistaken():
            return _error(400, str(error), {})
        case _:
            log.error("request_failed", exc_info=error)
            headers = {"Retry-After": "5"} if unexpected == web.HTTPServiceUnavailable.status_code else {}
            return _error(unexpected, "something went wrong here; see the service's log", headers)


def _later(error: Transient) -> dict[str, str]:
    """Alertmanager goes by its own times, other senders by this."""
    return {"Retry-After": str(max(round(error.retry_after.total_seconds()), 1))}


def _error(status: int, what: str, headers: dict[str, str], *, reason: str = "") -> web.Response:
    printable = "".join(c if c.isprintable() else "?" for c in what[:_MAX_ERROR])
    said = {"error": printable, "reason": reason} if reason else {"error": printable}
    return web.json_response(said, status=status, headers=headers)


class Receiver:
    """Answers the webhook."""

    def __init__(self, parts: Parts, callers: Callers, bodies: Bodies, *, max_bytes: int) -> None:
        self._accept = parts.accept
        self._admit = parts.admit
        self._metrics = parts.metrics
        self._clock = parts.clock
        self._callers = callers
        self._bodies = bodies
        self._max_bytes = max_bytes
        self._storing = Storing(self._carry, patience=parts.settings.webhook.accept_timeout.total_seconds())
        self._stop_grace = parts.settings.pipeline.stop_grace.total_seconds()
        self._is_store_away = False
        self._answered = cache(lambda status: parts.metrics.deliveries.labels(status=str(status)))

    async def receive(self, request: web.Request) -> web.Response:
        """202 once the delivery is on disk; 503 for whatever another try may mend; 4xx for what it cannot."""
        try:
            await self._take_in(request)
            answer = web.Response(status=202, body=b"{}", content_type="application/json")
        except Exception as error:
            self._note(error)
            answer = answer_to(error, unexpected=503)
        self._answered(answer.status).inc()
        return answer

    def _note(self, error: Exception) -> None:
        """Count what another try may mend. A store that is away is logged once: senders try again many times."""
        match error:
            case web.HTTPException() | Mistaken():
                return
            case Overloaded():
                reason = error.reason
            case StoreUnavailable():
                reason = "store"
                if not self._is_store_away:
                    self._is_store_away = True
                    log.warning("store_unavailable", error=str(error))
            case _:
                reason = "fault"
        self._metrics.refused.labels(reason).inc()

    async def _take_in(self, request: web.Request) -> None:
        self._callers.check_sender(request.headers)
        self._admit()
        self._storing.refuse_behind_slow_ones()
        async with self._bodies.hold() as hold:
            body = await self._bodies.read(request, hold, max_bytes=self._max_bytes)
            began = self._clock.monotonic()
            delivery = await self._bodies.parse(body, hold, partial(parse_delivery, received_at=self._clock.now()))
            del body  # what was made of it is several times as large, and is kept until it is on disk
            if delivery.alerts:
                await self._storing.store(delivery, hold)
            self._metrics.accept_seconds.observe(self._clock.monotonic() - began)

    async def _carry(self, delivery: Delivery) -> None:
        await self._accept(delivery)
        if self._is_store_away:
            self._is_store_away = False
            log.info("store_answers_again")

    async def finish(self, app: web.Application) -> None:
        """Wait for what is still being stored; what is not within `pipeline.stop_grace` is cancelled."""
        del app
        await self._storing.finish(grace=self._stop_grace)
