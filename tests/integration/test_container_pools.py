"""What a container's pool is, on a real engine, and what the health floor makes of it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from remediator.actions import docker
from remediator.actions.container_memory import MemoryParams
from remediator.actions.docker import ContainerParams, RestartParams
from remediator.clients import Clients
from remediator.errors import TargetGone
from remediator.kit.clock import SystemClock
from remediator.kit.metrics import Metrics
from remediator.kit.redaction import Redactor
from remediator.model.ids import StepId
from remediator.model.outcome import Reason
from remediator.model.plan import PlannedStep
from remediator.model.target import Target
from remediator.pipeline.briefing import touches
from remediator.pipeline.calls import Calls
from remediator.pipeline.diagnosis import Diagnosis
from remediator.pipeline.guards import Allow, Ask, Hold
from remediator.pipeline.guards.health_floor import HealthFloor
from remediator.plugins import Action, ActionContext, Actions, Effect, Member, Pool
from remediator.settings import DockerSettings, Settings
from tests import services
from tests.unit.pipeline.guards.probing import a_case, review

_NUMBERS = count(1)
_FOREVER = "trap 'exit 0' TERM; sleep 1000 & wait"
_SECOND = 1_000_000_000  # nanoseconds, as the engine counts
ACTIONS = Actions({action.name: action for action in (docker.restart, docker.set_memory)})


@pytest.fixture
def project() -> str:
    """A Compose project that no other test has used."""
    return f"shop-{next(_NUMBERS)}"


@pytest.fixture
async def clients(docker_engine: str) -> AsyncIterator[Clients]:
    made = Clients(Settings(docker=DockerSettings(engines={"local": docker_engine})))
    yield made
    await made.close()


def run(address: str, project: str, name: str, *, service: str = "web", check: str = "", one_off: bool = False) -> str:
    """A container as Compose would have made it; returns its id."""
    labels = {
        "com.docker.compose.project": project,
        "com.docker.compose.service": service,
        "com.docker.compose.oneoff": str(one_off),
    }
    often = {"interval": _SECOND // 5, "timeout": 30 * _SECOND, "retries": 1}
    health = {"test": ["CMD-SHELL", check], **often} if check else None
    return services.run_container(address, f"{project}-{name}", _FOREVER, labels=labels, healthcheck=health)


def target(name: str, incarnation: str) -> Target:
    return Target("docker", ("local", name), incarnation=incarnation)


async def pool_of(clients: Clients, action: Action, params: ContainerParams, on: Target) -> Pool | None:
    assert action.pool is not None
    ends = datetime.now(UTC) + timedelta(minutes=1)
    return await action.pool(ActionContext(clients, SystemClock(), StepId("remediate.0.0"), ends, (on,)), params)


async def test_a_container_that_compose_has_not_made_is_alone(
    clients: Clients, docker_engine: str, project: str
) -> None:
    """Nobody carries on while it is restarted."""
    made = services.run_container(docker_engine, project, _FOREVER)
    params = RestartParams(container=project)

    found = await pool_of(clients, docker.restart, params, target(project, made))

    alone = Member(f"docker:local/{project}", is_healthy=True, is_target=True)
    assert Pool(f"container {project} (Docker engine local)", (alone,)) == found


async def test_the_pool_of_a_container_is_its_compose_service(
    clients: Clients, docker_engine: str, project: str
) -> None:
    """Running is not enough where there is a health check; others' containers and one-off ones are of no help."""
    made = run(docker_engine, project, "web-1")
    run(docker_engine, project, "web-2", check="true")
    run(docker_engine, project, "web-3", check="false")
    run(docker_engine, project, "web-4")
    run(docker_engine, project, "web-5")
    run(docker_engine, project, "web-run", one_off=True)
    run(docker_engine, project, "db-1", service="db")
    run(docker_engine, f"{project}-other", "web-1")
    with services.docker_api(docker_engine) as api:
        api.stop(f"{project}-web-4", timeout=5)
        api.pause(f"{project}-web-5")

        def health(name: str) -> str:
            return str(api.inspect_container(f"{project}-{name}")["State"]["Health"]["Status"])

        services.wait_until(lambda: ("healthy", "unhealthy") == (health("web-2"), health("web-3")), "health checks")
        try:
            params = RestartParams(container=f"{project}-web-1")
            found = await pool_of(clients, docker.restart, params, target(f"{project}-web-1", made))
        finally:
            api.unpause(f"{project}-web-5")

    healthy = {"web-1": True, "web-2": True, "web-3": False, "web-4": False, "web-5": False}
    members = tuple(Member(f"docker:local/{project}-{name}", well, name == "web-1") for name, well in healthy.items())
    assert Pool(f"service web of Compose project {project} (Docker engine local)", members) == found


