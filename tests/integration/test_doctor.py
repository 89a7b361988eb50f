"""The doctor asks real services, and says what to do where one is not as it has to be."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer
from click.testing import CliRunner

from remediator.cli import main
from remediator.doctor.examination import examine
from remediator.doctor.finding import Finding, Verdict
from remediator.plugins import Actions
from remediator.settings import Settings, load_settings
from remediator.testing.slack import SlackStandIn
from tests import services

RULES = """
pack: doctored
vars: {server: cache}
rules:
  - name: down
    match: ['alertname=~"Known|Unknown"']
    diagnose:
      cache: {redis.ping: {server: "{{ vars.server }}"}}
      other: {redis.ping: {server: "{{ labels.server }}"}}
      where: {docker.inspect: {container: x, engine: far}}
      disk: {files.disk: {root: wal}}
      ask: {command.run: {command: look}}
      tcp: {tcp.connect: {host: 127.0.0.1, port: 1}}
    remediate:
      - name: look
        gate: {quorum: 2}
        do: [{command.run: {command: look}}]
"""
ALERTS = """
groups:
  - name: g
    rules: [{alert: Known, expr: vector(1) > 2}]
"""


def doctor(folder: Path, **settings: Any) -> dict[str, Finding]:
    """What is found with these settings, by what was looked at."""
    (folder / "rules").mkdir(exist_ok=True)
    (folder / "rules" / "doctored.yaml").write_text(RULES)
    needed = {"store": {"directory": str(folder / "store")}, "rules": [str(folder / "rules")]}
    (folder / "remediator.yaml").write_text(yaml.safe_dump({**needed, **settings}))
    loaded: Settings = load_settings(folder / "remediator.yaml")
    findings = asyncio.run(examine(loaded, Actions.installed()))
    return {finding.what: finding for finding in findings}


@asynccontextmanager
async def alertmanager_with(configuration: str) -> AsyncIterator[str]:
    """Where something answers like an Alertmanager that has this configuration."""

    async def status(_: web.Request) -> web.Response:
        return web.json_response({"config": {"original": configuration}})

    app = web.Application()
    app.router.add_get("/api/v2/status", status)
    async with TestServer(app) as server:
        yield str(server.make_url(""))


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[str]:
    with services.prometheus(rules=yaml.safe_load(ALERTS)) as service:
        yield service.address


def test_what_is_there_and_what_a_rule_lacks(tmp_path: Path, prometheus: str) -> None:
    """Each failure names the rule that needs it, and its remedy."""
    services.requires("redis-server", "prometheus")
    with services.redis_server(password="open sesame") as redis:
        found = doctor(
            tmp_path,
            prometheus={"url": prometheus},
            redis={
                "cache": {"url": f"redis://{redis.address}", "password": "open sesame"},
                "wrong": {"url": f"redis://{redis.address}", "password": "guessed badly"},
            },
            commands={"look": {"argv": ["no-such-program-here"], "effect": "read"}},
        )

    verdicts = {what: finding.verdict for what, finding in found.items()}
    assert {
        "rules": Verdict.OK,
        "store": Verdict.OK,
        "webhook": Verdict.WARNING,
        "prometheus": Verdict.OK,
        "alerts": Verdict.WARNING,
        "redis cache": Verdict.OK,
        "redis wrong": Verdict.PROBLEM,
        "docker far": Verdict.PROBLEM,
        "files wal": Verdict.PROBLEM,
        "command look": Verdict.PROBLEM,
        "tcp": Verdict.PROBLEM,
        "slack": Verdict.WARNING,
        "alertmanager": Verdict.WARNING,
    } == verdicts
    assert "alerts that this Prometheus has not: Unknown" in found["alerts"].detail
    assert "doctored/down needs it, and the settings do not name it" == found["docker far"].detail
    assert "guessed badly" not in str(found)


def test_an_alertmanager_that_does_not_send_to_us_is_told(tmp_path: Path) -> None:
    """The commonest mistake of all: everything runs, and no alert ever comes."""
    services.requires("prometheus-alertmanager")
    with services.alertmanager(webhook="http://127.0.0.1:1/elsewhere") as elsewhere:
        lost = doctor(tmp_path, alertmanager={"url": elsewhere.address})
    with services.alertmanager(webhook="http://127.0.0.1:1/api/v1/alerts") as here:
        found = doctor(tmp_path, alertmanager={"url": here.address})

    assert Verdict.PROBLEM is lost["alertmanager receiver"].verdict
    assert Verdict.OK is found["alertmanager receiver"].verdict


@pytest.mark.parametrize(
    "configuration",
    [
        "receivers: 5",
        "receivers: [5, {name: x, webhook_configs: 5}]",
        "receivers: [{name: x, webhook_configs: [5, {url: 'http://[x/api/v1/alerts'}]}]",
    ],
)
async def test_an_answer_of_another_shape_ends_nothing(tmp_path: Path, configuration: str) -> None:
    """What answers at an address need not be what the settings say that it is."""
    async with alertmanager_with(configuration) as url:
        found = await asyncio.to_thread(doctor, tmp_path, alertmanager={"url": url})

    assert Verdict.PROBLEM is found["alertmanager receiver"].verdict


async def test_an_answer_does_not_take_over_the_terminal(tmp_path: Path) -> None:
    """Names and errors come from whatever answers; control characters of theirs are not printed."""
    async with alertmanager_with('receivers: [{name: "a\\u202eb", webhook_configs: [{url: /api/v1/alerts}]}]') as url:
        await asyncio.to_thread(doctor, tmp_path, alertmanager={"url": url})
        arguments = ["-c", str(tmp_path / "remediator.yaml"), "doctor", "--all"]
        told = (await asyncio.to_thread(CliRunner().invoke, main, arguments)).stdout

    assert "alertmanager receiver: a\ufffdb leads to" in told


def test_a_service_that_is_away_is_a_problem_and_delays_no_other(tmp_path: Path) -> None:
    """One dead service must not hide how the others are."""
    nobody = f"127.0.0.1:{services.free_port()}"
    found = doctor(
        tmp_path,
        prometheus={"url": f"http://{nobody}"},
        alertmanager={"url": f"http://{nobody}"},
        docker={"engines": {"local": f"tcp://{nobody}"}},
        postgres={"main": {"host": "127.0.0.1", "port": int(nobody.rpartition(":")[2])}},
    )

    away = ["prometheus", "alertmanager", "docker local", "postgres main"]
    assert [Verdict.PROBLEM] * 4 == [found[name].verdict for name in away]
    assert [] == [name for name in away if not found[name].remedy]


@pytest.mark.parametrize(
    ("scopes", "joined", "expected"),
    [
        (("chat:write", "channels:history"), True, {"channel": Verdict.OK}),
        (("chat:write", "channels:history"), False, {"channel": Verdict.PROBLEM}),
        (("chat:write",), True, {"scopes": Verdict.WARNING}),
        (("channels:history",), True, {"scopes": Verdict.PROBLEM, "channel": Verdict.OK}),
    ],
)
async def test_slack_is_asked_who_we_are_and_what_we_may(
    tmp_path: Path, scopes: tuple[str, ...], joined: bool, expected: dict[str, Verdict]
) -> None:
    """A missing scope is found before the first alert, not by it."""
    async with SlackStandIn(scopes=scopes) as slack:
        channel = slack.add_channel("alerts", joined=joined)
        settings = {"token": slack.token, "base_url": slack.base_url, "channel": channel}
        found = await asyncio.to_thread(doctor, tmp_path, slack=settings)

    said = {what.removeprefix("slack "): f.verdict for what, f in found.items() if what.startswith("slack ")}
    assert {**expected, "buttons": Verdict.WARNING} == said  # its rule asks, and nobody could answer there
    assert Verdict.OK is found["slack"].verdict


async def test_a_wrong_slack_token_is_a_problem_and_never_shown(tmp_path: Path) -> None:
    """It stands in the settings of the person who asks, and in no output."""
    async with SlackStandIn() as slack:
        settings = {"token": "xoxb-not-the-right-one", "base_url": slack.base_url}
        found = await asyncio.to_thread(doctor, tmp_path, slack=settings)

    assert Verdict.PROBLEM is found["slack"].verdict
    assert "xoxb-not" not in str(found)


def test_rules_with_mistakes_are_a_problem(tmp_path: Path) -> None:
    """The rest is looked at all the same."""
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "bad.yaml").write_text("pack: x\n")

    found = doctor(tmp_path)

    assert Verdict.PROBLEM is found["rules"].verdict
    assert "`rules` is missing" in found["rules"].detail
    assert Verdict.OK is found["store"].verdict
