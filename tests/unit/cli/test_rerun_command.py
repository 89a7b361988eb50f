"""`remediator rerun` at the terminal: what is asked for, and what is said."""

import getpass
import json

import pytest
from click.testing import Result

from tests.unit.cli import calling
from tests.unit.cli.calling import answering

RUN = "d5b63g2lf4gf7u74"
NEW = {"id": "d5b63g1c8p06l853", "rule": "web/do\x1bwn"}


def call(*arguments: str) -> Result:
    return calling.call("rerun", *arguments)


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ([RUN], f"/api/v1/runs/{RUN}/rerun"),
        (["--fingerprint", "own-2fc4c353ef13c5b1"], "/api/v1/alerts/own-2fc4c353ef13c5b1/rerun"),
        (["--fingerprint", "a/b?c"], "/api/v1/alerts/a%2Fb%3Fc/rerun"),
    ],
)
def test_the_new_run_is_named(arguments: list[str], path: str) -> None:
    """So that it can be looked at; what a rule is called cannot command the terminal."""
    with answering(201, json.dumps({"runs": [NEW], "joined": []}).encode()) as (url, asked):
        result = call(*arguments, "--reason", "the disk is back", "--url", url)
    ((verb, at, _, body),) = asked

    said = f"begun anew: run {NEW['id']} of web/do\N{REPLACEMENT CHARACTER}wn (see: remediator runs show {NEW['id']})\n"
    assert (0, said) == (result.exit_code, result.output)
    assert ("POST", path) == (verb, at)
    assert {"by": getpass.getuser(), "reason": "the disk is back"} == json.loads(body)


def test_that_it_has_joined_another_run_is_said() -> None:
    """Nothing new is there to be looked for then."""
    with answering(201, json.dumps({"runs": [], "joined": [NEW]}).encode()) as (url, _):
        result = call(RUN, "--url", url)

    assert 0 == result.exit_code
    assert result.output.startswith("joined, as it was under way for the same group: run d5b63g1c8p06l853")


@pytest.mark.parametrize("arguments", [[], [RUN, "--fingerprint", "f"]])
def test_either_a_run_or_an_alert_is_needed(arguments: list[str]) -> None:
    """Which one was meant is nobody's guess."""
    result = call(*arguments)

    assert 2 == result.exit_code
    assert "give a run, or an alert by --fingerprint (remediator alerts --open), and not both" in result.output


def test_what_is_refused_says_where_to_look() -> None:
    """The run that is under way is the one to look at."""
    with answering(409, b'{"error": "run r9 of this alert is under way"}') as (url, _):
        result = call(RUN, "--url", url)

    assert 1 == result.exit_code
    assert f"run r9 of this alert is under way; see: remediator runs show {RUN}\n" == result.output
