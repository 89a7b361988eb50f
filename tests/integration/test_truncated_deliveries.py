"""A sender may be told to leave alerts out of its deliveries; the real Alertmanager has the rest."""

import asyncio
import json
import urllib.request
from pathlib import Path

from remediator.app import App
from remediator.plugins import Actions
from remediator.rules.loading import load_book
from remediator.settings import Settings
from tests import services

_RULE = """
pack: p
rules:
  - name: down
    match: ['alertname="Down"']
    mode: observe
"""
_COUNT = 7


def _post(url: str, alerts: object) -> None:
    request = urllib.request.Request(
        f"{url}/api/v2/alerts", data=json.dumps(alerts).encode(), headers={"Content-Type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=10).close()


async def test_alerts_that_a_delivery_left_out_are_fetched_and_have_their_runs(tmp_path: Path) -> None:
    """`max_alerts` cuts the tail of a group silently: those services would never be looked after."""
    services.requires("prometheus-alertmanager")
    (tmp_path / "p.yaml").write_text(_RULE)
    port = services.free_port()
    with services.alertmanager(
        webhook=f"http://127.0.0.1:{port}/api/v1/alerts",
        route={"group_by": ["alertname"], "group_wait": "1s"},
        receiver="team.web (ops)",
        max_alerts=2,
    ) as alertmanager:
        settings = Settings.model_validate(
            {
                "listen": f"127.0.0.1:{port}",
                "store": {"directory": tmp_path / "store"},
                "alertmanager": {"url": alertmanager.address},
            }
        )
        actions = Actions.installed()
        app = App(settings, actions=actions, book=load_book([tmp_path / "p.yaml"], actions))
        await app.start()
        try:
            alerts = [{"labels": {"alertname": "Down", "service": f"s{n}"}} for n in range(_COUNT)]
            await asyncio.to_thread(_post, alertmanager.address, alerts)
            found = await _services_with_runs(app)
        finally:
            await app.stop()

    assert sorted(f"s{n}" for n in range(_COUNT)) == found


async def _services_with_runs(app: App) -> list[str]:
    """The services that have a run, each once, when there are enough of them."""
    async with asyncio.timeout(60):
        while True:
            listed = await app.parts.store.list_runs(limit=100)
            runs = [await app.parts.store.read_run(summary.id) for summary in listed]
            if len(runs) >= _COUNT:
                return sorted(run.alert.labels["service"] for run in runs if run is not None)
            await asyncio.sleep(0.1)
