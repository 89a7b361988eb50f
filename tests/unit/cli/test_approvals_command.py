"""`remediator approvals list`, and `approve` and `deny` of several runs: what is shown first, and what is then said."""

import getpass
import json
from collections.abc import Mapping
from typing import Any

import pytest
from click.testing import CliRunner, Result

from remediator.cli import main
from tests.unit.cli.calling import call
from tests.unit.cli.scripted import Answers, scripted

FIRST, SECOND, THIRD = "d5b63g2lf4gf7u74", "d5b63g1c8p06l853", "d5b63g1c8p06l999"
LIST = "GET /api/v1/approvals"
DECIDE = "POST /api/v1/approvals/decision"


def plan(run: str, **changes: Any) -> dict[str, Any]:
    step = {"sentence": "restart the container web\x1b", "effect": "change"}
    return {
        "id": run,
        "rule": "web/down",
        "alertname": "Down",
        "until": "2026-01-31T12:15:00Z",
        "name": "restart",
        "digest": run * 4,
        "quorum": 2,
        "missing": 1,
        "approvers": ["sre", "dba"],
        "targets": ["docker:local/web"],
        "pools": ["service web"],
        "touches": "1 of 3 of service web",
        "why": "",
        "steps": [step, {"sentence": "look", "effect": "read"}],
        **changes,
    }


OTHER = plan(
    SECOND, rule="db/full", targets=["docker:local/db"], pools=[], steps=[{"sentence": "drop it", "effect": "destroy"}]
)
PLANS = [plan(FIRST), OTHER, plan(THIRD, alertname="Slow", approvers=[], why="a stop holds")]
WAITING = {"approvals": PLANS, "more": False}


def taken(*runs: str) -> Mapping[str, Any]:
    return {"runs": [{"id": run, "taken": True, "answer": "taken", "says": f"approved: {run}"} for run in runs]}


def answer(text: str, *arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, input=text)


def test_what_waits_is_listed_with_who_may_decide() -> None:
    with scripted({LIST: [WAITING]}) as (url, _):
        result = call("approvals", "list", "--url", url)
        shown = call("approvals", "list", "--url", url, "-o", "json")
    head, first, *_ = result.output.splitlines()

    assert ["RUN", "UNTIL", "NEEDS", "WHO", "RULE", "REMEDY", "TARGETS"] == head.split()
    assert f"{FIRST}  2026-01-31 12:15:00 UTC  1 of 2  sre or dba" in first
    assert first.endswith("web/down  restart  docker:local/web")
    assert "everybody who may decide" in result.output
    assert "decide: remediator approve RUN" in result.output
    assert json.loads(shown.output) == WAITING


@pytest.mark.parametrize(("rule", "said"), [((), "nothing waits for a person"), (("--rule", "a/b"), "of the rule a/b")])
def test_that_nothing_waits_is_said(rule: tuple[str, ...], said: str) -> None:
    empty = {"approvals": [], "more": True}
    with scripted({LIST: [empty], f"{LIST}?rule=a%2Fb": [empty]}) as (url, _):
        result = call("approvals", "list", *rule, "--url", url)

    assert 0 == result.exit_code
    assert said in result.stdout
    assert "what waits among the oldest is left out" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "query", "runs"),
    [
        ([FIRST, SECOND[-6:], FIRST], "", [FIRST, SECOND]),
        (["--rule", "web/down"], "?rule=web%2Fdown", [FIRST, SECOND, THIRD]),
        (["--group", FIRST], "", [FIRST, SECOND]),
    ],
)
def test_several_are_decided_on_as_they_were_shown(arguments: list[str], query: str, runs: list[str]) -> None:
    """The whole of it is shown before a word is asked for, and each digest is the one that was shown."""
    answers: Answers = {
        f"{LIST}{query}": [WAITING],
        DECIDE: [taken(*runs)],
        "GET /api/v1/runs?limit=500": [{"runs": [{"id": one["id"]} for one in PLANS]}],
        f"GET /api/v1/runs/{FIRST}": [{"alert": {"labels": {"alertname": "Down"}}}],
    }
    with scripted(answers) as (url, asked):
        result = answer("y\n", "approve", *arguments, "--url", url)

    assert 0 == result.exit_code, result.output
    said = result.output.partition("approve all of them?")[0]
    assert f"{len(runs)} plans of 2 rules, together:" in said
    assert "on 2 targets: docker:local/db, docker:local/web" in said
    assert "1 step of these cannot be undone" in said
    assert "of 1 pool: service web" in said
    assert "restart the container web\N{REPLACEMENT CHARACTER}; look" in said
    assert "touches 1 of 3 of service web" in said
    (body,) = [body for what, body, _ in asked if what == DECIDE]
    assert [{"id": run, "digest": run * 4} for run in runs] == body["runs"]
    assert (True, getpass.getuser()) == (body["approved"], body["by"])
    assert [f"approved: {run}" for run in runs] == result.output.splitlines()[-len(runs) :]


