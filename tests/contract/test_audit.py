"""What holds of every store's audit journal: its entries come with what they tell of, and their seals make a chain."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from remediator.errors import Fenced
from remediator.kit.metrics import Metrics
from remediator.model.alert import Alert, Delivery
from remediator.model.audit import AuditEntry, Part, key_id, seal_of
from remediator.model.chain import Head, check_chain
from remediator.model.facts import LateFinished, StepStatus
from remediator.model.ids import OccurrenceId, OwnerId, RunId, StepId
from remediator.model.occurrence import Occurrence, Opening, Ruling, Verdict
from remediator.model.outcome import Reason
from remediator.model.run import Cancel
from remediator.model.stop import EVERYTHING, Stop, StopKind
from remediator.pipeline import auditing
from remediator.settings import StoreSettings
from remediator.storage.postgres import PostgresStore
from remediator.storage.postgres import audit as audit_rows
from remediator.storage.runs import Claim, Entry, Refusal, Reservation
from remediator.storage.store import Store
from remediator.testing.clock import VirtualClock
from tests.contract.opening import ENDED, ME, T0, alert, open_run, opening, started

KEY = b"a key of twenty characters"
KEYS = {key_id(KEY): KEY}
DAY = timedelta(days=1)
CHANGE = Reservation(locks=("docker:local/web",))


def entry(what: str = "started", run: str = "r1", at: datetime = T0) -> AuditEntry:
    return AuditEntry(at, what, "remediator", "service", run=run)


async def told(store: Store, run: str | None = None) -> list[str]:
    found = await store.audit_page(after=0, limit=1000, run=RunId(run) if run is not None else None)
    return [one.entry.what for one in found]


async def seal(store: Store, key: bytes = KEY, limit: int = 100) -> int:
    return await store.seal_audit(partial(seal_of, key), key_id(key), limit)


async def check(store: Store, head: Head | None = None) -> str:
    """What is found wrong with the chain."""
    entries = await store.audit_page(after=0, limit=1000, part=Part.SEALED)
    return check_chain(entries, keys=KEYS, begins=await store.audit_begin(), head=head).finding


async def test_a_step_is_started_with_its_entry_and_never_without(store: Store) -> None:
    """Whatever was done can be read in the journal, as one transaction writes both."""
    claim = await open_run(store, "r1")
    assert await store.start(claim, Entry(audit=[entry()]), started(), CHANGE) is None
    other = await open_run(store, "r2")
    refused = await store.start(other, Entry(audit=[entry(run="r2")]), started(), CHANGE)
    with pytest.raises(Fenced):
        await store.start(
            Claim(RunId("r2"), OwnerId("other"), 1, 0), Entry(audit=[entry(run="r2")]), started(), Reservation()
        )

    run = await store.read_run(other.run)
    assert isinstance(refused, Refusal)
    assert Reason.TARGET_BUSY is refused.reason
    assert run is not None
    assert () == run.facts
    assert ["started"] == await told(store)


async def test_what_cannot_be_stored_leaves_no_entry(store: Store) -> None:
    """An entry of what was not done would be a lie: a start that breaks half-way takes its entry back."""
    claim = await open_run(store, "r1")
    await store.start(claim, Entry(audit=[entry()]), started(), Reservation())
    broken = Entry(facts=[started(attempt=2), ENDED], audit=[entry("first")])
    await store.learn(claim, broken)
    again = replace(ENDED, brief="another end of the same run")
    with pytest.raises(Exception, match=r"(?i)unique|null"):
        await store.learn(claim, Entry(facts=[again], audit=[entry("second")]))

    assert ["started", "first"] == await told(store)


async def test_every_write_has_its_entries_with_it(store: Store) -> None:
    """A run's facts, people's words to it, late ends, and stops: each is entered once it is written, else not."""
    claim = await open_run(store, "r1")
    await store.learn(claim, Entry(audit=[entry("asked")]))
    await store.signal(claim.run, Cancel(T0, "ann"), [entry("cancel")])
    await store.signal(RunId("gone"), Cancel(T0, "ann"), [entry("never")])
    late = LateFinished(T0, StepId("remediate.0.0"), 1, StepStatus.DONE, "done")
    await store.settle_late(claim.run, late, (), (), [entry("finished late")])
    await store.settle_late(RunId("gone"), late, (), (), [entry("never")])
    pause = Stop(StopKind.PAUSE, EVERYTHING, "", "ann", T0)
    storm = Stop(StopKind.STORM, EVERYTHING, "", "remediator", T0, T0 + DAY)
    await store.put_stop(pause, [entry("paused", "")])
    await store.prolong_stop(storm, [entry("storm put", "")])
    await store.lift_stop(StopKind.PAUSE, EVERYTHING, T0 + DAY, audit=[entry("resumed", "")])
    await store.lift_stop(StopKind.PAUSE, EVERYTHING, T0 + DAY, audit=[entry("never", "")])
    await store.audit([entry("service stopped", "")])

    of_run = ["asked", "cancel", "finished late"]
    assert [*of_run, "paused", "storm put", "resumed", "service stopped"] == await told(store)
    assert of_run == await told(store, "r1")


async def test_a_run_that_a_person_has_begun_comes_with_its_entry(store: Store) -> None:
    """Both are in the commit of the delivery; a delivery that is refused leaves neither."""
    (new,) = opening("r1").runs
    made = Opening(OccurrenceId("o"), (replace(new, audit=(entry("start"),)),))

    def refuse(_alert: Alert, _known: Occurrence | None) -> Verdict:
        raise ValueError("not now")

    with pytest.raises(ValueError, match="not now"):
        await store.accept(Delivery((alert(),), received_at=T0), refuse, ME)
    before = await told(store)
    await store.accept(Delivery((alert(),), T0), lambda _alert, _known: Verdict(Ruling.OPENED, open=made), ME)

    assert ([], ["start"]) == (before, await told(store))
    assert ["start"] == await told(store, "r1")


async def test_seals_make_a_chain_in_portions(store: Store) -> None:
    """However it is sealed, each seal goes on from the one before it; what is sealed is not sealed anew."""
    await store.audit([entry(str(number)) for number in range(5)])
    sealed = [await seal(store, limit=2) for _ in range(4)]
    head = await store.audit_head()
    await store.audit([entry("later")])

    assert [2, 2, 1, 0] == sealed
    assert (5, 1) == (head[0], await store.audit_unsealed())
    assert "" == await check(store, head)
    assert 1 == await seal(store)
    assert "" == await check(store, head)
    assert [] == list(await store.audit_page(after=0, limit=9, part=Part.UNSEALED))


async def test_pages_of_the_chain_follow_each_other(store: Store) -> None:
    """Whoever reads page after page reads every place once."""
    await store.audit([entry(str(number)) for number in range(5)])
    await seal(store)
    first = await store.audit_page(after=0, limit=3, part=Part.SEALED)
    rest = await store.audit_page(after=first[-1].place or 0, limit=3, part=Part.SEALED)

    assert [1, 2, 3, 4, 5] == [one.place for one in (*first, *rest)]


@pytest.mark.parametrize("run", [None, "r1"])
async def test_what_is_not_sealed_comes_after_the_chain_until_it_has_its_place(store: Store, run: str | None) -> None:
    """Whoever goes on after the last place that they have seen misses nothing, and a page is never too long."""

    async def places(after: int, limit: int) -> list[int | None]:
        found = await store.audit_page(after=after, limit=limit, run=RunId(run) if run is not None else None)
        return [one.place for one in found]

    await store.audit([entry(str(number)) for number in range(3)])
    await seal(store)
    await store.audit([entry(str(number)) for number in range(2)])

    assert [[1, 2], [3, None], [3, None, None]] == [await places(0, 2), await places(2, 2), await places(2, 9)]
    await seal(store)
    assert [4, 5] == await places(3, 9)


async def test_what_is_old_is_dropped_and_the_rest_can_be_checked(store: Store) -> None:
    """The journal does not grow without end, and nobody can pass a cut for that: a sealed entry proves it."""
    told_of = partial(auditing.of_drop, T0 + 5 * DAY, KEY)
    await store.audit([entry(str(day), at=T0 + day * DAY) for day in range(5)])
    unsealed = await store.drop_audit(T0 + 2 * DAY, 100, told_of)
    await seal(store)
    gone = [await store.drop_audit(T0 + 2 * DAY, 100, told_of) for _ in range(2)]
    before = await check(store)
    await seal(store)

    assert (0, [2, 0]) == (unsealed, gone)
    assert 2 == (await store.audit_begin())[0]
    assert "no sealed entry proves" in before
    assert "" == await check(store)
    assert ["2", "3", "4", "journal shortened"] == await told(store)


async def test_what_is_dropped_is_dropped_in_portions_but_for_the_newest(store: Store) -> None:
    """The head of the chain has to stay, however old it is: the next entry goes on from it."""
    await store.audit([entry(str(number)) for number in range(5)])
    await seal(store)
    gone = [await store.drop_audit(T0 + DAY, 2, partial(auditing.of_drop, T0 + DAY, KEY)) for _ in range(5)]
    await seal(store)

    assert 4 == sum(gone)
    assert "4" == (await told(store))[0]
    assert "" == await check(store)


@pytest.fixture
async def two(new_database: str) -> AsyncIterator[tuple[PostgresStore, PostgresStore]]:
    """Two processes on one database."""
    settings = StoreSettings(url=new_database, timeout=timedelta(seconds=20))
    made = [PostgresStore(settings, clock=VirtualClock(T0), metrics=Metrics()) for _ in range(2)]
    for one in made:
        await one.open()
    yield made[0], made[1]
    for one in made:
        await one.close()


async def test_two_that_seal_at_once_never_give_the_same_place(two: tuple[PostgresStore, PostgresStore]) -> None:
    """For a moment two processes may both think that they lead."""

    async def work(store: PostgresStore) -> int:
        sealed = 0
        for _ in range(30):
            await store.audit([entry(), entry()])
            sealed += await seal(store, limit=7)
        return sealed

    sealed = sum(await asyncio.gather(*map(work, two)))
    while count := await seal(two[0]):
        sealed += count
    entries = await two[1].audit_page(after=0, limit=1000, part=Part.SEALED)

    assert 120 == sealed == len(entries)
    assert "" == check_chain(entries, keys=KEYS).finding


@pytest.mark.parametrize("run", [None, "r1"])
async def test_an_entry_that_is_committed_late_is_not_missed(
    two: tuple[PostgresStore, PostgresStore], run: str | None
) -> None:
    """Its number is lower than that of one which was read already; its place never is."""
    is_entered, may_commit = asyncio.Event(), asyncio.Event()

    async def enter_slowly(db: Any) -> None:
        await audit_rows.enter(db, [entry("late")])
        is_entered.set()
        await may_commit.wait()

    async def read(after: int) -> list[tuple[str, int | None]]:
        found = await two[1].audit_page(after=after, limit=100, run=RunId(run) if run is not None else None)
        return [(one.entry.what, one.place) for one in found]

    writing = asyncio.create_task(two[0]._write(enter_slowly))
    async with asyncio.timeout(60):
        await is_entered.wait()
    await two[1].audit([entry("early")])
    await seal(two[1])
    first = await read(0)
    may_commit.set()
    await writing
    unsealed = await read(1)
    await seal(two[1])

    assert ([("early", 1)], [("late", None)], [("late", 2)]) == (first, unsealed, await read(1))


async def test_two_that_drop_at_once_leave_a_chain(two: tuple[PostgresStore, PostgresStore]) -> None:
    """The same holds of what is dropped."""
    await two[0].audit([entry(str(number)) for number in range(40)])
    await seal(two[0])
    made = partial(auditing.of_drop, datetime(2026, 2, 1, tzinfo=UTC), KEY)
    await asyncio.gather(*(one.drop_audit(T0 + DAY, 3, made) for one in two for _ in range(5)))
    await seal(two[0])

    assert "" == await check(two[1])
