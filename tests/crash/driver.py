"""Sends alerts as Alertmanager does, has services killed, frozen and cut off meanwhile, and lets everything settle.

It writes down what it did and what it was promised; what is to be said of that is the checker's business.
"""

import asyncio
import json
import random
import signal
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import aiohttp
import asyncpg

from remediator.kit.failpoints import POINTS
from remediator.model.alert import fingerprint_of
from remediator.storage.sqlite.store import FILE_NAME
from tests.crash.api import Api
from tests.crash.journal import note, note_all
from tests.crash.people import deciding
from tests.crash.rig import KINDS, Rig, Service

MOST_RUNS = 480  # the API lists 500
_SETTLE_LIMIT = 180.0
_CALM_LOOKS = 8
ONLY_SHARED = ("run.claimed",)
"""Failpoints that only a store of several replicas comes to."""


class Sender:
    """Alertmanager, as far as it counts: it sends until it is answered 202, and now and then twice."""

    def __init__(self, rig: Rig, chance: random.Random, *, every: float) -> None:
        self._rig = rig
        self._chance = chance
        self._every = every
        self._deliveries: set[asyncio.Task[None]] = set()
        self.sent = 0
        self._goes_on = True

    async def work(self) -> None:
        """Send until told to end, then until everything was taken."""
        while self._goes_on and self.sent < MOST_RUNS:
            self.send(self._chance.choice((1, 1, 1, 2, 4)))
            await asyncio.sleep(self._chance.expovariate(1 / self._every))
        await self.until_taken()

    def send(self, count: int, kind: str = "", to: Service | None = None) -> None:
        """Begin to deliver so many new alerts in one body, to one service or to any."""
        alerts = []
        for _ in range(count):
            self.sent += 1
            port = self._rig.ports[self.sent % len(self._rig.ports)]
            kind_ = kind or self._chance.choice(KINDS)
            alerts.append({"alertname": "Crash", "kind": kind_, "n": str(self.sent), "port": str(port)})
        body = body_of(alerts)
        for _ in range(1 if to else self._chance.choice((1, 1, 1, 2))):
            task = asyncio.create_task(self._deliver(alerts, body, to), name=f"deliver {self.sent}")
            self._deliveries.add(task)
            task.add_done_callback(self._deliveries.discard)

    def end(self) -> None:
        self._goes_on = False

    def give_up(self) -> list["asyncio.Task[None]"]:
        """Deliver nothing more; what is to be waited for."""
        for delivery in self._deliveries:
            delivery.cancel()
        return list(self._deliveries)

    async def until_taken(self) -> None:
        while self._deliveries:
            await asyncio.gather(*self._deliveries)

    async def _deliver(self, alerts: list[dict[str, str]], body: bytes, to: Service | None) -> None:
        pause = 0.05
        headers = {"Content-Type": "application/json"}
        while True:
            service = to or self._chance.choice(self._rig.services)
            to = None
            with suppress(aiohttp.ClientError, TimeoutError):
                async with self._rig.http.post(
                    f"{service.url}/api/v1/alerts", data=body, headers=headers, timeout=aiohttp.ClientTimeout(8)
                ) as answer:
                    if answer.status == 202:
                        for labels in alerts:
                            note(self._rig.folder / "accepted.jsonl", alert=fingerprint_of(labels), kind=labels["kind"])
                        return
                    assert answer.status in (500, 503), f"{answer.status}: {await answer.text()}"
            await asyncio.sleep(pause * self._chance.uniform(0.5, 1.5))
            pause = min(pause * 1.5, 0.5)


def body_of(alerts: list[dict[str, str]]) -> bytes:
    now = datetime.now(UTC).isoformat()
    firing = [
        {
            "status": "firing",
            "labels": labels,
            "annotations": {},
            "startsAt": now,
            "endsAt": "0001-01-01T00:00:00Z",
            "fingerprint": fingerprint_of(labels),
        }
        for labels in alerts
    ]
    return json.dumps({"version": "4", "groupKey": "{}", "receiver": "crash", "alerts": firing}).encode()


