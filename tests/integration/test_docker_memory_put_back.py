"""`docker.set_memory` is put back on a real engine, unless somebody has changed it or it would do harm."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from remediator.actions import docker
from remediator.actions.container_memory import MemoryParams
from remediator.clients import Clients
from remediator.errors import Conflicted, Failed, Protected, TargetGone
from remediator.kit.clock import SystemClock
from remediator.model.ids import StepId
from remediator.model.remains import Now
from remediator.model.target import SKIP
from remediator.plugins import ActionContext, Before, Inverse, Restored
from remediator.settings import DockerSettings, Settings
from tests import services

_NUMBERS = count(1)
_FOREVER = "trap 'exit 0' TERM; sleep 1000 & wait"
_MIB = 1024 * 1024


class Played:
    """A step that has set the memory of a container, and what was captured before."""

    def __init__(self, context: ActionContext, params: MemoryParams, before: Before) -> None:
        self._context, self._params, self.before = context, params, before

    async def now(self) -> Now:
        return (await inverse().remains(self._context, self._params, self.before)).now

    async def put_back(self) -> Restored:
        return await inverse().restore(self._context, self._params, self.before)


def inverse() -> Inverse[Any, Any]:
    assert docker.set_memory.inverse is not None
    return docker.set_memory.inverse


@pytest.fixture
def name() -> str:
    """A container's name that no other test has used."""
    return f"back-{next(_NUMBERS)}"


@pytest.fixture
async def clients(docker_engine: str) -> AsyncIterator[Clients]:
    """Clients whose engine `local` is the private one."""
    made = Clients(Settings(docker=DockerSettings(engines={"local": docker_engine})))
    yield made
    await made.close()


async def set_memory(clients: Clients, name: str, limit: str, *, lower: bool = False) -> Played:
    """Resolve the target, capture, and act; what was captured comes out of JSON, as it does later."""
    params = MemoryParams.model_validate({"container": name, "limit": limit, "lower": lower})
    ends = datetime.now(UTC) + timedelta(minutes=2)
    bare = ActionContext(clients, SystemClock(), StepId("remediate.0.0"), ends)
    context = ActionContext(clients, SystemClock(), bare.step, ends, await docker.container_of(bare, params))
    captured = await inverse().capture(context, params)
    before = inverse().before.model_validate_json(captured.model_dump_json())
    await docker.set_memory.perform(context, params)
    return Played(context, params, before)


def limits_of(address: str, name: str) -> tuple[int, int]:
    with services.docker_api(address) as api:
        config = api.inspect_container(name)["HostConfig"]
    return config["Memory"], config["MemorySwap"]


def update(address: str, name: str, **config: int) -> None:
    """What somebody else does to it meanwhile."""
    with services.docker_api(address) as api:
        api.update_container(name, **config)


@pytest.mark.parametrize(
    "given",
    [
        {"mem_limit": "64m", "memswap_limit": "64m"},
        {"mem_limit": "64m", "memswap_limit": "96m"},
        {"mem_limit": "64m", "memswap_limit": -1},
        {"mem_limit": "64m"},
    ],
    ids=["no swap", "some swap", "swap without limit", "the engine's own choice of swap"],
)
async def test_the_limits_of_memory_and_swap_are_put_back(
    clients: Clients, docker_engine: str, name: str, given: dict[str, Any]
) -> None:
    """Exactly as they were, and a second time nothing is done: a crash may have come between doing and noting."""
    services.run_container(docker_engine, name, _FOREVER, **given)
    before = limits_of(docker_engine, name)
    step = await set_memory(clients, name, "128m")
    raised, is_set = limits_of(docker_engine, name), await step.now()
    first, second = await step.put_back(), await step.put_back()

    assert (128 * _MIB, Now.AS_SET) == (raised[0], is_set)
    assert before == limits_of(docker_engine, name)
    assert Now.AS_BEFORE == await step.now()
    assert (True, False) == (first.changed, second.changed)
    assert f"{name} may use 64 MiB again" == first.brief() == second.brief()


