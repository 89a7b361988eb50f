"""What the built-in actions declare and say, and what they do with the answers of servers and commands."""

import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import ValidationError

from remediator.actions import alertmanager, command, docker, http, postgres, prometheus, redis, tcp
from remediator.clients import Clients
from remediator.documents import fields_of
from remediator.errors import Failed, NotAllowed, OutcomeUnknown
from remediator.kit.clock import SystemClock
from remediator.model.ids import StepId
from remediator.model.plan import Effect
from remediator.model.target import Target
from remediator.plugins import Action, ActionContext, Actions, Nature
from remediator.settings import CommandParameter, CommandSettings, DockerSettings, HttpSettings, Settings

_ALL: list[Action] = [
    command.run,
    docker.count_logs,
    docker.inspect,
    docker.logs,
    docker.restart,
    docker.set_memory,
    alertmanager.silence,
    redis.config_set,
    docker.start,
    docker.stats,
    http.get,
    http.post,
    postgres.connections,
    postgres.ready,
    prometheus.query,
    redis.ping,
    tcp.connect,
]


def a_python(script: str, **more: Any) -> CommandSettings:
    return CommandSettings.model_validate({"argv": [sys.executable, "-c", script, "{host}"], **more})


_HOST = {"host": CommandParameter()}
_COMMANDS = {
    "look": a_python("import sys; print('seen', sys.argv[1]); sys.exit(3)", effect="read", parameters=_HOST),
    "flush": a_python(
        "print('ok')",
        effect="change",
        target="cache:{host}",
        parameters=_HOST,
        idempotent=True,
        timeout=timedelta(minutes=3),
    ),
    "wipe": a_python(
        "import sys; print('x' * 900 + ' password=hunter2 no space left', file=sys.stderr); sys.exit(1)",
        effect="destroy",
        target="disk:{host}",
        parameters=_HOST,
    ),
    "hang": a_python(
        "import time; time.sleep(600)",
        effect="change",
        target="it",
        parameters=_HOST,
        timeout=timedelta(milliseconds=200),
    ),
}


@pytest.fixture
async def clients() -> AsyncIterator[Clients]:
    """Clients that may reach this machine and run a few commands."""
    made = Clients(
        Settings(
            http=HttpSettings(allow=(ip_network("127.0.0.0/8"),), timeout=timedelta(seconds=10)),
            docker=DockerSettings(timeout=timedelta(seconds=30)),
            commands=_COMMANDS,
        )
    )
    yield made
    await made.close()


@pytest.fixture
async def url() -> AsyncIterator[str]:
    """A server that answers with the status that its path names."""

    async def answer(request: web.Request) -> web.Response:
        body = await request.text()
        return web.json_response({"got": body}, status=int(request.path.strip("/")))

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    server = TestServer(app)
    await server.start_server()
    yield f"http://127.0.0.1:{server.port}"
    await server.close()


def a_context(clients: Clients, *targets: Target) -> ActionContext:
    return ActionContext(
        clients, SystemClock(), StepId("remediate.0.0"), datetime.now(UTC) + timedelta(minutes=1), targets
    )


def test_all_are_found_by_their_entry_points() -> None:
    """Built-ins come by the road of anybody's; one that is not found there does not exist."""
    found = Actions.installed()

    assert {action.name for action in _ALL} <= set(found)
    assert all(found[action.name] is action for action in _ALL)


@pytest.mark.parametrize("action", _ALL, ids=lambda action: action.name)
def test_each_field_and_action_is_documented(action: Action) -> None:
    """The docs and the editor show these sentences."""
    fields = {**fields_of(action.params), **fields_of(action.result)}

    assert [] == [name for name, field in fields.items() if not field.description]
    assert action.sentence.endswith(".")