@asynccontextmanager
async def traffic(rig: Rig, chance: random.Random, *, every: float) -> AsyncIterator[Sender]:
    """Alerts come and people decide on plans; at the end, everything that was begun has been taken."""
    sender = Sender(rig, chance, every=every)
    sending = asyncio.create_task(sender.work(), name="send alerts")
    try:
        async with deciding(rig, chance):
            yield sender
            sender.end()
            async with asyncio.timeout(_SETTLE_LIMIT):
                await sending
            await settle(rig)
    finally:
        sending.cancel()
        await asyncio.gather(sending, *sender.give_up(), return_exceptions=True)


async def settle(rig: Rig) -> None:
    """Wait until no run is under way and everything was told, for so long that nothing more comes.

    A service that was frozen takes in what lay on its connections, also from senders that have given up.
    """
    api, calm = Api(rig), 0
    async with asyncio.timeout(_SETTLE_LIMIT):
        while calm < _CALM_LOOKS:
            listed = await api.get("/api/v1/runs?active=true&limit=500")
            is_calm = listed is not None and not listed["runs"] and await _all_told(rig)
            calm = calm + 1 if is_calm else 0
            await asyncio.sleep(0.2)


async def _all_told(rig: Rig) -> bool:
    """Whether the outbox is empty: one replica posts, the others do not know."""
    return all(row["sent_version"] == row["version"] for row in await posts(rig))


_POSTS = "SELECT run, key, channel, version, sent_version, ref FROM post"


async def posts(rig: Rig) -> list[dict[str, Any]]:
    """The outbox as it is stored, sent or not: the API does not show it."""
    if rig.database:
        db = await asyncpg.connect(rig.database)
        try:
            return [dict(row) for row in await db.fetch(_POSTS)]
        finally:
            await db.close()
    path = rig.folder / rig.services[0].name / FILE_NAME
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db_:
        db_.row_factory = sqlite3.Row
        return [dict(row) for row in db_.execute(_POSTS)]


async def dump(rig: Rig) -> None:
    """Write down every run and the audit journal as the API shows them, and the outbox, then end every service."""
    api = Api(rig)
    listed = await api.get("/api/v1/runs?limit=500")
    assert listed is not None
    assert len(listed["runs"]) < 500, "there are more runs than the API lists"
    for line in listed["runs"]:
        run = await api.get(f"/api/v1/runs/{line['id']}")
        note(rig.folder / "runs.jsonl", **{**run, **line})
    for post in await posts(rig):
        note(rig.folder / "posts.jsonl", **post)
    note_all(rig.folder / "audit.jsonl", await api.journal())
    for service in rig.services:
        await rig.stop(service)


# -- what is done to services --

RANDOM = "at random"
LONGER_THAN_TAKEOVER = 10.0  # seconds
Deed = Literal["kill", "freeze", "cut", "hang"]


@dataclass(frozen=True)
class Fate:
    """What happens to a service next, at a failpoint that it passes `after` times before, or at a random moment.

    It is killed, frozen for longer than a takeover takes, or its database is cut off or hangs for as long.
    """

    point: str = RANDOM
    after: int = 0
    deed: Deed = "kill"

    @property
    def arm(self) -> dict[str, tuple[str, int]]:
        return {} if self.point == RANDOM else {self.point: (self.deed, self.after)}

    def __str__(self) -> str:
        return f"{self.deed} {self.point}"


