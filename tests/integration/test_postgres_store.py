"""The store on a real PostgreSQL: outages, logins that are refused, races, and the whole service on it."""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from remediator.errors import BadSettings, Fenced, StoreUnavailable
from remediator.kit.metrics import Metrics
from remediator.model.alert import Alert, AlertStatus, Delivery
from remediator.model.change import Change, Ending
from remediator.model.change import Ended as ChangeEnded
from remediator.model.facts import Ended, Examined, Started
from remediator.model.history import Known, Latest, Nth, Standing, Which
from remediator.model.ids import Digest, Fingerprint, OccurrenceId, OwnerId, RuleId, RunId, StepId
from remediator.model.message import Message, Tone
from remediator.model.occurrence import Accepted, Judge, NewRun, Occurrence, Opening, Ruling, Verdict
from remediator.model.outcome import Outcome, Reason
from remediator.model.run import Cancel
from remediator.model.stop import EVERYTHING, Stop, StopKind
from remediator.settings import StoreSettings
from remediator.storage.postgres import PostgresStore, migrating, run_writes
from remediator.storage.postgres.journal import STARTING
from remediator.storage.postgres.links import Links
from remediator.storage.postgres.run_writes import End, Learn, Park, RunWrite, Start
from remediator.storage.store import Claim, Entry, Refusal, Reservation
from remediator.testing.clock import VirtualClock
from tests import services
from tests.served import Served

PASSWORD = "tiger-lily-81"
RULE = Digest("d" * 64)
T0 = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
ME = OwnerId("me")


def store_at(url: str, **more: object) -> PostgresStore:
    settings = StoreSettings.model_validate({"url": url, "timeout": "2s", **more})
    return PostgresStore(settings, clock=VirtualClock(T0), metrics=Metrics())


@asynccontextmanager
async def opened(url: str, **more: object) -> AsyncIterator[PostgresStore]:
    store = store_at(url, **more)
    await store.open()
    try:
        await store.remember_rules({RULE: {"pack": "p"}})
        yield store
    finally:
        await store.close()


@pytest.fixture
def own_server() -> Iterator[services.Postgres]:
    """A server of the test's own, which asks for a password and may be stopped."""
    services.requires("postgres", "initdb", "pg_isready", "psql")
    with services.postgresql(password=PASSWORD) as running:
        running.sql("CREATE DATABASE remediator")
        yield running


def url_of(server: services.Postgres, user: str = "postgres", database: str = "remediator") -> str:
    return f"postgresql://{user}@{server.address}/{database}"


def alert(name: str) -> Alert:
    return Alert(Fingerprint(name), AlertStatus.FIRING, {"alertname": name}, {}, T0)


def opener(owner: str = "me", group: str = "") -> Judge:
    """Opens what is not open, each with a run that is called after it and its owner."""

    def judge(alert: Alert, known: Occurrence | None) -> Verdict:
        if known is not None:
            return Verdict(Ruling.REPEATED, hear=True)
        name = f"{alert.fingerprint[:50]}-{owner}"
        new = NewRun(RunId(name), RuleId("p/r"), RULE, "down", "#c", Message(Tone.FIRING, "down"), group)
        return Verdict(Ruling.OPENED, open=Opening(OccurrenceId(f"o-{name}"), (new,)))

    return judge


async def fire(store: PostgresStore, *names: str, owner: str = "me", group: str = "") -> Accepted:
    delivery = Delivery(tuple(map(alert, names)), received_at=T0)
    return await store.accept(delivery, opener(owner, group), OwnerId(owner))


async def fire_all(store: PostgresStore, alerts: Sequence[tuple[str, str]], owner: str) -> Accepted:
    """A delivery of alerts, each of its own group."""
    groups = dict(alerts)

    def judge(one: Alert, known: Occurrence | None) -> Verdict:
        return opener(owner, groups[one.name])(one, known)

    return await store.accept(Delivery(tuple(map(alert, groups)), received_at=T0), judge, OwnerId(owner))


# -- outages --


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

    assert took < 5
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
        own_server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'remediator'")
        accepted = await until_it_answers(store, "a")
        state = await store.outbox_state()

    assert (Ruling.REPEATED,) == accepted.rulings
    assert 1 == state.waiting


