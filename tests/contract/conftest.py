"""The stores whose promises are checked here: each test that asks for a store is made on every engine."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from remediator.kit.metrics import Metrics
from remediator.model.ids import Digest
from remediator.settings import StoreSettings
from remediator.storage.postgres import PostgresStore
from remediator.storage.sqlite import SqliteStore
from remediator.storage.store import Store
from remediator.testing.clock import VirtualClock

_T0 = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
_RULE = Digest("d" * 64)


@pytest.fixture
def clock() -> VirtualClock:
    """The clock of the store; it begins at noon of the first of January 2026."""
    return VirtualClock(_T0)


@pytest.fixture(params=["sqlite", "memory", "postgresql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path, clock: VirtualClock) -> AsyncIterator[Store]:
    """An open store that remembers the rule whose digest is all of the letter d."""
    made: Store
    if request.param == "postgresql":
        settings = StoreSettings(url=request.getfixturevalue("new_database"), timeout=timedelta(seconds=20))
        made = PostgresStore(settings, clock=clock, metrics=Metrics())
    else:
        directory = tmp_path / "store" if request.param == "sqlite" else None
        made = SqliteStore(directory, clock=clock, metrics=Metrics())
    await made.open()
    await made.remember_rules({_RULE: {"pack": "p"}})
    yield made
    await made.close()