@pytest.mark.parametrize("typed", ["n\n", ""])
def test_nothing_is_decided_where_it_is_not_meant(typed: str) -> None:
    """Also where nobody is there to answer."""
    with scripted({LIST: [WAITING]}) as (url, asked):
        result = answer(typed, "approve", FIRST, SECOND, "--url", url)

    assert 1 == result.exit_code
    assert [LIST] == [what for what, _, _ in asked]
    assert "nothing was decided" in result.output
    assert ("in a script, give --yes" in result.output) is (typed == "")


@pytest.mark.parametrize(
    ("typed", "given", "decides"),
    [("y\n", [], True), ("n\n", [], False), ("", [], False), ("", ["--yes"], True), ("", ["--plan", FIRST[:12]], True)],
)
def test_what_one_run_would_do_is_shown_before_it_is_approved(typed: str, given: list[str], decides: bool) -> None:
    """The end of an id is easily that of another run; a script says that it means it, or which plan."""
    shown = {"id": FIRST, "rule": "web/down", "waiting": plan(FIRST)}
    said = {"says": f"approved: {FIRST}"}
    run = f"/api/v1/runs/{FIRST}"
    with scripted({f"GET {run}": [shown], f"POST {run}/decision": [said]}) as (url, asked):
        result = answer(typed, "approve", FIRST, *given, "--url", url)

    first = result.output.partition("approve it?")[0]
    assert "1 changing step on 1 target: docker:local/web" in first
    assert f"run {FIRST} of web/down, plan {FIRST[:12]}: restart the container web" in first
    assert ("approve it?" in result.output) is not bool(given)
    assert (0 if decides else 1) == result.exit_code
    assert [FIRST * 4] * decides == [body["digest"] for what, body, _ in asked if what.startswith("POST")]
    assert ("nothing was decided" in result.stderr) is not decides


def test_one_plan_is_not_called_several() -> None:
    """Of a rule whose only plan waits, nothing is done together."""
    with scripted({f"{LIST}?rule=web%2Fdown": [{**WAITING, "approvals": PLANS[:1]}]}) as (url, _):
        result = answer("n\n", "approve", "--rule", "web/down", "--url", url)

    assert "1 plan of 1 rule:" == result.output.splitlines()[0]


def test_one_that_was_not_taken_ends_it_with_one() -> None:
    """The others are decided all the same."""
    refused = {"id": SECOND, "taken": False, "answer": "changed", "says": "the plan has changed"}
    answers: Answers = {LIST: [WAITING], DECIDE: [{"runs": [*taken(FIRST)["runs"], refused]}]}
    with scripted(answers) as (url, asked):
        result = call("deny", FIRST, SECOND, "--reason", "no", "--yes", "--url", url)

    assert 1 == result.exit_code
    assert [f"approved: {FIRST}", f"not taken: run {SECOND}: the plan has changed"] == result.output.splitlines()[-2:]
    assert (False, "no") == (asked[-1][1]["approved"], asked[-1][1]["reason"])


def test_where_one_of_those_named_waits_for_nobody_nothing_is_decided() -> None:
    """Whoever names it thinks of another state than the one that is."""
    with scripted({LIST: [WAITING]}) as (url, asked):
        result = call("approve", FIRST, "d5b63g1c8p060000", "--yes", "--url", url)

    assert 1 == result.exit_code
    assert "run d5b63g1c8p060000 waits for nobody; nothing was decided" in result.output
    assert [LIST] == [what for what, _, _ in asked]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give one or more runs, or --rule, or --group"),
        ([FIRST, "--rule", "a/b"], "and just one of these"),
        (["--rule", ""], "--rule is empty"),
        (["--group", " "], "--group is empty"),
        ([FIRST, SECOND, "--plan", "0123456789ab"], "--plan is for one run"),
    ],
)
def test_which_runs_are_meant_is_nobodys_guess(arguments: list[str], said: str) -> None:
    """Least of all where a variable of a script is empty."""
    result = call("approve", *arguments, "--yes")

    assert 2 == result.exit_code
    assert said in result.output
