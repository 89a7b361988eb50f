"""`Store` on PostgreSQL: every write goes through the writer, every read through a pool of a few connections."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from asyncpg import UniqueViolationError

from remediator.errors import BadSettings, StoredAlready, StoreUnavailable
from remediator.kit.clock import Clock
from remediator.kit.metrics import Metrics
from remediator.model.alert import CutGroup, Delivery
from remediator.model.audit import AuditEntry, Part, Sealed
from remediator.model.change import Ended as ChangeEnded
from remediator.model.facts import Ended, LateFinished, Started
from remediator.model.history import Known, Question
from remediator.model.ids import Digest, OccurrenceId, OwnerId, RuleId, RunId
from remediator.model.message import Message, Post, QueuedPost
from remediator.model.occurrence import Accepted, Judge, Occurrence
from remediator.model.run import Run, RunSummary, Signal
from remediator.model.stop import Stop, StopKind
from remediator.model.token import Token
from remediator.settings import StoreSettings
from remediator.storage import codec
from remediator.storage.buttons import Button, OpenQuestions, Pressed
from remediator.storage.folder import Folder
from remediator.storage.outbox import NoticeState, OutboxState
from remediator.storage.postgres import audit as audit_rows
from remediator.storage.postgres import (
    buttons,
    commands,
    cut_groups,
    intake,
    journal,
    migrating,
    outbox,
    reading,
    retention,
    runs,
    tokens,
)
from remediator.storage.postgres.gathering import Gathering
from remediator.storage.postgres.links import FAILURES, RELABEL, SCHEMA, Links
from remediator.storage.postgres.presence import News, Presence
from remediator.storage.postgres.run_writes import End, Learn, Park, RunWrite, Start, Tell
from remediator.storage.postgres.writer import Writer
from remediator.storage.presence import Replica, Roll
from remediator.storage.reading import PostState
from remediator.storage.retention import Forgotten, Retention
from remediator.storage.rows import run_of
from remediator.storage.runs import FREE, Claim, Entry, Refusal, Reservation, Wake, Word

if TYPE_CHECKING:
    from asyncpg import Record
    from asyncpg.pool import Pool

    from remediator.storage.postgres.links import Db

T = TypeVar("T")

_CLOSING = 2.0  # seconds
_REMEMBER = """
    INSERT INTO rule (digest, document, remembered_at)
    SELECT digest, document, $3 FROM unnest($1::text[], $2::text[]) AS new (digest, document) ORDER BY digest
    ON CONFLICT (digest) DO UPDATE SET remembered_at = excluded.remembered_at
"""
_SIZE = """
    SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class
    WHERE relkind = 'r' AND relnamespace = to_regnamespace($1)
