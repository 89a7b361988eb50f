"""The least that a durable receiver is: aiohttp, the product's own parsing, and one row of a group commit.

It is what the service's accepting is measured against. `/bare` parses and answers; `/alerts` stores a row before it
answers. A process of its own: `python -m bench.baseline PORT sqlite:FILE|postgresql:URL`.
"""

import asyncio
import queue
import sqlite3
import sys
import threading
from datetime import UTC, datetime
from typing import Protocol

from aiohttp import web

from remediator.model.alert import Delivery
from remediator.web.webhook import parse_delivery

_MOST_AT_ONCE = 256
_TABLE = "CREATE TABLE IF NOT EXISTS delivery (receiver TEXT NOT NULL, group_key TEXT NOT NULL, alerts TEXT NOT NULL)"


class Log(Protocol):
    """Where a row is kept."""

    async def write(self, row: tuple[str, str, str]) -> None:
        """Return when it is on disk."""
        ...


class SqliteLog:
    """A thread that commits whatever has come, as durably as the service's store does."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._rows: queue.SimpleQueue[tuple[tuple[str, str, str], asyncio.Future[None]]] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._work, daemon=True).start()

    async def write(self, row: tuple[str, str, str]) -> None:
        stored = self._loop.create_future()
        self._rows.put((row, stored))
        await stored

    def _work(self) -> None:
        db = sqlite3.connect(self._path, isolation_level=None)
        db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 200;")
        db.execute(_TABLE)
        while True:
            batch = [self._rows.get()]
            while len(batch) < _MOST_AT_ONCE and not self._rows.empty():
                batch.append(self._rows.get())
            db.execute("BEGIN IMMEDIATE")
            for row, _ in batch:
                db.execute("INSERT INTO delivery VALUES (?, ?, ?)", row)
            db.execute("COMMIT")
            self._loop.call_soon_threadsafe(_settle, [stored for _, stored in batch])


class PostgresLog:
    """A task with a connection that commits whatever has come."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._rows: asyncio.Queue[tuple[tuple[str, str, str], asyncio.Future[None]]] = asyncio.Queue()
        self._task = asyncio.create_task(self._work())

    async def write(self, row: tuple[str, str, str]) -> None:
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._rows.put_nowait((row, stored))
        await stored

    async def _work(self) -> None:
        import asyncpg

        db = await asyncpg.connect(self._url)
        await db.execute(_TABLE)
        while True:
            batch = [await self._rows.get()]
            while len(batch) < _MOST_AT_ONCE and not self._rows.empty():
                batch.append(self._rows.get_nowait())
            async with db.transaction():
                await db.executemany("INSERT INTO delivery VALUES ($1, $2, $3)", [row for row, _ in batch])
            _settle([stored for _, stored in batch])


def _settle(futures: list["asyncio.Future[None]"]) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)


def _row(delivery: Delivery) -> tuple[str, str, str]:
    return delivery.receiver, delivery.group_key, " ".join(alert.fingerprint for alert in delivery.alerts)


async def _serve(port: int, store: str) -> None:
    kind, _, place = store.partition(":")
    log: Log = SqliteLog(place) if kind == "sqlite" else PostgresLog(place)

    async def bare(request: web.Request) -> web.Response:
        parse_delivery(await request.read(), received_at=datetime.now(UTC))
        return web.Response(status=202, body=b"{}", content_type="application/json")

    async def durable(request: web.Request) -> web.Response:
        await log.write(_row(parse_delivery(await request.read(), received_at=datetime.now(UTC))))
        return web.Response(status=202, body=b"{}", content_type="application/json")

    async def ready(_: web.Request) -> web.Response:
        return web.Response(text="ready")

    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_post("/bare", bare)
    app.router.add_post("/alerts", durable)
    app.router.add_get("/readyz", ready)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), sys.argv[2]))
