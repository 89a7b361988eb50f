"""What is too much is answered 503 in time and taken later: a storm, a backlog, a full disk, a store that hangs."""

import asyncio
import json
import os
import resource
import signal
import sqlite3
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

from tests import full_disk, services
from tests.served import Served

FILES, SENDERS = 256, 2000
MIB = 1024 * 1024
COMMANDS: dict[str, Any] = {
    "look": {"argv": ["true"], "effect": "read"},
    "mend": {"argv": ["true"], "parameters": {"service": {}}, "effect": "change", "target": "{service}"},
}
LOOK = {"command.run": {"command": "look"}, "expect": "result.exit_code == 0"}


def body_of(alertname: str, service: str) -> bytes:
    now = datetime.now(UTC).isoformat()
    labels = {"alertname": alertname, "service": service}
    one = {"status": "firing", "labels": labels, "annotations": {}, "startsAt": now}
    return json.dumps({"version": "4", "groupKey": "{}", "receiver": "remediator", "alerts": [one]}).encode()


def deliver(served: Served, service: str, alertname: str = "") -> tuple[int, str]:
    """The status of the answer, and the reason in it."""
    status, said = served.ask("/api/v1/alerts", body=body_of(alertname or f"Seen-{service}", service))
    return status, json.loads(said).get("reason", "")


def refused(served: Served, reason: str) -> float:
    return served.series().get(f'remediator_refused_deliveries_total{{reason="{reason}"}}', 0.0)


def check_of(served: Served, name: str) -> dict[str, Any]:
    (found,) = (check for check in served.readiness()[1]["checks"] if check["name"] == name)
    return dict(found)


def wait_for_readiness(served: Served, status: int) -> None:
    services.wait_until(lambda: served.readiness()[0] == status, f"readiness to answer {status}")


def runs_by_service(served: Served) -> Counter[str]:
    """How many runs each service has, which its alert is called after."""
    listed = served.get("/api/v1/runs?limit=500")["runs"]
    return Counter(run["alertname"].removeprefix("Seen-") for run in listed)


def watch_every_service(served: Served, **more: Any) -> None:
    """The rule that only looks takes an alert of its own for each service."""
    rules = yaml.safe_load((served.folder / "rules.yaml").read_text())
    rules["rules"][-1] |= {"match": ['alertname=~"Seen-.+"'], **more}
    (served.folder / "rules.yaml").write_text(yaml.safe_dump(rules))


# -- a storm --


