"""`remediator demo`: the whole story in one terminal, with nothing but Python.

A small web service is started and made to fail, its alert is sent as Alertmanager would, evidence is gathered,
the plan is shown and confirmed here, the service is restarted, and the proof is seen. Nothing outside a temporary
folder is touched.
"""

import asyncio
import os
import sys
import tempfile
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import click

from remediator.cli.send import payload
from remediator.cli.service import Service
from remediator.model.plan import Mode
from remediator.settings import Settings
from remediator.storage.store import Store
from remediator.testing import patient

_LABELS = {"alertname": "ServiceDown", "service": "checkout", "severity": "critical"}
_PATIENCE = 60.0  # seconds that the whole story may take, without the person
_ANSWER = 1024  # bytes of one
_OK, _FINDINGS, _INTERRUPTED = 0, 1, 130


@click.command
@click.option("-y", "--yes", is_flag=True, help="Approve the plan without asking; needed without a terminal.")
def demo(yes: bool) -> None:  # noqa: FBT001 - click gives it so
    """Play the whole story in this terminal: a service fails, is healed, and it is proven and told."""
    if not yes and not sys.stdin.isatty():
        click.echo("There is no terminal to ask at; run it with --yes.", err=True)
        raise SystemExit(2)
    play = _Play(yes)
    with tempfile.TemporaryDirectory(prefix="remediator-demo-") as folder:
        try:
            raise SystemExit(asyncio.run(play.run(Path(folder))))
        except KeyboardInterrupt:
            click.echo("\nStopped." if play.has_approved else "\nStopped; nothing was done.")
            raise SystemExit(_INTERRUPTED) from None


@dataclass(slots=True)
class _Play:
    """One showing of the story."""

    yes: bool
    has_approved: bool = False

    async def run(self, folder: Path) -> int:
        """From the start of everything to its end, also where it is stopped in between."""
        from remediator.app import App

        port = _free_port()
        app = App.build(_settings(folder, port), on_death=lambda _name, _error: None)
        try:
            await asyncio.to_thread(patient.start, folder, port)
            _say(f"A web service, “checkout”, runs on 127.0.0.1:{port}.")
            await app.start()
            service = Service(f"http://127.0.0.1:{app.port}", (folder / "store" / "admin-token").read_text().strip())
            return await self._tell(service, app.parts.store, port)
        finally:
            await app.stop()
            await asyncio.to_thread(patient.stop, folder)

    async def _tell(self, service: Service, store: Store, port: int) -> int:
        await asyncio.to_thread(_post, f"http://127.0.0.1:{port}/break")
        _say("Now it is made to fail, and the alert is sent as Alertmanager would send it.\n")
        firing = payload(_LABELS, {"summary": "checkout answers with errors"}, resolved=False, at=datetime.now(UTC))
        await asyncio.to_thread(service.post, "/api/v1/alerts", firing)
        run = await _until(service, lambda found: found["outcome"] or found["waiting"])
        if run["outcome"] is None and not await self._decide(service, store, run):
            await _until(service, lambda found: found["outcome"])
            await _told(store)
            _say("\nIt was left as it is, as you said.")
            return _OK
        run = await _until(service, lambda found: found["outcome"])
        gone = payload(_LABELS, {}, resolved=True, at=datetime.now(UTC))
        await asyncio.to_thread(service.post, "/api/v1/alerts", gone)
        await _until(service, lambda found: any(fact["kind"] == "closed" for fact in found["timeline"]))
        await _told(store)
        healed = run["outcome"] == "healed"
        production = " The same story is one Slack thread in production." if healed else ""
        _say(f"\nThe run ended: {run['outcome']}.{production}")
        return _OK if healed else _FINDINGS

    async def _decide(self, service: Service, store: Store, run: dict[str, Any]) -> bool:
        """Ask for a decision on the plan, and send it; whether it was approved."""
        plan = run["waiting"]
        await _told(store)  # the plan's own message comes first
        steps = "\n".join(f"  {number}. {step['sentence']}" for number, step in enumerate(plan["steps"], 1))
        how = "" if self.yes else "; in this demo you decide here, not with the commands above"
        _say(f"\nThe plan waits for you{how}:\n{steps}")
        approved = self.has_approved = self.yes or await _confirm()
        _say("Approved.\n" if approved else "Denied.\n")
        reason = "" if approved else "not now"
        decision = {"approved": approved, "digest": plan["digest"], "by": "you", "reason": reason}
        await asyncio.to_thread(service.post, f"/api/v1/runs/{run['id']}/decision", decision)
        return approved


async def _confirm() -> bool:
    """A person's yes or no. Read by the loop and not by a thread, so that one Ctrl-C ends the waiting."""
    answers: asyncio.Queue[bytes] = asyncio.Queue()
    loop, terminal = asyncio.get_running_loop(), sys.stdin.fileno()
    loop.add_reader(terminal, lambda: answers.put_nowait(os.read(terminal, _ANSWER)))
    try:
        while True:
            click.echo("Do it? [y/N] ", nl=False)
            answer = (await answers.get()).decode(errors="replace").strip().lower()
            if answer in ("y", "yes"):
                return True
            if answer in ("", "n", "no"):
                return False
            click.echo("Please answer y or n.")
    finally:
        loop.remove_reader(terminal)


async def _told(store: Store) -> None:
    """Wait until every message has been printed."""
    async with asyncio.timeout(_PATIENCE):
        while True:
            state = await store.outbox_state()
            if not state.waiting:
                return
            await asyncio.sleep(0.05)


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
