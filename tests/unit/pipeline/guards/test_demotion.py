"""A rule that was demoted asks a person, until it is promoted."""

import pytest

from remediator.model.outcome import Reason
from remediator.model.plan import Mode
from remediator.model.stop import Stop, StopKind
from remediator.pipeline.guards import Allow, Ask
from remediator.pipeline.guards.demotion import Demotion
from tests.unit.pipeline.guards.journal import HOUR, T0, Journal, a_case, judged

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

    assert Ask(Reason.DEMOTED, detail) == judged(Demotion(), a_case(), demoted())


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
