"""Which guards a change passes when it is put back, and what is entered in the journal for it."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from remediator.model.history import Known, Question, Standing
from remediator.model.outcome import Reason
from remediator.pipeline.guards import Allow, Case, Guards, Refuse, Review
from remediator.pipeline.guards.guard import AlsoOfUndoing
from remediator.pipeline.guards.pause_file import PauseFile
from remediator.pipeline.guards.protected import ProtectedGroup
from remediator.pipeline.guards.shipped import shipped
from remediator.settings import CalendarSettings, ProtectedSettings
from tests.unit.pipeline.guards.probing import a_case

NO = Refuse(Reason.BUDGET_USED, "no")


class New:
    """What only new changes have to pass, as a guard and as a probe."""

    def asks(self, case: Case) -> tuple[Question, ...]:
        return (Standing(("new",)),)

    def judge(self, case: Case, known: Known) -> Review:
        return NO

    async def look(self, case: Case) -> Review:
        return NO


class Any_(New, AlsoOfUndoing):  # noqa: N801 - `Any` is taken
    """What every change has to pass."""


async def _know(_questions: Sequence[Question]) -> Known:
    return Known()


def test_of_all_guards_those_that_a_person_has_put_up_count_for_an_undoing() -> None:
    """A pause, and what is not to be touched at all. Any other would leave in place what was to be for a while."""
    guards = [*shipped(CalendarSettings(), ProtectedSettings()), PauseFile, ProtectedGroup]
    asked = [
        guard.__name__ if isinstance(guard, type) else type(guard).__name__
        for guard in guards
        if isinstance(guard, AlsoOfUndoing) or (isinstance(guard, type) and issubclass(guard, AlsoOfUndoing))
    ]

    assert ["Protected", "Pauses", "PauseFile", "ProtectedGroup"] == asked


@pytest.mark.parametrize(
    ("one", "undoes", "expected"), [(New(), True, Allow()), (New(), False, NO), (Any_(), True, NO)]
)
async def test_who_is_not_of_undoing_is_asked_for_new_changes_only(one: New, undoes: bool, expected: Review) -> None:
    """In the review, right before the act, and in the store's transaction."""
    case = replace(a_case(), undoes=undoes)
    guards = Guards([one], _know, [one])
    reservation = guards.reserve(case)
    refusal = reservation.judge(Known())

    assert expected == await guards.look(case) == await guards.review(case)
    assert (expected == Allow()) == (refusal is None)
    assert (expected == Allow()) == (reservation.questions == ())


def test_to_put_back_is_an_entry_of_its_own_in_the_journal() -> None:
    """It counts, and yet it is no word about how the action, or the rule, does."""
    case = a_case()
    did, undid = (Guards([], _know).reserve(replace(case, undoes=undoes)).changes for undoes in (False, True))

    assert [f"undo:{change.action}" for change in did] == [change.action for change in undid]
    assert all(change.counts for change in undid)