class Proxy:
    """Passes everything on, until it is told to hang, or to break the connection at the next commit."""

    def __init__(self, url: str) -> None:
        there = urlsplit(url)
        assert there.port is not None
        self._there, port = there.port, services.free_port()
        self.url = url.replace(f":{self._there}/", f":{port}/")
        self.port = port
        self.breaks = ""
        self.flows = asyncio.Event()
        self.flows.set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "Proxy":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        there, back = await asyncio.open_connection("127.0.0.1", self._there)
        answers = asyncio.create_task(self._answer(there, writer))
        try:
            with suppress(OSError):
                await self._ask(reader, back, there, answers)
        finally:
            answers.cancel()
            await asyncio.gather(answers, return_exceptions=True)
            for side in (back, writer):
                side.transport.abort()

    async def _ask(
        self,
        reader: asyncio.StreamReader,
        back: asyncio.StreamWriter,
        there: asyncio.StreamReader,
        answers: "asyncio.Task[None]",
    ) -> None:
        while data := await reader.read(65536):
            await self.flows.wait()
            if self.breaks and b"COMMIT" in data:
                how, self.breaks = self.breaks, ""
                answers.cancel()
                await asyncio.gather(answers, return_exceptions=True)
                if how == "after":
                    back.write(data)
                    assert b"COMMIT" in await there.read(65536)
                return
            back.write(data)

    async def _answer(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await there.read(65536):
                writer.write(data)
        writer.close()


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

    assert took < 9
    assert (Ruling.REPEATED, Ruling.OPENED) == accepted.rulings


# -- opening --


@pytest.mark.parametrize(
    ("url", "password", "said"),
    [
        ("postgresql://postgres@{}/remediator", "wrong-one", "password authentication failed"),
        ("postgresql://nobody@{}/remediator", PASSWORD, "password authentication failed"),
        ("postgresql://postgres@{}/nothing", PASSWORD, 'database "nothing" does not exist'),
    ],
    ids=["password", "user", "database"],
)
async def test_a_login_that_is_refused_is_a_mistake_in_the_settings(
    own_server: services.Postgres, url: str, password: str, said: str
) -> None:
    """A supervisor that tries again for ever would hide it. What the password was, nobody is told."""
    store = store_at(url.format(own_server.address), password=password)
    with pytest.raises(BadSettings, match=said) as caught:
        await store.open()
    await store.close()

    assert str(caught.value).endswith("look at store.url and store.password_file")  # no rights are missing
    assert password not in str(caught.value)


async def test_a_user_without_the_right_to_make_tables_is_told(postgres_server: services.Postgres) -> None:
    """The most common mistake in a first installation."""
    store = store_at(f"postgresql://remediator@{postgres_server.address}/postgres")
    with pytest.raises(BadSettings, match="whether that user may create a schema"):
        await store.open()
    await store.close()


async def test_a_server_that_is_away_at_the_start_is_no_mistake() -> None:
    """It may just be starting itself."""
    port = services.free_port()
    store = store_at(f"postgresql://127.0.0.1:{port}/x")
    with pytest.raises(StoreUnavailable, match=f"127.0.0.1:{port}, database x.*is the server running"):
        await store.open()
    with pytest.raises(StoreUnavailable, match="not open"):
        await store.probe()
    await store.close()


async def test_two_that_open_an_empty_database_at_once_both_succeed(new_database: str) -> None:
    """Replicas are started together."""
    first, second = store_at(new_database), store_at(new_database)
    await asyncio.gather(first.open(), second.open())
    await asyncio.gather(first.probe(), second.probe())
    await asyncio.gather(first.close(), second.close())


@asynccontextmanager
async def plain(url: str) -> AsyncIterator["asyncpg.Connection"]:
    link: asyncpg.Connection = await asyncpg.connect(url, server_settings={"search_path": "remediator"})
    try:
        yield link
    finally:
        await link.close()


async def test_tables_are_brought_forward_with_what_is_in_them_and_newer_ones_are_refused(new_database: str) -> None:
    """An upgrade keeps everything; a program that does not know the tables must not write to them."""
    async with opened(new_database) as store:
        await fire(store, "a")
    first = [migrating.read(file) for file in migrating.STEPS]
    async with plain(new_database) as db:
        await migrating.migrate(db, "it", [*first, "ALTER TABLE run ADD COLUMN more text DEFAULT 'x'"])
        again = await db.fetch("SELECT id, more FROM run")
        version = await db.fetchval("SELECT number FROM version")
    newer = store_at(new_database)
    with pytest.raises(BadSettings, match=rf"newer remediator \(schema {len(first) + 1}, known here: {len(first)}\)"):
        await newer.open()
    await newer.close()

    assert [("a-me", "x")] == [tuple(row) for row in again]
    assert len(first) + 1 == version


async def test_a_migration_that_fails_leaves_the_tables_as_they_were(new_database: str) -> None:
    """Half a step would be neither version."""
    async with opened(new_database):
        pass
    first = [migrating.read(file) for file in migrating.STEPS]
    async with plain(new_database) as db:
        with pytest.raises(asyncpg.PostgresError):
            await migrating.migrate(db, "it", [*first, "DROP TABLE lock; SELECT no_such_thing"])
    async with opened(new_database) as store:
        await fire(store, "a")
        claim = Claim(RunId("a-me"), ME, 1, 0)

        assert await store.start(claim, Entry(), started(), Reservation(("web",))) is None


AS_BEFORE = """
    INSERT INTO rule (digest, document, remembered_at) VALUES ('d', '{}', 0);
    INSERT INTO occurrence (id, fingerprint, labels, annotations, receiver, starts_at, opened_at, heard_at, closed_at)
    VALUES ('o1', 'f1', '{"alertname":"Down"}', '{}', 'r', 1, 1, 1, NULL),
        ('o2', 'f2', '{"alertname":"Down"}', '{}', 'r', 1, 1, 1, 5),
        ('o3', 'f3', '{"a": "\\"alertname\\":\\"Slow\\"\\u0000", "alertname": "Down"}', '{}', 'r', 1, 1, 1, NULL),
        ('o4', 'f4', '{"alertname":"D\\u00e9\\"","b":"\\\\u0041"}', '{}', 'r', 1, 1, 1, NULL),
        ('o5', 'f5', '{"alertname":"\\ud800"}', '{}', 'r', 1, 1, 1, NULL),
        ('o6', 'f6', '{}', '{}', 'r', 1, 1, 1, NULL);
    INSERT INTO run (id, rule, rule_digest, occurrence, alert, alertname, summary, channel, owner, epoch, signals,
        created_at, open_alerts)
    VALUES ('r1', 'p/a', 'd', 'o1', '{}', 'Down', 'down', '#c', 'me', 1, 0, 1, 1);
    INSERT INTO member (occurrence, rule, run) VALUES ('o1', 'p/a', 'r1');
"""


async def test_a_store_of_the_version_before_is_brought_forward_and_opened_by_it_no_more(new_database: str) -> None:
    """Open alerts are found by their names at once; a program that enters nothing in the journal must not start."""
    before = [migrating.read(file) for file in migrating.STEPS[:-1]]
    async with plain(new_database) as db:
        await migrating.migrate(db, "it", before)
        await db.execute("SET search_path = remediator")
        await db.execute(AS_BEFORE)
        async with opened(new_database) as store:
            down = sorted(one.fingerprint for one in await store.open_alerts_named(["Down"], limit=9))
            named = [one.fingerprint for one in await store.open_alerts_named(['D\u00e9"', "Slow"], limit=9)]
            of_run = [one.fingerprint for one in await store.open_alerts_of(RunId("r1"), limit=9)]
            claim, change = Claim(RunId("r1"), ME, 1, 0), Change(RunId("r1"), 1, RuleId("p/a"), "web", "a", T0, T0)
            begun = await store.start(claim, Entry(), started(), Reservation(("web",), (change,)))
            everything = Latest(Which(), 9, T0 - timedelta(hours=1))
            entered = (await store.known((everything,))).latest(everything)
        with pytest.raises(BadSettings, match="newer remediator"):
            await migrating.migrate(db, "it", before)

    assert (["f1", "f3"], ["f4"], ["f1"]) == (down, named, of_run)
    assert begun is None
    assert [change] == list(entered)


def started(attempt: int = 1) -> Started:
    return Started(T0, 1, StepId("remediate.0.0"), attempt, 1, T0 + timedelta(minutes=1))


async def test_what_was_handed_in_is_written_before_the_store_closes(new_database: str) -> None:
    """The last words of a process that is being stopped."""
    store = store_at(new_database)
    await store.open()
    await store.remember_rules({RULE: {"pack": "p"}})
    handed_in = [asyncio.create_task(fire(store, f"a{number}")) for number in range(50)]
    await asyncio.sleep(0)
    await store.close()
    accepted = await asyncio.gather(*handed_in)

    async with opened(new_database) as again:
        assert 50 == len(await again.list_runs(limit=100)) == len(accepted)


# -- several at once --


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


BUDGET = Nth(Which(), 3, T0 - timedelta(hours=1))


def within_budget(claim: Claim, *locks: str) -> Reservation:
    """A start of which three an hour are let through."""

    def judge(known: Known) -> Refusal | None:
        return None if known.nth(BUDGET) is None else Refusal(Reason.BUDGET_USED)

    change = Change(claim.run, 1, RuleId("p/r"), f"t-{claim.run}", "a", T0, T0)
    return Reservation(locks, (change,), (BUDGET,), judge)


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


async def test_many_writes_of_one_kind_take_as_many_statements_as_one(new_database: str) -> None:
    """A way to the server and back for each would bound how many runs a process can carry on."""
    names = [f"a{number}" for number in range(20)]
    claims = [Claim(RunId(f"{name}-me"), ME, 1, 0) for name in names]
    ended = Ended(T0, Outcome.HEALED, "fine")

    def guarded(claim: Claim) -> Reservation:
        asked = (Nth(Which(target=claim.run), 3, T0), Latest(Which(RuleId("p/r")), 9, T0), Standing((claim.run,)))
        return replace(within_budget(claim, claim.run), questions=(BUDGET, *asked), judge=lambda _known: None)

    kinds: list[list[RunWrite[Any]]] = [
        [Learn(T0, claim, Entry([Examined(T0, 1, {})])) for claim in claims],
        [Start(T0, claim, Entry(), started(), Reservation((claim.run,))) for claim in claims],
        [
            Start(T0, claim, Entry(endings=[ChangeEnded(1, Ending.DONE, T0)]), started(2), guarded(claim))
            for claim in claims
        ],
        [Park(T0, claim, Entry(), T0) for claim in claims[:10]]
        + [End(T0, c, Entry(), ended, None, None) for c in claims[10:]],
    ]
    asked: list[str] = []
    counts = []
    async with opened(new_database) as store, plain(new_database) as db:
        await fire(store, *names)
        for writes in (kinds[0], kinds[2]):  # the library asks for types once; the same facts again are no mistake
            await run_writes.make_all(db, writes)
        with db.query_logger(lambda query: asked.append(query.query)):
            for writes in kinds:
                asked.clear()
                results = await run_writes.make_all(db, writes)
                await asyncio.sleep(0)  # the library tells of a statement in the next round of the loop
                counts.append((len(asked), {type(result) for result in results}))

    assert [(1, {type(None)}), (3, {type(None)}), (8, {type(None)}), (2, {bool})] == counts


async def test_a_fact_that_is_there_already_is_no_mistake_and_another_in_its_place_is(new_database: str) -> None:
    """Its owner may not have heard that it was written; but what has happened is never changed."""
    async with opened(new_database) as store:
        await fire(store, "a")
        claim = Claim(RunId("a-me"), ME, 1, 0)
        await store.learn(claim, Entry([Examined(T0, 1, {})]))
        await store.learn(claim, Entry([Examined(T0, 1, {})]))
        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            await store.learn(claim, Entry([Examined(T0 + timedelta(seconds=1), 1, {})]))
        run = await store.read_run(claim.run)

    assert run is not None
    assert (Examined(T0, 1, {}),) == run.facts


async def test_what_fails_in_a_shared_commit_fails_alone(new_database: str) -> None:
    """The server takes the whole transaction back for it; everybody else's write is made again."""
    async with opened(new_database) as store:
        await fire(store, "a", "b")
        await store.learn(Claim(RunId("a-me"), ME, 1, 0), Entry([Examined(T0, 1, {})]))
        later = Entry([Examined(T0 + timedelta(seconds=1), 1, {})])
        wrong, right, accepted = await asyncio.gather(
            store.learn(Claim(RunId("a-me"), ME, 1, 0), later),
            store.learn(Claim(RunId("b-me"), ME, 1, 0), later),
            fire(store, "c"),
            return_exceptions=True,
        )
        run = await store.read_run(RunId("b-me"))

    assert isinstance(wrong, asyncpg.IntegrityConstraintViolationError)
    assert right is None
    assert isinstance(accepted, Accepted)
    assert run is not None
    assert tuple(later.facts) == run.facts


# -- what people send --


async def test_labels_that_postgresql_cannot_hold_as_they_are_lose_nothing(new_database: str) -> None:
    """A NUL, or a value as long as a body, must not have a whole delivery refused again and again."""
    odd = Alert(Fingerprint("ab"), AlertStatus.FIRING, {"alertname": "N\0", "x": "\0" + "y" * 100_000}, {}, T0)
    long = "é" * 50_000
    async with opened(new_database) as store:
        await store.accept(Delivery((odd, alert("c")), received_at=T0), opener(group=long), ME)
        joined = await fire(store, "d", group=long)
        again = await store.accept(Delivery((odd,), received_at=T0), opener(group=long), ME)
        found = await store.newest_occurrence("ab")
        nobody = await store.newest_occurrence("\0") or await store.read_run(RunId("\0"))
        (run, *_) = await store.list_runs(limit=1)
        claim = Claim(run.id, ME, 1, 99)
        free = await store.start(claim, Entry([Examined(T0, 1, {})]), started(), Reservation((long, "\0")))
        await store.signal(run.id, Cancel(T0, "a\0nn"))

    assert nobody is None
    assert found is not None
    assert odd.labels == found.labels
    assert () == joined.new_runs
    assert (Ruling.REPEATED,) == again.rulings
    assert free is None


async def test_ten_thousand_alerts_of_one_delivery_are_accepted_within_the_time_that_a_sender_waits(
    new_database: str,
) -> None:
    """A group can be that large, and it comes when the most is on fire."""
    async with opened(new_database, timeout="5s") as store:
        began = time.monotonic()
        accepted = await fire(store, *(f"a{number}" for number in range(10_000)))
        took = time.monotonic() - began

    assert 10_000 == len(accepted.new_runs)
    assert took < 9


# -- the whole service --


def deliver(served: Served) -> int:
    """Send an alert that a service is down; the status of the answer."""
    now = datetime.now(UTC).isoformat()
    one = {"status": "firing", "labels": {"alertname": "Down", "service": "web"}, "annotations": {}, "startsAt": now}
    body = {"version": "4", "groupKey": "{}", "receiver": "remediator", "alerts": [one]}
    return served.ask("/api/v1/alerts", body=json.dumps(body).encode())[0]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    made = Served(tmp_path)
    yield made
    made.end()


def test_the_service_heals_on_postgresql_and_goes_on_after_a_kill(served: Served, new_database: str) -> None:
    """What was accepted is told and done, whatever happens to the process."""
    folder = str(served.folder / "store")
    served.configure(mode="auto", sustain="2s", store={"directory": folder, "url": new_database})
    served.start()
    accepted = deliver(served)
    services.wait_until((served.folder / "mended-web").exists, "the step to be done")
    served.kill()
    served.start()
    services.wait_until(lambda: served.run()["outcome"] is not None, "the run to end")
    run = served.run()
    code = served.stop()

    assert (202, "healed", 0) == (accepted, run["outcome"], code)
    assert not list(Path(folder).glob("*.sqlite3*"))


def test_the_service_waits_out_an_outage_and_says_so(served: Served, own_server: services.Postgres) -> None:
    """Readiness turns bad, senders get 503, and all goes on by itself; the log has no password in it."""
    (served.folder / "secret").write_text(PASSWORD)
    store = {
        "directory": str(served.folder / "store"),
        "url": url_of(own_server),
        "password_file": str(served.folder / "secret"),
    }
    served.configure(mode="auto", store=store)
    served.start()
    own_server.stop()
    services.wait_until(lambda: served.readiness()[0] == 503, "it to be not ready")
    refused = deliver(served)
    with services.postgresql_again(own_server):
        services.wait_until(lambda: served.readiness()[0] == 200, "it to be ready again")
        accepted = deliver(served)
        services.wait_until(lambda: served.run()["outcome"] is not None, "the run to end")
        outcome = served.run()["outcome"]
        served.stop()

    assert (503, 202, "healed") == (refused, accepted, outcome)
    assert PASSWORD not in served.log()
