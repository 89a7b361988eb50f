"""What is noted of the head of the audit journal: a cut and another key are found after a restart, until settled."""

from functools import partial
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from remediator.model.audit import key_id
from remediator.pipeline import auditing
from remediator.pipeline.noted_head import HEAD_FILE, HeadFile, Noted
from tests.unit.pipeline.sealing_desk import DAY, KEY, SECOND, Desk, desk

OTHER = b"o" * 43


async def start(it: Desk, key: bytes = KEY) -> list[str]:
    """What a new process logs at its start."""
    with capture_logs() as logs:
        await it.restarted(key).recall()
    return [line["event"] for line in logs]


async def seal(it: Desk, count: int) -> None:
    await it.enter(count)
    await it.sealer.seal()


def noted(it: Desk) -> Noted:
    found = HeadFile(it.folder).read()
    assert found is not None
    return found


async def test_all_is_well_after_a_restart_where_nobody_has_changed_anything() -> None:
    """So it is at the very first start, and what is noted is for the owner alone."""
    async with desk() as it:
        first = await start(it)
        await seal(it, 3)

        assert ([], []) == (first, await start(it))
        assert ("", Noted(*await it.store.audit_head(), key_id(KEY))) == (it.sealer.trouble, noted(it))
        assert 0o600 == (it.folder / HEAD_FILE).stat().st_mode & 0o777


async def test_an_end_that_was_cut_off_while_the_service_was_down_is_found_at_each_start() -> None:
    """Though new entries stand in its place by then, under other seals."""
    async with desk() as it:
        await seal(it, 3)
        await it.cut(3)
        found = await start(it)
        await it.clock.advance(SECOND)
        await seal(it, 2)

        assert (["audit_chain_broken"], ["audit_chain_broken"]) == (found, await start(it))
        assert "the entry at place 3 (" in it.sealer.trouble
        assert 4 == (await it.store.audit_head())[0]


async def test_a_cut_stays_told_until_somebody_removes_the_file() -> None:
    """The journal says then that somebody has, and the watch begins anew from the head that there is."""
    async with desk() as it:
        await seal(it, 3)
        await it.cut(2)
        await it.clock.advance(SECOND)
        await seal(it, 1)
        it.leads = False  # each process sees to what it has noted
        before = it.sealer.trouble
        await it.sealer._look()
        still = it.sealer.trouble
        (it.folder / HEAD_FILE).unlink()
        await it.sealer._look()
        (entry,) = [one.entry for one in await it.store.audit_page(after=0, limit=9) if one.entry.what != "started"]

        assert "the entry at place 3 (" in before
        assert (before, "") == (still, it.sealer.trouble)
        assert ("journal accepted", before) == (entry.what, entry.detail)
        assert [] == await start(it)


async def test_a_file_that_was_removed_is_not_written_again_before_that_is_heard() -> None:
    """Entries may be sealed at that very moment, or as the service stops: people need not remove it twice."""
    async with desk() as it:
        await seal(it, 3)
        await it.cut(2)
        await it.clock.advance(SECOND)
        await seal(it, 1)
        before = it.sealer.trouble
        (it.folder / HEAD_FILE).unlink()
        await seal(it, 1)
        await it.sealer._look()

        assert ("", True) == (it.sealer.trouble, before != "")
        assert not noted(it).is_lost


async def test_a_file_that_was_removed_before_settles_nothing_that_is_found_later() -> None:
    """Nobody has seen it yet."""
    async with desk() as it:
        await seal(it, 3)
        (it.folder / HEAD_FILE).unlink()
        await it.cut(2)
        await it.clock.advance(SECOND)
        await seal(it, 1)
        await it.sealer._look()

        assert "the entry at place 3 (" in it.sealer.trouble
        assert noted(it).is_lost


