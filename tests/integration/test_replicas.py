"""Several processes on one PostgreSQL: every run is worked on by one of them, and none is left behind."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from remediator.errors import BadSettings, Fenced, StoreUnavailable
from remediator.kit.metrics import Metrics
from remediator.model.alert import Alert, AlertStatus, Delivery
from remediator.model.facts import Ended, Examined
from remediator.model.ids import Fingerprint, OwnerId, RunId
from remediator.model.occurrence import Occurrence, Ruling, Verdict
from remediator.model.outcome import Outcome
from remediator.model.priority import Priority
from remediator.model.run import Cancel
from remediator.pipeline.dispatch import HeapDispatcher
from remediator.pipeline.replicas import Replicas
from remediator.settings import StoreSettings
from remediator.storage.postgres import PostgresStore
from remediator.storage.runs import FREE, Claim, Entry
from remediator.testing.clock import VirtualClock
from tests.integration.sharing import T0, A, B, fire, opened


async def test_two_that_claim_at_once_never_get_the_same_run(new_database: str) -> None:
    """One run that two processes work on is an action done twice."""
    async with opened(new_database, 2) as (one, two):
        names = {f"r{number:03}" for number in range(200)}
        await fire(one, *names)
        claims = await asyncio.gather(
            *(store.claim_due(owner, 7) for _ in range(20) for store, owner in ((one, A), (two, B)))
        )
        got = [wake.run for some in claims for wake in some]
        rest = await one.claim_due(A, 1000)

    assert len(got) == len(set(got))
    assert names == {*got, *(wake.run for wake in rest)}


async def test_what_is_urgent_is_claimed_first_and_what_rests_is_not(new_database: str) -> None:
    async with opened(new_database) as (store,):
        await fire(store, "common")
        await fire(store, "urgent", severity="critical")
        await fire(store, "resting", owner=A)
        assert await store.park(Claim(RunId("resting"), A, 1, 0), Entry(), T0 + timedelta(seconds=1))
        first = await store.claim_due(A, 1)
        rest = await store.claim_due(B, 10)

    assert [("urgent", Priority.HIGH)] == [(wake.run, wake.priority) for wake in first]
    assert ["common"] == [wake.run for wake in rest]


async def test_what_nobody_has_taken_up_is_counted_as_far_as_it_matters(new_database: str) -> None:
    """Every process refuses new deliveries when all together have too much to do."""
    async with opened(new_database) as (store,):
        await fire(store, *(f"r{number}" for number in range(20)))
        await store.claim_due(A, 5)

        assert [15, 10] == [await store.count_unclaimed(limit) for limit in (100, 10)]


async def test_what_is_not_urgent_has_its_turn_as_well(new_database: str) -> None:
    """A storm of urgent ones would keep it waiting for ever."""
    async with opened(new_database) as (store,):
        await fire(store, "common")
        await store.park(Claim(RunId("common"), FREE, 1, 0), Entry(), T0 - timedelta(minutes=1))
        await fire(store, "urgent", severity="critical")

        assert ["common"] == [wake.run for wake in await store.claim_due(A, 1, oldest=True)]


async def test_a_run_that_rests_or_has_ended_is_anybodys(new_database: str) -> None:
    """A decision may come in at another process than the one that has asked for it."""
    async with opened(new_database, 2) as (one, two):
        await one.join(A, "one")
        await two.join(B, "two")
        await fire(one, "r", owner=A)
        held = await two.take(RunId("r"), B)
        mine = Claim(RunId("r"), A, 1, 0)
        assert await one.park(mine, Entry(), T0 + timedelta(hours=1))
        taken = await two.take(RunId("r"), B)
        with pytest.raises(Fenced):
            await one.learn(mine, Entry([Examined(T0, 1, {})]))
        assert taken is not None
        ended = Ended(T0, Outcome.HEALED, "fine")
        assert await two.end(Claim(taken.id, B, taken.epoch, 0), Entry([ended]), ended, keep_locks_until=None)
        await one.signal(taken.id, Cancel(T0, "ann"))
        again = await one.take(RunId("r"), A)

    assert held is None
    assert (B, 2) == (taken.owner, taken.epoch)
    assert again is not None
    assert (A, 3) == (again.owner, again.epoch)


async def test_the_runs_of_the_dead_are_free_and_what_they_write_late_is_refused(new_database: str) -> None:
    """A process that was frozen comes back and believes that the run is still its own."""
    async with opened(new_database, 2) as (one, two):
        await one.join(A, "one")
        await two.join(B, "two")
        await fire(one, "r", owner=A)
        roll = await two.beat(B, willing=False)
        dead = [replica for replica in roll.replicas if replica.id == A]
        buried = await two.bury(dead)
        freed = await two.free_orphans()
        claimed = await two.claim_due(B, 10)
        with pytest.raises(Fenced):
            await one.learn(Claim(RunId("r"), A, 1, 0), Entry([Examined(T0, 1, {})]))
        after = await one.beat(A, willing=True)

    assert ((A,), 1) == (buried, freed)
    assert ["r"] == [wake.run for wake in claimed]
    assert ([B], None) == ([replica.id for replica in after.replicas], after.leader)


async def test_all_runs_of_the_dead_are_free_after_one_beat(new_database: str) -> None:
    """A burst may have left thousands: each beat that some of them wait for is half a second without help."""
    async with opened(new_database) as (store,):
        await fire(store, "first", owner=A)
        link = await asyncpg.connect(new_database, server_settings={"search_path": "remediator"})
        await link.execute("CREATE TEMP TABLE copy AS SELECT * FROM run")
        await link.execute("UPDATE copy SET id = '', owner = 'dead'")
        await link.execute(
            "INSERT INTO run SELECT (jsonb_populate_record(copy, jsonb_build_object('id', 'r' || n))).*"
            " FROM copy, generate_series(1, 5000) AS n"
        )
        await link.close()
        await store.join(A, "one")
        replicas = Replicas(
            store=store,
            places=Full(),
            dispatcher=HeapDispatcher(VirtualClock(T0)),
            clock=VirtualClock(T0),
            metrics=Metrics(),
            name="one",
        )
        await replicas.join()
        beat = asyncio.create_task(replicas.beat(), name="beats")
        try:
            async with asyncio.timeout(60):
                while await store.count_unclaimed(10_000) < 5_000:
                    await asyncio.sleep(0)
        finally:
            beat.cancel()
            await asyncio.gather(beat, return_exceptions=True)

        assert 0 == await store.free_orphans()


async def test_who_was_frozen_in_the_middle_of_a_statement_holds_nothing_once_it_is_buried(new_database: str) -> None:
    """No time limit of the server ends a transaction whose client has sent half of a statement."""
    async with opened(new_database, 2) as (one, two):
        await one.join(A, "one")
        await two.join(B, "two")
        await fire(one, "r", owner=A)
        half = await asyncpg.connect(
            new_database, server_settings={"application_name": f"remediator {A}", "search_path": "remediator"}
        )
        await half.execute("BEGIN; SELECT FROM run WHERE id = 'r' FOR UPDATE")
        await half.prepare("SELECT 1")  # it asks the server to go on listening
        roll = await two.beat(B, willing=True)
        buried = await two.bury([replica for replica in roll.replicas if replica.id == A])
        freed = 0
        async with asyncio.timeout(60):
            while not freed:
                freed = await two.free_orphans()
        half.terminate()

    assert ((A,), 1) == (buried, freed)


async def test_the_server_shows_whose_each_connection_is_that_writes(new_database: str) -> None:
    """Those of one that is buried are ended by that, whichever of its statements they were made for."""
    async with opened(new_database, 2) as (one, two):
        await fire(one, "before")
        await one.join(A, "one")
        await two.join(B, "two")
        await fire(one, "after", owner=A)
        roll = await two.beat(B, willing=False)
        await two.bury([replica for replica in roll.replicas if replica.id == A])
        async with asyncio.timeout(60):
            while await labels(new_database) & {f"remediator {A}"}:
                await asyncio.sleep(0.01)
        left = await labels(new_database)
        await one.join(OwnerId("anew"), "one")
        await fire(one, "again")

        assert {f"remediator {B}"} <= left
        assert "remediator anew" in await labels(new_database)


async def labels(database: str) -> set[str]:
    """What the server shows of all connections of ours."""
    link = await asyncpg.connect(database)
    try:
        rows = await link.fetch(
            "SELECT application_name FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    finally:
        await link.close()
    return {row["application_name"] for row in rows}


async def test_who_has_beaten_meanwhile_is_not_buried(new_database: str) -> None:
    """Between the look and the burial it may have come back."""
    async with opened(new_database) as (store,):
        await store.join(A, "one")
        seen = (await store.beat(A, willing=False)).replicas
        await store.beat(A, willing=False)

        assert () == await store.bury(seen)
        assert [(A, 3)] == [(one.id, one.beats) for one in (await store.beat(A, willing=False)).replicas]


async def test_one_leads_at_a_time_and_another_when_it_is_gone(new_database: str) -> None:
    """Two that post would say everything twice."""
    async with opened(new_database, 2) as (one, two):
        await one.join(A, "one")
        await two.join(B, "two")
        leaders = [(await one.beat(A, willing=True)).leader, (await two.beat(B, willing=True)).leader]
        await one.leave(A)
        leaders.append((await two.beat(B, willing=True)).leader)

    assert [A, A, B] == leaders


async def test_two_that_want_the_lead_at_once_do_not_both_get_it(new_database: str) -> None:
    """Whoever waits for the other one's row looks at it again, and sees that somebody has it now."""
    async with opened(new_database, 2) as (one, two):
        await one.join(A, "one")
        await two.join(B, "two")
        link = await asyncpg.connect(new_database, server_settings={"synchronous_commit": "off"})
        leaders = []
        for _ in range(300):
            await link.execute("UPDATE remediator.leader SET replica = 'dead'")
            leaders.append(await asyncio.gather(one.beat(A, willing=True), two.beat(B, willing=True)))
        await link.close()

    assert [] == [pair for pair in leaders if (pair[0].leader, pair[1].leader) == (A, B)]