@pytest.mark.parametrize(
    ("action", "given", "said"),
    [
        (docker.inspect, {"container": "web"}, "inspect container web (Docker engine local)"),
        (
            docker.logs,
            {"container": "web", "engine": "far", "tail": 5},
            "read the last 5 log lines of container web (Docker engine far)",
        ),
        (docker.start, {"container": "web"}, "start container web (Docker engine local)"),
        (
            redis.config_set,
            {"parameter": "maxmemory", "value": "2g"},
            "set maxmemory of Redis server default to 2 GiB",
        ),
        (
            redis.config_set,
            {"server": "cache", "parameter": "timeout", "value": 30},
            "set timeout of Redis server cache to 30",
        ),
        (
            alertmanager.silence,
            {"labels": {"alertname": "Down", "a": "b"}, "matchers": ['node=~"x.*"'], "duration": "1h"},
            'silence a="b", alertname="Down", node=~"x.*" in Alertmanager for 1h',
        ),
        (docker.restart, {"container": "web"}, "restart container web (Docker engine local)"),
        (
            docker.restart,
            {"container": "web", "stop_timeout": "1m30s"},
            "restart container web (Docker engine local), killed if it takes more than 1m30s to stop",
        ),
        (http.get, {"url": "http://a/?token=abc"}, "GET http://a/?token=[redacted]"),
        (http.get, {"url": "http://a/", "headers": {"X-A": "b"}}, "GET http://a/, headers X-A"),
        (http.post, {"url": "http://a/do"}, "POST to http://a/do, no body"),
        (http.post, {"url": "http://a/x/../do"}, "POST to http://a/do, no body"),
        (http.post, {"url": "http://a/do", "text": "wipe it"}, "POST to http://a/do, text body wipe it"),
        (
            http.post,
            {"url": "http://a/do", "json": {"wipe": "db", "token": "abc"}, "headers": {"X-Force": "1", "X-B": "2"}},
            'POST to http://a/do, headers X-Force, X-B, JSON body {"wipe": "db", "token": "[redacted]"}',
        ),
        (prometheus.query, {"query": "up == 0"}, "ask Prometheus: up == 0"),
        (docker.stats, {"container": "web"}, "measure container web (Docker engine local)"),
        (
            docker.count_logs,
            {"container": "web", "patterns": {"a": "x", "b": "y"}},
            "count a, b in the last 10,000 log lines of container web (Docker engine local)",
        ),
        (
            docker.set_memory,
            {"container": "web", "limit": "8g"},
            "raise the memory limit to 8 GiB for container web (Docker engine local)",
        ),
        (
            docker.set_memory,
            {"container": "web", "limit": "1.5g", "lower": True},
            "set the memory limit to 1.5 GiB for container web (Docker engine local)",
        ),
        (tcp.connect, {"host": "db", "port": 5432}, "connect to db:5432"),
        (redis.ping, {}, "PING Redis server default"),
        (postgres.ready, {"server": "main"}, "ask whether PostgreSQL server main takes connections"),
        (postgres.connections, {}, "count the connections of PostgreSQL server default"),
        (command.run, {"command": "flush", "parameters": {"b": "2", "a": "1"}}, "run command flush a=1 b=2"),
    ],
)
def test_an_action_says_what_it_would_do(action: Action, given: dict[str, Any], said: str) -> None:
    """People approve by this sentence."""
    assert said == action.describe(action.params.model_validate(given))


@pytest.mark.parametrize(
    ("action", "given", "nature"),
    [
        (docker.inspect, {"container": "a"}, Nature(Effect.READ, idempotent=True, timeout=timedelta(seconds=30))),
        (docker.start, {"container": "a"}, Nature(Effect.CHANGE, idempotent=True, timeout=timedelta(seconds=60))),
        (
            docker.set_memory,
            {"container": "a", "limit": "8g"},
            Nature(Effect.CHANGE, idempotent=True, timeout=timedelta(seconds=60)),
        ),
        (
            docker.restart,
            {"container": "a", "stop_timeout": "5m"},
            Nature(Effect.CHANGE, idempotent=False, timeout=timedelta(minutes=6)),
        ),
        (http.get, {"url": "http://a"}, Nature(Effect.READ, idempotent=True, timeout=timedelta(seconds=12))),
        (
            http.post,
            {"url": "http://a", "timeout": "1m"},
            Nature(Effect.CHANGE, idempotent=False, timeout=timedelta(seconds=62)),
        ),
        (command.run, {"command": "look"}, Nature(Effect.READ, idempotent=True, timeout=timedelta(seconds=40))),
        (
            command.run,
            {"command": "flush"},
            Nature(Effect.CHANGE, idempotent=True, timeout=timedelta(seconds=190)),
        ),
        (
            command.run,
            {"command": "wipe"},
            Nature(Effect.DESTROY, idempotent=False, timeout=timedelta(seconds=40)),
        ),
    ],
)
async def test_the_nature_of_a_step_comes_with_its_parameters(
    clients: Clients, action: Action, given: dict[str, Any], nature: Nature
) -> None:
    """Guards and locks go by it: a time limit that is too short would make outcomes unknown for no reason."""
    assert nature == action.nature_of(clients, action.params.model_validate(given))


