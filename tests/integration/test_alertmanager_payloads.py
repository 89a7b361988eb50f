"""What the real Alertmanager sends is what we read: its own bodies, recorded live, and its fingerprints."""

import asyncio
import json
import os
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from remediator.model.alert import AlertStatus, Delivery, fingerprint_of
from remediator.web.webhook import parse_delivery

PROGRAM = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
RECORD_TO = os.environ.get("RECORD_PAYLOADS_TO")  # a folder: keep what was received, to renew tests/payloads

pytestmark = [
    pytest.mark.service("alertmanager"),
    pytest.mark.skipif(
        PROGRAM is None and os.environ.get("CI") != "true", reason="prometheus-alertmanager is not installed"
    ),
]

ODD_LABELS = {
    "alertname": "Odd",
    "quotes": "say \"this\" and 'that'",
    "newline": "one\ntwo\r\n\tthree",
    "unicode": "käse 🧀 日本語 \u2028",
    "html": "<b>&amp;</b>",
    "backslash": r"C:\new\u0041",
    "template": "{{ labels.x }}",
    "control": "\x01\x7f",
}


class Inbox:
    """A receiver that keeps every body as it came."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self._news = asyncio.Event()

    async def receive(self, request: web.Request) -> web.Response:
        assert "application/json" == request.content_type
        self.bodies.append(await request.read())
        self._news.set()
        return web.Response(status=202)

    async def until(self, wanted: Any) -> bytes:
        """The first body whose delivery `wanted` says yes to."""
        async with asyncio.timeout(60):
            while True:
                for body in self.bodies:
                    if wanted(_read(body)):
                        return body
                self._news.clear()
                await self._news.wait()


def _read(body: bytes) -> Delivery:
    return parse_delivery(body, received_at=datetime.now(UTC))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _config(url: str) -> str:
    return json.dumps(  # JSON is YAML
        {
            "route": {
                "receiver": "web.hook+1",
                "group_by": ["alertname"],
                "group_wait": "200ms",
                "group_interval": "1s",
                "repeat_interval": "1h",
            },
            "receivers": [
                {"name": "web.hook+1", "webhook_configs": [{"url": url, "send_resolved": True}]},
            ],
        }
    )


@asynccontextmanager
async def _served(inbox: Inbox) -> AsyncIterator[str]:
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_post("/hook", inbox.receive)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def _alertmanager(folder: Path, hook: str) -> AsyncIterator[str]:
    assert PROGRAM is not None, "prometheus-alertmanager is not installed, and CI needs it"
    config = folder / "alertmanager.yml"
    config.write_text(_config(hook), encoding="utf-8")
    port = _free_port()
    process = await asyncio.create_subprocess_exec(
        PROGRAM,
        f"--config.file={config}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.external-url=http://alertmanager.example:9093",
        "--web.route-prefix=/",
        "--cluster.listen-address=",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        await _until_ready(url)
        yield url
    finally:
        process.terminate()
        await process.wait()


async def _until_ready(url: str) -> None:
    async with asyncio.timeout(30), aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(f"{url}/-/ready") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientConnectionError:
                pass
            await asyncio.sleep(0.05)


async def _post(url: str, *alerts: dict[str, Any]) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/api/v2/alerts", json=list(alerts)) as answer,
    ):
        assert 200 == answer.status, await answer.text()


def _alert(*, ends_in: timedelta = timedelta(hours=1), **labels: str) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        "labels": labels,
        "annotations": {"summary": "what & why <here>"},
        "startsAt": f"{now - timedelta(minutes=5):%Y-%m-%dT%H:%M:%S.%f}789Z",
        "endsAt": (now + ends_in).isoformat(),
        "generatorURL": "http://prometheus.example/graph?g0.expr=up+%3C+1",
    }


@pytest.fixture
async def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
async def alertmanager(inbox: Inbox, tmp_path: Path) -> AsyncIterator[str]:
    async with _served(inbox) as hook, _alertmanager(tmp_path, hook) as url:
        yield url


def _keep(name: str, body: bytes) -> None:
    if RECORD_TO:
        (Path(RECORD_TO) / f"recorded-0.25-{name}.json").write_bytes(body)


def _fingerprints_sent(body: bytes) -> list[str]:
    return [alert["fingerprint"] for alert in json.loads(body)["alerts"]]


async def test_a_firing_alert_is_read_as_it_was_posted(alertmanager: str, inbox: Inbox) -> None:
    """The traps of the real thing: a quoted receiver, nine fractional digits, year 0001 for "no end"."""
    sent = _alert(alertname="Down", instance="a:1", severity="critical")
    await _post(alertmanager, sent)
    body = await inbox.until(lambda delivery: delivery.alerts)
    _keep("firing", body)

    delivery = _read(body)
    (alert,) = delivery.alerts

    assert "web.hook+1" == delivery.receiver
    assert {"alertname": "Down"} == delivery.group_labels
    assert (AlertStatus.FIRING, None) == (alert.status, alert.ends_at)
    assert sent["labels"] == alert.labels
    assert sent["annotations"] == alert.annotations
    assert datetime.fromisoformat(sent["startsAt"]) == alert.starts_at


async def test_an_alert_that_resolves_is_read_as_resolved(alertmanager: str, inbox: Inbox) -> None:
    """A resolve that is missed keeps an occurrence open for ever."""
    await _post(alertmanager, _alert(alertname="Gone", instance="a:1"))
    await inbox.until(lambda delivery: delivery.alerts)
    await _post(alertmanager, _alert(alertname="Gone", instance="a:1", ends_in=timedelta(seconds=-1)))
    body = await inbox.until(lambda delivery: any(a.status is AlertStatus.RESOLVED for a in delivery.alerts))
    _keep("resolved", body)

    (alert,) = _read(body).alerts

    assert alert.ends_at is not None
    assert alert.ends_at > alert.starts_at


async def test_the_status_of_the_group_does_not_hide_a_resolved_alert(alertmanager: str, inbox: Inbox) -> None:
    """The group says firing while one of its alerts has resolved."""
    await _post(alertmanager, _alert(alertname="Mixed", instance="a"), _alert(alertname="Mixed", instance="b"))
    _keep("group", await inbox.until(lambda delivery: len(delivery.alerts) == 2))
    await _post(alertmanager, _alert(alertname="Mixed", instance="a", ends_in=timedelta(seconds=-1)))
    body = await inbox.until(lambda delivery: any(a.status is AlertStatus.RESOLVED for a in delivery.alerts))
    _keep("mixed", body)

    delivery = _read(body)

    assert "firing" == json.loads(body)["status"]
    assert {"a": "resolved", "b": "firing"} == {a.labels["instance"]: a.status.value for a in delivery.alerts}


async def test_every_alert_of_a_large_group_arrives_once(alertmanager: str, inbox: Inbox) -> None:
    """A group is one body, whatever its size."""
    await _post(alertmanager, *(_alert(alertname="Many", pod=f"web-{n}") for n in range(300)))
    body = await inbox.until(lambda delivery: len(delivery.alerts) == 300)

    delivery = _read(body)

    assert {f"web-{n}" for n in range(300)} == {alert.labels["pod"] for alert in delivery.alerts}
    assert (0, 0) == (delivery.repeated, delivery.truncated)


async def test_odd_label_values_and_their_fingerprint_survive(alertmanager: str, inbox: Inbox) -> None:
    """Labels are anybody's text; our own fingerprint must be Alertmanager's for each of them."""
    await _post(
        alertmanager,
        _alert() | {"labels": ODD_LABELS},
        _alert(alertname="Odd", z="", a="1", Z="2", _="3"),
        _alert(alertname="Odd"),
    )
    body = await inbox.until(lambda delivery: len(delivery.alerts) == 3)
    _keep("odd-labels", body)

    delivery = _read(body)

    assert ODD_LABELS in [alert.labels for alert in delivery.alerts]
    assert _fingerprints_sent(body) == [fingerprint_of(alert.labels) for alert in delivery.alerts]
