"""A plug-in's action on several containers of a real engine: it is planned in waves, and each touches its own alone."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest

from remediator.clients import Clients
from remediator.clients.docker import DockerEngine
from remediator.kit.clock import SystemClock
from remediator.kit.metrics import Metrics
from remediator.kit.redaction import Redactor
from remediator.model.budget import Share
from remediator.model.facts import StepStatus
from remediator.model.limits import Limits
from remediator.model.outcome import Reason
from remediator.model.plan import Plan
from remediator.pipeline.calls import Calls
from remediator.pipeline.guards import Allow, Case, Hold
from remediator.pipeline.guards.health_floor import HealthFloor
from remediator.pipeline.guards.targets import Targets
from remediator.pipeline.planning import Planner
from remediator.plugins import ActionContext, Actions, Effect, Member, Params, Pool, Result, System, Target, action
from remediator.settings import DockerSettings, Settings
from tests import services
from tests.unit.pipeline.guards.journal import Journal, judged
from tests.unit.pipeline.guards.probing import a_case, review

_NUMBERS = count(1)
_FOREVER = "trap 'exit 0' TERM; sleep 1000 & wait"
_LABEL = "shop.service"


class Service(Params):
    """The containers of a service, or some of them."""

    service: str
    only: tuple[str, ...] = ()


class Restarted(Result):
    names: tuple[str, ...]


def _engine(ctx: ActionContext) -> DockerEngine:
    return ctx.clients.docker("local")


async def _containers(ctx: ActionContext, params: Service) -> tuple[Target, ...]:
    listed = await _engine(ctx).labelled({_LABEL: params.service})
    found = [await _engine(ctx).inspect(one.id) for one in listed if not params.only or one.name in params.only]
    return tuple(Target("docker", ("local", one.name), incarnation=one.id) for one in found)


async def _pool(ctx: ActionContext, params: Service) -> Pool:
    ours = {target.incarnation for target in ctx.targets}
    listed = await _engine(ctx).labelled({_LABEL: params.service})
    return Pool(params.service, tuple(Member(f"docker:local/{c.name}", c.is_well, c.id in ours) for c in listed))


def _narrowed(params: Service, targets: tuple[Target, ...]) -> Service:
    return params.model_copy(update={"only": tuple(target.parts[1] for target in targets)})


@action(
    "shop.restart",
    effect=Effect.CHANGE,
    targets=_containers,
    pool=_pool,
    system=lambda params: System("docker", ("local",)),
    for_targets=_narrowed,
    timeout=timedelta(seconds=60),
)
async def restart(ctx: ActionContext, params: Service) -> Restarted:
    """Restart the containers of a service."""
    for target in ctx.targets:
        await _engine(ctx).inspect(target.incarnation)
        await _engine(ctx).restart(target.incarnation, stop_timeout=2, within=timedelta(seconds=20))
    return Restarted(names=tuple(target.parts[1] for target in ctx.targets))


@pytest.fixture
async def clients(docker_engine: str) -> AsyncIterator[Clients]:
    made = Clients(Settings(docker=DockerSettings(engines={"local": docker_engine})))
    yield made
    await made.close()


class Shop:
    """A service of four containers, and a rule that restarts all of them."""

    def __init__(self, address: str, clients: Clients) -> None:
        self.address = address
        self.name = f"ramp-{next(_NUMBERS)}"
        self.names = [f"{self.name}-{letter}" for letter in "abcd"]
        for name in self.names:
            services.run_container(address, name, _FOREVER, labels={_LABEL: self.name})
        self.calls = Calls(clients, SystemClock(), Redactor(), Metrics())

    def started_at(self) -> list[str]:
        """When each of the containers was started last."""
        with services.docker_api(self.address) as api:
            return [str(api.inspect_container(name)["State"]["StartedAt"]) for name in self.names]

    async def case(self) -> Case:
        """The plan for all of them."""
        remediate = [{"do": [{"shop.restart": {"service": self.name}}]}]
        limits = Limits(max_targets=Share(count=4))
        case = a_case(rule={"remediate": remediate}, actions=Actions({"shop.restart": restart}), limits=limits)
        plan = await Planner(self.calls).draft(case.run, case.rule, case.rule.rungs[0], {})
        assert isinstance(plan, Plan)
        return a_case(
            rule={"remediate": remediate}, actions=Actions({"shop.restart": restart}), limits=limits, steps=plan.steps
        )

    async def carry_out(self, case: Case, place: int) -> StepStatus:
        step = case.plan.steps[place]
        return (await self.calls.change(step, case.rule.action(step.id), may_retry=False)).status


async def test_each_wave_restarts_its_own_containers_alone(clients: Clients, docker_engine: str) -> None:
    """The engine says which were restarted."""
    shop = Shop(docker_engine, clients)
    case, began = await shop.case(), shop.started_at()
    seen = []
    for place in range(len(case.plan.steps)):
        assert StepStatus.DONE is await shop.carry_out(case, place)
        seen.append([now != then for now, then in zip(shop.started_at(), began, strict=True)])

    assert Allow() == judged(Targets(), case, Journal())
    assert [[True, False, False, False], [True, True, True, False], [True, True, True, True]] == seen


async def test_a_wave_whose_container_was_replaced_fails_and_the_next_one_is_untouched(
    clients: Clients, docker_engine: str
) -> None:
    """A plan goes no further than its first failure."""
    shop = Shop(docker_engine, clients)
    case, began = await shop.case(), shop.started_at()
    with services.docker_api(docker_engine) as api:
        api.remove_container(shop.names[1], force=True)
    services.run_container(docker_engine, shop.names[1], _FOREVER, labels={_LABEL: shop.name})
    ended = [await shop.carry_out(case, place) for place in (0, 1)]

    assert [StepStatus.DONE, StepStatus.FAILED] == ended
    assert began[2:] == shop.started_at()[2:]


async def test_the_floor_is_counted_for_each_wave(clients: Clients, docker_engine: str) -> None:
    """A wave of two does not go while one of four is down already; the first one does, as it is that one."""
    shop = Shop(docker_engine, clients)
    case = await shop.case()
    floor = HealthFloor(shop.calls)
    half = replace(case.limits, min_healthy=Share(percent=50))
    plans = [replace(case.plan, steps=case.plan.steps[place : place + 1]) for place in range(2)]
    waves = [replace(case, plan=plan, limits=half) for plan in plans]
    with services.docker_api(docker_engine) as api:
        api.stop(shop.names[0], timeout=2)
    first, second = [await review(floor, one) for one in waves]

    assert Allow() == first
    assert isinstance(second, Hold)
    assert Reason.POOL_TOO_SMALL is second.reason
    assert "wave 2 of 3" in second.detail
