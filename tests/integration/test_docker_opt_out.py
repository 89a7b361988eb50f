"""A container that says itself that it is not to be touched is not touched, by any action, at any time."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from remediator.actions import docker
from remediator.actions.container_memory import MemoryParams
from remediator.clients import Clients
from remediator.errors import Protected
from remediator.kit.clock import SystemClock
from remediator.model.ids import StepId
from remediator.model.target import SKIP, Target
from remediator.plugins import Action, ActionContext, Params
from remediator.settings import DockerSettings, Settings
from tests import services

_NUMBERS = count(1)
_FOREVER = "trap 'exit 0' TERM; sleep 1000 & wait"


@pytest.fixture
async def clients(docker_engine: str) -> AsyncIterator[Clients]:
    """Clients whose engine `local` is the private one."""
    made = Clients(Settings(docker=DockerSettings(engines={"local": docker_engine})))
    yield made
    await made.close()


def a_context(clients: Clients, *targets: Target) -> ActionContext:
    deadline = datetime.now(UTC) + timedelta(minutes=1)
    return ActionContext(clients, SystemClock(), StepId("remediate.0.0"), deadline, targets)


def a_container(engine: str, **labels: str) -> tuple[str, str]:
    """A new container's name and id."""
    name = f"opt-out-{next(_NUMBERS)}"
    return name, services.run_container(engine, name, _FOREVER, labels={"team": "web", **labels})


CHANGES: list[tuple[Action, type[Params], dict[str, str]]] = [
    (docker.start, docker.ContainerParams, {}),
    (docker.restart, docker.RestartParams, {}),
    (docker.set_memory, MemoryParams, {"limit": "64m"}),
]


@pytest.mark.parametrize(("action", "params", "more"), CHANGES, ids=[action.name for action, _, _ in CHANGES])
async def test_no_change_is_planned_for_it_and_none_is_made(
    clients: Clients, docker_engine: str, action: Action, params: type[Params], more: dict[str, str]
) -> None:
    """The label is looked at when the plan is made, and once more right before acting."""
    name, made = a_container(docker_engine, **{SKIP: "true"})
    given = params.model_validate({"container": name, **more})
    with services.docker_api(docker_engine) as api:
        before = api.inspect_container(made)
    assert action.resolve is not None

    with pytest.raises(Protected, match=f"container {name} has the label remediator.dev/skip, so it is not touched"):
        await action.resolve(a_context(clients), given)
    with pytest.raises(Protected, match="so it is not touched"):
        await action.perform(a_context(clients, Target("docker", ("local", name), made)), given)

    with services.docker_api(docker_engine) as api:
        after = api.inspect_container(made)
    assert before["State"] == after["State"]
    assert before["HostConfig"]["Memory"] == after["HostConfig"]["Memory"]


@pytest.mark.parametrize("value", ["", "true", "yes", "0", "no", "False", "until monday"])
async def test_any_word_means_it(clients: Clients, docker_engine: str, value: str) -> None:
    """Better left alone without need than touched against somebody's will."""
    name, _ = a_container(docker_engine, **{SKIP: value})

    with pytest.raises(Protected):
        await docker.container_of(a_context(clients), docker.ContainerParams(container=name))


@pytest.mark.parametrize("labels", [{}, {SKIP: "false"}, {f"{SKIP}ped": "true"}], ids=str)
async def test_without_the_label_it_is_a_target_as_any_other(
    clients: Clients, docker_engine: str, labels: dict[str, str]
) -> None:
    """`false` takes the mark away where a template sets it."""
    name, made = a_container(docker_engine, **labels)

    assert (Target("docker", ("local", name), made),) == await docker.container_of(
        a_context(clients), docker.ContainerParams(container=name)
    )


async def test_it_may_be_looked_at(clients: Clients, docker_engine: str) -> None:
    """Nothing is changed by that, and people want to know what is wrong with it."""
    name, _ = a_container(docker_engine, **{SKIP: "true"})
    found = await docker.inspect.perform(a_context(clients), docker.ContainerParams(container=name))

    assert isinstance(found, docker.Inspected)
    assert found.running
