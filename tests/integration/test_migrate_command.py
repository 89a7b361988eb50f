"""`remediator migrate`: the tables are made ready before an upgrade, and whoever calls it sees that they are."""

import sqlite3

import asyncpg

from remediator.storage.postgres import migrating
from tests.served import Served


async def test_the_tables_of_postgresql_are_brought_forward_while_others_use_them(
    served: Served, new_database: str
) -> None:
    """An upgrade rolls: first the tables, then one process after the other."""
    link = await asyncpg.connect(new_database)
    await migrating.migrate(link, "the store", [migrating.read(migrating.STEPS[0])])
    await link.execute("INSERT INTO remediator.rule VALUES ('d', '{}', 0)")
    served.configure(store={"directory": str(served.folder / "store"), "url": new_database})
    done = served.command("migrate")
    kept = await link.fetchval("SELECT count(*) FROM remediator.rule")
    await link.close()

    assert 0 == done.returncode, done.stderr
    assert f"the tables are of version {len(migrating.STEPS)}\n" in done.stdout
    assert 1 == kept


def test_the_embedded_store_is_brought_forward_as_well(served: Served) -> None:
    served.configure()
    done = served.command("migrate")
    again = served.command("migrate")
    with sqlite3.connect(served.folder / "store" / "remediator.sqlite3") as db:
        (version,) = db.execute("PRAGMA user_version").fetchone()
    db.close()

    assert (0, 0) == (done.returncode, again.returncode), done.stderr
    assert again.stdout.endswith(f"the tables are of version {version}\n")


def test_a_store_that_is_in_use_is_left_alone(served: Served) -> None:
    served.configure()
    served.start()
    try:
        done = served.command("migrate")
    finally:
        served.end()

    assert 2 == done.returncode
    assert "another" in done.stderr
