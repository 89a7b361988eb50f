"""Which decisions count, and until when: pure questions of time and of people."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from remediator.model.approval import Policy, ends_at, in_time, next_reminder, reminder_due, reminders, settling
from remediator.model.calendar import Entry, Interval, Span
from remediator.model.calendar import parse_zone as zone
from remediator.model.facts import Asked, Reminded
from remediator.model.ids import Digest
from remediator.model.run import Decision

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
AT = datetime(2026, 1, 2, 16, 50, tzinfo=UTC)  # a Friday
BERLIN = zone("Europe/Berlin")
DAY = Span(9 * 60, 17 * 60 - 1)
WEEK = Interval("office", (Entry((DAY,), (Span(1, 5),)),))
GERMAN_NIGHT = Interval("night", (Entry((Span(60, 4 * 60 - 1),), zone=BERLIN),))


def said(person: str, *, approved: bool = True, after: timedelta = MINUTE, via: str = "token") -> Decision:
    return Decision(AT + after, approved, Digest("d"), 1, 1, person, "", person, via)


def asked(quorum: int = 2) -> Asked:
    return Asked(AT, 1, 1, AT + 15 * MINUTE, quorum=quorum, reminders=(AT + 5 * MINUTE, AT + 10 * MINUTE))


@pytest.mark.parametrize(
    ("decisions", "settled_by"),
    [
        ([], None),
        ([said("ana")], None),
        ([said("ana"), said("ana")], None),
        ([said("ana"), said("ben")], 1),
        ([said("ana"), said("ben", after=16 * MINUTE)], None),
        ([said("ana"), said("ben", approved=False)], 1),
        ([said("ana"), said("ana", approved=False)], 1),
        ([said("ana"), said("ben"), said("cem", approved=False)], 1),
        ([said("remediator", after=16 * MINUTE, via="service")], 0),
        ([said("ana", approved=False), said("remediator", after=16 * MINUTE, via="service")], 0),
    ],
)
def test_what_settles_a_question(decisions: Sequence[Decision], settled_by: int | None) -> None:
    """The first denial, or the approval that makes enough people of them; late ones count for nothing."""
    expected = None if settled_by is None else decisions[settled_by]

    assert expected == settling(asked(), decisions)


def test_of_one_person_only_the_first_approval_counts() -> None:
    """Whichever way the second one came."""
    twice = [said("ana"), said("ana", via="slack"), said("ben")]

    assert [twice[0], twice[2]] == list(in_time(asked(), twice))


@pytest.mark.parametrize(
    ("at", "time", "hours", "ends"),
    [
        (AT, 15 * MINUTE, (), AT + 15 * MINUTE),
        (AT, 10 * MINUTE, (WEEK,), AT + 10 * MINUTE),
        (AT, 15 * MINUTE, (WEEK,), datetime(2026, 1, 5, 9, 5, tzinfo=UTC)),
        (AT + HOUR, 15 * MINUTE, (WEEK,), datetime(2026, 1, 5, 9, 15, tzinfo=UTC)),
        (AT, 12 * HOUR, (WEEK,), datetime(2026, 1, 6, 12, 50, tzinfo=UTC)),
        # The night in which the clock is set forward is an hour shorter, the other one an hour longer.
        (datetime(2026, 3, 29, 0, 0, tzinfo=UTC), 2 * HOUR, (GERMAN_NIGHT,), datetime(2026, 3, 29, 2, 0, tzinfo=UTC)),
        (datetime(2026, 3, 29, 0, 0, tzinfo=UTC), 3 * HOUR, (GERMAN_NIGHT,), datetime(2026, 3, 30, 0, 0, tzinfo=UTC)),
        (datetime(2026, 10, 24, 22, 0, tzinfo=UTC), 4 * HOUR, (GERMAN_NIGHT,), datetime(2026, 10, 25, 3, tzinfo=UTC)),
        # Hours that never come again hold nobody up for ever.
        (AT, HOUR, (Interval("past", (Entry(years=(Span(2020, 2021),)),)),), AT + HOUR),
    ],
)
def test_time_to_decide_runs_only_in_the_hours(
    at: datetime, time: timedelta, hours: tuple[Interval, ...], ends: datetime
) -> None:
    """Wall clocks are the zone's, as everywhere in the calendar."""
    assert ends == ends_at(at, time, hours)


def test_people_are_reminded_so_long_before_the_end_as_time_runs() -> None:
    """Over the weekend it does not; and what would come before the question comes not at all."""
    policy = Policy(timeout=20 * MINUTE, remind=(5 * MINUTE, 15 * MINUTE, HOUR))

    assert (AT + 5 * MINUTE, datetime(2026, 1, 5, 9, 5, tzinfo=UTC)) == reminders(AT, policy, (WEEK,))


def test_reminders_that_were_missed_are_one() -> None:
    """After an outage people are reminded once, and then at the next time."""
    told = [Reminded(AT + 6 * MINUTE, 1, 1, 1)]
    other = [Reminded(AT + 6 * MINUTE, 1, 2, 1)]

    assert (False, True) == (reminder_due(asked(), [], AT), reminder_due(asked(), [], AT + 6 * MINUTE))
    assert (False, True) == tuple(reminder_due(asked(), some, AT + 7 * MINUTE) for some in (told, other))
    assert AT + 10 * MINUTE == next_reminder(asked(), told, AT + 7 * MINUTE)
    assert next_reminder(asked(), told, AT + 10 * MINUTE) is None
    assert reminder_due(asked(), told, AT + 12 * MINUTE)
