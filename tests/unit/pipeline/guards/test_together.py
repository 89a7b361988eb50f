"""What several guards say as one, and which questions an approval has answered."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from remediator.model.outcome import Concern, Reason
from remediator.pipeline.guards import Allow, Ask, Hold, Refuse, Review
from remediator.pipeline.guards.guard import together
from tests.unit.pipeline.guards.probing import a_case

AT = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
NEVER = Refuse(Reason.PROTECTED, "never")
SOON, LATER = (Hold(Reason.PAUSED, AT + timedelta(minutes=minutes)) for minutes in (1, 2))
REST = Hold(Reason.COOLING_DOWN, AT + timedelta(minutes=9))
CHAT, POOL, FREEZE = Ask(Reason.CANNOT_TELL, "chat is away"), Ask(Reason.LAST_OF_POOL, "the last"), Ask(Reason.FROZEN)
BOTH = Ask(
    Reason.CANNOT_TELL,
    f"chat is away; {Reason.LAST_OF_POOL}: the last; {Reason.FROZEN}",
    (*POOL.concerns, *FREEZE.concerns),
)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([], Allow()),
        ([Allow(), POOL], POOL),
        ([POOL, SOON, LATER, SOON], LATER),
        ([SOON, REST, POOL], SOON),
        ([LATER, NEVER, POOL], NEVER),
        ([CHAT, Allow(), POOL, FREEZE], BOTH),
        ([CHAT, together([POOL, FREEZE])], BOTH),
        ([CHAT, CHAT], CHAT),
    ],
    ids=[
        "nothing",
        "one asks",
        "holds",
        "a pause",
        "a refusal",
        "all questions",
        "questions of questions",
        "the same twice",
    ],
)
def test_the_strictest_word_counts_and_no_question_is_lost(said: list[Review], expected: Review) -> None:
    """A person decides on all of it at once."""
    assert expected == together(said)


@pytest.mark.parametrize(
    ("approved", "begun", "told", "expected"),
    [
        (False, False, [Reason.CANNOT_TELL, Reason.LAST_OF_POOL, Reason.FROZEN], False),
        (True, False, [Reason.CANNOT_TELL, Reason.LAST_OF_POOL, Reason.FROZEN], True),
        (True, False, [Reason.CANNOT_TELL, Reason.LAST_OF_POOL], False),
        (True, False, [], False),
        (True, True, [], True),
        (False, True, [], False),
    ],
    ids=["not approved", "all told", "one is new", "nothing told", "it has begun", "begun by itself"],
)
def test_an_approval_answers_what_was_told(approved: bool, begun: bool, told: list[Reason], expected: bool) -> None:
    """Nobody has said yes to what nobody has told."""
    case = replace(a_case(), approved=approved, begun=begun, told=frozenset(map(Concern, told)))

    assert expected == case.has_approved(BOTH)
