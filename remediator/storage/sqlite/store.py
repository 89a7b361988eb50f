"""`Store` on SQLite: every method is one job of the writer thread, or one read of the reading thread."""

import asyncio
import fcntl
import os
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import IO, Any, TypeVar

from remediator.errors import BadSettings, StoreUnavailable
from remediator.kit.clock import Clock
from remediator.kit.metrics import Metrics
from remediator.model.alert import Delivery
from remediator.model.facts import Ended, LateFinished, Started
from remediator.model.ids import Digest, OwnerId, RunId
from remediator.model.message import Message, Post, QueuedPost
from remediator.model.occurrence import Accepted, Judge, Occurrence
from remediator.model.run import Run, RunSummary, Signal
from remediator.storage import codec
from remediator.storage.sqlite import intake, migrating, outbox, reading, runs
from remediator.storage.sqlite.writer import Writer
from remediator.storage.store import Claim, Entry, OutboxState, Refusal, Reservation

T = TypeVar("T")

FILE_NAME = "remediator.sqlite3"


class SqliteStore:
    """The embedded store in a folder of its own, or in memory where `directory` is None (for tests)."""

    def __init__(self, directory: Path | None, *, clock: Clock, metrics: Metrics) -> None:
        self._directory = directory
        self._clock = clock
        self._metrics = metrics
        self._writer: Writer | None = None
        self._connections: list[sqlite3.Connection] = []
        self._reader: sqlite3.Connection | None = None
        self._reading = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sqlite-reader")
        self._lock_file: IO[str] | None = None

    async def open(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._reading, self._open)

    def _open(self) -> None:
        try:
            path = self._prepare_folder()
            connection = self._connect(path)
            migrating.migrate(connection, f"the store in {self._directory}")
            self._writer = Writer(connection, self._metrics)
            if path != ":memory:":
                self._reader = self._connect(path)
                self._reader.execute("PRAGMA query_only = ON")
        except (OSError, sqlite3.Error) as error:
            raise BadSettings(
                f"the store in {self._directory} cannot be opened: {error}; "
                "is store.directory a folder that this user may write to?"
            ) from error

    def _prepare_folder(self) -> str:
        if self._directory is None:
            return ":memory:"
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (self._directory / "lock").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise BadSettings(
                f"another remediator is using the store in {self._directory}; stop it, or give this one "
                "another store.directory"
            ) from None
        self._lock_file = lock
        path = self._directory / FILE_NAME
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        return str(path)

    def _connect(self, path: str) -> sqlite3.Connection:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
        self._connections.append(connection)
        connection.row_factory = sqlite3.Row
        connection.executescript(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
            "PRAGMA busy_timeout = 5000; PRAGMA wal_autocheckpoint = 200;"
        )
        return connection

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._reading, self._close)
        self._reading.shutdown()

    def _close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
        for connection in self._connections:
            connection.close()
        if self._lock_file is not None:
            self._lock_file.close()

    async def _write(self, write: Callable[[sqlite3.Connection], T]) -> T:
        if self._writer is None:
            raise StoreUnavailable("the store is not open")
        return await self._writer.run(write)

    async def _read(self, read: Callable[[sqlite3.Connection], T]) -> T:
        if self._reader is None:
            return await self._write(read)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._reading, read, self._reader)
        except sqlite3.Error as error:
            raise StoreUnavailable(f"the store cannot be read: {error}") from error

    async def probe(self) -> None:
        def touch(db: sqlite3.Connection) -> None:
            db.execute("INSERT INTO rule (digest, document) VALUES ('probe', '{}')")
            db.execute("DELETE FROM rule WHERE digest = 'probe'")

        await self._write(touch)

    async def remember_rules(self, documents: Mapping[Digest, Mapping[str, Any]]) -> None:
        rows = [(digest, codec.write_mapping(document)) for digest, document in documents.items()]

        def write(db: sqlite3.Connection) -> None:
            db.executemany("INSERT INTO rule (digest, document) VALUES (?, ?) ON CONFLICT DO NOTHING", rows)

        await self._write(write)

    async def rule_document(self, digest: Digest) -> Mapping[str, Any] | None:
        def read(db: sqlite3.Connection) -> dict[str, Any] | None:
            row = db.execute("SELECT document FROM rule WHERE digest = ?", (digest,)).fetchone()
            return codec.read_mapping(row["document"]) if row else None

        return await self._read(read)

    async def accept(self, delivery: Delivery, judge: Judge, owner: OwnerId) -> Accepted:
        return await self._write(partial(intake.accept, delivery=delivery, judge=judge, owner=owner))

    async def due_doubts(self, at: datetime, limit: int, *, sent_again: bool = False) -> tuple[Occurrence, ...]:
        return await self._read(partial(reading.due_doubts, at=at, limit=limit, sent_again=sent_again))

    async def wakes(self) -> tuple[tuple[RunId, datetime], ...]:
        return await self._read(reading.wakes)

    async def take(self, run: RunId, owner: OwnerId) -> Run | None:
        found = await self._read(partial(reading.read_run, run=run))
        if found is None or found.owner == owner:
            return found
        return await self._write(partial(runs.take_over, run=run, owner=owner))

    async def read_signals(self, run: RunId) -> tuple[Signal, ...]:
        return await self._read(partial(reading.read_signals, run=run))

    async def learn(self, claim: Claim, entry: Entry) -> None:
        await self._write(partial(runs.learn, claim=claim, entry=entry, now=self._clock.now()))

    async def park(self, claim: Claim, entry: Entry, wake_at: datetime | None) -> bool:
        return await self._write(partial(runs.park, claim=claim, entry=entry, wake_at=wake_at, now=self._clock.now()))

    async def start(
        self, claim: Claim, entry: Entry, started: Started, reservations: Sequence[Reservation]
    ) -> Refusal | None:
        try:
            await self._write(
                partial(
                    runs.start,
                    claim=claim,
                    entry=entry,
                    started=started,
                    reservations=reservations,
                    now=self._clock.now(),
                )
            )
        except runs.Refused as refused:
            return refused.refusal
        return None

    async def end(self, claim: Claim, entry: Entry, ended: Ended, *, keep_locks_until: datetime | None) -> bool:
        return await self._write(
            partial(
                runs.end,
                claim=claim,
                entry=entry,
                ended=ended,
                keep_locks_until=keep_locks_until,
                now=self._clock.now(),
            )
        )

    async def settle_late(self, run: RunId, fact: LateFinished, posts: Sequence[Post]) -> None:
        await self._write(partial(runs.settle_late, run=run, fact=fact, posts=posts, now=self._clock.now()))

    async def signal(self, run: RunId, signal: Signal) -> bool:
        return await self._write(partial(runs.signal, run=run, signal=signal, now=self._clock.now()))

    async def notify(self, channel: str, key: str, message: Message, at: datetime) -> None:
        await self._write(partial(outbox.notify, channel=channel, key=key, message=message, at=at))

    async def waiting_posts(self, limit: int) -> tuple[QueuedPost, ...]:
        return await self._read(partial(outbox.waiting_posts, limit=limit))

    async def next_post(
        self, *, resting: Collection[int], busy: Collection[str], passed: Collection[int]
    ) -> QueuedPost | None:
        return await self._read(partial(outbox.next_post, resting=resting, busy=busy, passed=passed))

    async def note_attempt(self, seq: int) -> None:
        await self._write(partial(outbox.note_attempt, seq=seq))

    async def note_sent(self, seq: int, version: int, ref: str) -> None:
        await self._write(partial(outbox.note_sent, seq=seq, version=version, ref=ref))

    async def move_thread(self, seq: int, channel: str) -> None:
        await self._write(partial(outbox.move_thread, seq=seq, channel=channel))

    async def outbox_state(self) -> OutboxState:
        return await self._read(outbox.state)

    async def read_run(self, run: RunId) -> Run | None:
        return await self._read(partial(reading.read_run, run=run))

    async def list_runs(
        self, *, limit: int, outcome: str | None = None, active: bool = False
    ) -> tuple[RunSummary, ...]:
        return await self._read(partial(reading.list_runs, limit=limit, outcome=outcome, active=active))

    async def newest_occurrence(self, fingerprint: str) -> Occurrence | None:
        return await self._read(partial(reading.newest_occurrence, fingerprint=fingerprint))

    async def list_occurrences(self, *, limit: int, only_open: bool = False) -> tuple[Occurrence, ...]:
        return await self._read(partial(reading.list_occurrences, limit=limit, only_open=only_open))
