"""The docker actions against a real engine: what they find, do, and refuse to do."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from remediator.actions import docker
from remediator.clients import Clients
from remediator.clients.docker import DockerEngine
from remediator.errors import NotAllowed, OutcomeUnknown, TargetGone, Unavailable
from remediator.kit.clock import SystemClock
from remediator.model.ids import StepId
from remediator.model.target import Target
from remediator.plugins import Action, ActionContext, Params, Result
from remediator.settings import DockerSettings, Settings
from tests import services

_NUMBERS = count(1)
_FOREVER = "trap 'exit 0' TERM; sleep 1000 & wait"


@pytest.fixture
def name() -> str:
    """A container's name that no other test has used."""
    return f"web-{next(_NUMBERS)}"


@pytest.fixture
async def clients(docker_engine: str) -> AsyncIterator[Clients]:
    """Clients whose engine `local` is the private one."""
    made = Clients(Settings(docker=DockerSettings(engines={"local": docker_engine})))
    yield made
    await made.close()


@pytest.fixture
def own_engine() -> Iterator[services.Service]:
    """An engine of the test's own, which it may freeze or stop."""
    services.requires("dockerd", "containerd", "runc", "busybox")
    with services.dockerd() as engine:
        services.import_busybox_image(engine.address, "busybox")
        yield engine


def a_context(clients: Clients, *targets: Target) -> ActionContext:
    return ActionContext(
        clients=clients,
        clock=SystemClock(),
        step=StepId("remediate.0.0"),
        deadline=datetime.now(UTC) + timedelta(minutes=1),
        targets=targets,
    )


async def act(action: Action, clients: Clients, params: Params) -> Result:
    """Resolve the targets and act at once, as a plan does that nothing has held."""
    assert action.resolve is not None
    targets = await action.resolve(a_context(clients), params)
    return await action.perform(a_context(clients, *targets), params)


def docker_time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def wait_until_exited(address: str, container: str) -> None:
    with services.docker_api(address) as api:
        services.wait_until(lambda: not api.inspect_container(container)["State"]["Running"], "the container to end")


def wait_until_out_of_memory(address: str, container: str) -> None:
    """The engine hears of it by an event of its own, and misses that of one end in ten or so: then it runs again."""
    with services.docker_api(address) as api:

        def is_known() -> bool:
            state = api.inspect_container(container)["State"]
            if not state["Running"] and not state["OOMKilled"]:
                api.start(container)
            return bool(not state["Running"] and state["OOMKilled"])

        services.wait_until(is_known, "the engine to say why")


async def test_inspect_tells_how_a_running_container_is(clients: Clients, docker_engine: str, name: str) -> None:
    """Conditions of rules are written on these fields."""
    made = services.run_container(docker_engine, name, _FOREVER, mem_limit="64m")

    found = await docker.inspect.perform(a_context(clients), docker.ContainerParams(container=name))

    assert isinstance(found, docker.Inspected)
    assert (name, made, "busybox", "running", True) == (found.name, found.id, found.image, found.status, found.running)
    assert 64 * 1024 * 1024 == found.memory_limit
    assert "" == found.health
    assert found.finished_at is None
    assert found.started_at is not None
    assert timedelta(minutes=5) > abs(datetime.now(UTC) - found.started_at)
    assert f"{name} is running" == found.brief()


async def test_inspect_tells_the_exit_code_of_a_killed_container(
    clients: Clients, docker_engine: str, name: str
) -> None:
    """A container that was killed says so by its exit code."""
    services.run_container(docker_engine, name, _FOREVER)
    with services.docker_api(docker_engine) as api:
        api.kill(name)
    wait_until_exited(docker_engine, name)

    found = await docker.inspect.perform(a_context(clients), docker.ContainerParams(container=name))

    assert isinstance(found, docker.Inspected)
    assert (False, "exited", 137) == (found.running, found.status, found.exit_code)
    assert f"{name} is exited, exit code 137" == found.brief()


async def test_inspect_tells_that_a_container_ran_out_of_memory(
    clients: Clients, docker_engine: str, name: str
) -> None:
    """The ladder's first rung often hangs on this one field."""
    eat = "x=a; while true; do x=$x$x; done"
    services.run_container(docker_engine, name, eat, mem_limit="8m", memswap_limit="8m")
    wait_until_out_of_memory(docker_engine, name)

    found = await docker.inspect.perform(a_context(clients), docker.ContainerParams(container=name))

    assert isinstance(found, docker.Inspected)
    assert found.oom_killed
    assert "ran out of memory" in found.brief()