async def test_a_run_that_is_claimed_and_taken_at_once_has_one_owner(new_database: str) -> None:
    """When a parked run's time comes, its own timer meets the claims of everybody else."""
    async with opened(new_database, 2) as (one, two):
        await one.join(A, "one")
        await two.join(B, "two")
        both = []
        for number in range(100):
            name = f"r{number}"
            await fire(one, name)
            taken, claimed = await asyncio.gather(one.take(RunId(name), A), two.claim_due(B, 5))
            both += [name for wake in claimed if taken is not None and wake.run == name]

    assert [] == both


async def test_who_is_about_to_leave_leads_no_more_and_keeps_only_what_is_acting(new_database: str) -> None:
    """A step may take a minute; chat and all other runs do not wait for it."""
    async with opened(new_database, 2) as (one, two):
        await one.join(A, "one")
        await two.join(B, "two")
        await one.beat(A, willing=True)
        await fire(one, "acting", "waiting", owner=A)
        await one.retire(A, [RunId("acting")])
        roll = await two.beat(B, willing=True)

        assert B == roll.leader
        assert ["waiting"] == [wake.run for wake in await two.claim_due(B, 10)]


class Full:
    """A process all of whose places are taken."""

    room = 0

    def has(self, run: RunId) -> bool:
        return False

    def abandon(self) -> None:
        """Nothing is worked on."""


