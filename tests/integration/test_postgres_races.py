"""Processes that race on a real PostgreSQL for alerts, targets and budgets."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from remediator.errors import Fenced
from remediator.model.alert import Alert, Delivery
from remediator.model.facts import Ended, Examined, Started
from remediator.model.history import Known, Latest, Standing, Which
from remediator.model.ids import OwnerId, RunId
from remediator.model.occurrence import Accepted, Occurrence, Ruling, Verdict
from remediator.model.outcome import Outcome, Reason
from remediator.model.run import Cancel
from remediator.model.stop import EVERYTHING, Stop, StopKind
from remediator.settings import StoreSettings
from remediator.storage.postgres import PostgresStore
from remediator.storage.postgres.journal import STARTING
from remediator.storage.postgres.links import Links
from remediator.storage.runs import Claim, Entry, Refusal, Reservation
from tests.integration.on_postgres import (
    ME,
    T0,
    Proxy,
    alert,
    fire,
    opened,
    opener,
    plain,
    started,
    within_budget,
)


async def fire_all(store: PostgresStore, alerts: Sequence[tuple[str, str]], owner: str) -> Accepted:
    """A delivery of alerts, each of its own group."""
    groups = dict(alerts)

    def judge(one: Alert, known: Occurrence | None) -> Verdict:
        return opener(owner, groups[one.name])(one, known)

    return await store.accept(Delivery(tuple(map(alert, groups)), received_at=T0), judge, OwnerId(owner))


async def test_two_processes_that_race_open_each_alert_once(new_database: str) -> None:
    """Alertmanager's replicas send the same alerts at the same moment, to whichever replica of ours."""
    names = [f"a{number}" for number in range(60)]
    order = random.Random(4)
    async with opened(new_database) as one, opened(new_database) as two:
        accepted = await asyncio.gather(
            *(
                fire(store, *order.sample(names, 20), owner=owner)
                for _ in range(30)
                for store, owner in ((one, "me"), (two, "you"))
            )
        )
        listed = await one.list_occurrences(limit=1000)
        runs = await two.list_runs(limit=1000)

    openings = sum(delivery.rulings.count(Ruling.OPENED) for delivery in accepted)
    assert openings == len(listed) == len(runs) == len({found.fingerprint for found in listed})
    assert {run.id for run in runs} == {run for delivery in accepted for run, _ in delivery.new_runs}


async def test_two_processes_that_race_make_one_run_of_a_group(new_database: str) -> None:
    """Neither sees the run that the other one is about to make; no alert may be lost over it."""
    async with opened(new_database) as one, opened(new_database) as two:
        accepted = await asyncio.gather(
            *(
                fire(store, f"{owner}{number}", owner=owner, group=f"g{number % 3}")
                for number in range(60)
                for store, owner in ((one, "me"), (two, "you"))
            )
        )
        runs = await one.list_runs(limit=1000)
        signals = [signal for run in runs for signal in await two.read_signals(run.id)]
        listed = await one.list_occurrences(limit=1000)

    assert 3 == len(runs) == sum(len(delivery.new_runs) for delivery in accepted)
    assert 120 == len(listed)
    assert 120 - 3 == sum(getattr(signal, "count", 0) for signal in signals)


async def deadlocks(db: "asyncpg.Connection") -> int:
    """How many there were in this database; a session that has ended has told of all its own."""
    others = (
        "SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid())"
    )
    async with asyncio.timeout(30):
        while await db.fetchval(others):
            await asyncio.sleep(0.01)
    return int(await db.fetchval("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"))


