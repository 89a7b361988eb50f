"""Whether an alert still fires, as a real Prometheus tells it, where there is no Alertmanager to ask."""

from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web

from remediator.clients.prometheus import PrometheusClient
from remediator.errors import Unavailable
from remediator.kit.clock import SystemClock
from remediator.model.ids import RunId
from remediator.model.occurrence import Occurrence
from remediator.model.outcome import Reason
from remediator.pipeline.guards import Allow, Ask, Hold, Refuse, Review
from remediator.pipeline.guards.alert_rules import AlertRules
from remediator.pipeline.guards.asking import Asking
from remediator.pipeline.guards.dependencies import Dependencies
from remediator.pipeline.guards.still_true import StillTrue
from remediator.settings import PrometheusSettings
from tests import services
from tests.unit.pipeline.guards.probing import a_case, review

TWO = 'label_replace(vector(1), "n", "1", "", "") or label_replace(vector(1), "n", "2", "", "")'
RULES: list[dict[str, Any]] = [
    {"alert": "InstanceDown", "expr": 'up{job="given"} == 0', "labels": {"severity": "critical"}},
    {"alert": "RedisDown", "expr": "vector(1)", "labels": {"cluster": "main"}},
    {"alert": "Quiet", "expr": "vector(0) > 1"},
    {"alert": "Slow", "expr": "vector(1)", "for": "1h"},
    {"alert": "Broken", "expr": f"({TWO}) * on() ({TWO})"},
]


class Nothing:
    """A store that has nothing open but the run's own alert."""

    async def open_alerts_of(self, run: RunId, *, limit: int) -> tuple[Occurrence, ...]:
        raise AssertionError("the rule does not group")

    async def open_alerts_named(self, names: Collection[str], *, limit: int) -> tuple[Occurrence, ...]:
        return ()


@pytest.fixture(scope="module")
def port() -> int:
    """Where something is scraped that is not there."""
    return services.free_port()


@pytest.fixture(scope="module")
def prometheus(port: int) -> Iterator[services.Service]:
    services.requires("prometheus")
    groups = [{"name": rule["alert"], "interval": "1s", "rules": [rule]} for rule in RULES]
    with services.prometheus(rules={"groups": groups}, scrape=[f"127.0.0.1:{port}"]) as running:
        yield running


@pytest.fixture
async def client(prometheus: services.Service) -> AsyncIterator[PrometheusClient]:
    made = PrometheusClient(PrometheusSettings(url=prometheus.address))
    yield made
    await made.close()


def rules_of(client: PrometheusClient) -> AlertRules:
    """Without an answer that is a moment old."""
    return AlertRules(Asking(client, SystemClock(), name="Prometheus"), SystemClock())


async def still_true(client: PrometheusClient, **labels: str) -> Review:
    return await review(StillTrue(Nothing(), None, rules_of(client)), a_case(labels=labels))


async def settled(client: PrometheusClient, expected: type[Review], **labels: str) -> Review:
    """What the guard says once Prometheus has worked out what fires."""
    for _ in range(20_000):
        said = await still_true(client, **labels)
        if isinstance(said, expected):
            return said
    pytest.fail(f"it never became {expected.__name__}: {said}")


@asynccontextmanager
async def something_to_scrape(port: int) -> AsyncIterator[None]:
    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(text="up_and_well 1\n")

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield
    finally:
        await runner.cleanup()


async def test_it_fires_until_it_resolves(client: PrometheusClient, port: int) -> None:
    """Right before each step; the labels that are added on sending are on our alert alone."""
    here = {"alertname": "InstanceDown", "instance": f"127.0.0.1:{port}", "job": "given", "severity": "critical"}
    await settled(client, Allow, **here)
    sent = await still_true(client, **here, cluster="main")
    other = await still_true(client, **{**here, "instance": "127.0.0.1:1"})
    async with something_to_scrape(port):
        over = await settled(client, Refuse, **here)

    assert Allow() == sent
    for said in (other, over):
        assert isinstance(said, Refuse)
        assert Reason.NOT_FIRING is said.reason


@pytest.mark.parametrize(
    ("name", "expected", "why"),
    [
        ("Quiet", Refuse, "Prometheus does not have it firing now"),
        ("Slow", Hold, "in Prometheus it is pending"),
        ("Broken", Ask, "Prometheus cannot work out its rule Broken: "),
        ("Unheard", Ask, "Prometheus has no rule for alerts called Unheard"),
        ("RedisDown", Ask, "it has also cluster, which are not on this alert"),
        ("", Ask, "Prometheus has no rule for alerts called (no name)"),
    ],
)
async def test_what_it_does_not_have_firing_goes_on_nowhere(
    client: PrometheusClient, name: str, expected: type[Review], why: str
) -> None:
    """Each for its own reason."""
    said = await settled(client, expected, alertname=name, service="web")

    assert not isinstance(said, Allow)
    assert why in said.detail


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        (['alertname="RedisDown"', 'cluster="main"'], Reason.DEPENDENCY_DOWN),
        (['alertname=~"Quiet|RedisDown"', 'cluster!="b"'], Reason.DEPENDENCY_DOWN),
        (['alertname="RedisDown"', 'zone="a"'], Reason.DEPENDENCY_UNCERTAIN),
        (['alertname="RedisDown"', 'cluster="b"'], None),
        (['alertname="Slow"'], None),
        (['alertname="Unheard"'], None),
    ],
    ids=["equal", "unequal", "a label that it does not tell", "another cluster", "pending", "no rule"],
)
async def test_a_dependency_that_fires_there_holds(
    client: PrometheusClient, match: list[str], expected: Reason | None
) -> None:
    """It may never have been sent here."""
    await settled(client, Allow, alertname="RedisDown", cluster="main")
    guard = Dependencies(Nothing(), None, rules_of(client))

    said = await review(guard, a_case(rule={"depends": [{"match": match}]}))

    assert expected is (said.reason if isinstance(said, Hold) else None)


async def test_a_prometheus_that_hangs_holds_for_its_own_time_limit(prometheus: services.Service) -> None:
    """Neither is it an answer, nor does anybody wait for long."""
    client = PrometheusClient(PrometheusSettings(url=prometheus.address, timeout=timedelta(milliseconds=200)))
    prometheus.freeze()
    try:
        with pytest.raises(Unavailable):
            await client.alert_rules("Quiet")
        said = await still_true(client, alertname="Quiet")
    finally:
        prometheus.thaw()
        await client.close()

    assert isinstance(said, Hold)
    assert Reason.ALERT_UNCERTAIN is said.reason
