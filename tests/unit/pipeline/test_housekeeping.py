"""Housekeeping forgets what is old, keeps the rules in force, says what it did, and never ends the service."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from remediator.errors import StoreUnavailable
from remediator.kit.metrics import Metrics
from remediator.model.ids import Digest
from remediator.pipeline.housekeeping import Housekeeping
from remediator.pipeline.rulebook import Rulebook
from remediator.plugins import Actions
from remediator.rules.book import Book
from remediator.settings import OccurrenceSettings, StoreSettings
from remediator.storage.retention import Forgotten, Retention
from remediator.storage.sqlite import SqliteStore
from remediator.testing.clock import VirtualClock

T0 = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


class FullStore(SqliteStore):
    """A store with so many portions to forget, which can fail."""

    def __init__(self, clock: VirtualClock, portions: list[Forgotten | Exception]) -> None:
        super().__init__(None, clock=clock, metrics=Metrics())
        self.portions = portions
        self.is_away = False
        self.asked: list[Retention] = []
        self.calls: list[str] = []

    async def remember_rules(self, documents: Mapping[Digest, Mapping[str, Any]]) -> None:
        if self.is_away:
            raise StoreUnavailable("the disk is full")
        self.calls.append("remember")

    async def forget(self, old: Retention, *, limit: int) -> Forgotten:
        self.calls.append("forget")
        self.asked.append(old)
        portion = self.portions.pop(0) if self.portions else Forgotten()
        if isinstance(portion, Exception):
            raise portion
        return portion

    async def size(self) -> int:
        return 4711


class House:
    """Housekeeping with all that it needs."""

    def __init__(self, *portions: Forgotten | Exception, **settings: Any) -> None:
        self.clock = VirtualClock(T0)
        self.store = FullStore(self.clock, list(portions))
        self.metrics = Metrics()
        self.keeping = Housekeeping(
            store=self.store,
            rulebook=Rulebook(Book(()), Actions({}), self.store),
            clock=self.clock,
            metrics=self.metrics,
            settings=StoreSettings(**settings),
            occurrences=OccurrenceSettings(doubt_window=timedelta(minutes=2)),
        )

    async def tidy(self) -> Forgotten:
        """One round, however often it rests."""
        return await self._through(self.keeping.tidy())

    async def work(self, duration: timedelta) -> None:
        """Let it work for so long."""
        task = asyncio.create_task(self.keeping.work())
        await self.clock.advance(duration)
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def _through(self, work: Any) -> Forgotten:
        task: asyncio.Task[Forgotten] = asyncio.create_task(work)
        while not task.done():
            await self.clock.advance(timedelta(milliseconds=50))
        return task.result()

    def count(self, name: str) -> float | None:
        return self.metrics.registry.get_sample_value(name)


async def test_it_goes_on_until_nothing_is_left() -> None:
    """One portion a minute would never catch up with a storm."""
    house = House(Forgotten(runs=2), Forgotten(runs=1, occurrences=4), Forgotten(rules=1))

    total = await house.tidy()

    assert Forgotten(runs=3, occurrences=4, rules=1) == total
    assert 3 == house.count("remediator_runs_forgotten_total")
    assert 4711 == house.count("remediator_store_bytes")


async def test_what_is_old_comes_from_the_settings() -> None:
    """The window in which repeats are judged is kept, whatever they say."""
    house = House(keep_runs=timedelta(days=7), keep_runs_at_most=5)

    await house.tidy()

    assert [Retention(before=T0 - timedelta(days=7), at_most=5, settled=T0 - timedelta(minutes=7))] == house.store.asked


async def test_a_time_before_the_calendar_keeps_everything() -> None:
    """`keep_runs: 999999d` means for ever, not a crash."""
    house = House(keep_runs=timedelta(days=999_999))

    await house.tidy()

    assert [datetime.min.replace(tzinfo=UTC)] == [old.before for old in house.store.asked]


async def test_rules_in_force_are_remembered_before_anything_is_forgotten() -> None:
    """A rule of which no alert came for months must be there when one comes."""
    house = House()

    await house.work(timedelta(minutes=61))

    assert ["remember", "forget"] == house.store.calls[:2]
    assert 2 == house.store.calls.count("remember")


async def test_rules_that_could_not_be_noted_keep_everything() -> None:
    """Then they could be taken for rules that are long out of force."""
    house = House(Forgotten(runs=1))
    house.store.is_away = True

    with pytest.raises(StoreUnavailable):
        await house.tidy()
    assert [] == house.store.asked

    house.store.is_away = False
    assert Forgotten(runs=1) == await house.tidy()
    assert ["remember", "forget", "forget"] == house.store.calls


async def test_a_round_that_deleted_something_is_one_line() -> None:
    """Whoever misses a run finds out where it went, and quiet rounds are quiet."""
    house = House(Forgotten(runs=2), Forgotten(runs=1))

    with capture_logs() as logs:
        await house.tidy()
        await house.tidy()

    deleted = {"runs": 3, "occurrences": 0, "rules": 0, "notices": 0, "changes": 0, "stops": 0}
    assert [{"event": "store_tidied", "log_level": "info", **deleted}] == logs


@pytest.mark.parametrize(
    ("error", "event"),
    [
        (StoreUnavailable("the disk is full"), "housekeeping_waits_for_store"),
        (ValueError("a fault of ours"), "housekeeping_failed"),
    ],
    ids=["store-away", "fault"],
)
async def test_trouble_is_logged_and_tried_again(error: Exception, event: str) -> None:
    """A part that dies stops the service, and this one is not worth that."""
    house = House(error, Forgotten(runs=1))

    with capture_logs() as logs:
        await house.work(timedelta(seconds=90))

    assert [event, "store_tidied"] == [line["event"] for line in logs]
