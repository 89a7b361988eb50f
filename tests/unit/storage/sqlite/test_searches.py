"""A search among all runs holds up no other read: hundreds of thousands are kept, and few are what is looked for."""

import asyncio
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from remediator.kit.metrics import Metrics
from remediator.storage.sqlite import SqliteStore
from remediator.testing.clock import VirtualClock

T0 = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize("choice", [{"active": True}, {"outcome": "failed"}, {"unsettled": True}])
async def test_a_search_among_runs_waits_for_no_read_and_none_for_it(tmp_path: Path, choice: dict[str, Any]) -> None:
    """What people list would stop every run that is to be read meanwhile, and every message that is to be sent."""
    store = SqliteStore(tmp_path, clock=VirtualClock(T0), metrics=Metrics())
    await store.open()
    begun, go_on = threading.Event(), threading.Event()

    def read(_db: object) -> bool:
        begun.set()
        return go_on.wait(60)

    other = asyncio.ensure_future(store._read(read))
    try:
        async with asyncio.timeout(50):
            await asyncio.to_thread(begun.wait)
            assert () == await store.list_runs(limit=10, **choice)
    finally:
        go_on.set()
        await other
        await store.close()
