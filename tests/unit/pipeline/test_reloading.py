"""Changed rule files are put in force where they are good; what is wrong with them is told everywhere, once."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from remediator.documents import Mistake
from remediator.kit.redaction import Redactor
from remediator.model.message import Excerpt, Text, Tone
from remediator.pipeline import reloading
from remediator.pipeline.reloading import Changes, Result, compare, trouble_of
from remediator.rules.book import Book
from remediator.rules.loading import load_book
from tests.unit.pipeline.harness import rule
from tests.unit.pipeline.reloading_scene import ACTIONS, Scene, document


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    (tmp_path / "rules").mkdir()
    made = Scene(tmp_path / "rules")
    await made.store.open()
    await made.rulebook.remember()
    yield made
    await made.store.close()


def book(tmp_path: Path, *rules: Mapping[str, Any]) -> Book:
    (tmp_path / "book.yaml").write_text(document(*rules))
    return load_book([tmp_path / "book.yaml"], ACTIONS)


ONE, TWO, THREE = (rule(name=name) for name in ("one", "two", "three"))


@pytest.mark.parametrize(
    ("new", "changes", "said"),
    [
        ([ONE, TWO], Changes(), {}),
        ([ONE, TWO, THREE], Changes(added=("p/three",), reordered=True), {"added": "p/three"}),
        ([TWO], Changes(removed=("p/one",), reordered=True), {"removed": "p/one"}),
        ([{**ONE, "mode": "observe"}, TWO], Changes(changed=("p/one",)), {"changed": "p/one"}),
        ([TWO, ONE], Changes(reordered=True), {"order": "changed"}),
        (
            [{**TWO, "mode": "observe"}, THREE],
            Changes(("p/three",), ("p/one",), ("p/two",), reordered=True),
            {"added": "p/three", "removed": "p/one", "changed": "p/two"},
        ),
    ],
    ids=["nothing", "added", "removed", "changed", "reordered", "everything"],
)
def test_a_new_book_is_compared_by_rules(
    tmp_path: Path, new: list[dict[str, Any]], changes: Changes, said: dict[str, str]
) -> None:
    """The log names what an edit has done. Also the order counts, as the first rule that matches wins."""
    found = compare(book(tmp_path, ONE, TWO), book(tmp_path, *new))

    assert changes == found
    assert bool(said) == bool(found)
    assert said == found.said()


def test_only_the_first_names_are_said() -> None:
    """Thousands of rules may change at once."""
    assert {"added": "a, b, c, d, e and 2 more"} == Changes(added=tuple("abcdefg")).said()


@pytest.mark.parametrize(
    ("mistakes", "why", "details"),
    [
        ([Mistake("a.yaml", 3, 5, "bad")], "1 mistake in a.yaml:3:5", ("a.yaml:3:5: bad",)),
        ([Mistake("rules", 0, 0, "gone")], "1 mistake in rules", ("rules: gone",)),
        (
            [Mistake("a.yaml", n, 1, "token=hunter2") for n in range(1, 9)],
            "8 mistakes, the first in a.yaml:1:1",
            (*(f"a.yaml:{n}:1: token=[redacted]" for n in range(1, 6)), "… and 3 more"),
        ),
    ],
    ids=["one", "without a line", "many with a secret"],
)
def test_mistakes_are_told_with_their_places_and_without_secrets(
    mistakes: list[Mistake], why: str, details: tuple[str, ...]
) -> None:
    """What stands in a rule file may be a password that somebody has put there."""
    assert reloading.Trouble(Result.MISTAKES, why, details) == trouble_of(mistakes, Redactor(["hunter2"]))


async def test_good_files_are_put_in_force(scene: Scene) -> None:
    """And counted, dated and logged by what they changed."""
    began = scene.clock.now().timestamp()
    scene.write(rule(name="other"), rule(name="more"))
    with capture_logs() as logged:
        result = await scene.reload()
    loaded = scene.sample("remediator_rules_last_reload_success_timestamp_seconds")

    assert Result.RELOADED == result
    assert ["other", "more"] == scene.names
    assert 2 == scene.sample("remediator_rules_loaded")
    assert loaded is not None
    assert began < loaded <= scene.clock.now().timestamp()  # files are read in a thread, while time goes on
    assert [
        {
            "event": "rules_reloaded",
            "log_level": "info",
            "rules": 2,
            "added": "p/other, p/more",
            "removed": "p/sick",
        }
    ] == logged
    assert [] == scene.store.told


async def test_rules_are_in_the_store_before_they_are_in_force(scene: Scene) -> None:
    """A run that started with a rule that is nowhere could never be carried on after a crash."""
    seen: list[list[str]] = []
    scene.store.before_remembering = lambda: seen.append(scene.names)
    scene.write(rule(name="other"))
    await scene.reload()
    (other,) = scene.rulebook.book.rules

    assert [["sick"]] == seen
    assert other.document == await scene.store.rule_document(other.digest)


@pytest.mark.parametrize(("by_hand", "said"), [(False, []), (True, ["rules_reloaded"])], ids=["watched", "by hand"])
async def test_files_that_are_the_same_are_passed_over_in_silence(scene: Scene, by_hand: bool, said: list[str]) -> None:
    """Editors save what was not changed. Who sends a signal is answered all the same."""
    (before,) = scene.rulebook.book.rules
    scene.file.write_text(f"# a note\n{scene.file.read_text()}")
    with capture_logs() as logged:
        result = await scene.reload(by_hand=by_hand)
    (after,) = scene.rulebook.book.rules

    assert Result.UNCHANGED == result
    assert before is after
    assert said == [event["event"] for event in logged]


async def test_files_with_mistakes_change_nothing_and_are_told_everywhere(scene: Scene) -> None:
    """The one thing that must never happen is that a typing error switches the healing off."""
    scene.break_files()
    with capture_logs() as logged:
        result = await scene.reload()
    ((channel, _, message),) = scene.store.told

    assert Result.MISTAKES == result
    assert ["sick"] == scene.names
    assert 1 == scene.sample("remediator_rules_loaded")
    assert 0 == scene.sample("remediator_rules_last_reload_successful")
    assert scene.reloader.trouble is not None
    place = f"1 mistake in {scene.file}:1:1"
    assert place == scene.reloader.trouble.why
    assert [("rules_not_reloaded", place)] == [(event["event"], event["reason"]) for event in logged]
    assert ("#c", f"the rule files are not in force: {place}", Tone.BAD) == (channel, message.title, message.tone)
    assert message.parts == (
        Excerpt("mistakes", f"{scene.file}:1:1: `rulez` is not known here; did you mean `rules`?"),
        Text("The rules from before stay in force: 1 rule."),
    )
    assert 1 == scene.nudges


async def test_one_trouble_is_one_message(scene: Scene) -> None:
    """It is edited while people save again and again, and when it is over; the next trouble is a message of its own."""
    for name in ("rulez", "rulez", "ruless"):
        scene.break_files(name)
        await scene.reload()
    scene.write(rule(), rule(name="other"))
    await scene.reload()
    scene.break_files()
    await scene.reload()
    keys = [key for _, key, _ in scene.store.told]

    assert "the rule files are good again: 2 rules" == scene.titles[2]
    assert Tone.GOOD == scene.store.told[2][2].tone
    assert (Text("Compared with the rules from before: added: p/other."),) == scene.store.told[2][2].parts
    assert 4 == len(keys)
    assert 1 == len(set(keys[:3]))
    assert keys[3] not in keys[:3]
    assert 4 == scene.nudges


async def test_the_same_mistake_is_logged_once_but_answered_each_time_by_hand(scene: Scene) -> None:
    """Files are read again while they are bad; that must not fill the log."""
    scene.break_files()
    with capture_logs() as logged:
        await scene.reload()
        await scene.reload()
        await scene.reload(by_hand=True)

    assert 2 == len(logged)
    assert 3 == scene.counted("mistakes")


async def test_taking_the_edit_back_is_good_again(scene: Scene) -> None:
    """The rules have not changed then, but everything that said that something is wrong has to."""
    scene.break_files()
    await scene.reload()
    scene.write(rule())
    with capture_logs() as logged:
        result = await scene.reload()

    assert Result.UNCHANGED == result
    assert scene.reloader.trouble is None
    assert 1 == scene.sample("remediator_rules_last_reload_successful")
    assert ["rules_reloaded"] == [event["event"] for event in logged]
    assert (Text("They are the rules from before."),) == scene.store.told[-1][2].parts


async def test_a_message_of_trouble_does_not_outlive_the_service(scene: Scene) -> None:
    """It starts with good files only, and would not know then that there is a message to correct."""
    await scene.reloader.note_stop()
    scene.break_files()
    await scene.reload()
    await scene.reloader.note_stop()

    assert ["the service was started again, with rule files that are good"] == scene.titles[1:]
    assert 1 == len({key for _, key, _ in scene.store.told})


async def test_a_store_that_is_away_keeps_the_old_rules_until_it_is_back(scene: Scene) -> None:
    """New rules that cannot be remembered are not used; nobody has to ask again."""
    scene.store.is_away = True
    scene.write(rule(name="other"))
    task = asyncio.create_task(scene.reloader.work())
    scene.reloader.ask()
    await scene.until("store_away")
    names, trouble = scene.names, scene.reloader.trouble
    await scene.until("store_away")
    scene.store.is_away = False
    await scene.until("reloaded")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert ["sick"] == names
    assert trouble is not None
    assert "the disk is full" == trouble.why
    assert ["other"] == scene.names
    assert scene.reloader.trouble is None
    assert [] == scene.store.told


async def test_what_could_not_be_told_is_told_when_the_store_is_back(scene: Scene) -> None:
    """The files are bad and the disk is full, at the same time."""
    scene.store.is_away = True
    scene.break_files()
    task = asyncio.create_task(scene.reloader.work())
    scene.reloader.ask()
    await scene.until("mistakes")
    told = list(scene.titles)
    scene.store.is_away = False
    await scene.until("mistakes")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert [] == told
    assert 1 == len(scene.titles)


async def test_bad_files_are_read_again_by_themselves(scene: Scene) -> None:
    """A file that could not be read for a moment (a share that was away) changes in no way when it can be again."""
    scene.break_files()
    task = asyncio.create_task(scene.reloader.work())
    scene.reloader.ask()
    await scene.until("mistakes")
    began = scene.clock.now()
    await scene.until("mistakes", step=timedelta(seconds=1))
    scene.write(rule(name="other"))
    await scene.until("reloaded", step=timedelta(seconds=1))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert timedelta(seconds=30) <= scene.clock.now() - began
    assert ["other"] == scene.names


async def test_a_fault_of_ours_ends_nothing(tmp_path: Path, scene: Scene) -> None:
    """The service heals with the rules that it has, whatever reading new ones runs into."""

    def fail() -> None:
        raise RuntimeError("a fault of ours with hunter2")

    scene.store.before_remembering = fail
    scene.write(rule(name="other"))
    result = await scene.reload()

    assert Result.FAILED == result
    assert ["sick"] == scene.names
    assert ["the rule files could not be taken: RuntimeError: a fault of ours with [redacted]"] == scene.titles


async def test_a_message_that_breaks_ends_nothing(scene: Scene) -> None:
    """The trouble stands in the log, the metrics and readiness; and nobody tries the same message for ever."""

    def fail() -> None:
        raise RuntimeError("a fault of ours")

    scene.store.before_telling = fail
    scene.break_files()
    with capture_logs() as said:
        results = [await scene.reload(), await scene.reload()]

    assert [Result.MISTAKES, Result.MISTAKES] == results
    assert ["rules_not_reloaded", "rules_trouble_not_told"] == [line["event"] for line in said]
    assert scene.reloader.trouble is not None
    assert [] == scene.titles


async def test_what_is_asked_for_meanwhile_is_done_once_more_afterwards(scene: Scene) -> None:
    """The last state of the files wins, however many changes came while they were read."""
    task = asyncio.create_task(scene.reloader.work())
    for name in ("a", "b", "c"):
        scene.write(rule(name=name))
        for _ in range(5):
            scene.reloader.ask()
            await asyncio.sleep(0)
    async with asyncio.timeout(60):
        while scene.names != ["c"]:
            await scene.clock.advance(timedelta(milliseconds=100))
            await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert 2 >= sum(scene.counted(result) for result in Result)


async def test_files_that_are_being_written_are_read_when_they_keep_still(scene: Scene) -> None:
    """Half of a rule file can be a good one with half of the rules."""
    scene.write(rule(name="a"))
    task = asyncio.create_task(scene.reloader.reload())
    async with asyncio.timeout(60):
        while scene.clock.next_in() is None:  # until it waits for the files to keep still
            await asyncio.sleep(0.001)
    scene.write(rule(name="a"), rule(name="b"))
    await scene.let(task)

    assert Result.RELOADED == task.result()
    assert ["a", "b"] == scene.names


async def test_a_run_gets_the_rule_that_it_started_with(scene: Scene) -> None:
    """It was approved as it was; another one would be another plan."""
    (before,) = scene.rulebook.book.rules
    scene.write(rule(mode="observe"))
    await scene.reload()
    (after,) = scene.rulebook.book.rules

    assert before.digest != after.digest
    assert before is await scene.rulebook.rule(before.digest)
    assert after is await scene.rulebook.rule(after.digest)
    assert 0 == scene.store.documents_read


async def test_older_rules_are_let_go_and_read_from_the_store_again(scene: Scene) -> None:
    """A service that reloads for a year must not keep every rule that it ever had in memory."""
    (first,) = scene.rulebook.book.rules
    (scene.file.parent / "many").mkdir()
    folder = scene.file.parent / "many"
    for version in range(2):
        many = [rule(name=f"n{n}", summary=f"version {version}") for n in range(300)]
        (folder / "many.yaml").write_text(document(*many, pack="many"))
        await scene.rulebook.replace(load_book([folder], ACTIONS))
    await scene.rulebook.replace(load_book([scene.file], ACTIONS))
    found = await scene.rulebook.rule(first.digest)
    (folder / "many.yaml").write_text(document(rule(name="n0", summary="version 0"), pack="many"))
    (older,) = load_book([folder], ACTIONS).rules
    again = await scene.rulebook.rule(older.digest)
    same = await scene.rulebook.rule(older.digest)

    assert found.document == first.document
    assert older.document == again.document
    assert again is same
    assert 1 == scene.store.documents_read
