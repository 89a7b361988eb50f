"""Two processes on one PostgreSQL and a real Alertmanager: a silence is made once and ended once, whoever dies."""

import json
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests import services
from tests.pair import Deed, Replica, bring_back, pair, start

RULES = """
pack: web
rules:
  - name: down
    match: ['alertname="Down"']
    mode: auto
    silence: 30m
    remediate: [{name: mend, do: [{command.run: {command: mend}}]}]
    verify:
      settle: 100ms
      sustain: 200ms
      within: 10m
      every: 100ms
      checks: [{command.run: {command: look}, expect: result.exit_code == 0}]
  - name: seen
    match: ['alertname="Seen"']
    mode: observe
"""


class Way(ThreadingHTTPServer):
    """The way to an Alertmanager: it counts what is asked, and can come between a deed and the word of it."""

    daemon_threads = True

    def __init__(self, behind: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind = behind
        self.asked: Counter[str] = Counter()
        """How often silences were made (POST) and ended (DELETE)."""
        self.on: dict[str, Callable[[], None]] = {}
        """By method, what happens once after the first of it, before anybody hears of that."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Way

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))) or None
        kind = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.server.behind + self.path, data=body, method=self.command, headers=kind)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                status, said = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                status, said = error.code, error.read()
        if "/silence" in self.path and self.command != "GET":
            self.server.asked[self.command] += 1
            self.server.on.pop(self.command, lambda: None)()
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)
        except OSError:
            self.close_connection = True  # whoever asked is dead

    do_GET = _pass_on  # noqa: N815 - its name there
    do_POST = _pass_on  # noqa: N815 - the same
    do_DELETE = _pass_on  # noqa: N815 - the same

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the base class
        """Say nothing."""


@contextmanager
def way_to(behind: str) -> Iterator[Way]:
    with Way(behind) as way:
        thread = threading.Thread(target=way.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield way
        finally:
            way.shutdown()
            thread.join()


@dataclass
class Desk:
    """The two, their Alertmanager and the way to it. Its alerts come to the first."""

    one: Replica
    two: Replica
    way: Way
    folder: Path

    @property
    def effects(self) -> int:
        path = self.folder / "effects"
        return len(path.read_text().split()) if path.exists() else 0

    def start(self, database: str) -> None:
        """Both of them, with a remedy that helps as soon as `well` is there."""
        mend = ["sh", "-c", f"echo done >> {self.folder}/effects"]
        for replica in (self.one, self.two):
            replica.configure(
                store={"url": database, "directory": str(replica.folder / "store")},
                alertmanager={"url": self.way.url},
                commands={
                    "mend": {"argv": mend, "effect": "change", "target": "web"},
                    "look": {"argv": ["ls", str(self.folder / "well")], "effect": "read"},
                },
            )
            (replica.folder / "rules.yaml").write_text(RULES)
        start((self.one, self.two))

    def fire(self) -> None:
        now = datetime.now(UTC)
        labels, times = {"alertname": "Down", "service": "web"}, (now, now + timedelta(minutes=30))
        alert = {"labels": labels, "startsAt": times[0].isoformat(), "endsAt": times[1].isoformat()}
        request = urllib.request.Request(
            f"{self.way.behind}/api/v2/alerts",
            data=json.dumps([alert]).encode(),
            headers={"Content-Type": "application/json"},
        )
        urllib.request.urlopen(request, timeout=30).close()

    def silences(self) -> list[str]:
        """The state of each that there ever was."""
        with urllib.request.urlopen(f"{self.way.behind}/api/v2/silences", timeout=30) as answer:
            return [one["status"]["state"] for one in json.load(answer)]

    def get_well(self) -> None:
        (self.folder / "well").touch()

    def until_ended(self, by: Replica) -> None:
        services.wait_until(lambda: by.run_of("Down").get("outcome") is not None, "the run to end")
        services.wait_until(lambda: "active" not in self.silences(), "the silence to end")
        assert "healed" == by.run_of("Down")["outcome"]


@pytest.fixture
def desk(tmp_path: Path, new_database: str) -> Iterator[Desk]:
    services.requires("prometheus-alertmanager")
    with (
        pair(tmp_path) as (one, two),
        services.alertmanager(webhook=f"{one.url}/api/v1/alerts", route={"repeat_interval": "1h"}) as running,
        way_to(running.address) as way,
    ):
        made = Desk(one, two, way, tmp_path)
        made.start(new_database)
        yield made


@pytest.mark.parametrize("deed", ["SIGKILL", "SIGSTOP"])
@pytest.mark.parametrize("moment", ["POST", "DELETE"])
def test_who_is_lost_at_a_silence_leaves_no_second_one_and_none_that_stays(desk: Desk, moment: str, deed: Deed) -> None:
    """It is made, or ended, and nobody heard of that: the other finds out, and the lost one changes nothing late."""
    desk.way.on[moment] = lambda: desk.one.do(deed)
    desk.fire()
    if moment == "DELETE":
        desk.get_well()
    desk.one.until(deed)
    there = desk.silences()
    desk.get_well()
    desk.until_ended(desk.two)
    if deed == "SIGSTOP":
        bring_back(desk.one, desk.two)

    assert {} == desk.way.on
    assert {"POST": ["active"], "DELETE": ["expired"]}[moment] == there
    assert {"POST": 1, "DELETE": 1} == desk.way.asked
    assert (1, ["expired"]) == (desk.effects, desk.silences())
    assert 1 == len(desk.two.said("silenced", "Down"))


@pytest.mark.parametrize("deed", ["SIGKILL", "SIGSTOP"])
def test_who_lives_ends_the_silence_of_one_that_is_lost_while_it_waits_for_the_proof(desk: Desk, deed: Deed) -> None:
    """The silence is on record, so whoever sees that the remedy has helped ends it."""
    desk.fire()
    services.wait_until(lambda: bool(desk.one.said("finished", "Down")), "the remedy to be carried out")
    desk.one.do(deed)
    lasting = desk.silences()
    desk.get_well()
    desk.until_ended(desk.two)
    if deed == "SIGSTOP":
        bring_back(desk.one, desk.two)

    assert ["active"] == lasting
    assert {"POST": 1, "DELETE": 1} == desk.way.asked
    assert (1, ["expired"]) == (desk.effects, desk.silences())
