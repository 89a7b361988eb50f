"""Changes for a while, on a real Redis by the real service: put back in time, after kills, and never over somebody."""

import json
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from remediator.model.alert import fingerprint_of
from tests import services
from tests.served import Served

RULES = """
pack: web
rules:
  - name: slow
    summary: clients hang
    match: ['alertname="Slow"']
    mode: auto
    remediate:
      - name: let idle clients go
        for: LASTS
        do: [{redis.config_set: {parameter: timeout, value: 90}}]
    verify:
      settle: 100ms
      sustain: 100ms
      within: 10m
      every: 100ms
      checks: [{command.run: {command: look}, expect: result.exit_code == 0}]
"""

ARMED = """
import os, signal, sys
from remediator.cli import main
from remediator.kit import failpoints
failpoints.arm(sys.argv[1], lambda: os.kill(os.getpid(), signal.SIGKILL))
main(sys.argv[sys.argv.index("remediator") + 1 :], prog_name="remediator")
"""


@dataclass
class Desk:
    """The service, and the server whose parameter it sets."""

    served: Served
    redis: services.Service

    def configure(self, *, lasts: str, **settings: Any) -> None:
        self.served.configure(
            mode="auto",
            redis={"default": {"url": f"redis://{self.redis.address}", "config": ["timeout"]}},
            commands={"look": {"argv": ["true"], "effect": "read"}},
            **settings,
        )
        (self.served.folder / "rules.yaml").write_text(RULES.replace("LASTS", lasts))

    def say(self, *words: str) -> str:
        """Send a command as a person would by telnet; the last line of its answer."""
        return services.ask_redis(self.redis.address, *words)

    @property
    def timeout(self) -> str:
        return self.say("CONFIG", "GET", "timeout")

    def sets(self) -> int:
        """How often a parameter was set since the server started."""
        found = [line for line in self._info() if line.startswith("cmdstat_config|set:")]
        return int(found[0].split("calls=")[1].split(",")[0]) if found else 0

    def _info(self) -> list[str]:
        host, _, port = self.redis.address.partition(":")
        with socket.create_connection((host, int(port)), timeout=30) as link, link.makefile("rb") as answers:
            link.sendall(b"INFO commandstats\r\nQUIT\r\n")
            return answers.read().decode().splitlines()

    def deliver(self, *, resolved: bool = False) -> None:
        now, labels = datetime.now(UTC).isoformat(), {"alertname": "Slow", "service": "web"}
        told: Mapping[str, Any] = {
            "status": "resolved" if resolved else "firing",
            "labels": labels,
            "annotations": {},
            "startsAt": now,
            "endsAt": now if resolved else "0001-01-01T00:00:00Z",
            "fingerprint": fingerprint_of(labels),
        }
        body = {"version": "4", "groupKey": "{}", "receiver": "remediator", "alerts": [told]}
        assert 202 == self.served.ask("/api/v1/alerts", body=json.dumps(body).encode())[0]

    def fact(self, kind: str) -> dict[str, Any] | None:
        facts = [fact for run in self.served.runs() for fact in run["timeline"]]
        return next((fact for fact in reversed(facts) if fact["kind"] == kind), None)

    def wait_for(self, kind: str) -> dict[str, Any]:
        services.wait_until(lambda: self.fact(kind) is not None, f"the run to have {kind}")
        found = self.fact(kind)
        assert found is not None
        return found

    def healed(self) -> None:
        """The change was made, and it has helped."""
        self.served.start()
        self.deliver()
        assert "healed" == self.wait_for("ended")["outcome"]

    def kill_at(self, point: str, *, resolved: bool) -> None:
        """Start it so that it dies at a failpoint, have the alert fire or resolve, and wait until it has."""
        (self.served.folder / "armed.py").write_text(ARMED)
        self.served.wrapper = (sys.executable, str(self.served.folder / "armed.py"), point)
        process = self.served.spawn()
        self.served.wrapper = ()
        services.wait_until(lambda: self.served.readiness()[0] == 200, "remediator to be ready")
        with suppress(OSError):  # it may die before it has answered
            self.deliver(resolved=resolved)
        assert -9 == process.wait(60), self.served.log()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    services.requires("redis-server")
    with services.redis_server() as redis:
        served = Served(tmp_path)
        yield Desk(served, redis)
        served.end()


