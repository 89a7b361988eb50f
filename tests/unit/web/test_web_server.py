"""The application on a real loopback socket: every answer makes Alertmanager do the right thing."""

import asyncio
import gzip
import io
import json
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from structlog.testing import capture_logs

from remediator.errors import Overloaded, StoreUnavailable
from remediator.kit.clock import SystemClock
from remediator.kit.metrics import Metrics
from remediator.model.alert import Delivery
from remediator.model.ids import OwnerId, RunId
from remediator.model.occurrence import Occurrence
from remediator.model.run import Cancel, Decision, Run, RunSummary, Settle, Undo
from remediator.settings import Settings
from remediator.web.body import Limits
from remediator.web.health import Health, HealthCheck
from remediator.web.server import Parts, build_app

ADMIN = "a" * 43
PAYLOADS = Path(__file__).parents[2] / "payloads"
FIRING = (PAYLOADS / "recorded-0.25-firing.json").read_bytes()
MIB = 1024 * 1024
DEFAULTS = Limits()

Client = TestClient[web.Request, web.Application]


class NoRuns:
    """A reader that knows no run."""

    async def list_runs(
        self, *, limit: int, outcome: str | None, active: bool, unsettled: bool
    ) -> Sequence[RunSummary]:
        return ()

    def processes(self) -> Mapping[OwnerId, str]:
        return {}

    async def read_run(self, run: RunId, /) -> Run | None:
        return None

    async def decide(self, run: RunId, decision: Decision, /) -> bool:
        return False

    async def cancel(self, run: RunId, wish: Cancel, /) -> bool:
        return False

    async def settle(self, run: RunId, word: Settle, /) -> bool:
        return False

    async def undo(self, run: RunId, wish: Undo, /) -> bool:
        return False


class NoAlerts:
    """A reader that knows no alert."""

    async def list_occurrences(self, *, limit: int, only_open: bool) -> Sequence[Occurrence]:
        return ()

    async def newest_occurrence(self, fingerprint: str, /) -> Occurrence | None:
        return None


@dataclass
class Intake:
    """Stands for the pipeline: it keeps what it accepts, and can be told to hang or to fail."""

    accepted: list[Delivery] = field(default_factory=list)
    error: Exception | None = None
    hang: asyncio.Event | None = None
    cancelled: bool = False
    begun: int = 0

    async def accept(self, delivery: Delivery) -> None:
        self.begun += 1
        if self.hang is not None:
            try:
                await self.hang.wait()
            except asyncio.CancelledError:
                self.cancelled = True
                raise
        if self.error is not None:
            raise self.error
        self.accepted.append(delivery)


async def ready() -> Health:
    return Health(ready=True, checks=(HealthCheck("store", ok=True), HealthCheck("slack", ok=True, degraded=True)))


@dataclass
class Service:
    """A running application with what stands behind it."""

    client: Client
    intake: Intake
    metrics: Metrics

    async def post(self, body: bytes = FIRING, **headers: str) -> tuple[int, dict[str, Any], Any]:
        """Status, body and headers of the answer to a webhook."""
        async with self.client.post("/api/v1/alerts", data=io.BytesIO(body), headers=headers) as answer:
            return answer.status, json.loads(await answer.read()), answer.headers

    def answered(self, status: int) -> float:
        found = self.metrics.registry.get_sample_value("remediator_deliveries_total", {"status": str(status)})
        return found or 0.0

    def refused(self, reason: str) -> float:
        found = self.metrics.registry.get_sample_value("remediator_refused_deliveries_total", {"reason": reason})
        return found or 0.0


@asynccontextmanager
async def serving(
    *,
    limits: Limits = DEFAULTS,
    health: Callable[[], Awaitable[Health]] = ready,
    admit: Callable[[], None] = lambda: None,
    **settings: Any,
) -> AsyncIterator[Service]:
    intake, metrics = Intake(), Metrics()
    parts = Parts(
        accept=intake.accept,
        runs=NoRuns(),
        alerts=NoAlerts(),
        health=health,
        metrics=metrics,
        settings=Settings(**settings),
        clock=SystemClock(),
        admin_token=ADMIN,
        admit=admit,
    )
    async with TestClient(TestServer(build_app(parts, limits=limits))) as client:
        yield Service(client, intake, metrics)


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with serving() as running:
        yield running


