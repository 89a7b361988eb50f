"""A store of an older version is brought up to date when it is opened, at once or not at all."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from remediator.errors import BadSettings
from remediator.kit.metrics import Metrics
from remediator.model.alert import Alert, AlertStatus, Delivery
from remediator.model.change import Change
from remediator.model.facts import Ended, Started
from remediator.model.history import Latest, Which
from remediator.model.ids import Fingerprint, OwnerId, RuleId, RunId, StepId
from remediator.model.message import Message, Tone
from remediator.model.occurrence import Closing, Ruling, Verdict
from remediator.model.outcome import Outcome
from remediator.model.run import Resolved
from remediator.storage.runs import Claim, Entry, Reservation
from remediator.storage.sqlite import SqliteStore
from remediator.testing.clock import VirtualClock

T0 = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)

VERSION_1 = """
-- The embedded store. Times are microseconds since 1970 (UTC); bodies are JSON.

CREATE TABLE occurrence (
    id          TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    labels      TEXT NOT NULL,
    annotations TEXT NOT NULL,
    receiver    TEXT NOT NULL,
    starts_at   INTEGER NOT NULL,
    opened_at   INTEGER NOT NULL,
    heard_at    INTEGER NOT NULL,
    closed_at   INTEGER,
    closing     TEXT,
    ends_at     INTEGER,
    doubt       TEXT,
    doubt_until INTEGER
) STRICT;
CREATE UNIQUE INDEX occurrence_open ON occurrence (fingerprint) WHERE closed_at IS NULL;
CREATE INDEX occurrence_newest ON occurrence (fingerprint);  -- the newest has the highest rowid, whatever the clock did
CREATE INDEX occurrence_doubt ON occurrence (doubt_until) WHERE doubt_until IS NOT NULL;

