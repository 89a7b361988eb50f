"""What one run leaves to another is kept as it was said."""

from datetime import UTC, datetime, timedelta

import pytest

from remediator.model.ids import RunId, StepId
from remediator.model.run import TakeOver
from remediator.model.undo import Left
from remediator.storage import codec

AT = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)
STEP = StepId("remediate.0.0")


def test_the_word_to_the_later_run_is_read_as_it_was_written() -> None:
    """With it the later one puts back what it never saw itself."""
    word = TakeOver(AT, 2, STEP, {"limit": 64, "swap": None}, AT - timedelta(hours=1), RunId("older"), 1, STEP)

    assert word == codec.read_signal(codec.write_signal(word))


@pytest.mark.parametrize("until", [None, AT])
def test_that_it_was_left_is_read_as_it_was_written(until: datetime | None) -> None:
    """It is not tried again."""
    left = Left(AT, 1, STEP, 1, RunId("later"), until)

    assert left == codec.read_fact(codec.write_fact(left))


def test_each_step_of_each_round_is_left_by_itself() -> None:
    """No two facts of a run may have the same key."""
    keys = {Left(AT, round_, STEP, count, RunId("later"), None).key for round_ in (1, 2) for count in (1, 2)}

    assert 4 == len(keys)
