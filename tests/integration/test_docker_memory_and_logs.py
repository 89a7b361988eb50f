"""What the docker actions tell of memory and logs, and what they do about memory, against a real engine."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from remediator.actions import docker
from remediator.clients import Clients
from remediator.errors import Failed, TargetGone, Unavailable
from remediator.kit.clock import SystemClock
from remediator.model.ids import StepId
from remediator.model.target import Target
from remediator.plugins import ActionContext, Result
from remediator.settings import DockerSettings, Settings
from tests import services

_NUMBERS = count(1)
_FOREVER = "trap 'exit 0' TERM; sleep 1000 & wait"
_MIB = 1024 * 1024


@pytest.fixture
def name() -> str:
    """A container's name that no other test has used."""
    return f"big-{next(_NUMBERS)}"


@pytest.fixture
async def clients(docker_engine: str) -> AsyncIterator[Clients]:
    """Clients whose engine `local` is the private one."""
    made = Clients(Settings(docker=DockerSettings(engines={"local": docker_engine})))
    yield made
    await made.close()


def a_context(clients: Clients, *targets: Target, seconds: float = 60) -> ActionContext:
    ends = datetime.now(UTC) + timedelta(seconds=seconds)
    return ActionContext(clients, SystemClock(), StepId("remediate.0.0"), ends, targets)


async def set_memory(clients: Clients, name: str, limit: str, *, lower: bool = False) -> Result:
    """Resolve the target and act at once."""
    params = docker.set_memory.params.model_validate({"container": name, "limit": limit, "lower": lower})
    targets = await docker.container_of(a_context(clients), docker.ContainerParams(container=name))
    return await docker.set_memory.perform(a_context(clients, *targets), params)


async def count_logs(clients: Clients, name: str, **given: Any) -> Any:
    params = docker.count_logs.params.model_validate({"container": name, **given})
    return await docker.count_logs.perform(a_context(clients), params)


def limits_of(address: str, name: str) -> tuple[int, int]:
    with services.docker_api(address) as api:
        config = api.inspect_container(name)["HostConfig"]
    return config["Memory"], config["MemorySwap"]


def wait_until_exited(address: str, container: str) -> None:
    with services.docker_api(address) as api:
        services.wait_until(lambda: not api.inspect_container(container)["State"]["Running"], "the container to end")


async def test_inspect_tells_how_old_a_container_is(clients: Clients, docker_engine: str, name: str) -> None:
    """A container that was made a minute ago points at the rollout that made it."""
    services.run_container(docker_engine, name, _FOREVER)
    found = await docker.inspect.perform(a_context(clients), docker.ContainerParams(container=name))

    assert isinstance(found, docker.Inspected)
    assert found.created_at is not None
    assert found.age_seconds is not None
    assert found.seconds_since_start is not None
    assert timedelta(minutes=5) > abs(datetime.now(UTC) - found.created_at)
    assert -1 < found.seconds_since_start <= found.age_seconds < 300
    assert found.image_id.startswith("sha256:")


async def test_stats_tell_what_a_container_uses(clients: Clients, docker_engine: str, name: str) -> None:
    """Memory against its limit, and a busy core."""
    busy = "x=$(head -c 8000000 /dev/zero | /bin/busybox tr '\\000' x); while true; do :; done"
    services.run_container(docker_engine, name, busy, mem_limit="64m")
    context, params = a_context(clients), docker.stats.params.model_validate({"container": name})

    async def used() -> Any:
        return await docker.stats.perform(context, params)

    found = await used()
    while found.memory_used < 8 * _MIB:
        found = await used()

    assert 64 * _MIB == found.memory_limit
    assert 8 * _MIB < found.memory_used < 64 * _MIB
    assert pytest.approx(100 * found.memory_used / found.memory_limit, abs=0.1) == found.memory_percent
    assert 0 < found.cpu_percent < 220
    assert 1 <= found.pids <= 5
    assert " of 64 MiB memory (" in found.brief()


async def test_stats_of_a_stopped_container_are_a_failure(clients: Clients, docker_engine: str, name: str) -> None:
    """The engine would tell zeros, and `0 % CPU` of something that is not there is no evidence."""
    services.run_container(docker_engine, name, "true")
    wait_until_exited(docker_engine, name)

    with pytest.raises(Failed, match=rf"container {name} does not run \(it is exited\)"):
        await docker.stats.perform(a_context(clients), docker.stats.params.model_validate({"container": name}))


