"""Counts are told as people say them."""

import pytest

from remediator.kit.wording import counted


@pytest.mark.parametrize(
    ("number", "said"),
    [(0, "0 entries"), (1, "1 entry"), (2, "2 entries")],
)
def test_a_noun_goes_with_its_number(number: int, said: str) -> None:
    """`1 entries` reads like a mistake."""
    assert said == counted(number, "entry", "entries")


def test_most_nouns_take_an_s() -> None:
    """So it need not be given."""
    assert ("1 step", "11 steps") == (counted(1, "step"), counted(11, "step"))
