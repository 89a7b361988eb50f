"""Load on a service under test, and what must be true of it afterwards, whatever happened meanwhile.

`Load` sends as Alertmanager does: until it is answered 202. Every fourth delivery is sent twice, as by a pair. Each has
one alert whose remedy is to write a line into a file, and some that are only looked at. `verdict` reads the store
itself, so that what it says does not depend on the service.
"""

import asyncio
import json
import os
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

from remediator.model.alert import fingerprint_of
from tests import services
from tests.served import Served

SCALE = int(os.environ.get("CHAOS_SCALE", "1"))
"""How much longer and larger than in the ordinary test run everything is; `make chaos` sets it. Only tests read it."""

_SEEN = 4  # alerts of a delivery that are only looked at
_TWICE = 4  # every so many-th delivery is sent twice
_PATIENCE = 60.0

_QUERY = """
SELECT run.id, o.labels, run.outcome, EXISTS (
    SELECT 1 FROM fact WHERE fact.run = run.id AND kind = 'finished' AND {body} ->> 'status' = 'unknown') AS unknown
FROM run JOIN occurrence AS o ON o.id = run.occurrence
"""

Row = tuple[str, dict[str, str], str | None, bool]


def body_of(*labels: Mapping[str, str], starts_at: str = "") -> bytes:
    """A delivery as Alertmanager makes it, as far as it counts."""
    alerts = [
        {
            "status": "firing",
            "labels": dict(one),
            "annotations": {},
            "startsAt": starts_at or datetime.now(UTC).isoformat(),
            "endsAt": "0001-01-01T00:00:00Z",
            "fingerprint": fingerprint_of(one),
        }
        for one in labels
    ]
    return json.dumps({"version": "4", "groupKey": "{}", "receiver": "remediator", "alerts": alerts}).encode()


def effects_of(served: Served) -> Counter[str]:
    """How often the remedy was carried out for each service."""
    path = served.folder / "effects"
    return Counter(path.read_text().split()) if path.exists() else Counter()


def configure(served: Served, **settings: Any) -> None:
    """A service that acts by itself: its remedy appends a line to a file, and whoever looks is content."""
    effects = str(served.folder / "effects")
    mend = {
        "argv": ["sh", "-c", f'echo "$1" >> {effects}', "sh", "{service}"],
        "parameters": {"service": {}},
        "effect": "change",
        "target": "{service}",
    }
    commands = {"mend": mend, "look": {"argv": ["true"], "effect": "read"}}
    served.configure(mode="auto", commands=commands, log={"level": "warning"}, **settings)


class Load:
    """Sends deliveries, so many a second, from a thread of its own, until it is left."""

    def __init__(self, served: Served, *, rate: float = 10.0) -> None:
        self._url = f"{served.url}/api/v1/alerts"
        self._every = 1 / rate
        self._thread = threading.Thread(target=self._run, name="load")
        self._stopping = threading.Event()
        self._give_up = threading.Event()
        self._lock = threading.Lock()
        self.answers: Counter[int] = Counter()
        """How often each status was the answer; 0 for none."""
        self.accepted: set[int] = set()
        """The numbers of the deliveries that were answered 202."""
        self.sent = 0

    @property
    def alerts(self) -> set[str]:
        """The names of all alerts that were accepted."""
        return {name for number in self.accepted.copy() for name in _names(number)}

    @property
    def services(self) -> set[str]:
        """Those of them that have a remedy."""
        return {f"s{number}" for number in self.accepted.copy()}

    def wait_for(self, count: int) -> None:
        """Wait until so many more deliveries are accepted."""
        wanted = len(self.accepted) + count
        services.wait_until(lambda: len(self.accepted) >= wanted, f"{count} more deliveries to be accepted")

    def finish(self) -> None:
        """Send nothing new, and wait until everything that was sent is accepted."""
        self._stopping.set()
        self._thread.join(_PATIENCE * 2)
        if self._thread.is_alive():
            self._give_up.set()
            self._thread.join()
            raise AssertionError(f"{self.sent - len(self.accepted)} deliveries were never accepted: {self.answers}")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._give_up.set()
        self._stopping.set()
        self._thread.join()

    # -- on the thread --

    def _run(self) -> None:
        asyncio.run(self._send_all())

    async def _send_all(self) -> None:
        timeout = aiohttp.ClientTimeout(total=15)
        tasks = []
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:
            while not self._stopping.is_set():
                number, self.sent = self.sent, self.sent + 1
                body = body_of(*_labels(number))
                copies = 2 if number % _TWICE == 0 else 1
                tasks += [asyncio.create_task(self._deliver(session, number, body)) for _ in range(copies)]
                await asyncio.sleep(self._every)
            await asyncio.gather(*tasks)

    async def _deliver(self, session: aiohttp.ClientSession, number: int, body: bytes) -> None:
        pause = 0.2
        while not self._give_up.is_set():
            status = await self._post(session, body)
            with self._lock:
                self.answers[status] += 1
            if status == 202:
                self.accepted.add(number)
                return
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 2.0)

    async def _post(self, session: aiohttp.ClientSession, body: bytes) -> int:
        with suppress(aiohttp.ClientError, OSError, TimeoutError):
            async with session.post(self._url, data=body) as answer:
                await answer.read()
                return answer.status
        return 0


