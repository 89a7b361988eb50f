"""The HTTP application: its routes, what it is given, and how every failure becomes a short answer.

Built by the composition root. The webhook's promise is kept here: 202 only after `accept` has returned, 503
for whatever another try may mend, and never a word about our insides. Nothing here knows store or pipeline.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache, partial

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler

from remediator.errors import Mistaken, Overloaded, StoreUnavailable, Transient
from remediator.kit.clock import Clock
from remediator.kit.metrics import Metrics
from remediator.model.alert import Delivery
from remediator.model.ids import RunId
from remediator.pipeline.people import People
from remediator.settings import Settings
from remediator.storage.reading import PostState
from remediator.web.api import AlertPages, AlertReader, RunPages, RunReader
from remediator.web.approvals import ApprovalPages
from remediator.web.audit import AuditPages, AuditReader
from remediator.web.auth import Callers, Senders
from remediator.web.body import Bodies, Limits
from remediator.web.breakers import BreakerPages, Breakers
from remediator.web.escalations import EscalationKeeper, EscalationPages
from remediator.web.health import Health, HealthPages
from remediator.web.limits import LimitPages, UsageTeller
from remediator.web.listening import Connections
from remediator.web.rerun import Rerunner, RerunPages
from remediator.web.routes import Routes
from remediator.web.slack.inbox import SlackInbox
from remediator.web.slack.pages import SlackPages
from remediator.web.slack.signature import Signatures
from remediator.web.starting import Starter, StartPages
from remediator.web.stops import StopKeeper, StopPages
from remediator.web.storing import Storing
from remediator.web.tokens import TokenKeeper, TokenPages
from remediator.web.webhook import parse_delivery

_MAX_ERROR = 200  # characters; errors of the webhook land in Alertmanager's log
_MAX_LINE = 16 * 1024  # bytes of a request's first line: all that the API takes as parameters, percent-encoded
_KEEP_ALIVE = 75.0  # seconds for the next request's first line and headers, on a connection new or old

_SLACKS = Limits(held=64 * 1024 * 1024, time=timedelta(seconds=3), ahead=False)
"""Whose a body is shows at its end, so anybody may begin one: none of that is taken from alerts or the API, and nobody
may take longer than Slack itself waits for its answer."""

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
    audit: AuditReader | None = None
    starts: Starter | None = None
    told: Callable[[RunId], Awaitable[Sequence[PostState]]] | None = None  # the messages of a run
    slack: SlackInbox | None = None  # what comes from Slack over HTTP is taken where there is a signing secret, too
    tokens: TokenKeeper | None = None
    usage: UsageTeller | None = None
    connections: Connections | None = None  # where who listens wants to know what is under way


def build_app(parts: Parts, *, limits: Limits = Limits()) -> web.Application:  # noqa: B008 - frozen
    """The application, ready for a runner. Its clean-up waits for deliveries that are still being stored."""
    people = People(parts.settings.people, parts.settings.approval)
    callers = Callers(
        people,
        parts.clock,
        parts.metrics,
        admin_token=parts.admin_token,
        tokens=parts.tokens,
        api=parts.settings.api,
    )
    max_bytes = parts.settings.webhook.max_body_mib * 1024 * 1024
    bodies = Bodies(limits, largest=max_bytes)
    receiver = Receiver(parts, Senders(parts.settings.webhook), bodies, max_bytes=max_bytes)
    standing = parts.stops.standing if parts.stops is not None else None
    hold_timeout = parts.settings.pipeline.hold_timeout
    runs = RunPages(parts.runs, parts.clock, bodies, hold_timeout=hold_timeout, standing=standing, told=parts.told)
    alerts = AlertPages(parts.alerts)
    pages = HealthPages(parts.health, parts.metrics)
    # Bodies are decompressed by `body.py`, within its bounds. A request whose sender has hung up is ended: aiohttp
    # would wait for the rest of its body otherwise. Storing is a task of its own, so nothing stops half-way.
    server = {
        "auto_decompress": False,
        "handler_cancellation": True,
        "keepalive_timeout": _KEEP_ALIVE,
        "max_line_size": _MAX_LINE,
        "logger": _logger(),
    }
    noting = [parts.connections.note] if parts.connections is not None else []
    app = web.Application(middlewares=[*noting, answer_errors], handler_args=server)
    routes = Routes(app, callers)
    routes.add("POST /api/v1/alerts", receiver.receive)
    routes.add("GET /api/v1/alerts", alerts.list)
    routes.add("GET /api/v1/alerts/{fingerprint}", alerts.show)
    routes.add("GET /api/v1/runs", runs.list)
    routes.add("GET /api/v1/runs/{id}", runs.show)
    routes.add("POST /api/v1/runs/{id}/decision", runs.decide)
    routes.add("POST /api/v1/runs/{id}/cancel", runs.cancel)
    routes.add("POST /api/v1/runs/{id}/settle", runs.settle)
    routes.add("GET /api/v1/runs/{id}/undo", runs.show_undo)
    routes.add("POST /api/v1/runs/{id}/undo", runs.undo)
    _add_api(routes, parts, people, bodies)
    _add_slack(routes, parts)
    routes.add("GET /healthz", pages.alive)
    routes.add("GET /readyz", pages.ready)
    routes.add("GET /metrics", pages.metrics)
    routes.tell("GET /api/v1/openapi.json")
    app.on_shutdown.append(runs.stop)
    app.on_cleanup.append(receiver.finish)
    return app


def _logger() -> logging.Logger:
    """aiohttp's, for what it answers by itself."""
    logger = logging.getLogger("aiohttp.server")
    logger.addFilter(_without_malformed)  # the same one is added once
    return logger


