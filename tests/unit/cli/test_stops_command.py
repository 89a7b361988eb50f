"""`remediator stops`: how each stop ends."""

import json

import pytest

from tests.unit.cli.calling import answering, call

BREAKER = {
    "kind": "breaker",
    "scope": "rule:web/down",
    "at": "2026-01-01T12:00:00+00:00",
    "until": None,
    "by": "remediator",
    "reason": "3 in a row went badly",
    "settled": "",
    "trial_at": "2026-01-01T12:30:00+00:00",
    "lift": "remediator breaker reset rule:web/down",
}


def test_an_open_breaker_says_when_one_change_may_try_and_how_to_close_it() -> None:
    """It ends by itself if that goes well: nobody has to get up for it."""
    with answering(200, json.dumps({"stops": [BREAKER]}).encode()) as (url, _):
        result = call("stops", "--url", url)

    said = "one trial after 2026-01-01 12:30:00 UTC, or until `remediator breaker reset rule:web/down`"
    assert 0 == result.exit_code, result.output
    assert said in result.output
    assert "until lifted" not in result.output


@pytest.mark.parametrize(
    ("kind", "until", "lift", "said"),
    [
        ("demotion", None, "remediator promote rule:web/down", "until `remediator promote rule:web/down`"),
        (
            "quarantine",
            None,
            "remediator quarantine clear target:docker:local/web",
            "until `remediator quarantine clear target:docker:local/web`",
        ),
        (
            "pause",
            "2026-01-01T13:00:00+00:00",
            "remediator resume everything",
            "2026-01-01 13:00:00 UTC, or until `remediator resume everything`",
        ),
    ],
)
def test_each_stop_names_the_command_that_lifts_it(kind: str, until: str | None, lift: str, said: str) -> None:
    """Whoever is called at night has no time to look it up."""
    stop = {**BREAKER, "kind": kind, "until": until, "trial_at": None, "lift": lift}
    with answering(200, json.dumps({"stops": [stop]}).encode()) as (url, _):
        result = call("stops", "--url", url)

    assert 0 == result.exit_code, result.output
    assert said in result.output
