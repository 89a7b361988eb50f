"""A pause holds what is in its scope, at each step, until it is resumed or ends."""

from datetime import datetime, timedelta

import pytest

from remediator.model.outcome import Reason
from remediator.model.stop import EVERYTHING, Stop, StopKind
from remediator.pipeline.guards import Allow, Hold
from remediator.pipeline.guards.pauses import Pauses
from tests.unit.pipeline.guards.journal import DB, HOUR, KICK, MINUTE, PUSH, SECOND, T0, WEB, Journal, a_case, judged


def paused(scope: str = EVERYTHING, until: datetime | None = None) -> Journal:
    journal = Journal()
    journal.put_stop(Stop(StopKind.PAUSE, scope, "release day", "anna", T0 - HOUR, until))
    return journal


@pytest.mark.parametrize(
    ("scope", "holds"),
    [
        (EVERYTHING, True),
        ("pack:web", True),
        ("pack:we", False),
        ("rule:web/down", True),
        ("rule:web/slow", False),
        (f"target:{WEB}", True),
        ("target:thing:other", False),
        (f"action:{PUSH}", True),
        ("action:thing.look", False),
    ],
)
def test_a_pause_holds_what_is_in_its_scope(scope: str, *, holds: bool) -> None:
    """And nothing else: a pause of one rule must not be taken for one of all."""
    case = a_case(targets=(DB, WEB), actions=(KICK, PUSH))

    assert holds is isinstance(judged(Pauses(), case, paused(scope)), Hold)


def test_a_pause_without_an_end_is_looked_at_again() -> None:
    """Who has paused, why, since when, and how to go on is what people ask first."""
    detail = (
        "everything: by anna (release day), since 2026-01-01 11:00:00 UTC, until somebody resumes it; "
        "to go on: remediator resume everything"
    )

    assert Hold(Reason.PAUSED, T0 + 10 * MINUTE, detail) == judged(Pauses(), a_case(), paused())


@pytest.mark.parametrize(("left", "holds"), [(SECOND, True), (timedelta(0), False), (-SECOND, False)])
def test_a_pause_with_an_end_holds_until_then(left: timedelta, *, holds: bool) -> None:
    review = judged(Pauses(), a_case(), paused(until=T0 + left))

    assert (T0 + left if holds else None) == (review.until if isinstance(review, Hold) else None)


def test_what_was_resumed_goes_on() -> None:
    """The store keeps the pause, with its end."""
    journal = paused()
    journal.lift_stop(StopKind.PAUSE, EVERYTHING, T0)

    assert Allow() == judged(Pauses(), a_case(), journal)


def test_a_pause_stops_a_plan_half_way() -> None:
    """Whoever pauses means the next step too."""
    assert isinstance(judged(Pauses(), a_case(begun=True), paused()), Hold)


def test_the_longest_of_several_pauses_holds() -> None:
    journal = paused(until=T0 + MINUTE)
    journal.put_stop(Stop(StopKind.PAUSE, f"target:{WEB}", "", "ben", T0, T0 + HOUR))
    review = judged(Pauses(), a_case(), journal)

    assert isinstance(review, Hold)
    assert T0 + HOUR == review.until


def test_other_stops_are_no_pauses() -> None:
    journal = Journal()
    journal.put_stop(Stop(StopKind.DEMOTION, "rule:web/down", "", "remediator", T0))

    assert Allow() == judged(Pauses(), a_case(), journal)
