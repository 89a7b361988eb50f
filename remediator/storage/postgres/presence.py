"""One connection by which a process says that it lives, hears of the others, and takes over what the dead have left.

It is a connection of its own: a long commit of the writer must not make this process look dead. Used by the store.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from remediator.errors import StoreUnavailable
from remediator.model.ids import OwnerId, RunId
from remediator.storage import codec
from remediator.storage.postgres.keys import plain
from remediator.storage.postgres.links import FAILURES, LABEL, RELABEL, Links
from remediator.storage.presence import Replica, Roll

if TYPE_CHECKING:
    from asyncpg import Connection
    from asyncpg.pool import PoolConnectionProxy

    Link = Connection | PoolConnectionProxy

T = TypeVar("T")
News = Callable[[tuple[RunId, ...]], None]

_CHANNEL = "remediator"
_LONGEST = 7000  # bytes of one notification; PostgreSQL takes 8000
_CLOSING = 2.0  # seconds
_AT_ONCE = 1000  # orphans that one statement frees: some 50 ms
_QUIET = "SET synchronous_commit = off"  # beats that a crash of the server forgets are no loss
_JOIN = "INSERT INTO replica (id, name, instance) VALUES ($1, $2, $3)"
_BEAT = "UPDATE replica SET beats = beats + 1 WHERE id = $1"
# A statement that has waited for a row looks again at that row alone, and takes what it has read of other tables for
# granted. So each of these compares the row itself with what was read of it.
_LEAD = """
    UPDATE leader SET replica = $1 FROM (
        SELECT replica AS gone FROM leader WHERE replica <> $1 AND EXISTS (SELECT 1 FROM replica AS me WHERE me.id = $1)
            AND NOT EXISTS (SELECT 1 FROM replica AS other WHERE other.id = leader.replica)
    ) AS seen WHERE leader.replica = seen.gone
"""
_LEAD_NO_MORE = "UPDATE leader SET replica = '' WHERE replica = $1"
_ROLL = "SELECT id, name, instance, beats, id = (SELECT replica FROM leader) AS leads FROM replica ORDER BY id"
# One that is frozen may hold locks for as long as that lasts: none of the server's time limits ends a transaction whose
# client has sent half of a statement. So its connections are ended.
_BURY = """
    WITH buried AS (
        DELETE FROM replica USING unnest($1::text[], $2::bigint[]) AS seen (id, beats)
        WHERE replica.id = seen.id AND replica.beats = seen.beats RETURNING replica.id
    ), ended AS MATERIALIZED (
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE application_name IN (SELECT $3 || id FROM buried) AND usename = current_user
    )
    SELECT id, (SELECT count(*) FROM ended) AS ended FROM buried
"""
_FREE_ORPHANS = """
    UPDATE run SET owner = '', epoch = epoch + 1, wake_at = least(wake_at, $2) WHERE id = ANY (ARRAY(
        SELECT id FROM run WHERE wake_at IS NOT NULL AND owner = ANY (ARRAY(
            SELECT DISTINCT owner FROM run AS owned WHERE owner <> '' AND wake_at IS NOT NULL
                AND NOT EXISTS (SELECT 1 FROM replica WHERE replica.id = owned.owner)
        )) ORDER BY priority, id LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED
    )) RETURNING 1
"""
_FREE_OWN = """
    UPDATE run SET owner = '', epoch = epoch + 1, wake_at = least(wake_at, $2)
    WHERE owner = $1 AND wake_at IS NOT NULL AND id <> ALL ($3::text[])
