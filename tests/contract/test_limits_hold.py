"""No budget, floor, cooldown, lock, quarantine, storm or pause is exceeded, in whatever order things happen.

Several replicas work on one real store, with the real guards. Alerts come, plans are begun (often several in one
commit), end well, badly or unseen, and are proven or not; processes die and others take over; the dead wake up and
write; clocks are set; commits fail, or succeed with nobody hearing of it; people pause, resume and clear. Two of the
rules are gated, one by two people: they decide at any moment, by several ways, on any replica, in time or not, and what
they have approved may exceed nothing either. What was started is counted again by `counted_again.py`, which knows
nothing of the product's way to count, and its approvals are those that `words.py` has heard to be taken.

`CHAOS_SCALE=20` looks for longer, and somewhere else each time; without it the same stories are told each time.
"""

import logging
import os
from collections import Counter
from datetime import timedelta

import asyncpg
import pytest
import structlog
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from remediator.kit.metrics import Metrics
from remediator.settings import StoreSettings
from remediator.storage.postgres import PostgresStore
from remediator.storage.sqlite import SqliteStore
from remediator.storage.store import Store
from tests.contract.limits_in_any_order import AnyOrder
from tests.contract.limits_profiles import PROFILES
from tests.contract.replicas_at_work import ClockOfWhoAsks

EXAMPLES, STEPS = 9, 40
SCALE = int(os.environ.get("CHAOS_SCALE", "1"))
OFTEN_SEEN = ("started", "TARGET_BUSY", "taken over", "taken", "approved by 1")


class InMemory(AnyOrder):
    """On the embedded store, with both replicas in one process."""

    async def open_stores(self) -> list[Store]:
        store = SqliteStore(None, clock=ClockOfWhoAsks(), metrics=Metrics())
        await store.open()
        return [store, store]


class OnDisk(AnyOrder):
    """On the embedded store in a file, which is closed and opened again when the process starts again."""

    may_wake = False

    async def open_stores(self) -> list[Store]:
        store = SqliteStore(self.folder / "store", clock=ClockOfWhoAsks(), metrics=Metrics())
        await store.open()
        return [store, store]

    def restart(self, who: int, ahead: timedelta) -> None:
        """There is one process, so both are gone."""
        self.do(self.close_stores())
        self.stores = self.do(self.open_stores())
        self.replicas = [self.born(place, ahead) for place in range(2)]


class OnPostgres(AnyOrder):
    """On PostgreSQL, with a store, and so a connection, for each of the replicas."""

    has_thread = False
    url: str

    async def open_stores(self) -> list[Store]:
        given = StoreSettings(url=self.url, directory=self.folder)
        stores: list[Store] = [PostgresStore(given, clock=ClockOfWhoAsks(), metrics=Metrics()) for _ in range(2)]
        for store in stores:
            await store.open()
        await self._empty()
        return stores

    async def _empty(self) -> None:
        db: asyncpg.Connection = await asyncpg.connect(self.url, server_settings={"search_path": "remediator"})
        try:
            await db.execute("TRUNCATE run, occurrence, member, fact, signal, lock, post, change, stop CASCADE")
        finally:
            await db.close()


def told(max_examples: int, steps: int) -> settings:
    """The same stories each time, unless somebody looks for new ones."""
    return settings(
        max_examples=max_examples * SCALE,
        stateful_step_count=steps,
        deadline=None,
        derandomize=SCALE == 1,
        database=None,
        phases=(Phase.generate, Phase.shrink) if SCALE > 1 else (Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )


def tell_stories(kind: type[AnyOrder], profile: str, examples: int, **more: str) -> Counter[str]:
    """Have the machine run, and see that what is to be seen was seen."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    seen: Counter[str] = Counter()
    machine = type(f"{kind.__name__}{profile}", (kind,), {"profile": PROFILES[profile], "seen": seen, **more})
    run_state_machine_as_test(machine, settings=told(examples, STEPS))
    return seen


def tell_until_seen(
    kind: type[AnyOrder], profile: str, examples: int, wanted: set[str], **more: str
) -> tuple[Counter[str], set[str]]:
    """Tell stories, and more of them where not all was seen: a busy machine tells them a little differently."""
    seen: Counter[str] = Counter()
    for times in (1, 5, 20):
        seen += tell_stories(kind, profile, times * examples, **more)
        if wanted <= set(seen):
            break
    return seen, wanted - set(seen)


@pytest.mark.parametrize("profile", PROFILES)
def test_no_limit_is_exceeded_on_the_embedded_store(profile: str) -> None:
    """Whatever happens, in whatever order. That each reason was met shows that the limits were what held it."""
    seen, missing = tell_until_seen(InMemory, profile, EXAMPLES, {*OFTEN_SEEN, *PROFILES[profile].sees})

    assert not missing, f"{missing} was never seen: {seen}"


@pytest.mark.parametrize("profile", ["all", "attempts"])
def test_no_limit_is_exceeded_where_the_embedded_store_is_opened_again(profile: str) -> None:
    """What was done must not be forgotten with the process."""
    seen = tell_stories(OnDisk, profile, 3)

    assert {"started", "taken over"} <= set(seen)


@pytest.mark.parametrize("profile", ["all", "budgets", "floor"])
def test_no_limit_is_exceeded_by_replicas_that_share_a_database(profile: str, new_database: str) -> None:
    """They know nothing of each other, and start things at the same time."""
    wanted = {"started", "TARGET_BUSY", "taken", "approved by 1"}
    seen, missing = tell_until_seen(OnPostgres, profile, 4, wanted, url=new_database)

    assert not missing, f"{missing} was never seen: {seen}"