@pytest.mark.parametrize(
    ("action", "given"),
    [
        (docker.logs, {"container": "a", "tail": 0}),
        (docker.logs, {"container": "a", "tail": 1001}),
        (docker.restart, {"container": "a", "stop_timeout": "31m"}),
        (docker.restart, {"container": "a", "stop_timeout": 10}),
        (docker.restart, {"name": "a"}),
        (redis.config_set, {"parameter": "dir", "value": "/tmp"}),
        (redis.config_set, {"parameter": "requirepass", "value": "x"}),
        (redis.config_set, {"parameter": "maxmemory", "value": "-1"}),
        (redis.config_set, {"parameter": "maxmemory", "value": -1}),
        (redis.config_set, {"parameter": "maxmemory", "value": 1.5}),
        (redis.config_set, {"parameter": "maxmemory", "value": True}),
        (redis.config_set, {"parameter": "maxmemory-policy", "value": "lru"}),
        (redis.config_set, {"parameter": "hz", "value": 501}),
        (redis.config_set, {"parameter": "timeout", "value": "1 2"}),
        (redis.config_set, {"parameter": "activedefrag", "value": "true"}),
        (alertmanager.silence, {}),
        (alertmanager.silence, {"labels": {"alertname": ""}}),
        (alertmanager.silence, {"matchers": ['alertname=~".+"', 'node!="a"']}),
        (alertmanager.silence, {"labels": {"": "a"}}),
        (alertmanager.silence, {"labels": {"a": "b"}, "matchers": ['c="d", e="f"']}),
        (alertmanager.silence, {"labels": {"a": "b"}, "duration": "0s"}),
        (alertmanager.silence, {"labels": {"a": "b"}, "comment": ""}),
        (docker.set_memory, {"container": "a", "limit": "5m"}),
        (docker.set_memory, {"container": "a", "limit": "-8g"}),
        (docker.set_memory, {"container": "a", "limit": 8.5}),
        (docker.count_logs, {"container": "a", "patterns": {"x": "x"}, "tail": 100_001}),
        (docker.count_logs, {"container": "a", "patterns": {"x": "("}}),
        (docker.count_logs, {"container": "a", "patterns": {}}),
        (tcp.connect, {"host": "a", "port": 0}),
        (tcp.connect, {"host": "a", "port": 65536}),
        (http.get, {"url": "http://a", "timeout": "0s"}),
        (http.post, {"url": "http://a", "json": {}, "text": ""}),
        (command.run, {"command": "a", "parameters": {"n": 1}}),
    ],
)
def test_parameters_out_of_bounds_are_refused(action: Action, given: dict[str, Any]) -> None:
    """When the rule is loaded or rendered, and not at the engine."""
    with pytest.raises(ValidationError):
        action.params.model_validate(given)


async def test_get_gives_the_answer(clients: Clients, url: str) -> None:
    """Whatever its status: a check may expect it."""
    answer = await http.get.perform(a_context(clients), http.GetParams(url=f"{url}/503"))

    assert isinstance(answer, http.Answered)
    assert (503, {"got": ""}, '{"got": ""}') == (answer.status, answer.json, answer.detail())
    assert f"503 in {answer.seconds * 1000:.0f} ms" == answer.brief()
    assert answer.model_dump(mode="json") == http.Answered.model_validate(answer.model_dump()).model_dump(mode="json")