"""


class Presence:
    """This process among those that share the store. What cannot be done now raises StoreUnavailable."""

    def __init__(self, links: Links) -> None:
        self._links = links
        self._db: Connection | None = None
        self._turn = asyncio.Lock()  # a connection does one thing at a time
        self._listener: News | None = None
        self._alone = True
        self._to_tell: dict[RunId, None] = {}
        self._telling: asyncio.Task[None] | None = None

    def on_news(self, tell: News) -> None:
        """Have `tell` called with the runs that another process names; with none where it has left some free."""
        self._listener = tell

    def tell(self, runs: Iterable[RunId]) -> None:
        """Let the other processes know, soon: of these runs, or that some are free (an empty name). It may be lost."""
        if self._alone:
            return
        self._to_tell.update(dict.fromkeys(runs))
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._send_news(), name="postgres-news")

    async def join(self, replica: OwnerId, name: str, instance: str) -> None:
        async def go(db: "Connection") -> None:
            await db.fetchval(RELABEL, self._links.label)
            await db.execute(_JOIN, replica, plain(name), instance)

        await self._do(go)

    async def leave(self, replica: OwnerId, now: datetime) -> None:
        async def go(db: "Connection") -> None:
            async with db.transaction():
                await db.execute("DELETE FROM replica WHERE id = $1", replica)
                await db.execute(_FREE_OWN, replica, codec.to_us(now), [])
            await _notify(db, [""])

        await self._do(go)

    async def retire(self, replica: OwnerId, keeps: Collection[RunId], now: datetime) -> None:
        async def go(db: "Connection") -> None:
            async with db.transaction():
                await db.execute(_LEAD_NO_MORE, replica)
                await db.execute(_FREE_OWN, replica, codec.to_us(now), list(keeps))
            await _notify(db, [""])

        await self._do(go)

    async def beat(self, replica: OwnerId, *, willing: bool) -> Roll:
        async def say(db: "Connection") -> Roll:
            await db.execute(_BEAT, replica)
            if willing:
                await db.execute(_LEAD, replica)
            rows = await db.fetch(_ROLL)
            found = tuple(Replica(OwnerId(row["id"]), row["name"], row["instance"], row["beats"]) for row in rows)
            return Roll(found, next((OwnerId(row["id"]) for row in rows if row["leads"]), None))

        roll = await self._do(say)
        self._alone = all(one.id == replica for one in roll.replicas)
        return roll

    async def bury(self, dead: Sequence[Replica]) -> tuple[OwnerId, ...]:
        ids, beats = [one.id for one in dead], [one.beats for one in dead]
        rows = await self._do(lambda db: db.fetch(_BURY, ids, beats, LABEL))
        return tuple(OwnerId(row["id"]) for row in rows)

    async def free_orphans(self, now: datetime) -> int:
        return len(await self._do(lambda db: db.fetch(_FREE_ORPHANS, _AT_ONCE, codec.to_us(now))))

    async def close(self) -> None:
        """Give the connection up."""
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.gather(self._telling, return_exceptions=True)
        db, self._db = self._db, None
        if db is not None:
            try:
                await db.close(timeout=_CLOSING)
            except FAILURES:
                db.terminate()

    async def _do(self, work: "Callable[[Connection], Awaitable[T]]") -> T:
        async with self._turn:
            try:
                return await work(await self._connected())
            except FAILURES as error:
                self._lose()
                ours = self._links.ours(error)
                raise ours from ours.__cause__

    async def _connected(self) -> "Connection":
        if self._db is None or self._db.is_closed():
            self._db = db = await self._links.connect()
            await db.execute(_QUIET)
            await db.add_listener(_CHANNEL, self._hear)
        return self._db

    def _lose(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            db.terminate()

    def _hear(self, link: "Link", sender: int, _channel: str, payload: object) -> None:
        if self._listener is not None and sender != link.get_server_pid():
            self._listener(tuple(RunId(name) for name in str(payload).split(",") if name))

    async def _send_news(self) -> None:
        """Everything that there is to tell by now, and what comes meanwhile."""
        while self._to_tell:
            names, self._to_tell = list(self._to_tell), {}
            try:
                await self._do(partial(_notify, payloads=list(_payloads(names))))
            except StoreUnavailable:
                return  # the others look by themselves, a little later


async def _notify(db: "Connection", payloads: Sequence[str]) -> None:
    await db.execute("SELECT pg_notify($1, told) FROM unnest($2::text[]) AS one (told)", _CHANNEL, payloads)


def _payloads(names: Sequence[str]) -> Iterable[str]:
    """The names in as few notifications as they fit; an empty name says no more than that there is something."""
    line: list[str] = []
    size = 0
    for name in names:
        room = len(name.encode()) + 1
        if room > _LONGEST or "," in name:
            continue
        if size + room > _LONGEST:
            yield ",".join(line)
            line, size = [], 0
        line.append(name)
        size += room
    yield ",".join(line)