class Tormentor:
    """Has things happen to services, at random moments and at failpoints, and lets those that died live again."""

    def __init__(
        self,
        rig: Rig,
        chance: random.Random,
        *,
        deeds: Sequence[Deed] = ("kill",),
        longest: float = 2.0,
        point_limit: float = 3.0,
    ) -> None:
        """A random moment is at most `longest` seconds away; a failpoint is waited for `point_limit` seconds."""
        self._rig = rig
        self._chance = chance
        self._deeds = deeds
        self._longest = longest
        self._point_limit = point_limit
        self._fates: dict[str, Fate] = {}
        self._tails: dict[str, asyncio.Task[None]] = {}  # services that are frozen or cut off for a while
        self.counts: Counter[str] = Counter()

    def draw(self) -> Fate:
        """One half at random moments, the other half anywhere that there is a failpoint."""
        deed = self._chance.choice(self._deeds)
        if deed in ("cut", "hang") or self._chance.random() < 0.5:
            return Fate(deed=deed)
        points = POINTS if self._rig.database else [point for point in POINTS if point not in ONLY_SHARED]
        point = self._chance.choice(points)
        return Fate(point, self._chance.randrange(30 if point.startswith("store") else 6), deed)

    async def torment(self, times: int, fates: Iterable[Fate] = ()) -> None:
        """Have so many things happen, to whichever service; at last all live in peace, and nothing is armed."""
        given = iter(fates)
        for service in self._rig.services:
            await self._start(service, next(given, None) or self.draw())
        try:
            for _ in range(times):
                service = await self._free_service()
                await self._fulfil(service)
                if not service.lives:
                    await self._start(service, next(given, None) or self.draw())
            await self._pacify()
        finally:
            for tail in self._tails.values():
                tail.cancel()
            await asyncio.gather(*self._tails.values(), return_exceptions=True)

    async def _start(self, service: Service, fate: Fate) -> None:
        self._fates[service.name] = fate
        await self._rig.start(service, fate.arm)

    async def _free_service(self) -> Service:
        """One that nothing lasting is being done to."""
        while not (free := [one for one in self._rig.services if one.name not in self._tails]):
            await asyncio.wait(self._tails.values(), return_when=asyncio.FIRST_COMPLETED)
        return self._chance.choice(free)

    async def _fulfil(self, service: Service) -> None:
        """Let its fate come over a service; at a random moment, where it never comes to that place."""
        fate = self._fates[service.name]
        if fate.point != RANDOM or fate.deed != "kill" or self._chance.random() < 0.8:
            await self._rig.until_ready(service)  # else it may be killed while it starts
        limit = self._chance.uniform(0, self._longest) if fate.point == RANDOM else self._point_limit
        with suppress(TimeoutError):
            await asyncio.wait_for(self._rig.until(lambda: service.is_frozen or not service.lives, "its fate"), limit)
        if service.is_frozen:
            self._keep(service, self._thaw(service))
        elif service.lives:
            fate = Fate(deed=fate.deed)
            await self._do(service, fate.deed)
        else:
            assert service.status == -signal.SIGKILL, f"{service.name} ended with {service.status}"
        self.counts[str(fate)] += 1

    async def _do(self, service: Service, deed: Deed) -> None:
        match deed:
            case "kill":
                await self._rig.kill(service)
            case "freeze":
                self._rig.freeze(service)
                self._keep(service, self._thaw(service))
            case "cut" | "hang":
                self._keep(service, self._cut_off(service, hangs=deed == "hang"))

    def _keep(self, service: Service, lasting: Coroutine[Any, Any, None]) -> None:
        """Go on meanwhile: others may be killed while this one is frozen."""
        task = asyncio.create_task(lasting, name=f"torment {service.name}")
        self._tails[service.name] = task
        task.add_done_callback(lambda _: self._tails.pop(service.name))

    async def _thaw(self, service: Service) -> None:
        await asyncio.sleep(LONGER_THAN_TAKEOVER)
        self._fates[service.name] = self.draw_moment()
        self._rig.thaw(service)
        await self._rig.until(lambda: not service.is_frozen, f"{service.name} to go on")

    async def _cut_off(self, service: Service, *, hangs: bool) -> None:
        self._fates[service.name] = self.draw_moment()
        await self._rig.cut_off(service, hangs=hangs)
        await asyncio.sleep(LONGER_THAN_TAKEOVER)
        self._rig.mend(service)

    def draw_moment(self) -> Fate:
        """What happens to one that lives on: nothing can be armed in it any more."""
        return Fate(deed=self._chance.choice(self._deeds))

    async def _pacify(self) -> None:
        while self._tails:
            await asyncio.wait(self._tails.values())
        for service in self._rig.services:
            if self._fates[service.name].point != RANDOM or not service.lives:
                await self._rig.kill(service)
                self.counts[str(Fate())] += 1
                await self._start(service, Fate())
        for service in self._rig.services:
            assert await self._rig.until_ready(service)
