"""The doctor asks a real PostgreSQL whether it can be the store, and changes nothing there."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from remediator.doctor.examination import examine
from remediator.doctor.finding import Finding, Verdict
from remediator.kit.metrics import Metrics
from remediator.plugins import Actions
from remediator.settings import StoreSettings, load_settings
from remediator.storage.postgres import PostgresStore
from remediator.storage.postgres.migrating import STEPS
from remediator.testing.clock import VirtualClock
from tests import services

PASSWORD = "tiger-lily-81"


async def doctor(folder: Path, url: str, **store: Any) -> list[Finding]:
    """What is found of the store's database."""
    (folder / "rules").mkdir(exist_ok=True)
    given = {"directory": str(folder / "store"), "url": url, **store}
    settings = {"store": given, "rules": [str(folder / "rules")]}
    (folder / "remediator.yaml").write_text(yaml.safe_dump(settings))
    findings = await examine(load_settings(folder / "remediator.yaml"), Actions.installed())
    return [finding for finding in findings if finding.what == "store database"]


async def opened_once(url: str) -> None:
    """Have the service make its tables."""
    store = PostgresStore(StoreSettings.model_validate({"url": url}), clock=VirtualClock(), metrics=Metrics())
    await store.open()
    await store.close()


def in_database(server: services.Postgres, url: str, *statements: str) -> None:
    """Carry out statements in the database of this URL, as the superuser."""
    server.sql(f"\\connect {url.rpartition('/')[2]}", *statements)


def dump(server: services.Postgres, url: str) -> str:
    """All that is in a database, and who may do what with it."""
    argv = [services.postgres_program("pg_dump"), "-h", str(server.folder), "-p", str(server.port), "-U", "postgres"]
    named = [*services.as_postgres(), *argv, url.rpartition("/")[2]]
    done = subprocess.run(named, check=True, capture_output=True, text=True, cwd="/")
    return re.sub(r"^\\(un)?restrict .*$", "", done.stdout, flags=re.MULTILINE)  # with a number drawn each time


@pytest.fixture
def guest(postgres_server: services.Postgres, new_database: str) -> Iterator[str]:
    """A URL of the same database, for a user who owns nothing in it."""
    postgres_server.sql("CREATE ROLE guest LOGIN")
    yield new_database.replace("remediator@", "guest@")
    in_database(postgres_server, new_database, "DROP OWNED BY guest")
    postgres_server.sql("DROP OWNED BY guest", "DROP ROLE guest")


async def test_a_database_that_can_be_used_is_well_before_and_after_the_first_start(
    tmp_path: Path, postgres_server: services.Postgres, new_database: str
) -> None:
    """And looking makes no tables: that is for the service to do, when it is meant to."""
    empty = dump(postgres_server, new_database)
    first = await doctor(tmp_path, new_database)
    still_empty = dump(postgres_server, new_database)
    await opened_once(new_database)
    made = dump(postgres_server, new_database)
    then = await doctor(tmp_path, new_database)

    assert [Verdict.OK] == [finding.verdict for finding in first]
    assert first[0].detail.endswith("the tables can be made at the first start")
    assert [Verdict.OK] == [finding.verdict for finding in then]
    assert then[0].detail.endswith("the tables can be read and written")
    assert empty == still_empty
    assert made == dump(postgres_server, new_database)


async def test_without_a_database_nothing_is_said_of_one(tmp_path: Path) -> None:
    """The embedded store has its own finding."""
    (tmp_path / "remediator.yaml").write_text(f"store: {{directory: {tmp_path / 'store'}}}\nrules: [{tmp_path}]\n")
    found = await examine(load_settings(tmp_path / "remediator.yaml"), Actions.installed())

    assert [] == [finding for finding in found if finding.what == "store database"]


async def test_a_user_who_may_make_no_schema_is_told_the_grant(
    tmp_path: Path, postgres_server: services.Postgres, new_database: str, guest: str
) -> None:
    """And with it the service starts."""
    before = await doctor(tmp_path, guest)
    in_database(postgres_server, new_database, before[0].remedy)
    after = await doctor(tmp_path, guest)
    await opened_once(guest)

    assert [Verdict.PROBLEM] == [finding.verdict for finding in before]
    assert "user guest may not make the schema remediator" in before[0].detail
    assert [Verdict.OK] == [finding.verdict for finding in after]