@pytest.mark.parametrize(
    ("given", "limit", "left"),
    [
        ({"mem_limit": "64m", "memswap_limit": "64m"}, "128m", (128 * _MIB, 128 * _MIB)),
        ({"mem_limit": "64m", "memswap_limit": "96m"}, "128m", (128 * _MIB, 160 * _MIB)),
        ({"mem_limit": "64m", "memswap_limit": -1}, "8g", (8192 * _MIB, -1)),
        ({"mem_limit": "64m"}, "8g", (8192 * _MIB, 8256 * _MIB)),
    ],
    ids=["no swap", "some swap", "swap without limit", "the engine's own choice of swap"],
)
async def test_a_higher_limit_is_set_with_as_much_swap_as_before(
    clients: Clients, docker_engine: str, name: str, given: dict[str, Any], limit: str, left: tuple[int, int]
) -> None:
    """The engine refuses a limit that is above that of memory and swap together."""
    services.run_container(docker_engine, name, _FOREVER, **given)
    done = await set_memory(clients, name, limit)
    found = await clients.docker("local").inspect(name)

    assert left == limits_of(docker_engine, name)
    assert (left[0], True) == (found.memory_limit, found.running)
    assert done.model_dump()["changed"]
    assert "now, before it was 64 MiB" in done.brief()


async def test_setting_the_same_limit_again_changes_nothing(clients: Clients, docker_engine: str, name: str) -> None:
    """It declares itself idempotent, so it may be repeated."""
    services.run_container(docker_engine, name, _FOREVER, mem_limit="64m", memswap_limit="64m")
    first, second = await set_memory(clients, name, "128m"), await set_memory(clients, name, "128m")

    assert (True, False) == (first.model_dump()["changed"], second.model_dump()["changed"])
    assert f"{name} could use 128 MiB already" == second.brief()


async def test_a_stopped_container_gets_its_limit_too(clients: Clients, docker_engine: str, name: str) -> None:
    """Out of memory, it does not run; that is when more is wanted."""
    services.run_container(docker_engine, name, "true", mem_limit="64m", memswap_limit="64m")
    wait_until_exited(docker_engine, name)
    await set_memory(clients, name, "8g")

    assert (8192 * _MIB, 8192 * _MIB) == limits_of(docker_engine, name)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"mem_limit": "64m"}, "may use 64 MiB, 32 MiB would be less; nothing was done"),
        ({}, "has no limit of its memory, 32 MiB would be less"),
    ],
    ids=["a lower limit", "a limit where there was none"],
)
async def test_a_limit_is_not_lowered_unasked(
    clients: Clients, docker_engine: str, name: str, given: dict[str, Any], said: str
) -> None:
    """A rule that gives `more` to every service must not take from the one that has plenty."""
    services.run_container(docker_engine, name, _FOREVER, **given)
    before = limits_of(docker_engine, name)

    with pytest.raises(Failed, match=said):
        await set_memory(clients, name, "32m")

    assert before == limits_of(docker_engine, name)


async def test_a_first_limit_is_set_where_there_was_none(clients: Clients, docker_engine: str, name: str) -> None:
    """Somebody has forgotten the limit, and the container grows."""
    services.run_container(docker_engine, name, _FOREVER)
    await set_memory(clients, name, "64m", lower=True)

    assert (64 * _MIB, -1) == limits_of(docker_engine, name)


async def test_a_limit_is_lowered_where_that_is_asked_for(clients: Clients, docker_engine: str, name: str) -> None:
    """And its swap goes down with it."""
    services.run_container(docker_engine, name, _FOREVER, mem_limit="64m", memswap_limit="80m")
    await set_memory(clients, name, "32m", lower=True)

    assert (32 * _MIB, 48 * _MIB) == limits_of(docker_engine, name)


async def test_a_limit_below_what_is_used_is_refused(clients: Clients, docker_engine: str, name: str) -> None:
    """The kernel would kill the service at once."""
    hungry = "x=$(head -c 20000000 /dev/zero | /bin/busybox tr '\\000' x); echo full; sleep 1000 & wait"
    services.run_container(docker_engine, name, hungry, mem_limit="256m")
    with services.docker_api(docker_engine) as api:
        services.wait_until(lambda: b"full" in api.logs(name), "the container to fill its memory")

    with pytest.raises(Failed, match=rf"{name} uses \S+ MiB now, so a limit of 16 MiB would kill it; nothing was done"):
        await set_memory(clients, name, "16m", lower=True)

    assert (256 * _MIB, True) == (
        limits_of(docker_engine, name)[0],
        (await clients.docker("local").inspect(name)).running,
    )


async def test_a_container_made_anew_is_not_the_target(clients: Clients, docker_engine: str, name: str) -> None:
    """Somebody has deployed meanwhile: its successor is left alone."""
    services.run_container(docker_engine, name, _FOREVER, mem_limit="64m")
    targets = await docker.container_of(a_context(clients), docker.ContainerParams(container=name))
    with services.docker_api(docker_engine) as api:
        api.remove_container(name, force=True)
    services.run_container(docker_engine, name, _FOREVER, mem_limit="64m")
    params = docker.set_memory.params.model_validate({"container": name, "limit": "8g"})

    with pytest.raises(TargetGone, match="is not the container that the plan was made for"):
        await docker.set_memory.perform(a_context(clients, *targets), params)

    assert 64 * _MIB == limits_of(docker_engine, name)[0]


