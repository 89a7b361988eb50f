"""HighEscalationRate on real services: the reasons are counted, payloads worked out anew, and the culprit is named."""

import json
import subprocess
import sys
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from remediator.testing.slack import SlackStandIn
from tests import services
from tests.acceptance import story
from tests.acceptance.story import ROOT, Remediator

BACKEND = "backend"
WINDOW = "8s"
LOGS = [
    *["D_hat out of tolerance: claimed=1.45, recomputed=1.20, diff=0.25 > tol=0.15"] * 7,
    *["regime mismatch: claimed=mixed, expected=sticky"] * 2,
    "budget deviation: claimed=0.42, recomputed=0.35",
]


@dataclass
class Exporter:
    """The backend's two counters: each look finds a hundred more that came in, and some of them escalated."""

    escalated_of_hundred: int = 1
    taken_in: int = 0
    escalated: int = 0
    port: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def page(self) -> bytes:
        with self._lock:
            self.taken_in += 100
            self.escalated += self.escalated_of_hundred
            return f"flk_ingest_total {self.taken_in}\nflk_escalated {self.escalated}\n".encode()


@contextmanager
def exporting() -> Iterator[Exporter]:
    """The exporter on a free port."""
    exporter = Exporter()

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = exporter.page()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        exporter.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, name="exporter")
        thread.start()
        try:
            yield exporter
        finally:
            server.shutdown()
            thread.join(10)


def run_backend(engine: str) -> None:
    """A container that has given its reasons, as JSON lines among others, and goes on."""
    lines = [json.dumps({"level": "info", "status": 202, "reason": reason}) for reason in LOGS]
    said = "\n".join(["listening", *lines, '{"level": "info", "status": 200}'])
    services.run_container(engine, BACKEND, f"cat <<'END'\n{said}\nEND\nexec sleep 3600")


def remove_backend(engine: str) -> None:
    with services.docker_api(engine) as api, suppress(Exception):
        api.remove_container(BACKEND, force=True)


def payload(number: int, **changes: Any) -> dict[str, Any]:
    """What an agent sends; right in itself: sticky, and 0.10 + 0.30·(1 - 0.5) + 0.20·0.8."""
    right = {
        "pcs_id": f"pcs-{number}",
        "D_hat": 1.2,
        "coh_star": 0.8,
        "r": 0.5,
        "regime": "sticky",
        "budget": 0.41,
        "scales": [2, 4, 8],
        "N_j": {"2": 3, "4": 5, "8": 9},
    }
    return {**right, **changes}


def write_samples(folder: Path, *, wrong: bool) -> None:
    """100 payloads; where agents compute wrongly, a good part of them does not fit."""
    samples = [payload(number) for number in range(100)]
    samples[7] = payload(7, regime="non_sticky", D_hat=2.6, budget=0.61)  # at its bound, and right
    samples[9].pop("r")
    if wrong:
        samples[20:34] = [payload(number, regime="mixed") for number in range(20, 34)]
        samples[50:53] = [payload(number, budget=0.9) for number in range(50, 53)]
        samples[60] = payload(60, N_j={"2": 3, "8": 9})
    folder.mkdir()
    (folder / "inbox-001.wal").write_text("".join(json.dumps(sample) + "\n" for sample in samples))


def alert_rules() -> dict[str, Any]:
    """The shipped alert, over seconds instead of minutes."""
    rules: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "prometheus" / "fractal-lba.yml").read_text())
    (wanted,) = (rule for group in rules["groups"] for rule in group["rules"] if rule["alert"] == "HighEscalationRate")
    rule = {**wanted, "for": "1s", "expr": wanted["expr"].replace("[5m]", f"[{WINDOW}]")}
    return {"groups": [{"name": "fractal-lba", "rules": [rule]}]}


def overlay(recent_seconds: int) -> str:
    """What an operator would lay over the shipped pack."""
    ours = {"window": WINDOW, "recent_seconds": recent_seconds, "backend": BACKEND}
    return yaml.safe_dump({"overlay": "fractal-lba", "vars": {"escalation": ours}})