async def test_what_tables_of_another_user_need_is_told_in_one_round(
    tmp_path: Path, postgres_server: services.Postgres, new_database: str, guest: str
) -> None:
    """Whoever may grant it is somebody else, who is asked once. What is granted, is not asked for again."""
    await opened_once(new_database)
    (before,) = await doctor(tmp_path, guest)
    usage, tables = before.remedy.split("; ")
    in_database(postgres_server, new_database, usage)
    (between,) = await doctor(tmp_path, guest)
    in_database(postgres_server, new_database, tables)
    (after,) = await doctor(tmp_path, guest)

    assert "user guest may not use the schema remediator" == before.detail
    assert between.detail.startswith("user guest may not read and write ")
    assert {"run", "version", "occurrence"} <= set(
        between.detail.removeprefix("user guest may not read and write ").split(", ")
    )
    assert tables == between.remedy
    assert after.detail.endswith("the tables can be read and written")
    await opened_once(guest)


async def test_tables_of_a_newer_program_are_told(
    tmp_path: Path, postgres_server: services.Postgres, new_database: str
) -> None:
    """The service would refuse to start, with the old one ended already."""
    await opened_once(new_database)
    in_database(postgres_server, new_database, f"UPDATE remediator.version SET number = {len(STEPS) + 1}")
    found = await doctor(tmp_path, new_database)

    assert [Verdict.PROBLEM] == [finding.verdict for finding in found]
    assert f"its tables are of version {len(STEPS) + 1}, and this program knows {len(STEPS)}" == found[0].detail


async def test_a_schema_of_another_program_is_told(
    tmp_path: Path, postgres_server: services.Postgres, new_database: str
) -> None:
    """Nothing of ours is to be written into it."""
    in_database(
        postgres_server,
        new_database,
        "CREATE SCHEMA remediator AUTHORIZATION remediator",
        "CREATE TABLE remediator.version (release text)",
        "ALTER TABLE remediator.version OWNER TO remediator",
    )
    found = await doctor(tmp_path, new_database)

    assert [Verdict.PROBLEM] == [finding.verdict for finding in found]
    assert "the schema remediator there is not ours" in found[0].detail


async def test_a_user_whose_transactions_only_read_is_told(
    tmp_path: Path, postgres_server: services.Postgres, new_database: str
) -> None:
    """A database is set so while it is moved, and it is forgotten."""
    name = new_database.rpartition("/")[2]
    postgres_server.sql(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    before = await doctor(tmp_path, new_database)
    postgres_server.sql(before[0].remedy)
    try:
        after = await doctor(tmp_path, new_database)
    finally:
        postgres_server.sql("ALTER ROLE remediator RESET default_transaction_read_only")

    assert [Verdict.PROBLEM] == [finding.verdict for finding in before]
    assert [Verdict.OK] == [finding.verdict for finding in after]


async def test_a_standby_is_told(tmp_path: Path) -> None:
    """After a failover the old address may lead to one: reading works there, and not one alert is taken."""
    services.requires("postgres", "initdb", "pg_isready", "psql")
    with services.postgresql() as primary:
        primary.sql("CREATE ROLE remediator LOGIN", "CREATE DATABASE remediator OWNER remediator")
        primary.stop()
        (primary.folder / "data" / "standby.signal").touch()
        with services.postgresql_again(primary) as standby:
            found = await doctor(tmp_path, f"postgresql://remediator@{standby.address}/remediator")

    assert [(Verdict.PROBLEM, "name the primary in store.url")] == [(one.verdict, one.remedy) for one in found]


@pytest.mark.parametrize(
    ("password", "user", "said"),
    [
        ("guessed-badly-3", "postgres", "password authentication failed"),
        (PASSWORD, "nobody", "password authentication failed"),
    ],
    ids=["wrong password", "no such user"],
)
async def test_a_login_that_is_refused_is_told_without_the_password(
    tmp_path: Path, password: str, user: str, said: str
) -> None:
    """The service would refuse to start."""
    services.requires("postgres", "initdb", "pg_isready")
    with services.postgresql(password=PASSWORD) as server:
        found = await doctor(tmp_path, f"postgresql://{user}@{server.address}/postgres", password=password)

    assert [Verdict.PROBLEM] == [finding.verdict for finding in found]
    assert said in found[0].detail
    assert "the service refuses to start like this" in found[0].remedy
    assert password not in str(found)


async def test_a_server_that_is_away_is_told(tmp_path: Path) -> None:
    """With where it was looked for."""
    place = f"127.0.0.1:{services.free_port()}"
    found = await doctor(tmp_path, f"postgresql://remediator@{place}/remediator")

    assert [Verdict.PROBLEM] == [finding.verdict for finding in found]
    assert f"the store at {place}, database remediator" in found[0].detail