-- A rule as it was when a run started with it.
CREATE TABLE rule (
    digest   TEXT PRIMARY KEY,
    document TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE run (
    id          TEXT PRIMARY KEY,
    rule        TEXT NOT NULL,
    rule_digest TEXT NOT NULL REFERENCES rule (digest),
    occurrence  TEXT NOT NULL REFERENCES occurrence (id),
    alert       TEXT NOT NULL,
    alertname   TEXT NOT NULL,
    summary     TEXT NOT NULL,
    channel     TEXT NOT NULL,
    owner       TEXT NOT NULL,
    epoch       INTEGER NOT NULL,
    signals     INTEGER NOT NULL,
    wake_at     INTEGER,          -- when there is something to do; NULL when there is nothing
    created_at  INTEGER NOT NULL,
    ended_at    INTEGER,
    outcome     TEXT,
    UNIQUE (occurrence, rule)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_due ON run (wake_at) WHERE wake_at IS NOT NULL;
CREATE INDEX run_newest ON run (created_at DESC);

-- What happened in a run, append-only.
CREATE TABLE fact (
    seq     INTEGER PRIMARY KEY,
    run     TEXT NOT NULL REFERENCES run (id),
    step    TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    kind    TEXT NOT NULL,
    body    TEXT NOT NULL,
    UNIQUE (run, step, attempt, kind)
) STRICT;

-- What came to a run from outside.
CREATE TABLE signal (
    seq  INTEGER PRIMARY KEY,
    run  TEXT NOT NULL REFERENCES run (id),
    body TEXT NOT NULL
) STRICT;
CREATE INDEX signal_of_run ON signal (run, seq);

-- Who may act on a target: a run while it lives (`until` is NULL), or nobody before `until`.
CREATE TABLE lock (
    target TEXT PRIMARY KEY,
    run    TEXT NOT NULL REFERENCES run (id),
    until  INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX lock_of_run ON lock (run);

-- The outbox: what chat is to be told. A row is sent when `sent_version` has reached `version`.
CREATE TABLE post (
    seq          INTEGER PRIMARY KEY,
    run          TEXT NOT NULL REFERENCES run (id),
    key          TEXT NOT NULL,
    channel      TEXT NOT NULL,
    message      TEXT NOT NULL,
    version      INTEGER NOT NULL DEFAULT 1,
    sent_version INTEGER NOT NULL DEFAULT 0,
    queued_at    INTEGER NOT NULL,
    attempted    INTEGER NOT NULL DEFAULT 0, -- 1 once somebody has begun to send it
    ref          TEXT,
    UNIQUE (run, key)
) STRICT;
CREATE INDEX post_waiting ON post (seq) WHERE sent_version < version;
"""

ROWS = """
INSERT INTO rule VALUES ('d1', '{"pack": "p"}');
INSERT INTO occurrence (id, fingerprint, labels, annotations, receiver, starts_at, opened_at, heard_at, closed_at)
VALUES ('o1', 'f1', '{"alertname": "Down"}', '{}', 'r', 1, 1, 1, NULL),
    ('o2', 'f2', '{"alertname": "Slow"}', '{}', 'r', 2, 2, 2, 5);
INSERT INTO run (id, rule, rule_digest, occurrence, alert, alertname, summary, channel, owner, epoch, signals, wake_at,
    created_at, ended_at, outcome)
VALUES ('r1', 'p/a', 'd1', 'o1', '{"fingerprint": "f1", "status": "firing", "labels": {"alertname": "Down"},
    "annotations": {}, "starts_at": "2026-01-01T12:00:00Z"}', 'Down', 'down', '#c', 'me', 1, 0, NULL, 1, NULL, NULL),
    ('r2', 'p/b', 'd1', 'o1', '{"fingerprint": "f1", "status": "firing", "labels": {"alertname": "Down"},
    "annotations": {}, "starts_at": "2026-01-01T12:00:00Z"}', 'Down', 'down', '#c', 'me', 1, 1, 1, 1, 4, 'healed');
INSERT INTO fact (run, step, attempt, kind, body) VALUES ('r2', '', 1, 'ended',
    '{"at": "2026-01-01T12:00:00Z", "outcome": "healed", "brief": "fine", "kind": "ended"}');
INSERT INTO signal (run, body) VALUES ('r2', '{"at": "2026-01-01T12:00:00Z", "kind": "resolved"}');
INSERT INTO lock VALUES ('docker:local/web', 'r1', NULL);
INSERT INTO post (run, key, channel, message, version, sent_version, queued_at, attempted, ref)
VALUES ('r1', 'parent', '#c', '{"tone": "firing", "title": "down"}', 2, 1, 3, 1, 'C1:1.0');
PRAGMA user_version = 1;
"""


def old_store(folder: Path, *more: str) -> Path:
    """A store as version 1 left it."""
    with closing(sqlite3.connect(folder / "remediator.sqlite3")) as db:
        for statements in (VERSION_1, ROWS, *more):
            db.executescript(statements)
    return folder


def store_in(folder: Path) -> SqliteStore:
    return SqliteStore(folder, clock=VirtualClock(T0), metrics=Metrics())


def tables_of(folder: Path) -> dict[str, str]:
    """What is made, in words without comments and line breaks."""
    with closing(sqlite3.connect(folder / "remediator.sqlite3")) as db:
        rows = db.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL").fetchall()
    lines = {name: [line.partition("--")[0] for line in sql.splitlines()] for name, sql in rows}
    words = {name: " ".join(" ".join(text).replace('"', "").split()) for name, text in lines.items()}
    return {name: text.replace(" ,", ",").replace(" )", ")") for name, text in words.items()}


async def test_a_migrated_store_has_the_tables_of_a_new_one(tmp_path: Path) -> None:
    """Two kinds of stores would each need tests of their own."""
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    old_store(tmp_path / "old")
    for name in ("old", "new"):
        store = store_in(tmp_path / name)
        await store.open()
        await store.close()

    assert tables_of(tmp_path / "new") == tables_of(tmp_path / "old")


async def test_a_migrated_store_still_knows_everything(tmp_path: Path) -> None:
    """People's runs are under way in it."""
    store = store_in(old_store(tmp_path))
    await store.open()
    first, second = await store.read_run(RunId("r1")), await store.read_run(RunId("r2"))
    (post,) = await store.waiting_posts(10)
    known = await store.newest_occurrence("f1")
    wakes = await store.wakes()
    await store.close()

    assert first is not None
    assert second is not None
    assert (Ended(T0, Outcome.HEALED, "fine"),) == second.facts
    assert (Resolved(T0),) == second.signals
    assert ("r1", "parent", 2, "C1:1.0", True) == (post.run, post.key, post.version, post.ref, post.attempted)
    assert known is not None
    assert known.runs_ended_at is None  # one of its two runs is under way
    assert [RunId("r2")] == [wake.run for wake in wakes]


async def test_a_migrated_store_goes_on(tmp_path: Path) -> None:
    """Old runs hear of their alert's end, and what is new works."""
    store = store_in(old_store(tmp_path))
    await store.open()
    await store.notify("#c", "rules", Message(Tone.BAD, "wrong"), T0)
    close = Verdict(Ruling.RESOLVED, close=Closing.RESOLVED)
    resolve = Alert(Fingerprint("f1"), AlertStatus.RESOLVED, {}, {}, T0)
    accepted = await store.accept(Delivery((resolve,), received_at=T0), lambda _alert, _known: close, OwnerId("me"))
    ended = Ended(T0, Outcome.HEALED, "fine")
    await store.end(Claim(RunId("r1"), OwnerId("me"), 1, 1), Entry([ended]), ended, keep_locks_until=None)
    known = await store.newest_occurrence("f1")
    await store.close()

    assert {"r1", "r2"} == set(accepted.signalled_runs)
    assert known is not None
    assert T0 == known.runs_ended_at


async def test_a_migrated_store_finds_what_is_open_by_its_name(tmp_path: Path) -> None:
    """What fires since before the upgrade is as good a reason to wait as what fires since then."""
    store = store_in(old_store(tmp_path))
    await store.open()
    by_name = await store.open_alerts_named(["Down", "Slow"], limit=10)
    of_run = await store.open_alerts_of(RunId("r1"), limit=10)
    claim, change = Claim(RunId("r1"), OwnerId("me"), 1, 0), Change(RunId("r1"), 1, RuleId("p/a"), "t", "a", T0, T0)
    started = Started(T0, 1, StepId("remediate.0.0"), 1, 1, T0)
    begun = await store.start(claim, Entry(), started, Reservation(changes=(change,)))
    asked = Latest(Which(), 5, T0 - timedelta(hours=1))
    entered = (await store.known((asked,))).latest(asked)
    await store.close()

    assert (["o1"], ["o1"]) == ([one.id for one in by_name], [one.id for one in of_run])
    assert begun is None
    assert (change,) == entered


async def test_a_migration_that_fails_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    """Half a migration would fit neither this program nor the one before."""
    old_store(tmp_path, "CREATE TABLE member (somebody TEXT);")
    before = tables_of(tmp_path)
    store = store_in(tmp_path)

    with pytest.raises(BadSettings, match="table member already exists"):
        await store.open()

    await store.close()
    with closing(sqlite3.connect(tmp_path / "remediator.sqlite3")) as db:
        left = db.execute("PRAGMA user_version").fetchone()[0], db.execute("SELECT count(*) FROM run").fetchone()[0]
    assert (1, 2) == left
    assert before == tables_of(tmp_path)


async def test_a_migrated_store_keeps_its_references(tmp_path: Path) -> None:
    """They are switched off while tables are made anew, and are to hold again afterwards."""
    store = store_in(old_store(tmp_path))
    await store.open()
    with pytest.raises(sqlite3.IntegrityError):
        await store._write(lambda db: db.execute("INSERT INTO signal (run, body) VALUES ('nobody', '{}')"))
    await store.close()
    with closing(sqlite3.connect(tmp_path / "remediator.sqlite3")) as db:
        assert [] == db.execute("PRAGMA foreign_key_check").fetchall()
