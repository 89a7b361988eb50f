"""`remediator escalation` at the terminal: what is listed, and what is said to who takes a problem on."""

import getpass
import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from remediator.cli import main
from tests.unit.cli.test_commands import answering

RUN = "d5b63g2lf4gf7u74"
AT = "2026-01-01T12:00:00+00:00"
PROBLEM = {
    "run": RUN,
    "rule": "web/down",
    "summary": "web\x1b[2J is down",
    "since": AT,
    "told": [{"level": "on-call", "at": AT}],
    "next": {"level": "manager", "at": AT},
    "taken_on": None,
}


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither settings nor variables of the machine may reach a test."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.upper().startswith("REMEDIATOR_")]:
        monkeypatch.delenv(name)


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["escalation", *arguments])


@pytest.mark.parametrize(
    ("changes", "row"),
    [
        ({}, "on-call  manager at 2026-01-01 12:00:00 UTC"),
        ({"told": []}, "nobody yet  manager at 2026-01-01 12:00:00 UTC"),
        ({"next": None}, "on-call  nobody else"),
        ({"next": None, "taken_on": {"by": "ann", "at": AT, "reason": ""}}, "on-call  taken on by ann"),
    ],
)
def test_a_problem_is_listed_with_who_was_told_and_who_is_next(changes: dict[str, object], row: str) -> None:
    """One line each, which cannot command the terminal."""
    with answering(200, json.dumps({"escalations": [{**PROBLEM, **changes}]}).encode()) as (url, _):
        result = call("list", "--url", url)
    _, line = result.output.splitlines()

    assert 0 == result.exit_code
    assert row in " ".join(line.split(" ")).replace("   ", "  ")
    assert line.startswith(RUN)
    assert "\x1b" not in line


def test_that_there_is_none_is_said() -> None:
    """An empty table would look like a mistake."""
    with answering(200, b'{"escalations": []}') as (url, _):
        result = call("list", "--url", url)

    assert (0, "no open problem that somebody else is told of\n") == (result.exit_code, result.output)


@pytest.mark.parametrize(("by", "said"), [("ann", "taken on by ann"), (None, f"taken on by {getpass.getuser()}")])
def test_taking_it_on_says_whose_it_is(by: str | None, said: str) -> None:
    """Somebody else may have been faster."""
    with answering(202, json.dumps({"by": by} if by else {}).encode()) as (url, asked):
        result = call("ack", RUN, "--reason", "on it", "--url", url)
    ((verb, at, _, body),) = asked

    assert (0, f"{said}: run {RUN} (see: remediator runs show {RUN})\n") == (result.exit_code, result.output)
    assert ("POST", f"/api/v1/runs/{RUN}/acknowledge") == (verb, at)
    assert {"by": getpass.getuser(), "reason": "on it"} == json.loads(body)


def test_what_is_over_says_where_to_look() -> None:
    """Whoever was woken for it may go back to sleep."""
    with answering(409, b'{"error": "the problem is over: healed"}') as (url, _):
        result = call("ack", RUN, "--url", url)

    assert 1 == result.exit_code
    assert f"the problem is over: healed; see: remediator runs show {RUN}" in result.output
