"""Two processes on one PostgreSQL change a real Redis: what is to be put back is put back once, whoever dies."""

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import services
from tests.pair import Deed, Replica, bring_back, pair, start

RULES = """
pack: web
rules:
  - name: slow
    summary: clients hang
    match: ['alertname="Slow"']
    mode: auto
    remediate: [{name: let idle clients go, LASTS do: [{redis.config_set: {parameter: timeout, value: 90}}]}]
    verify:
      settle: 100ms
      sustain: SUSTAIN
      within: 1h
      every: 100ms
      checks: [{command.run: {command: look}, expect: result.exit_code == 0}]
  - name: seen
    match: ['alertname="Seen"']
    mode: observe
"""


@dataclass
class Desk:
    """The two, and the server whose parameter they set."""

    one: Replica
    two: Replica
    redis: services.Service
    database: str
    flag: Path

    def configure(self, *, sustain: str = "100ms", lasts: str = "") -> None:
        rules = RULES.replace("LASTS", f"for: {lasts}," if lasts else "").replace("SUSTAIN", sustain)
        for replica in (self.one, self.two):
            replica.configure(
                store={"url": self.database, "directory": str(replica.folder / "store")},
                redis={"default": {"url": f"redis://{self.redis.address}", "config": ["timeout"]}},
                commands={"look": {"argv": ["true"], "effect": "read"}},
            )
            (replica.folder / "rules.yaml").write_text(rules)

    def change(self) -> None:
        """Both live, and the first has changed the parameter."""
        start((self.one, self.two))
        self.one.deliver(alertname="Slow", service="web")
        services.wait_until(lambda: bool(self.one.said("finished", "Slow")), "the parameter to be set")
        assert ("90", 1) == (self.timeout, self.sets())

    def put_back(self, by: Replica) -> None:
        services.wait_until(lambda: bool(by.said("undone", "Slow")), "the parameter to be put back")

    @property
    def timeout(self) -> str:
        return self._ask("CONFIG GET timeout")[-1]

    def sets(self) -> int:
        """How often a parameter was set since the server started."""
        found = [line for line in self._ask("INFO commandstats") if line.startswith("cmdstat_config|set:")]
        return int(found[0].split("calls=")[1].split(",")[0]) if found else 0

    def _ask(self, words: str) -> list[str]:
        host, _, port = self.redis.address.partition(":")
        with socket.create_connection((host, int(port)), timeout=30) as link, link.makefile("rb") as answers:
            link.sendall(f"{words}\r\nQUIT\r\n".encode())
            said = answers.read().decode().splitlines()
        assert "+OK" == said.pop()
        return [line for line in said if line]


@pytest.fixture
def desk(tmp_path: Path, new_database: str) -> Iterator[Desk]:
    services.requires("redis-server")
    with services.redis_server() as redis, pair(tmp_path) as (one, two):
        yield Desk(one, two, redis, new_database, tmp_path / "flag")


def ask_for_undo(asked: Replica) -> None:
    """As a person does whom the load balancer has sent to this one."""
    run = asked.run_of("Slow")["id"]
    token = (asked.folder / "store" / "admin-token").read_text().strip()
    body, headers = json.dumps({"by": "ann", "reason": "no help"}).encode(), {"Authorization": f"Bearer {token}"}
    assert 202 == asked.ask(f"/api/v1/runs/{run}/undo", body=body, headers=headers)[0]


@pytest.mark.parametrize("deed", ["SIGKILL", "SIGSTOP"])
def test_a_change_for_a_while_is_put_back_once_by_who_lives(desk: Desk, deed: Deed) -> None:
    """The one that made it is gone when its time is over, and may come back and think that it is still its own."""
    desk.configure(lasts="8s")
    desk.change()
    services.wait_until(lambda: desk.one.run_of("Slow")["outcome"] == "healed", "the run to end")
    desk.one.do(deed)
    lasting = desk.timeout
    desk.put_back(desk.two)
    if deed == "SIGSTOP":
        bring_back(desk.one, desk.two)

    assert "90" == lasting
    assert ("0", 2) == (desk.timeout, desk.sets())
    assert [False] == [undone["asks"] for undone in desk.two.said("undone", "Slow")]
    assert ["was put back"] == [change["stands"] for change in desk.two.run_of("Slow")["changes"]]


@pytest.mark.parametrize("deed", ["SIGKILL", "SIGSTOP"])
def test_what_is_asked_of_another_is_put_back_once_though_the_owner_never_hears_of_it(desk: Desk, deed: Deed) -> None:
    """The run goes on at the one that is gone, and is not the other's yet when the person asks there."""
    desk.configure(sustain="10m")
    desk.change()
    desk.one.do(deed)
    ask_for_undo(desk.two)
    was_early = desk.two.logged("replica_is_dead")
    desk.put_back(desk.two)
    if deed == "SIGSTOP":
        bring_back(desk.one, desk.two)

    assert not was_early
    assert ("0", 2) == (desk.timeout, desk.sets())
    assert [False] == [undone["asks"] for undone in desk.two.said("undone", "Slow")]


@pytest.mark.parametrize(
    ("point", "deed", "sustain"),
    [  # the run is under way for ten minutes, or it has ended
        ("step.started", "SIGKILL", "10m"),
        ("step.call", "SIGKILL", "100ms"),
        ("step.answered", "SIGKILL", "10m"),
        ("step.started", "SIGSTOP", "100ms"),
        ("step.answered", "SIGSTOP", "10m"),
    ],
)
def test_what_is_asked_of_another_is_put_back_once_though_who_does_it_is_lost_at_it(
    desk: Desk, point: str, deed: Deed, sustain: str
) -> None:
    """What the lost one did is looked at before anything is done again, and what it would do late is refused.

    Both hear of the wish, and either may see to it. Not tried is the one moment that remains: to be frozen right before
    the call.
    """
    desk.configure(sustain=sustain)
    for one in (desk.one, desk.two):
        one.arm(point, deed, desk.flag)
    desk.change()
    if sustain == "100ms":
        services.wait_until(lambda: desk.one.run_of("Slow")["outcome"] == "healed", "the run to end")
    desk.flag.touch()
    ask_for_undo(desk.two)
    services.wait_until(lambda: desk.one.is_lost() or desk.two.is_lost(), f"{deed} at {point}")
    was_done = desk.timeout == "0"
    victim, other = (desk.one, desk.two) if desk.one.is_lost() else (desk.two, desk.one)
    desk.put_back(other)
    if deed == "SIGSTOP":
        bring_back(victim, other)

    assert was_done is (point == "step.answered")
    assert ("0", 2) == (desk.timeout, desk.sets())
    assert [False] == [undone["asks"] for undone in other.said("undone", "Slow")]
