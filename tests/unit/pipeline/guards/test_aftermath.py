"""What a round, or a refused plan, leads to: stops that people see, and that do not come twice."""

from dataclasses import replace
from datetime import timedelta

import pytest

from remediator.model.change import Ending
from remediator.model.limits import Limits
from remediator.model.plan import Mode
from remediator.model.stop import Stop, StopKind
from remediator.pipeline.guards import Case
from remediator.pipeline.guards.aftermath import asks, consequences, lapsed
from tests.unit.pipeline.guards.journal import DB, HOUR, KICK, MINUTE, SECOND, SLOW, T0, WEB, Journal, a_case

RULE = "rule:web/down"


def after(case: Case, journal: Journal) -> tuple[Stop, ...]:
    return consequences(case, journal.known(asks(case)))


def kinds(case: Case, journal: Journal) -> list[tuple[StopKind, str]]:
    return [(stop.kind, stop.scope) for stop in after(case, journal)]


@pytest.mark.parametrize(
    ("ending", "why"),
    [
        (Ending.FAILED, "a step failed in run r1"),
        (Ending.UNKNOWN, "whether a step was done is not known in run r1"),
        (Ending.NOT_HEALED, None),
        (Ending.INCONCLUSIVE, None),
        (Ending.HEALED, None),
        (Ending.DONE, None),
        (None, None),
    ],
)
def test_a_failed_or_unknown_step_demotes_its_rule(ending: Ending | None, why: str | None) -> None:
    """At once, with the reason in words."""
    journal = Journal()
    journal.happened("r1", ending, T0 - MINUTE)
    expected = () if why is None else (Stop(StopKind.DEMOTION, RULE, why, "remediator", T0),)

    assert expected == after(a_case("r1"), journal)


@pytest.mark.parametrize(
    ("before", "demoted"),
    [
        (Ending.NOT_HEALED, True),
        (Ending.FAILED, True),
        (Ending.HEALED, False),
        (Ending.INCONCLUSIVE, False),
        (None, False),
    ],
)
def test_two_in_a_row_that_did_not_help_demote_it(before: Ending | None, *, demoted: bool) -> None:
    """On whatever targets."""
    journal = Journal()
    journal.happened("r0", before, T0 - 5 * MINUTE, targets=(DB,))
    journal.happened("r1", Ending.NOT_HEALED, T0 - MINUTE)

    assert demoted is ((StopKind.DEMOTION, RULE) in kinds(a_case("r1"), journal))


def test_two_remedies_of_one_run_are_two() -> None:
    journal = Journal()
    journal.happened("r1", Ending.NOT_HEALED, T0 - 5 * MINUTE)
    journal.happened("r1", Ending.NOT_HEALED, T0 - MINUTE, round_=2)

    assert [(StopKind.DEMOTION, RULE)] == kinds(a_case("r1", round_=2), journal)


def test_what_was_inconclusive_does_not_break_a_row() -> None:
    journal = Journal()
    journal.happened("r-1", Ending.NOT_HEALED, T0 - 9 * MINUTE)
    journal.happened("r0", Ending.INCONCLUSIVE, T0 - 5 * MINUTE)
    journal.happened("r1", Ending.NOT_HEALED, T0 - MINUTE)

    assert [(StopKind.DEMOTION, RULE)] == kinds(a_case("r1"), journal)


@pytest.mark.parametrize("mode", [Mode.GATED, Mode.SUGGEST])
def test_only_a_rule_that_acts_by_itself_is_demoted(mode: Mode) -> None:
    journal = Journal()
    journal.happened("r1", Ending.FAILED, T0 - MINUTE)

    assert [] == kinds(a_case("r1", mode=mode), journal)


def test_after_a_promotion_it_is_counted_anew() -> None:
    journal = Journal()
    journal.happened("r0", Ending.NOT_HEALED, T0 - 9 * MINUTE)
    journal.put_stop(Stop(StopKind.DEMOTION, RULE, "", "remediator", T0 - 8 * MINUTE))
    journal.lift_stop(StopKind.DEMOTION, RULE, T0 - 5 * MINUTE)
    journal.happened("r1", Ending.NOT_HEALED, T0 - MINUTE)

    assert [] == kinds(a_case("r1"), journal)
    journal.happened("r2", Ending.NOT_HEALED, T0, targets=(DB,))
    assert (StopKind.DEMOTION, RULE) in kinds(a_case("r2"), journal)


