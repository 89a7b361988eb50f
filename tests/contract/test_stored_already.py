"""Ids that are there already: whoever makes one from the key of a request learns that somebody was first."""

import asyncio

import pytest

from remediator.errors import StoredAlready
from remediator.model.alert import Delivery
from remediator.model.ids import RunId
from remediator.model.occurrence import Accepted, Ruling, Verdict
from remediator.storage.store import Store
from tests.contract.opening import ME, T0, alert, open_run, opening


async def begin(store: Store, name: str, run: str, occurrence: str) -> Accepted:
    verdict = Verdict(Ruling.OPENED, open=opening(run, occurrence))
    return await store.accept(Delivery((alert(name),), received_at=T0), lambda _alert, _known: verdict, ME)


@pytest.mark.parametrize(("run", "occurrence"), [("r1", "o-r1"), ("r1", "o-new"), ("r2", "o-r1")])
async def test_an_id_that_is_there_already_is_refused_and_nothing_is_written(
    store: Store, run: str, occurrence: str
) -> None:
    """As an error of ours, and not in the words of an engine."""
    await open_run(store)
    with pytest.raises(StoredAlready):
        await begin(store, "Other", run, occurrence)

    assert ["r1"] == [one.id for one in await store.list_runs(limit=10)]
    assert await store.newest_occurrence("Other") is None


async def test_of_several_that_come_at_once_with_one_id_the_first_is_stored(store: Store) -> None:
    """Also where they are committed together; what else comes with them is stored as well."""
    names = ("A", "B", "C")
    wanted = [begin(store, name, "r1", "o-r1") for name in names]
    found = await asyncio.gather(*wanted, begin(store, "D", "r2", "o-r2"), return_exceptions=True)

    kinds = [type(one).__name__ for one in found]
    assert (["Accepted", "StoredAlready", "StoredAlready"], "Accepted") == (sorted(kinds[:3]), kinds[3])
    assert {RunId("r1"), RunId("r2")} == {one.id for one in await store.list_runs(limit=10)}
