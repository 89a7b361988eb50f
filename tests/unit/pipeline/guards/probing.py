"""Cases for guards that look at the world, and an Alertmanager and a Prometheus on the wire that are as tests say."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from remediator.clients.alertmanager import AlertmanagerClient
from remediator.clients.prometheus import PrometheusClient
from remediator.kit.clock import Clock
from remediator.model.alert import Alert, AlertStatus, fingerprint_of
from remediator.model.history import Known, Question
from remediator.model.ids import Digest, Fingerprint, OccurrenceId, OwnerId, RuleId, RunId, StepId
from remediator.model.limits import Limits
from remediator.model.matchers import parse_matcher
from remediator.model.occurrence import Occurrence
from remediator.model.plan import Effect, Mode, Plan, PlannedStep, Verification
from remediator.model.run import Run, Signal
from remediator.model.target import Target
from remediator.pipeline.guards.alert_rules import AlertRules
from remediator.pipeline.guards.asking import Asking
from remediator.pipeline.guards.engine import Guards
from remediator.pipeline.guards.guard import Case, Probe, Review
from remediator.plugins import Actions
from remediator.rules.compiling import compile_rule
from remediator.settings import AlertmanagerSettings, PrometheusSettings
from tests.unit.rules.sample_actions import ACTIONS

AT = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
DOWN = {"alertname": "Down", "service": "web"}


def a_step(
    number: int = 0, *, action: str = "thing.kick", effect: Effect = Effect.CHANGE, **changes: Any
) -> PlannedStep:
    given: dict[str, Any] = {
        "params": {"name": "web"},
        "targets": (Target("thing", ("web",)),),
        "timeout": 20 * SECOND,
        "sentence": f"step {number}",
        **changes,
    }
    return PlannedStep(StepId(f"remediate.0.{number}"), action, effect=effect, idempotent=False, **given)


def a_case(
    *,
    rule: Mapping[str, Any] | None = None,
    actions: Actions = ACTIONS,
    labels: Mapping[str, str] = DOWN,
    signals: Sequence[Signal] = (),
    facts: Sequence[Any] = (),
    steps: Sequence[PlannedStep] | None = None,
    limits: Limits | None = None,
    begun: bool = False,
) -> Case:
    """A plan of one change on one thing, for an alert of a rule; with changes."""
    do = [{"thing.kick": {"name": "web"}}]
    written = {"name": "down", "match": ['alertname="Down"'], "remediate": [{"do": do}], **(rule or {})}
    compiled = compile_rule({"pack": "web", "vars": {}, "rule": written}, actions)
    alert = Alert(fingerprint_of(labels), AlertStatus.FIRING, labels, {}, AT)
    run = Run(
        id=RunId("r1"),
        rule=RuleId("web/down"),
        rule_digest=Digest("d"),
        occurrence=OccurrenceId("o1"),
        alert=alert,
        summary="web is down",
        channel="",
        owner=OwnerId("me"),
        epoch=1,
        created_at=AT,
        facts=tuple(facts),
        signals=tuple(signals),
    )
    minute = 60 * SECOND
    plan = Plan(0, "kick", False, tuple(steps or [a_step()]), Verification(SECOND, SECOND, minute, SECOND, ()))
    return Case(run, compiled, plan, AT, Mode.AUTO, limits or Limits(), begun=begun)


async def review(probe: Probe, case: Case) -> Review:
    """What the engine says that has this guard and no other: without it, it would allow everything."""

    async def look(questions: Sequence[Question]) -> Known:
        raise AssertionError("no guard asks about history here")

    return await Guards((), look, (probe,)).review(case)


class OpenAlerts:
    """The open alerts, as a store tells them."""

    def __init__(self, *found: Occurrence) -> None:
        self.found = found
        self.asked: list[Collection[str]] = []
        """The names that were asked about."""

    async def open_alerts_of(self, run: RunId, *, limit: int) -> tuple[Occurrence, ...]:
        assert "r1" == run
        return self.found[:limit]

    async def open_alerts_named(self, names: Collection[str], *, limit: int) -> tuple[Occurrence, ...]:
        self.asked.append(names)
        return tuple(one for one in self.found if one.labels["alertname"] in names)[:limit]


def an_occurrence(number: int, **labels: str) -> Occurrence:
    return Occurrence(OccurrenceId(f"o{number}"), Fingerprint(f"f{number}"), labels, AT, AT, AT)


@dataclass
class FakeAlertmanager:
    """Answers the questions of guards, or does not."""

    alerts: list[dict[str, Any]] = field(default_factory=list)
    silences: dict[str, dict[str, Any]] = field(default_factory=dict)
    status: int = 200
    hangs: bool = False
    asked: list[str] = field(default_factory=list)
    url: str = ""

    def fire(self, labels: Mapping[str, str], *, silenced: Sequence[str] = (), inhibited: Sequence[str] = ()) -> None:
        status = {"state": "active", "silencedBy": list(silenced), "inhibitedBy": list(inhibited)}
        self.alerts.append({"labels": dict(labels), "status": status})

    def silence(self, name: str, *, by: str, comment: str = "", ends: str = "2026-01-01T13:00:00.000Z") -> None:
        self.silences[name] = {"id": name, "createdBy": by, "comment": comment, "endsAt": ends}

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        if self.hangs:
            await asyncio.Event().wait()
        if self.status != 200:
            return web.json_response("out of cheese", status=self.status)
        if request.path.startswith("/api/v2/silence/"):
            return web.json_response(self.silences[request.path.rpartition("/")[2]])
        matchers = [parse_matcher(text) for text in request.query.getall("filter", [])]
        return web.json_response([a for a in self.alerts if all(m.matches(a["labels"]) for m in matchers)])


World = tuple[FakeAlertmanager, Asking[AlertmanagerClient]]


@asynccontextmanager
async def an_alertmanager(clock: Clock, *, timeout: timedelta = 2 * SECOND) -> AsyncIterator[World]:
    """An Alertmanager, and what guards ask it through."""
    fake = FakeAlertmanager()
    app = web.Application()
    app.router.add_get("/{path:.*}", fake.answer)
    async with TestServer(app) as server:
        client = AlertmanagerClient(AlertmanagerSettings(url=f"http://127.0.0.1:{server.port}", timeout=timeout))
        try:
            yield fake, Asking(client, clock)
        finally:
            await client.close()


@dataclass
class FakePrometheus:
    """Tells of alerting rules, each with its active alerts."""

    rules: list[dict[str, Any]] = field(default_factory=list)
    status: int = 200
    asked: list[str] = field(default_factory=list)

    def rule(self, name: str, *, health: str = "ok", error: str = "") -> dict[str, Any]:
        """One more rule."""
        made = {"name": name, "type": "alerting", "health": health, "lastError": error, "alerts": []}
        self.rules.append(made)
        return made

    def fire(self, labels: Mapping[str, str], *, state: str = "firing", **rule: str) -> None:
        """An alert of a rule of its own."""
        self.rule(labels["alertname"], **rule)["alerts"].append({"labels": dict(labels), "state": state})

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.query.get("rule_name[]", ""))
        if self.status != 200:
            return web.json_response({"error": "out of cheese"}, status=self.status)
        return web.json_response({"status": "success", "data": {"groups": [{"rules": self.rules}]}})


@asynccontextmanager
async def a_prometheus(clock: Clock) -> AsyncIterator[tuple[FakePrometheus, AlertRules]]:
    """A Prometheus, and what guards ask it through."""
    fake = FakePrometheus()
    app = web.Application()
    app.router.add_get("/api/v1/rules", fake.answer)
    async with TestServer(app) as server:
        client = PrometheusClient(PrometheusSettings(url=f"http://127.0.0.1:{server.port}"))
        try:
            yield fake, AlertRules(Asking(client, clock, name="Prometheus"), clock)
        finally:
            await client.close()
