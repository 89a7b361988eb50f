"""A Redis that is killed and comes back: its breaker opens and closes, is shown and reset, and nobody else waits."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from remediator.model.alert import fingerprint_of
from tests import services
from tests.served import Served

RULES = """
pack: systems
rules:
  - name: cache
    summary: "the cache of {{ labels.service }}"
    match: ['alertname="Cache"']
    mode: observe
    diagnose: {ping: {redis.ping: {server: cache}}}
  - name: database
    summary: "the database of {{ labels.service }}"
    match: ['alertname="Database"']
    mode: observe
    diagnose: {connections: {postgres.connections: {server: main}}}
  - name: here
    summary: "something else of {{ labels.service }}"
    match: ['alertname="Here"']
    mode: observe
    diagnose: {look: {command.run: {command: "true"}}}
"""


class Service(Served):
    """The service with two servers to ask, each in a rule of its own."""

    def configure_for(self, redis_port: int, postgres_port: int) -> None:
        rules = self.folder / "systems.yaml"
        rules.write_text(RULES)
        self.configure(
            rules=[str(rules)],
            redis={"cache": {"url": f"redis://127.0.0.1:{redis_port}", "timeout": "1s"}},
            postgres={"main": {"url": f"postgresql://monitor@127.0.0.1:{postgres_port}/postgres", "timeout": "1s"}},
            commands={"true": {"argv": ["true"], "effect": "read"}},
            systems={"breaker_failures": 3, "breaker_pause": "500ms", "breaker_longest_pause": "30s"},
        )

    def ask_about(self, alertname: str, number: int) -> dict[str, Any]:
        """The evidence of a run that is started for it."""
        labels = {"alertname": alertname, "service": f"s{number}"}
        assert 202 == self.ask("/api/v1/alerts", body=body_of(labels))[0]
        wanted = f"of s{number}"
        services.wait_until(lambda: self._ended(wanted) is not None, f"the run about {labels}")
        run = self._ended(wanted)
        assert run is not None
        (examined,) = [event for event in run["timeline"] if event["kind"] == "examined"]
        (evidence,) = examined["evidence"].values()
        found: dict[str, Any] = evidence
        return found

    def _ended(self, wanted: str) -> dict[str, Any] | None:
        return next((run for run in self.runs() if run["summary"].endswith(wanted) and run["outcome"]), None)

    def breaker(self, system: str) -> dict[str, Any]:
        listed = self.get("/api/v1/breakers")["breakers"]
        found: dict[str, Any] = next(one for one in listed if one["system"] == system)
        return found

    def check(self) -> dict[str, Any]:
        status, said = self.readiness()
        assert 200 == status, said
        found: dict[str, Any] = next(check for check in said["checks"] if check["name"] == "systems")
        return found

    def open_breakers(self, family: str) -> float:
        return self.series()[f'remediator_breakers_open{{family="{family}"}}']


def body_of(labels: Mapping[str, str]) -> bytes:
    now = datetime.now(UTC).isoformat()
    alert = {"status": "firing", "labels": labels, "annotations": {}, "startsAt": now, "endsAt": "0001-01-01T00:00:00Z"}
    alert["fingerprint"] = fingerprint_of(labels)
    return json.dumps({"version": "4", "groupKey": "{}", "receiver": "r", "alerts": [alert]}).encode()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path)
    yield made
    made.end()


def test_a_redis_that_is_killed_is_left_alone_until_it_comes_back(served: Service) -> None:
    """It is told everywhere, every run goes on, and nobody has to do anything when it is over."""
    services.requires("redis-server")
    port = services.free_port()
    with ExitStack() as stack:
        redis = stack.enter_context(services.redis_server(port=port))
        served.configure_for(port, services.free_port())
        served.start()
        well = served.ask_about("Cache", 0)
        redis.process.kill()
        redis.process.wait(30)
        away = [served.ask_about("Cache", number) for number in range(1, 4)]
        opened, check, series = served.breaker("redis:cache"), served.check(), served.open_breakers("redis")
        here = served.ask_about("Here", 4)
        stack.enter_context(services.redis_server(port=port))
        services.wait_until(lambda: served.breaker("redis:cache")["asked_in_seconds"] == 0, "the pause to be over")
        again = served.ask_about("Cache", 5)
        closed, check_after = served.breaker("redis:cache"), served.check()

    assert well["brief"].startswith("PONG in ")
    assert [(True, "no PONG: connection refused")] * 3 == [(one["ok"], one["brief"]) for one in away]
    assert ("open", 3) == (opened["state"].replace("half open", "open"), opened["failures"])
    assert "refused" in opened["trouble"]
    assert (True, True) == (check["ok"], check["degraded"])
    assert check["detail"].startswith("redis: 1 breaker open")
    assert 1 == series
    assert here["ok"]
    assert again["brief"].startswith("PONG in ")
    assert ("closed", 0, "") == (closed["state"], closed["failures"], closed["trouble"])
    assert (False, "none is away") == (check_after["degraded"], check_after["detail"])
    assert 0 == served.open_breakers("redis")
    assert 1 == served.log().count("breaker_opened")
    assert 1 == served.log().count("breaker_closed")


def test_a_breaker_is_listed_and_reset_from_the_command_line(served: Service) -> None:
    """Who has mended a server need not wait; and a call that is not made says why."""
    served.configure_for(services.free_port(), services.free_port())
    served.start()
    none = served.command("breaker", "list")
    tried = [served.ask_about("Database", number) for number in range(3)]
    listed, as_json = served.command("breaker", "list"), served.command("breaker", "list", "-o", "json")
    reset = served.command("breaker", "reset", "postgres:main")
    stands = served.breaker("postgres:main")
    unknown = served.command("breaker", "reset", "postgres:nobody")

    assert (0, True) == (none.returncode, none.stdout.startswith("no system has been asked yet"))
    assert [False] * 3 == [one["ok"] for one in tried]
    assert 0 == listed.returncode
    head, row = listed.stdout.splitlines()
    assert ["SYSTEM", "BREAKER", "SINCE", "CALLS", "WAIT", "WHY"] == head.split()
    assert row.startswith("postgres:main  ")
    assert "connection refused" in row
    assert "postgres:main" == json.loads(as_json.stdout)["breakers"][0]["system"]
    assert (0, "closed: the breaker of postgres:main (see: remediator breaker list)\n") == (
        reset.returncode,
        reset.stdout,
    )
    assert ("closed", 0) == (stands["state"], stands["failures"])
    assert "breaker_reset" in served.log()
    assert 1 == unknown.returncode
    assert "there is no breaker postgres:nobody; see: remediator breaker list\n" == unknown.stderr


def test_a_server_that_hangs_keeps_no_other_run_waiting(served: Service) -> None:
    """Thirty runs that each wait for its time limit would be half a minute of standing still."""
    services.requires("redis-server")
    port = services.free_port()
    with services.redis_server(port=port) as redis:
        served.configure_for(port, services.free_port())
        served.start()
        redis.freeze()
        for number in range(3):
            served.ask_about("Cache", number)
        stood = served.breaker("redis:cache")["failures"]
        for number in range(3, 33):
            labels = {"alertname": "Cache", "service": f"s{number}"}
            assert 202 == served.ask("/api/v1/alerts", body=body_of(labels))[0]
        here = served.ask_about("Here", 100)
        redis.thaw()
        services.wait_until(lambda: all(run["outcome"] for run in served.runs()), "all runs to end")
        services.wait_until(lambda: served.breaker("redis:cache")["asked_in_seconds"] == 0, "the pause to be over")
        again = served.ask_about("Cache", 101)

    assert 3 <= stood
    assert here["ok"]
    assert 34 + 1 == len(served.runs())
    assert again["brief"].startswith("PONG in ")
