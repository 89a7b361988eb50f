"""The load: a process of its own that posts deliveries over kept connections, as Alertmanager does, and takes times.

`run` starts it and gives what it found. It reads what to do as JSON from standard input and prints JSON. It speaks
HTTP by hand, on bodies made beforehand, so that it costs a fraction of what it measures.
"""

import asyncio
import gc
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import Any

from bench import alerts


@dataclass(frozen=True, slots=True)
class Job:
    """What to send. Without a `rate` each connection sends as soon as it has its answer."""

    port: int
    prefix: str
    requests: int
    alertname: str = "Quiet"
    alerts: int = 1
    connections: int = 50
    rate: float = 0.0  # requests a second
    path: str = "/api/v1/alerts"
    resolved: bool = False
    posts: list[tuple[str, str]] = field(default_factory=list)  # paths and bodies to send instead of alerts
    token: str = ""
    core: int | None = None


@dataclass(slots=True)
class Sent:
    """What came of it. Times are seconds; `began` are readings of the machine's monotonic clock."""

    seconds: float
    latencies: list[float]
    statuses: dict[str, int]
    began: dict[str, float]
    first: float
    cpu: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return len(self.latencies) / self.seconds

    def refuse_failures(self) -> "Sent":
        """Raises RuntimeError where not all were answered 202."""
        if set(self.statuses) != {"202"}:
            raise RuntimeError(f"not everything was accepted: {self.statuses}")
        return self


def run(job: Job) -> Sent:
    """Have it sent by another process."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.load"], input=json.dumps(asdict(job)).encode(), capture_output=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"the load could not be sent:\n{done.stderr.decode()[-3000:]}")
    return Sent(**json.loads(done.stdout)).refuse_failures()


class _Load:
    def __init__(self, job: Job) -> None:
        self._job = job
        self._latencies: list[float] = []
        self._statuses: dict[str, int] = {}
        self._began: dict[str, float] = {}
        self._requests = [self._request(path, body) for path, body in self._given()]
        self._next = 0

    def _given(self) -> list[tuple[str, bytes]]:
        job = self._job
        if job.posts:
            return [(path, body.encode()) for path, body in job.posts]
        made = alerts.bodies(job.alertname, job.prefix, requests=job.requests, alerts=job.alerts, resolved=job.resolved)
        return [(job.path, body) for body in made]

    def _request(self, path: str, body: bytes) -> bytes:
        bearer = f"Authorization: Bearer {self._job.token}\r\n" if self._job.token else ""
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._job.port}\r\nUser-Agent: Alertmanager/0.27.0\r\n"
            f"Content-Type: application/json\r\n{bearer}Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    async def send(self) -> dict[str, Any]:
        links = [await asyncio.open_connection("127.0.0.1", self._job.port) for _ in range(self._job.connections)]
        gc.disable()
        used, first = time.process_time(), time.monotonic()
        if self._job.rate:
            await self._send_at_rate(links, first)
        else:
            await asyncio.gather(*(self._send_in_turn(link) for link in links))
        ended = time.monotonic()
        for _, writer in links:
            writer.close()
        return {
            "seconds": ended - first,
            "latencies": self._latencies,
            "statuses": self._statuses,
            "began": self._began,
            "first": first,
            "cpu": time.process_time() - used,
        }

    async def _send_in_turn(self, link: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
        while self._next < len(self._requests):
            number, self._next = self._next, self._next + 1
            await self._exchange(link, number, time.monotonic())

    async def _send_at_rate(self, links: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]], first: float) -> None:
        """Each at its time, whatever became of those before it; the times count from when it should have been sent."""
        free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
        for link in links:
            free.put_nowait(link)

        async def one(number: int, due: float) -> None:
            link = await free.get()
            await self._exchange(link, number, due)
            free.put_nowait(link)

        async with asyncio.TaskGroup() as group:
            for number in range(len(self._requests)):
                due = first + number / self._job.rate
                await asyncio.sleep(max(due - time.monotonic(), 0))
                group.create_task(one(number, due))

    async def _exchange(
        self, link: tuple[asyncio.StreamReader, asyncio.StreamWriter], number: int, began: float
    ) -> None:
        reader, writer = link
        self._began[str(number)] = began
        writer.write(self._requests[number])
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(_length(head))
        self._latencies.append(time.monotonic() - began)
        status = head[9:12].decode()
        self._statuses[status] = self._statuses.get(status, 0) + 1


def _length(head: bytes) -> int:
    _, found, rest = head.lower().partition(b"content-length:")
    return int(rest.split(b"\r\n", 1)[0]) if found else 0


def main() -> None:
    """Send what standard input asks for."""
    job = Job(**json.loads(sys.stdin.read()))
    if job.core is not None:
        os.sched_setaffinity(0, {job.core})
    print(json.dumps(asyncio.run(_Load(job).send())))


if __name__ == "__main__":
    main()
