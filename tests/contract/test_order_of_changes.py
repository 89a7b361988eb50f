"""The journal tells in which order changes were begun, whatever the clocks of the hosts that began them say."""

from datetime import timedelta

from remediator.model.change import Change, Ended, Ending
from remediator.model.history import Latest, Which
from remediator.model.ids import RunId
from remediator.storage.runs import Entry, Reservation
from remediator.storage.store import Store
from tests.contract.test_journal import DB, HOUR, SECOND, T0, WEB, change, enter, open_run, started


async def in_order(store: Store, target: str = WEB) -> list[str]:
    """The runs that have changed it, the one that began last at the end."""
    question = Latest(Which(target=target), 50, T0 - timedelta(days=1))
    told = (await store.known([question])).latest(question)
    assert len({one.seq for one in told}) == len(told)
    return [one.run for one in sorted(told, key=_place)]


def _place(one: Change) -> int:
    assert one.seq > 0
    return one.seq


async def test_a_host_whose_clock_is_ahead_does_not_turn_the_order_round(store: Store) -> None:
    """Else a change would be put back from under a later run that stands on it."""
    await enter(store, change("first", T0 + HOUR))
    await enter(store, change("elsewhere", T0, target=DB))
    await enter(store, change("second", T0))

    assert ["first", "second"] == await in_order(store)


async def test_what_was_not_begun_has_its_place_from_the_start_on_that_begins_it(store: Store) -> None:
    """Another run may have changed the same between its two tries."""
    claim = await enter(store, change("first"))
    await store.learn(claim, Entry(endings=[Ended(1, Ending.NOT_BEGUN, T0 + SECOND)]))
    await enter(store, change("second"))
    assert await store.start(claim, Entry(), started("remediate.0.1"), Reservation(changes=(change("first"),))) is None

    assert ["second", "first"] == await in_order(store)


async def test_an_entry_that_is_there_keeps_its_place(store: Store) -> None:
    """A plan was begun when its first step was, and later steps change nothing of that."""
    claim = await enter(store, change("first"))
    await open_run(store, RunId("second"))
    await enter(store, change("third"))
    assert await store.start(claim, Entry(), started("remediate.0.1"), Reservation(changes=(change("first"),))) is None

    assert ["first", "third"] == await in_order(store)
