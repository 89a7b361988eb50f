"""Fills a store: one real run is copied a million times, in SQL. What was filled is kept, and used again.

The rows are those that the service itself wrote, so that they look like any others, whatever version the tables have.
"""

import shutil
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from bench import load, packs, runs
from bench.load import Job
from bench.processes import World

_TABLES = ("occurrence", "run", "member", "fact", "post", "change")
_IDS = {
    "occurrence": {"id"},
    "run": {"id", "occurrence"},
    "member": {"occurrence", "run"},
    "fact": {"run"},
    "post": {"run"},
    "change": {"run"},
}
_KEYS = {"occurrence": "id", "run": "occurrence", "member": "occurrence", "fact": "run", "post": "run", "change": "run"}
_TIMES = {
    "occurrence": {"opened_at", "closed_at"},
    "run": {"created_at", "ended_at"},
    "post": {"queued_at"},
    "change": {"alert_at", "at", "ended_at"},
}
_TARGETS = 10_000  # that they have changed
_LOOKS = 3
_APART = 1_700_000  # microseconds between two runs: a million of them have come over some twenty days
OPEN, CLOSED = "open", "resolved"


def fill_sqlite(world: World, *, finished: int, still_open: int) -> Path:
    """A folder for a service, whose store holds so many finished runs, the first of them with open occurrences."""
    folder = world.folder / f"full-sqlite-{finished}-{still_open}"
    if (folder / "filled").exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    patterns = _write_patterns(world, "sqlite", folder)
    with closing(sqlite3.connect(folder / "store" / "remediator.sqlite3", isolation_level=None)) as db:
        db.executescript("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; PRAGMA cache_size = -500000;")
        db.execute("BEGIN")
        first = 1
        for kind, count in ((OPEN, still_open), (CLOSED, finished - still_open)):
            occurrence, run = patterns(db_rows_of_sqlite(db))[kind]
            for table in _TABLES:
                columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})") if row[1] != "seq"]
                key = run if _KEYS[table] == "run" else occurrence
                db.execute(
                    "WITH RECURSIVE numbers (n) AS (SELECT :first UNION ALL SELECT n + 1 FROM numbers WHERE n < :last)"
                    + _copy(table, columns, "printf('%026X', numbers.n)", "printf('%016x', numbers.n)"),
                    {"first": first, "last": first + count - 1, "key": key},
                )
            first += count
        db.execute("COMMIT")
        db.execute("ANALYZE")
    (folder / "filled").touch()
    return folder


def fill_postgresql(world: World, *, finished: int, still_open: int) -> str:
    """The name of a database that holds the same."""
    name = f"full_{finished}_{still_open}"
    if world.database.sql(f"SELECT 1 FROM pg_database WHERE datname = '{name}'"):
        return name
    folder = world.new_folder("filling")
    begun = f"begun_{name}"
    world.database.sql(f'DROP DATABASE IF EXISTS "{begun}"')
    patterns = _write_patterns(world, "postgresql", folder, database=begun)
    rows = world.database.sql("SELECT o.labels, o.id, r.id FROM remediator.run AS r JOIN remediator.occurrence AS o"
                              " ON o.id = r.occurrence", database=begun)  # fmt: skip
    found = patterns([tuple(line.rsplit("|", 2)) for line in rows.splitlines()])  # type: ignore[misc]  # three parts
    first = 1
    statements = [
        "SET search_path = remediator",
        "SET session_replication_role = replica",
        "SET synchronous_commit = off",
    ]
    for kind, count in ((OPEN, still_open), (CLOSED, finished - still_open)):
        occurrence, run = found[kind]
        for table in _TABLES:
            listed = world.database.sql(
                "SELECT column_name FROM information_schema.columns WHERE table_schema = 'remediator'"
                f" AND table_name = '{table}' AND is_identity = 'NO' ORDER BY ordinal_position",
                database=begun,
            )
            copied = _copy(table, listed.split(), "lpad(upper(to_hex(n)), 26, '0')", "lpad(to_hex(n), 16, '0')")
            key = run if _KEYS[table] == "run" else occurrence
            numbers = f"WITH numbers AS (SELECT n FROM generate_series({first}, {first + count - 1}) AS n)"
            statements.append(f"{numbers} {copied}".replace(":key", f"'{key}'"))
        first += count
    world.database.sql(*statements, "ANALYZE", "CHECKPOINT", database=begun)
    world.database.sql(f'ALTER DATABASE "{begun}" RENAME TO "{name}"')
    return name


def _copy(table: str, columns: Sequence[str], new_id: str, new_fingerprint: str) -> str:
    """SQL that copies what belongs to one run, or one occurrence, once for each of `numbers`."""
    new = {**dict.fromkeys(_IDS[table], new_id), "fingerprint": new_fingerprint}
    if table == "change":
        new["target"] = f"source.target || '-' || numbers.n % {_TARGETS}"
    new |= {column: f"source.{column} - numbers.n * CAST({_APART} AS bigint)" for column in _TIMES.get(table, ())}
    shown = [new.get(column, f"source.{column}") for column in columns]
    return (
        f" INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(shown)} FROM {table} AS source, numbers"
        f" WHERE source.{_KEYS[table]} = :key"
    )


class _Patterns:
    """The two runs to be copied, by what their alert was called."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def __call__(self, rows: Sequence[tuple[str, str, str]]) -> dict[str, tuple[str, str]]:
        found = {}
        for labels, occurrence, run in rows:
            for kind in (OPEN, CLOSED):
                if f"{self._prefix}-{kind}-0" in labels:
                    found[kind] = (occurrence, run)
        return found


def db_rows_of_sqlite(db: sqlite3.Connection) -> list[tuple[str, str, str]]:
    """Labels, occurrence and run of every run that there is now, if those are few."""
    return list(
        db.execute(
            "SELECT o.labels, o.id, r.id FROM run AS r JOIN occurrence AS o ON o.id = r.occurrence"
            " ORDER BY r.id DESC LIMIT 10"
        )
    )


def _write_patterns(world: World, store: str, folder: Path, *, database: str = "") -> _Patterns:
    """Have the service do two complete runs: the alert of one stays open, that of the other resolves."""
    service = world.service(store, [packs.COMPLETE], folder=folder, database=database)
    prefix = world.prefix()
    for kind in (OPEN, CLOSED):
        load.run(Job(service.port, f"{prefix}-{kind}", 1, "Complete", connections=1))
    runs.wait_for_ended([service], 2)
    load.run(Job(service.port, f"{prefix}-{CLOSED}", 1, "Complete", connections=1, resolved=True))
    end, quiet = time.monotonic() + 60, 0
    while quiet < _LOOKS and time.monotonic() < end:  # every message of theirs is sent; it counts them once a second
        time.sleep(1)
        quiet = quiet + 1 if "remediator_outbox_waiting 0.0" in service.get("/metrics").decode() else 0
    if quiet < _LOOKS:
        raise RuntimeError("the messages of the runs to be copied were not sent")
    service.stop()
    return _Patterns(prefix)
