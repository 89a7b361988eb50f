"""`prometheus.query` against a real Prometheus."""

import math
from datetime import UTC, datetime, timedelta

import pytest

from remediator.actions import prometheus
from remediator.clients import Clients
from remediator.clients.prometheus import PrometheusClient, Sample
from remediator.errors import Failed, NotAllowed, Unavailable
from remediator.kit.clock import SystemClock
from remediator.model.ids import StepId
from remediator.plugins import ActionContext
from remediator.settings import PrometheusSettings, Settings
from tests import services


async def ask(url: str | None, query: str) -> prometheus.Queried:
    clients = Clients(Settings(prometheus=PrometheusSettings(url=url)))
    ctx = ActionContext(clients, SystemClock(), StepId("diagnose.x"), datetime.now(UTC) + timedelta(minutes=1))
    try:
        found = await prometheus.query.perform(ctx, prometheus.QueryParams(query=query))
    finally:
        await clients.close()
    assert isinstance(found, prometheus.Queried)
    return found


async def test_a_scalar_is_its_value(prometheus_url: str) -> None:
    """`result.value` is what most checks compare."""
    found = await ask(prometheus_url, "scalar(vector(41)) + 1")

    assert (42.0, 1, {}) == (found.value, found.count, found.samples[0].labels)
    assert "42" == found.brief()


async def test_a_vector_keeps_its_labels(prometheus_url: str) -> None:
    """With several, there is no one value."""
    found = await ask(prometheus_url, 'label_replace(vector(1), "a", "x", "", "") or vector(2)')

    assert (None, 2) == (found.value, found.count)
    assert [({"a": "x"}, 1.0), ({}, 2.0)] == [(sample.labels, sample.value) for sample in found.samples]
    assert ("2 values", '{a="x"} 1\n{} 2') == (found.brief(), found.detail())


async def test_nothing_found_is_no_value(prometheus_url: str) -> None:
    """Absence is an answer, and no error."""
    found = await ask(prometheus_url, "no_such_metric")

    assert (None, 0, "no value") == (found.value, found.count, found.brief())


async def test_nothing_divided_by_nothing_is_nan(prometheus_url: str) -> None:
    """A rule must not take it for 0."""
    found = await ask(prometheus_url, "vector(0) / vector(0)")

    assert found.value is not None
    assert math.isnan(found.value)


async def test_a_bad_expression_fails_in_prometheus_own_words(prometheus_url: str) -> None:
    """The author finds the mistake by them."""
    with pytest.raises(Failed, match=r"answered 400: .*parse error: unclosed left parenthesis"):
        await ask(prometheus_url, "sum(up")


async def test_a_range_is_refused_with_what_to_do(prometheus_url: str) -> None:
    """A list of values over time compares with nothing."""
    with pytest.raises(Failed, match="answered a matrix; write an expression"):
        await ask(prometheus_url, "up[5m]")


async def test_the_past_can_be_asked_for(prometheus_url: str) -> None:
    """As it was at a time, for what was true when an alert began."""
    client = PrometheusClient(PrometheusSettings(url=prometheus_url))

    found = (await client.query("time()", time=datetime(2020, 1, 1, tzinfo=UTC))).samples

    assert (Sample({}, 1577836800.0),) == found
    await client.close()


async def test_a_prometheus_that_ended_is_unavailable() -> None:
    """Nothing is known then, which is not the same as nothing found."""
    services.requires("prometheus")
    with services.prometheus() as running:
        client = PrometheusClient(PrometheusSettings(url=running.address))
        await client.query("1")
        running.stop()

        with pytest.raises(Unavailable, match=r"prometheus\.url"):
            await client.query("1")

    await client.close()


async def test_a_frozen_prometheus_is_unavailable_at_the_time_limit() -> None:
    """It takes the connection and says nothing."""
    services.requires("prometheus")
    with services.prometheus() as running:
        client = PrometheusClient(PrometheusSettings(url=running.address, timeout=timedelta(milliseconds=300)))
        running.freeze()

        with pytest.raises(Unavailable, match=r"no answer in 0\.3 s"):
            await client.query("1")

    await client.close()


async def test_no_prometheus_is_told() -> None:
    """The settings name none."""
    with pytest.raises(NotAllowed, match=r"set prometheus\.url"):
        await ask(None, "up")
