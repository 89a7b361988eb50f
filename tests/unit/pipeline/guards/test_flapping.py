"""What was healed and comes back within minutes, again and again, is left to people."""

from dataclasses import replace
from datetime import timedelta

import pytest

from remediator.model.change import Ending
from remediator.model.limits import Limits
from remediator.model.outcome import Reason
from remediator.model.stop import Stop, StopKind
from remediator.pipeline.guards import Allow, Refuse
from remediator.pipeline.guards.flapping import Flapping
from tests.unit.pipeline.guards.journal import DB, HOUR, MINUTE, SECOND, SLOW, T0, WEB, Journal, a_case, judged

FIVE = 5 * MINUTE


def healed(*ends_before: timedelta, returned: bool = True) -> Journal:
    """Runs that healed the target so long before T0; each but the first for an alert that came soon after."""
    journal = Journal()
    end = None
    for number, before in enumerate(ends_before):
        came = end + MINUTE if returned and end is not None else T0 - before - MINUTE
        journal.happened(f"r-{number}", Ending.HEALED, T0 - before - MINUTE, came=came)
        end = T0 - before
    return journal


@pytest.mark.parametrize(
    ("since_healed", "refuses"),
    [(-SECOND, False), (timedelta(0), True), (FIVE, True), (FIVE + SECOND, False), (HOUR, False)],
)
def test_the_third_return_within_the_time_is_refused(since_healed: timedelta, *, refuses: bool) -> None:
    """An alert that came before the healing, or long after it, is no return."""
    journal = healed(30 * MINUTE, 20 * MINUTE, 10 * MINUTE)
    case = a_case(came=T0 - 10 * MINUTE + since_healed)

    assert refuses is isinstance(judged(Flapping(), case, journal), Refuse)


def test_it_says_how_often_and_until_when() -> None:
    detail = (
        "thing:web: 3 times since 2026-01-01 11:31:00 UTC its alert came back within 5m of being healed; the limit is "
        "3/1h; left alone until 2026-01-01 13:00:00 UTC, or until remediator quarantine clear target:thing:web"
    )
    journal = healed(30 * MINUTE, 20 * MINUTE, 10 * MINUTE)

    assert Refuse(Reason.FLAPPING, detail) == judged(Flapping(), a_case(came=T0 - 9 * MINUTE), journal)


@pytest.mark.parametrize(("first_return_before", "refuses"), [(HOUR - SECOND, True), (HOUR, False)])
def test_returns_are_counted_within_the_window(first_return_before: timedelta, *, refuses: bool) -> None:
    journal = healed(first_return_before + MINUTE, 20 * MINUTE, SECOND)

    assert refuses is isinstance(judged(Flapping(), a_case(came=T0), journal), Refuse)


def test_alerts_that_come_back_late_are_new_problems() -> None:
    journal = healed(50 * MINUTE, 40 * MINUTE, 30 * MINUTE, 2 * MINUTE, returned=False)

    assert Allow() == judged(Flapping(), a_case(), journal)


def test_another_target_and_an_attempt_in_vain_are_no_healing() -> None:
    journal = healed(30 * MINUTE, 20 * MINUTE)
    journal.happened("r-8", Ending.NOT_HEALED, T0 - 3 * MINUTE)
    journal.happened("r-9", Ending.HEALED, T0 - 3 * MINUTE, targets=(DB,))

    assert Allow() == judged(Flapping(), a_case(), journal)


def test_a_healing_by_another_rule_counts() -> None:
    """What comes back after a restart is the same trouble under whatever name."""
    journal = healed(30 * MINUTE, 20 * MINUTE, 10 * MINUTE)

    assert isinstance(judged(Flapping(), a_case(rule=SLOW, came=T0 - 9 * MINUTE), journal), Refuse)


def test_a_later_remedy_of_the_same_run_is_no_return() -> None:
    limits = replace(Limits(), flapping=replace(Limits().flapping, count=1))
    journal = Journal()
    journal.happened("r1", Ending.HEALED, T0 - 3 * MINUTE, came=T0 - 4 * MINUTE)

    assert Allow() == judged(Flapping(), a_case("r1", came=T0 - MINUTE, round_=2, limits=limits), journal)


@pytest.mark.parametrize(("left", "refuses"), [(SECOND, True), (timedelta(0), False)])
def test_everything_is_refused_while_its_stop_stands(left: timedelta, *, refuses: bool) -> None:
    """The return that was refused is in no journal: the stop remembers it for the rest of the time."""
    journal = Journal()
    journal.put_stop(Stop(StopKind.FLAPPING, f"target:{WEB}", "3 times", "remediator", T0 - HOUR, T0 + left))

    assert refuses is isinstance(judged(Flapping(), a_case(), journal), Refuse)


def test_what_came_before_it_was_lifted_does_not_count() -> None:
    journal = healed(30 * MINUTE, 20 * MINUTE, 10 * MINUTE)
    journal.put_stop(Stop(StopKind.FLAPPING, f"target:{WEB}", "", "remediator", T0 - 16 * MINUTE))
    journal.lift_stop(StopKind.FLAPPING, f"target:{WEB}", T0 - 15 * MINUTE)

    assert Allow() == judged(Flapping(), a_case(came=T0 - 9 * MINUTE), journal)


def test_what_was_begun_is_ended() -> None:
    journal = healed(30 * MINUTE, 20 * MINUTE, 10 * MINUTE)

    assert Allow() == judged(Flapping(), a_case(came=T0 - 9 * MINUTE, begun=True), journal)