@pytest.mark.parametrize("how", ["gone", "no folder"])
async def test_a_folder_that_is_away_settles_nothing(tmp_path: Path, how: str) -> None:
    """A disk that has gone is nobody's word; and the service goes on."""
    async with desk() as it:
        it.folder = tmp_path / "data"
        it.folder.mkdir()
        it.restarted()
        await seal(it, 3)
        await it.cut(3)
        await start(it)
        it.folder.rename(tmp_path / "away")
        if how == "no folder":
            it.folder.touch()
        await it.sealer._look()

        assert "the entry at place 3 (" in it.sealer.trouble


async def test_a_chain_that_has_its_head_again_is_well_again() -> None:
    """A copy of the store was put back that was too old, and then the right one."""
    async with desk() as it:
        await seal(it, 3)
        await it.cut(3)
        await start(it)
        before = it.sealer.trouble
        await seal(it, 1)  # the same entry, in the same place
        after = it.sealer.trouble

        assert ("", True) == (after, before != "")
        assert not noted(it).is_lost
        assert [] == await start(it)


async def test_a_head_that_was_dropped_as_it_was_old_is_not_missed() -> None:
    """This process has not led for long; another has sealed meanwhile, and shortened the journal."""
    async with desk() as it:
        await seal(it, 2)
        kept = noted(it)
        await it.clock.advance(DAY)
        await seal(it, 2)
        now = it.clock.now()
        assert 2 == await it.store.drop_audit(now, 100, partial(auditing.of_drop, now, KEY))
        HeadFile(it.folder).write(kept)
        at_its_end = await start(it)
        HeadFile(it.folder).write(Noted(1, "0" * 64, key_id(KEY)))

        assert ([], []) == (at_its_end, await start(it))


async def test_another_key_is_told_at_each_start_until_somebody_has_settled_it() -> None:
    """It was lost, or changed: what it has sealed can be verified with it alone."""
    async with desk() as it:
        await seal(it, 1)
        found = await start(it, OTHER)
        await seal(it, 1)
        again, trouble = await start(it, OTHER), it.sealer.trouble
        with_the_old_one = await start(it)
        well = it.sealer.trouble
        await start(it, OTHER)
        (it.folder / HEAD_FILE).unlink()
        await it.sealer._look()

        assert (["audit_key_changed"], ["audit_key_changed"], []) == (found, again, with_the_old_one)
        assert f"sealed with the key {key_id(KEY)}, and the key is {key_id(OTHER)} now" in trouble
        assert ("", "") == (well, it.sealer.trouble)
        assert [] == await start(it, OTHER)


async def test_without_the_file_the_newest_entry_tells_which_key_it_was() -> None:
    """The whole folder was lost, and the key with it; that nothing was cut off nobody knows then."""
    async with desk() as it:
        await seal(it, 1)
        (it.folder / HEAD_FILE).unlink()

        assert ["audit_head_unknown", "audit_key_changed"] == await start(it, OTHER)
        assert ["audit_key_changed"] == await start(it, OTHER)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"place": "x", "seal": "", "key": "", "is_lost": false}'])
async def test_a_file_that_makes_no_sense_is_as_none(text: str) -> None:
    """A machine that has lost its power may leave an empty one: that is no reason to cry."""
    async with desk() as it:
        await seal(it, 1)
        (it.folder / HEAD_FILE).write_text(text)

        assert ["audit_head_unknown"] == await start(it)
        assert 1 == noted(it).place


async def test_a_folder_that_cannot_be_written_keeps_nothing_from_being_sealed(tmp_path: Path) -> None:
    """It is told once, and once more when it happens anew."""
    async with desk() as it:
        folder, it.folder = it.folder, tmp_path / "gone"
        it.restarted()
        with capture_logs() as logs:
            for _ in range(3):
                await seal(it, 1)
            (tmp_path / "gone").mkdir()
            await seal(it, 1)

        assert ["audit_head_not_noted"] == [line["event"] for line in logs if line["log_level"] == "warning"]
        assert 4 == (await it.store.audit_head())[0] == noted(it).place
        assert folder.exists()
