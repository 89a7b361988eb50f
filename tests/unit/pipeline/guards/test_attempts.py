"""What was tried on a target and did not help, again and again, puts it into quarantine until a person clears it."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from remediator.model.change import Ending
from remediator.model.outcome import Reason
from remediator.model.stop import Stop, StopKind
from remediator.pipeline.guards import Allow, Refuse
from remediator.pipeline.guards.attempts import Attempts
from tests.unit.pipeline.guards.journal import (
    DB,
    HOUR,
    KICK,
    MINUTE,
    PUSH,
    SECOND,
    SLOW,
    T0,
    WEB,
    Journal,
    a_case,
    judged,
)

BAD = (Ending.NOT_HEALED, Ending.FAILED, Ending.UNKNOWN)
SCOPE = f"target:{WEB}"


def tried(*starts: datetime, endings: Sequence[Ending | None] = BAD) -> Journal:
    journal = Journal()
    for number, (start, ending) in enumerate(zip(starts, endings, strict=True)):
        journal.happened(f"r-{number}", ending, start)
    return journal


@pytest.mark.parametrize(
    ("span", "refuses"), [(HOUR - SECOND, True), (HOUR, False), (HOUR + SECOND, False), (2 * MINUTE, True)]
)
@pytest.mark.parametrize("since", [2 * MINUTE, timedelta(days=3)], ids=["now", "days ago"])
def test_three_within_an_hour_are_too_many_and_stay_so(span: timedelta, since: timedelta, *, refuses: bool) -> None:
    """Until a person clears it: that time has passed is no reason to try a fourth one."""
    last = T0 - since
    journal = tried(last - span, last - span / 2, last)

    assert refuses is isinstance(judged(Attempts(), a_case(), journal), Refuse)


@pytest.mark.parametrize("third", [None, Ending.DONE, Ending.HEALED, Ending.INCONCLUSIVE])
def test_what_helped_or_is_not_known_yet_does_not_count(third: Ending | None) -> None:
    journal = tried(T0 - 30 * MINUTE, T0 - 20 * MINUTE, T0 - 10 * MINUTE, endings=(*BAD[:2], third))

    assert Allow() == judged(Attempts(), a_case(), journal)


def test_it_says_what_was_tried_and_how_to_clear_it() -> None:
    detail = (
        "thing:web: 3 changes since 2026-01-01 11:30:00 UTC did not help (run r-0, r-1, r-2); the limit is 3/1h; in "
        "quarantine since 2026-01-01 11:51:00 UTC, until somebody has looked at it and cleared it: "
        "remediator quarantine clear target:thing:web"
    )
    journal = tried(T0 - 30 * MINUTE, T0 - 20 * MINUTE, T0 - 10 * MINUTE)

    assert Refuse(Reason.QUARANTINED, detail) == judged(Attempts(), a_case(), journal)


def test_a_plan_of_two_actions_is_one_attempt() -> None:
    """And the worst of what came of it counts."""
    journal = tried(T0 - 30 * MINUTE, T0 - 20 * MINUTE, endings=BAD[:2])
    journal.happened("r-1", Ending.DONE, T0 - 20 * MINUTE, action=PUSH)

    assert Allow() == judged(Attempts(), a_case(), journal)
    journal.happened("r-2", Ending.DONE, T0 - 10 * MINUTE, action=PUSH)
    journal.happened("r-2", Ending.FAILED, T0 - 10 * MINUTE, action=KICK)
    assert isinstance(judged(Attempts(), a_case(), journal), Refuse)


def test_the_attempts_of_every_rule_count_and_those_on_other_targets_do_not() -> None:
    journal = tried(T0 - 30 * MINUTE, T0 - 20 * MINUTE, endings=BAD[:2])
    journal.happened("r-2", Ending.FAILED, T0 - 10 * MINUTE, targets=(DB,))

    assert Allow() == judged(Attempts(), a_case(), journal)
    journal.happened("r-3", Ending.FAILED, T0 - 10 * MINUTE, rule=SLOW)
    assert isinstance(judged(Attempts(), a_case(targets=(DB, WEB)), journal), Refuse)
    assert Allow() == judged(Attempts(), a_case(targets=(DB,)), journal)


@pytest.mark.parametrize(("later", "refuses"), [(0, False), (1, False), (2, False), (3, True)])
def test_after_it_was_cleared_attempts_are_counted_anew(later: int, *, refuses: bool) -> None:
    """A person has looked at it; what came before says nothing any more, whatever the hour."""
    journal = tried(T0 - 30 * MINUTE, T0 - 25 * MINUTE, T0 - 20 * MINUTE)
    journal.put_stop(Stop(StopKind.QUARANTINE, SCOPE, "", "remediator", T0 - 19 * MINUTE))
    journal.lift_stop(StopKind.QUARANTINE, SCOPE, T0 - 15 * MINUTE)
    for number in range(later):
        journal.happened(f"r-{10 + number}", Ending.NOT_HEALED, T0 - 10 * MINUTE + number * MINUTE)

    assert refuses is isinstance(judged(Attempts(), a_case(), journal), Refuse)


def test_what_becomes_known_after_the_clearing_counts() -> None:
    """Whoever cleared it did not know of it."""
    journal = tried(T0 - 30 * MINUTE, T0 - 25 * MINUTE, T0 - 20 * MINUTE)
    journal.put_stop(Stop(StopKind.QUARANTINE, SCOPE, "", "remediator", T0 - 19 * MINUTE))
    journal.lift_stop(StopKind.QUARANTINE, SCOPE, T0 - 15 * MINUTE)
    journal.happened("r-9", Ending.UNKNOWN, T0 - 16 * MINUTE, lasts=2 * MINUTE)
    journal.happened("r-10", Ending.FAILED, T0 - 12 * MINUTE)
    journal.happened("r-11", Ending.FAILED, T0 - 10 * MINUTE)

    assert isinstance(judged(Attempts(), a_case(), journal), Refuse)


@pytest.mark.parametrize(("left", "refuses"), [(None, True), (SECOND, True), (timedelta(0), False)])
def test_a_quarantine_that_stands_refuses_whatever_the_journal_says(left: timedelta | None, *, refuses: bool) -> None:
    journal = Journal()
    until = None if left is None else T0 + left
    journal.put_stop(Stop(StopKind.QUARANTINE, SCOPE, "it is on fire", "anna", T0 - HOUR, until))

    assert refuses is isinstance(judged(Attempts(), a_case(), journal), Refuse)


def test_what_was_begun_is_ended() -> None:
    journal = tried(T0 - 30 * MINUTE, T0 - 20 * MINUTE, T0 - 10 * MINUTE)

    assert Allow() == judged(Attempts(), a_case(begun=True), journal)