async def test_what_is_free_is_claimed_however_many_wait_here(new_database: str) -> None:
    """The critical run of a process that has died would wait behind all warnings of the one that lives."""
    async with opened(new_database) as (store,):
        clock = VirtualClock(T0)
        dispatcher = HeapDispatcher(clock)
        for number in range(500):
            dispatcher.wake(RunId(f"own{number}"), T0, Priority.LOW)
        replicas = Replicas(
            store=store, places=Full(), dispatcher=dispatcher, clock=clock, metrics=Metrics(), name="one"
        )
        await fire(store, *(f"free{number}" for number in range(100)))
        await fire(store, "urgent", severity="critical")
        claimed = await replicas.claim_due()
        again = await replicas.claim_due()
        first = await dispatcher.next()

    assert ("urgent", 50, 0) == (first.run, claimed, again)
    assert FREE == replicas.owner_of_new


async def test_while_claimed_runs_wait_to_begin_more_are_looked_for_soon(new_database: str) -> None:
    """Else a backlog would be worked off in batches, with nothing to do for most of the time between two."""
    async with opened(new_database) as (store,):
        clock = VirtualClock(T0)
        dispatcher = HeapDispatcher(clock)
        replicas = Replicas(
            store=store, places=Full(), dispatcher=dispatcher, clock=clock, metrics=Metrics(), name="one"
        )
        await fire(store, *(f"free{number}" for number in range(150)))
        claiming = asyncio.create_task(replicas.claim())
        try:
            taken = []
            async with asyncio.timeout(60):
                while dispatcher.due < 50:
                    await asyncio.sleep(0.01)
                await clock.advance(timedelta(milliseconds=60))  # it has looked, and there is no room
                taken = [(await dispatcher.next()).run for _ in range(50)]
                await clock.advance(timedelta(milliseconds=60))
                while dispatcher.due < 50:
                    await asyncio.sleep(0.01)
        finally:
            claiming.cancel()
            await asyncio.gather(claiming, return_exceptions=True)

    assert 50 == len(set(taken))


