"""`Store` on SQLite: every method is one job of the writer thread, or one read of the reading thread."""

import asyncio
import os
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from remediator.errors import BadSettings, StoredAlready, StoreUnavailable
from remediator.kit.clock import Clock
from remediator.kit.metrics import Metrics
from remediator.model.alert import CutGroup, Delivery
from remediator.model.audit import AuditEntry, Part, Sealed
from remediator.model.change import Ended as ChangeEnded
from remediator.model.facts import Ended, LateFinished, Started
from remediator.model.history import Known, Question
from remediator.model.ids import Digest, OccurrenceId, OwnerId, RunId
from remediator.model.message import Message, Post, QueuedPost
from remediator.model.occurrence import Accepted, Judge, Occurrence
from remediator.model.run import Run, RunSummary, Signal
from remediator.model.stop import Stop, StopKind
from remediator.model.token import Token
from remediator.storage import codec
from remediator.storage.buttons import Button, OpenQuestions, Pressed
from remediator.storage.changes import Request
from remediator.storage.folder import Folder
from remediator.storage.outbox import NoticeState, OutboxState
from remediator.storage.reading import PostState
from remediator.storage.retention import Forgotten, Retention
from remediator.storage.runs import Claim, Entry, Refusal, Reservation, Wake, Word
from remediator.storage.sqlite import audit as audit_rows
from remediator.storage.sqlite import (
    buttons,
    commands,
    cut_groups,
    integrity,
    journal,
    migrating,
    outbox,
    reading,
    retention,
    runs,
    tokens,
)
from remediator.storage.sqlite.writer import Writer

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
        self._finder: sqlite3.Connection | None = None  # what may take long, so that no other read waits for it
        self._finding = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sqlite-finder")
        self._folder: Folder | None = None

    async def open(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._reading, self._open)

    def _open(self) -> None:
        name = f"the store in {self._directory}"
        try:
            path = self._prepare_folder()
            was_left_open = integrity.was_left_open(Path(path))
            connection = self._connect(path)
            longest = integrity.AFTER_CRASH if was_left_open else integrity.AFTER_CLEAN_STOP
            integrity.refuse_damaged(connection, name, within=longest)
            migrating.migrate(connection, name)
            self._writer = Writer(connection, self._metrics)
            if path != ":memory:":
                self._reader, self._finder = self._connect_reader(path), self._connect_reader(path)
        except (OSError, sqlite3.Error) as error:
            if isinstance(error, sqlite3.Error) and integrity.is_damage(error):
                raise integrity.damaged(name, str(error)) from error
            raise BadSettings(
                f"the store in {self._directory} cannot be opened: {error}; "
                "is store.directory a folder that this user may write to?"
            ) from error

    def _prepare_folder(self) -> str:
        if self._directory is None:
            return ":memory:"
        self._folder = Folder(self._directory)
        self._folder.hold()
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
            "PRAGMA journal_size_limit = 67108864;"  # what a backup makes it grow to is given back afterwards
        )
        return connection

    def _connect_reader(self, path: str) -> sqlite3.Connection:
        connection = self._connect(path)
        connection.execute("PRAGMA query_only = ON")
        return connection

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._reading, self._close)
        self._reading.shutdown()
        self._finding.shutdown()

    def _close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
        for connection in self._connections:
            connection.close()
        if self._folder is not None:
            self._folder.release()

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

    async def _find(self, find: Callable[[sqlite3.Connection], T]) -> T:
        """A read that may take long."""
        if self._finder is None:
            return await self._write(find)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._finding, find, self._finder)
        except sqlite3.Error as error:
            raise StoreUnavailable(f"the store cannot be read: {error}") from error

    async def probe(self) -> None:
        def touch(db: sqlite3.Connection) -> None:
            db.execute("INSERT INTO rule (digest, document, remembered_at) VALUES ('probe', '{}', 0)")
            db.execute("DELETE FROM rule WHERE digest = 'probe'")

        await self._write(touch)

    async def remember_rules(self, documents: Mapping[Digest, Mapping[str, Any]]) -> None:
        now = codec.to_us(self._clock.now())
        rows = [(digest, codec.write_mapping(document), now) for digest, document in documents.items()]

        def write(db: sqlite3.Connection) -> None:
            db.executemany(
                "INSERT INTO rule (digest, document, remembered_at) VALUES (?, ?, ?)"
                " ON CONFLICT DO UPDATE SET remembered_at = excluded.remembered_at",
                rows,
            )

        await self._write(write)

    async def rule_document(self, digest: Digest) -> Mapping[str, Any] | None:
        def read(db: sqlite3.Connection) -> dict[str, Any] | None:
            row = db.execute("SELECT document FROM rule WHERE digest = ?", (digest,)).fetchone()
            return codec.read_mapping(row["document"]) if row else None

        return await self._read(read)

    async def accept(self, delivery: Delivery, judge: Judge, owner: OwnerId) -> Accepted:
        if self._writer is None:
            raise StoreUnavailable("the store is not open")
        try:
            return await self._writer.accept(Request(delivery, judge, owner))
        except sqlite3.IntegrityError as error:
            if error.sqlite_errorcode not in (sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_UNIQUE):
                raise
            raise StoredAlready(f"an id of an alert or a run is there already: {error}") from error

    async def due_doubts(self, at: datetime, limit: int, *, sent_again: bool = False) -> tuple[Occurrence, ...]:
        return await self._read(partial(reading.due_doubts, at=at, limit=limit, sent_again=sent_again))

    async def unheard(self, before: datetime, limit: int) -> tuple[Occurrence, ...]:
        return await self._find(partial(reading.unheard, before=before, limit=limit))

    async def due_cut_groups(self, at: datetime, limit: int) -> tuple[CutGroup, ...]:
        return await self._read(partial(cut_groups.due, at=at, limit=limit))

    async def put_off_cut_group(self, group: CutGroup, ask_at: datetime) -> None:
        await self._write(partial(cut_groups.put_off, group=group, ask_at=ask_at))

    async def drop_cut_group(self, group: CutGroup) -> None:
        await self._write(partial(cut_groups.drop, group=group))

    async def wakes(self) -> tuple[Wake, ...]:
        return await self._read(reading.wakes)

    async def take(self, run: RunId, owner: OwnerId) -> Run | None:
        found = await self._read(partial(reading.read_run, run=run))
        if found is None or found.owner == owner:
            return found
        return await self._write(partial(runs.take_over, run=run, owner=owner))

    async def read_signals(self, run: RunId) -> tuple[Signal, ...]:
        return await self._read(partial(reading.read_signals, run=run))

    async def learn(self, claim: Claim, entry: Entry, *, free_locks: bool = False) -> None:
        learn = partial(runs.learn, claim=claim, entry=entry, free_locks=free_locks, now=self._clock.now())
        await self._write(learn)

    async def park(self, claim: Claim, entry: Entry, wake_at: datetime | None) -> bool:
        return await self._write(partial(runs.park, claim=claim, entry=entry, wake_at=wake_at, now=self._clock.now()))

    async def start(self, claim: Claim, entry: Entry, started: Started, reservation: Reservation) -> Refusal | None:
        try:
            await self._write(
                partial(
                    runs.start,
                    claim=claim,
                    entry=entry,
                    started=started,
                    reservation=reservation,
                    now=self._clock.now(),
                )
            )
        except runs.Refused as refused:
            return refused.refusal
        return None

    async def end(
        self,
        claim: Claim,
        entry: Entry,
        ended: Ended,
        *,
        keep_locks_until: datetime | None,
        wake_at: datetime | None = None,
    ) -> bool:
        return await self._write(
            partial(
                runs.end,
                claim=claim,
                entry=entry,
                ended=ended,
                keep_locks_until=keep_locks_until,
                wake_at=wake_at,
                now=self._clock.now(),
            )
        )

    async def settle_late(
        self,
        run: RunId,
        fact: LateFinished,
        posts: Sequence[Post],
        endings: Sequence[ChangeEnded] = (),
        audit: Sequence[AuditEntry] = (),
    ) -> None:
        entry, now = Entry([fact], posts, endings, audit=audit), self._clock.now()
        await self._write(partial(runs.settle_late, run=run, entry=entry, now=now))

    async def signal(self, run: RunId, signal: Signal, audit: Sequence[AuditEntry] = ()) -> bool:
        now = self._clock.now()
        return await self._write(partial(runs.signal, run=run, signal=signal, now=now, audited=audit))

    async def hear(self, run: RunId, judge: Callable[[Run], Word[T]]) -> T | None:
        now = self._clock.now()
        return await self._write(lambda db: runs.hear(db, run=run, judge=judge, now=now))

    async def put_token(self, token: Token, audit: Sequence[AuditEntry] = ()) -> None:
        await self._write(partial(tokens.put, token=token, audited=audit))

    async def find_token(self, token_id: str) -> Token | None:
        return await self._read(partial(tokens.find, token_id=token_id))

    async def list_tokens(self) -> tuple[Token, ...]:
        return await self._read(tokens.list_all)

    async def revoke_token(self, token_id: str, at: datetime, by: str, audit: Sequence[AuditEntry] = ()) -> bool:
        return await self._write(partial(tokens.revoke, token_id=token_id, at=at, by=by, audited=audit))

    async def audit(self, entries: Sequence[AuditEntry]) -> None:
        await self._write(partial(audit_rows.enter, entries=entries))

    async def audit_page(
        self, *, after: int, limit: int, run: RunId | None = None, part: Part = Part.ALL
    ) -> tuple[Sealed, ...]:
        return await self._read(partial(audit_rows.page, after=after, limit=limit, run=run, part=part))

    async def audit_head(self) -> tuple[int, str]:
        return await self._read(audit_rows.head)

    async def audit_begin(self) -> tuple[int, str]:
        return await self._read(audit_rows.begin)

    async def audit_unsealed(self) -> int:
        return await self._read(audit_rows.count_unsealed)

    async def seal_audit(self, seal: Callable[[str, int, AuditEntry], str], key: str, limit: int) -> int:
        return await self._write(partial(audit_rows.seal, sealing=seal, key=key, limit=limit))

    async def drop_audit(self, before: datetime, limit: int, told: Callable[[int, str], AuditEntry]) -> int:
        return await self._write(partial(audit_rows.drop, before=before, limit=limit, told=told))

    async def keep_buttons(self, made: Sequence[Button], /) -> None:
        await self._write(partial(buttons.keep, buttons=made))

    async def find_button(self, digest: bytes) -> Pressed | None:
        return await self._read(partial(buttons.find, digest=digest))

    async def send_again(self, post: int) -> None:
        await self._write(partial(buttons.send_again, post=post, now=self._clock.now()))

    async def take_command(self, key: str, at: datetime) -> bool:
        return await self._write(partial(commands.take, key=key, at=at))

    async def open_questions(self) -> tuple[OpenQuestions, ...]:
        return await self._read(buttons.open_questions)

    async def open_alerts_of(self, run: RunId, *, limit: int) -> tuple[Occurrence, ...]:
        return await self._read(partial(reading.open_alerts_of, run=run, limit=limit))

    async def open_alerts_named(self, names: Collection[str], *, limit: int) -> tuple[Occurrence, ...]:
        return await self._read(partial(reading.open_alerts_named, names=names, limit=limit))

    async def known(self, questions: Sequence[Question]) -> Known:
        return await self._read(partial(journal.known, questions=questions))

    async def put_stop(self, stop: Stop, audit: Sequence[AuditEntry] = ()) -> bool:
        return await self._write(_audited(partial(journal.put_stop, stop=stop), audit))

    async def prolong_stop(self, stop: Stop, audit: Sequence[AuditEntry] = ()) -> Stop | None:
        return await self._write(_audited(partial(journal.prolong_stop, stop=stop, now=self._clock.now()), audit))

    async def lift_stop(
        self, kind: StopKind, scope: str, at: datetime, *, after_all: bool = False, audit: Sequence[AuditEntry] = ()
    ) -> bool:
        lift = partial(journal.lift_stop, kind=kind, scope=scope, at=at, after_all=after_all)
        return await self._write(_audited(lift, audit))

    async def list_stops(self, at: datetime) -> tuple[Stop, ...]:
        return await self._read(partial(journal.list_stops, at=at))

    async def notify(self, channel: str, key: str, message: Message, at: datetime) -> None:
        await self._write(partial(outbox.notify, channel=channel, key=key, message=message, at=at))

    async def has_notice(self, channel: str, key: str) -> bool:
        return await self._read(partial(outbox.has_notice, channel=channel, key=key))

    async def read_notices(self, wanted: Collection[tuple[str, str]]) -> tuple[NoticeState, ...]:
        return await self._read(partial(outbox.read_notices, wanted=wanted))

    async def waiting_levels(self, channel: str, limit: int) -> tuple[QueuedPost, ...]:
        return await self._read(partial(outbox.waiting_levels, channel=channel, limit=limit))

    async def gather(self, posts: Collection[QueuedPost], key: str, message: Message, at: datetime) -> None:
        await self._write(partial(outbox.gather, posts=posts, key=key, message=message, at=at))

    async def waiting_posts(self, limit: int) -> tuple[QueuedPost, ...]:
        return await self._read(partial(outbox.waiting_posts, limit=limit))

    async def posts_of(self, run: RunId, *, limit: int) -> tuple[PostState, ...]:
        return await self._read(partial(outbox.posts_of, run=run, limit=limit))

    async def next_post(
        self, *, resting: Collection[int], busy: Collection[str], passed: Collection[int], full: Collection[str] = ()
    ) -> QueuedPost | None:
        return await self._read(partial(outbox.next_post, resting=resting, busy=busy, passed=passed, full=full))

    async def note_attempt(self, seq: int) -> bool:
        return await self._write(partial(outbox.note_attempt, seq=seq))

    async def note_sent(self, seq: int, version: int, ref: str) -> None:
        await self._write(partial(outbox.note_sent, seq=seq, version=version, ref=ref))

    async def move_thread(self, seq: int, channel: str) -> None:
        await self._write(partial(outbox.move_thread, seq=seq, channel=channel))

    async def outbox_state(self) -> OutboxState:
        return await self._read(outbox.state)

    async def read_run(self, run: RunId) -> Run | None:
        return await self._read(partial(reading.read_run, run=run))

    async def list_runs(
        self, *, limit: int, outcome: str | None = None, active: bool = False, unsettled: bool = False
    ) -> tuple[RunSummary, ...]:
        look = partial(reading.list_runs, limit=limit, outcome=outcome, active=active, unsettled=unsettled)
        return await (self._find(look) if unsettled or active or outcome else self._read(look))

    async def runs_of(self, occurrence: OccurrenceId) -> tuple[RunSummary, ...]:
        return await self._read(partial(reading.runs_of, occurrence=occurrence))

    async def newest_occurrence(self, fingerprint: str) -> Occurrence | None:
        return await self._read(partial(reading.newest_occurrence, fingerprint=fingerprint))

    async def list_occurrences(self, *, limit: int, only_open: bool = False) -> tuple[Occurrence, ...]:
        return await self._read(partial(reading.list_occurrences, limit=limit, only_open=only_open))

    async def forget(self, old: Retention, *, limit: int) -> Forgotten:
        now = self._clock.now()
        found = await self._find(partial(retention.find, old=old, limit=limit, now=now))
        runs_gone = occurrences_gone = 0
        left = found.runs
        while left:
            count, left = await self._write(partial(retention.delete_runs, runs=left, now=now))
            runs_gone += count
        left = found.occurrences
        while left:
            count, left = await self._write(partial(retention.delete_occurrences, occurrences=left))
            occurrences_gone += count
        gone = Forgotten(runs_gone, occurrences_gone)
        for piece in retention.pieces(limit):
            done = await self._write(partial(retention.delete_journal, old=old, limit=piece, now=now))
            gone += done
            if not done:
                break
        rest = partial(retention.delete_rest, old=old, news_before=found.news_before, limit=limit)
        return gone + await self._write(rest)

    async def version(self) -> int:
        return await self._read(_version)

    async def size(self) -> int:
        if self._directory is None:
            return await self._write(_pages_size)
        path = self._directory / FILE_NAME
        try:
            return sum(part.stat().st_size for part in path.parent.glob(f"{FILE_NAME}*"))
        except OSError as error:
            raise StoreUnavailable(f"the store cannot be looked at: {error}") from error


def _audited(write: Callable[[sqlite3.Connection], T], entries: Sequence[AuditEntry]) -> Callable[..., T]:
    """A write that enters these in the audit journal where it has written something."""

    def both(db: sqlite3.Connection) -> T:
        written = write(db)
        if written:
            audit_rows.enter(db, entries)
        return written

    return both


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _pages_size(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size").fetchone()[0])