def settings(engine: str, port: int, prometheus: str, alertmanager: str, slack: SlackStandIn, folder: Path) -> str:
    made: dict[str, Any] = yaml.safe_load(story.settings(engine, port, prometheus, alertmanager, slack, folder))
    made["files"] = {"roots": {"wal": str(folder / "wal")}}
    made["commands"] = {
        "set-dhat-tolerance": {
            "argv": ["ln", "-sfn", "{tolerance}", str(folder / "tolerance")],
            "parameters": {"tolerance": {}},
            "effect": "change",
            "target": "tolerance of D_hat",
            "put_back": {"parameter": "tolerance", "shown_by": "show-dhat-tolerance"},
        },
        "show-dhat-tolerance": {"argv": ["readlink", str(folder / "tolerance")], "effect": "read"},
    }
    return yaml.safe_dump(made)


@dataclass
class Chain:
    """Everything that takes part, with Prometheus watching a backend that is well."""

    engine: str
    folder: Path
    prometheus: str
    exporter: Exporter
    remediator: Remediator

    def looks(self) -> float:
        """How often Prometheus has looked at the counters within the window."""
        body = urllib.parse.urlencode({"query": f"count_over_time(flk_ingest_total[{WINDOW}])"}).encode()
        with urllib.request.urlopen(f"{self.prometheus}/api/v1/query", data=body, timeout=10) as answer:
            found = json.load(answer)["data"]["result"]
        return float(found[0]["value"][1]) if found else 0

    def wait_for_fact(self, kind: str) -> dict[str, Any]:
        """The run, once it has come so far."""

        def is_over() -> bool:
            runs = self.remediator.runs()
            if kind == "ended" and self.fact("asked") is not None:
                raise AssertionError(f"it has a plan, and should have told: {runs}")
            return self.fact(kind) is not None

        services.wait_until(is_over, f"a run that has {kind}", limit=120)
        found = self.fact(kind)
        assert found is not None
        return found

    def approve(self) -> None:
        """As a person at the command line."""
        (run,) = self.remediator.runs()
        settings = str(self.remediator.folder / "remediator.yaml")
        argv = [sys.executable, "-m", "remediator", "-c", settings, "approve", run["id"], "--yes"]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        assert 0 == done.returncode, done.stderr

    def fact(self, kind: str) -> dict[str, Any] | None:
        facts = (fact for run in self.remediator.runs() for fact in run["timeline"])
        return next((fact for fact in facts if fact["kind"] == kind), None)

    def evidence(self) -> dict[str, Any]:
        found = self.fact("examined")
        assert found is not None
        return dict(found["evidence"])


@contextmanager
def chain(
    engine: str, slack: SlackStandIn, folder: Path, *, wrong_samples: bool = False, recent_seconds: int = 0
) -> Iterator[Chain]:
    """The whole chain; no container yet, and one of a hundred is escalated."""
    services.requires("prometheus", "prometheus-alertmanager", "dockerd")
    port = services.free_port()
    remediator = Remediator(folder, port)
    (folder / "rules").mkdir()
    (folder / "rules" / "fractal-lba.yaml").write_text((ROOT / "rules" / "fractal-lba.yaml").read_text())
    (folder / "rules" / "here.yaml").write_text(overlay(recent_seconds))
    write_samples(folder / "wal", wrong=wrong_samples)
    remove_backend(engine)
    with (
        exporting() as exporter,
        services.alertmanager(webhook=f"{remediator.url}/api/v1/alerts", route={"group_by": ["..."]}) as alertmanager,
        services.prometheus(
            rules=alert_rules(),
            alertmanagers=[alertmanager.address.removeprefix("http://")],
            scrape=[f"127.0.0.1:{exporter.port}"],
        ) as prometheus,
    ):
        (folder / "remediator.yaml").write_text(
            settings(engine, port, prometheus.address, alertmanager.address, slack, folder)
        )
        remediator.start()
        try:
            it = Chain(engine, folder, prometheus.address, exporter, remediator)
            services.wait_until(lambda: it.looks() >= 6, "Prometheus to have watched for a while")
            yield it
        finally:
            remediator.stop()
            remove_backend(engine)


