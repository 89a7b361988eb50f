"""Which of two runs has changed a thing later is told by the journal's order, and by no host's clock."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from remediator.model.change import Change
from remediator.model.ids import StepId
from remediator.model.run import Run, TakeOver
from remediator.pipeline.undo.verdicts import PutBack, verdicts_on
from remediator.pipeline.undo.younger import Heir, Unclear, taken_over, word_of
from tests.unit.pipeline.harness import Harness
from tests.unit.pipeline.undo.test_later_runs import both, heals, same
from tests.unit.pipeline.undo.test_younger import a_change, asked

AN_HOUR = timedelta(hours=1)
GONE = Unclear("run gone has changed it later, and is not kept any more")


def own(run: Run) -> Change:
    return replace(a_change(run, 0), at=run.created_at, seq=5)


@pytest.mark.parametrize(
    ("place", "found"), [(6, GONE), (4, None)], ids=["begun later, its clock behind", "begun before, its clock ahead"]
)
async def test_the_order_of_the_journal_counts(tmp_path: Path, place: int, found: Unclear | None) -> None:
    """A host that is an hour ahead, or behind, must not have a change put back from under another run."""
    async with Harness(tmp_path, *same()) as it:
        run = await heals(it, "a")
        apart = -AN_HOUR if found else AN_HOUR
        other = replace(a_change(run, 1, name="gone"), at=run.created_at + apart, seq=place)

        assert found == await asked(it, run, other, own(run))
        assert found == await asked(it, run, own(run), other)


async def test_where_the_journal_has_forgotten_the_change_the_clocks_count(tmp_path: Path) -> None:
    """It keeps a month, and what a run has changed may be put back after that."""
    async with Harness(tmp_path, *same()) as it:
        run = await heals(it, "a")
        later, before = (
            replace(a_change(run, 1, name="gone"), at=run.created_at + n * AN_HOUR, seq=6) for n in (1, -1)
        )

        assert GONE == await asked(it, run, later)
        assert None is await asked(it, run, before)


async def test_of_several_changes_that_go_back_together_the_first_one_in_the_journal_tells_to_what(
    tmp_path: Path,
) -> None:
    """Its run's clock may have been ahead of the others'."""
    async with Harness(tmp_path, *same()) as it:
        older, later = await both(it)
        (verdict,) = verdicts_on(older.facts)
        assert isinstance(verdict, PutBack)
        heir = Heir(later.id, 1, StepId("remediate.0.0"), None)
        first, second = (word_of(older, verdict, heir, older.created_at, place) for place in (3, 4))
        first = replace(first, begun=first.begun + AN_HOUR)
        heard: tuple[TakeOver, ...] = (second, first)

        assert first == taken_over(replace(later, signals=heard), 1, heir.step)
        assert 3 == word_of(replace(later, signals=heard), replace(verdict), heir, later.created_at, 9).place