async def until(condition: Callable[[], bool]) -> None:
    """Poll, with a generous deadline."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.005)


async def test_a_delivery_is_answered_202_once_it_is_accepted(service: Service) -> None:
    """202 promises that it is on disk."""
    before = datetime.now(UTC)
    status, body, headers = await service.post()

    assert (202, {}) == (status, body)
    assert "application/json" == headers["Content-Type"].partition(";")[0]
    assert ["Down"] == [alert.name for delivery in service.intake.accepted for alert in delivery.alerts]
    assert before <= service.intake.accepted[0].received_at <= datetime.now(UTC)
    assert (1, 1) == (
        service.answered(202),
        service.metrics.registry.get_sample_value("remediator_accept_seconds_count"),
    )


async def test_an_answer_waits_until_the_delivery_is_accepted(service: Service) -> None:
    """An earlier answer would lose alerts in a crash."""
    service.intake.hang = asyncio.Event()
    request = asyncio.create_task(service.post())
    done, _ = await asyncio.wait({request}, timeout=0.2)
    assert not done
    service.intake.hang.set()

    assert 202 == (await request)[0]


async def test_an_empty_group_is_answered_without_the_store(service: Service) -> None:
    """It works also while the store does not."""
    service.intake.error = StoreUnavailable("the disk is full")

    assert 202 == (await service.post(b'{"alerts": []}'))[0]


async def test_a_body_of_another_shape_is_answered_400(service: Service) -> None:
    """A 5xx would make Alertmanager send it again for ever; a long text would fill its log."""
    status, body, _ = await service.post(b'{"alerts": [{"labels": {"' + b"x" * 5000 + b'": 1}}]}')

    assert 400 == status
    assert "alerts[0].labels.xxx" in body["error"]
    assert len(body["error"]) <= 200
    assert 1 == service.answered(400)


async def test_an_answer_is_ascii(service: Service) -> None:
    """Whatever log it lands in can show it."""
    async with service.client.post("/api/v1/alerts", data='{"alerts": [{"labels": {"ä🧀": 1}}]}'.encode()) as answer:
        assert (await answer.read()).isascii()


async def test_a_store_that_cannot_write_is_answered_503(service: Service) -> None:
    """Alertmanager tries again after a 5xx, and only then."""
    service.intake.error = StoreUnavailable("disk /dev/sda1 is full", retry_after=timedelta(seconds=7))
    status, body, headers = await service.post()

    assert (503, "7") == (status, headers["Retry-After"])
    assert "sda1" not in body["error"]
    assert 1 == service.answered(503)


async def test_what_nobody_foresaw_is_answered_503_without_a_detail(service: Service) -> None:
    """No 5xx but 503; the traceback belongs into our log, not into an answer."""
    service.intake.error = RuntimeError("secret detail")
    status, body, headers = await service.post()

    assert (503, "5") == (status, headers["Retry-After"])
    assert "secret" not in json.dumps(body)


async def test_a_slow_store_is_answered_503_and_goes_on_storing() -> None:
    """Cancelled half-way, a write may or may not have happened; finished, the repeat is a mere duplicate."""
    async with serving(webhook={"accept_timeout": "50ms"}) as service:
        service.intake.hang = asyncio.Event()
        status, _, headers = await service.post()
        accepted_before = len(service.intake.accepted)
        service.intake.hang.set()
        await until(lambda: len(service.intake.accepted) == 1)

        assert (503, "5") == (status, headers["Retry-After"])
        assert (0, False) == (accepted_before, service.intake.cancelled)
        assert 202 == (await service.post())[0]


async def test_nothing_waits_behind_a_store_that_hangs() -> None:
    """Each would cost its memory for as long as the store hangs, and hear the same in the end."""
    async with serving(webhook={"accept_timeout": "50ms"}) as service:
        service.intake.hang = asyncio.Event()
        first = await service.post()
        second = await service.post()
        begun = service.intake.begun
        service.intake.hang.set()
        await until(lambda: len(service.intake.accepted) == 1)
        third = await service.post()

        assert [(503, "slow"), (503, "slow"), 202] == [
            (first[0], first[1]["reason"]),
            (second[0], second[1]["reason"]),
            third[0],
        ]
        assert 1 == begun
        assert 2 == service.refused("slow")


async def test_a_sender_that_leaves_a_hanging_store_leaves_no_way_around_the_limit() -> None:
    """A sender that hangs up early and comes again would pile up deliveries that nobody waits for."""
    async with serving(webhook={"accept_timeout": "200ms"}) as service:
        service.intake.hang = asyncio.Event()
        with pytest.raises(asyncio.TimeoutError):
            await service.client.post("/api/v1/alerts", data=FIRING, timeout=aiohttp.ClientTimeout(total=0.05))
        end = asyncio.get_running_loop().time() + 0.3
        await until(lambda: asyncio.get_running_loop().time() > end)
        status, body, _ = await service.post()
        service.intake.hang.set()

        assert (503, "earlier alerts are not on disk yet; send these again") == (status, body["error"])
        assert 1 == service.intake.begun


async def test_under_pressure_a_delivery_is_refused_before_it_is_read() -> None:
    """With its reason, for the sender's log, and in the metric; who may not call at all is told nothing of it."""

    def admit() -> None:
        raise Overloaded("too many runs wait", reason="backlog", retry_after=timedelta(seconds=9))

    async with serving(admit=admit, webhook={"tokens": ["hook"]}) as service:
        status, body, headers = await service.post(b"no alerts at all", Authorization="Bearer hook")
        stranger, _, _ = await service.post()

        assert (503, "9") == (status, headers["Retry-After"])
        assert {"error": "too many runs wait", "reason": "backlog"} == body
        assert 401 == stranger
        assert (1, 1) == (service.refused("backlog"), service.answered(503))


