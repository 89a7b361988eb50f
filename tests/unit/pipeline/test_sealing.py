"""The sealer: it follows what is entered, tells its head to log and metrics, and notices a chain that was cut."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from remediator.pipeline.audit_key import key_not_shared, key_of
from remediator.settings import AuditSettings, Settings, StoreSettings
from tests.unit.pipeline.sealing_desk import DAY, SECOND, desk


def _heads(logs: list[Any]) -> list[int]:
    return [line["place"] for line in logs if line["event"] == "audit_head"]


async def test_everything_is_sealed_and_the_metrics_tell_the_head() -> None:
    """More than fit in one portion, all at once; the head's number is that of its seal."""
    async with desk() as it:
        await it.enter(250)
        sealed = await it.sealer.seal()
        place, seal = await it.store.audit_head()

        assert (250, 250) == (sealed, place)
        assert (250.0, float(int(seal[:12], 16)), 0.0) == (it.gauge("sealed"), it.gauge("head"), it.gauge("unsealed"))
        assert "" == await it.check()


async def test_the_log_has_the_head_now_and_then_and_only_if_it_has_moved() -> None:
    """What is in the log is out of reach of whoever rewrites the store; a line a second would drown it."""
    async with desk() as it:
        with capture_logs() as logs:
            for wait, comes in ((0, 1), (1, 1), (1, 1), (600, 1), (600, 0)):
                await it.clock.advance(wait * SECOND)
                await it.enter(comes)
                await it.sealer.seal()
            told = _heads(logs)
            await it.enter()
            await it.sealer.finish()
            await it.sealer.finish()

        assert [1, 4] == told
        assert [1, 4, 5] == _heads(logs)


async def test_what_comes_is_sealed_within_a_second_by_whoever_leads() -> None:
    """Another process that does not lead leaves it alone."""
    async with desk() as it:
        it.leads = False
        task = asyncio.create_task(it.sealer.work())
        await it.enter()
        await it.clock.advance(3 * SECOND)
        before = await it.store.audit_unsealed()
        it.leads = True
        async with asyncio.timeout(30):
            while await it.store.audit_unsealed():
                await it.clock.advance(SECOND)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

        assert 1 == before


async def test_a_chain_whose_end_was_cut_off_is_told_at_the_next_seal() -> None:
    """The sealer remembers the head that it has seen last; whoever removes it is found out while the service runs."""
    async with desk() as it:
        await it.enter(3)
        await it.sealer.seal()
        await it.cut(3)
        await it.clock.advance(SECOND)
        await it.enter(1)
        with capture_logs() as logs:
            await it.sealer.seal()

        assert [3] == [line["place"] for line in logs if line["event"] == "audit_chain_broken"]


async def test_what_is_older_than_it_is_kept_goes_and_the_chain_holds() -> None:
    """It goes on from the seal of the newest one that was dropped."""
    async with desk(keep=10 * DAY) as it:
        await it.enter(150)
        await it.sealer.seal()
        await it.clock.advance(11 * DAY)
        await it.enter(2)
        await it.sealer.seal()
        task = asyncio.create_task(it.sealer.drop())
        async with asyncio.timeout(30):
            while not task.done():
                await it.clock.advance(SECOND)
                await it.store.audit_head()
        await it.sealer.seal()

        assert 150 == await task
        assert "" == await it.check()


def test_the_key_is_that_of_the_settings_or_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    """It is the same after a restart; what anybody may read seals nothing."""
    given = key_of(AuditSettings(key="x" * 20), tmp_path)
    made = key_of(AuditSettings(), tmp_path / "store")
    file = tmp_path / "store" / "audit-key"

    assert b"x" * 20 == given
    assert made == key_of(AuditSettings(), tmp_path / "store") == file.read_bytes()
    assert 0o600 == file.stat().st_mode & 0o777
    assert not (tmp_path / "audit-key").exists()


@pytest.mark.parametrize(
    ("store", "audit", "expected"),
    [
        (StoreSettings(), AuditSettings(), False),
        (StoreSettings(url="postgresql://db/x"), AuditSettings(), True),
        (StoreSettings(url="postgresql://db/x"), AuditSettings(key="x" * 20), False),
    ],
)
def test_processes_with_a_key_each_are_told_of(
    away: None, store: StoreSettings, audit: AuditSettings, expected: bool
) -> None:
    """Whoever verifies would need the keys of all of them."""
    assert expected is key_not_shared(Settings(store=store, audit=audit))
