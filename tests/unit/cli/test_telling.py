"""`runs show` tells what the thread tells: evidence, plan, targets, proof, in the order of time, in people's words."""

from typing import Any

import pytest

from remediator.cli.telling import state_of, tell_run

STEP = {
    "id": "remediate.0.0",
    "action": "docker.restart",
    "sentence": "restart the container web",
    "params": {"container": "web"},
    "targets": ["docker:local/web@4f5e"],
}
PLAN = {
    "name": "restart",
    "digest": "0308d016c811" + "0" * 52,
    "steps": [STEP],
    "proof": "it answers, expecting result.status == 200, within 1m",
}
LOG = "\n".join(f"line {number}" for number in range(12)) + "\x1b[2J\n"
EVIDENCE = {
    "state": {"ok": True, "brief": "exited, exit code 137", "detail": ""},
    "logs": {"ok": True, "brief": "12 lines", "detail": LOG},
    "engine": {"ok": False, "brief": "no answer", "detail": ""},
}
RUN: dict[str, Any] = {
    "id": "d1m0k2s3abcdefgh",
    "rule": "web/down",
    "summary": "web is down",
    "alert": {
        "labels": {"alertname": "Down", "service": "web", "b": "x y"},
        "startsAt": "2026-01-31T12:00:00Z",
    },
    "stage": "over",
    "outcome": "healed",
    "waiting": None,
    "timeline": [
        {"at": "2026-01-31T12:00:01Z", "kind": "examined", "text": "gathered evidence", "evidence": EVIDENCE},
        {"at": "2026-01-31T12:00:02Z", "kind": "planned", "text": "planned: restart", "plan": PLAN},
        {
            "at": "2026-01-31T12:00:04.500000Z",
            "kind": "finished",
            "step": "remediate.0.0",
            "text": "remediate.0.0 done after 1.2 s: restarted",
            "detail": "web\n",
        },
        {"at": "2026-01-31T12:00:05Z", "kind": "verified", "text": "healed: every check held", "samples": 3},
    ],
    "signals": [
        {"at": "2026-01-31T12:00:04Z", "kind": "decision", "text": "approved by am", "reason": "I looked"},
    ],
}


def test_a_run_is_told_with_everything_in_the_order_of_time() -> None:
    """Also half a second counts; nothing in it may command the terminal."""
    assert [
        "Run      d1m0k2s3abcdefgh",
        "Rule     web/down",
        "Alert    Down, since 2026-01-31 12:00:00 UTC",
        "Labels   b=x y",
        "         service=web",
        "Summary  web is down",
        "Stands   healed",
        "",
        "2026-01-31 12:00:01 UTC  gathered evidence",
        "    state: exited, exit code 137",
        "    logs: 12 lines",
        "      | … 2 lines before",
        *(f"      | line {number}" for number in range(2, 11)),
        "      | line 11\N{REPLACEMENT CHARACTER}[2J",
        "    engine: could not be found out: no answer",
        "2026-01-31 12:00:02 UTC  planned: restart",
        "    1. restart the container web",
        "       on docker:local/web@4f5e",
        '       docker.restart {"container": "web"}',
        "    proof: it answers, expecting result.status == 200, within 1m",
        "    digest: 0308d016c811",
        "2026-01-31 12:00:04 UTC  approved by am: I looked",
        "2026-01-31 12:00:04 UTC  “restart the container web” done after 1.2 s: restarted",
        "      | web",
        "2026-01-31 12:00:05 UTC  healed: every check held",
        "    3 samples",
    ] == tell_run(RUN)


@pytest.mark.parametrize(
    ("stage", "waiting", "state"),
    [
        ("fresh", None, "gathering evidence"),
        ("drafted", None, "planned"),
        ("drafted", PLAN, "needs a person"),
        ("needs_a_person", None, "needs a person"),
        ("in_doubt", None, "acting"),
        ("not_helped", None, "being checked"),
        ("unknown", None, "under way"),
    ],
)
def test_how_a_run_stands_is_said_in_peoples_words(stage: str, waiting: Any, state: str) -> None:
    """The list and the run say the same."""
    assert state == state_of({"stage": stage, "outcome": None, "waiting": waiting})