"""


class PostgresStore:
    """The store in the database that `store.url` names."""

    def __init__(self, settings: StoreSettings, *, clock: Clock, metrics: Metrics) -> None:
        self._links = Links(settings)
        self._clock = clock
        self._metrics = metrics
        self._writer: Writer | None = None
        self._readers: Pool[Record] | None = None
        self._runs = Gathering(self._find_runs)
        self._signals = Gathering(self._find_signals)
        self._presence = Presence(self._links)
        self._folder = Folder(settings.directory)

    async def open(self) -> None:
        try:
            db = await self._links.connect()
            try:
                place = self._links.place
                await migrating.migrate(db, f"the store at {place.host}:{place.port}, database {place.database}")
            finally:
                await db.close(timeout=_CLOSING)
            self._readers = await self._links.pool()
        except FAILURES as error:
            ours = self._links.at_open(error)
            raise ours from ours.__cause__
        self._writer = Writer(self._links, self._metrics)

    async def close(self) -> None:
        writer, self._writer = self._writer, None
        readers, self._readers = self._readers, None
        if writer is not None:
            await writer.close()
        await self._presence.close()
        self._folder.release()
        if readers is None:
            return
        try:
            async with asyncio.timeout(_CLOSING):
                await readers.close()
        except FAILURES:
            readers.terminate()
        await self._runs.close()
        await self._signals.close()

    def _open_writer(self) -> Writer:
        if self._writer is None:
            raise StoreUnavailable("the store is not open")
        return self._writer

    async def _write(self, write: "Callable[[Db], Awaitable[T]]", *runs: RunId) -> T:
        return await self._open_writer().run(write, *runs)

    async def _make(self, write: RunWrite[T]) -> T:
        return await self._open_writer().make(write)

    async def _read(self, read: "Callable[[Db], Awaitable[T]]") -> T:
        if self._readers is None:
            raise StoreUnavailable("the store is not open")
        try:
            async with self._readers.acquire(timeout=self._links.timeout) as db:
                return await read(db)
        except FAILURES as error:
            ours = self._links.ours(error)
            raise ours from ours.__cause__

    async def probe(self) -> None:
        async def touch(db: "Db") -> None:
            await db.execute("UPDATE version SET number = number")

        await self._write(touch)

    async def remember_rules(self, documents: Mapping[Digest, Mapping[str, Any]]) -> None:
        now = codec.to_us(self._clock.now())
        bodies = [codec.write_mapping(document) for document in documents.values()]

        async def write(db: "Db") -> None:
            await db.execute(_REMEMBER, list(documents), bodies, now)

        await self._write(write)

    async def rule_document(self, digest: Digest) -> Mapping[str, Any] | None:
        async def read(db: "Db") -> dict[str, Any] | None:
            text = await db.fetchval("SELECT document FROM rule WHERE digest = $1", digest)
            return codec.read_mapping(text) if text is not None else None

        return await self._read(read)

    async def accept(self, delivery: Delivery, judge: Judge, owner: OwnerId) -> Accepted:
        try:
            accepted = await self._open_writer().accept(intake.Request(delivery, judge, owner))
        except UniqueViolationError as error:
            raise StoredAlready(f"an id of an alert or a run is there already: {error}") from error
        self._presence.tell(accepted.signalled_runs)
        if owner == FREE and accepted.new_runs:
            self._presence.tell([RunId("")])
        return accepted

    async def due_doubts(self, at: datetime, limit: int, *, sent_again: bool = False) -> tuple[Occurrence, ...]:
        return await self._read(partial(reading.due_doubts, at=at, limit=limit, sent_again=sent_again))

    async def unheard(self, before: datetime, limit: int) -> tuple[Occurrence, ...]:
        return await self._read(partial(reading.unheard, before=before, limit=limit))

    async def due_cut_groups(self, at: datetime, limit: int) -> tuple[CutGroup, ...]:
        return await self._read(partial(cut_groups.due, at=at, limit=limit))

    async def put_off_cut_group(self, group: CutGroup, ask_at: datetime) -> None:
        await self._write(partial(cut_groups.put_off, group=group, ask_at=ask_at))

    async def drop_cut_group(self, group: CutGroup) -> None:
        await self._write(partial(cut_groups.drop, group=group))

    async def wakes(self) -> tuple[Wake, ...]:
        return await self._read(reading.wakes)

    async def _find_runs(self, ids: Sequence[RunId]) -> "Mapping[str, Record]":
        return await self._read(partial(reading.find_runs, runs=ids))

    async def _find_signals(self, ids: Sequence[RunId]) -> Mapping[str, list[str]]:
        return await self._read(partial(reading.find_signals, runs=ids))

    async def take(self, run: RunId, owner: OwnerId) -> Run | None:
        found = await self.read_run(run)
        if found is None or found.owner == owner:
            return found
        return await self._write(partial(runs.claim, run=run, owner=owner, before=found.owner), run)

    async def read_signals(self, run: RunId) -> tuple[Signal, ...]:
        return tuple(map(codec.read_signal, await self._signals.get(run) or ()))

    async def learn(self, claim: Claim, entry: Entry, *, free_locks: bool = False) -> None:
        await self._make(Learn(self._clock.now(), claim, entry, free_locks))

    async def park(self, claim: Claim, entry: Entry, wake_at: datetime | None) -> bool:
        return await self._make(Park(self._clock.now(), claim, entry, wake_at))

    async def start(self, claim: Claim, entry: Entry, started: Started, reservation: Reservation) -> Refusal | None:
        return await self._make(Start(self._clock.now(), claim, entry, started, reservation))

    async def end(
        self,
        claim: Claim,
        entry: Entry,
        ended: Ended,
        *,
        keep_locks_until: datetime | None,
        wake_at: datetime | None = None,
    ) -> bool:
        return await self._make(End(self._clock.now(), claim, entry, ended, keep_locks_until, wake_at))

    async def settle_late(
        self,
        run: RunId,
        fact: LateFinished,
        posts: Sequence[Post],
        endings: Sequence[ChangeEnded] = (),
        audit: Sequence[AuditEntry] = (),
    ) -> None:
        entry, now = Entry([fact], posts, endings, audit=audit), self._clock.now()
        await self._write(partial(runs.settle_late, run=run, entry=entry, now=now), run)

    async def signal(self, run: RunId, signal: Signal, audit: Sequence[AuditEntry] = ()) -> bool:
        stored = await self._make(Tell(self._clock.now(), run, signal, audit))
        if stored:
            self._presence.tell([run])
        return stored

    async def hear(self, run: RunId, judge: Callable[[Run], Word[T]]) -> T | None:
        now = self._clock.now()
        answer = await self._open_writer().run(lambda db: runs.hear(db, run=run, judge=judge, now=now), run)
        self._presence.tell([run])
        return answer

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
        await self._write(partial(buttons.keep, buttons=made), *{button.run for button in made})

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
        put = _audited(partial(journal.put_stop, stop=stop), audit)
        return await self._open_writer().run(put, stops_starts=True)

    async def prolong_stop(self, stop: Stop, audit: Sequence[AuditEntry] = ()) -> Stop | None:
        prolong = _audited(partial(journal.prolong_stop, stop=stop, now=self._clock.now()), audit)
        return await self._open_writer().run(prolong, stops_starts=True)

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
        row = await self._runs.get(run)
        return None if row is None else run_of(row, row["facts"], row["words"])

    async def list_runs(
        self, *, limit: int, outcome: str | None = None, active: bool = False, unsettled: bool = False
    ) -> tuple[RunSummary, ...]:
        look = partial(reading.list_runs, limit=limit, outcome=outcome, active=active, unsettled=unsettled)
        return await self._read(look)

    async def runs_of(self, occurrence: OccurrenceId) -> tuple[RunSummary, ...]:
        return await self._read(partial(reading.runs_of, occurrence=occurrence))

    async def newest_occurrence(self, fingerprint: str) -> Occurrence | None:
        found = await self._read(partial(reading.newest_occurrences, fingerprints=(fingerprint,)))
        return found.get(fingerprint)

    async def list_occurrences(self, *, limit: int, only_open: bool = False) -> tuple[Occurrence, ...]:
        return await self._read(partial(reading.list_occurrences, limit=limit, only_open=only_open))

    async def forget(self, old: Retention, *, limit: int) -> Forgotten:
        now = self._clock.now()
        found = await self._read(partial(retention.find, old=old, limit=limit, now=now))
        runs_gone = occurrences_gone = 0
        for piece in _pieces(list(map(RunId, found.runs))):
            runs_gone += await self._write(partial(retention.delete_runs, runs=piece, now=now), *piece)
        for some in _pieces(found.occurrences):
            occurrences_gone += await self._write(partial(retention.delete_occurrences, occurrences=some, now=now))
        journal_gone = await self._write(partial(retention.delete_journal, old=old, limit=limit, now=now))
        forget_rest = partial(retention.delete_rest, old=old, news_before=found.news_before, limit=limit)
        rest = await self._write(forget_rest)
        return Forgotten(runs_gone, occurrences_gone) + journal_gone + rest

    def on_news(self, tell: News) -> None:
        self._presence.on_news(tell)

    async def join(self, replica: OwnerId, name: str) -> str:
        try:
            await asyncio.to_thread(self._folder.hold)
            instance = await asyncio.to_thread(self._folder.name)
        except OSError as error:
            raise BadSettings(f"store.directory {self._folder.path} cannot be used: {error.strerror}") from error
        self._links.owner = replica
        await self._write(lambda db: db.fetchval(RELABEL, self._links.label))
        await self._presence.join(replica, name, instance)
        return instance

    async def leave(self, replica: OwnerId) -> None:
        await self._presence.leave(replica, self._clock.now())

    async def retire(self, replica: OwnerId, keeps: Collection[RunId]) -> None:
        await self._presence.retire(replica, keeps, self._clock.now())

    async def beat(self, replica: OwnerId, *, willing: bool) -> Roll:
        return await self._presence.beat(replica, willing=willing)

    async def bury(self, dead: Sequence[Replica]) -> tuple[OwnerId, ...]:
        return await self._presence.bury(dead)

    async def free_orphans(self) -> int:
        return await self._presence.free_orphans(self._clock.now())

    async def claim_due(
        self, owner: OwnerId, limit: int, *, oldest: bool = False, but_not: Collection[RuleId] = ()
    ) -> tuple[Wake, ...]:
        claim = partial(runs.claim_due, owner=owner, limit=limit, oldest=oldest, but_not=but_not, now=self._clock.now())
        return await self._write(claim)

    async def count_unclaimed(self, limit: int) -> int:
        return await self._read(partial(reading.count_unclaimed, at=self._clock.now(), limit=limit))

    async def overdue(self, owner: OwnerId, before: datetime, limit: int) -> tuple[Wake, ...]:
        return await self._read(partial(reading.overdue, owner=owner, before=before, limit=limit))

    async def version(self) -> int:
        async def read(db: "Db") -> int:
            return int(await db.fetchval("SELECT number FROM version"))

        return await self._read(read)

    async def size(self) -> int:
        async def read(db: "Db") -> int:
            return int(await db.fetchval(_SIZE, SCHEMA))

        return await self._read(read)


def _audited(write: "Callable[[Db], Awaitable[T]]", entries: Sequence[AuditEntry]) -> "Callable[[Db], Awaitable[T]]":
    """A write that enters these in the audit journal where it has written something."""

    async def both(db: "Db") -> T:
        written = await write(db)
        if written:
            await audit_rows.enter(db, entries)
        return written

    return both


def _pieces(ids: Sequence[T]) -> list[Sequence[T]]:
    return [ids[start : start + retention.PIECE] for start in range(0, len(ids), retention.PIECE)]