async def test_a_store_that_is_away_is_logged_once_until_it_is_back(service: Service) -> None:
    """Senders try again many times, and the log may be on the disk that is full."""
    service.intake.error = StoreUnavailable("the disk is full")
    with capture_logs() as logs:
        for _ in range(3):
            assert "store" == (await service.post())[1]["reason"]
        service.intake.error = None
        for _ in range(2):
            assert 202 == (await service.post())[0]

    assert ["store_unavailable", "store_answers_again"] == [line["event"] for line in logs]
    assert 3 == service.refused("store")


async def test_a_body_that_is_made_to_take_many_times_its_size_is_refused() -> None:
    """A megabyte of empty objects takes 70 of memory: enough of them would end the process."""
    junk = b'{"alerts": [], "x": [' + b"{}," * 300_000 + b"{}]}"
    alerts = b",".join(b'{"labels": {"alertname": "Down", "service": "web-%d"}}' % n for n in range(15_000))
    async with serving(webhook={"max_body_mib": 1}) as service:
        status, body, _ = await service.post(junk)
        largest, _, _ = await service.post(b'{"alerts": [' + alerts + b"]}")

        assert (413, "the body has too many objects for its size") == (status, body["error"])
        assert 202 == largest


async def test_stopping_waits_for_what_is_being_stored() -> None:
    """The alerts of a request that was answered 503 are stored all the same, if they can be."""
    async with serving(webhook={"accept_timeout": "20ms"}) as service:
        intake = service.intake
        intake.hang = asyncio.Event()
        assert 503 == (await service.post())[0]
        asyncio.get_running_loop().call_later(0.2, intake.hang.set)

    assert (1, False) == (len(intake.accepted), intake.cancelled)


async def test_stopping_does_not_wait_for_ever() -> None:
    """A store that hangs must not keep the process from ending, and no task is left behind."""
    async with serving(webhook={"accept_timeout": "20ms"}, pipeline={"stop_grace": "50ms"}) as service:
        intake = service.intake
        intake.hang = asyncio.Event()
        assert 503 == (await service.post())[0]

    assert intake.cancelled
    assert [] == [task.get_name() for task in asyncio.all_tasks() if task.get_name() == "store a delivery"]


async def test_a_store_that_fails_late_leaves_no_unheard_error() -> None:
    """Its result is logged; an exception that nobody fetches would show up as noise at exit."""
    async with serving(webhook={"accept_timeout": "20ms"}) as service:
        service.intake.hang = asyncio.Event()
        service.intake.error = StoreUnavailable("the disk is full")
        assert 503 == (await service.post())[0]
        service.intake.hang.set()

    assert [] == service.intake.accepted


