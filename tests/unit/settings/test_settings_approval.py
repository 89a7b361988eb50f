"""Settings of people and of how they are asked: who would be nobody, or two, is a mistake before anybody is asked."""

from datetime import timedelta
from pathlib import Path

import pytest

from remediator.errors import BadSettings
from remediator.settings import Settings, load_settings

CALENDAR = "calendar: {time_intervals: [{name: office, time_intervals: [{weekdays: ['monday:friday']}]}]}\n"


def load(text: str) -> Settings:
    Path("remediator.yaml").write_text(text)
    return load_settings()


def test_people_are_asked_for_a_quarter_of_an_hour_unless_said_otherwise() -> None:
    """And reminded once; the admin token decides, as it is all that there is at first."""
    asked = load("").approval

    assert (timedelta(minutes=15), "deny", 1) == (asked.timeout, asked.on_timeout, asked.quorum)
    assert ((timedelta(minutes=5),), True) == (asked.remind, asked.admin_decides)


def test_hours_are_those_of_the_calendar() -> None:
    """The same times, written once."""
    settings = load(CALENDAR + "approval: {hours: [office]}\n")

    assert ["office"] == [interval.name for interval in settings.hours_to_decide]
    assert () == load(CALENDAR).hours_to_decide


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("approval:\n  groups:\n    sre: [ana]\n    dba: [ben]\npeople: {ana: {}}\n", ":4:10: approval.groups.dba: "),
        ("approval:\n  quorum: 1\n  approvers: [dba]\n", ":3:14: approvers: "),
        (CALENDAR + "approval:\n  hours: [ofice]\n", "approval.hours: "),
        ("people:\n  ana: {slack: U1}\n  ben: {slack: U1}\n", ":3:16: people.ben.slack: "),
        ("people:\n  ana: {}\n  ben: {token: ana}\n", ":3:16: people.ben.token: "),
    ],
)
def test_what_does_not_fit_together_is_told_where_it_stands(text: str, place: str) -> None:
    """An editor goes to the line; the beginning of the file helps nobody."""
    with pytest.raises(BadSettings) as refused:
        load(text)

    assert place in str(refused.value)
    assert ":1:1: " not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            CALENDAR + "approval: {hours: [ofice]}",
            "approval.hours: 'ofice' is not among calendar.time_intervals; did you",
        ),
        ("approval: {hours: [night]}", "approval.hours: 'night' is not among calendar.time_intervals; add it there"),
        ("approval: {groups: {dba: [ana]}}", "approval.groups.dba: there is nobody 'ana' in `people`"),
        ("approval: {approvers: [dba]}", "approvers: there is no group 'dba'"),
        ("approval: {on_timeout: auto}", "`on_timeout` is one of 'deny' or 'escalate'"),
        ("approval: {quorum: 0}", "`quorum` is 1 at the least"),
        ("people: {ana: {slack: '@ana'}}", "this takes a person's member id in Slack"),
        ("people: {ana: {slack: U1}, ben: {slack: U1}}", "people.ben.slack: 'U1' is ana already"),
        ("people: {ana: {}, ben: {token: ana}}", "people.ben.token: 'ana' is ana already"),
        ("people: {admin: {}}", "nobody can be called 'admin' here"),
        ("people: {remediator: {}}", "nobody can be called 'remediator' here"),
    ],
)
def test_what_cannot_be_meant_is_refused(text: str, why: str) -> None:
    """Nobody is two, nobody is the service, and only a rule may say that a plan goes by itself."""
    with pytest.raises(BadSettings) as refused:
        load(text)

    assert why in str(refused.value)
