"""What the audit journal says: of everything that was done, with its digest, and of every word of a person."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from remediator.kit.redaction import Redactor
from remediator.model.audit import AuditEntry
from remediator.model.facts import Ended, Finished, LateFinished, Prolonged, Settled, Started, StepStatus, Voided
from remediator.model.ids import RunId, StepId
from remediator.model.outcome import Outcome
from remediator.model.person import Person, Via
from remediator.model.run import Acknowledge, Again, Cancel, Settle, Undo
from remediator.model.stop import EVERYTHING, Stop, StopKind
from remediator.pipeline import auditing
from remediator.pipeline.stops import Stops
from tests.unit.pipeline.harness import MINUTE, Harness, alert, rule

T0 = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
STEP = StepId("remediate.0.0")
PLAIN = Redactor()


async def journal(it: Harness) -> list[AuditEntry]:
    return [one.entry for one in await it.store.audit_page(after=0, limit=1000)]


async def test_a_run_by_itself_has_its_steps_and_its_end_in_the_journal(tmp_path: Path) -> None:
    """Who reads the journal knows what was done to what, by the digest of the plan."""
    async with Harness(tmp_path, rule()) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        await it.until_over()
        run, entries = await it.run(), await journal(it)
        starts = [fact for fact in run.facts if isinstance(fact, Started)]

        assert ["started", "finished", "ended"] == [one.what for one in entries]
        assert {run.id} == {one.run for one in entries}
        assert {("remediator", "service")} == {(one.who, one.via) for one in entries}
        assert 1 == len(starts)
        assert entries[0].subject.startswith(f"{starts[0].step}: ")
        assert entries[0].digest == entries[1].digest != ""
        assert ("done", "healed") == (entries[1].outcome, entries[2].outcome)


async def test_a_run_that_only_looks_has_its_end_alone(tmp_path: Path) -> None:
    """The journal is of what was done: what only reads would bury that, and cost each run something."""
    async with Harness(tmp_path, rule(mode="observe")) as it:
        await it.deliver(alert())
        await it.until_over()

        assert ["ended"] == [one.what for one in await journal(it)]


async def test_what_people_are_asked_is_in_the_journal_and_that_nobody_has_answered(tmp_path: Path) -> None:
    """With how many of whom, until when, and the digest that they were asked about."""
    async with Harness(tmp_path, rule(mode="gated")) as it:
        await it.deliver(alert())
        await it.settle()
        await it.pass_time(30 * MINUTE)
        asked, ended = await journal(it)

        assert ("asked", "ended", "expired") == (asked.what, ended.what, ended.outcome)
        assert "1 of all who may decide, until 2026-" in asked.outcome
        assert 64 == len(asked.digest)


async def test_who_pauses_and_resumes_stands_there_by_name_and_way(tmp_path: Path) -> None:
    """An entry is written with the pause, and none for one that was not there."""
    ann = Person("ann", Via.SLACK, "ann", is_known=True)
    async with Harness(tmp_path, rule()) as it:
        stops: Stops = it.process.stops
        await stops.pause(EVERYTHING, "release day", "ann", timedelta(hours=1), person=ann, origin="slack C1")
        await stops.lift(StopKind.PAUSE, EVERYTHING, "bob")
        await stops.lift(StopKind.PAUSE, EVERYTHING, "bob")
        paused, resumed = await journal(it)

        assert ("paused", "ann", "slack", "slack C1") == (paused.what, paused.who, paused.via, paused.origin)
        assert (EVERYTHING, "release day") == (paused.subject, paused.detail)
        assert ("resumed", "admin", "admin", "bob") == (resumed.what, resumed.who, resumed.via, resumed.shown)


async def test_whoever_has_another_run_begun_stands_there_with_the_new_run(tmp_path: Path) -> None:
    """The entry is written in the commit that begins the run."""
    async with Harness(tmp_path, rule(mode="gated")) as it:
        await it.deliver(alert())
        await it.settle()
        await it.say((await it.run()).id, Cancel(it.clock.now(), "bob"))
        await it.pass_time(MINUTE)
        (old,) = await it.runs()
        found = await it.store.open_alerts_of(old.id, limit=1)
        await it.process.intake.run_anew(found, Again(it.clock.now(), "ann", "the disk is back", "ann", via="token"))
        new = (await it.runs())[-1]
        (entry,) = [one for one in await journal(it) if one.what == "rerun"]

        assert (new.id, "ann", "token", "p/sick") == (entry.run, entry.who, entry.via, entry.subject)
        assert "the disk is back" == entry.detail


WHO: dict[str, Any] = {"person": "ann", "via": "token", "origin": "10.0.0.1"}


@pytest.mark.parametrize(
    ("word", "what", "subject", "outcome"),
    [
        (Cancel(T0, "Ann", "why", **WHO), "cancel", "p/r", ""),
        (Undo(T0, "Ann", "why", **WHO), "undo", "p/r", ""),
        (Settle(T0, STEP, 1, True, "Ann", "why", **WHO), "settle", STEP, "done"),
        (Settle(T0, STEP, 1, False, "Ann", "why", **WHO), "settle", STEP, "not done"),
        (Acknowledge(T0, "Ann", "why", **WHO), "acknowledge", "p/r", ""),
        (Acknowledge(T0, "Ann", "why", takes_over=True, **WHO), "acknowledge", "p/r", "takes it over"),
        (Again(T0, "Ann", "why", by_hand=False, **WHO), "rerun", "p/r", ""),
        (Again(T0, "Ann", "why", by_hand=True, **WHO), "start", "p/r", ""),
    ],
)
def test_every_word_of_a_person_is_entered_with_who_how_and_from_where(
    word: auditing.PersonsWord, what: str, subject: str, outcome: str
) -> None:
    """What they are called stands there beside who they are."""
    entry = auditing.of_word(RunId("r1"), word, PLAIN, "p/r")

    assert AuditEntry(T0, what, "ann", "token", "r1", subject, "", "10.0.0.1", outcome, "why", "Ann") == entry


async def test_facts_that_a_run_may_have_are_told_in_words(tmp_path: Path) -> None:
    """The rarer ones, each with what came of it; what is no deed has no entry."""
    async with Harness(tmp_path, rule(mode="gated")) as it:
        await it.deliver(alert())
        await it.settle()
        run = await it.run()
        facts = (
            Prolonged(T0, 1, 1, T0 + MINUTE),
            Voided(T0, 1, 1, "the rule has changed"),
            Finished(T0, 1, STEP, 1, StepStatus.UNKNOWN, "no answer", "", 1.0),
            Finished(T0, 1, STEP, 1, StepStatus.FAILED, "too late", "", 1.0, begun=False),
            LateFinished(T0, STEP, 1, StepStatus.DONE, "done"),
            Settled(T0, STEP, 1, True, "ann", ""),
            Ended(T0, Outcome.REFUSED, "no"),
        )
        said = [(one.what, one.outcome, one.detail) for one in auditing.of_facts(run, facts, PLAIN)]

        assert [
            ("prolonged", "until 2026-01-01 12:01:00 UTC", ""),
            ("voided", "", "the rule has changed"),
            ("finished", "unknown", "no answer"),
            ("finished", "not begun", "too late"),
            ("finished late", "done", "done"),
            ("settled", "done", "as ann says"),
            ("ended", "refused", "no"),
        ] == said
        assert () == auditing.of_facts(run, run.facts[:1], PLAIN)


def test_no_secret_is_in_an_entry() -> None:
    """The journal is kept longest of all, and exported."""
    redactor = Redactor(["open sesame"])
    stop = Stop(StopKind.PAUSE, EVERYTHING, "it is open sesame", "ann", T0)
    word = Cancel(T0, "open sesame", "password=hunter22 open sesame", person="ann", origin="open sesame")
    made = (auditing.of_stop("put", stop, T0, redactor), auditing.of_word(RunId("r1"), word, redactor))

    assert all("sesame" not in repr(one) for one in made)


def test_a_very_long_text_is_cut() -> None:
    """Nobody fills the journal with one word."""
    assert len(auditing.of_word(RunId("r1"), Cancel(T0, "ann", "x" * 100_000), PLAIN).detail) <= 1000