async def test_a_sender_that_leaves_does_not_stop_the_storing(service: Service) -> None:
    """Alertmanager's time-out closes the connection while we write."""
    service.intake.hang = asyncio.Event()
    with pytest.raises(asyncio.TimeoutError):
        await service.client.post("/api/v1/alerts", data=FIRING, timeout=aiohttp.ClientTimeout(total=0.1))
    service.intake.hang.set()
    await until(lambda: len(service.intake.accepted) == 1)

    assert not service.intake.cancelled


async def test_a_webhook_with_a_token_refuses_others_before_it_reads(service: Service) -> None:
    """Nobody unknown can make us hold a body."""
    async with serving(webhook={"tokens": ["let-me-in"]}) as closed:
        refused, body, headers = await closed.post()
        welcome, _, _ = await closed.post(Authorization="Bearer let-me-in")

        assert (401, 'Bearer realm="remediator"') == (refused, headers["WWW-Authenticate"])
        assert "token" in body["error"]
        assert (202, 1, 1) == (welcome, closed.answered(401), closed.answered(202))


async def test_a_web_page_cannot_post_to_an_open_webhook(service: Service) -> None:
    """Any page in a browser on this machine can reach loopback."""
    status, _, _ = await service.post(Origin="https://evil.example")

    assert (403, []) == (status, service.intake.accepted)


def raw_deflate(data: bytes) -> bytes:
    squeeze = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return squeeze.compress(data) + squeeze.flush()


GROUP = json.dumps({"alerts": [{"labels": {"alertname": "Down", "pod": f"web-{n}"}} for n in range(9_000)]}).encode()
ENCODED = {
    "gzip": ("gzip", gzip.compress(FIRING), 202),
    "x-gzip in capitals": ("X-GZIP", gzip.compress(FIRING), 202),
    "deflate": ("deflate", zlib.compress(FIRING), 202),
    "deflate without a header": ("deflate", raw_deflate(FIRING), 202),
    "identity": ("identity", FIRING, 202),
    "gzip of much": ("gzip", gzip.compress(GROUP), 202),
    "gzip of blanks": ("gzip", gzip.compress(b" " * MIB + FIRING + b" " * 262_144), 202),
    "cut off": ("gzip", gzip.compress(FIRING)[:-9], 400),
    "damaged": ("gzip", gzip.compress(FIRING)[:30] + b"\xff" * 30, 400),
    "not compressed": ("gzip", FIRING, 400),
    "more after it": ("gzip", gzip.compress(FIRING) + b"x", 400),
    "nothing": ("gzip", b"", 400),
    "unknown": ("snappy", FIRING, 400),
    "brotli": ("br", FIRING, 400),
    "twice": ("gzip, gzip", gzip.compress(gzip.compress(FIRING)), 400),
}


@pytest.mark.parametrize(("encoding", "body", "status"), ENCODED.values(), ids=ENCODED.keys())
async def test_a_compressed_body_is_read(service: Service, encoding: str, body: bytes, status: int) -> None:
    """Proxies may compress; what cannot be read is the sender's mistake, never an error of ours."""
    assert status == (await service.post(body, **{"Content-Encoding": encoding}))[0]


@pytest.mark.parametrize("size", range(262_144 - 300, 262_144 + 300, 37))
async def test_a_compressed_body_around_the_size_of_a_piece_is_whole(service: Service, size: int) -> None:
    """What an inflater keeps inside when a piece is full must not be lost."""
    body = FIRING + b" " * (size - len(FIRING))

    assert 202 == (await service.post(gzip.compress(body), **{"Content-Encoding": "gzip"}))[0]


async def test_groups_of_any_size_up_to_the_limit_are_taken(service: Service) -> None:
    """Alertmanager sends a group as one body, and a 413 would repeat it for ever."""
    many = json.dumps({"alerts": [{"labels": {"pod": f"web-{n}", "x": "y" * 100}} for n in range(15_000)]}).encode()
    status, _, _ = await service.post(many)

    assert len(many) > 2 * MIB
    assert (202, 15_000) == (status, len(service.intake.accepted[0].alerts))