async def test_what_was_run_once_is_alone(clients: Clients, docker_engine: str, project: str) -> None:
    """The service's containers do not do its work."""
    run(docker_engine, project, "web-1")
    made = run(docker_engine, project, "web-run", one_off=True)
    name = f"{project}-web-run"

    found = await pool_of(clients, docker.restart, RestartParams(container=name), target(name, made))

    assert found is not None
    assert 1 == found.size


async def test_more_memory_takes_nothing_out_of_service_and_less_may(
    clients: Clients, docker_engine: str, project: str
) -> None:
    """The container goes on running while it is given more."""
    made = run(docker_engine, project, "web-1")
    name = f"{project}-web-1"

    more = MemoryParams.model_validate({"container": name, "limit": "64m"})
    less = MemoryParams.model_validate({"container": name, "limit": "64m", "lower": True})

    assert None is await pool_of(clients, docker.set_memory, more, target(name, made))
    found = await pool_of(clients, docker.set_memory, less, target(name, made))
    assert found is not None
    assert 1 == found.healthy_targets


async def test_a_container_that_was_replaced_is_not_counted(clients: Clients, docker_engine: str, project: str) -> None:
    """The plan was made for another one."""
    run(docker_engine, project, "web-1")
    name = f"{project}-web-1"

    with pytest.raises(TargetGone):
        await pool_of(clients, docker.restart, RestartParams(container=name), target(name, "4f" * 32))


def restart_of(name: str, incarnation: str) -> PlannedStep:
    return PlannedStep(
        StepId("remediate.0.0"),
        "docker.restart",
        {"container": name, "engine": "local", "stop_timeout": "1s"},
        Effect.CHANGE,
        idempotent=False,
        targets=(target(name, incarnation),),
        timeout=timedelta(seconds=30),
        sentence=f"restart {name}",
    )


async def test_one_of_a_pair_is_restarted_only_while_the_other_is_healthy(
    clients: Clients, docker_engine: str, project: str
) -> None:
    """The healthy one is protected; acting on the one that is down costs nothing; and the last one needs a person."""
    first, second = (run(docker_engine, project, name) for name in ("web-1", "web-2"))
    guard = HealthFloor(Calls(clients, SystemClock(), Redactor(), Metrics()))

    async def judged(name: str, incarnation: str) -> Allow | Ask | Hold:
        rule = {"remediate": [{"do": [{"docker.restart": {"container": name}}]}]}
        said = await review(guard, a_case(rule=rule, actions=ACTIONS, steps=[restart_of(name, incarnation)]))
        assert isinstance(said, Allow | Ask | Hold)
        return said

    assert Allow() == await judged(f"{project}-web-1", first)
    with services.docker_api(docker_engine) as api:
        api.stop(second, timeout=5)
        held = await judged(f"{project}-web-1", first)
        assert isinstance(held, Hold)
        assert Reason.POOL_TOO_SMALL == held.reason
        assert "1 of 2 are healthy now, and 0 would stay so; at least 1 have to" in held.detail
        assert Allow() == await judged(f"{project}-web-2", second)
        api.remove_container(second)
        alone = await judged(f"{project}-web-1", first)
    assert isinstance(alone, Ask)
    assert "down meanwhile, for up to 30s" in alone.detail


async def test_a_question_says_how_much_of_the_service_is_touched(
    clients: Clients, docker_engine: str, project: str
) -> None:
    """One of two, both of which are well, is another thing to decide on than the only one."""
    first, _ = (run(docker_engine, project, name) for name in ("web-1", "web-2"))
    name = f"{project}-web-1"
    rule = {"remediate": [{"do": [{"docker.restart": {"container": name}}]}]}
    case = a_case(rule=rule, actions=ACTIONS, steps=[restart_of(name, first)])

    found = await Diagnosis(Calls(clients, SystemClock(), Redactor(), Metrics())).count(case.rule, case.plan)

    service = f"service web of Compose project {project} (Docker engine local)"
    assert f"1 target; 1 of the 2 of {service} (2 of them healthy now, 1 meanwhile)" == touches(case.plan, found)
