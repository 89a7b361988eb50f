"""No step runs that was not approved, or that was denied, void, expired or changed since, in whatever order things go.

Several people decide by several ways on two replicas that share one real store, with the real flow. Alerts come and
resolve, runs are cancelled, rules change, targets are replaced, all is paused and resumed, clocks are set, processes
are killed in the middle. `CHAOS_SCALE=20` looks for longer, and somewhere else each time.
"""

import logging
import os
from collections import Counter
from typing import Any

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
from tests.contract.approvals_machine import Questions

SCALE = int(os.environ.get("CHAOS_SCALE", "1"))
GATES: dict[str, dict[str, Any]] = {
    "two of a group": {"approvers": ["dba"], "quorum": 2},
    "by itself": {"approvers": ["dba"], "quorum": 2, "on_timeout": "auto", "timeout": "10m"},
}


class InMemory(Questions):
    """On the embedded store, with both replicas in one process."""

    async def open_stores(self) -> list[Store]:
        store = SqliteStore(None, clock=self.clock, metrics=Metrics())
        await store.open()
        return [store, store]


class OnPostgres(Questions):
    """On PostgreSQL, with a store, and so a connection, for each of the replicas."""

    url: str

    async def open_stores(self) -> list[Store]:
        given = StoreSettings(url=self.url, directory=self.folder)
        stores: list[Store] = [PostgresStore(given, clock=self.clock, metrics=Metrics()) for _ in range(2)]
        for store in stores:
            await store.open()
        db: asyncpg.Connection = await asyncpg.connect(self.url, server_settings={"search_path": "remediator"})
        try:
            await db.execute("TRUNCATE run, occurrence, member, fact, signal, lock, post, change, stop CASCADE")
        finally:
            await db.close()
        return stores


def tell_stories(kind: type[Questions], gate: str, examples: int, **more: str) -> Counter[str]:
    """Have the machine run; what was seen."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    seen: Counter[str] = Counter()
    machine = type(kind.__name__, (kind,), {"gate": GATES[gate], "seen": seen, **more})
    told = settings(
        max_examples=examples * SCALE,
        stateful_step_count=40,
        deadline=None,
        derandomize=SCALE == 1,
        database=None,
        phases=(Phase.generate, Phase.shrink) if SCALE > 1 else (Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=told)
    return seen


@pytest.mark.parametrize("gate", GATES)
def test_nothing_runs_unapproved_on_the_embedded_store(gate: str) -> None:
    """That each answer was given shows that each was possible: a machine in which nothing is refused proves nothing."""
    seen = tell_stories(InMemory, gate, 70)
    answers = {"taken", "said_before", "decided", "not_allowed", "changed", "void", "nobody_asks"}
    missing = {*answers, "effect", "approved", "voided", *(["by itself"] if gate == "by itself" else [])} - set(seen)

    assert not missing, f"{missing} was never seen: {seen}"


@pytest.mark.parametrize("gate", GATES)
def test_nothing_runs_unapproved_on_a_shared_database(gate: str, new_database: str) -> None:
    """Two who decide at once are judged one after the other, and who has been frozen finds itself replaced."""
    seen = tell_stories(OnPostgres, gate, 6, url=new_database)

    assert {"taken", "effect"} <= set(seen), seen