async def test_post_sends_and_gives_the_answer(clients: Clients, url: str) -> None:
    """To the server that the plan names."""
    params = http.PostParams.model_validate({"url": f"{url}/201", "json": {"scale": 2}})
    assert http.post.resolve is not None
    targets = await http.post.resolve(a_context(clients), params)

    answer = await http.post.perform(a_context(clients, *targets), params)

    assert (Target("http", (url.removeprefix("http://"),)),) == targets
    assert isinstance(answer, http.Answered)
    assert (201, {"got": '{"scale": 2}'}) == (answer.status, answer.json)


def test_a_long_part_of_a_post_pushes_no_other_out_of_sight() -> None:
    """A label in the address would hide what is done there; whatever is cut says how much it is."""
    long = {"url": f"http://a/{'u' * 5000}", "headers": {"X-" + "h" * 500: "1"}, "json": {"wipe": "b" * 5000}}
    said = http.post.describe(http.PostParams.model_validate(long))

    assert 300 == len(said)
    assert said.startswith("POST to http://a/uuu")
    assert ", headers X-hhh" in said
    assert ', JSON body {"wipe": "bbb' in said
    assert 3 == said.count(" more)")


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_a_post_that_a_gateway_gave_up_is_unknown(clients: Clients, url: str, status: int) -> None:
    """What is behind it may have done it; to go on with the next remedy at once could do it twice."""
    target = Target("http", (url.removeprefix("http://"),))

    with pytest.raises(OutcomeUnknown, match=rf"answered {status}: .*it may have been done"):
        await http.post.perform(a_context(clients, target), http.PostParams(url=f"{url}/{status}"))


@pytest.mark.parametrize("status", [302, 303, 304])
async def test_a_post_that_is_sent_elsewhere_is_a_failure(clients: Clients, url: str, status: int) -> None:
    """A page to log in is no sign that anything was done."""
    target = Target("http", (url.removeprefix("http://"),))

    with pytest.raises(Failed, match=f"answered {status}"):
        await http.post.perform(a_context(clients, target), http.PostParams(url=f"{url}/{status}"))


@pytest.mark.parametrize(
    ("action", "given", "seconds", "needed"),
    [
        (docker.restart, {"container": "web", "stop_timeout": "1m"}, 2, "1m10s"),
        (docker.restart, {"container": "web"}, 14, "20s"),
        (docker.start, {"container": "web"}, 4, "10s"),
        (docker.set_memory, {"container": "web", "limit": "8g"}, 4, "10s"),
    ],
)
async def test_a_change_with_too_short_a_time_limit_is_not_begun(
    clients: Clients, action: Action, given: dict[str, Any], seconds: int, needed: str
) -> None:
    """It would outlive its lock, and another run would restart the container at the same time."""
    ends = datetime.now(UTC) + timedelta(seconds=seconds)
    context = ActionContext(
        clients, SystemClock(), StepId("remediate.0.0"), ends, (Target("docker", ("local", "web")),)
    )

    with pytest.raises(Failed, match=f"not done.*`timeout` be at least {needed}"):
        await action.perform(context, action.params.model_validate(given))


@pytest.mark.parametrize("limit", ["100ms", "1s", "30s"])
def test_the_time_limit_of_a_restart_suffices_by_default(limit: str) -> None:
    """Whatever the engine's own limit is: else no restart would ever be begun."""
    few = Clients(Settings.model_validate({"docker": {"timeout": limit}}))
    nature = docker.restart.nature_of(few, docker.RestartParams(container="web"))

    assert timedelta(seconds=20) <= nature.timeout


@pytest.mark.parametrize("status", [307, 400, 404, 500])
async def test_a_refused_post_is_a_failure(clients: Clients, url: str, status: int) -> None:
    """A step that was answered `no` must not count as done."""
    params = http.PostParams(url=f"{url}/{status}", text="token=abc")
    target = Target("http", (url.removeprefix("http://"),))

    with pytest.raises(Failed, match=rf"answered {status}: .*token=\[redacted\]"):
        await http.post.perform(a_context(clients, target), params)


async def test_post_goes_to_no_other_server_than_the_target(clients: Clients, url: str) -> None:
    """The lock and the approval are for the target."""
    with pytest.raises(Failed, match="is not the server that would be called"):
        await http.post.perform(a_context(clients, Target("http", ("127.0.0.1:1",))), http.PostParams(url=f"{url}/200"))


