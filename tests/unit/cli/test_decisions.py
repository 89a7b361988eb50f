"""The command line against a running service: what was approved is done and proven, what was denied is not done."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from remediator.cli import main
from tests import services
from tests.served import Served


@dataclass
class Running:
    """A service, and the command line beside it."""

    served: Served

    def call(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, arguments)

    def runs(self, *options: str) -> list[dict[str, Any]]:
        result = self.call("runs", "list", "-o", "json", *options)
        assert 0 == result.exit_code, result.output
        listed: list[dict[str, Any]] = json.loads(result.output)["runs"]
        return listed

    def show(self, run: str) -> dict[str, Any]:
        shown: dict[str, Any] = json.loads(self.call("runs", "show", "-o", "json", run).output)
        return shown

    def waiting_run(self) -> str:
        """Send an alert, and wait until its plan waits for a person."""
        assert 0 == self.call("send", "Down", "-l", "service=web").exit_code
        services.wait_until(lambda: bool(self.runs()), "the run")
        run = str(self.runs()[0]["id"])
        services.wait_until(lambda: bool(self.show(run)["waiting"]), "the plan to wait")
        return run

    def ended(self, run: str) -> str:
        services.wait_until(lambda: bool(self.show(run)["outcome"]), "the run to end")
        return str(self.show(run)["outcome"])

    @property
    def mended(self) -> bool:
        return (self.served.folder / "mended-web").exists()


@pytest.fixture
def served(tmp_path: Path) -> Served:
    """A service that has not started, whose settings are the ones of this folder."""
    served = Served(tmp_path)
    served.configure()
    return served


@pytest.fixture
def running(served: Served) -> Iterator[Running]:
    """The service, started."""
    served.start()
    yield Running(served)
    served.end()


def test_an_approved_plan_is_done_and_proven(running: Running) -> None:
    """The whole way of a person at a terminal."""
    run = running.waiting_run()
    shown = running.call("runs", "show", run).output
    before = running.mended
    asked = running.call("approve", run)
    approved = running.call("approve", run, "--plan", (digest := running.show(run)["waiting"]["digest"])[:12])

    assert not before
    assert (1, "nothing was decided: nobody has answered; in a script, give --yes\n") == (asked.exit_code, asked.stderr)
    assert [
        "1 plan of 1 rule:",
        "  1 changing step on 1 target: command:web",
        f"  run {run} of web/down, plan {digest[:12]}: run command mend service=web",
        "approve it? [y/N]: ",
    ] == asked.stdout.splitlines()
    assert f"Decide with: remediator approve {run}, or: remediator deny {run} --reason …" in shown
    assert "1. run command mend service=web" in shown
    assert 0 == approved.exit_code
    assert f"approved: plan {digest[:12]} of run {run}" == approved.output.splitlines()[-1]
    assert "healed" == running.ended(run)
    assert running.mended
    assert [run] == [found["id"] for found in running.runs("--outcome", "healed")]
    assert [] == running.runs("--active")
    assert "no runs that wait for a person\n" == running.call("runs", "list", "--waiting").output
    after = running.call("runs", "show", run).output
    assert "“run command mend service=web” done after" in after
    assert "remediate.0.0" not in after
    assert ["approved", "started", "healed"] == sorted(
        ("approved", "started", "healed"), key=lambda word: after.index(f"UTC  {word}")
    )
    head, line = running.call("runs", "list").output.splitlines()
    assert ["RUN", "BEGAN", "STANDS", "RULE", "ALERT"] == head.split()
    assert ["UTC", "healed", "web/down", "Down"] == line.split()[3:]
    assert head.index("STANDS") == line.index("healed")


def test_a_denied_plan_is_not_done(running: Running) -> None:
    """And the reason is kept."""
    run = running.waiting_run()
    denied = running.call("deny", run, "--reason", "not today")

    assert 0 == denied.exit_code
    assert "denied" == running.ended(run)
    assert not running.mended
    assert "not today" in running.call("runs", "show", run).output


def test_a_cancelled_run_ends_and_nothing_is_done(running: Running) -> None:
    """Whoever sees that a rule is wrong stops it at once; a second word on it is refused."""
    run = running.waiting_run()
    cancelled = running.call("cancel", run, "--reason", "wrong host")
    outcome = running.ended(run)
    again, unknown = running.call("cancel", run), running.call("cancel", "nosuchrun")

    assert (0, "cancelled") == (cancelled.exit_code, outcome)
    assert (1, 1) == (again.exit_code, unknown.exit_code)
    assert "wrong host" in running.call("runs", "show", run).output
    assert not running.mended


def test_a_decision_is_refused_where_nothing_waits_for_it(running: Running) -> None:
    """Each with what to do next; none of them may start anything."""
    run = running.waiting_run()
    other = running.call("approve", run, "--plan", "0123456789ab")
    unknown = running.call("approve", "nosuchrun")
    odd = running.call("approve", "../healthz")
    still = running.show(run)["waiting"]
    running.call("deny", run, "--reason", "no")
    running.ended(run)
    late = running.call("approve", run)

    assert (1, 1, 1, 1) == (other.exit_code, unknown.exit_code, odd.exit_code, late.exit_code)
    assert f"the plan is {still['digest'][:12]}, not 0123456789ab; look at it first" in other.stderr
    assert "there is no run nosuchrun" in unknown.stderr
    assert f"run {run} waits for nobody: it was denied by " in late.stderr
    assert " UTC, and it ended: denied; see: " in late.stderr
    assert still
    assert not running.mended


@pytest.fixture
def holding(served: Served) -> Iterator[Running]:
    """A service in a freeze that has begun long ago and is not over for long, so its plans are held."""
    always = {"name": "sale", "time_intervals": [{"years": ["2020:2100"]}]}
    served.configure(calendar={"time_intervals": [always], "freezes": [{"interval": "sale"}]})
    served.start()
    yield Running(served)
    served.end()


def test_a_held_plan_is_told_as_held_and_can_be_cancelled(holding: Running) -> None:
    """Nobody can approve what a guard holds: whoever tries learns why, for how long, and what he can do."""
    assert 0 == holding.call("send", "Down", "-l", "service=web").exit_code
    services.wait_until(lambda: ["held"] == [run["stage"] for run in holding.runs()], "the plan to be held")
    run = str(holding.runs()[0]["id"])
    held = holding.show(run)["held"]
    shown, approved = holding.call("runs", "show", run).output, holding.call("approve", run)
    denied = holding.call("deny", run, "--reason", "no")
    listed = holding.call("runs", "list").output.splitlines()

    assert "held" == listed[1].split()[4]
    assert "Stands   held\n         changes are frozen at this time: " in shown
    assert f"To end this run: remediator cancel {run}" in shown.splitlines()[-1]
    assert (1, 1) == (approved.exit_code, denied.exit_code)
    assert approved.stderr == denied.stderr
    assert f"run {run} waits for nobody: it is held, because {held['reason']}: " in approved.stderr
    assert "it is looked at again at 20" in approved.stderr
    assert " UTC (pipeline.hold_timeout)" in approved.stderr
    assert f"end it with: remediator cancel {run}" in approved.stderr
    assert 0 == holding.call("cancel", run).exit_code
    assert "cancelled" == holding.ended(run)
    assert holding.show(run)["held"] is None
    assert not holding.mended


def test_a_wrong_token_ends_with_five(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not allowed is told apart from not there."""
    run = running.waiting_run()
    monkeypatch.setenv("REMEDIATOR_TOKEN", "wrong")
    for arguments in (
        ["runs", "list"],
        ["runs", "show", run],
        ["approve", run],
        ["deny", run, "--reason", "x"],
        ["cancel", run],
    ):
        result = running.call(*arguments)

        assert 5 == result.exit_code
        assert result.stderr.startswith("not allowed: ")
        assert "The token that the variable REMEDIATOR_TOKEN gives was refused by the service at" in result.stderr
        assert "sought in" not in result.stderr
    assert not running.mended


