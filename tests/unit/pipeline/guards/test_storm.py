"""A storm: many alerts at once hold what is new until it is quiet again."""

from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediator.model.budget import Budget
from remediator.model.limits import Limits
from remediator.model.outcome import Reason
from remediator.model.stop import EVERYTHING, Stop, StopKind
from remediator.pipeline.guards import Allow, Hold, Review
from remediator.pipeline.guards.storm import Storm, questions, storms_of
from tests.unit.pipeline.guards.journal import DOWN, HOUR, MINUTE, SECOND, T0, Journal, a_case, engine, judged

RULE = f"rule:{DOWN}"
QUIET = Limits().storm_quiet


def came(journal: Journal, count: int, *, by: datetime = T0, rule: str = DOWN) -> None:
    """So many alerts of a rule, a second apart, the last one at a time."""
    journal.runs += [(rule, by - number * SECOND) for number in range(count)]


def stand(journal: Journal, scope: str = RULE, at: datetime = T0, until: datetime | None = T0 + QUIET) -> None:
    journal.put_stop(Stop(StopKind.STORM, scope, "5 alerts", "remediator", at, until))


def reason_of(review: Review) -> Reason | None:
    return review.reason if isinstance(review, Hold) else None


@pytest.mark.parametrize(("alerts", "reason"), [(4, None), (5, Reason.STORM), (500, Reason.STORM)])
def test_the_fifth_alert_of_a_rule_makes_a_storm(alerts: int, reason: Reason | None) -> None:
    """So many targets at once have a cause in common."""
    journal = Journal()
    came(journal, alerts)

    assert reason is reason_of(judged(Storm(), a_case(), journal))


def test_without_this_guard_nothing_holds() -> None:
    """It is this one that holds the start in a storm."""
    journal = Journal()
    came(journal, 5)
    refusal = journal.begin(engine(Storm()), a_case())

    assert refusal is not None
    assert (Reason.STORM, T0 + QUIET) == (refusal.reason, refusal.until)
    assert journal.begin(engine(), a_case()) is None


def test_alerts_that_come_slowly_are_no_storm() -> None:
    """Five in more than five minutes are everyday life."""
    journal = Journal()
    journal.runs = [(DOWN, T0 - number * 75 * SECOND) for number in range(20)]

    assert Allow() == judged(Storm(), a_case(), journal)


def test_a_hold_names_the_limit_and_how_it_ends() -> None:
    """It is what the run's thread says."""
    journal = Journal()
    came(journal, 5)
    review = judged(Storm(), a_case(), journal)

    assert isinstance(review, Hold)
    assert T0 + QUIET == review.until
    for part in (RULE, "5/5m", "10m", f"remediator resume {RULE} --storm"):
        assert part in review.detail


def test_a_hold_says_the_same_while_more_come() -> None:
    """Each new alert must not be told in the thread of every run that waits."""
    journal, details = Journal(), set()
    came(journal, 5)
    for minute in range(3):
        came(journal, 1, by=T0 + minute * MINUTE)
        review = judged(Storm(), a_case(at=T0 + minute * MINUTE), journal)
        assert isinstance(review, Hold)
        details.add(review.detail)
        stand(journal)

    assert 1 == len(details)


def test_another_rule_goes_on() -> None:
    """A storm of one rule is no reason to leave the others alone."""
    journal = Journal()
    came(journal, 5000)

    assert Allow() == judged(Storm(), a_case(rule="web/slow"), journal)


def test_many_rules_at_once_hold_everything() -> None:
    """A jump of all alerts: a network that has parted, and the like."""
    journal = Journal()
    for number in range(9):
        came(journal, 40, rule=f"pack/rule-{number}")
    nine = judged(Storm(), a_case(), journal)
    came(journal, 5, rule="pack/rule-9")
    ten = judged(Storm(), a_case(), journal)

    assert Allow() == nine
    assert isinstance(ten, Hold)
    assert EVERYTHING in ten.detail


def test_a_storm_of_everything_is_one_storm_and_its_end_is_one_end() -> None:
    """Of thirty rules in trouble nobody wants to read thirty messages, nor to lift thirty storms."""
    journal = Journal()
    for number in range(30):
        came(journal, 20, rule=f"pack/rule-{number}")
    case = a_case(rule="pack/rule-7")
    stops = storms_of(case, journal.known(questions(case)))
    for stop in stops:
        journal.put_stop(stop)
    lifted = journal.lift_stop(StopKind.STORM, EVERYTHING, T0 + SECOND)
    later = judged(Storm(), replace(case, at=T0 + 2 * SECOND), journal)
    came(journal, 5, by=T0 + 10 * SECOND, rule="pack/rule-7")

    assert [EVERYTHING] == [stop.scope for stop in stops]
    assert lifted
    assert Allow() == later
    assert Reason.STORM is reason_of(judged(Storm(), replace(case, at=T0 + 11 * SECOND), journal))


