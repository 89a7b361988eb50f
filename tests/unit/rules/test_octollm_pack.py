"""The shipped pack for OctoLLM: which remedy each evidence leads to, and which words of a log name a variable."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from remediator.actions.container_logs import CountLogsParams, MarkedWords
from remediator.errors import BadExpression, NoEvidence
from remediator.model.facts import Evidence
from remediator.plugins import Actions
from remediator.rules.expressions import Scope
from remediator.rules.loading import check_files
from remediator.rules.rule import Rule

PACK = Path(__file__).parents[3] / "rules" / "octollm.yaml"
LABELS = {"alertname": "ServiceDown", "namespace": "octollm", "service": "orchestrator"}
GIB = 1024**3
WELL: dict[str, dict[str, Any]] = {
    "state": {"running": True, "status": "running", "exit_code": 0, "oom_killed": False, "memory_limit": 4 * GIB},
    "logs": {"lines": [], "count": 0},
    "configuration": {"counts": {}, "examples": {}, "lines": 0, "words": []},
    **{f"{name}_container": {"running": True} for name in ("postgres", "redis", "qdrant")},
    **{f"{name}_port": {"reachable": True} for name in ("postgres", "redis", "qdrant")},
    "postgres": {"status": "accepting"},
    "redis": {"status": "ready"},
}
EXITED = {"running": False, "status": "exited", "exit_code": 1}
KILLED = {"running": False, "status": "exited", "exit_code": 137, "oom_killed": True}


@pytest.fixture(scope="module")
def rule() -> Rule:
    mistakes, book = check_files([PACK], Actions.installed())
    assert [] == list(map(str, mistakes))
    assert book is not None
    return next(rule for rule in book.rules if rule.name == "service-down")


def a_scope(rule: Rule, found: Mapping[str, Any], failed: tuple[str, ...] = (), **labels: str) -> Scope:
    known = {name: {**WELL[name], **found.get(name, {})} for name in WELL if name not in failed}
    at = datetime(2026, 11, 22, tzinfo=UTC)
    steps = {name: Evidence("x", True, result, "", "", 0.0) for name, result in known.items()}
    steps |= {name: Evidence("x", False, {}, "it broke", "", 0.0) for name in failed}
    return Scope(labels={**LABELS, **labels}, vars=rule.vars, steps=steps, starts_at=at)


def ladder(rule: Rule, scope: Scope) -> list[str]:
    """The names of the remedies whose conditions hold, in order, up to the first that cannot be told."""
    found: list[str] = []
    for rung in rule.rungs:
        try:
            holds = rung.when is None or rung.when.evaluate(scope)
        except NoEvidence:
            return [*found, "no evidence"]
        except BadExpression:
            return [*found, "no such service"]
        if holds:
            found.append(rung.name)
    return found


@pytest.mark.parametrize(
    ("found", "remedies"),
    [
        ({}, ["restart it"]),
        ({"state": EXITED}, ["start it again"]),
        ({"state": EXITED, "redis_container": {"running": False}}, ["restart Redis", "start it again"]),
        ({"redis": {"status": "no_response"}}, ["restart Redis", "restart it"]),
        ({"redis": {"status": "loading"}}, ["restart it"]),
        ({"redis": {"status": "login_refused"}}, ["restart it"]),
        ({"redis": {"status": "failing"}}, ["restart it"]),
        ({"postgres_container": {"running": False}}, ["restart PostgreSQL", "restart it"]),
        ({"postgres": {"status": "no_response"}}, ["restart PostgreSQL", "restart it"]),
        ({"postgres": {"status": "rejecting"}}, ["restart it"]),
        ({"qdrant_port": {"reachable": False}}, ["restart Qdrant", "restart it"]),
        ({"redis_port": {"reachable": False}, "postgres_port": {"reachable": False}}, ["restart it"]),
        (
            {name: {"running": False} for name in ("postgres_container", "redis_container", "qdrant_container")},
            ["restart PostgreSQL", "restart Redis", "restart Qdrant", "restart it"],
        ),
        ({"configuration": {"words": ["A_B"]}}, ["restart it"]),
        ({"configuration": {"words": ["A_B"]}, "state": EXITED}, ["mend the configuration", "start it again"]),
        (
            {"configuration": {"words": ["A_B"]}, "state": {"status": "restarting", "exit_code": 2}},
            ["mend the configuration", "restart it"],
        ),
        ({"configuration": {"words": ["A_B"]}, "state": {**EXITED, "exit_code": 137}}, ["start it again"]),
        ({"configuration": {"words": ["A_B"]}, "state": KILLED}, ["more memory"]),
        ({"state": KILLED}, ["more memory"]),
        ({"state": {"oom_killed": True}}, ["more memory"]),
        ({"state": {**KILLED, "memory_limit": 8 * GIB}}, ["find out what takes the memory"]),
        ({"state": {**KILLED, "memory_limit": 0}}, ["find out what takes the memory"]),
    ],
)
def test_the_evidence_leads_to_the_remedy(rule: Rule, found: dict[str, Any], remedies: list[str]) -> None:
    """By cause, in the order of the playbook: a database, the configuration, memory, a crash, a hang."""
    assert remedies == ladder(rule, a_scope(rule, found))


@pytest.mark.parametrize(
    ("failed", "remedies"),
    [
        (("logs", "usage", "postgres_port", "redis_port"), ["restart it"]),
        (("postgres",), ["no evidence"]),
        (("redis",), ["no evidence"]),
        (("redis_container",), ["no evidence"]),
        (("state",), ["no evidence"]),
    ],
)
def test_what_could_not_be_looked_at_is_not_guessed(rule: Rule, failed: tuple[str, ...], remedies: list[str]) -> None:
    """A database that nobody could ask may be the cause: a person looks, and nothing is restarted on a hunch."""
    assert remedies == ladder(rule, a_scope(rule, {}, failed))


def test_only_the_databases_behind_a_service_count(rule: Rule) -> None:
    """And a service that the pack does not know is left to people."""
    down = {"postgres_container": {"running": False}}

    assert ["restart it"] == ladder(rule, a_scope(rule, down, service="coder-arm"))
    assert ["no such service"] == ladder(rule, a_scope(rule, down, service="stranger"))


@pytest.mark.parametrize(
    ("labels", "matches"),
    [
        ({}, True),
        ({"alertname": "ArmDown", "service": "planner-arm"}, True),
        ({"alertname": "ServiceDownAgain"}, False),
        ({"namespace": "shop"}, False),
        ({"service": ""}, False),
    ],
)
def test_the_rule_is_for_the_alerts_of_octollm(rule: Rule, labels: dict[str, str], matches: bool) -> None:
    """Services of others have rules of their own."""
    assert matches is rule.matches({**LABELS, **labels})


def test_more_memory_is_for_a_person_to_decide_and_the_rest_is_not(rule: Rule) -> None:
    """It is taken from everybody else on the machine, for good."""
    assert ["more memory"] == [rung.name for rung in rule.rungs if rung.gated]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("Missing required environment variable: DATABASE_URL", ["DATABASE_URL"]),
        ("error: missing environment variable 'REDIS_URL'", ["REDIS_URL"]),
        ("DATABASE_URL is not set", ["DATABASE_URL"]),
        ("Error: `OPENAI_API_KEY` must be set", ["OPENAI_API_KEY"]),
        ("environment variable PORT is not a number: hunter2", ["PORT"]),
        ("POSTGRES_PORT must be a number, got 'hunter2'", ["POSTGRES_PORT"]),
        ("Invalid value for LOG_LEVEL: 'HUNTER_TWO'", ["LOG_LEVEL"]),
        ("invalid REDIS_URL: HUNTER_TWO", ["REDIS_URL"]),
        ("REDIS_URL: invalid URL redis://HUNTER_TWO", ["REDIS_URL"]),
        ("KeyError: 'POSTGRES_PASSWORD'", ["POSTGRES_PASSWORD"]),
        ("database_url", ["database_url"]),
        ("  Field required [type=missing, input_value={'x': 'HUNTER_TWO'}, input_type=dict]", []),
        ("invalid log level: 'HUNTER_TWO'", []),
        ("missing comma near LOG_LEVEL=HUNTER_TWO", []),
        ("GET /health 200", []),
        ("connected to POSTGRES_HOST=db", []),
        ("KeyError: 'task'", []),
    ],
)
def test_a_line_names_the_variable_and_never_its_value(rule: Rule, line: str, words: list[str]) -> None:
    """The value may be a password."""
    step = next(step for step in rule.diagnose if step.id.endswith("configuration"))
    params = step.render(a_scope(rule, {})).params
    assert isinstance(params, CountLogsParams)
    seen = MarkedWords(params.patterns)
    seen.feed([line.encode()])

    assert 0 == params.examples
    assert tuple(words) == seen.found