async def test_logs_are_the_last_lines_of_both_streams(clients: Clients, docker_engine: str, name: str) -> None:
    """The engine mixes both streams into frames; people want lines, also where the bytes are no text."""
    written = "seq 1 5; echo wrong >&2; printf 'caf\\303\\251 \\377\\n'"
    services.run_container(docker_engine, name, written)
    wait_until_exited(docker_engine, name)

    everything = await docker.logs.perform(a_context(clients), docker.LogsParams(container=name))
    last = await docker.logs.perform(a_context(clients), docker.LogsParams(container=name, tail=1))

    assert isinstance(everything, docker.Logs)
    assert isinstance(last, docker.Logs)
    assert ["1", "2", "3", "4", "5", "café \ufffd", "wrong"] == sorted(everything.lines)
    assert ("7 lines", "\n".join(everything.lines)) == (everything.brief(), everything.detail())
    assert ("1 line", 1) == (last.brief(), last.count)


async def test_logs_of_a_silent_container_are_no_lines(clients: Clients, docker_engine: str, name: str) -> None:
    """No output is not one empty line."""
    services.run_container(docker_engine, name, "true")
    wait_until_exited(docker_engine, name)

    found = await docker.logs.perform(a_context(clients), docker.LogsParams(container=name))

    assert docker.Logs(lines=(), count=0) == found


async def test_logs_are_cut_to_their_end(clients: Clients, docker_engine: str, name: str) -> None:
    """A container that writes megabytes must not fill the store; the end is what says why it died."""
    noise = "x=$(head -c 600 /dev/zero | tr '\\000' x); for n in $(seq 1 990); do echo $n $x; done; echo the end"
    services.run_container(docker_engine, name, noise)
    wait_until_exited(docker_engine, name)

    found = await docker.logs.perform(a_context(clients), docker.LogsParams(container=name, tail=1000))

    assert isinstance(found, docker.Logs)
    assert "the end" == found.lines[-1]
    assert 200_000 < len(found.detail()) <= 256 * 1024


async def test_restart_starts_the_same_container_again(clients: Clients, docker_engine: str, name: str) -> None:
    """The same id with a later start is what a restart is."""
    made = services.run_container(docker_engine, name, _FOREVER)

    done = await act(docker.restart, clients, docker.RestartParams(container=name))

    assert isinstance(done, docker.Restarted)
    now = await clients.docker("local").inspect(name)
    assert (made, made, True) == (done.id, now.id, now.running)
    assert done.previous_started_at is not None
    assert done.started_at is not None
    assert done.started_at > done.previous_started_at
    assert now.started_at == done.started_at
    assert f"{name} restarted" == done.brief()


async def test_restart_kills_what_does_not_stop(clients: Clients, docker_engine: str, name: str) -> None:
    """A hanging process ignores the polite signal; that is why it is being restarted."""
    services.run_container(docker_engine, name, "trap '' TERM; sleep 1000")

    done = await act(docker.restart, clients, docker.RestartParams(container=name, stop_timeout=timedelta(seconds=1)))

    assert isinstance(done, docker.Restarted)
    assert (await clients.docker("local").inspect(name)).running


async def test_start_starts_a_stopped_container_and_leaves_a_running_one(
    clients: Clients, docker_engine: str, name: str
) -> None:
    """It declares itself idempotent, so a second call must change nothing."""
    made = services.run_container(docker_engine, name, _FOREVER)
    with services.docker_api(docker_engine) as api:
        api.stop(name, timeout=5)

    first = await act(docker.start, clients, docker.ContainerParams(container=name))
    between = await clients.docker("local").inspect(name)
    second = await act(docker.start, clients, docker.ContainerParams(container=name))
    after = await clients.docker("local").inspect(name)

    assert docker.Started(name=name, id=made, was_running=False) == first
    assert docker.Started(name=name, id=made, was_running=True) == second
    assert between.running
    assert between.started_at == after.started_at


async def test_the_target_is_named_by_the_engine(clients: Clients, docker_engine: str, name: str) -> None:
    """Whatever a label calls a container, its id for example, locks and budgets use one name for it."""
    made = services.run_container(docker_engine, name, _FOREVER)
    wanted = (Target("docker", ("local", name), incarnation=made),)

    for called in (name, made, made[:12]):
        assert wanted == await docker.container_of(a_context(clients), docker.ContainerParams(container=called))


