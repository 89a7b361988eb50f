"""Refused words in the audit journal: nobody fills it by saying the same again, and what was left out is counted."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from remediator.model.audit import AuditEntry
from remediator.pipeline.approvals import Answer
from remediator.pipeline.refusals import Refusals
from tests.unit.pipeline.gates import ana, asking, audited, gated, say
from tests.unit.pipeline.harness import SECOND, alert
from tests.unit.pipeline.sealing_desk import T0

ENTRY = AuditEntry(T0, "refused", "eve", "slack", "r1", "button", outcome="no")
_MOST = 60


class Desk:
    """A journal, and who enters in it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.entries: list[AuditEntry] = []
        self.refusals = Refusals(lambda: self.now)

    async def audit(self, entries: Any) -> None:
        self.entries += entries

    async def enter(self, entry: AuditEntry = ENTRY, why: str = "no") -> None:
        await self.refusals.enter(self, entry, why)

    def outcomes(self) -> list[str]:
        return [entry.outcome for entry in self.entries]


async def test_the_same_again_within_a_minute_is_counted_and_told_with_the_next() -> None:
    """How often somebody has tried is seen, at the cost of one entry a minute."""
    it = Desk()
    for now in (0.0, 1.0, 59.9, 60.0, 61.0):
        it.now = now
        await it.enter()
    await it.enter(replace(ENTRY, run="r2"))

    said = "more of their words were refused before this one, and not entered"
    assert ["no", f"no (2 {said})", f"no (1 {said})"] == it.outcomes()
    assert ["r1", "r1", "r2"] == [entry.run for entry in it.entries]


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"who": "mallory"}, "no"),
        ({"via": "token"}, "no"),
        ({"run": "r2"}, "no"),
        ({"subject": "pause"}, "no"),
        ({}, "not allowed"),
    ],
    ids=["who", "via", "run", "subject", "why"],
)
async def test_what_differs_has_an_entry_of_its_own(changed: dict[str, Any], why: str) -> None:
    """Somebody else, of something else, or for another reason."""
    it = Desk()
    await it.enter()
    await it.enter(replace(ENTRY, **changed), why)

    assert ["no", "no"] == it.outcomes()


async def test_one_person_has_so_many_entries_a_minute_whatever_they_try() -> None:
    """Going through all runs fills the journal no faster; somebody else is heard meanwhile."""
    it = Desk()
    for number in range(500):
        await it.enter(replace(ENTRY, run=f"r{number}"))
    await it.enter(replace(ENTRY, who="bob"))
    it.now = 60.0
    await it.enter()

    assert [*["no"] * (_MOST + 1), f"no ({500 - _MOST} more"] == [one.partition(" of")[0] for one in it.outcomes()]


async def test_what_could_not_be_entered_is_entered_when_it_is_said_again() -> None:
    """The store was away: nobody was told that it is refused."""
    it = Desk()
    refusal = it.refusals.judge(ENTRY, "no")  # its transaction breaks, and is tried anew, in vain
    again = it.refusals.judge(ENTRY, "no")
    await it.enter()

    assert (ENTRY,) == refusal.entries == again.entries
    assert [ENTRY] == it.entries


async def test_of_very_many_people_whoever_was_not_heard_for_longest_is_forgotten() -> None:
    """Names are an attacker's choice; it takes no more memory, and no entry too few."""
    it = Desk()
    for number in range(5000):
        await it.enter(replace(ENTRY, who=f"slack:{number}"))

    assert 5000 == len(it.entries)
    assert 1000 == len(it.refusals._heard)


async def test_who_tries_again_and_again_to_decide_has_one_entry_and_what_counts_has_all(tmp_path: Path) -> None:
    """A stranger presses, and the decision of who may is entered at once all the same."""
    async with asking(tmp_path, gated(approvers=["dba"])) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        eve = it.process.people.of_token("eve")
        answers = [(await say(it, eve)).answer for _ in range(20)]
        await say(it, ana(it))
        entries = [(one.what, one.who) for one in await audited(it)]

        assert [Answer.NOT_ALLOWED] * 20 == answers
        assert [("refused", "eve"), ("approved", "ana")] == [
            one for one in entries if one[0] in ("refused", "approved")
        ]
