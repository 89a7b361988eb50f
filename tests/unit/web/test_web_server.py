"""The application on a real loopback socket: every answer makes Alertmanager do the right thing."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from remediator.errors import Overloaded, StoreUnavailable
from remediator.web.health import Health, HealthCheck
from tests.unit.web.serving import Service, serving, until


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


async def send_and_leave(service: Service) -> None:
    """Send a delivery, and hang up while it is being stored."""
    sending = asyncio.create_task(service.post())
    await until(lambda: service.intake.begun == 1)
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)


async def test_a_sender_that_leaves_a_hanging_store_leaves_no_way_around_the_limit() -> None:
    """A sender that hangs up early and comes again would pile up deliveries that nobody waits for."""
    async with serving(webhook={"accept_timeout": "200ms"}) as service:
        service.intake.hang = asyncio.Event()
        await send_and_leave(service)
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
    await send_and_leave(service)
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
