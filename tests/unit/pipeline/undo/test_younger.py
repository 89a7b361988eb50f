"""What later runs are asked about: what the journal cannot tell asks a person, and no word comes too late."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from remediator.model.change import Change
from remediator.model.facts import Started
from remediator.model.history import MOST_CHANGES, Known, Latest, Question
from remediator.model.ids import RuleId, RunId
from remediator.model.run import Run, Signal
from remediator.model.undo import Cause, Undoing, Undone, undo_step
from remediator.pipeline.undo.verdicts import PutBack, verdicts_on
from remediator.pipeline.undo.younger import Heir, Unclear, Younger, word_of
from remediator.storage.sqlite import journal
from remediator.storage.store import Store
from tests.unit.pipeline.harness import MINUTE, SECOND, Harness, last
from tests.unit.pipeline.undo.test_later_runs import SHIPPED, both, heals, same

LATER = timedelta(minutes=5)


class Journal:
    """A store that tells of so many later changes, by runs that it does not have."""

    def __init__(self, *changes: Change) -> None:
        self.changes = changes

    async def known(self, questions: Sequence[Question]) -> Known:
        latest = [one for one in questions if isinstance(one, Latest)]
        return Known(
            changes={
                one: [change for change in reversed(self.changes) if one.which.is_met_by(change)][: one.count]
                for one in latest
            }
        )

    async def read_run(self, run: RunId) -> Run | None:
        return None

    async def signal(self, run: RunId, signal: Signal) -> bool:
        return False


def a_change(run: Run, number: int, *, name: str = "", action: str = "test.set", target: str = "test:x") -> Change:
    at = run.created_at + LATER + number * SECOND
    return Change(RunId(name or run.id), 1, RuleId("p/other"), target, action, at, at)


async def asked(it: Harness, run: Run, *changes: Change) -> Heir | Unclear | object | None:
    (verdict,) = verdicts_on(run.facts)
    seen = await Younger(Journal(*changes), lambda _run: None).look(run, verdict, lambda _one, _other: True)
    return seen.later


async def test_a_later_run_that_is_not_kept_any_more_is_for_a_person(tmp_path: Path) -> None:
    """Whether what it has changed still stands, nobody knows."""
    async with Harness(tmp_path, *same()) as it:
        run = await heals(it, "a")

        assert Unclear("run gone has changed it later, and is not kept any more") == await asked(
            it, run, a_change(run, 1, name="gone")
        )


async def test_more_changes_than_the_journal_tells_are_for_a_person(tmp_path: Path) -> None:
    """One that still needs it may be among those that it does not tell of."""
    async with Harness(tmp_path, *same()) as it:
        run = await heals(it, "a")
        own = [replace(a_change(run, number), round=2) for number in range(MOST_CHANGES)]
        found = await asked(it, run, *own)

        assert None is await asked(it, run, *own[1:])
        assert isinstance(found, Unclear)
        assert f"more than {MOST_CHANGES} changes" in found.why


async def test_many_changes_by_the_action_elsewhere_hide_nothing(tmp_path: Path) -> None:
    """Then the target's own changes are told, which are few."""
    async with Harness(tmp_path, *same()) as it:
        run = await heals(it, "a")
        elsewhere = [a_change(run, number, name="else", target="test:y") for number in range(MOST_CHANGES)]
        there = a_change(run, 0, name="gone", action="test.act")

        assert None is await asked(it, run, *elsewhere)
        assert isinstance(await asked(it, run, there, *elsewhere), Unclear)


async def test_many_changes_of_the_target_by_other_actions_hide_nothing(tmp_path: Path) -> None:
    """Then the action's own changes are told, which are few."""
    async with Harness(tmp_path, *same()) as it:
        run = await heals(it, "a")
        others = [a_change(run, number, name="other", action="test.act") for number in range(MOST_CHANGES)]

        assert None is await asked(it, run, *others)
        assert isinstance(await asked(it, run, *others, a_change(run, 99, name="gone")), Unclear)


async def test_that_something_was_put_back_later_is_no_later_change(tmp_path: Path) -> None:
    """It may have been done long before."""
    async with Harness(tmp_path, *same()) as it:
        run = await heals(it, "a")

        assert None is await asked(it, run, a_change(run, 1, name="gone", action="undo:test.set"))


class Racing:
    """A store in which a later run begins to put its change back right before it hears anything."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._is_racing = False

    async def known(self, questions: Sequence[Question]) -> Known:
        return await self._store.known(questions)

    async def signal(self, run: RunId, signal: Signal) -> bool:
        self._is_racing = True
        return await self._store.signal(run, signal)

    async def read_run(self, run: RunId) -> Run | None:
        found = await self._store.read_run(run)
        if found is None or not self._is_racing:
            return found
        at, step = found.created_at, next(one.step.id for one in verdicts_on(found.facts))
        begun = Started(at, 1, undo_step(step, 1), 1, 1, at)
        return replace(found, facts=(*found.facts, Undoing(at, 1, Cause.TIME_OVER, 1), begun))


async def test_nothing_is_left_to_a_run_that_has_begun_without_knowing(tmp_path: Path) -> None:
    """It puts back what it has met itself: then nobody would put back the rest."""
    async with Harness(tmp_path, *same()) as it:
        older, later = await both(it)
        (verdict,), (theirs,) = verdicts_on(older.facts), verdicts_on(later.facts)
        assert isinstance(verdict, PutBack)
        heir = Heir(later.id, 1, theirs.step.id, None)
        word = word_of(older, verdict, heir, it.clock.now())

        assert not await Younger(Racing(it.store), lambda _run: None).leave_to(heir, word)
        assert await it.process.younger.leave_to(heir, word)


async def test_word_is_left_once(tmp_path: Path) -> None:
    """Who was cut short says it again."""
    async with Harness(tmp_path, *same()) as it:
        older, later = await both(it)
        (verdict,), (theirs,) = verdicts_on(older.facts), verdicts_on(later.facts)
        assert isinstance(verdict, PutBack)
        heir = Heir(later.id, 1, theirs.step.id, None)
        for minutes in range(3):
            word = word_of(older, verdict, heir, it.clock.now() + minutes * MINUTE)
            assert await it.process.younger.leave_to(heir, word)

        assert 1 == len(await it.store.read_signals(later.id))


@pytest.mark.parametrize("comes", [False, True], ids=["nothing comes", "a change comes"])
async def test_the_start_is_refused_where_a_change_has_come_since_the_look(tmp_path: Path, comes: bool) -> None:
    """The look and the start are two: what came in between is looked at before anything is put back."""
    async with Harness(tmp_path, *same()) as it:
        run = await heals(it, "a")

        async def come() -> None:
            it.store.on_answer = None
            change = replace(a_change(run, 0, name="gone"), at=it.clock.now())
            await it.store.write(partial(journal.enter, changes=[change]))

        await it.pass_time(19 * MINUTE)
        if comes:
            it.store.on_answer = come
        await it.pass_time(2 * MINUTE)
        over = last(await it.run(), Undone)

        assert (comes, [] if comes else [SHIPPED]) == (over.asks, it.world.restores)
        assert comes == ("run gone has changed it later" in over.brief)