@pytest.mark.parametrize("resolve", [True, False])
def test_a_resolution_ends_what_an_earlier_send_of_the_same_labels_opened(running: Running, resolve: bool) -> None:
    """So a rule can be tried from beginning to end; labels in another order are the same labels."""
    run = running.waiting_run()
    labels = ["-l", "team=x", "-l", "service=web"] if not resolve else ["-l", "service=web"]
    assert 0 == running.call("send", "Down", *labels, "--resolved").exit_code

    if resolve:
        assert "resolved by itself" == running.ended(run)
    assert resolve == bool(running.show(run)["signals"])
    assert not running.mended


def test_an_alert_can_be_sent_again_after_its_resolution(running: Running) -> None:
    """Whoever tries a rule out does so more than once, and at once."""
    for _ in range(2):
        assert 0 == running.call("send", "Seen").exit_code
        assert 0 == running.call("send", "Seen", "--resolved").exit_code
    services.wait_until(lambda: not running.runs("--active"), "the runs to end")

    assert ["web/seen", "web/seen"] == [run["rule"] for run in running.runs()]


def test_the_list_can_be_cut_and_filtered(running: Running) -> None:
    """By words that people use; one that is not known is a mistake and not an empty list."""
    for number in range(3):
        running.call("send", "Seen", "-l", f"n={number}")
    services.wait_until(lambda: 3 == len(running.runs("--outcome", "told")), "the runs to end")
    wrong = running.call("runs", "list", "--outcome", "nonsense")

    assert 2 == len(running.runs("-n", "2"))
    assert [] == running.runs("--outcome", "healed")
    assert "no active runs\n" == running.call("runs", "list", "--active").output
    assert "no runs that ended so\n" == running.call("runs", "list", "--outcome", "not_healed").output
    assert 2 == wrong.exit_code
    assert "'resolved by itself'" in wrong.stderr


def test_a_run_is_named_by_the_end_of_its_id(running: Running) -> None:
    """The story's tags show no more of it."""
    run = running.waiting_run()
    shown, approved = running.call("runs", "show", f"[{run[-4:]}]"), running.call("approve", run[-5:], "--yes")

    assert f"Run      {run}" == shown.output.splitlines()[0]
    assert 0 == approved.exit_code
    assert run in approved.output
    assert "healed" == running.ended(run)


def test_an_alert_is_explained_with_the_digest_that_then_waits(running: Running) -> None:
    """Beforehand from its labels, and afterwards from what is stored: it is the plan that a person is asked about."""
    before = explained(running, "Down", "-l", "service=web")
    run = running.waiting_run()
    (stored,) = json.loads(running.call("alerts", "--open", "-o", "json").output)["alerts"]
    by_run, by_fingerprint = (
        explained(running, "--run", run),
        explained(running, "--fingerprint", stored["fingerprint"]),
    )

    assert running.show(run)["waiting"]["digest"] == before
    assert [before, before] == [by_run, by_fingerprint]
    assert not running.mended


def explained(running: Running, *arguments: str) -> str:
    result = running.call("explain", "--gather", "-o", "json", *arguments)
    assert 0 == result.exit_code, result.output
    ((shown,), *_) = json.loads(result.stdout).values()
    return str(shown["rules"][0]["gathered"]["plan"]["digest"])
