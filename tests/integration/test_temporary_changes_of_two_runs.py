"""Two runs give one parameter of a real Redis the same value for a while: both stores, a kill, two processes."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from remediator.model.alert import fingerprint_of
from tests import services
from tests.served import Served

RULE = """
  - name: slow-SERVICE
    summary: clients of SERVICE hang
    match: ['alertname="Slow"', 'service="SERVICE"']
    mode: auto
    remediate:
      - name: let idle clients go
        for: LASTS
        do: [{redis.config_set: {parameter: timeout, value: 90}}]
    verify: {settle: 100ms, sustain: 100ms, within: 10m, every: 100ms,
      checks: [{command.run: {command: look}, expect: result.exit_code == 0}]}
"""


@dataclass
class Desk:
    """The service, in one or two processes, and the server whose parameter it sets."""

    folder: Path
    redis: services.Service
    database: str
    processes: list[Served] = field(default_factory=list)

    def start(self, *, first: str, second: str, processes: int = 1) -> None:
        rules = "pack: web\nrules:" + "".join(
            RULE.replace("SERVICE", service).replace("LASTS", lasts) for service, lasts in (("a", first), ("b", second))
        )
        for number in range(processes):
            served = Served(self.folder / f"process-{number}")
            served.folder.mkdir()
            own = {"directory": str(served.folder / "store")}
            served.configure(
                mode="auto",
                redis={"default": {"url": f"redis://{self.redis.address}", "config": ["timeout"]}},
                commands={"look": {"argv": ["true"], "effect": "read"}},
                store={**own, "url": self.database} if self.database else own,
            )
            (served.folder / "rules.yaml").write_text(rules)
            self.processes.append(served)
            served.start()

    @property
    def served(self) -> Served:
        return self.processes[0]

    @property
    def timeout(self) -> str:
        return services.ask_redis(self.redis.address, "CONFIG", "GET", "timeout")

    def deliver(self, service: str, to: int, status: str) -> None:
        now, labels = datetime.now(UTC).isoformat(), {"alertname": "Slow", "service": service}
        told = {
            "status": status,
            "labels": labels,
            "annotations": {},
            "startsAt": now,
            "endsAt": now if status == "resolved" else "0001-01-01T00:00:00Z",
            "fingerprint": fingerprint_of(labels),
        }
        body = {"version": "4", "groupKey": "{}", "receiver": "remediator", "alerts": [told]}
        assert 202 == self.processes[to].ask("/api/v1/alerts", body=json.dumps(body).encode())[0]

    def fire(self, service: str, to: int = 0) -> dict[str, Any]:
        """An alert comes, and its run heals; that run."""
        self.deliver(service, to, "firing")
        services.wait_until(lambda: self.run_of(service).get("outcome") == "healed", f"the run of {service} to heal")
        return self.run_of(service)

    def run_of(self, service: str) -> dict[str, Any]:
        runs = self.served.runs()
        return next((run for run in runs if run["alert"]["labels"]["service"] == service), {})

    def resolve(self, service: str, to: int = 0) -> str:
        """The alert is over, and with it what was changed for a while; what is told of putting it back."""
        self.deliver(service, to, "resolved")
        return self.undone(service)

    def undone(self, service: str) -> str:
        """What is told of putting back what the run of a service has changed, as soon as it is."""
        found: list[str] = []

        def is_over() -> bool:
            found[:] = [fact["text"] for fact in self.run_of(service)["timeline"] if fact["kind"] == "undone"]
            return bool(found)

        services.wait_until(is_over, f"what the run of {service} has changed to be put back")
        return found[0]


@pytest.fixture(params=["sqlite", "postgres"])
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    services.requires("redis-server")
    database = request.getfixturevalue("new_database") if request.param == "postgres" else ""
    with services.redis_server() as redis:
        made = Desk(tmp_path, redis, database)
        yield made
        for served in made.processes:
            served.end()


def test_the_first_to_end_does_not_take_it_from_under_the_other(desk: Desk) -> None:
    """Nor does the value that both have set stay for ever."""
    desk.start(first="1h", second="1h")
    older = desk.fire("a")
    younger = desk.fire("b")
    said, between = desk.resolve("a"), desk.timeout
    back, after = desk.resolve("b"), desk.timeout

    assert ("90", "0") == (between, after)
    assert f"left to run {younger['id']}, which has changed the same until " in said
    assert f"(to what was there before run {older['id']})" in back


def test_the_second_may_end_first(desk: Desk) -> None:
    """It puts back nothing, for it has met what the first had set."""
    desk.start(first="1h", second="1s")
    desk.fire("a")
    desk.fire("b")
    said, between = desk.undone("b"), desk.timeout
    desk.resolve("a")

    assert ("90", "0") == (between, desk.timeout)
    assert "is back: set timeout" in said


def test_it_holds_over_a_kill(desk: Desk) -> None:
    """Both times are over when the service comes back: nothing of either is left."""
    desk.start(first="1s", second="2s")
    desk.fire("a")
    desk.fire("b")
    desk.served.kill()
    over = datetime.now(UTC) + timedelta(seconds=3)
    services.wait_until(lambda: datetime.now(UTC) > over, "both times to be over")
    desk.served.start()
    desk.undone("a")
    desk.undone("b")

    assert "0" == desk.timeout


@pytest.mark.parametrize("desk", ["postgres"], indirect=True)
def test_it_holds_for_two_processes(desk: Desk) -> None:
    """Whichever of them works on which run."""
    desk.start(first="1h", second="1h", processes=2)
    desk.fire("a", to=0)
    desk.fire("b", to=1)
    desk.resolve("a", to=1)
    between = desk.timeout
    desk.resolve("b", to=0)

    assert ("90", "0") == (between, desk.timeout)


def test_who_looks_first_sees_to_whom_it_would_be_left(desk: Desk) -> None:
    """And what somebody has changed by hand since; nothing is changed by that."""
    desk.start(first="1h", second="1h")
    older, younger = desk.fire("a"), desk.fire("b")

    def says(run: dict[str, Any]) -> str:
        """What the command says beside `now`."""
        shown = desk.served.command("undo", run["id"], "--show")
        return next(line for line in shown.stdout.splitlines() if line.startswith("     now: "))

    first, second = says(older), says(younger)
    services.ask_redis(desk.redis.address, "CONFIG", "SET", "timeout", "33")

    assert f"it would be left to run {younger['id']}, which has changed the same until" in first
    assert "nothing is to be done, it is as it was before already: timeout of Redis server default is 90" in second
    by_hand = "somebody has changed it since, so it would be left as it is: timeout of Redis server default is 33"
    assert by_hand in says(younger)
    assert "33" == desk.timeout
