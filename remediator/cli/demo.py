"""`remediator demo`: the whole story in one terminal, with nothing but Python.

A small web service is started and made to fail, its alert is sent as Alertmanager would, evidence is gathered,
the plan is shown and confirmed here, the service is restarted, and the proof is seen. Nothing outside a temporary
folder is touched.
"""

import asyncio
import sys
import tempfile
import urllib.request
from contextlib import suppress
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import click

from remediator.cli.send import payload
from remediator.cli.service import Service
from remediator.model.plan import Mode
from remediator.settings import Settings
from remediator.testing import patient

_LABELS = {"alertname": "ServiceDown", "service": "checkout", "severity": "critical"}
_PATIENCE = 60.0  # seconds that the whole story may take, without the person
_OK, _FINDINGS = 0, 1


@click.command
@click.option("-y", "--yes", is_flag=True, help="Approve the plan without asking; needed without a terminal.")
def demo(yes: bool) -> None:  # noqa: FBT001 - click gives it so
    """Play the whole story in this terminal: a service fails, is healed, and it is proven and told."""
    if not yes and not sys.stdin.isatty():
        click.echo("There is no terminal to ask at; run it with --yes.", err=True)
        raise SystemExit(2)
    with tempfile.TemporaryDirectory(prefix="remediator-demo-") as folder:
        raise SystemExit(asyncio.run(_play(Path(folder), yes=yes)))


async def _play(folder: Path, *, yes: bool) -> int:
    from remediator.app import App

    port = _free_port()
    settings = _settings(folder, port)
    app = App.build(settings, on_death=lambda _name, _error: None)
    try:
        await asyncio.to_thread(patient.start, folder, port)
        _say(f"A web service, “checkout”, runs on 127.0.0.1:{port}.")
        await app.start()
        service = Service(f"http://127.0.0.1:{app.port}", (folder / "store" / "admin-token").read_text().strip())
        return await _tell(service, port, yes=yes)
    finally:
        await app.stop()
        await asyncio.to_thread(patient.stop, folder)


async def _tell(service: Service, port: int, *, yes: bool) -> int:
    await asyncio.to_thread(_post, f"http://127.0.0.1:{port}/break")
    _say("Now it is made to fail, and the alert is sent as Alertmanager would send it.\n")
    firing = payload(_LABELS, {"summary": "checkout answers with errors"}, resolved=False, at=datetime.now(UTC))
    await asyncio.to_thread(service.post, "/api/v1/alerts", firing)
    run = await _until(service, lambda found: found["outcome"] or found["waiting"])
    if run["outcome"] is None and not await _decide(service, run, yes=yes):
        run = await _until(service, lambda found: found["outcome"])
        _say("\nIt was left as it is, as you said.")
        return _OK
    run = await _until(service, lambda found: found["outcome"])
    gone = payload(_LABELS, {}, resolved=True, at=datetime.now(UTC))
    await asyncio.to_thread(service.post, "/api/v1/alerts", gone)
    await _until(service, lambda found: any(fact["kind"] == "closed" for fact in found["timeline"]))
    await asyncio.sleep(1)  # the last messages are on their way
    healed = run["outcome"] == "healed"
    _say(
        f"\nThe run ended: {run['outcome']}." + (" The same story is one Slack thread in production." if healed else "")
    )
    return _OK if healed else _FINDINGS


async def _decide(service: Service, run: dict[str, Any], *, yes: bool) -> bool:
    """Ask for a decision on the plan, and send it; whether it was approved."""
    plan = run["waiting"]
    await asyncio.sleep(1)  # the plan's own message comes first
    steps = "\n".join(f"  {number}. {step['sentence']}" for number, step in enumerate(plan["steps"], 1))
    _say(f"\nThe plan waits for you:\n{steps}")
    approved = yes or await asyncio.to_thread(click.confirm, "Do it?", default=True)
    _say("Approved.\n" if approved else "Denied.\n")
    decision = {"approved": approved, "digest": plan["digest"], "by": "you", "reason": "" if approved else "not now"}
    await asyncio.to_thread(service.post, f"/api/v1/runs/{run['id']}/decision", decision)
    return approved


async def _until(service: Service, wanted: Any) -> dict[str, Any]:
    """The newest run, once it is as `wanted`."""
    async with asyncio.timeout(_PATIENCE):
        while True:
            listed = await asyncio.to_thread(service.get, "/api/v1/runs?limit=1", has="runs")
            for line in listed["runs"]:
                run: dict[str, Any] = await asyncio.to_thread(service.get, f"/api/v1/runs/{line['id']}", has="timeline")
                if wanted(run):
                    return run
            await asyncio.sleep(0.1)


def _settings(folder: Path, port: int) -> Settings:
    rule = files("remediator.cli").joinpath("demo.yaml").read_text(encoding="utf-8")
    path = folder / "demo.yaml"
    path.write_text(rule.replace("HEALTH_URL", f"http://127.0.0.1:{port}/health"), encoding="utf-8")
    python = [sys.executable, "-m", "remediator.testing.patient"]
    return Settings.model_validate(
        {
            "listen": "127.0.0.1:0",
            "rules": [path],
            "mode_ceiling": Mode.GATED,
            "store": {"directory": folder / "store"},
            "http": {"allow": ["127.0.0.0/8"]},
            "log": {"level": "error"},
            "commands": {
                "restart": {
                    "argv": [*python, "restart", str(folder), str(port)],
                    "parameters": {"service": {}},
                    "effect": "change",
                    "target": "{service}",
                },
                "show-log": {"argv": ["tail", "-n", "3", str(folder / "log")], "effect": "read"},
            },
        }
    )


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _post(url: str) -> None:
    with suppress(OSError), urllib.request.urlopen(url, data=b"", timeout=5):  # noqa: S310 - our own service
        pass


def _say(text: str) -> None:
    click.echo(text)