async def test_no_limit_is_put_back_as_well(clients: Clients, docker_engine: str, name: str) -> None:
    """An engine cannot be told to limit nothing, so it gets the kernel's own number for that, also when it restarts."""
    made = services.run_container(docker_engine, name, _FOREVER)
    step = await set_memory(clients, name, "64m", lower=True)
    limited, is_set = limits_of(docker_engine, name), await step.now()
    done, again = await step.put_back(), await step.put_back()
    with services.docker_api(docker_engine) as api:
        api.restart(made, timeout=1)
    found = await clients.docker("local").inspect(name)

    assert (64 * _MIB, Now.AS_SET) == (limited[0], is_set)
    assert (True, False) == (done.changed, again.changed)
    assert f"{name} has no limit of its memory again" == done.brief()
    assert limits_of(docker_engine, name)[0] > 2**62
    assert (True, Now.AS_BEFORE) == (found.running, await step.now())


async def test_a_limit_can_be_set_again_after_none_was_put_back(
    clients: Clients, docker_engine: str, name: str
) -> None:
    """The engine tells an odd number then, where it told 0 before."""
    services.run_container(docker_engine, name, _FOREVER)
    await (await set_memory(clients, name, "64m", lower=True)).put_back()
    step = await set_memory(clients, name, "96m", lower=True)

    assert Now.AS_SET == await step.now()
    assert (await step.put_back()).changed
    assert Now.AS_BEFORE == await step.now()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"mem_limit": 96 * _MIB, "memswap_limit": 96 * _MIB}, "may use 96 MiB"),
        ({"mem_limit": 128 * _MIB, "memswap_limit": 256 * _MIB}, "may use 128 MiB, and 256 MiB with swap"),
    ],
    ids=["the limit", "the swap alone"],
)
async def test_what_somebody_has_changed_since_is_left_alone(
    clients: Clients, docker_engine: str, name: str, change: dict[str, int], said: str
) -> None:
    """Whoever did it knew more than we do; it is told what was found."""
    services.run_container(docker_engine, name, _FOREVER, mem_limit="64m", memswap_limit="64m")
    step = await set_memory(clients, name, "128m")
    update(docker_engine, name, **change)
    with pytest.raises(Conflicted) as refused:
        await step.put_back()

    assert Now.CHANGED == await step.now()
    given = "it was given 128 MiB, before that it may use 64 MiB"
    assert f"{name} {said}: somebody has changed that since ({given}); nothing was done" == str(refused.value)
    assert tuple(change.values()) == limits_of(docker_engine, name)


async def test_a_new_container_of_the_same_name_is_not_touched(clients: Clients, docker_engine: str, name: str) -> None:
    """A rollout has given it limits of its own; what we had set is gone with the old one."""
    made = services.run_container(docker_engine, name, _FOREVER, mem_limit="64m", memswap_limit="64m")
    step = await set_memory(clients, name, "128m")
    with services.docker_api(docker_engine) as api:
        api.remove_container(made, force=True)
    services.run_container(docker_engine, name, _FOREVER, mem_limit="128m", memswap_limit="128m")
    with pytest.raises(TargetGone, match="is not the container that the plan was made for"):
        await step.put_back()

    assert Now.GONE == await step.now()
    assert (128 * _MIB, 128 * _MIB) == limits_of(docker_engine, name)


async def test_a_limit_below_what_is_used_is_not_put_back(clients: Clients, docker_engine: str, name: str) -> None:
    """The kernel would end the container that was helped, at once."""
    hungry = "x=$(head -c 24000000 /dev/zero | /bin/busybox tr '\\000' x); sleep 1000 & wait"
    services.run_container(docker_engine, name, _FOREVER, mem_limit="16m", memswap_limit="16m")
    step = await set_memory(clients, name, "256m")
    with services.docker_api(docker_engine) as api:
        begun = api.exec_create(name, ["/bin/busybox", "sh", "-c", hungry])
        api.exec_start(begun, detach=True)
    engine = clients.docker("local")
    while (await engine.usage((await engine.inspect(name)).id)).memory < 20 * _MIB:
        pass
    with pytest.raises(Failed, match="now, so a limit of 16 MiB would kill it; nothing was done"):
        await step.put_back()

    assert 256 * _MIB == limits_of(docker_engine, name)[0]


async def test_what_opts_out_is_not_put_back_either(clients: Clients, docker_engine: str, name: str) -> None:
    """The label forbids every touch; nothing is even captured."""
    services.run_container(docker_engine, name, _FOREVER, labels={SKIP: "true"})
    with pytest.raises(Protected):
        await set_memory(clients, name, "64m", lower=True)
