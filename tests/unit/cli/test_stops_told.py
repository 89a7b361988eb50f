"""What stands in the way, told at the terminal: how it ends, and what is said to who lifts it."""

import getpass
import json

import pytest

from tests.unit.cli.calling import answering, call

pytestmark = pytest.mark.usefixtures("dead_proxy")


@pytest.mark.parametrize(
    ("arguments", "path", "said", "told"),
    [
        (
            ["breaker", "reset", "redis:cache"],
            "breakers/reset",
            {"system": "redis:cache"},
            "closed: the breaker of redis:cache (see: remediator breaker list)",
        ),
        (
            ["breaker", "reset", "rule:web/down"],
            "stops/lift",
            {"kind": "breaker", "scope": "rule:web/down"},
            "closed: the breaker of rule:web/down (see: remediator stops)",
        ),
        (
            ["breaker", "reset", "web/down"],
            "stops/lift",
            {"kind": "breaker", "scope": "rule:web/down"},
            "closed: the breaker of rule:web/down (see: remediator stops)",
        ),
        (
            ["breaker", "reset", "action:docker.restart"],
            "stops/lift",
            {"kind": "breaker", "scope": "action:docker.restart"},
            "closed: the breaker of action:docker.restart (see: remediator stops)",
        ),
        (
            ["quarantine", "clear", "docker:local/web"],
            "stops/lift",
            {"kind": "quarantine", "scope": "target:docker:local/web"},
            "cleared: target:docker:local/web",
        ),
        (
            ["promote", "web/down"],
            "stops/lift",
            {"kind": "demotion", "scope": "rule:web/down"},
            "promoted: rule:web/down",
        ),
    ],
)
def test_what_is_lifted_is_said_by_its_kind_and_scope(
    arguments: list[str], path: str, said: dict[str, str], told: str
) -> None:
    """A system's breaker is in the process that is asked; all else is stored."""
    with answering(200) as (url, asked):
        result = call(*arguments, "--url", url)
    ((verb, at, _, body),) = asked
    given = json.loads(body)

    assert (0, f"{told}\n", "POST", f"/api/v1/{path}") == (result.exit_code, result.output, verb, at)
    assert getpass.getuser() == given.pop("by")
    assert said == given


@pytest.mark.parametrize(
    ("settled", "why"),
    [("since then: run r0 counts as done", "a step failed; since then: run r0 counts as done"), ("", "a step failed")],
)
def test_what_became_known_since_is_listed_with_a_stop(settled: str, why: str) -> None:
    """Whoever promotes the rule should know it."""
    at = "2026-01-01T12:00:00+00:00"
    stop = {"kind": "demotion", "scope": "rule:web/down", "at": at, "until": None, "by": "remediator"}
    body = {"stops": [{**stop, "reason": "a step failed", "settled": settled}]}
    with answering(200, json.dumps(body).encode()) as (url, _):
        result = call("stops", "--url", url)

    assert 0 == result.exit_code, result.output
    assert result.output.splitlines()[-1].endswith(why)


@pytest.mark.parametrize(
    ("kind", "at", "until", "said"),
    [
        ("pause", "2026-01-01T12:00:00+00:00", None, "pause everything 2026-01-01 12:00:00 UTC until lifted ann why"),
        ("pause file", "2026-01-01T12:00:00+00:00", None, "everything 2026-01-01 12:00:00 UTC ann why"),
        ("freeze", None, "2026-01-02T00:00:00+00:00", "freeze everything 2026-01-02 00:00:00 UTC ann why"),
        ("window", None, None, "window everything ann why"),
    ],
)
def test_each_stop_says_how_it_ends(kind: str, at: str | None, until: str | None, said: str) -> None:
    """What nobody has lifted must not look as if somebody had."""
    stop = {"kind": kind, "scope": "everything", "at": at, "until": until, "by": "ann", "reason": "why"}
    with answering(200, json.dumps({"stops": [stop]}).encode()) as (url, _):
        result = call("stops", "--url", url)

    assert said in " ".join(result.output.splitlines()[-1].split())


def test_the_list_of_systems_says_where_other_breakers_are() -> None:
    """A breaker of a rule is a stop, and no system. What reads the table is not to meet it there."""
    system = {"system": "redis:cache", "state": None, "asked_in_seconds": 0, "opened_at": None, "calls": 0}
    body = {"breakers": [{**system, "waiting": 0, "trouble": ""}]}
    with answering(200, json.dumps(body).encode()) as (url, _):
        result = call("breaker", "list", "--url", url)

    assert "the breakers of rules and actions: remediator stops\n" == result.stderr
    assert 2 == len(result.stdout.splitlines())


def test_no_stop_says_no_more_than_is_known() -> None:
    """Limits may hold plans all the same."""
    with answering(200, b'{"stops": []}') as (url, _):
        result = call("stops", "--url", url)

    assert result.output.startswith("nobody has stopped anything, ")


@pytest.mark.parametrize("arguments", [["pause", "--for", "1m"], ["resume"]])
def test_what_the_service_says_besides_is_told(arguments: list[str]) -> None:
    """A longer pause stands, or a file holds everything still. The end is the one that the service has."""
    answer = {"note": "a file\x1b is there", "until": "2026-01-01T12:00:00+00:00"}
    with answering(200, json.dumps(answer).encode()) as (url, _):
        result = call(*arguments, "--url", url)

    assert 0 == result.exit_code
    assert "note: a file\N{REPLACEMENT CHARACTER} is there" == result.output.splitlines()[-1]
    assert ("2026-01-01 12:00:00" in result.output) is (arguments[0] == "pause")
