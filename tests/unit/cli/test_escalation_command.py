"""`remediator escalation` at the terminal: what is listed, and what is said to who takes a problem on."""

import getpass
import json

import pytest
from click.testing import Result

from tests.unit.cli import calling
from tests.unit.cli.calling import answering

RUN = "d5b63g2lf4gf7u74"
AT = "2026-01-01T12:00:00+00:00"
PLACE = {
    "channel": "#on-call",
    "delivered": True,
    "delivered_at": None,
    "waiting_since": None,
    "tries": None,
    "error": None,
}
PROBLEM: dict[str, object] = {
    "run": RUN,
    "rule": "web/down",
    "summary": "web\x1b[2J is down",
    "since": AT,
    "levels": [
        {"level": "on-call", "number": 1, "state": "delivered", "due": AT, "places": [{**PLACE, "delivered_at": AT}]},
        {"level": "manager", "number": 2, "state": "due", "due": AT, "places": []},
    ],
    "next": {"level": "manager", "at": AT},
    "taken_on": None,
}


def call(*arguments: str) -> Result:
    return calling.call("escalation", *arguments)


@pytest.mark.parametrize(
    ("changes", "then"),
    [
        ({}, "manager at 2026-01-01 12:00:00 UTC"),
        ({"next": None}, "nobody else"),
        ({"next": None, "taken_on": {"by": "ann", "at": AT, "reason": ""}}, "taken on by ann"),
    ],
)
def test_a_problem_is_listed_with_who_is_next(changes: dict[str, object], then: str) -> None:
    """One line each, which cannot command the terminal, and one for each level."""
    with answering(200, json.dumps({"escalations": [{**PROBLEM, **changes}]}).encode()) as (url, _):
        result = call("list", "--url", url)
    _, line, *levels = result.output.splitlines()

    assert 0 == result.exit_code
    assert f"UTC  {then}" in line
    assert line.startswith(RUN)
    assert "\x1b" not in result.output
    assert [
        "    on-call: delivered to #on-call at 2026-01-01 12:00:00 UTC",
        "    manager: due at 2026-01-01 12:00:00 UTC",
    ] == levels


WAITS = {**PLACE, "delivered": False, "waiting_since": AT}


@pytest.mark.parametrize(
    ("state", "places", "line"),
    [
        ("delivered", [PLACE], "delivered to #on-call"),
        ("waiting", [WAITS], "sent to #on-call, and not delivered yet: it waits since 2026-01-01 12:00:00 UTC"),
        (
            "waiting",
            [{**WAITS, "tries": 2, "error": "answered\x1b 503"}],
            "it waits since 2026-01-01 12:00:00 UTC, tried 2 times in vain: answered\N{REPLACEMENT CHARACTER} 503",
        ),
        ("not configured", [], "not configured: the settings have no such level, so nobody is told"),
    ],
)
def test_how_far_the_telling_is_is_said(state: str, places: list[object], line: str) -> None:
    """That somebody was told is said once they were."""
    level = {"level": "on-call", "number": 1, "state": state, "due": AT, "places": places}
    with answering(200, json.dumps({"escalations": [{**PROBLEM, "levels": [level]}]}).encode()) as (url, _):
        result = call("list", "--url", url)

    assert line in result.output.splitlines()[-1]
    assert 3 == len(result.output.splitlines())


def test_that_there_is_none_is_said() -> None:
    """An empty table would look like a mistake."""
    with answering(200, b'{"escalations": []}') as (url, _):
        result = call("list", "--url", url)

    assert (0, "no open problem that somebody else is told of\n") == (result.exit_code, result.output)


def test_taking_it_on_says_whose_it_is() -> None:
    """It is theirs from now on."""
    with answering(202, b"{}") as (url, asked):
        result = call("ack", RUN, "--reason", "on it", "--url", url)
    ((verb, at, _, body),) = asked
    me = getpass.getuser()

    assert (0, f"taken on by {me}: run {RUN} (see: remediator runs show {RUN})\n") == (result.exit_code, result.output)
    assert ("POST", f"/api/v1/runs/{RUN}/acknowledge") == (verb, at)
    assert {"by": me, "reason": "on it"} == json.loads(body)


def test_what_somebody_else_has_is_not_taken_on() -> None:
    """Both would work on it, or each leaves it to the other."""
    with answering(409, b'{"error": "ann has it since noon, so it was not taken on"}') as (url, asked):
        result = call("ack", RUN, "--take-over", "--url", url)

    assert 1 == result.exit_code
    assert "ann has it since noon" in result.output
    assert "taken on by" not in result.output
    assert json.loads(asked[0][3])["take_over"] is True


def test_one_of_a_list_that_cannot_be_taken_on_keeps_no_other() -> None:
    """In a storm a person takes on all at once."""
    with answering(409, b'{"error": "the problem is over"}') as (url, asked):
        result = call("ack", RUN, RUN, "--url", url)

    assert (1, 2) == (result.exit_code, len(asked))


def test_what_is_over_says_where_to_look() -> None:
    """Whoever was woken for it may go back to sleep."""
    with answering(409, b'{"error": "the problem is over: healed"}') as (url, _):
        result = call("ack", RUN, "--url", url)

    assert 1 == result.exit_code
    assert f"the problem is over: healed; see: remediator runs show {RUN}" in result.output
