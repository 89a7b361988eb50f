"""Putting back what cannot be put back now, or at all: it is held, tried again, told, and survives a kill."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from remediator.errors import Failed, OutcomeUnknown, RemediatorError, Unavailable
from remediator.model.facts import Finished, Held, Planned, Started
from remediator.model.history import Latest, Which
from remediator.model.outcome import Reason
from remediator.model.plan import Mode
from remediator.model.run import Settle
from remediator.model.stage import unsettled
from remediator.model.stop import EVERYTHING, StopKind
from remediator.model.undo import Captured, Undone
from remediator.pipeline.guards import Allow, Case, Hold, Review
from remediator.pipeline.undo.verdicts import Back, PutBack, verdicts_on
from tests.unit.pipeline.harness import MINUTE, SECOND, Harness, alert, last, rule, wide
from tests.unit.pipeline.undo.temporary import (
    BOLD,
    HALF_AN_HOUR,
    SHIPPED,
    healed,
    replies,
    setting,
    temporary,
    undo,
    undone_posts,
)


async def test_a_pause_holds_what_is_to_be_put_back(tmp_path: Path) -> None:
    """Told once, looked at every two minutes, and done when it is lifted, however long that takes."""
    async with Harness(tmp_path, temporary()) as it:
        await healed(it)
        await it.process.stops.pause(EVERYTHING, "hands off", "ann", None)
        await it.pass_time(3 * HALF_AN_HOUR)
        held = [fact.reason for fact in (await it.run()).facts if isinstance(fact, Held)]
        paused = it.world.setting
        titles = [post.message.title for post in await replies(it)]
        await it.process.stops.lift(StopKind.PAUSE, EVERYTHING, "ann")
        await it.pass_time(121 * SECOND)

        assert (BOLD, [Reason.PAUSED], SHIPPED) == (paused, held, it.world.setting)
        assert f"Putting back is held: {Reason.PAUSED}" in titles


class Silenced:
    """A probe that holds everything from some time on."""

    def __init__(self) -> None:
        self.holds = False

    async def look(self, case: Case) -> Review:
        return Hold(Reason.SILENCED, case.at + MINUTE) if self.holds else Allow()


async def test_what_only_keeps_from_new_changes_does_not_keep_an_old_one(tmp_path: Path) -> None:
    """A full budget, or a silence, must not leave in place what was for a while; it counts all the same."""
    probe = Silenced()
    async with Harness(tmp_path, temporary(), limits=wide(overall="1/1d", cooldown="1h"), probes=[probe]) as it:
        await healed(it)
        probe.holds = True
        await it.pass_time(HALF_AN_HOUR)
        question = Latest(Which(), 10, it.clock.now() - timedelta(days=1))
        changes = (await it.store.known([question])).latest(question)

        assert SHIPPED == it.world.setting
        entries = sorted((change.action, change.counts, str(change.ending)) for change in changes)
        assert [("test.set", True, "healed"), ("undo:test.set", True, "done")] == entries


@pytest.mark.parametrize("by_person", [False, True], ids=["by itself", "as a person asks"])
async def test_under_a_ceiling_that_forbids_to_act_only_a_person_has_it_put_back(
    tmp_path: Path, by_person: bool
) -> None:
    """The person is the approval."""
    async with Harness(tmp_path, temporary()) as it:
        await healed(it)
        await it.crash(ceiling=Mode.OBSERVE)
        await it.pass_time(HALF_AN_HOUR)
        by_itself = (it.world.setting, last(await it.run(), Undone).asks)
        if by_person:
            await undo(it)
            await it.settle()

        assert (BOLD, True) == by_itself
        assert it.world.setting == (SHIPPED if by_person else BOLD)


async def test_what_cannot_be_looked_at_now_is_looked_at_again(tmp_path: Path) -> None:
    """A server that is away for a while is no reason to wake people."""
    async with Harness(tmp_path, temporary()) as it:
        await healed(it)
        it.world.fail_remains = Unavailable("no answer")
        await it.pass_time(2 * HALF_AN_HOUR)
        away = it.world.setting
        it.world.fail_remains = None
        await it.pass_time(10 * MINUTE)

        assert (BOLD, SHIPPED) == (away, it.world.setting)
        assert [Reason.TARGET_UNCERTAIN] == [f.reason for f in (await it.run()).facts if isinstance(f, Held)]


async def test_what_cannot_be_looked_at_for_a_day_needs_a_person(tmp_path: Path) -> None:
    """It is not waited for without an end."""
    async with Harness(tmp_path, temporary()) as it:
        await healed(it)
        it.world.fail_remains = Unavailable("no answer")
        await it.pass_time(timedelta(days=1, hours=1))
        run = await it.run()

        assert last(run, Undone).asks
        assert [PutBack] == [type(verdict) for verdict in verdicts_on(run.facts)]
        (summary,) = await it.store.list_runs(limit=1)
        assert summary.wake_at is None


@pytest.mark.parametrize("error", [Failed("not readable"), Unavailable("no answer")])
async def test_what_is_for_a_while_is_not_begun_without_knowing_what_was_before(
    tmp_path: Path, error: RemediatorError
) -> None:
    """It could never be put back."""
    async with Harness(tmp_path, temporary()) as it:
        it.world.fail_capture = error
        await it.deliver(alert())

        assert ["failed"] == await it.until_over()
        assert ([], SHIPPED) == (it.world.effects, it.world.setting)
        assert f"could not be put back later: {error}" in await it.ending()


async def test_a_secret_is_not_kept(tmp_path: Path) -> None:
    """Neither in the store nor anywhere else; and so nothing is changed for a while where there is one."""
    async with Harness(tmp_path, temporary()) as it:
        it.world.setting = "postgres://ann:hunter2-hunter2@db/app"
        await it.deliver(alert())

        assert ["failed"] == await it.until_over()
        assert [] == it.world.effects
        assert "hunter2" not in str((await it.run()).facts)


async def test_a_change_for_good_is_made_even_if_it_cannot_be_put_back_later(tmp_path: Path) -> None:
    """A remedy must not fail for want of an undo; why there is none is kept."""
    async with Harness(tmp_path, rule(remediate=[setting()])) as it:
        it.world.fail_capture = Failed("not readable")
        await healed(it)
        captured = last(await it.run(), Captured)
        await undo(it)
        await it.settle()

        assert (None, "not readable") == (captured.before, captured.why_not)
        assert "stays: " in last(await it.run(), Undone).brief
        assert BOLD == it.world.setting


async def test_a_plan_for_a_while_that_could_not_be_put_back_is_refused(tmp_path: Path) -> None:
    """Only the settings may know."""
    async with Harness(tmp_path, temporary()) as it:
        it.world.stays = "the settings do not say how"
        await it.deliver(alert())

        assert ["refused"] == await it.until_over()
        assert "the settings do not say how" in await it.ending()
        assert [] == [fact for fact in (await it.run()).facts if isinstance(fact, Planned)]


async def test_an_unknown_put_back_is_tried_once_more(tmp_path: Path) -> None:
    """It looks first, so a second time does no harm."""

    async def fail_once() -> None:
        it.world.on_restore = None
        raise OutcomeUnknown("the line broke")

    async with Harness(tmp_path, temporary()) as it:
        await healed(it)
        it.world.on_restore = fail_once
        await it.pass_time(HALF_AN_HOUR)
        run = await it.run()

        assert ([SHIPPED], False, None) == (it.world.restores, last(run, Undone).asks, unsettled(run))


@pytest.mark.parametrize("done", [True, False])
async def test_what_stays_unknown_is_settled_by_a_person(tmp_path: Path, done: bool) -> None:
    """As with any step; nothing is done because of it."""

    async def fail() -> None:
        it.world.setting = BOLD  # as if it had never come there
        raise OutcomeUnknown("the line broke")

    async with Harness(tmp_path, temporary()) as it:
        await healed(it)
        it.world.on_restore = fail
        await it.pass_time(HALF_AN_HOUR)
        run = await it.run()
        unknown = unsettled(run)
        assert unknown is not None
        (told,) = await undone_posts(it)
        starts = [f.step for f in run.facts if isinstance(f, Started)]
        for attempt in (1, 2):
            await it.say(run.id, Settle(it.clock.now(), unknown.step, attempt, done, "ann"))
        await it.settle()
        after = await it.run()

        assert 2 == starts.count(unknown.step)
        assert "runs settle" in getattr(told.message.parts[-1], "text", "")
        assert (isinstance(verdicts_on(after.facts)[0], Back), None) == (done, unsettled(after))
        assert [SHIPPED, SHIPPED] == it.world.restores


@pytest.mark.parametrize("after_writing", [False, True], ids=["before it is written", "after it is written"])
@pytest.mark.parametrize("write", [1, 2, 3, 4])
async def test_a_kill_at_any_write_puts_it_back_once(tmp_path: Path, write: int, after_writing: bool) -> None:
    """The next process goes on where it stands; what may have been done is looked at before it is done again."""
    async with Harness(tmp_path, temporary()) as it:
        await healed(it)
        await it.pass_time(HALF_AN_HOUR - 20 * SECOND)
        until = last(await it.run(), Finished).at + HALF_AN_HOUR
        it.store.dies_after_writing = after_writing
        await it.clock.advance(until - it.clock.now() - SECOND)
        await it.settle()
        it.store.dies_at = it.store.writes + write
        await it.clock.advance(2 * SECOND)
        for _ in range(50):
            await asyncio.sleep(0.002)
        await it.crash()
        await it.pass_time(MINUTE)
        run = await it.run()

        assert (SHIPPED, [SHIPPED]) == (it.world.setting, it.world.restores)
        assert [False] == [fact.asks for fact in run.facts if isinstance(fact, Undone)]
        assert 1 == len(await undone_posts(it))


async def test_a_kill_while_it_is_put_back_is_found_out(tmp_path: Path) -> None:
    """It was done, and nobody saw the end: the next process looks, and does nothing twice."""
    async with Harness(tmp_path, temporary()) as it:
        await healed(it)
        it.world.on_restore = asyncio.Event().wait  # type: ignore[assignment]
        await it.pass_time(HALF_AN_HOUR)
        it.world.on_restore = None
        await it.crash()
        await it.settle()
        run = await it.run()

        assert ([SHIPPED], False) == (it.world.restores, last(run, Undone).asks)
        assert [Back] == [type(verdict) for verdict in verdicts_on(run.facts)]


async def test_the_target_is_free_again_after_it(tmp_path: Path) -> None:
    """Another run can act on it."""
    async with Harness(tmp_path, temporary()) as it:
        await healed(it)
        await it.pass_time(HALF_AN_HOUR)
        await it.deliver(alert(), resolved=True)
        it.world.sick = True
        await it.pass_time(10 * MINUTE)
        await it.deliver(alert())

        assert ["healed", "healed"] == await it.until_over()


async def test_a_run_whose_undoing_breaks_tells_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of ours must not leave people in the belief that it was put back."""
    async with Harness(tmp_path, temporary()) as it:
        await healed(it)

        async def fault(*_: object) -> None:
            raise RuntimeError("a fault of ours")

        monkeypatch.setattr(it.process.flow._stages.putting_back, "go_on", fault)
        await it.pass_time(HALF_AN_HOUR + MINUTE)
        undone = last(await it.run(), Undone)

        assert (BOLD, True) == (it.world.setting, undone.asks)
        assert "a fault of ours" in undone.brief


async def test_a_store_that_is_slow_for_a_moment_is_no_reason_to_leave_it(tmp_path: Path) -> None:
    """It was not begun in time, so it is begun once more."""
    async with Harness(tmp_path, temporary()) as it:
        await healed(it)
        it.store.slow_starts = 2
        await it.pass_time(HALF_AN_HOUR + MINUTE)
        run = await it.run()

        assert (SHIPPED, False) == (it.world.setting, last(run, Undone).asks)
        begun = [f.begun for f in run.facts if isinstance(f, Finished) and f.step.startswith("undo.")]
        assert [False, False, True] == begun
