"""Stores on a real PostgreSQL, and alerts that open runs in them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import asyncpg

from remediator.kit.metrics import Metrics
from remediator.model.alert import Alert, AlertStatus, Delivery
from remediator.model.change import Change
from remediator.model.facts import Started
from remediator.model.history import Known, Nth, Which
from remediator.model.ids import Digest, Fingerprint, OccurrenceId, OwnerId, RuleId, RunId, StepId
from remediator.model.message import Message, Tone
from remediator.model.occurrence import Accepted, Judge, NewRun, Occurrence, Opening, Ruling, Verdict
from remediator.model.outcome import Reason
from remediator.settings import StoreSettings
from remediator.storage.postgres import PostgresStore
from remediator.storage.runs import Claim, Refusal, Reservation
from remediator.testing.clock import VirtualClock
from tests import services
from tests.served import Served

PASSWORD = "tiger-lily-81"
RULE = Digest("d" * 64)
T0 = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
ME = OwnerId("me")


def store_at(url: str, **more: object) -> PostgresStore:
    settings = StoreSettings.model_validate({"url": url, "timeout": "20s", **more})
    return PostgresStore(settings, clock=VirtualClock(T0), metrics=Metrics())


@asynccontextmanager
async def opened(url: str, **more: object) -> AsyncIterator[PostgresStore]:
    store = store_at(url, **more)
    await store.open()
    try:
        await store.remember_rules({RULE: {"pack": "p"}})
        yield store
    finally:
        await store.close()


def url_of(server: services.Postgres, user: str = "postgres", database: str = "remediator") -> str:
    return f"postgresql://{user}@{server.address}/{database}"


def alert(name: str) -> Alert:
    return Alert(Fingerprint(name), AlertStatus.FIRING, {"alertname": name}, {}, T0)


def opener(owner: str = "me", group: str = "") -> Judge:
    """Opens what is not open, each with a run that is called after it and its owner."""

    def judge(alert: Alert, known: Occurrence | None) -> Verdict:
        if known is not None:
            return Verdict(Ruling.REPEATED, hear=True)
        name = f"{alert.fingerprint[:50]}-{owner}"
        new = NewRun(RunId(name), RuleId("p/r"), RULE, "down", "#c", Message(Tone.FIRING, "down"), group)
        return Verdict(Ruling.OPENED, open=Opening(OccurrenceId(f"o-{name}"), (new,)))

    return judge


async def fire(store: PostgresStore, *names: str, owner: str = "me", group: str = "") -> Accepted:
    delivery = Delivery(tuple(map(alert, names)), received_at=T0)
    return await store.accept(delivery, opener(owner, group), OwnerId(owner))


class Proxy:
    """Passes everything on, until it is told to hang, or to break the connection at the next commit."""

    def __init__(self, url: str) -> None:
        there = urlsplit(url)
        assert there.port is not None
        self._there, port = there.port, services.free_port()
        self.url = url.replace(f":{self._there}/", f":{port}/")
        self.port = port
        self.breaks = ""
        self.flows = asyncio.Event()
        self.flows.set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "Proxy":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        there, back = await asyncio.open_connection("127.0.0.1", self._there)
        answers = asyncio.create_task(self._answer(there, writer))
        try:
            with suppress(OSError):
                await self._ask(reader, back, there, answers)
        finally:
            answers.cancel()
            await asyncio.gather(answers, return_exceptions=True)
            for side in (back, writer):
                side.transport.abort()

    async def _ask(
        self,
        reader: asyncio.StreamReader,
        back: asyncio.StreamWriter,
        there: asyncio.StreamReader,
        answers: "asyncio.Task[None]",
    ) -> None:
        while data := await reader.read(65536):
            await self.flows.wait()
            if self.breaks and b"COMMIT" in data:
                how, self.breaks = self.breaks, ""
                answers.cancel()
                await asyncio.gather(answers, return_exceptions=True)
                if how == "after":
                    back.write(data)
                    assert b"COMMIT" in await there.read(65536)
                return
            back.write(data)

    async def _answer(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await there.read(65536):
                writer.write(data)
        writer.close()


@asynccontextmanager
async def plain(url: str) -> AsyncIterator["asyncpg.Connection"]:
    link: asyncpg.Connection = await asyncpg.connect(url, server_settings={"search_path": "remediator"})
    try:
        yield link
    finally:
        await link.close()


def started(attempt: int = 1) -> Started:
    return Started(T0, 1, StepId("remediate.0.0"), attempt, 1, T0 + timedelta(minutes=1))


BUDGET = Nth(Which(), 3, T0 - timedelta(hours=1))


def within_budget(claim: Claim, *locks: str) -> Reservation:
    """A start of which three an hour are let through."""

    def judge(known: Known) -> Refusal | None:
        return None if known.nth(BUDGET) is None else Refusal(Reason.BUDGET_USED)

    change = Change(claim.run, 1, RuleId("p/r"), f"t-{claim.run}", "a", T0, T0)
    return Reservation(locks, (change,), (BUDGET,), judge)


def deliver(served: Served) -> int:
    """Send an alert that a service is down; the status of the answer."""
    now = datetime.now(UTC).isoformat()
    one = {"status": "firing", "labels": {"alertname": "Down", "service": "web"}, "annotations": {}, "startsAt": now}
    body = {"version": "4", "groupKey": "{}", "receiver": "remediator", "alerts": [one]}
    return served.ask("/api/v1/alerts", body=json.dumps(body).encode())[0]
