"""A target is left alone for a while after another run has changed it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from remediator.model.change import Ending
from remediator.model.limits import Limits
from remediator.model.outcome import Reason
from remediator.pipeline.guards import Allow, Hold
from remediator.pipeline.guards.cooldown import Cooldown
from tests.unit.pipeline.guards.journal import DB, HOUR, MINUTE, SECOND, SLOW, T0, WEB, Journal, a_case, judged

TEN = 10 * MINUTE


@pytest.mark.parametrize(
    ("ended_before", "holds"), [(TEN - SECOND, True), (TEN, False), (TEN + SECOND, False), (timedelta(0), True)]
)
def test_it_counts_from_the_end_of_the_change(ended_before: timedelta, *, holds: bool) -> None:
    """A rollout that took half an hour has only just begun to show what it did."""
    journal = Journal()
    journal.happened("r0", Ending.HEALED, T0 - ended_before - HOUR, lasts=HOUR)

    assert holds is isinstance(judged(Cooldown(), a_case(), journal), Hold)


@pytest.mark.parametrize(("began_before", "holds"), [(TEN - SECOND, True), (TEN, False)])
def test_it_counts_from_the_start_of_one_without_an_end(began_before: timedelta, *, holds: bool) -> None:
    journal = Journal()
    journal.happened("r0", None, T0 - began_before)

    assert holds is isinstance(judged(Cooldown(), a_case(), journal), Hold)


def test_it_says_who_has_changed_it_and_when_it_is_over() -> None:
    journal = Journal()
    journal.happened("r0", Ending.HEALED, T0 - 2 * MINUTE, rule=SLOW)
    detail = (
        "thing:web: run r0 (web/slow) has changed it, 2026-01-01 11:59:00 UTC; "
        "the cooldown of 10m is over at 2026-01-01 12:09:00 UTC"
    )

    assert Hold(Reason.COOLING_DOWN, T0 + 9 * MINUTE, detail) == judged(Cooldown(), a_case(), journal)


def test_the_runs_own_later_remedy_does_not_wait() -> None:
    """A ladder would take the better part of an hour; another run's change before it holds all the same."""
    journal = Journal()
    journal.happened("r1", Ending.NOT_HEALED, T0 - 2 * MINUTE)
    own = judged(Cooldown(), a_case("r1", round_=2), journal)
    journal.happened("r0", Ending.HEALED, T0 - 9 * MINUTE)

    assert Allow() == own
    assert isinstance(judged(Cooldown(), a_case("r1", round_=2), journal), Hold)


def test_another_target_does_not_wait() -> None:
    journal = Journal()
    journal.happened("r0", Ending.HEALED, T0 - MINUTE, targets=(DB,))

    assert Allow() == judged(Cooldown(), a_case(targets=(WEB,)), journal)
    assert isinstance(judged(Cooldown(), a_case(targets=(DB, WEB)), journal), Hold)


def test_what_was_begun_is_ended() -> None:
    journal = Journal()
    journal.happened("r0", Ending.HEALED, T0 - MINUTE)

    assert Allow() == judged(Cooldown(), a_case(begun=True), journal)


def test_a_cooldown_of_months_is_kept() -> None:
    """However far back the journal is usually looked at."""
    journal = Journal()
    days = timedelta(days=1)
    journal.happened("r0", Ending.HEALED, T0 - 50 * days)
    limits = replace(Limits(), cooldown=60 * days)

    assert isinstance(judged(Cooldown(), a_case(limits=limits), journal), Hold)
