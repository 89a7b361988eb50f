"""The failpoints themselves: that every one is somewhere in the product, and that nothing is armed by itself."""

import re
from collections import Counter

import pytest

from remediator.kit import failpoints
from tests.served import ROOT


@pytest.fixture(autouse=True)
def _disarmed() -> object:
    yield
    failpoints.disarm()


def test_every_failpoint_is_in_the_product() -> None:
    """One that nobody comes to would be a kill that never happens, and the crash tests would say that it did."""
    text = "".join(path.read_text() for path in sorted((ROOT / "remediator").rglob("*.py")))
    found = Counter(re.findall(r'failpoints\.hit\("([^"]+)"\)', text))
    both = {"store.commit.before", "store.commit.after"}  # once for each store

    assert {point: 2 if point in both else 1 for point in failpoints.POINTS} == found


def test_a_failpoint_does_its_deed_once_and_only_when_it_is_time() -> None:
    """The n-th commit is to be met, and the process that lives on is to be left alone."""
    done: list[str] = []
    failpoints.arm("step.call", lambda: done.append("x"), after=2)
    seen = []
    for _ in range(5):
        failpoints.hit("step.call")
        seen.append(len(done))

    assert [0, 0, 1, 1, 1] == seen


def test_a_deed_may_raise() -> None:
    """A failure is a deed like any other."""

    def fail() -> None:
        raise OSError("as asked")

    failpoints.arm("step.answered", fail)
    with pytest.raises(OSError, match="as asked"):
        failpoints.hit("step.answered")


def test_other_places_are_passed_and_unknown_ones_refused() -> None:
    """A misspelt place would test nothing."""
    failpoints.arm("step.call", lambda: pytest.fail("somewhere else"))
    failpoints.hit("step.started")
    with pytest.raises(KeyError, match=r"there is no failpoint step\.cal;"):
        failpoints.arm("step.cal", lambda: None)
