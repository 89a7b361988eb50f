"""The doctor asks real services for the rights to change what the loaded rules change, and changes nothing by it."""

import json
import socket
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from remediator.doctor.examination import examine
from remediator.doctor.finding import Finding, Verdict
from remediator.plugins import Actions
from remediator.settings import load_settings
from tests import services

RULES = """
pack: web
rules:
  - name: full
    match: ['alertname="Full"']
    remediate:
      - name: more memory
        do: [{redis.config_set: {server: cache, parameter: maxmemory, value: 2g}}]
    verify: {checks: [{redis.ping: {server: cache}, expect: result.answers}]}
    limits: {cooldown: 10m}
"""
NOISY = """
pack: web
rules:
  - name: noisy
    match: ['alertname="Noisy"']
    remediate:
      - name: less noise
        do: [{alertmanager.silence: {labels: {alertname: Noisy}, duration: 10m}}]
    verify: {checks: [{prometheus.query: {query: vector(1)}, expect: result.value == 1}]}
    limits: {cooldown: 10m}
"""
QUIET = """
pack: web
rules: [{name: noisy, match: ['alertname="Noisy"'], mode: observe, silence: 10m}]
"""
READ, MAKE, END = "GET /api/v2/silences", "POST /api/v2/silences", "DELETE /api/v2/silence/{id}"


async def doctor(folder: Path, rules: str, **settings: Any) -> dict[str, Finding]:
    """What is found with these settings, by what was looked at."""
    (folder / "web.yaml").write_text(rules)
    needed = {"store": {"directory": str(folder / "store")}, "rules": [str(folder / "web.yaml")]}
    (folder / "remediator.yaml").write_text(yaml.safe_dump({**needed, **settings}))
    findings = await examine(load_settings(folder / "remediator.yaml"), Actions.installed())
    return {finding.what: finding for finding in findings}


# -- Redis --


@dataclass
class Teller:
    """Sends a Redis server commands as a person would by telnet."""

    address: str

    def ask(self, command: str) -> str:
        """The last line of the answer to it."""
        host, _, port = self.address.partition(":")
        with socket.create_connection((host, int(port)), timeout=30) as link, link.makefile("rb") as answers:
            link.sendall(f"{command}\r\n".encode())
            first = answers.readline().decode().strip()
            if first.startswith("*"):
                return [answers.readline().decode().strip() for _ in range(2 * int(first[1:]))][-1]
            return first


@pytest.fixture
def redis_server() -> Iterator[Teller]:
    services.requires("redis-server")
    with services.redis_server() as running:
        yield Teller(running.address)


@pytest.mark.parametrize("missing", ["config|set", "config|get", "info"])
async def test_each_command_that_a_change_needs_is_asked_for_and_nothing_is_set(
    tmp_path: Path, redis_server: Teller, missing: str
) -> None:
    """That nothing can be set must not be found when it has to be; and the command that is told mends it."""
    rights = " ".join(f"+{one}" for one in ("ping", "info", "config|get", "config|set", "client") if one != missing)
    assert "+OK" == redis_server.ask(f"ACL SETUSER setter on >open-sesame {rights}")
    cache = {"url": f"redis://{redis_server.address}", "username": "setter", "password": "open-sesame"}
    found = (await doctor(tmp_path, RULES, redis={"cache": cache}))["redis cache"]
    assert "+OK" == redis_server.ask(found.remedy.partition(" (")[0])
    mended = (await doctor(tmp_path, RULES, redis={"cache": cache}))["redis cache"]

    assert (Verdict.WARNING if missing == "info" else Verdict.PROBLEM) is found.verdict
    assert f"ACL SETUSER setter +{missing} (and ACL SAVE" in found.remedy
    assert "redis.config_set in web/full" in found.detail
    assert (Verdict.OK, "answers, and lets us in") == (mended.verdict, mended.detail)
    assert "0" == redis_server.ask("CONFIG GET maxmemory")


async def test_a_server_without_config_is_told_so(tmp_path: Path) -> None:
    """Hosted servers take CONFIG away: no right brings it back."""
    services.requires("redis-server")
    with services.redis_server(arguments=("--rename-command", "CONFIG", "")) as server:
        found = (await doctor(tmp_path, RULES, redis={"cache": {"url": f"redis://{server.address}"}}))["redis cache"]

    assert Verdict.PROBLEM is found.verdict
    assert "it does not know CONFIG|" in found.detail
    assert "look for rename-command in its configuration" == found.remedy


# -- Alertmanager --


