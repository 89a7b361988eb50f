"""The Prometheus and Alertmanager clients against servers that answer oddly; the real ones are in tests/integration."""

import math
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from remediator.clients.alertmanager import AlertmanagerClient
from remediator.clients.prometheus import PrometheusClient, Sample
from remediator.errors import Failed, Unavailable
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


async def ask_prometheus(url: str) -> tuple[Sample, ...]:
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


async def ask_for_the_group(url: str) -> object:
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
    found = await ask_prometheus(await serve(200, a_vector("1", "+Inf", "-Inf", "1e-9", "NaN")))

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
        await ask("not a url")
