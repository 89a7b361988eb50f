"""The doctor asks real engines and servers whether they let us do what the loaded rules need."""

import re
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import ClientSession, UnixConnector, web
from aiohttp.test_utils import TestServer

from remediator.actions import docker
from remediator.clients import Clients
from remediator.doctor.examination import examine
from remediator.doctor.finding import Finding, Verdict
from remediator.kit.clock import SystemClock
from remediator.model.ids import StepId
from remediator.plugins import Action, ActionContext, Actions
from remediator.settings import DockerSettings, Settings, load_settings
from tests import services

RULES = """
pack: web
rules:
  - name: down
    match: ['alertname="Down"']
    diagnose:
      state: {docker.inspect: {container: web}}
      said: {docker.logs: {container: web}}
    remediate:
      - name: more memory
        when: steps.state.oom_killed
        do: [{docker.set_memory: {container: web, limit: 1g}}]
      - name: restart
        do: [{docker.restart: {container: web}}]
    verify: {checks: [{docker.inspect: {container: web}, expect: result.running}]}
    limits: {cooldown: 10m}
  - name: slow
    match: ['alertname="Slow"']
    diagnose:
      cache: {redis.ping: {server: cache}}
      links: {postgres.connections: {server: main}}
    limits: {cooldown: 10m}
"""
LIST = "GET /containers/json"
INSPECT, LOGS, STATS = (f"GET /containers/{{id}}/{what}" for what in ("json", "logs", "stats"))
START, RESTART, UPDATE = (f"POST /containers/{{id}}/{what}" for what in ("start", "restart", "update"))


async def doctor(folder: Path, rules: str = RULES, **settings: Any) -> dict[str, Finding]:
    """What is found with these settings, by what was looked at."""
    (folder / "rules").mkdir(exist_ok=True)
    (folder / "rules" / "web.yaml").write_text(rules)
    needed = {"store": {"directory": str(folder / "store")}, "rules": [str(folder / "rules")]}
    (folder / "remediator.yaml").write_text(yaml.safe_dump({**needed, **settings}))
    findings = await examine(load_settings(folder / "remediator.yaml"), Actions.installed())
    return {finding.what: finding for finding in findings}


@dataclass
class AllowList:
    """A proxy before an engine that passes on what it allows, as people put one there; it notes what it was asked."""

    engine: str
    forbids: str = "nothing"
    answers: int = 403
    address: str = ""
    asked: set[str] = field(default_factory=set)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["AllowList"]:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        connector = UnixConnector(self.engine.removeprefix("unix://"))
        async with ClientSession("http://engine", connector=connector) as self._session, TestServer(app) as server:
            self.address = f"tcp://127.0.0.1:{server.port}"
            yield self

    async def _pass_on(self, request: web.Request) -> web.Response:
        path = re.sub(r"^/v[0-9.]+(?=/)", "", request.path)
        call = f"{request.method} {re.sub(r'(?<=/containers/)[^/]+(?=/)', '{id}', path)}"
        self.asked.add(call)
        if re.search(self.forbids, call):
            return web.Response(status=self.answers, text="<h1>not here</h1>", content_type="text/html")
        kind = {name: request.headers[name] for name in ("Content-Type",) if name in request.headers}
        body = await request.read()
        async with self._session.request(request.method, request.path_qs, data=body, headers=kind) as answer:
            return web.Response(status=answer.status, body=await answer.read(), content_type=answer.content_type)


def of(found: dict[str, Finding], system: str) -> dict[str, Verdict]:
    return {what: finding.verdict for what, finding in found.items() if what.startswith(system)}


# -- Docker --


