"""Each window of each budget has room for a plan, or holds it until it has."""

from dataclasses import replace
from datetime import timedelta

import pytest

from remediator.model.budget import Budget
from remediator.model.change import Ending
from remediator.model.limits import Limits
from remediator.model.outcome import Reason
from remediator.pipeline.guards import Allow, Hold, Refuse
from remediator.pipeline.guards.budgets import Budgets
from tests.unit.pipeline.guards.journal import (
    DB,
    HOUR,
    MINUTE,
    PUSH,
    SECOND,
    SLOW,
    T0,
    UNLIMITED,
    WEB,
    Journal,
    a_case,
    judged,
)

DAY = timedelta(days=1)


def begun(*before: timedelta, **changes: str) -> Journal:
    journal = Journal()
    for number, one in enumerate(before):
        journal.happened(f"r-{number}", Ending.HEALED, T0 - one, **changes)  # type: ignore[arg-type]  # texts only
    return journal


@pytest.mark.parametrize(("oldest", "holds"), [(HOUR - SECOND, True), (HOUR, False), (HOUR + SECOND, False)])
def test_a_target_may_be_changed_so_often_by_a_rule(oldest: timedelta, *, holds: bool) -> None:
    journal = begun(oldest, 30 * MINUTE, MINUTE)
    detail = "thing:web by this rule: 3/1h is used up; there is room again at 2026-01-01 12:00:01 UTC"
    expected = Hold(Reason.BUDGET_USED, T0 + SECOND, detail) if holds else Allow()

    assert expected == judged(Budgets(), a_case(), journal)


def test_another_rule_and_another_target_have_budgets_of_their_own() -> None:
    journal = begun(30 * MINUTE, 20 * MINUTE, 10 * MINUTE)

    assert Allow() == judged(Budgets(), a_case(rule=SLOW), journal)
    assert Allow() == judged(Budgets(), a_case(targets=(DB,)), journal)


@pytest.mark.parametrize(
    ("limits", "until"),
    [
        ({"per_target": (Budget(2, HOUR), Budget(3, DAY))}, T0 + DAY - 5 * HOUR),
        ({"per_rule": (Budget(3, DAY),)}, T0 + DAY - 5 * HOUR),
        ({"overall": (Budget(2, DAY),)}, T0 + DAY - 3 * HOUR),
        ({"overall": (Budget(4, DAY),)}, None),
    ],
)
def test_every_window_counts_and_the_longest_wait_is_told(limits: dict[str, tuple[Budget, ...]], until: object) -> None:
    journal = begun(5 * HOUR, 3 * HOUR, 2 * HOUR)
    review = judged(Budgets(), a_case(limits=replace(UNLIMITED, **limits)), journal)  # type: ignore[arg-type]  # budgets

    assert until == (review.until if isinstance(review, Hold) else None)


def test_a_plan_of_two_targets_needs_room_for_two() -> None:
    """It is a change of each; nine were made of ten."""
    limits = replace(UNLIMITED, per_rule=(Budget(10, HOUR),))
    journal = begun(*(number * MINUTE for number in range(9, 0, -1)))
    review = judged(Budgets(), a_case(targets=(DB, WEB), limits=limits), journal)

    assert Allow() == judged(Budgets(), a_case(targets=(WEB,), limits=limits), journal)
    assert isinstance(review, Hold)
    assert T0 + 51 * MINUTE == review.until


@pytest.mark.parametrize("count", [0, 1])
def test_a_budget_that_is_too_small_for_the_plan_refuses(count: int) -> None:
    """No time would ever make room for it."""
    limits = replace(UNLIMITED, overall=(Budget(count, HOUR),))
    detail = f"all rules together: {count}/1h is too little for a plan of 2"

    assert Refuse(Reason.BUDGET_USED, detail) == judged(Budgets(), a_case(targets=(DB, WEB), limits=limits), Journal())


def test_a_plan_that_was_begun_was_counted_then() -> None:
    journal = begun(30 * MINUTE, 20 * MINUTE, 10 * MINUTE)

    assert Allow() == judged(Budgets(), a_case(begun=True), journal)


def test_a_plan_of_two_actions_counts_once() -> None:
    journal = begun(30 * MINUTE, 20 * MINUTE)
    limits = replace(Limits(), per_target=(Budget(3, HOUR),))

    assert Allow() == judged(Budgets(), a_case(actions=("thing.kick", PUSH), limits=limits), journal)
