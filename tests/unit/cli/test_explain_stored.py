"""`remediator explain` and `alerts` with what the running service has stored."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.explaining import STORED, call, serving, write_rules


@pytest.fixture(autouse=True)
def _with_rules(tmp_path: Path) -> None:
    write_rules(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "path", "page"),
    [
        (["--fingerprint", "own-2fc4c353ef13c5b1"], "/api/v1/alerts/own-2fc4c353ef13c5b1", STORED),
        (["--fingerprint", "a/b?c"], "/api/v1/alerts/a%2Fb%3Fc", STORED),
        (["--run", "d1m0k2s3abcdefgh"], "/api/v1/runs/d1m0k2s3abcdefgh", {"alert": STORED}),
    ],
    ids=["fingerprint", "odd-fingerprint", "run"],
)
def test_a_stored_alert_is_explained_with_the_rules_here(arguments: list[str], path: str, page: Any) -> None:
    """What became of an alert of last night, or would with rules that have changed since."""
    with serving({path: page}) as (url, asked):
        result = call("explain", "-o", "json", "--url", url, *arguments)
    (shown,) = json.loads(result.stdout)["alerts"]

    assert (0, [path]) == (result.exit_code, asked)
    assert ["web/down"] == shown["matching"]
    assert ("own-2fc4c353ef13c5b1", "2026-01-31T12:00:00Z", "firing") == (
        shown["alert"]["fingerprint"],
        shown["alert"]["startsAt"],
        shown["alert"]["status"],
    )


def test_a_stored_alert_that_has_resolved_is_told_so() -> None:
    """It starts nothing any more."""
    page = {**STORED, "closed_at": "2026-01-31T12:05:00Z"}
    with serving({"/api/v1/alerts/f": page}) as (url, _):
        result = call("explain", "--url", url, "--fingerprint", "f")

    assert "A resolved alert starts no run" in result.stdout
    assert (
        "Alert Down, firing from 2026-01-31 12:00:00 UTC to 2026-01-31 12:05:00 UTC, resolved"
        == result.stdout.splitlines()[0]
    )


@pytest.mark.parametrize(
    ("times", "said"),
    [
        (
            {"startsAt": "2026-01-31T09:00:00Z", "endsAt": "2026-01-31T11:30:00+02:00"},
            "firing from 2026-01-31 09:00:00 UTC to 2026-01-31 09:30:00 UTC, resolved",
        ),
        ({"endsAt": "2026-01-31T09:30:00Z"}, "resolved at 2026-01-31 09:30:00 UTC"),
        ({"startsAt": "2026-01-31T09:00:00Z"}, "resolved; it was firing from 2026-01-31 09:00:00 UTC"),
        ({}, "resolved"),
    ],
    ids=["both", "end", "start", "none"],
)
def test_a_resolved_alert_is_told_with_the_times_that_it_has(times: dict[str, str], said: str) -> None:
    """Its start is not when it resolved."""
    body = json.dumps({"alerts": [{"labels": {"alertname": "Up"}, "status": "resolved", **times}]}).encode()

    assert f"Alert Up, {said}" == call("explain", "-", given=body).stdout.splitlines()[0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--fingerprint", "f"], "there is no such thing; see: remediator alerts"),
        (["--run", "d1m0k2s3abcdefgh"], "there is no such thing; see: remediator runs list"),
    ],
)
def test_an_alert_that_is_not_stored_is_told_with_where_to_look(arguments: list[str], said: str) -> None:
    """The next step stands in the sentence."""
    with serving({}) as (url, _):
        result = call("explain", "--url", url, *arguments)

    assert (1, [said]) == (result.exit_code, result.stderr.splitlines())


def test_alerts_are_listed_with_their_fingerprints() -> None:
    """What `explain --fingerprint` takes, also for an alert that started no run."""
    odd = {**STORED, "labels": {"a": "\x1b[2J\nb"}, "closed_at": "2026-01-31T12:05:00Z"}
    with serving({"/api/v1/alerts?limit=20": {"alerts": [STORED, odd]}}) as (url, _):
        result = call("alerts", "--url", url)
        listed = json.loads(call("alerts", "--url", url, "-o", "json").stdout)

    assert [
        "FINGERPRINT           SINCE                    STANDS    ALERT      LABELS",
        "own-2fc4c353ef13c5b1  2026-01-31 12:00:00 UTC  open      Down       service=db",
        "own-2fc4c353ef13c5b1  2026-01-31 12:00:00 UTC  resolved  (no name)  a=\N{REPLACEMENT CHARACTER}[2J b",
    ] == result.stdout.splitlines()
    assert [STORED, odd] == listed["alerts"]


@pytest.mark.parametrize(
    ("options", "path", "said"),
    [
        ([], "/api/v1/alerts?limit=20", "no alerts yet; to try one, send it with: remediator send"),
        (["--open", "-n", "3"], "/api/v1/alerts?limit=3&open=true", "no open alerts; to try one"),
    ],
)
def test_no_alerts_are_told_with_how_to_send_one(options: list[str], path: str, said: str) -> None:
    """An empty screen tells nobody whether it has worked."""
    with serving({path: {"alerts": []}}) as (url, _):
        result = call("alerts", "--url", url, *options)

    assert 0 == result.exit_code
    assert result.stdout.startswith(said)
