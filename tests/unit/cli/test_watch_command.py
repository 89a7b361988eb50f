"""`remediator runs watch`: what is printed while a run goes on, and how it ends."""

import time
from typing import Any

import pytest

from remediator.cli import watch
from tests.unit.cli.calling import call
from tests.unit.cli.scripted import Answers, scripted

FIRST, SECOND = "d5b63g2lf4gf7u74", "d5b63g1c8p06l853"
EVENTS = [
    {
        "at": "2026-01-31T12:00:01Z",
        "kind": "held",
        "text": "held: paused",
        "detail": "",
        "until": "2026-01-31T12:01:00Z",
    },
    {"at": "2026-01-31T12:00:02Z", "kind": "started", "text": "started it", "step": "s", "attempt": 1},
    {"at": "2026-01-31T12:00:03Z", "kind": "closed", "text": "done\x1b"},
]
ACTIVE = "GET /api/v1/runs?active=true&limit=500"


def run(seen: int, *, outcome: str | None = None, name: str = FIRST, waits: bool = False) -> dict[str, Any]:
    """A run of which so much has happened."""
    shown = {"id": name, "rule": "web/down", "summary": "web is down", "stage": "over", "outcome": outcome}
    return {
        **shown,
        "alert": {"labels": dict[str, str]()},
        "signals": [],
        "timeline": EVENTS[:seen],
        "waiting": {"digest": "d" * 64} if waits else None,
    }


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_LOOK_EVERY", 0.01)


@pytest.mark.parametrize(
    ("outcome", "code"),
    [("healed", 0), ("told", 0), ("resolved by itself", 0), ("denied", 1), ("inconclusive", 1), ("unknown", 1)],
)
def test_each_thing_is_told_once_as_it_happens(outcome: str, code: int) -> None:
    """Until the end, which the exit code tells."""
    seen = [run(1), run(2, waits=True), run(2, waits=True), run(3, outcome=outcome)]
    with scripted({f"GET /api/v1/runs/{FIRST}": seen}) as (url, asked):
        result = call("runs", "watch", FIRST, "--url", url)

    assert code == result.exit_code
    assert [
        f"run {FIRST} of web/down: web is down",
        "2026-01-31 12:00:01 UTC  held: paused",
        "    looked at again 2026-01-31 12:01:00 UTC",
        "2026-01-31 12:00:02 UTC  started it",
        f"it waits for a person: remediator approve {FIRST}, or deny it --reason …",
        "2026-01-31 12:00:03 UTC  done\N{REPLACEMENT CHARACTER}",
        f"ended: {outcome}",
    ] == result.output.splitlines()
    assert 4 == len(asked)


def test_all_that_are_under_way_are_followed_to_their_ends() -> None:
    """Also one that begins meanwhile; one that did not go well is enough for 1."""
    active = [{"runs": [{"id": FIRST}]}, {"runs": [{"id": SECOND}, {"id": FIRST}]}, {"runs": []}]
    answers: Answers = {
        ACTIVE: active,
        f"GET /api/v1/runs/{FIRST}": [run(1), run(1), run(2, outcome="failed")],
        f"GET /api/v1/runs/{SECOND}": [run(1, name=SECOND), run(1, name=SECOND, outcome="healed")],
    }
    with scripted(answers) as (url, _):
        result = call("runs", "watch", "--url", url)
    lines = result.output.splitlines()

    assert 1 == result.exit_code
    assert lines.index(f"[7u74] run {FIRST} of web/down: web is down") < lines.index(
        f"[l853] run {SECOND} of web/down: web is down"
    )
    assert {"[7u74] ended: failed", "[l853] ended: healed"} < set(lines)
    assert 1 == lines.count("[7u74] 2026-01-31 12:00:01 UTC  held: paused")


def test_that_nothing_is_under_way_is_said() -> None:
    with scripted({ACTIVE: [{"runs": []}]}) as (url, _):
        result = call("runs", "watch", "--url", url)

    assert (0, "no active runs\n") == (result.exit_code, result.output)


@pytest.mark.parametrize(("patience", "code"), [(60.0, 0), (0.0, 4)], ids=["comes back", "stays away"])
def test_a_service_that_is_started_again_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, patience: float, code: int
) -> None:
    """Not for ever: somebody, or a script, waits for the answer. What it has said by then is told once."""
    monkeypatch.setattr(watch, "_PATIENCE", patience)
    away = (503, {"error": "the store cannot be read"})
    with scripted({f"GET /api/v1/runs/{FIRST}": [run(1), away, away, run(2, outcome="healed")]}) as (url, _):
        result = call("runs", "watch", FIRST, "--url", url)

    assert code == result.exit_code
    assert (1 if code == 0 else 0) == result.stderr.count("does not answer; it is asked again for a minute")
    assert (0 if code == 0 else 1) == result.stderr.count("the service answered 503: the store cannot be read")


def test_an_interruption_leaves_the_run_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so, and shows nothing of our insides."""

    def interrupted(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", interrupted)
    with scripted({f"GET /api/v1/runs/{FIRST}": [run(1)]}) as (url, asked):
        result = call("runs", "watch", FIRST, "--url", url)

    assert 130 == result.exit_code
    assert "not watched any more; what is under way goes on" == result.output.splitlines()[-1]
    assert 1 == len(asked)