@dataclass
class Proxy:
    """What people put before an Alertmanager so that nobody silences."""

    behind: str
    forbids: tuple[str, str] = ("", "")
    status: int = 403
    address: str = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Proxy"]:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        async with ClientSession(self.behind) as self._session, TestServer(app) as server:
            self.address = f"http://127.0.0.1:{server.port}"
            yield self

    async def _pass_on(self, request: web.Request) -> web.Response:
        method, start = self.forbids
        if method == request.method and request.path.startswith(start):
            return web.Response(status=self.status, text="<h1>not here</h1>", content_type="text/html")
        body = await request.read()
        kind = {"Content-Type": request.headers.get("Content-Type", "application/json")}
        async with self._session.request(request.method, request.path_qs, data=body, headers=kind) as answer:
            return web.Response(status=answer.status, body=await answer.read(), content_type=answer.content_type)


@pytest.fixture
def alertmanager() -> Iterator[str]:
    services.requires("prometheus-alertmanager")
    with services.alertmanager(webhook="http://127.0.0.1:1/api/v1/alerts") as running:
        yield running.address


def silences(address: str) -> list[Any]:
    with urllib.request.urlopen(f"{address}/api/v2/silences", timeout=30) as answer:
        return list(json.load(answer))


def of(found: dict[str, Finding]) -> dict[str, Verdict]:
    return {what: one.verdict for what, one in found.items() if what.startswith("alertmanager:")}


@pytest.mark.parametrize("rules", [NOISY, QUIET])
async def test_an_alertmanager_that_lets_us_silence_is_well_and_none_is_made(
    tmp_path: Path, alertmanager: str, rules: str
) -> None:
    """Asked for in a way of which nothing can come."""
    found = await doctor(tmp_path, rules, alertmanager={"url": alertmanager})

    assert {} == of(found)
    assert Verdict.OK is found["alertmanager"].verdict
    assert [] == silences(alertmanager)


@pytest.mark.parametrize("status", [401, 403, 405])
@pytest.mark.parametrize(
    ("rules", "forbidden", "call", "verdict", "said"),
    [
        (NOISY, ("GET", "/api/v2/silences"), READ, Verdict.PROBLEM, "needed by alertmanager.silence in web/noisy"),
        (NOISY, ("POST", "/"), MAKE, Verdict.PROBLEM, "needed by alertmanager.silence in web/noisy"),
        (NOISY, ("DELETE", "/"), END, Verdict.WARNING, "a silence is not ended before its time"),
        (QUIET, ("GET", "/api/v2/silences"), READ, Verdict.WARNING, "are not silenced (silence in web/noisy)"),
        (QUIET, ("POST", "/"), MAKE, Verdict.WARNING, "alerts that run are not silenced (silence in web/noisy)"),
        (QUIET, ("DELETE", "/"), END, Verdict.WARNING, "a silence is not ended before its time (silence in web/noisy)"),
    ],
)
async def test_a_call_that_a_proxy_forbids_is_told_with_who_needs_it(
    tmp_path: Path,
    alertmanager: str,
    rules: str,
    forbidden: tuple[str, str],
    call: str,
    verdict: Verdict,
    said: str,
    status: int,
) -> None:
    """A proxy that lets everybody read and nobody change is what most people have; the rest is let through."""
    async with Proxy(alertmanager, forbidden, status).running() as proxy:
        found = await doctor(tmp_path, rules, alertmanager={"url": proxy.address})

    assert {f"alertmanager: {call}": verdict} == of(found)
    assert said in found[f"alertmanager: {call}"].detail
    assert f"let {call} through in the proxy before it; its address is alertmanager.url" in (
        found[f"alertmanager: {call}"].remedy
    )


async def test_what_no_rule_does_may_be_forbidden(tmp_path: Path, alertmanager: str) -> None:
    """Who only reads needs no more."""
    async with Proxy(alertmanager, ("POST", "/")).running() as proxy:
        found = await doctor(tmp_path, RULES, alertmanager={"url": proxy.address})

    assert {} == of(found)


@pytest.mark.parametrize("status", [404, 502])
async def test_an_answer_that_is_not_alertmanagers_is_told(tmp_path: Path, alertmanager: str, status: int) -> None:
    """Neither let through nor forbidden: what it says stands there."""
    async with Proxy(alertmanager, ("POST", "/"), status).running() as proxy:
        found = await doctor(tmp_path, NOISY, alertmanager={"url": proxy.address})

    finding = found[f"alertmanager: {MAKE}"]
    assert Verdict.PROBLEM is finding.verdict
    assert f"answered {status}" in finding.detail