def test_a_rollout_after_which_the_rate_rose_is_named_as_the_suspect(
    docker_engine: str, slack: SlackStandIn, tmp_path: Path
) -> None:
    """It was well, a new container was made, and it is not well any more: no tolerance is widened for that."""
    with chain(docker_engine, slack, tmp_path, recent_seconds=3600) as it:
        run_backend(docker_engine)
        it.exporter.escalated_of_hundred = 10
        ended = it.wait_for_fact("ended")
        evidence = it.evidence()

        assert "told" == ended["outcome"], ended
        assert "The last rollout is the suspect: the container backend was made" in ended["text"]
        assert "from busybox" in ended["text"]
        assert 2 >= float(evidence["before"]["brief"])
        assert 2 < float(evidence["ratio"]["brief"])
        assert None is it.fact("planned")


def test_what_agents_compute_wrongly_is_told_and_no_tolerance_hides_it(
    docker_engine: str, slack: SlackStandIn, tmp_path: Path
) -> None:
    """Most reasons are about the tolerance, but the payloads themselves say who is wrong."""
    with chain(docker_engine, slack, tmp_path, wrong_samples=True) as it:
        run_backend(docker_engine)
        it.exporter.escalated_of_hundred = 10
        ended = it.wait_for_fact("ended")
        evidence = it.evidence()

        assert "told" == ended["outcome"], ended
        assert "Agents compute wrongly" in ended["text"]
        assert "Of 100 samples 14 claim another regime" in ended["text"]
        recomputed = evidence["recomputed"]
        assert (
            "100 items: wrong_regime 14 (14 %), wrong_budget 3 (3 %), missing_scale 1 (1 %), failed 1"
            == (recomputed["brief"])
        )
        shown = recomputed["detail"].splitlines()
        assert "wrong_regime: pcs_id: pcs-20, D_hat: 1.2, coh_star: 0.8, r: 0.5, regime: mixed" in shown[0]
        assert "regime: sticky" in shown[0].split("worked out")[1]
        assert "failed: item 10: " in shown[-1]
        assert "'r'" in shown[-1]


def test_where_mostly_the_tolerance_is_missed_a_person_may_have_it_raised_for_a_while(
    docker_engine: str, slack: SlackStandIn, tmp_path: Path
) -> None:
    """It is put back as soon as the alert has ended: a wide tolerance is no remedy for good."""
    tolerance = tmp_path / "tolerance"
    tolerance.symlink_to("0.15")
    with chain(docker_engine, slack, tmp_path) as it:
        run_backend(docker_engine)
        it.exporter.escalated_of_hundred = 10
        it.wait_for_fact("asked")
        evidence, planned = it.evidence(), it.fact("planned")
        assert planned is not None
        (step,) = planned["plan"]["steps"]

        assert [] == [name for name, found in evidence.items() if not found["ok"]], evidence
        assert "tolerance 7, regime 2, budget 1" in evidence["reasons"]["brief"]
        assert LOGS[0] in evidence["reasons"]["detail"]
        assert "tolerance: 70" in evidence["shares"]["brief"]
        assert "100 items: wrong_regime 0, wrong_budget 0, missing_scale 0, failed 1" == evidence["recomputed"]["brief"]
        assert "raise the tolerance of D_hat for a while" == planned["plan"]["name"]
        assert ("command.run", {"command": "set-dhat-tolerance", "parameters": {"tolerance": "0.20"}}) == (
            step["action"],
            step["params"],
        )
        assert "0.15" == str(tolerance.readlink())
        it.approve()
        services.wait_until(lambda: str(tolerance.readlink()) == "0.20", "the tolerance to be raised")
        it.exporter.escalated_of_hundred = 1
        undone = it.wait_for_fact("undone")
        (run,) = it.remediator.runs()

        assert ("0.15", False) == (str(tolerance.readlink()), undone["asks"])
        assert ("healed", ["was put back"]) == (run["outcome"], [change["stands"] for change in run["changes"]])
