"""Opening a store on a real PostgreSQL: logins that are refused, and tables that are made or brought forward."""

import asyncio
from datetime import timedelta

import asyncpg
import pytest

from remediator.errors import BadSettings, StoreUnavailable
from remediator.model.change import Change
from remediator.model.history import Latest, Which
from remediator.model.ids import RuleId, RunId
from remediator.storage.postgres import migrating
from remediator.storage.runs import Claim, Entry, Reservation
from tests import services
from tests.integration.on_postgres import ME, PASSWORD, RULE, T0, fire, opened, plain, started, store_at


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


async def test_a_store_of_an_earlier_version_is_brought_forward_and_opened_by_it_no_more(new_database: str) -> None:
    """Open alerts are found by their names at once; a program that enters nothing in the journal must not start."""
    steps = [migrating.read(file) for file in migrating.STEPS]
    async with plain(new_database) as db:
        await migrating.migrate(db, "it", steps[:2])
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
        for older in (steps[:2], steps[:3]):
            with pytest.raises(BadSettings, match="newer remediator"):
                await migrating.migrate(db, "it", older)

    assert (["f1", "f3"], ["f4"], ["f1"]) == (down, named, of_run)
    assert begun is None
    assert [change] == list(entered)


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
