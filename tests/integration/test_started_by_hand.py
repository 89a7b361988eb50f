"""A rule that is started by hand at the terminal of the real service, approved with others, watched, and healed."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import services
from tests.served import Served, environment


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    made = Served(tmp_path)
    made.configure(mode="gated")
    made.start()
    yield made
    made.end()


def watching(served: Served, run: str) -> "subprocess.Popen[str]":
    argv = [sys.executable, "-m", "remediator", "-c", str(served.folder / "remediator.yaml"), "runs", "watch", run]
    return subprocess.Popen(argv, cwd=served.folder, env=environment(), stdout=subprocess.PIPE, text=True)


def waiting(served: Served) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(served.command("approvals", "list", "-o", "json").stdout)["approvals"]
    return found


def test_from_the_start_by_hand_to_the_proof(served: Served) -> None:
    """Without any alert; what was begun before a crash goes on after it, and a call that is made again begins nothing.

    A second one of the same rule is decided on together with it, and has another end.
    """
    start = ("runs", "start", "web/down", "-l", "service=web", "--reason", "the page is gone", "--key", "k1")
    begun = served.command(*start)
    (first,) = [one["id"] for one in served.get("/api/v1/runs")["runs"]]
    served.kill()
    served.start()
    again = served.command(*start)
    open_already = served.command("runs", "start", "web/down", "-l", "service=web")
    unfit = served.command("runs", "start", "web/down", "-l", "alertname=Up")
    no_rule = served.command("runs", "start", "web/dwn")
    other = served.command("runs", "start", "web/down", "-l", "service=db")

    assert (0, f"started by hand: run {first} of web/down (follow it: remediator runs watch {first})\n") == (
        begun.returncode,
        begun.stdout,
    )
    assert (0, True) == (again.returncode, again.stdout.startswith(f"was started with this key before: run {first}"))
    assert (1, True) == (open_already.returncode, f"and run {first} of web/down is under way" in open_already.stderr)
    assert (2, True) == (unfit.returncode, 'it asks for alertname="Down", and alertname is Up' in unfit.stderr)
    assert (1, True) == (no_rule.returncode, "did you mean web/down?" in no_rule.stderr)
    assert 0 == other.returncode
    services.wait_until(lambda: 2 == len(waiting(served)), "both plans to wait")
    assert not (served.folder / "mended-web").exists()

    watched = watching(served, first)
    approved = served.command("approve", "--rule", "web/down", "--yes")
    assert 0 == approved.returncode, approved.stderr
    assert "2 plans of 1 rule, together:\n  2 changing steps on 2 targets:" in approved.stdout
    assert 2 == approved.stdout.count("\napproved: plan ")
    told, _ = watched.communicate(timeout=60)
    assert (0, "ended: healed") == (watched.returncode, told.splitlines()[-1])
    assert "approved by" in told
    services.wait_until((served.folder / "mended-db").exists, "the other one to be done")

    shown = served.command("runs", "show", first).stdout
    assert "started by hand by" in shown
    assert ": the page is gone" in shown
    assert "their word counts, nobody is asked whether an alert fires" in shown
    assert "(with the admin token)" in shown
    assert "Told in terminal: " in shown
    nobody = served.command("approvals", "list")
    assert "nothing waits for a person\n" == nobody.stdout
    (alert,) = [one for one in served.get("/api/v1/alerts")["alerts"] if one["labels"]["service"] == "web"]
    assert alert["closed_at"] is not None