def _labels(number: int) -> list[dict[str, str]]:
    service, *seen = _names(number)
    return [{"alertname": "Down", "service": service}, *({"alertname": "Seen", "n": name} for name in seen)]


def _names(number: int) -> list[str]:
    return [f"s{number}", *(f"n{number}-{place}" for place in range(_SEEN))]


@dataclass
class Verdict:
    """What the store says of the alerts, by their names: the labels `service`, else `n`."""

    runs: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str | None] = field(default_factory=Counter)
    by_name: dict[str, list[str | None]] = field(default_factory=dict)
    """The outcomes of each alert's runs; None while a run has none."""
    unknown: set[str] = field(default_factory=set)
    """The alerts whose run says that it does not know whether its remedy was carried out; it may have healed still."""

    @property
    def repeated(self) -> set[str]:
        return {name for name, count in self.runs.items() if count > 1}

    @property
    def all_ended(self) -> bool:
        return None not in self.outcomes


def let_pass(seconds: float) -> None:
    """Let an outage last: here the time itself is what is tested."""
    end = time.monotonic() + seconds
    services.wait_until(lambda: time.monotonic() > end, "the time to pass", limit=seconds + 60)


def verdict(served: Served, database: services.Postgres | None = None, name: str = "remediator") -> Verdict:
    """What is in the embedded store, or in the database of that name."""
    found = Verdict()
    rows = _rows_of_postgres(database, name) if database else _rows_of_sqlite(served.folder)
    for _, labels, outcome, unknown in rows:
        alert = labels.get("service") or labels["n"]
        found.runs[alert] += 1
        found.outcomes[outcome] += 1
        found.by_name.setdefault(alert, []).append(outcome)
        if unknown:
            found.unknown.add(alert)
    return found


def _rows_of_sqlite(folder: Path) -> Sequence[Row]:
    db = sqlite3.connect(f"file:{folder}/store/remediator.sqlite3?mode=ro", uri=True, timeout=30)
    try:
        found = db.execute(_QUERY.format(body="body")).fetchall()
        return [(run, json.loads(labels), outcome, bool(unknown)) for run, labels, outcome, unknown in found]
    finally:
        db.close()


def _rows_of_postgres(database: services.Postgres, name: str) -> Sequence[Row]:
    found = _QUERY.format(body="body::json")
    query = f"SELECT json_build_array(id, labels, outcome, unknown) FROM ({found}) AS found"
    printed = database.sql(f"\\connect {name}", "SET search_path = remediator", query)
    rows = [json.loads(line) for line in printed.splitlines() if line.startswith("[")]
    return [(run, json.loads(labels), outcome, unknown) for run, labels, outcome, unknown in rows]


def wait_until_all_ended(
    served: Served, database: services.Postgres | None = None, *, count: int, limit: float = 120.0
) -> Verdict:
    """Wait until there are so many runs at least, and all of them have an outcome."""
    end = time.monotonic() + limit
    while True:
        found = verdict(served, database)
        if found.all_ended and found.runs.total() >= count:
            return found
        if time.monotonic() > end:
            raise AssertionError(
                f"waited {limit:g} s for {count} runs to end: {found.outcomes}\n{served.log()[-3000:]}"
            )
        time.sleep(0.5)


def memory_of(served: Served) -> tuple[float, float]:
    """The resident memory of the service, now and at its highest, in MiB."""
    assert served.process is not None
    lines = Path(f"/proc/{served.process.pid}/status").read_text().splitlines()
    parts = {name: rest.split()[0] for name, _, rest in (line.partition(":") for line in lines) if rest.split()}
    return int(parts["VmRSS"]) / 1024, int(parts["VmHWM"]) / 1024


def span_of(served: Served) -> float:
    """How many seconds lie between the first and the last run's acceptance, in the embedded store."""
    db = sqlite3.connect(f"file:{served.folder}/store/remediator.sqlite3?mode=ro", uri=True, timeout=30)
    try:
        first, last = db.execute("SELECT min(created_at), max(created_at) FROM run").fetchone()
    finally:
        db.close()
    return float(last - first) / 1_000_000