async def send(port: int, body: bytes) -> int:
    """One sender on a connection of its own; 0 where it got no answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        head = f"POST /api/v1/alerts HTTP/1.1\r\nHost: here\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        line = await reader.readline()
        return int(line.split()[1]) if line else 0
    finally:
        writer.transport.abort()


async def test_more_senders_than_files_are_all_answered_while_actions_go_on(served: Served) -> None:
    """Without a limit below that of the files, the service could neither take connections nor make any."""
    services.requires("prlimit")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(SENDERS, hard - 500)
    called = asyncio.Event()

    async def mend(request: web.Request) -> web.Response:
        called.set()
        return web.json_response({})

    app = web.Application()
    app.router.add_post("/mend", mend)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/mend"
    served.wrapper = ("prlimit", f"--nofile={FILES}:{FILES}")
    served.configure(commands=COMMANDS, http={"allow": ["127.0.0.0/8"]})
    rule = {
        "name": "mend",
        "match": ['alertname="Down"'],
        "mode": "auto",
        "remediate": [{"name": "mend", "do": [{"http.post": {"url": url}}]}],
        "verify": {"settle": "0s", "sustain": "0s", "within": "10s", "checks": [LOOK]},
    }
    (served.folder / "rules.yaml").write_text(yaml.safe_dump({"pack": "web", "rules": [rule]}))
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        await asyncio.to_thread(served.start)
        names = [("Down", "web"), *(("Other", f"s{n}") for n in range(count - 1))]
        sending = [asyncio.create_task(send(served.port, body_of(*name))) for name in names]
        most = 0
        while not all(task.done() for task in sending):
            most = max(most, open_files(served))
            await asyncio.sleep(0.01)
        answers = Counter(await asyncio.gather(*sending))
        async with asyncio.timeout(60):
            await called.wait()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        await runner.cleanup()
    log = served.log()

    assert count == answers[202] + answers[503], answers
    assert answers[202] > 0
    assert most < FILES
    assert "out of system resource" not in log
    assert "connection_not_taken" not in log
    assert 1 == log.count("connections_full")


def open_files(served: Served) -> int:
    assert served.process is not None
    return sum(1 for _ in Path(f"/proc/{served.process.pid}/fd").iterdir())


# -- a backlog --


def test_a_backlog_refuses_alerts_until_it_is_worked_off_and_alertmanager_brings_them_all(served: Served) -> None:
    """What waits at Alertmanager costs us neither memory nor disk, and is not lost."""
    services.requires("prometheus-alertmanager")
    first, later = {f"s{n}" for n in range(10)}, {f"s{n}" for n in range(10, 40)}
    gate = served.folder / "gate"
    wait = {"argv": ["sh", "-c", f"until [ -e {gate} ]; do sleep 0.1; done"], "effect": "read"}
    served.configure(commands={**COMMANDS, "wait": wait}, pipeline={"runs_at_once": 1}, pressure={"most_waiting": 5})
    watch_every_service(served, diagnose={"gate": {"command.run": {"command": "wait"}}})
    served.start()
    route = {"group_by": ["..."], "group_interval": "1s"}
    with services.alertmanager(webhook=f"{served.url}/api/v1/alerts", route=route) as alertmanager:
        fire(alertmanager, first)
        services.wait_until(lambda: served.readiness()[0] == 503, "the backlog to be too much")
        fire(alertmanager, later)
        services.wait_until(lambda: refused(served, "backlog") >= 30, "deliveries to be refused")
        status, said = served.readiness()[0], deliver(served, "by-hand")
        pressure, series = check_of(served, "pressure"), served.series()
        taken = len(runs_by_service(served))
        gate.touch()
        services.wait_until(lambda: set(runs_by_service(served)) == first | later, "every alert to have its run")
        services.wait_until(lambda: not served.get("/api/v1/runs?active=true")["runs"], "all runs to end")

    assert (503, (503, "backlog")) == (status, said)
    assert (False, "more than 5 runs waited for a worker (pressure.most_waiting)") == (
        pressure["ok"],
        pressure["detail"],
    )
    assert 1.0 == series['remediator_under_pressure{reason="backlog"}']
    assert taken <= len(first)
    assert {1} == set(runs_by_service(served).values())
    assert 200 == served.readiness()[0]
    assert 0.0 == served.series()['remediator_under_pressure{reason="backlog"}']


def fire(alertmanager: services.Service, names: set[str]) -> None:
    """Have Alertmanager hear of alerts, one for each name."""
    alerts = [{"labels": {"alertname": f"Seen-{name}", "service": name}} for name in sorted(names)]
    request = urllib.request.Request(
        f"{alertmanager.address}/api/v2/alerts",
        data=json.dumps(alerts).encode(),
        headers={"Content-Type": "application/json"},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=10) as answer:
        assert 200 == answer.status


# -- a full disk --


def deliver_until_refused(served: Served, prefix: str) -> tuple[list[str], str]:
    """Deliver one alert after the other; those that were taken, and the reason why one was not."""
    taken: list[str] = []
    for n in range(20_000):
        name = f"{prefix}{n}"
        status, reason = deliver(served, name)
        if status == 503:
            return taken, reason
        assert 202 == status
        taken.append(name)
    raise AssertionError("nothing was refused")


def test_a_full_disk_refuses_alerts_and_loses_none(served: Served, tmp_path: Path) -> None:
    """Really full, to the last byte: no 202 for what is not there after a kill, and no restart to go on."""
    with full_disk.small_disk(tmp_path / "disk", 16) as disk:
        served.configure(store={"directory": str(disk / "store")}, pressure={"least_free_mib": 0})
        watch_every_service(served)
        (served.folder / "store").symlink_to(disk / "store")
        served.start()
        full_disk.fill(disk / "ballast")
        before, reason = deliver_until_refused(served, "before")
        wait_for_readiness(served, 503)
        store, count = check_of(served, "store"), refused(served, "store")
        (disk / "ballast").unlink()
        wait_for_readiness(served, 200)
        after = deliver(served, "after")
        served.kill()
        served.start()
        found = runs_by_service(served)
        served.stop()

    assert ("store", (202, "")) == (reason, after)
    assert not store["ok"]
    assert "is the disk full or read-only?" in store["detail"]
    assert count >= 1
    assert {*before, "after"} <= set(found)
    assert {1} == set(found.values())


def test_alerts_are_refused_before_the_disk_is_full(served: Served, tmp_path: Path) -> None:
    """What was taken has to come to its end, and that is written, too."""
    with full_disk.small_disk(tmp_path / "disk", 32) as disk:
        gate, acts = served.folder / "gate", served.folder / "acts"
        wait = f"touch {acts}; until [ -e {gate} ]; do sleep 0.1; done"
        served.configure(
            mode="auto",
            commands={**COMMANDS, "mend": {**COMMANDS["mend"], "argv": ["sh", "-c", wait, "{service}"]}},
            store={"directory": str(disk / "store")},
            pressure={"least_free_mib": 8},
        )
        (served.folder / "store").symlink_to(disk / "store")
        served.start()
        taken = deliver(served, "web", "Down")
        services.wait_until(acts.exists, "the step to act")
        free = os.statvfs(disk)
        (disk / "ballast").write_bytes(b"x" * (free.f_bavail * free.f_frsize - 4 * MIB))
        wait_for_readiness(served, 503)
        said, pressure, store = deliver(served, "other"), check_of(served, "pressure"), check_of(served, "store")
        gate.touch()
        services.wait_until(lambda: served.run()["outcome"] is not None, "the run to end")
        outcome = served.run()["outcome"]
        (disk / "ballast").unlink()
        wait_for_readiness(served, 200)
        again = deliver(served, "other")
        served.stop()

    assert ((202, ""), (503, "disk"), (202, "")) == (taken, said, again)
    assert (False, True) == (pressure["ok"], store["ok"])
    assert "less than 8 MiB were free on the disk of the store (pressure.least_free_mib)" == pressure["detail"]
    assert "healed" == outcome


# -- a store that is slow --


def test_a_store_that_hangs_is_answered_in_time_and_what_was_handed_in_lands_once(served: Served) -> None:
    """Alertmanager is told to come again while it still listens; what lands late makes its repeat a repeat."""
    served.configure(webhook={"accept_timeout": "500ms"})
    watch_every_service(served)
    served.start()
    with locked(served.folder / "store" / "remediator.sqlite3"):
        first, second = deliver(served, "web"), deliver(served, "other")
        wait_for_readiness(served, 503)
        store = check_of(served, "store")
    wait_for_readiness(served, 200)
    services.wait_until(lambda: deliver(served, "web")[0] == 202, "deliveries to be taken again")
    found = runs_by_service(served)

    assert [(503, "slow")] * 2 == [first, second]
    assert not store["ok"]
    assert 1 == found["web"]
    assert 0 == found["other"]
    assert refused(served, "slow") >= 2


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock for writing, as nobody ever should, for less than it is waited for."""
    db = sqlite3.connect(path, isolation_level=None)
    try:
        db.execute("BEGIN IMMEDIATE")
        yield
    finally:
        db.execute("ROLLBACK")
        db.close()


