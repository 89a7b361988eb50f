"""What has failed too often is left alone, then tried once; a good trial closes its breaker, and so do people."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from remediator.model.change import Ending
from remediator.model.limits import Limits
from remediator.model.outcome import Reason
from remediator.model.stop import Stop, StopKind
from remediator.pipeline.guards import Allow, Refuse
from remediator.pipeline.guards.breaking import Breaking
from tests.unit.pipeline.guards.journal import (
    DOWN,
    HOUR,
    KICK,
    MINUTE,
    PUSH,
    SECOND,
    SLOW,
    T0,
    Journal,
    a_case,
    judged,
)

WORDS = {
    "h": Ending.HEALED,
    "n": Ending.NOT_HEALED,
    "f": Ending.FAILED,
    "u": Ending.UNKNOWN,
    "i": Ending.INCONCLUSIVE,
    "d": Ending.DONE,
    ".": None,
}
RULE = "rule:web/down"
HALF = 30 * MINUTE


def told(story: str, *, last: datetime = T0 - MINUTE, rule: str = DOWN, action: str = KICK) -> Journal:
    """Runs one after the other, two minutes apart; each is known a second after its start, the last one at `last`."""
    journal = Journal()
    for number, letter in enumerate(story):
        at = last - SECOND - (len(story) - 1 - number) * 2 * MINUTE
        targets = (f"thing:{number}",)
        journal.happened(f"r-{number}", WORDS[letter], at, lasts=SECOND, rule=rule, action=action, targets=targets)
    return journal


def refuses(journal: Journal, at: datetime = T0, *, actions: tuple[str, ...] = (KICK,)) -> bool:
    return isinstance(judged(Breaking(), a_case(at=at, actions=actions), journal), Refuse)


@pytest.mark.parametrize(
    ("story", "is_open"),
    [
        ("", False),
        ("nf", False),
        ("nfu", True),
        ("nnhn", False),
        ("nnhnnn", True),
        ("nin.ndi", True),
        ("iiiiii", False),
        ("dddd..", False),
        ("hnhnhnhnhn", True),
        ("hnhnhnhnh", False),
        ("nhhnhhnhhnhhn", False),
        ("nhnhnhhhnhhn", False),
        ("nhnhnhhhnhn", False),
        ("hnnhnhhnhn", True),
    ],
)
def test_three_in_a_row_or_half_of_the_last_ten_open_the_rules(story: str, *, is_open: bool) -> None:
    """h healed, n not healed, f failed, u unknown, i inconclusive, d done, . under way; the last four say nothing."""
    assert is_open is refuses(told(story), actions=(PUSH,))


@pytest.mark.parametrize(("story", "is_open"), [("fuf", True), ("nnnnnn", False), ("ffdf", False), ("ff.f", True)])
def test_only_what_failed_or_is_unknown_opens_an_actions(story: str, *, is_open: bool) -> None:
    """An action that was carried out has done what it says, whether or not it was the remedy; by whatever rule."""
    assert is_open is refuses(told(story, rule=SLOW))


def test_the_other_action_of_a_plan_counts_too() -> None:
    assert refuses(told("fff", rule=SLOW, action=PUSH), actions=(KICK, PUSH))
    assert not refuses(told("fff", rule=SLOW, action=PUSH), actions=(KICK,))


def test_one_plan_on_several_targets_is_one_failure() -> None:
    journal = Journal()
    journal.happened("r-0", Ending.FAILED, T0 - MINUTE, targets=[f"thing:{n}" for n in range(4)])

    assert not refuses(journal)


def test_plans_of_very_many_targets_open_it_all_the_same() -> None:
    """The journal's answer is bounded: two plans can fill it, and both were bad."""
    journal = Journal()
    for run in ("r-0", "r-1"):
        journal.happened(run, Ending.FAILED, T0 - 5 * MINUTE, targets=[f"thing:{n}" for n in range(30)])

    assert refuses(journal)


@pytest.mark.parametrize(("after", "is_refused"), [(HALF - SECOND, True), (HALF, False), (HALF + SECOND, False)])
def test_one_may_try_after_a_while(after: timedelta, *, is_refused: bool) -> None:
    """The time counts from when the last failure was known."""
    assert is_refused is refuses(told("fff", last=T0), T0 + after)


@pytest.mark.parametrize(("after", "is_refused"), [(SECOND, True), (HALF - SECOND, True), (HALF, False)])
def test_there_is_one_trial_at_a_time(after: timedelta, *, is_refused: bool) -> None:
    """It is the one that was begun first; one that never ends does not keep everybody away for good."""
    journal = told("fff", last=T0)
    journal.happened("trial", None, T0 + HALF)

    assert is_refused is refuses(journal, T0 + HALF + after)


@pytest.mark.parametrize(
    ("ending", "after", "is_refused"),
    [
        (Ending.HEALED, SECOND, False),
        (Ending.FAILED, HALF - SECOND, True),
        (Ending.FAILED, HALF, False),
        (Ending.INCONCLUSIVE, HALF - SECOND, True),
        (Ending.INCONCLUSIVE, HALF, False),
    ],
)
def test_the_trials_end_decides(ending: Ending, after: timedelta, *, is_refused: bool) -> None:
    journal = told("fff", last=T0)
    journal.happened("trial", ending, T0 + HALF, lasts=MINUTE)

    assert is_refused is refuses(journal, T0 + HALF + MINUTE + after)


