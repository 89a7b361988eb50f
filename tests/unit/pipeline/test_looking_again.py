"""How soon a plan is looked at again that a person may let go at any time."""

from datetime import timedelta
from typing import cast

import pytest

from remediator.kit.redaction import Redactor
from remediator.model.facts import Held
from remediator.model.outcome import Reason
from remediator.pipeline.guards import Hold
from remediator.pipeline.ledger import Ledger
from remediator.pipeline.turn import until_looked_at
from remediator.storage.store import Store
from tests.unit.pipeline.guards.probing import AT, a_case

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


@pytest.mark.parametrize(
    ("reason", "held_for", "others", "expected"),
    [
        (Reason.PAUSED, None, None, 30 * SECOND),
        (Reason.PAUSED, 5 * MINUTE, None, 30 * SECOND),
        (Reason.PAUSED, 6 * MINUTE, None, 2 * MINUTE),
        (Reason.PAUSED, 6 * MINUTE, Reason.STORM, 30 * SECOND),
        (Reason.STORM, None, None, 2 * MINUTE),
        (Reason.BUDGET_USED, 6 * MINUTE, None, 60 * MINUTE),
    ],
    ids=["new", "for a few minutes", "for long", "for something else before", "a storm", "what ends by itself"],
)
def test_what_is_paused_is_looked_at_soon_and_less_often_after_a_while(
    reason: Reason, held_for: timedelta | None, others: Reason | None, expected: timedelta
) -> None:
    """Thousands may be held by one pause."""
    facts = [] if held_for is None else [Held(AT - held_for, 1, 1, others or reason, "", AT)]
    ledger = Ledger(a_case(facts=facts).run, cast("Store", None), Redactor())

    assert AT + expected == until_looked_at(ledger, 1, Hold(reason, AT + 60 * MINUTE), AT)


def test_it_is_never_looked_at_later_than_the_hold_says() -> None:
    """A pause may have an end."""
    held = Held(AT - 6 * MINUTE, 1, 1, Reason.PAUSED, "", AT)
    ledger = Ledger(a_case(facts=[held]).run, cast("Store", None), Redactor())

    assert AT + SECOND == until_looked_at(ledger, 1, Hold(Reason.PAUSED, AT + SECOND), AT)