async def test_two_processes_that_write_to_the_same_runs_never_stand_still(new_database: str) -> None:
    """Each commit changes many runs, in whatever order they came: waiting for each other costs a second each time."""
    order, groups = random.Random(11), 30
    async with opened(new_database) as one, opened(new_database) as two:
        stores = (one, two)
        first = await asyncio.gather(*(fire(one, f"first{group}", group=f"g{group}") for group in range(groups)))
        claims = [Claim(run, ME, 1, 0) for accepted in first for run, _ in accepted.new_runs]

        async def deliver(store: PostgresStore, number: int) -> None:
            many = [(f"a{number}-{group}", f"g{group}") for group in order.sample(range(2 * groups), 12)]
            await fire_all(store, many, owner=f"o{stores.index(store)}")

        async def write(store: PostgresStore, number: int) -> None:
            claim = order.choice(claims)
            await store.learn(claim, Entry([Examined(T0, number, {})]))
            await store.signal(order.choice(claims).run, Cancel(T0, "me"))

        async def carry_on(store: PostgresStore, part: int) -> None:
            for number in range(15):
                act = deliver if part % 2 else write
                await act(store, number + 100 * part + 10_000 * stores.index(store))

        await asyncio.gather(*(carry_on(store, part) for store in stores for part in range(10)))
        open_groups = await one.list_runs(limit=1000)

    async with plain(new_database) as db:
        assert 0 == await deadlocks(db)
    assert 2 * groups == len(open_groups)


@pytest.mark.parametrize("is_delivery", [True, False], ids=["delivery", "word"])
async def test_what_waits_for_a_run_holds_none_that_comes_after_it(new_database: str, is_delivery: bool) -> None:
    """Another process that has the first and wants the second would wait for us as we wait for it."""
    lock = "SELECT 1 FROM run WHERE id = $1 FOR NO KEY UPDATE"
    async with opened(new_database, timeout="20s") as store, plain(new_database) as db:
        await fire(store, "a")
        await fire(store, "b", group="g")
        claim = Claim(RunId("a-me"), ME, 1, 0)
        other: Awaitable[Any] = (
            fire(store, "c", group="g") if is_delivery else store.signal(RunId("b-me"), Cancel(T0, "me"))
        )
        async with db.transaction():
            await db.execute(lock, claim.run)
            both = asyncio.gather(other, store.learn(claim, Entry([Examined(T0, 1, {})])))
            await until_somebody_waits(db)
            await db.execute(lock, "b-me")
        await both
        found = [await store.read_run(run) for run in (claim.run, RunId("b-me"))]
    async with plain(new_database) as db:
        assert 0 == await deadlocks(db)

    assert [(1, 0), (0, 1)] == [(len(run.facts), len(run.signals)) for run in found if run is not None]


async def test_a_delivery_and_a_write_of_one_batch_are_each_answered_for_their_own_commit(new_database: str) -> None:
    """The first commit is lost, and the second one is not even tried before it is known what became of that."""
    async with Proxy(new_database) as proxy, opened(proxy.url) as store:
        await fire(store, "a")
        claim = Claim(RunId("a-me"), ME, 1, 0)
        proxy.breaks = "after"
        accepted, learned = await asyncio.gather(
            fire(store, "b"), store.learn(claim, Entry([Examined(T0, 1, {})])), return_exceptions=True
        )
        found = [await store.read_run(RunId(name)) for name in ("a-me", "b-me")]

    assert isinstance(accepted, Accepted)
    assert learned is None
    assert [1, 0] == [len(run.facts) for run in found if run is not None]


async def test_two_processes_that_race_for_a_target_get_it_once(new_database: str) -> None:
    """Two runs on one target is how automation becomes the outage."""
    async with opened(new_database) as one, opened(new_database) as two:
        await fire(one, *(f"a{number}" for number in range(20)))
        claims = [Claim(RunId(f"a{number}-me"), ME, 1, 0) for number in range(20)]
        refusals = await asyncio.gather(
            *(
                (one if number % 2 else two).start(claim, Entry(), started(), Reservation(("b", "a")))
                for number, claim in enumerate(claims)
            )
        )

    assert 1 == refusals.count(None)