@pytest.mark.parametrize(
    ("called", "host"),
    [
        ("http://A.example/x", "a.example:80"),
        ("https://a.example", "a.example:443"),
        ("http://a.EXAMPLE./", "a.example:80"),
        ("http://[2001:DB8:0::1]/", "[2001:db8::1]:80"),
        ("http://[::ffff:10.0.0.1]/", "10.0.0.1:80"),
        ("http://127.0.0.1:8080/", "127.0.0.1:8080"),
        ("http://[::1]:8080/", "127.0.0.1:8080"),
        ("http://[::ffff:127.0.0.1]:8080/", "127.0.0.1:8080"),
        ("http://LocalHost:8080/", "127.0.0.1:8080"),
        ("http://localhost.:8080/", "127.0.0.1:8080"),
        ("http://0.0.0.0:8080/", "127.0.0.1:8080"),
    ],
)
async def test_the_target_of_a_post_is_its_host_and_port(clients: Clients, called: str, host: str) -> None:
    """One name for one server, however its URL is written."""
    assert (Target("http", (host,)),) == await http.host_called(a_context(clients), http.PostParams(url=called))


async def test_a_reading_command_that_fails_is_an_answer(clients: Clients) -> None:
    """A check may be written on its exit code; and it touches no target."""
    params = command.CommandParams(command="look", parameters={"host": "db1"})

    answer = await command.run.perform(a_context(clients), params)

    assert command.CommandResult(exit_code=3, stdout="seen db1\n", stderr="", truncated=False) == answer
    assert ("exit code 3", "seen db1") == (answer.brief(), answer.detail())
    assert () == await command.target_of(a_context(clients), params)


async def test_a_changing_command_acts_on_its_named_target(clients: Clients) -> None:
    """The name comes from the settings, filled with the parameters."""
    params = command.CommandParams(command="flush", parameters={"host": "c1"})
    targets = await command.target_of(a_context(clients), params)

    answer = await command.run.perform(a_context(clients, *targets), params)

    assert (Target("command", ("cache:c1",)),) == targets
    assert "ok" == answer.detail()


async def test_a_changing_command_that_fails_says_the_end_of_its_complaint(clients: Clients) -> None:
    """The reason stands in the last lines; secrets do not belong into a chat."""
    params = command.CommandParams(command="wipe", parameters={"host": "d1"})

    with pytest.raises(Failed, match=r"command wipe ended with exit code 1: … .*\nx.* no space left$") as failure:
        await command.run.perform(a_context(clients, Target("command", ("disk:d1",))), params)

    assert "hunter2" not in str(failure.value)
    assert 600 > len(str(failure.value))


async def test_a_changing_command_over_its_time_is_unknown(clients: Clients) -> None:
    """Ended halfway, it may have changed anything."""
    params = command.CommandParams(command="hang", parameters={"host": "d1"})

    with pytest.raises(OutcomeUnknown):
        await command.run.perform(a_context(clients, Target("command", ("it",))), params)


async def test_a_command_acts_on_no_other_target_than_the_planned(clients: Clients) -> None:
    """The lock is on the target."""
    params = command.CommandParams(command="flush", parameters={"host": "c1"})

    with pytest.raises(Failed, match="is not what command flush would act on"):
        await command.run.perform(a_context(clients, Target("command", ("cache:c2",))), params)


async def test_a_command_that_is_not_configured_is_not_allowed(clients: Clients) -> None:
    """Already where its nature is asked for, so that it is told when rules are checked."""
    with pytest.raises(NotAllowed, match="add it under commands"):
        command.run.nature_of(clients, command.CommandParams(command="rm"))


def test_an_inspected_container_is_told_in_one_line() -> None:
    """What matters first, and nothing that is as usual."""
    found = docker.Inspected(
        name="web",
        id="1",
        image="web:1",
        status="exited",
        running=False,
        exit_code=137,
        oom_killed=True,
        restarts=4,
        started_at=None,
        finished_at=None,
        health="unhealthy",
        memory_limit=0,
        error="no such file",
    )

    assert (
        "web is exited, unhealthy, exit code 137, ran out of memory, restarted 4 times by its policy, no such file"
        == found.brief()
    )