def test_how_many_demote_a_rule_is_a_limit() -> None:
    """Where a rule is allowed to fail more often, it still asks in the end."""
    patient = Limits(gated_after_failures=3)
    journal, case = Journal(), replace(a_case("r1"), limits=patient)
    for number in range(2):
        journal.happened(f"r{number - 2}", Ending.FAILED, T0 - (9 - number) * MINUTE, targets=(DB,))

    assert (StopKind.DEMOTION, RULE) not in kinds(replace(case, run=a_case("r-1").run), journal)
    journal.happened("r1", Ending.UNKNOWN, T0 - MINUTE)
    (stop,) = (stop for stop in after(case, journal) if stop.kind is StopKind.DEMOTION)
    assert "3 changes in a row failed, or whether they did is not known (run r-2 and r-1 and r1)" == stop.reason


def test_a_third_attempt_in_vain_puts_the_target_into_quarantine() -> None:
    """Here by two rules, so that neither's breaker opens."""
    journal = Journal()
    journal.happened("r-1", Ending.NOT_HEALED, T0 - 30 * MINUTE, rule=SLOW)
    journal.happened("r0", Ending.NOT_HEALED, T0 - 20 * MINUTE, rule=SLOW)
    journal.happened("r1", Ending.NOT_HEALED, T0 - MINUTE)
    reason = "3 changes since 2026-01-01 11:30:00 UTC did not help (run r-1, r0, r1); the limit is 3/1h"

    assert (Stop(StopKind.QUARANTINE, f"target:{WEB}", reason, "remediator", T0),) == after(a_case("r1"), journal)


def test_an_open_breaker_is_shown() -> None:
    journal = Journal()
    for number in range(3):
        journal.happened(f"r{number}", Ending.FAILED, T0 - (9 - number) * MINUTE, targets=(f"thing:{number}",))
    reason = "3 in a row went badly, the last one in run r2"
    opened = T0 - 6 * MINUTE
    expected = tuple(Stop(StopKind.BREAKER, scope, reason, "remediator", opened) for scope in (RULE, f"action:{KICK}"))

    assert expected == after(a_case("r9", mode=Mode.GATED), journal)


def test_a_return_too_many_leaves_the_target_alone_for_the_rest_of_the_time() -> None:
    """Called for the plan that was refused: it is in no journal."""
    journal = Journal()
    for number in range(3):
        journal.happened(
            f"r{number}", Ending.HEALED, T0 - (30 - 2 * number) * MINUTE, came=T0 - (30 - 2 * number) * MINUTE
        )
    stops = after(a_case("r9", came=T0 - 22 * MINUTE), journal)

    assert [(StopKind.FLAPPING, f"target:{WEB}", T0, T0 + HOUR)] == [(s.kind, s.scope, s.at, s.until) for s in stops]


def test_the_same_is_said_again_later() -> None:
    """After a restart the flow asks once more: the same stops, with the same times, do no harm."""
    journal = Journal()
    for number in range(3):
        journal.happened(f"r{number}", Ending.FAILED, T0 - (9 - number) * MINUTE)
    first = after(a_case("r2"), journal)
    for stop in first:
        journal.put_stop(stop)

    kinds_of_first = [stop.kind for stop in first]
    assert [StopKind.DEMOTION, StopKind.QUARANTINE, StopKind.BREAKER, StopKind.BREAKER] == kinds_of_first
    assert first == after(a_case("r2", at=T0 + 10 * MINUTE), journal)


@pytest.mark.parametrize(("ending", "is_lapsed"), [(Ending.HEALED, True), (Ending.FAILED, False), (None, False)])
def test_the_stop_of_a_breaker_that_a_good_trial_closed_has_lapsed(ending: Ending | None, *, is_lapsed: bool) -> None:
    """It ends with the trial: what failed between that and its lifting must count."""
    journal = Journal()
    for number in range(3):
        journal.happened(f"r{number}", Ending.NOT_HEALED, T0 - (9 - number) * MINUTE, targets=(f"thing:{number}",))
    journal.put_stop(Stop(StopKind.BREAKER, RULE, "3 in a row", "remediator", T0 - 6 * MINUTE))
    journal.happened("trial", ending, T0 + 30 * MINUTE, lasts=SECOND)
    case = a_case("trial", at=T0 + 40 * MINUTE)
    ends: list[tuple[str, timedelta]] = [
        (stop.scope, stop.until - T0) for stop in lapsed(case, journal.known(asks(case))) if stop.until
    ]

    assert ([(RULE, 30 * MINUTE + SECOND)] if is_lapsed else []) == ends
