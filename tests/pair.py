"""Two processes of the service on one PostgreSQL, of which one is killed or frozen while the other goes on."""

import json
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from remediator.model.alert import fingerprint_of
from tests import services
from tests.served import Served

Deed = Literal["SIGKILL", "SIGSTOP"]

_ARMED = """
import os, signal, sys
from remediator.cli import main
from remediator.kit import failpoints

point, deed, flag = sys.argv[1:4]

def act():
    try:
        os.rename(flag, flag + ".sprung")
    except FileNotFoundError:
        failpoints.arm(point, act)
    else:
        os.kill(os.getpid(), signal.Signals[deed])

failpoints.arm(point, act)
main(sys.argv[sys.argv.index("remediator") + 1 :], prog_name="remediator")
"""


class Replica(Served):
    """A process that can be frozen, and that can be told to die or to freeze at a failpoint."""

    def arm(self, point: str, deed: Deed, flag: Path) -> None:
        """Before it is started: have that happen to it at that point, once a flag is there; it takes the flag away."""
        script = self.folder / "armed.py"
        script.write_text(_ARMED)
        self.wrapper = (sys.executable, str(script), point, deed, str(flag))

    def thaw(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def do(self, deed: Deed) -> None:
        """Kill or freeze it now."""
        assert self.process is not None
        self.process.send_signal(signal.Signals[deed])
        self.until(deed)

    def until(self, deed: Deed) -> None:
        """Wait until it is dead, or frozen."""
        services.wait_until(self.is_lost, f"{deed} of {self.folder.name}")

    def is_lost(self) -> bool:
        """Whether it is dead, or frozen."""
        assert self.process is not None
        if (code := self.process.poll()) is not None:
            assert -signal.SIGKILL == code, self.log()
            return True
        stat = Path(f"/proc/{self.process.pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] == "T"

    def deliver(self, *, resolved: bool = False, **labels: str) -> None:
        """What Alertmanager would send of one alert."""
        now = datetime.now(UTC).isoformat()
        alert = {
            "status": "resolved" if resolved else "firing",
            "labels": labels,
            "annotations": {},
            "startsAt": now,
            "endsAt": now if resolved else "0001-01-01T00:00:00Z",
            "fingerprint": fingerprint_of(labels),
        }
        body = {"version": "4", "groupKey": "{}", "receiver": "remediator", "alerts": [alert]}
        assert 202 == self.ask("/api/v1/alerts", body=json.dumps(body).encode())[0]

    def run_of(self, alertname: str) -> dict[str, Any]:
        """The one run for an alert of that name; empty where there is none."""
        found = [run for run in self.runs() if run["alert"]["labels"]["alertname"] == alertname]
        assert len(found) <= 1, found
        return found[0] if found else {}

    def said(self, kind: str, alertname: str) -> list[dict[str, Any]]:
        """What a run has on record of a kind."""
        return [fact for fact in self.run_of(alertname).get("timeline", ()) if fact["kind"] == kind]

    def logged(self, words: str) -> bool:
        return words in self.log()


@contextmanager
def pair(folder: Path) -> Iterator[tuple[Replica, Replica]]:
    """Two that are not started yet; both are ended at last, however they are."""
    made = []
    for name in ("one", "two"):
        (folder / name).mkdir()
        made.append(Replica(folder / name))
    try:
        yield made[0], made[1]
    finally:
        for one in made:
            one.end()


def start(replicas: Sequence[Replica]) -> None:
    """The first of them leads; returns when all know of each other."""
    for one in replicas:
        one.start()
    wanted = float(len(replicas))
    services.wait_until(
        lambda: all(one.series()["remediator_replicas"] == wanted for one in replicas),
        "the replicas to find each other",
    )
    services.wait_until(lambda: replicas[0].series()["remediator_leader"] == 1, "the first to lead")


def bring_back(victim: Replica, other: Replica, seen: str = "Seen") -> None:
    """Thaw one that was taken for dead, and wait until it works again: what it would do late is done by then."""
    services.wait_until(lambda: other.logged("replica_is_dead"), "the frozen one to be taken for dead")
    victim.thaw()
    services.wait_until(lambda: victim.logged("replica_was_taken_for_dead"), "the frozen one to see that it was")
    services.wait_until(lambda: victim.readiness()[0] == 200, "the frozen one to be ready again")
    victim.deliver(alertname=seen, service="after-the-thaw")
    services.wait_until(lambda: victim.run_of(seen).get("outcome") == "told", "the frozen one to work again")
