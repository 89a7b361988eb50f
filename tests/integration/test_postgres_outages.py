"""The store on a real PostgreSQL that goes away, hangs, or loses an answer."""

import asyncio
import time
from contextlib import suppress

import pytest

from remediator.errors import StoreUnavailable
from remediator.model.ids import RunId
from remediator.model.occurrence import Accepted, Ruling
from remediator.storage.postgres import PostgresStore
from tests import services
from tests.integration.on_postgres import PASSWORD, Proxy, fire, opened, url_of


async def test_a_server_that_is_away_refuses_at_once_and_is_used_again_when_it_is_back(
    own_server: services.Postgres,
) -> None:
    """Alertmanager is answered 503 and sends again; nobody has to restart us after the database's own restart."""
    async with opened(url_of(own_server), password=PASSWORD) as store:
        await fire(store, "a")
        own_server.stop()
        began = time.monotonic()
        for away in (fire(store, "b"), store.probe(), store.read_run(RunId("a-me")), store.outbox_state()):
            with pytest.raises(StoreUnavailable, match=own_server.address) as caught:
                await away
            assert PASSWORD not in str(caught.value)
        took = time.monotonic() - began
        with services.postgresql_again(own_server):
            found = await store.read_run(RunId("a-me"))
            accepted = await fire(store, "a", "b")

    assert took < 60
    assert found is not None
    assert (Ruling.REPEATED, Ruling.OPENED) == accepted.rulings


async def until_it_answers(store: PostgresStore, *names: str) -> Accepted:
    async with asyncio.timeout(60):
        while True:
            with suppress(StoreUnavailable):
                return await fire(store, *names)


async def test_connections_that_the_server_ends_are_made_anew(own_server: services.Postgres) -> None:
    """A failover or an administrator ends them all."""
    async with opened(url_of(own_server), password=PASSWORD) as store:
        await fire(store, "a")
        await store.outbox_state()
        own_server.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'remediator%'"
        )
        accepted = await until_it_answers(store, "a")
        state = await store.outbox_state()

    assert (Ruling.REPEATED,) == accepted.rulings
    assert 1 == state.waiting


async def test_a_commit_whose_answer_was_lost_counts(new_database: str) -> None:
    """It was carried out: to say that it was not would have its run never looked at."""
    async with Proxy(new_database) as proxy, opened(proxy.url) as store:
        proxy.breaks = "after"
        accepted = await fire(store, "a")
        found = await store.read_run(RunId("a-me"))

    assert (Ruling.OPENED,) == accepted.rulings
    assert found is not None


async def test_a_commit_that_was_lost_itself_does_not_count(new_database: str) -> None:
    """The other side of it: the sender has to send again."""
    async with Proxy(new_database) as proxy, opened(proxy.url) as store:
        proxy.breaks = "before"
        with pytest.raises(StoreUnavailable, match="lost the connection before"):
            await fire(store, "a")
        found = await store.newest_occurrence("a")
        accepted = await fire(store, "a")

    assert found is None
    assert (Ruling.OPENED,) == accepted.rulings


async def test_a_server_that_hangs_is_given_up_in_time_and_used_again(new_database: str) -> None:
    """A sender waits for ten seconds only."""
    async with Proxy(new_database) as proxy, opened(proxy.url, timeout="1s") as store:
        await fire(store, "a")
        proxy.flows.clear()
        began = time.monotonic()
        for away in (fire(store, "b"), store.outbox_state()):
            with pytest.raises(StoreUnavailable, match="no answer in time"):
                await away
        took = time.monotonic() - began
        proxy.flows.set()
        accepted = await until_it_answers(store, "a", "b")

    assert took < 60
    assert (Ruling.REPEATED, Ruling.OPENED) == accepted.rulings