async def test_the_beginning_of_an_id_names_no_container(clients: Clients, docker_engine: str, name: str) -> None:
    """The engine takes `4f` for any container whose id begins so; a label must not hit a stranger by that."""
    made = services.run_container(docker_engine, name, _FOREVER)

    with pytest.raises(TargetGone, match="no container has this name"):
        await clients.docker("local").inspect(made[:8])


@pytest.mark.parametrize("action", [docker.restart, docker.start], ids=lambda action: action.name)
async def test_a_container_made_anew_is_not_the_target(
    clients: Clients, docker_engine: str, name: str, action: Action
) -> None:
    """Somebody has deployed meanwhile: what was approved is gone, and its successor is left alone."""
    services.run_container(docker_engine, name, _FOREVER)
    params = action.params.model_validate({"container": name})
    targets = await docker.container_of(a_context(clients), docker.ContainerParams(container=name))
    with services.docker_api(docker_engine) as api:
        api.remove_container(name, force=True)
    successor = services.run_container(docker_engine, name, _FOREVER)
    before = await clients.docker("local").inspect(successor)

    with pytest.raises(TargetGone, match=f"docker:local/{name} is not the container that the plan was made for"):
        await action.perform(a_context(clients, *targets), params)

    assert before == await clients.docker("local").inspect(successor)


async def test_a_renamed_container_is_not_the_target(clients: Clients, docker_engine: str, name: str) -> None:
    """Blue-green deployments swap names; the id still exists but is not what the plan names."""
    services.run_container(docker_engine, name, _FOREVER)
    targets = await docker.container_of(a_context(clients), docker.ContainerParams(container=name))
    with services.docker_api(docker_engine) as api:
        api.rename(name, f"{name}-old")

    with pytest.raises(TargetGone, match=f"is called {name}-old now"):
        await docker.restart.perform(a_context(clients, *targets), docker.RestartParams(container=name))


async def test_a_container_that_is_not_there_is_gone(clients: Clients) -> None:
    """The message names the container and the engine."""
    with pytest.raises(TargetGone, match=r"inspect container nobody on Docker engine local: No such container"):
        await docker.inspect.perform(a_context(clients), docker.ContainerParams(container="nobody"))


async def test_an_engine_that_the_settings_do_not_name_is_not_allowed(clients: Clients) -> None:
    """Rules choose among the engines of the settings, and no other."""
    with pytest.raises(NotAllowed, match=r"docker\.engines"):
        await docker.inspect.perform(a_context(clients), docker.ContainerParams(container="web", engine="other"))


async def test_an_engine_without_its_socket_is_unavailable(tmp_path: Path) -> None:
    """Nothing was done there, so it is worth another try."""
    engine = DockerEngine("local", f"unix://{tmp_path}/none.sock", timeout=timedelta(seconds=5))

    with pytest.raises(Unavailable, match=r"ping on Docker engine local: .*No such file.*docker\.engines\.local"):
        await engine.ping()

    await engine.close()


async def test_a_restart_at_an_engine_that_was_stopped_is_unavailable(own_engine: services.Service) -> None:
    """The connection was refused, so surely nothing was done: this is not an unknown outcome."""
    made = services.run_container(own_engine.address, "web", _FOREVER)
    engine = DockerEngine("local", own_engine.address, timeout=timedelta(seconds=10))
    await engine.inspect("web")  # connected, and the connection is kept
    own_engine.stop()

    with pytest.raises(Unavailable):
        await engine.restart(made, stop_timeout=1, within=timedelta(minutes=1))
    with pytest.raises(Unavailable):
        await engine.inspect("web")

    await engine.close()


async def test_a_restart_at_a_frozen_engine_has_an_unknown_outcome(own_engine: services.Service) -> None:
    """It took the request and said nothing: it may restart the container later, so nobody may say that it failed."""
    made = services.run_container(own_engine.address, "web", _FOREVER)
    engine = DockerEngine("local", own_engine.address, timeout=timedelta(seconds=1))
    before = await engine.inspect("web")
    own_engine.freeze()

    with pytest.raises(OutcomeUnknown, match=f"restart container {made} on Docker engine local: no answer in"):
        await engine.restart(made, stop_timeout=1, within=timedelta(minutes=1))
    with pytest.raises(Unavailable):
        await engine.inspect("web")

    # The proof that `unknown` is the truth: the engine carries the request out after all.
    own_engine.thaw()
    with services.docker_api(own_engine.address) as api:
        services.wait_until(
            lambda: docker_time(api.inspect_container(made)["State"]["StartedAt"]) != before.started_at,
            "the engine to carry out the restart",
        )
    await engine.close()