@pytest.mark.parametrize(
    ("action", "params"),
    [
        (docker.inspect, {}),
        (docker.logs, {}),
        (docker.count_logs, {"patterns": {"all": "."}}),
        (docker.stats, {}),
        (docker.start, {}),
        (docker.restart, {"stop_timeout": "0s"}),
        (docker.set_memory, {"limit": "64m", "lower": True}),
    ],
    ids=lambda value: value.name if isinstance(value, Action) else "",
)
async def test_an_action_declares_exactly_the_calls_that_it_makes(
    docker_engine: str, action: Action, params: dict[str, Any]
) -> None:
    """The doctor asks for what is declared: with one too few, a remedy would be found forbidden when it is needed."""
    name = f"calls-{action.name}"
    forever = "trap 'exit 0' TERM; sleep 1000 & wait"
    of_compose = {"com.docker.compose.project": "calls", "com.docker.compose.service": action.name}
    services.run_container(docker_engine, name, forever, labels=of_compose, mem_limit="128m")
    async with AllowList(docker_engine).running() as proxy:
        clients = Clients(Settings(docker=DockerSettings(engines={"local": proxy.address})))
        given = action.params.model_validate({"container": name, **params})
        ends = datetime.now(UTC) + timedelta(minutes=1)
        context = ActionContext(clients, SystemClock(), StepId("remediate.0.0"), ends)
        try:
            targets = await action.resolve(context, given) if action.resolve is not None else ()
            acting = ActionContext(clients, SystemClock(), context.step, ends, targets)
            if action.pool is not None:
                await action.pool(acting, given)
            await action.perform(acting, given)
        finally:
            await clients.close()

    assert {permission.name for permission in action.permissions} == proxy.asked - {"GET /version"}


async def test_every_call_that_rules_need_is_asked_for_and_nothing_is_changed(
    tmp_path: Path, docker_engine: str
) -> None:
    """An engine that allows all says so, and its containers are as they were."""
    before = services.run_container(docker_engine, "untouched", "sleep 600")
    async with AllowList(docker_engine).running() as proxy:
        found = await doctor(tmp_path, docker={"engines": {"local": proxy.address}})

    assert {INSPECT, LIST, LOGS, STATS, RESTART, UPDATE, "GET /version"} == proxy.asked
    assert {"docker local": Verdict.OK} == of(found, "docker")
    assert "answers, and lets the 6 calls of the rules through" == found["docker local"].detail
    with services.docker_api(docker_engine) as api:
        state = api.inspect_container(before)
    assert (True, 0) == (state["State"]["Running"], state["HostConfig"]["Memory"])


@pytest.mark.parametrize("status", [401, 403, 405])
@pytest.mark.parametrize(
    ("forbidden", "verdict", "users"),
    [
        (RESTART, Verdict.PROBLEM, "forbidden; needed by docker.restart in web/down"),
        (UPDATE, Verdict.PROBLEM, "forbidden; needed by docker.set_memory in web/down"),
        (LOGS, Verdict.PROBLEM, "forbidden; needed by docker.logs in web/down"),
        (STATS, Verdict.WARNING, "cannot be lowered (docker.set_memory in web/down)"),
        (LIST, Verdict.WARNING, "no container that Compose has made can be restarted"),
        (INSPECT, Verdict.PROBLEM, "docker.inspect in web/down; docker.logs in web/down; docker.restart in web/down"),
    ],
    ids=["restart", "update", "logs", "stats", "list", "inspect"],
)
async def test_a_call_that_a_proxy_forbids_is_told_with_who_needs_it(
    tmp_path: Path, docker_engine: str, forbidden: str, verdict: Verdict, users: str, status: int
) -> None:
    """Found now, and not when the remedy is needed at night. All else is allowed, and not complained of."""
    async with AllowList(docker_engine, f"^{re.escape(forbidden)}$", status).running() as proxy:
        found = await doctor(tmp_path, docker={"engines": {"local": proxy.address}})

    what = f"docker local: {forbidden}"
    assert {"docker local": Verdict.OK, what: verdict} == of(found, "docker")
    assert users in found[what].detail
    assert f"let {forbidden} through in the proxy" in found[what].remedy