async def test_a_delivery_that_takes_long_to_judge_is_accepted(new_database: str) -> None:
    """The server ends a transaction that stands idle, and would end it at every try."""

    def slowly(one: Alert, known: Occurrence | None) -> Verdict:
        time.sleep(0.005)
        return Verdict(Ruling.NOT_OPEN)

    alerts = tuple(Alert(Fingerprint(f"a{n}"), AlertStatus.FIRING, {}, {}, T0) for n in range(400))
    rulings: Sequence[Ruling] = ()
    async with opened(new_database, timeout="2s") as (store,):  # half of that may a transaction stand idle
        for _ in range(5):  # where this process stood still meanwhile, it comes again
            with suppress(StoreUnavailable):
                rulings = rulings or (await store.accept(Delivery(alerts, received_at=T0), slowly, A)).rulings

    assert 400 == len(rulings)


async def test_a_message_that_two_are_about_to_send_is_one_ones(new_database: str) -> None:
    """A process that was frozen still believes that it leads."""
    async with opened(new_database, 2) as (one, two):
        await fire(one, "r")
        post = await one.next_post(resting=(), busy=(), passed=())
        assert post is not None
        noted = await asyncio.gather(one.note_attempt(post.seq), two.note_attempt(post.seq))

    assert [False, True] == sorted(noted)


async def test_who_leaves_leaves_its_runs_free_at_once(new_database: str) -> None:
    """An upgrade that rolls strands nothing, and nobody has to wait for a silence."""
    async with opened(new_database, 2) as (one, two):
        await one.join(A, "one")
        await two.join(B, "two")
        await fire(one, "r", "s", owner=A)
        await one.leave(A)

        assert {"r", "s"} == {wake.run for wake in await two.claim_due(B, 10)}


async def test_word_for_a_run_reaches_the_process_that_works_on_it(new_database: str) -> None:
    """It rests between two looks of its proof; what comes to another process is to be heard now."""
    heard: list[tuple[RunId, ...]] = []
    async with opened(new_database, 2) as (one, two):
        one.on_news(heard.append)
        two.on_news(lambda runs: pytest.fail(f"its own word came back: {runs}"))
        await one.join(A, "one")
        await two.join(B, "two")
        await one.beat(A, willing=False)
        await two.beat(B, willing=False)
        await fire(one, "r", owner=A)
        await two.signal(RunId("r"), Cancel(T0, "ann"))
        async with asyncio.timeout(30):
            while not heard:
                await one.beat(A, willing=False)
                await asyncio.sleep(0.01)

    assert [(RunId("r"),)] == heard


async def test_a_claim_of_ones_own_that_was_never_heard_of_is_found(new_database: str) -> None:
    async with opened(new_database) as (store,):
        await fire(store, "r")
        await store.claim_due(A, 10)

        assert ["r"] == [wake.run for wake in await store.overdue(A, T0, 10)]
        assert () == await store.overdue(B, T0, 10)


async def test_a_folder_is_one_process_alone_and_is_known_again(new_database: str, tmp_path: Path) -> None:
    """Two processes would think that the other is what they were before their start."""
    settings = StoreSettings(url=new_database, directory=tmp_path)
    one, two = (PostgresStore(settings, clock=VirtualClock(T0), metrics=Metrics()) for _ in range(2))
    await one.open()
    await two.open()
    first = await one.join(A, "one")
    with pytest.raises(BadSettings, match=r"another remediator is using .*give this one another store\.directory"):
        await two.join(B, "two")
    await one.close()
    again = await two.join(B, "two")
    await two.close()

    assert first == again