def _without_malformed(record: logging.LogRecord) -> bool:
    """What is no HTTP is answered 400 and not logged: anybody can send it, and each would be an error with a trace."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError)


def _add_api(routes: Routes, parts: Parts, people: People, bodies: Bodies) -> None:
    """What the API has besides runs and alerts."""
    if parts.breakers is not None:
        breakers = BreakerPages(parts.breakers, bodies)
        routes.add("GET /api/v1/breakers", breakers.list)
        routes.add("POST /api/v1/breakers/reset", breakers.reset)
    if parts.stops is not None:
        stops = StopPages(parts.stops, bodies)
        routes.add("GET /api/v1/stops", stops.list)
        routes.add("POST /api/v1/stops/pause", stops.pause)
        routes.add("POST /api/v1/stops/lift", stops.lift)
    if parts.usage is not None:
        routes.add("GET /api/v1/limits", LimitPages(parts.usage).show)
    if parts.escalations is not None:
        escalations = EscalationPages(parts.escalations, bodies)
        routes.add("GET /api/v1/escalations", escalations.list)
        routes.add("POST /api/v1/runs/{id}/acknowledge", escalations.acknowledge)
    approvals = ApprovalPages(parts.runs, bodies)
    routes.add("GET /api/v1/approvals", approvals.list)
    routes.add("POST /api/v1/approvals/decision", approvals.decide)
    if parts.starts is not None:
        routes.add("POST /api/v1/runs", StartPages(parts.starts, bodies).start)
    if parts.reruns is not None:
        reruns = RerunPages(parts.reruns, bodies)
        routes.add("POST /api/v1/runs/{id}/rerun", reruns.of_run)
        routes.add("POST /api/v1/alerts/{fingerprint}/rerun", reruns.of_alert)
    if parts.audit is not None:
        routes.add("GET /api/v1/audit", AuditPages(parts.audit).list)
    if parts.tokens is not None:
        tokens = TokenPages(parts.tokens, people, parts.clock, bodies)
        routes.add("GET /api/v1/tokens", tokens.list)
        routes.add("POST /api/v1/tokens", tokens.make)
        routes.add("POST /api/v1/tokens/{id}/revoke", tokens.revoke)


def _add_slack(routes: Routes, parts: Parts) -> None:
    secret = parts.settings.slack.signing_secret
    if parts.slack is None or secret is None:
        return
    signatures = Signatures(secret.get_secret_value(), parts.clock)
    slack = SlackPages(parts.slack, signatures, Bodies(_SLACKS), parts.metrics)
    routes.add("POST /slack/interactions", slack.interactions)
    routes.add("POST /slack/commands", slack.commands)


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

    def __init__(self, parts: Parts, senders: Senders, bodies: Bodies, *, max_bytes: int) -> None:
        self._accept = parts.accept
        self._admit = parts.admit
        self._metrics = parts.metrics
        self._clock = parts.clock
        self._senders = senders
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
        self._senders.check(request.headers)
        self._admit()
        self._storing.refuse_behind_slow_ones()
        async with self._bodies.hold() as hold:
            body = await self._bodies.read(request, hold, max_bytes=self._max_bytes, setting="webhook.max_body_mib")
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
