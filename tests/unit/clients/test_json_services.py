"""The Prometheus and Alertmanager clients against servers that answer oddly; the real ones are in tests/integration."""

import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from remediator.clients.alertmanager import AlertmanagerClient
from remediator.clients.prometheus import Found, PrometheusClient
from remediator.errors import Failed, Unavailable
from remediator.model.alert import Alert, fingerprint_of
from remediator.settings import AlertmanagerSettings, PrometheusSettings
from tests.services import free_port

Serve = Callable[[int, str], Awaitable[str]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts a server that gives one answer to everything; gives its URL."""
    servers: list[TestServer] = []

    async def start(status: int, body: str) -> str:
        async def answer(_request: web.Request) -> web.Response:
            return web.Response(status=status, text=body, headers={"Location": "/elsewhere"})

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        servers.append(TestServer(app))
        await servers[-1].start_server()
        return f"http://127.0.0.1:{servers[-1].port}"

    yield start
    for server in servers:
        await server.close()


async def ask_prometheus(url: str) -> Found:
    client = PrometheusClient(PrometheusSettings(url=url, timeout=timedelta(seconds=5)))
    try:
        return await client.query("up")
    finally:
        await client.close()


async def ask_alertmanager(url: str) -> bool:
    client = AlertmanagerClient(AlertmanagerSettings(url=url, timeout=timedelta(seconds=5)))
    try:
        return await client.is_firing({"alertname": "Down"})
    finally:
        await client.close()


async def ask_for_the_group(url: str) -> tuple[Alert, ...]:
    client = AlertmanagerClient(AlertmanagerSettings(url=url, timeout=timedelta(seconds=5)))
    try:
        return await client.firing("web", {"alertname": "Down"})
    finally:
        await client.close()


def a_vector(*values: str) -> str:
    series = ",".join(f'{{"metric": {{"n": "{n}"}}, "value": [1.5, "{value}"]}}' for n, value in enumerate(values))
    return f'{{"status": "success", "data": {{"resultType": "vector", "result": [{series}]}}}}'


async def test_all_kinds_of_numbers_are_kept(serve: Serve) -> None:
    """A ratio of nothing is NaN, and a rule must be able to see it."""
    found = (await ask_prometheus(await serve(200, a_vector("1", "+Inf", "-Inf", "1e-9", "NaN")))).samples

    assert [1.0, math.inf, -math.inf, 1e-9] == [sample.value for sample in found[:4]]
    assert math.isnan(found[4].value)
    assert {"n": "0"} == found[0].labels


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ('{"resultType": "matrix", "result": []}', "answered a matrix"),
        ('{"resultType": "string", "result": [1, "x"]}', "answered a string"),
        ('{"resultType": "vector", "result": [{"metric": {}, "histogram": [1, {}]}]}', "native histograms"),
    ],
)
async def test_what_is_no_number_is_a_failure_that_says_what_to_do(serve: Serve, data: str, said: str) -> None:
    """The rule's author has to change the expression."""
    with pytest.raises(Failed, match=said):
        await ask_prometheus(await serve(200, f'{{"status": "success", "data": {data}}}'))


@pytest.mark.parametrize("status", [400, 401, 404, 422])
async def test_a_refused_query_is_a_failure_in_its_own_words(serve: Serve, status: int) -> None:
    """Asking again will not help."""
    url = await serve(status, '{"status": "error", "errorType": "x", "error": "no token=abc here"}')

    with pytest.raises(Failed, match=rf"Prometheus, asked 'up', answered {status}: no token=\[redacted\] here"):
        await ask_prometheus(url)


_ODD: list[Any] = [
    pytest.param(503, '{"status": "error", "error": "busy"}', id="busy"),
    pytest.param(500, "oops", id="broken"),
    pytest.param(429, "{}", id="too many"),
    pytest.param(200, "<html>log in</html>", id="a log-in page"),
    pytest.param(200, "", id="nothing"),
    pytest.param(200, "[1]", id="a number in a list"),
    pytest.param(200, '"x"', id="a string"),
    pytest.param(200, '{"status": "success", "data": {}}', id="no result"),
    pytest.param(302, "", id="a redirect"),
    pytest.param(200, "[" * 100_000, id="a bomb"),
]


@pytest.mark.parametrize("ask", [ask_prometheus, ask_alertmanager, ask_for_the_group])
@pytest.mark.parametrize(("status", "body"), _ODD)
async def test_whoever_answers_oddly_counts_as_away(
    serve: Serve, ask: Callable[[str], Awaitable[object]], status: int, body: str
) -> None:
    """A proxy or a start-up page answers in its place: never a number, never `nothing fires`."""
    url = await serve(status, body)

    with pytest.raises(Unavailable):
        await ask(url)


@pytest.mark.parametrize("ask", [ask_prometheus, ask_alertmanager, ask_for_the_group])
async def test_nobody_listening_is_unavailable(ask: Callable[[str], Awaitable[object]]) -> None:
    """The message names the setting, and not a password that stands in it."""
    url = f"http://admin:hunter2@127.0.0.1:{free_port()}/prefix/"

    with pytest.raises(Unavailable, match=r"/prefix/api/.*check (prometheus|alertmanager)\.url") as error:
        await ask(url)

    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("ask", [ask_prometheus, ask_alertmanager])
async def test_a_url_that_is_none_is_unavailable(ask: Callable[[str], Awaitable[object]]) -> None:
    """A mistake in the settings must not look like an unexpected crash of a run."""
    with pytest.raises(Unavailable, match="url"):
        await ask("http://not a url")


async def test_of_a_huge_answer_the_first_thousand_samples_are_kept_and_all_are_counted(serve: Serve) -> None:
    """Each is redacted, stored and sent on: tens of thousands made the whole service stand still for seconds."""
    found = await ask_prometheus(await serve(200, a_vector(*["1"] * 20_000)))

    assert (1000, 20_000) == (len(found.samples), found.count)
    assert {"n": "999"} == found.samples[-1].labels


async def test_an_answer_beyond_all_measure_is_not_read_to_its_end(serve: Serve) -> None:
    """Whoever answers does not decide how much memory and time we have."""
    with pytest.raises(Unavailable, match="larger than 8 MiB"):
        await ask_prometheus(await serve(200, f'"{"x" * 9 * 2**20}"'))


@pytest.mark.parametrize("ask", [ask_alertmanager, ask_for_the_group])
@pytest.mark.parametrize(
    "body", ['{"code": 601, "message": "bad matcher"}', '"bad matcher"', "<html>bad matcher</html>"]
)
@pytest.mark.parametrize("status", [400, 414, 422, 431])
async def test_a_refused_question_to_alertmanager_is_a_failure(
    serve: Serve, ask: Callable[[str], Awaitable[object]], body: str, status: int
) -> None:
    """The same labels will be refused for ever, so waiting for an answer is of no use."""
    url = await serve(status, body)

    with pytest.raises(Failed, match=f"answered {status}.*bad matcher"):
        await ask(url)


_GOOD = {"labels": {"alertname": "Down"}, "annotations": {}, "fingerprint": "x", "startsAt": "2026-01-01T00:00:00Z"}
_BAD: dict[str, Any] = {
    "before all time": {**_GOOD, "startsAt": "0001-01-01T00:00:00+14:00"},
    "after all time": {**_GOOD, "startsAt": "9999-12-31T23:59:59-14:00"},
    "never": {**_GOOD, "startsAt": "0001-01-01T00:00:00Z"},
    "no zone": {**_GOOD, "startsAt": "2026-01-01T00:00:00"},
    "no such day": {**_GOOD, "startsAt": "2026-02-31T00:00:00Z"},
    "a number for a time": {**_GOOD, "startsAt": 5},
    "no time": {"labels": {"alertname": "Down"}},
    "a number for a label": {**_GOOD, "labels": {"alertname": 5}},
    "half a character in a label": {**_GOOD, "labels": {"alertname": "\ud800"}},
    "half a character in a name": {**_GOOD, "labels": {"\udfff": "x"}},
    "half a character in an annotation": {**_GOOD, "annotations": {"summary": "\udc00"}},
    "annotations in a list": {**_GOOD, "annotations": ["x"]},
    "no labels": {**_GOOD, "labels": None},
    "not an object": [1],
}


@pytest.mark.parametrize("bad", _BAD.values(), ids=_BAD.keys())
async def test_an_alert_that_cannot_be_used_costs_no_other(serve: Serve, bad: Any) -> None:
    """One of them ended the part that fetches what was left out, and with it the service."""
    group = {"labels": {"alertname": "Down"}, "alerts": [bad, _GOOD, bad]}

    (found,) = await ask_for_the_group(await serve(200, json.dumps([group])))

    assert {"alertname": "Down"} == found.labels


@pytest.mark.parametrize("fingerprint", [[1], 1, "\ud800", None, "another"])
async def test_the_fingerprint_is_that_of_the_labels_whatever_is_said(serve: Serve, fingerprint: object) -> None:
    """The same as for a webhook: one alert must not hide behind another's name."""
    said = [{"labels": {"alertname": "Down"}, "alerts": [{**_GOOD, "fingerprint": fingerprint}]}]

    (found,) = await ask_for_the_group(await serve(200, json.dumps(said)))

    assert fingerprint_of({"alertname": "Down"}) == found.fingerprint


@pytest.mark.parametrize("odd", _BAD.values(), ids=_BAD.keys())
async def test_whether_an_alert_fires_is_told_by_its_labels_alone(serve: Serve, odd: Any) -> None:
    """What else is odd about it or about its neighbours does not matter."""
    url = await serve(200, json.dumps([{**_GOOD, "startsAt": "odd", "fingerprint": [1]}, {"labels": odd}]))

    assert await ask_alertmanager(url)
