"""The whole chain on real services: Docker, Prometheus, Alertmanager, remediator as a process, and Slack's stand-in."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from remediator.testing.slack import SlackStandIn
from tests import services

CONTAINER = "orchestrator"
TOKEN = "xoxb-acceptance-0123456789"
CHANNEL = "#alerts"
ROOT = Path(__file__).parents[2]


@dataclass
class Remediator:
    """The service as a process of its own, which can be killed and started again."""

    folder: Path
    port: int
    process: "subprocess.Popen[bytes] | None" = None
    starts: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it is ready."""
        self.starts += 1
        log = (self.folder / f"log-{self.starts}").open("wb")
        argv = [sys.executable, "-m", "remediator", "-c", str(self.folder / "remediator.yaml"), "serve"]
        self.process = subprocess.Popen(argv, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        log.close()
        services.wait_until(self._is_ready, "remediator to be ready")

    def _is_ready(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"remediator ended with {self.process.returncode}:\n{self.log()}")
        with suppress(OSError), urllib.request.urlopen(f"{self.url}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
        return False

    def log(self) -> str:
        return "\n".join(p.read_text(errors="replace") for p in sorted(self.folder.glob("log-*")))[-6000:]

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> None:
        """End it as an operator would."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(40)

    def get(self, path: str) -> Any:
        """The JSON at an API path, asked for with the token that `serve` has written."""
        token = (self.folder / "store" / "admin-token").read_text().strip()
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def runs(self) -> list[dict[str, Any]]:
        """All runs, each whole; none while it does not answer."""
        with suppress(OSError):
            return [self.get(f"/api/v1/runs/{run['id']}") for run in self.get("/api/v1/runs")["runs"]]
        return []

    def metric(self, line: str) -> float:
        """The value of one series of /metrics."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=10) as answer:
            for found in answer.read().decode().splitlines():
                name, _, value = found.rpartition(" ")
                if name == line:
                    return float(value)
        return 0.0


@dataclass
class Story:
    """Everything that takes part."""

    engine: str
    service_port: int
    remediator: Remediator
    slack: SlackStandIn
    began: float = field(default_factory=time.time)

    def kill_container(self) -> None:
        """The fault: the service's main process is killed, and nothing starts it again."""
        with services.docker_api(self.engine) as api:
            api.kill(CONTAINER, "SIGKILL")

    def container(self) -> dict[str, Any]:
        with services.docker_api(self.engine) as api:
            return dict(api.inspect_container(CONTAINER))

    def container_starts(self) -> int:
        """How often the engine has started the container since the story began; the first start is not counted."""
        with services.docker_api(self.engine) as api:
            events = api.events(
                since=int(self.began) - 1,
                until=int(time.time()) + 1,
                filters={"container": CONTAINER, "event": "start"},
                decode=True,
            )
            return len(list(events)) - 1

    def answers(self) -> bool:
        """Whether the service's health page is there."""
        with (
            suppress(OSError),
            urllib.request.urlopen(f"http://127.0.0.1:{self.service_port}/health", timeout=2) as page,
        ):
            return bool(page.status == 200)
        return False


def pack(service_port: int, *, quick: bool) -> str:
    """The shipped pack with this test's address, which a user would put there too; `quick` shortens its proof."""
    text = (ROOT / "rules" / "containers.yaml").read_text()
    text = text.replace("http://127.0.0.1:8000/health", f"http://127.0.0.1:{service_port}/health")
    text = text.replace("mode: gated", "mode: auto")
    if quick:
        text = text.replace("settle: 3s", "settle: 500ms").replace("sustain: 10s", "sustain: 2s\n      every: 500ms")
    return text


def settings(engine: str, port: int, prometheus: str, alertmanager: str, slack: SlackStandIn, folder: Path) -> str:
    return yaml.safe_dump(
        {
            "listen": f"127.0.0.1:{port}",
            "rules": [str(folder / "rules")],
            "mode_ceiling": "auto",
            "limits": {"cooldown_after_deploy": "0s"},  # all containers here are minutes old
            "store": {"directory": str(folder / "store")},
            "docker": {"engines": {"local": engine}},
            "http": {"allow": ["127.0.0.0/8"]},
            "prometheus": {"url": prometheus},
            "alertmanager": {"url": alertmanager},
            "slack": {
                "token": TOKEN,
                "channel": slack.channel_id(CHANNEL),
                "base_url": slack.base_url,
                "post_interval": "50ms",
            },
            "log": {"style": "json"},
        }
    )


def alert_rules() -> dict[str, Any]:
    """The shipped alert rules, fired after a second instead of thirty."""
    rules: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "prometheus" / "services.yml").read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            rule["for"] = "1s"
    return rules


def run_service(engine: str, port: int) -> None:
    """A web service in a container, with a health page and a metrics page."""
    command = (
        "echo fine > /tmp/health; echo 'up_and_running 1' > /tmp/metrics;"
        f" echo listening on {port}; exec httpd -f -p 127.0.0.1:{port} -h /tmp"
    )
    with services.docker_api(engine) as api:
        with suppress(Exception):
            api.remove_container(CONTAINER, force=True)
        made = api.create_container(
            "busybox",
            command=["/bin/sh", "-c", command],
            name=CONTAINER,
            host_config=api.create_host_config(network_mode="host"),
        )
        api.start(made["Id"])


@contextmanager
def told(engine: str, slack: SlackStandIn, folder: Path, *, quick: bool) -> Iterator[Story]:
    """The story, up to the point where all is well and everybody watches."""
    services.requires("prometheus", "prometheus-alertmanager", "dockerd")
    service_port, port = services.free_port(), services.free_port()
    remediator = Remediator(folder, port)
    (folder / "rules").mkdir()
    (folder / "rules" / "containers.yaml").write_text(pack(service_port, quick=quick))
    story = Story(engine, service_port, remediator, slack)
    run_service(engine, service_port)
    services.wait_until(story.answers, "the service in its container")
    with (
        services.alertmanager(webhook=f"{remediator.url}/api/v1/alerts", route={"group_by": ["..."]}) as alertmanager,
        services.prometheus(
            rules=alert_rules(),
            alertmanagers=[alertmanager.address.removeprefix("http://")],
            scrape=[f"127.0.0.1:{service_port}"],
            labels={"service": CONTAINER},
        ) as prometheus,
    ):
        (folder / "remediator.yaml").write_text(
            settings(engine, port, prometheus.address, alertmanager.address, slack, folder)
        )
        remediator.start()
        try:
            yield story
        finally:
            remediator.stop()
            with services.docker_api(engine) as api, suppress(Exception):
                api.remove_container(CONTAINER, force=True)


def seed() -> int:
    """The seed of the random choices, from STORY_SEED or new; printed, so that a failure can be repeated."""
    chosen = int(os.environ.get("STORY_SEED") or time.time_ns() % 1_000_000)
    sys.stdout.write(f"STORY_SEED={chosen}\n")
    return chosen