async def test_what_no_rule_does_may_be_forbidden(tmp_path: Path, docker_engine: str) -> None:
    """The shortest list of what is allowed is the best one."""
    async with AllowList(docker_engine, START).running() as proxy:
        found = await doctor(tmp_path, docker={"engines": {"local": proxy.address}})

    assert {"docker local": Verdict.OK} == of(found, "docker")


@pytest.mark.parametrize("status", [404, 502])
async def test_an_answer_that_is_not_the_engines_is_told(tmp_path: Path, docker_engine: str, status: int) -> None:
    """A proxy that hides what it forbids says 404, as the engine does of a container that is not there."""
    async with AllowList(docker_engine, RESTART, status).running() as proxy:
        found = await doctor(tmp_path, docker={"engines": {"local": proxy.address}})

    finding = found[f"docker local: {RESTART}"]
    assert Verdict.PROBLEM is finding.verdict
    assert f"it answered {status} <h1>not here</h1>; needed by docker.restart in web/down" in finding.detail


async def test_a_proxy_that_lets_nothing_through_is_no_engine_that_is_away(tmp_path: Path, docker_engine: str) -> None:
    """It answers, so looking whether it runs would be time lost."""
    async with AllowList(docker_engine, "").running() as proxy:
        found = await doctor(tmp_path, docker={"engines": {"local": proxy.address}})

    assert {"docker local": Verdict.PROBLEM} == of(found, "docker")
    assert f"if {proxy.address} is a proxy, let GET /version through" == found["docker local"].remedy


async def test_an_engine_that_hangs_hides_no_other(tmp_path: Path, docker_engine: str) -> None:
    """Its own time limit is that of restarts, and longer than the doctor waits for all engines."""
    with socket.socket(socket.AF_UNIX) as hung:
        hung.bind(str(tmp_path / "hung.sock"))
        hung.listen()
        engines = {"hung": f"unix://{tmp_path / 'hung.sock'}", "local": docker_engine}
        found = await doctor(tmp_path, docker={"engines": engines})

    assert {"docker hung": Verdict.PROBLEM, "docker local": Verdict.OK} == of(found, "docker")


# -- Redis --


def say(address: str, *commands: str) -> None:
    """Send commands as a person would by telnet, and wait for the answer to each."""
    host, _, port = address.partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as link, link.makefile("rb") as answers:
        for command in commands:
            link.sendall(f"{command}\r\n".encode())
            assert answers.readline().startswith(b"+OK")


@pytest.fixture
def redis_server() -> Iterator[services.Service]:
    services.requires("redis-server")
    with services.redis_server() as running:
        yield running


@pytest.mark.parametrize(
    ("rights", "database", "expected", "remedy"),
    [
        ("+ping +info +select", 3, Verdict.OK, ""),
        ("+ping +info", 0, Verdict.OK, ""),
        ("+ping", 0, Verdict.WARNING, "ACL SETUSER watcher +info "),
        ("+info", 0, Verdict.PROBLEM, "ACL SETUSER watcher +ping "),
        ("+ping +info", 3, Verdict.PROBLEM, "ACL SETUSER watcher +select "),
    ],
    ids=["all", "just enough", "no info", "no ping", "no select"],
)
async def test_what_an_access_list_forbids_is_told_with_the_command_that_allows_it(
    tmp_path: Path, redis_server: services.Service, rights: str, database: int, expected: Verdict, remedy: str
) -> None:
    """And that command is right: the server is well with it."""
    say(redis_server.address, f"ACL SETUSER watcher on >open-sesame {rights}")
    cache = {
        "url": f"redis://{redis_server.address}/{database}",
        "username": "watcher",
        "password": "open-sesame",
    }
    found = await doctor(tmp_path, redis={"cache": cache})
    if remedy:
        say(redis_server.address, found["redis cache"].remedy.partition(" (")[0])
    mended = await doctor(tmp_path, redis={"cache": cache})

    assert expected is found["redis cache"].verdict
    assert remedy in found["redis cache"].remedy
    assert Verdict.OK is mended["redis cache"].verdict