def test_a_database_that_is_frozen_is_answered_503_and_used_again(served: Served) -> None:
    """It takes connections and answers nothing: only time-outs tell."""
    services.requires("postgres", "initdb", "pg_isready", "psql")
    with services.postgresql() as database:
        url = f"postgresql://postgres@{database.address}/postgres"
        store = {"directory": str(served.folder / "store"), "url": url, "timeout": "2s"}
        served.configure(mode="auto", store=store, webhook={"accept_timeout": "1s"})
        served.start()
        with frozen(database):
            refused_first = deliver(served, "web", "Down")[0]
            wait_for_readiness(served, 503)
            checks = {check["name"]: check["ok"] for check in served.readiness()[1]["checks"]}
        wait_for_readiness(served, 200)
        services.wait_until(lambda: deliver(served, "web", "Down")[0] == 202, "deliveries to be taken again")
        services.wait_until(lambda: served.run()["outcome"] is not None, "the run to end")
        outcome = served.run()["outcome"]
        served.stop()

    assert (503, "healed") == (refused_first, outcome)
    assert not checks.get("store", checks.get("checks"))


@contextmanager
def frozen(database: services.Postgres) -> Iterator[None]:
    """Every process of the server stands still: the first one, and those that serve connections."""
    first = database.process.pid
    children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
    pids = [first, *map(int, children)]
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
