"""Rules with `silence`: the whole service with a real Alertmanager that sends to it is quiet while it acts."""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests import services
from tests.served import Served

RULES = """
pack: web
rules:
  - name: down
    match: ['alertname="Down"']
    mode: auto
    silence: 30m
    remediate:
      - name: mend
        do: [{command.run: {command: mend}}]
    verify:
      VERIFY
"""
CHECKED = """settle: 100ms
      sustain: 200ms
      within: 1m
      every: 100ms
      checks: [{command.run: {command: look}, expect: result.exit_code == 0}]"""
UNCHECKED = "{settle: 100ms, sustain: 100ms, within: 5m}"
LABELS = {"alertname": "Down", "service": "web", "zone": 'a "b"'}


class Proxy(ThreadingHTTPServer):
    """Stands before an Alertmanager, and can come between what it is told and what it answers."""

    daemon_threads = True

    def __init__(self, behind: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind = behind
        self.on_made: Callable[[], None] | None = None
        """Called when a silence was made, before anybody hears of it."""
        self.refuses_silences = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Proxy

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))) or None
        if self.server.refuses_silences and "/silence" in self.path:
            self._answer(503, b'"not today"')
            return
        request = urllib.request.Request(
            self.server.behind + self.path,
            data=body,
            method=self.command,
            headers={"Content-Type": "application/json"} if body else {},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                status, said = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                status, said = error.code, error.read()
        if self.command == "POST" and self.server.on_made is not None:
            on_made, self.server.on_made = self.server.on_made, None
            on_made()
        self._answer(status, said)

    do_GET = _pass_on  # noqa: N815 - its name there
    do_POST = _pass_on  # noqa: N815 - the same
    do_DELETE = _pass_on  # noqa: N815 - the same

    def _answer(self, status: int, said: bytes) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)
        except OSError:
            self.close_connection = True  # whoever asked is dead

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the base class
        """Say nothing."""


@contextmanager
def proxy_before(behind: str) -> Iterator[Proxy]:
    with Proxy(behind) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join()


class Desk:
    """The service, its Alertmanager and the way between them."""

    def __init__(self, served: Served, proxy: Proxy) -> None:
        self.served, self.proxy = served, proxy
        self.folder = served.folder

    def configure(self, verify: str = CHECKED) -> None:
        """A remedy that takes until `go` is there."""
        acting, go, mended = (self.folder / name for name in ("acting", "go", "mended"))
        mend = f"touch {acting}; while [ ! -e {go} ]; do sleep 0.05; done; touch {mended}"
        self.served.configure(
            alertmanager={"url": self.proxy.url},
            commands={
                "mend": {"argv": ["sh", "-c", mend], "effect": "change", "target": "web", "timeout": "60s"},
                "look": {"argv": ["ls", str(mended)], "effect": "read"},
            },
        )
        (self.folder / "rules.yaml").write_text(RULES.replace("VERIFY", verify))

    def _ask(self, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.proxy.behind}/api/v2/{path}", data=data, headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            said = answer.read()
            return json.loads(said) if said else None

    def fire(self, *, is_over: bool = False) -> None:
        now = datetime.now(UTC)
        ends = now + (timedelta(seconds=-1) if is_over else timedelta(minutes=30))
        starts = now - timedelta(minutes=1)
        self._ask("alerts", [{"labels": LABELS, "startsAt": starts.isoformat(), "endsAt": ends.isoformat()}])

    def silences(self, *states: str) -> list[dict[str, Any]]:
        """Those in one of these states; all where none is named."""
        found: list[dict[str, Any]] = self._ask("silences")
        return [one for one in found if not states or one["status"]["state"] in states]

    def is_silenced(self) -> bool:
        found = self._ask("alerts")
        return [bool(one["status"]["silencedBy"]) for one in found] == [True]

    def until_it_acts(self) -> None:
        services.wait_until((self.folder / "acting").exists, "the remedy to begin")

    def let_go(self) -> None:
        (self.folder / "go").touch()

    def until_over(self) -> dict[str, Any]:
        services.wait_until(lambda: [run["outcome"] for run in self.served.runs()] not in ([], [None]), "the end")
        return self.served.run()

    def kinds(self) -> list[str]:
        return [event["kind"] for event in self.served.run()["timeline"]]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    services.requires("prometheus-alertmanager")
    served = Served(tmp_path)
    with (
        services.alertmanager(webhook=f"{served.url}/api/v1/alerts", route={"repeat_interval": "1h"}) as running,
        proxy_before(running.address) as proxy,
    ):
        yield Desk(served, proxy)
        served.end()