def test_it_holds_for_ten_quiet_minutes_after_the_last_alert() -> None:
    """Each alert that comes meanwhile lets it last longer."""
    journal = Journal()
    stand(journal)
    came(journal, 1, by=T0 + 9 * MINUTE)
    meanwhile = judged(Storm(), a_case(at=T0 + 9 * MINUTE), journal)
    stand(journal, until=T0 + 19 * MINUTE)

    assert isinstance(meanwhile, Hold)
    assert T0 + 19 * MINUTE == meanwhile.until
    assert Reason.STORM is reason_of(judged(Storm(), a_case(at=T0 + 19 * MINUTE - SECOND), journal))
    assert Allow() == judged(Storm(), a_case(at=T0 + 19 * MINUTE), journal)


def test_what_a_person_has_lifted_is_not_found_again() -> None:
    """What came before counts no more; five more that come are another storm."""
    journal = Journal()
    came(journal, 100)
    stand(journal)
    assert journal.lift_stop(StopKind.STORM, RULE, T0 + SECOND)
    lifted = judged(Storm(), a_case(at=T0 + 2 * SECOND), journal)
    came(journal, 4, by=T0 + 10 * SECOND)
    four = judged(Storm(), a_case(at=T0 + 10 * SECOND), journal)
    came(journal, 1, by=T0 + 11 * SECOND)

    assert (Allow(), Allow()) == (lifted, four)
    assert Reason.STORM is reason_of(judged(Storm(), a_case(at=T0 + 11 * SECOND), journal))


def test_a_plan_that_is_begun_is_ended() -> None:
    """Half a change is worse than one in a storm."""
    journal = Journal()
    came(journal, 100)
    stand(journal)

    assert () == Storm().asks(a_case(begun=True))
    assert Allow() == judged(Storm(), a_case(begun=True), journal)


def test_an_approved_plan_waits_as_well() -> None:
    """Who approved it may not have known of the storm; whoever knows can end it."""
    journal = Journal()
    came(journal, 5)

    assert Reason.STORM is reason_of(judged(Storm(), a_case(approved=True), journal))


def test_the_limits_say_what_a_storm_is() -> None:
    """A rule for certificates may well have twenty alerts at once."""
    journal = Journal()
    came(journal, 12)
    wide = replace(Limits(), storm=Budget(13, MINUTE), storm_quiet=HOUR)
    off = replace(Limits(), storm_quiet=HOUR * 0)

    assert Allow() == judged(Storm(), a_case(limits=wide), journal)
    assert () == questions(a_case(limits=off))[1:]
    assert Allow() == judged(Storm(), a_case(limits=off), journal)
    came(journal, 1)
    review = judged(Storm(), a_case(limits=wide), journal)
    assert isinstance(review, Hold)
    assert T0 + HOUR == review.until


@given(st.lists(st.integers(0, 1800), max_size=40), st.integers(0, 1800), st.none() | st.integers(0, 1800))
def test_it_stands_exactly_while_too_many_have_come_since_it_was_lifted(
    seconds: list[int], now: int, lifted: int | None
) -> None:
    """Whatever comes when: five in five minutes hold for ten minutes, and what was lifted does not count."""
    journal, at = Journal(), T0 + now * SECOND
    journal.runs = [(DOWN, T0 + second * SECOND) for second in seconds if second <= now]
    since = T0 - HOUR
    if lifted is not None and lifted <= now:
        since = T0 + lifted * SECOND
        stand(journal, at=T0 - HOUR, until=since)
    case = a_case(at=at)
    counted = [began for _, began in journal.runs if began > max(since, at - 5 * MINUTE)]
    stops = storms_of(case, journal.known(questions(case)))

    assert (len(counted) >= 5) == bool(stops)
    assert all(stop.until == max(counted) + QUIET for stop in stops)


def test_one_that_was_lifted_does_not_come_again_by_runs_that_a_clock_has_dated_ahead() -> None:
    """The store tells by the stop's own time up to when they belong to it."""
    journal, newest = Journal(), T0 + 2 * HOUR
    came(journal, 5, by=newest)
    journal.put_stop(Stop(StopKind.STORM, RULE, "5 alerts", "remediator", newest, T0))

    assert Allow() == judged(Storm(), a_case(at=T0 + MINUTE), journal)
    assert Allow() == judged(Storm(), a_case(at=newest), journal)
    came(journal, 5, by=newest + MINUTE)
    assert Reason.STORM is reason_of(judged(Storm(), a_case(at=newest + MINUTE), journal))