def test_after_a_good_trial_failures_are_counted_anew() -> None:
    journal = told("nhnhnnn", last=T0)
    journal.happened("trial", Ending.HEALED, T0 + HALF)
    journal.happened("after", Ending.NOT_HEALED, T0 + HALF + 2 * MINUTE)
    journal.happened("after-2", Ending.NOT_HEALED, T0 + HALF + 4 * MINUTE)
    two = refuses(journal, T0 + HOUR)
    journal.happened("after-3", Ending.NOT_HEALED, T0 + HALF + 6 * MINUTE)

    assert [False, True] == [two, refuses(journal, T0 + HOUR)]


def test_what_was_begun_before_it_opened_is_no_trial() -> None:
    """That it healed says nothing of what has failed since; that it failed as well puts the trial off."""
    for ending, after, is_refused in [
        (Ending.HEALED, 2 * MINUTE, True),
        (Ending.HEALED, HALF, False),
        (Ending.FAILED, HALF, True),
        (Ending.FAILED, HALF + MINUTE, False),
        (None, HALF, False),
    ]:
        journal = told("fff", last=T0)
        journal.happened("before", ending, T0 - SECOND, lasts=SECOND + MINUTE)
        assert is_refused is refuses(journal, T0 + after), (ending, after)


def test_people_close_it() -> None:
    """They lift the stop that shows it; failures are counted anew from then on."""
    journal = told("fff", last=T0)
    journal.put_stop(Stop(StopKind.BREAKER, RULE, "3 in a row", "remediator", T0))
    journal.put_stop(Stop(StopKind.BREAKER, f"action:{KICK}", "3 in a row", "remediator", T0))
    before = refuses(journal, T0 + 2 * MINUTE)
    journal.lift_stop(StopKind.BREAKER, RULE, T0 + MINUTE)
    one = refuses(journal, T0 + 2 * MINUTE)
    journal.lift_stop(StopKind.BREAKER, f"action:{KICK}", T0 + MINUTE)
    both = refuses(journal, T0 + 2 * MINUTE)
    journal.happened("after", Ending.FAILED, T0 + 2 * MINUTE)

    assert [True, True, False, False] == [before, one, both, refuses(journal, T0 + 5 * MINUTE)]


def test_a_stop_holds_even_where_the_journal_has_forgotten() -> None:
    """Until its trial; as one that a person has put there."""
    journal = Journal()
    journal.put_stop(Stop(StopKind.BREAKER, RULE, "it is wrong", "anna", T0))

    assert [True, False] == [refuses(journal, T0 + HALF - SECOND), refuses(journal, T0 + HALF)]


def test_its_stop_does_not_keep_the_trial_away() -> None:
    journal = told("fff", last=T0)
    for scope in (RULE, f"action:{KICK}"):
        journal.put_stop(Stop(StopKind.BREAKER, scope, "3 in a row", "remediator", T0))
    trial = refuses(journal, T0 + HALF)
    journal.happened("trial", Ending.HEALED, T0 + HALF)

    assert [False, False] == [trial, refuses(journal, T0 + HALF + 2 * MINUTE)]


def test_it_says_what_failed_and_when_one_may_try() -> None:
    detail = (
        "rule:web/down: 3 in a row went badly, the last one in run r-2; open since 2026-01-01 12:00:00 UTC; "
        "one change may try at 2026-01-01 12:30:00 UTC; to close it: remediator breaker reset rule:web/down"
    )

    assert Refuse(Reason.BREAKER_OPEN, detail) == judged(Breaking(), a_case(at=T0 + MINUTE), told("nnn", last=T0))


def test_it_says_who_tries() -> None:
    journal = told("nnn", last=T0)
    journal.happened("trial", None, T0 + HALF)
    review = judged(Breaking(), a_case(at=T0 + HALF + MINUTE), journal)

    assert isinstance(review, Refuse)
    assert "run trial tries since 2026-01-01 12:30:00 UTC, and another may at 2026-01-01 13:00:00 UTC" in review.detail


def test_the_trial_itself_goes_on() -> None:
    """Its next step, and its step that a restart has interrupted."""
    journal = told("fff", last=T0)
    journal.happened("trial", None, T0 + HALF)

    assert Allow() == judged(Breaking(), a_case("trial", at=T0 + HALF + MINUTE, begun=True), journal)
    assert Allow() == judged(Breaking(), a_case("trial", at=T0 + HALF + MINUTE), journal)


def test_the_figures_are_the_limits() -> None:
    limits = replace(Limits(), failures_in_row=2, failures_of_ten=3, trial_after=MINUTE)
    for story, at, expected in [("ff", T0, True), ("fhfhf", T0, True), ("fhf", T0, False), ("ff", T0 + MINUTE, False)]:
        review = judged(Breaking(), a_case(at=at, limits=limits), told(story, last=T0 - SECOND))
        assert expected is isinstance(review, Refuse), story
