"""`remediator serve` as a process of its own, with a rule whose one remedy is to touch a file."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests import services

ROOT = Path(__file__).parents[1]

RULES = """
pack: web
rules:
  - name: down
    summary: "{{ labels.service }} is down"
    match: ['alertname="Down"']
    mode: MODE
    diagnose: {mark: {command.run: {command: look}}}
    remediate:
      - name: mend
        do: [{command.run: {command: mend, parameters: {service: "{{ labels.service }}"}}}]
    verify:
      settle: 100ms
      sustain: SUSTAIN
      within: 10m
      every: 100ms
      checks: [{command.run: {command: look}, expect: result.exit_code == 0}]
  - name: seen
    summary: seen
    match: ['alertname="Seen"']
    mode: observe
"""


WIDE = {
    **dict.fromkeys(("overall", "per_target", "per_rule", "storm", "storm_overall"), "10000/100ms"),
    **dict.fromkeys(("attempts", "flapping"), "10000/1h"),
    **dict.fromkeys(("cooldown", "cooldown_after_deploy"), "0s"),
    "storm_quiet": "100ms",
    "failures_in_row": 10_000,
    "failures_of_ten": 11,
    **dict.fromkeys(("gated_after_failures", "gated_after_not_healed"), 10_000),
}
"""Limits for tests that change the same targets again and again. Every guard is asked all the same."""


@dataclass
class Served:
    """The service, which can be stopped, killed and started again on the same store."""

    folder: Path
    port: int = field(default_factory=services.free_port)
    process: "subprocess.Popen[bytes] | None" = None
    starts: int = 0
    wrapper: Sequence[str] = ()
    """A program, with its arguments, that becomes the service: one that plays faults to it, such as `fiu-run`."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def configure(self, *, mode: str = "gated", sustain: str = "200ms", **settings: Any) -> None:
        """Write the rules and the settings; `settings` win over what is needed at the least."""
        rules = RULES.replace("MODE", mode).replace("SUSTAIN", sustain)
        (self.folder / "rules.yaml").write_text(rules)
        mended = str(self.folder / "mended")
        needed = {
            "listen": f"127.0.0.1:{self.port}",
            "rules": [str(self.folder / "rules.yaml")],
            "mode_ceiling": "auto",
            "limits": WIDE,
            "store": {"directory": str(self.folder / "store")},
            "commands": {
                "mend": {
                    "argv": ["touch", f"{mended}-{{service}}"],
                    "parameters": {"service": {}},
                    "effect": "change",
                    "target": "{service}",
                },
                "look": {"argv": ["ls", f"{mended}-web"], "effect": "read"},
            },
        }
        (self.folder / "remediator.yaml").write_text(yaml.safe_dump({**needed, **settings}))

    def spawn(self) -> "subprocess.Popen[bytes]":
        """Begin to start it."""
        self.starts += 1
        ours = [sys.executable, "-m", "remediator", "-c", str(self.folder / "remediator.yaml"), "serve"]
        argv = [*self.wrapper, *ours]
        with (
            (self.folder / f"out-{self.starts}").open("wb") as out,
            (self.folder / f"log-{self.starts}").open("wb") as log,
        ):
            self.process = subprocess.Popen(
                argv, cwd=self.folder, env=environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=log
            )
        return self.process

    def start(self) -> None:
        """Start it and wait until it is ready."""
        self.spawn()
        services.wait_until(self._is_ready, "remediator to be ready")

    def _is_ready(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"remediator ended with {self.process.returncode}:\n{self.log()}")
        return self.readiness()[0] == 200

    def log(self) -> str:
        """What the newest start has logged."""
        return (self.folder / f"log-{self.starts}").read_text(errors="replace")

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)

    def stop(self) -> int:
        """End it as an operator would; its exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(60)

    def end(self) -> None:
        """Leave nothing behind."""
        if self.process is not None and self.process.poll() is None:
            self.kill()

    # -- over HTTP --

    def ask(
        self, path: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """The status and body of an answer."""
        request = urllib.request.Request(self.url + path, data=body, headers=dict(headers or {}))
        try:
            with _opener().open(request, timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def get(self, path: str) -> Any:
        """The JSON at a path of the API."""
        token = (self.folder / "store" / "admin-token").read_text().strip()
        status, body = self.ask(path, headers={"Authorization": f"Bearer {token}"})
        assert 200 == status, body
        return json.loads(body)

    def readiness(self) -> tuple[int, dict[str, Any]]:
        """What /readyz says; 0 where nobody answers."""
        with suppress(OSError):
            status, body = self.ask("/readyz")
            return status, json.loads(body)
        return 0, {}

    def runs(self) -> list[dict[str, Any]]:
        """The newest runs, each whole, the oldest first."""
        listed = self.get("/api/v1/runs?limit=50")["runs"]
        return [self.get(f"/api/v1/runs/{run['id']}") for run in reversed(listed)]

    def run(self) -> dict[str, Any]:
        (only,) = self.runs()
        return only

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """The command line, as a person beside the service uses it."""
        argv = [sys.executable, "-m", "remediator", "-c", str(self.folder / "remediator.yaml"), *arguments]
        return subprocess.run(
            argv, cwd=self.folder, env=environment(), capture_output=True, text=True, timeout=60, check=False
        )

    def series(self) -> dict[str, float]:
        """Every series of /metrics."""
        _, text = self.ask("/metrics")
        pairs = (line.rpartition(" ") for line in text.decode().splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in pairs}


def environment() -> dict[str, str]:
    """The machine's, without what would set our settings."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("REMEDIATOR_")}
    return {**kept, "PYTHONPATH": str(ROOT)}


def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))