def test_the_alert_is_silenced_while_the_remedy_acts(desk: Desk) -> None:
    """By a silence of exactly this alert, that says whose it is; it is over when the proof is there."""
    desk.configure()
    desk.served.start()
    desk.fire()
    desk.until_it_acts()
    services.wait_until(desk.is_silenced, "the alert to be silenced")
    (silence,) = desk.silences("active")
    desk.let_go()
    run = desk.until_over()

    assert "healed" == run["outcome"]
    assert LABELS == {one["name"]: one["value"] for one in silence["matchers"]}
    assert ("remediator", f"run {run['id']} of the rule web/down acts on it") == (
        silence["createdBy"],
        silence["comment"],
    )
    lasts = datetime.fromisoformat(silence["endsAt"]) - datetime.fromisoformat(silence["startsAt"])
    assert timedelta(minutes=29) < lasts < timedelta(minutes=31)
    assert [] == desk.silences("active", "pending")
    assert "closed" not in desk.kinds()


def test_an_alert_that_resolves_under_its_silence_is_over_afterwards(desk: Desk) -> None:
    """Alertmanager tells nobody of it; without asking, it would be open here for hours."""
    desk.configure()
    desk.served.start()
    desk.fire()
    desk.until_it_acts()
    services.wait_until(desk.is_silenced, "the alert to be silenced")
    desk.fire(is_over=True)
    desk.let_go()
    run = desk.until_over()

    assert "healed" == run["outcome"]
    assert "closed" in desk.kinds()
    assert 1 == desk.served.series()['remediator_alerts_total{ruling="resolved"}']
    assert [] == desk.served.get("/api/v1/alerts?open=true")["alerts"]


def test_a_proof_by_the_alert_itself_is_seen_under_the_silence(desk: Desk) -> None:
    """It asks, since nobody tells."""
    desk.configure(UNCHECKED)
    desk.served.start()
    desk.fire()
    desk.let_go()
    services.wait_until(desk.is_silenced, "the alert to be silenced")
    services.wait_until((desk.folder / "mended").exists, "the remedy to end")
    desk.fire(is_over=True)
    run = desk.until_over()

    assert "healed" == run["outcome"]
    assert [] == desk.silences("active", "pending")


def test_a_kill_between_making_a_silence_and_noting_it_makes_no_second_one(desk: Desk) -> None:
    """As by a power cut; the run that goes on finds it, and ends it."""
    desk.configure()
    desk.served.start()
    desk.proxy.on_made = desk.served.kill
    desk.fire()
    services.wait_until(lambda: desk.proxy.on_made is None and desk.silences() != [], "the kill")
    assert desk.served.process is not None
    desk.served.process.wait(30)
    desk.let_go()
    desk.served.start()
    run = desk.until_over()

    assert "healed" == run["outcome"]
    assert ["expired"] == [one["status"]["state"] for one in desk.silences()]
    assert 1 == desk.kinds().count("silenced")


def test_that_no_silence_can_be_made_holds_nothing(desk: Desk) -> None:
    """It is told, and the remedy goes on."""
    desk.configure()
    desk.proxy.refuses_silences = True
    desk.served.start()
    desk.fire()
    desk.let_go()
    run = desk.until_over()
    (said,) = (event["text"] for event in run["timeline"] if event["kind"] == "unsilenced")

    assert "healed" == run["outcome"]
    assert said.startswith("not silenced: ")
    assert "503" in said
    assert [] == desk.silences()
