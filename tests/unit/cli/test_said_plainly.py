"""What the commands say of people's words: who and why, once, and what comes of it."""

import json
from typing import Any

import pytest

from remediator.cli.telling import clock_time, say_hold, tell_run
from remediator.model.outcome import Reason
from tests.unit.cli.calling import answering, call

ID = "d1m0k2s3abcdefgh"
AT = "2026-01-31T12:00:01Z"


def lines(*facts: dict[str, Any], signals: tuple[dict[str, Any], ...] = (), outcome: str | None = None) -> list[str]:
    """What `runs show` says happened, without the times."""
    run = {
        "id": ID,
        "rule": "web/down",
        "summary": "web is down",
        "alert": {"labels": {"alertname": "Down"}, "startsAt": AT},
        "stage": "over" if outcome else "fresh",
        "outcome": outcome,
        "waiting": None,
        "timeline": list(facts),
        "signals": [{"at": AT, **signal} for signal in signals],
    }
    return [line.partition("UTC  ")[2] for line in tell_run(run) if line.startswith("2026")]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("undo", "undo asked for by ann"),
        ("again", "begun anew by ann"),
        ("resolved", "ann has had another run begun for the alert, which fires still"),
        ("cancel", "cancelled by ann"),
    ],
)
def test_the_reason_that_was_given_is_told(kind: str, text: str) -> None:
    """For `rerun` in both runs: the old one hears that its alert has another."""
    said = lines(signals=({"kind": kind, "text": text, "by": "ann", "reason": "the disk is back"},))

    assert [f"{text}: the disk is back"] == said


def test_what_ends_a_run_by_a_person_is_told_once() -> None:
    """Two lines that say the same read like two events."""
    denied = {"kind": "decision", "text": "denied by ann", "by": "ann", "reason": "not now"}
    ended = {"at": AT, "kind": "ended", "outcome": "denied", "text": "denied: ann said no: not now"}

    assert ["denied by ann: not now", "ended as denied"] == sorted(lines(ended, signals=(denied,), outcome="denied"))
    assert ["denied: ann said no: not now"] == lines(ended, outcome="denied")


def test_the_end_of_the_alert_is_told_once() -> None:
    """As it was heard; what the run notes of it later says no more."""
    heard = {"kind": "resolved", "text": "the alert resolved", "reason": ""}
    closed = {"at": AT, "kind": "closed", "text": "Alertmanager says that it has resolved"}

    assert ["the alert resolved"] == lines(closed, signals=(heard,))
    assert ["Alertmanager says that it has resolved"] == lines(closed)


def test_a_storm_says_where_its_end_stands() -> None:
    """It moves with each alert, so it is no part of what is written down."""
    held = {"reason": Reason.STORM.value, "detail": "5 in 2m", "until": None, "every": 120, "expires": AT}

    assert say_hold(held)[0].endswith("5 in 2m; until when as of now: remediator stops")
    assert say_hold({**held, "reason": Reason.PAUSED.value})[0].endswith("5 in 2m")


def test_a_storm_is_told_with_its_end_where_the_service_tells_it() -> None:
    """Who waits for it wants to know for how long."""
    held = {"reason": Reason.STORM.value, "detail": "5 in 2m", "until": None, "every": 120, "expires": AT, "ends": AT}
    why, follows = say_hold(held)
    ends = f"the storm ends at {clock_time(AT)} if no more alerts come; it is looked at again every 2m"

    assert why.endswith("5 in 2m")
    assert follows.startswith(ends)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"says": "", "at_once": True}, f"cancelled: run {ID} (see: remediator runs show {ID})"),
        ({}, f"cancelled: run {ID} (see: remediator runs show {ID})"),
        (
            {"says": "its last step is acting", "at_once": False},
            f"asked to stop: run {ID}: its last step is acting (see: remediator runs show {ID})",
        ),
    ],
)
def test_cancel_says_what_comes_of_it(answer: dict[str, Any], said: str) -> None:
    """Only what ends as cancelled is called so."""
    with answering(202, json.dumps(answer).encode()) as (url, _):
        result = call("cancel", ID, "--url", url)

    assert (0, f"{said}\n") == (result.exit_code, result.output)


def test_a_refusal_that_names_another_run_points_to_that_one_only() -> None:
    """The run that was asked for is over: there is nothing to see."""
    why = "the alert has a later run already: r9; see: remediator runs show r9"
    with answering(409, json.dumps({"error": why}).encode()) as (url, _):
        result = call("rerun", ID, "--url", url)

    assert (1, f"{why}\n") == (result.exit_code, result.output)
