"""The API is what its OpenAPI document says: schemathesis makes requests of all kinds from it, and judges each answer.

It is let loose on the service as a process, with a run that has healed and one that waits, whose ids it is told.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests import services
from tests.integration.test_begun_anew import fire
from tests.served import Served, environment

CONDITIONS = {
    "POST /api/v1/alerts": "a count is a whole number, however it is written",
    "GET /api/v1/audit": "run and part exclude each other",
    "GET /api/v1/limits": "a target takes its rule along",
    "GET /api/v1/runs/{id}/undo": "30 seconds are the most",
    "POST /api/v1/approvals/decision": "a run may stand there once; a reason is needed to deny",
    "POST /api/v1/runs": "the rule's matchers",
    "POST /api/v1/runs/{id}/decision": "a reason is needed to deny",
    "POST /api/v1/stops/pause": "a scope has its own form",
    "POST /api/v1/tokens": "groups have to be in the settings, and 3650 days are the most",
}
"""Calls that a schema cannot tell all conditions of: what it allows may be refused there."""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    made = Served(tmp_path)
    wide = {"rate": "100000/1m", "failures": "100000/1m"}
    made.configure(people={"anna": {}}, approval={"groups": {"sre": ["anna"]}}, api=wide)
    made.start()
    fire(made)
    services.wait_until(lambda: made.run()["waiting"], "the plan to wait")
    assert 0 == made.command("approve", made.run()["id"], "--yes").returncode
    services.wait_until(lambda: made.run()["outcome"] == "healed", "the run to heal")
    body = {"alerts": [{"status": "firing", "labels": {"alertname": "Down", "service": "shop"}}]}
    assert 202 == made.ask("/api/v1/alerts", body=json.dumps(body).encode())[0]
    services.wait_until(lambda: made.runs()[-1]["waiting"], "the second plan to wait")
    make_token(made, "read")  # for whoever revokes it
    yield made
    made.end()


def make_token(served: Served, scope: str) -> str:
    made = served.command("tokens", "make", "anna", "--scope", scope, "--for", "1h")
    assert 0 == made.returncode, made.stderr
    return made.stdout.strip()


def strict(served: Served) -> dict[str, Any]:
    """The document, with what is there by its names: nothing may be answered that it does not name.

    `by` is left out: whoever has a token has no need of it, and may give no other name.
    """
    document: dict[str, Any] = json.loads(served.ask("/api/v1/openapi.json")[1])
    runs = served.runs()
    there = {
        "/api/v1/runs/": [run["id"] for run in runs],
        "/api/v1/alerts/": [run["alert"]["fingerprint"] for run in runs],
        "/api/v1/tokens/": [served.get("/api/v1/tokens")["tokens"][0]["id"]],
    }
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for parameter in operation["parameters"]:
                if parameter["in"] == "path":
                    parameter["schema"] = {"enum": next(ids for start, ids in there.items() if path.startswith(start))}
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            body.get("properties", {}).pop("by", None)
            close(operation["responses"])
    close(document["components"]["schemas"])
    return document


def close(shape: Any) -> None:
    """Allow no field that is not named, wherever an object names some."""
    if isinstance(shape, dict):
        if "properties" in shape and shape.get("type") == "object":
            shape.setdefault("additionalProperties", False)
        for part in shape.values():
            close(part)
    if isinstance(shape, list):
        for part in shape:
            close(part)


def settings_of(conditions: Mapping[str, str]) -> str:
    """What schemathesis is told of what is right."""
    lines = [
        "[checks.negative_data_rejection]",
        "expected-statuses = [400, 401, 403, 404, 405, 408, 409, 413, 429]",
        "[checks.positive_data_acceptance]",
        'expected-statuses = ["2xx", 403, 404, 409]',
    ]
    for call in conditions:
        lines += ["[[operations]]", f'include-name = "{call}"', "checks.positive_data_acceptance.enabled = false"]
    return "\n".join(lines)


def play(served: Served, token: str, *options: str) -> tuple[int, str]:
    """The exit code of schemathesis, and what it says."""
    (served.folder / "schema.json").write_text(json.dumps(strict(served)))
    (served.folder / "schemathesis.toml").write_text(settings_of(CONDITIONS))
    program = [str(Path(sys.executable).with_name("schemathesis")), "run", "schema.json", "--url", served.url]
    common = ["--generation-deterministic", "--no-shrink", "--continue-on-failure", "--no-color"]
    header = ["--header", f"Authorization: Bearer {token}"]
    done = subprocess.run(
        [*program, *header, *common, *options],
        cwd=served.folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def faults(served: Served) -> Sequence[str]:
    return [line for line in served.log().splitlines() if "request_failed" in line or "[error" in line]


def test_every_answer_is_one_that_the_document_tells_of(served: Served) -> None:
    """Whatever is sent, right or wrong: no fault, no status, type or field besides, and the wrong is refused."""
    code, said = play(served, make_token(served, "admin"), "--phases", "coverage,fuzzing", "--max-examples", "12")

    assert 0 == code, said[-20_000:]
    assert [] == faults(served)


def test_nothing_is_changed_with_a_token_that_reads(served: Served) -> None:
    """Each call that changes something is tried, and each is refused as the document says."""
    token = make_token(served, "read")
    told = "all messages to be noted as sent"
    services.wait_until(lambda: all(one["sent"] for run in served.runs() for one in run["messages"]), told)
    before = [served.runs(), served.get("/api/v1/tokens"), served.get("/api/v1/stops")]
    refused = ("--include-method", "POST", "--exclude-path", "/api/v1/alerts")
    checks = ("--exclude-checks", "missing_required_header")
    code, said = play(served, token, "--phases", "coverage", *refused, *checks)

    assert 0 == code, said[-20_000:]
    assert before == [served.runs(), served.get("/api/v1/tokens"), served.get("/api/v1/stops")]
    assert served.series()['remediator_api_refused_total{reason="scope"}'] > 0