async def in_chunks(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 65_536):
        yield b" " * 65_536


async def test_a_body_over_the_limit_is_refused() -> None:
    """With a length it is refused by its length, without one at the first byte too many."""
    async with serving(webhook={"max_body_mib": 1}) as service:
        status, body, _ = await service.post(b" " * (MIB + 1))
        async with service.client.post("/api/v1/alerts", data=in_chunks(2 * MIB)) as chunked:
            assert (413, 413) == (status, chunked.status)
        assert "webhook.max_body_mib" in body["error"]
        assert 2 == service.answered(413)


def bomb(mib: int) -> bytes:
    squeeze = zlib.compressobj(1, wbits=zlib.MAX_WBITS | 16)
    return b"".join(squeeze.compress(bytes(MIB)) for _ in range(mib)) + squeeze.flush()


def resident_kib() -> int:
    """The most memory that this process has had since `clear_peak`."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0])


def clear_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


async def test_a_decompression_bomb_is_refused_without_its_memory() -> None:
    """1 MiB on the wire would be 1 GiB in memory."""
    body = bomb(1024)
    async with serving(webhook={"max_body_mib": 4}) as service:
        clear_peak()
        before = resident_kib()
        status, _, _ = await service.post(body, **{"Content-Encoding": "gzip"})
        grown_mib = (resident_kib() - before) / 1024

        assert 413 == status
        assert grown_mib < 64
        assert 202 == (await service.post())[0]


async def test_a_body_that_inflates_to_nothing_is_bounded_too() -> None:
    """Empty blocks give no output that could be counted."""
    squeeze = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    body = squeeze.compress(b"x") + squeeze.flush(zlib.Z_FULL_FLUSH) + b"\x00\x00\x00\xff\xff" * 300_000
    async with serving(webhook={"max_body_mib": 1}) as service:
        assert 413 == (await service.post(body, **{"Content-Encoding": "gzip"}))[0]


async def talk(service: Service, *, length: int, body: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send the head of a request, wait until it is being handled, and send a part of its body."""
    server = service.client.server
    reader, writer = await asyncio.open_connection(server.host, server.port)
    head = f"POST /api/v1/alerts HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
    writer.write(head.encode())
    async with asyncio.timeout(30):
        assert b"HTTP/1.1 100 Continue\r\n\r\n" == await reader.readuntil(b"\r\n\r\n")
    writer.write(body)
    await writer.drain()
    return reader, writer


async def test_a_slow_sender_is_given_up() -> None:
    """A body that trickles in for ever would hold its place for ever."""
    async with serving(limits=Limits(time=timedelta(milliseconds=100))) as service:
        reader, writer = await talk(service, length=len(FIRING), body=FIRING[:100])
        async with asyncio.timeout(30):
            line = await reader.readline()
        writer.close()
        await writer.wait_closed()

        assert b"HTTP/1.1 408 Request Timeout\r\n" == line
        assert 202 == (await service.post())[0]


async def test_a_sender_that_hangs_up_half_way_gives_its_room_back() -> None:
    """It happens with every restart of Alertmanager; the next body would find no place."""
    limits = Limits(held=1, patience=timedelta(seconds=30))
    async with serving(limits=limits, webhook={"max_body_mib": 1}) as service:
        _, writer = await talk(service, length=MIB, body=b" " * (MIB - 1))
        writer.transport.abort()

        assert 202 == (await service.post(FIRING + b" " * (MIB - len(FIRING))))[0]
        assert 1 == len(service.intake.accepted)


