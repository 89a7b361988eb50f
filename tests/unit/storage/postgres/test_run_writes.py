"""Which writes of a commit are made together."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from remediator.model.facts import Started
from remediator.model.ids import OwnerId, RunId, StepId
from remediator.model.run import Cancel
from remediator.storage.postgres.run_writes import Learn, RunWrite, Start, Tell, rounds
from remediator.storage.runs import Claim, Entry, Reservation

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def learn(run: str) -> Learn:
    return Learn(T0, Claim(RunId(run), OwnerId("me"), 1, 0), Entry())


def start(run: str, *targets: str) -> Start:
    step = Started(T0, 1, StepId("remediate.0.0"), 1, 1, T0)
    return Start(T0, Claim(RunId(run), OwnerId("me"), 1, 0), Entry(), step, Reservation(targets))


def tell(run: str) -> Tell:
    return Tell(T0, RunId(run), Cancel(T0, "me"))


@pytest.mark.parametrize(
    ("writes", "expected"),
    [
        ([], []),
        ([learn("a"), tell("b"), start("c", "x"), learn("d")], [[0, 1, 2, 3]]),
        ([learn("a"), learn("b"), tell("a"), learn("c"), learn("a")], [[0, 1, 3], [2], [4]]),
        ([start("a", "x", "y"), start("b", "z", "y"), start("c", "z")], [[0], [1], [2]]),
        ([start("a", "x"), start("b", "x"), start("c", "z"), learn("b")], [[0, 2], [1], [3]]),
        ([start("a", "x" * 600), start("b", "x" * 600)], [[0], [1]]),
    ],
    ids=["none", "different", "same-run", "same-target", "run-behind-target", "long-target"],
)
def test_what_concerns_the_same_run_or_target_is_made_one_after_the_other(
    writes: Sequence[RunWrite[object]], expected: list[list[int]]
) -> None:
    """The rest shares a statement, whatever came between."""
    assert expected == rounds(writes)
