"""Who somebody is by whichever way their word comes, and on what they may decide."""

from datetime import UTC, datetime
from typing import Any

import pytest

from remediator.model.facts import Asked
from remediator.model.ids import Digest
from remediator.model.person import ADMIN, Person, Via
from remediator.model.run import Decision
from remediator.pipeline.people import People
from remediator.settings import Settings

AT = datetime(2026, 1, 1, tzinfo=UTC)
SETTINGS: dict[str, Any] = {
    "people": {"ana": {"slack": "UANA", "token": "ana-laptop"}, "ben": {}},
    "approval": {"groups": {"dba": ["ana"], "sre": ["ana", "ben"], "night": []}},
}


def people(**approval: Any) -> People:
    settings = Settings.model_validate({**SETTINGS, "approval": {**SETTINGS["approval"], **approval}})
    return People(settings.people, settings.approval)


KNOWN = people()


@pytest.mark.parametrize(
    ("person", "name"),
    [
        (KNOWN.of_slack("UANA"), "ana"),
        (KNOWN.of_token("ana-laptop"), "ana"),
        (KNOWN.of_token("ben"), "ben"),
        (KNOWN.of_token("ana"), "token:ana"),
        (KNOWN.of_slack("UNOBODY", "ana"), "slack:UNOBODY"),
        (KNOWN.of_admin("ana"), ADMIN),
    ],
)
def test_one_person_has_one_name_by_every_way(person: Person, name: str) -> None:
    """What somebody calls themselves never makes them somebody else."""
    assert name == person.name


@pytest.mark.parametrize(
    ("person", "approvers", "starter", "why"),
    [
        (KNOWN.of_slack("UANA"), ("dba",), "", ""),
        (KNOWN.of_token("ben"), (), "", ""),
        (KNOWN.of_token("ben"), ("dba",), "", "only dba may decide on this"),
        (KNOWN.of_token("bot", ["dba"]), ("dba",), "", ""),
        (KNOWN.of_token("bot", ["gone"]), ("gone",), "", "only gone may decide on this"),
        (KNOWN.of_token("ana-laptop", ["gone"]), ("gone", "dba"), "", ""),
        (KNOWN.of_slack("UNOBODY"), (), "", "nobody knows you here"),
        (KNOWN.of_slack("UANA"), ("dba",), "ana", "you have started this run"),
        (KNOWN.of_token("ana-laptop"), (), "ana", "you have started this run"),
        (KNOWN.of_admin("ann"), ("dba",), "", ""),
    ],
)
def test_who_may_decide(person: Person, approvers: tuple[str, ...], starter: str, why: str) -> None:
    """Whoever has started a run by hand does not approve it, by no way of theirs."""
    said = KNOWN.refusal(person, approvers, starter=starter)

    assert said.startswith(why)
    assert bool(why) is bool(said)


def test_the_admin_token_decides_only_where_the_settings_let_it() -> None:
    """Where people have names, a shared token may be kept for reading."""
    assert "admin_decides" in people(admin_decides=False).refusal(KNOWN.of_admin("ann"), ())


@pytest.mark.parametrize(
    ("approvers", "quorum", "starter", "able"),
    [
        (("dba",), 2, "", None),
        (("dba",), 3, "", 2),
        (("dba",), 2, "ana", 1),
        (("dba", "sre"), 3, "", None),
        (("night",), 2, "", 1),
        ((), 3, "", None),
        ((), 4, "", 3),
    ],
)
def test_too_few_people_are_counted(approvers: tuple[str, ...], quorum: int, starter: str, able: int | None) -> None:
    """The admin token is one of them; who has started the run is none."""
    said = KNOWN.lack(approvers, quorum, starter=starter)

    assert (able is None) is (said == "")
    assert able is None or f"{quorum} have to approve, and the settings know {able} who may" in said


def test_groups_that_are_not_there_or_empty_are_told() -> None:
    """Also where the admin token could still decide."""
    assert ("approval.groups has no group ops", "nobody is in the group night") == KNOWN.doubts(("ops", "night"), 1)
    assert () == KNOWN.doubts(("dba",), 1)


@pytest.mark.parametrize(
    ("person", "via", "groups", "stands"),
    [
        ("ana", Via.SLACK, ("dba",), True),
        ("zoe", Via.SLACK, ("dba",), False),
        ("ben", Via.SLACK, ("dba",), False),
        ("token:bot", Via.TOKEN, ("dba",), True),
        (ADMIN, Via.ADMIN, (), True),
        ("remediator", Via.SERVICE, (), False),
        ("ana", Via.SERVICE, (), False),
    ],
)
def test_an_approval_stands_as_long_as_its_giver_may_decide(
    person: str, via: Via, groups: tuple[str, ...], stands: bool
) -> None:
    """Groups come from the settings as they are now; those of a token were its own. Nobody speaks for the service."""
    asked = Asked(AT, 1, 1, AT, approvers=("dba",))
    decision = Decision(AT, True, Digest("d"), 1, 1, person, "", person, via.value, groups)

    assert stands is KNOWN.stands(decision, asked)


def test_whoever_is_taken_out_of_a_group_does_not_stand_for_it_any_more() -> None:
    """A decision keeps the groups that the token gave alone: those of the settings are looked up anew."""
    ben, bot = KNOWN.of_token("ben"), KNOWN.of_token("bot", ["sre"])
    asked = Asked(AT, 1, 1, AT, approvers=("sre",))
    without = people(groups={"sre": ["ana"]})

    def stands(person: Person, known: People) -> bool:
        given = tuple(sorted(person.given))
        said = Decision(AT, True, Digest("d"), 1, 1, person.shown, "", person.name, person.via.value, given)
        return known.stands(said, asked)

    assert (True, True) == (stands(ben, KNOWN), stands(bot, KNOWN))
    assert (False, True) == (stands(ben, without), stands(bot, without))
    assert not stands(bot, people(groups={"dba": ["ana"]}))  # the group itself is gone