async def test_what_is_lost_without_a_command_is_told(tmp_path: Path, redis_server: services.Service) -> None:
    """The reader decides whether that matters, and sees which rule asks."""
    say(redis_server.address, "ACL SETUSER watcher on >open-sesame +ping")
    login = {"url": f"redis://{redis_server.address}", "username": "watcher", "password": "open-sesame"}
    found = await doctor(tmp_path, redis={"cache": login, "spare": login})

    assert (
        "answers, but user watcher may not run INFO: version, role, memory and clients are not told "
        "(redis.ping in web/slow)"
    ) == found["redis cache"].detail
    assert Verdict.OK is found["redis spare"].verdict  # no rule asks it


async def test_a_command_that_the_server_has_not_is_no_matter_of_rights(tmp_path: Path) -> None:
    """Hosted servers take INFO away."""
    services.requires("redis-server")
    with services.redis_server(arguments=("--rename-command", "INFO", "")) as server:
        found = await doctor(tmp_path, redis={"cache": {"url": f"redis://{server.address}"}})

    assert Verdict.WARNING is found["redis cache"].verdict
    assert "look for rename-command in its configuration" == found["redis cache"].remedy


async def test_a_wrong_password_stays_a_wrong_password(tmp_path: Path) -> None:
    """No right mends it."""
    services.requires("redis-server")
    with services.redis_server(password="open sesame") as server:
        cache = {"url": f"redis://{server.address}", "password": "guessed badly"}
        found = await doctor(tmp_path, redis={"cache": cache})

    assert Verdict.PROBLEM is found["redis cache"].verdict
    assert "it refuses the login" in found["redis cache"].detail
    assert "guessed badly" not in str(found)


# -- PostgreSQL --


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        ('CREATE ROLE "of us" LOGIN', Verdict.WARNING),
        ('CREATE ROLE "of us" LOGIN IN ROLE pg_read_all_stats', Verdict.OK),
        ('CREATE ROLE "of us" LOGIN IN ROLE pg_monitor', Verdict.OK),
        ('CREATE ROLE "of us" LOGIN NOINHERIT IN ROLE pg_monitor', Verdict.WARNING),
        ('CREATE ROLE "of us" LOGIN SUPERUSER', Verdict.OK),
    ],
    ids=["no role", "the role", "by pg_monitor", "not inherited", "superuser"],
)
async def test_a_user_that_sees_no_states_is_told_with_the_grant(
    tmp_path: Path, postgres_server: services.Postgres, role: str, expected: Verdict
) -> None:
    """Counting works without it, and tells `hidden` for all that matters."""
    postgres_server.sql(role)
    try:
        main = {"port": postgres_server.port, "user": "of us"}
        found = await doctor(tmp_path, postgres={"main": main, "spare": main})
    finally:
        postgres_server.sql('DROP ROLE "of us"')

    assert expected is found["postgres main"].verdict
    assert Verdict.OK is found["postgres spare"].verdict  # no rule asks it
    if expected is Verdict.WARNING:
        assert "is hidden (postgres.connections in web/slow)" in found["postgres main"].detail
        assert 'GRANT pg_read_all_stats TO "of us"' == found["postgres main"].remedy


async def test_the_grant_works_as_it_is_told_whatever_the_name(
    tmp_path: Path, postgres_server: services.Postgres
) -> None:
    """A name may have quotes in it, and somebody pastes the line as the superuser."""
    name = 'x"; DROP ROLE remediator; --'
    quoted = '"' + name.replace('"', '""') + '"'
    postgres_server.sql(f"CREATE ROLE {quoted} LOGIN")
    try:
        main = {"port": postgres_server.port, "user": name}
        before = await doctor(tmp_path, postgres={"main": main})
        postgres_server.sql(before["postgres main"].remedy)
        after = await doctor(tmp_path, postgres={"main": main})
    finally:
        postgres_server.sql(f"DROP ROLE {quoted}")

    assert Verdict.WARNING is before["postgres main"].verdict
    assert Verdict.OK is after["postgres main"].verdict
