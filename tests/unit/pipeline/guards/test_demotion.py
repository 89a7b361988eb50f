"""A rule that was demoted asks a person, until it is promoted."""

import pytest

from remediator.model.change import Ending
from remediator.model.outcome import Reason
from remediator.model.plan import Mode
from remediator.model.stop import Stop, StopKind
from remediator.pipeline.guards import Allow, Ask
from remediator.pipeline.guards.demotion import Demotion
from tests.unit.pipeline.guards.journal import HOUR, MINUTE, T0, Journal, a_case, judged

SCOPE = "rule:web/down"


def demoted(scope: str = SCOPE) -> Journal:
    journal = Journal()
    journal.put_stop(Stop(StopKind.DEMOTION, scope, "a step failed in run r0", "remediator", T0 - HOUR))
    return journal


def test_a_demoted_rule_asks_and_says_why() -> None:
    detail = (
        "rule:web/down: a step failed in run r0; gated since 2026-01-01 11:00:00 UTC, "
        "until remediator promote rule:web/down"
    )

    assert Ask(Reason.DEMOTED, detail, subject=SCOPE) == judged(Demotion(), a_case(), demoted())


@pytest.mark.parametrize("mode", [Mode.OBSERVE, Mode.SUGGEST, Mode.GATED])
def test_lower_modes_are_not_touched(mode: Mode) -> None:
    """They ask anyway, and their gate says why itself."""
    assert Allow() == judged(Demotion(), a_case(mode=mode), demoted())


def test_another_rule_is_not_touched() -> None:
    assert Allow() == judged(Demotion(), a_case(), demoted("rule:web/slow"))


def test_a_promoted_rule_goes_by_itself_again() -> None:
    journal = demoted()
    journal.lift_stop(StopKind.DEMOTION, SCOPE, T0)

    assert Allow() == judged(Demotion(), a_case(), journal)


def test_what_was_begun_is_ended() -> None:
    """Half a plan that waits for a person helps nobody."""
    assert Allow() == judged(Demotion(), a_case(begun=True), demoted())


def failed(*endings: Ending) -> Journal:
    """Each a minute after the other, the last one known a minute ago; nobody has put a stop."""
    journal = Journal()
    for number, ending in enumerate(endings):
        journal.happened(f"r{number}", ending, T0 - 2 * (len(endings) - number) * MINUTE)
    return journal


def test_an_ending_of_which_nobody_has_drawn_conclusions_asks_all_the_same() -> None:
    """The process may be killed, or hang, between the ending and the stop."""
    detail = (
        "rule:web/down: a step failed in run r0, known since 2026-01-01 11:59:00 UTC; a change has to go well first, "
        "with the approval of a person"
    )

    assert Ask(Reason.DEMOTED, detail, subject=SCOPE) == judged(Demotion(), a_case(), failed(Ending.FAILED))


@pytest.mark.parametrize(
    ("endings", "asks"),
    [
        ((Ending.UNKNOWN,), True),
        ((Ending.NOT_HEALED,), False),
        ((Ending.NOT_HEALED, Ending.NOT_HEALED), True),
        ((Ending.NOT_HEALED, Ending.INCONCLUSIVE, Ending.NOT_HEALED), True),
        ((Ending.FAILED, Ending.HEALED), False),
        ((Ending.FAILED, Ending.HEALED, Ending.FAILED), True),
        ((Ending.FAILED, Ending.DONE), True),
        ((Ending.FAILED, Ending.HEALED, Ending.NOT_HEALED), False),
    ],
)
def test_it_asks_for_what_would_have_demoted_the_rule_until_one_goes_well(
    endings: tuple[Ending, ...], *, asks: bool
) -> None:
    assert asks is isinstance(judged(Demotion(), a_case(), failed(*endings)), Ask)


def test_what_was_begun_before_it_failed_proves_nothing_when_it_goes_well() -> None:
    journal = failed(Ending.FAILED)
    journal.happened("r-1", Ending.HEALED, T0 - 90 * MINUTE, lasts=89 * MINUTE + MINUTE / 2)

    assert isinstance(judged(Demotion(), a_case(), journal), Ask)


def test_what_came_before_a_promotion_asks_nobody() -> None:
    journal = demoted()
    journal.happened("r0", Ending.FAILED, T0 - 2 * MINUTE)
    journal.lift_stop(StopKind.DEMOTION, SCOPE, T0 - MINUTE)

    assert Allow() == judged(Demotion(), a_case(), journal)
    journal.happened("r1", Ending.FAILED, T0 - MINUTE)
    assert isinstance(judged(Demotion(), a_case(), journal), Ask)