def test_it_is_put_back_when_its_time_is_over(desk: Desk) -> None:
    """By itself, and told."""
    desk.configure(lasts="2s")
    desk.healed()
    undone = desk.wait_for("undone")
    run = desk.served.run()

    assert ("0", 2, False) == (desk.timeout, desk.sets(), undone["asks"])
    assert "putting back is over: is back: set timeout of Redis server default to 90" == undone["text"]
    assert ["was put back"] == [change["stands"] for change in run["changes"]]
    assert "healed" == run["outcome"]


def test_it_is_put_back_as_soon_as_the_alert_has_resolved(desk: Desk) -> None:
    """However long it might have lasted."""
    desk.configure(lasts="10h")
    desk.healed()
    desk.deliver(resolved=True)
    desk.wait_for("undone")

    assert ("0", 2) == (desk.timeout, desk.sets())


def test_it_is_put_back_at_the_start_after_a_kill_that_lasts_over_its_time(desk: Desk) -> None:
    """As by a power cut: the time goes on."""
    desk.configure(lasts="6s")
    desk.healed()
    (change,) = desk.served.run()["changes"]
    desk.served.kill()
    until = datetime.fromisoformat(change["until"])
    services.wait_until(lambda: datetime.now(UTC) > until, "the time to be over")
    assert "90" == desk.timeout
    desk.served.start()
    desk.wait_for("undone")

    assert ("0", 2) == (desk.timeout, desk.sets())


@pytest.mark.parametrize("point", ["step.started", "step.call", "step.answered", "step.recorded"])
def test_a_kill_while_it_is_put_back_does_no_harm(desk: Desk, point: str) -> None:
    """It is put back once, whether anybody saw the end of it or not."""
    desk.configure(lasts="10h")
    desk.healed()
    desk.served.stop()
    desk.kill_at(point, resolved=True)
    killed_with = desk.timeout
    desk.served.start()
    undone = desk.wait_for("undone")

    assert killed_with == ("90" if point in ("step.started", "step.call") else "0")
    assert ("0", 2, False) == (desk.timeout, desk.sets(), undone["asks"])


@pytest.mark.parametrize("point", ["step.started", "step.call", "step.answered"])
def test_what_was_there_before_is_known_after_a_kill_while_it_was_changed(desk: Desk, point: str) -> None:
    """It is on disk before the change begins, so that the first value is put back and not that of the repeat."""
    desk.configure(lasts="1s")
    desk.kill_at(point, resolved=False)
    desk.served.start()
    desk.wait_for("undone")

    assert "0" == desk.timeout


def test_what_somebody_has_changed_meanwhile_stays_and_is_told(desk: Desk) -> None:
    """Nobody's change is overwritten; once it is as it was set again, a person can have it put back."""
    desk.configure(lasts="10h")
    desk.healed()
    desk.say("CONFIG", "SET", "timeout", "77")
    desk.deliver(resolved=True)
    undone = desk.wait_for("undone")
    refused = desk.timeout

    assert ("77", True) == (refused, undone["asks"])
    assert "somebody has changed that since" in undone["text"]
    desk.say("CONFIG", "SET", "timeout", "90")
    answer = desk.served.command("undo", desk.served.run()["id"], "--yes")
    assert 0 == answer.returncode, answer.stderr
    services.wait_until(lambda: desk.timeout == "0", "it to be put back")


def test_another_process_puts_it_back_when_the_one_that_began_to_is_dead(
    desk: Desk, new_database: str, tmp_path: Path
) -> None:
    """The time is in the store, and so is what was done: whoever lives goes on."""
    (tmp_path / "other").mkdir()
    other = Desk(Served(tmp_path / "other"), desk.redis)
    try:
        for one in (desk, other):
            folder = str(one.served.folder / "store")
            one.configure(lasts="10h", store={"url": new_database, "directory": folder})
        desk.healed()
        desk.served.stop()
        desk.kill_at("step.answered", resolved=True)
        other.served.start()
        undone = other.wait_for("undone")

        assert ("0", 2, False) == (desk.timeout, desk.sets(), undone["asks"])
    finally:
        other.served.end()