async def test_more_than_fits_at_once_waits_and_is_then_told_to_come_again() -> None:
    """All requests together stay within one bound."""
    limits = Limits(held=MIB, patience=timedelta(milliseconds=50))
    large = FIRING + b" " * (MIB // 2)
    async with serving(limits=limits, webhook={"max_body_mib": 1}) as service:
        service.intake.hang = asyncio.Event()
        first = asyncio.create_task(service.post(large))
        await until(lambda: service.intake.begun == 1)
        second_status, _, second_headers = await service.post(b" " * MIB)
        service.intake.hang.set()

        assert (503, "5") == (second_status, second_headers["Retry-After"])
        assert 202 == (await first)[0]
        assert 202 == (await service.post(large))[0]


async def test_the_largest_body_finds_room_when_it_is_alone() -> None:
    """Else raising webhook.max_body_mib would only turn a 413 into a 503 for ever."""
    async with serving(
        limits=Limits(held=1, patience=timedelta(milliseconds=50)), webhook={"max_body_mib": 1}
    ) as service:
        assert 202 == (await service.post(FIRING + b" " * (MIB - len(FIRING))))[0]


async def test_the_loop_turns_while_a_large_body_is_parsed(service: Service) -> None:
    """Heart beats and other requests must not wait for it."""
    many = json.dumps({"alerts": [{"labels": {"pod": f"web-{n}"}} for n in range(60_000)]}).encode()
    request = asyncio.create_task(service.post(many))
    alive = 0
    while not request.done():
        async with service.client.get("/healthz") as answer:
            alive += answer.status == 200

    assert 202 == (await request)[0]
    assert alive > 3


WRONG = {
    "unknown path": ("GET", "/nothing", 404),
    "unknown path below the API": ("GET", "/api/v2/alerts", 404),
    "wrong method": ("PUT", "/api/v1/alerts", 405),
    "wrong method at a page": ("POST", "/healthz", 405),
    "the console, which is not there yet": ("GET", "/", 404),
}


@pytest.mark.parametrize(("method", "path", "status"), WRONG.values(), ids=WRONG.keys())
async def test_a_wrong_address_gets_a_short_answer_in_json(
    service: Service, method: str, path: str, status: int
) -> None:
    """A script can show it to a person."""
    async with service.client.request(method, path) as answer:
        assert status == answer.status
        assert ["error"] == list(await answer.json())
        assert ("Allow" in answer.headers) == (status == 405)


async def test_health_pages_need_no_token() -> None:
    """Probes and Prometheus have none; they show nothing of alerts."""
    async with serving(webhook={"tokens": ["x"]}) as service:
        async with service.client.get("/healthz") as answer:
            assert (200, {"status": "ok"}) == (answer.status, await answer.json())
        async with service.client.get("/readyz") as answer:
            assert 200 == answer.status
            assert {
                "ready": True,
                "checks": [
                    {"name": "store", "ok": True, "degraded": False, "detail": ""},
                    {"name": "slack", "ok": True, "degraded": True, "detail": ""},
                ],
            } == await answer.json()
        async with service.client.get("/metrics") as answer:
            assert (200, "text/plain") == (answer.status, answer.content_type)
            assert "remediator_ready" in await answer.text()


async def test_metrics_show_nothing_of_an_alert(service: Service) -> None:
    """They need no token, and labels are an attacker's input."""
    await service.post(b'{"alerts": [{"labels": {"alertname": "Zebra", "zebra": "zebra"}}], "receiver": "zebra"}')
    async with service.client.get("/metrics") as answer:
        text = await answer.text()

    assert 'remediator_deliveries_total{status="202"} 1.0' in text
    assert "zebra" not in text.lower()


async def not_ready() -> Health:
    return Health(ready=False, checks=(HealthCheck("store", ok=False, detail="the store cannot be written"),))


async def broken() -> Health:
    raise RuntimeError("secret detail")


@pytest.mark.parametrize("health", [not_ready, broken])
async def test_a_service_that_cannot_accept_is_not_ready_but_alive(health: Callable[[], Awaitable[Health]]) -> None:
    """Not ready keeps traffic away; not alive would restart the process, which mends no disk."""
    async with serving(health=health) as service:
        async with service.client.get("/readyz") as answer:
            assert 503 == answer.status
            assert "secret" not in await answer.text()
        async with service.client.get("/healthz") as answer:
            assert 200 == answer.status


@pytest.mark.parametrize("path", ["/api/v1/runs", "/api/v1/runs/abc"])
async def test_the_api_is_closed_without_the_admin_token(service: Service, path: str) -> None:
    """Runs show labels, plans and evidence."""
    async with service.client.get(path) as answer:
        assert (401, 'Bearer realm="remediator"') == (answer.status, answer.headers["WWW-Authenticate"])