async def test_two_processes_that_race_for_many_targets_neither_stand_still_nor_share_one(new_database: str) -> None:
    """Each commit of theirs holds many locks until its end: taken in another order, they would wait for each other."""
    order, targets = random.Random(7), [f"t{number}" for number in range(12)]
    names = [f"a{number}" for number in range(60)]
    wanted = {name: order.sample(targets, 3) for name in names}
    async with opened(new_database) as one, opened(new_database) as two:
        await fire(one, *names)
        stores = {name: (one, two)[number % 2] for number, name in enumerate(names)}

        async def act(name: str) -> list[str]:
            claim, locks = Claim(RunId(f"{name}-me"), ME, 1, 0), Reservation(tuple(wanted[name]))
            refusal = await stores[name].start(claim, Entry(), started(), locks)
            return [] if refusal else wanted[name]

        held = [target for taken in await asyncio.gather(*map(act, names)) for target in taken]
        async with plain(new_database) as db:
            kept = [row["target"] for row in await db.fetch("SELECT target FROM lock")]

    assert held
    assert sorted(held) == sorted(set(held)) == sorted(kept)


async def test_processes_that_race_for_a_budget_do_not_overdraw_it(new_database: str) -> None:
    """Each would see room left, if it did not wait for what the others are about to enter; deliveries come between."""
    names = [f"a{number}" for number in range(60)]
    async with opened(new_database) as one, opened(new_database) as two, opened(new_database) as three:
        await fire(one, *names)
        claims = [Claim(RunId(f"{name}-me"), ME, 1, 0) for name in names]

        async def act(number: int, claim: Claim) -> Refusal | None:
            store = (one, two, three)[number % 3]
            for _ in range(number % 5):
                await store.learn(claim, Entry([Examined(T0, 1, {})]))
            told, _ = await asyncio.gather(
                store.start(claim, Entry(), started(), within_budget(claim, f"l{number % 7}", f"l{number % 5}")),
                fire(store, *names, f"b{number}"),
            )
            return told

        told = await asyncio.gather(*map(act, range(60), claims))
        everything = Latest(Which(), 50, T0 - timedelta(hours=1))
        entered = (await one.known((everything,))).latest(everything)

    assert 3 == told.count(None) == len(entered)


async def test_a_start_that_is_judged_waits_for_another_and_nothing_else_does(new_database: str) -> None:
    """Intake and the other writes of a process must not stand behind somebody else's starts."""
    async with opened(new_database) as store, opened(new_database) as other, plain(new_database) as db:
        await fire(store, "a", "b")
        first, second = (Claim(RunId(f"{name}-me"), ME, 1, 0) for name in ("a", "b"))
        async with db.transaction():
            await db.execute(STARTING)
            waiting = asyncio.create_task(store.start(first, Entry(), started(), within_budget(first)))
            await until_somebody_waits(db)
            accepted = await fire(other, "c")
            await other.learn(second, Entry([Examined(T0, 1, {})]))
            told = await other.start(second, Entry(), started(), Reservation(("web",)))
            still_waits = not waiting.done()
        begun = await waiting

    assert ((Ruling.OPENED,), None, True, None) == (accepted.rulings, told, still_waits, begun)


@pytest.mark.parametrize("prolongs", [False, True], ids=["put", "prolonged"])
async def test_no_start_that_was_judged_before_a_stop_is_committed_after_its_answer(
    new_database: str, *, prolongs: bool
) -> None:
    """Whoever is told that changes are paused may rely on it: what is begun was begun before."""
    stop = Stop(StopKind.STORM, EVERYTHING, "", "me", T0, T0 + timedelta(hours=1))
    async with opened(new_database, timeout="20s") as one, opened(new_database) as two, plain(new_database) as db:
        await fire(one, "a", "b")
        first, second = (Claim(RunId(f"{name}-me"), ME, 1, 0) for name in ("a", "b"))
        judged: list[int] = []

        def judge(known: Known) -> Refusal | None:
            judged.append(len(known.stops))
            return Refusal(Reason.PAUSED) if known.stops else None

        def asks(*locks: str) -> Reservation:
            return Reservation(locks, (), (Standing((EVERYTHING,)),), judge)

        async with db.transaction():
            await db.execute("INSERT INTO lock (target, run) VALUES ('web', 'b-me')")
            starting = asyncio.create_task(one.start(first, Entry(), started(), asks("web")))
            await until_somebody_waits(db)
            put = two.prolong_stop(stop) if prolongs else two.put_stop(stop)
            stopping = asyncio.create_task(put)
            await until_somebody_waits(db, 2)
            before = (list(judged), starting.done(), stopping.done())
            await db.execute("DELETE FROM lock")
        await stopping
        # What is answered now was committed before: the run's own row tells it.
        begun = await two.read_run(first.run)
        refused = await one.start(second, Entry(), started(), asks("db"))
        told = await starting

    assert ([0], False, False) == before
    assert begun is not None
    assert (None, 1) == (told, sum(isinstance(fact, Started) for fact in begun.facts))
    assert Refusal(Reason.PAUSED) == refused


