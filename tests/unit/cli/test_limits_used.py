"""`remediator limits --used`: how much of each budget is used, as the service tells it."""

import json
from pathlib import Path
from typing import Any

import pytest

from remediator.cli.telling import clock_time
from tests.unit.cli.calling import answering, call

AT = "2026-01-31T12:00:00+00:00"
OF_RULE: dict[str, Any] = {
    "limit": "per_rule",
    "of": "this rule",
    "budget": "2/1h",
    "allowed": 2,
    "used": 2,
    "or_more": False,
    "used_up": True,
    "frees_at": AT,
    "remedies": ["mend"],
}
OF_ALL = {**OF_RULE, "limit": "overall", "of": "all rules together", "budget": "30/1h", "used_up": False}
UNUSED = {**OF_ALL, "budget": "90/1d", "used": 0, "frees_at": None}
MANY = {**UNUSED, "budget": "9000/1d", "used": 500, "or_more": True}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def answer(*budgets: dict[str, Any]) -> bytes:
    return json.dumps({"rule": "web/down", "target": None, "budgets": budgets}).encode()


def test_each_budget_is_a_line_with_what_is_used_and_when_it_frees() -> None:
    """Who wonders why a rule waits has it at a look."""
    with answering(200, answer(OF_RULE, OF_ALL, UNUSED, MANY)) as (url, asked):
        result = call("limits", "web/down", "--used", "--url", url)
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]

    assert [("GET", "/api/v1/limits?rule=web%2Fdown")] == [one[:2] for one in asked]
    assert [
        "LIMIT OF USED ALLOWED ROOM REMEDIES",
        f"per_rule this rule 2 2/1h from {clock_time(AT)} on mend",
        f"overall all rules together 2 30/1h yes, one more from {clock_time(AT)} on mend",
        "overall all rules together 0 90/1d yes mend",
        "overall all rules together 500 or more 9000/1d yes mend",
    ] == lines
    assert "--target NAME" in result.stderr


def test_a_target_is_asked_for_by_its_name() -> None:
    """Also as `stops` writes it."""
    with answering(200, answer(OF_RULE)) as (url, asked):
        result = call("limits", "rule:web/down", "--used", "--target", "target:docker:local/web", "--url", url)

    assert (0, "") == (result.exit_code, result.stderr)
    assert "/api/v1/limits?rule=web%2Fdown&target=docker%3Alocal%2Fweb" == asked[0][1]


def test_without_a_rule_all_rules_together_are_asked_for() -> None:
    with answering(200, answer(OF_ALL)) as (url, asked):
        result = call("limits", "--used", "-o", "json", "--url", url)

    assert ("/api/v1/limits", [OF_ALL]) == (asked[0][1], json.loads(result.stdout)["budgets"])


def test_a_rule_that_changes_nothing_has_no_budget() -> None:
    with answering(200, answer()) as (url, _):
        result = call("limits", "web/down", "--used", "--url", url)

    assert "web/down changes nothing, so no budget holds for it\n" == result.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("--used", "--target", "docker:local/web"),
        ("web/down", "--target", "docker:local/web"),
        ("web/down", "--url", "http://127.0.0.1:1"),
        ("web/down", "--used", "-r", "."),
    ],
)
def test_what_would_be_passed_over_is_a_mistake(arguments: tuple[str, ...]) -> None:
    """Figures that look as if they were of a target must be."""
    assert 2 == call("limits", *arguments).exit_code