async def test_lines_are_counted_with_the_words_that_patterns_mark(
    clients: Clients, docker_engine: str, name: str
) -> None:
    """The name of a variable may be told, the rest of its line perhaps not."""
    written = "for n in 1 2 3; do echo \"missing A_$n: hunter$n\"; done; echo 'missing A_1 again' >&2; echo fine"
    services.run_container(docker_engine, name, written)
    wait_until_exited(docker_engine, name)

    found = await count_logs(
        clients, name, examples=1, patterns={"missing": r"missing ([A-Z]_[0-9])", "fine": "^fine$", "no": "(never)"}
    )
    untold = await count_logs(clients, name, examples=0, patterns={"missing": r"missing ([A-Z]_[0-9])"})

    assert {"missing": 4, "fine": 1, "no": 0} == found.counts
    assert {"A_1", "A_2", "A_3"} == set(found.words)
    assert ({"missing", "fine", "no"}, ("fine",)) == (set(found.examples), found.examples["fine"])
    assert 5 == found.lines
    assert "hunter" not in untold.model_dump_json()
    assert "A_1" in untold.brief()


async def test_a_hundred_thousand_lines_are_counted(clients: Clients, docker_engine: str, name: str) -> None:
    """As a stream: they would be megabytes at once."""
    services.run_container(docker_engine, name, "seq 1 120000")
    wait_until_exited(docker_engine, name)

    found = await count_logs(
        clients, name, tail=100_000, patterns={"nines": "9$", "early": "^20000$", "late": "^20001$"}
    )

    assert (100_000, {"nines": 10_000, "early": 0, "late": 1}) == (found.lines, found.counts)
    assert ("119979", "119989", "119999") == found.examples["nines"]


async def test_a_terminal_s_logs_are_counted_too(clients: Clients, docker_engine: str, name: str) -> None:
    """They come without frames, and their lines end in two characters."""
    with services.docker_api(docker_engine) as api:
        made = api.create_container(
            "busybox",
            command=["/bin/sh", "-c", "echo one; echo two"],
            name=name,
            tty=True,
            host_config=api.create_host_config(network_mode="none"),
        )
        api.start(made["Id"])
    wait_until_exited(docker_engine, name)

    found = await count_logs(clients, name, patterns={"one": "^one$", "two": "^two$"})

    assert ({"one": 1, "two": 1}, 2) == (found.counts, found.lines)


async def test_only_what_was_written_since_the_last_start_counts(
    clients: Clients, docker_engine: str, name: str
) -> None:
    """An error that was mended with the last start is no news."""
    once = f"if [ -e /tmp/again ]; then echo well; {_FOREVER}; else echo x >/tmp/again; echo wrong; sleep 0.5; fi"
    services.run_container(docker_engine, name, once)
    wait_until_exited(docker_engine, name)
    patterns = {"wrong": "wrong", "well": "well"}
    ended = await count_logs(clients, name, patterns=patterns, since_start=True)
    with services.docker_api(docker_engine) as api:
        api.start(name)
        services.wait_until(lambda: b"well" in api.logs(name), "the container to start again")

    everything = await count_logs(clients, name, patterns=patterns)
    newest = await count_logs(clients, name, patterns=patterns, since_start=True)
    recent = await count_logs(clients, name, patterns=patterns, since="1h")

    assert {"wrong": 1, "well": 0} == ended.counts
    assert {"wrong": 1, "well": 1} == everything.counts == recent.counts
    assert {"wrong": 0, "well": 1} == newest.counts


async def test_counting_that_takes_too_long_is_given_up(clients: Clients, docker_engine: str, name: str) -> None:
    """A thread cannot be stopped from outside, so it looks at the time itself."""
    services.run_container(docker_engine, name, "seq 1 200000")
    wait_until_exited(docker_engine, name)
    engine = clients.docker("local")
    found = await engine.inspect(name)

    with pytest.raises(Unavailable, match=r"0 s were not enough; read fewer lines"):
        await engine.read_logs(found, lambda _: None, tail=100_000, since=None, within=timedelta(0))


async def test_logs_of_a_container_that_is_gone_are_gone(clients: Clients, docker_engine: str, name: str) -> None:
    """Removed between the two questions: the engine's own words."""
    services.run_container(docker_engine, name, "true")
    engine = clients.docker("local")
    found = await engine.inspect(name)
    with services.docker_api(docker_engine) as api:
        api.remove_container(name, force=True)

    with pytest.raises(TargetGone, match="No such container"):
        await engine.read_logs(found, lambda _: None, tail=10, since=None, within=timedelta(seconds=10))