async def test_a_process_that_froze_while_it_judged_a_start_keeps_no_pause_waiting(new_database: str) -> None:
    """The server ends its transaction, so the person who pauses has an answer before they give up."""
    links = Links(StoreSettings.model_validate({"url": new_database, "timeout": "2s"}))
    frozen = await links.connect()
    async with opened(new_database) as store:
        await frozen.execute("BEGIN")
        await frozen.execute(STARTING)
        await store.put_stop(Stop(StopKind.PAUSE, EVERYTHING, "", "me", T0))
        standing = await store.list_stops(T0)
    frozen.terminate()

    assert [StopKind.PAUSE] == [stop.kind for stop in standing]


async def test_nothing_is_locked_before_a_start_waits_for_another(new_database: str) -> None:
    """Two processes, one with a row and one with the turn to start, would wait for each other."""
    async with opened(new_database, timeout="20s") as store, plain(new_database) as db:
        await fire(store, "a", "b")
        claims = [Claim(RunId(f"{name}-me"), ME, 1, 0) for name in ("a", "b")]
        async with db.transaction():
            await db.execute(STARTING)
            waiting = asyncio.gather(
                fire(store, "a"),
                store.learn(claims[0], Entry([Examined(T0, 1, {})])),
                store.start(claims[1], Entry(), started(), within_budget(claims[1])),
            )
            await until_somebody_waits(db)
            async with asyncio.timeout(10):
                await db.execute("UPDATE run SET summary = 'free'")
                await db.execute("UPDATE occurrence SET heard_at = heard_at")
        await waiting


async def until_somebody_waits(db: "asyncpg.Connection", count: int = 1) -> None:
    """Until so many statements wait for a row of a transaction."""
    async with asyncio.timeout(30):
        while await db.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted") < count:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("meanwhile", "expected"),
    [
        ("signals = signals + 1", [False, Refusal(Reason.SIGNALLED), False]),
        ("epoch = epoch + 1, owner = ''", [Fenced] * 3),
    ],
    ids=["signalled", "claimed"],
)
@pytest.mark.parametrize("kind", [0, 1, 2], ids=["park", "start", "end"])
async def test_what_is_committed_while_a_write_waits_for_its_run_is_seen_by_it(
    new_database: str, meanwhile: str, expected: list[Any], kind: int
) -> None:
    """The statement began to look before that; what it does must not rest on what it saw then."""
    ended = Ended(T0, Outcome.HEALED, "fine")
    async with opened(new_database, timeout="20s") as store, plain(new_database) as db:
        await fire(store, "a", "b")
        claim, other = (Claim(RunId(f"{name}-me"), ME, 1, 0) for name in ("a", "b"))
        writes: list[Callable[[Claim], Awaitable[Any]]] = [
            lambda one: store.park(one, Entry(), T0 + timedelta(hours=1)),
            lambda one: store.start(one, Entry(), started(), Reservation((one.run,))),
            lambda one: store.end(one, Entry(), ended, keep_locks_until=None),
        ]
        async with db.transaction():
            await db.execute(f"UPDATE run SET {meanwhile} WHERE id = $1", claim.run)
            await db.execute("INSERT INTO signal (run, kind, body) VALUES ($1, 'cancel', '{}')", claim.run)
            both = asyncio.gather(*(writes[kind](one) for one in (other, claim)), return_exceptions=True)
            await until_somebody_waits(db)
        free, told = await both
        due = {wake.run: wake.at for wake in await store.wakes()}

    assert [True, None, True][kind] is free
    assert expected[kind] in (told, type(told))
    assert T0 == due[claim.run]
