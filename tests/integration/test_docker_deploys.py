"""When somebody has made a container anew, as a real engine shows it, and what follows for plans that touch it."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from remediator.actions import docker
from remediator.actions.container_memory import MemoryParams
from remediator.clients import Clients
from remediator.kit.clock import SystemClock
from remediator.kit.metrics import Metrics
from remediator.kit.redaction import Redactor
from remediator.model.change import Ending
from remediator.model.history import Known, Question
from remediator.model.ids import StepId
from remediator.model.outcome import Reason
from remediator.model.plan import Mode
from remediator.model.target import Target
from remediator.pipeline.calls import Calls
from remediator.pipeline.guards import Allow, Ask, Case, Hold
from remediator.pipeline.guards.deploys import Deploys
from remediator.plugins import Action, ActionContext, Actions, Deployed, Params
from remediator.settings import DockerSettings, Settings
from tests import services
from tests.unit.pipeline.guards.journal import Journal
from tests.unit.pipeline.guards.probing import a_case, a_step

_NUMBERS = count(1)
_FOREVER = "trap 'exit 0' TERM; sleep 1000 & wait"
_MINUTE = timedelta(minutes=1)
_RESTART = Actions({"docker.restart": docker.restart})
CHANGES: list[tuple[Action, type[Params], dict[str, str]]] = [
    (docker.start, docker.ContainerParams, {}),
    (docker.restart, docker.RestartParams, {}),
    (docker.set_memory, MemoryParams, {"limit": "64m"}),
]


@pytest.fixture
async def clients(docker_engine: str) -> AsyncIterator[Clients]:
    made = Clients(Settings(docker=DockerSettings(engines={"local": docker_engine})))
    yield made
    await made.close()


@dataclass
class Shop:
    """A container, and the guard that looks at it."""

    engine: str
    name: str
    guard: Deploys
    journal: Journal
    id: str = ""
    made_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def make(self, command: str = _FOREVER, **host_config: Any) -> None:
        self.id = services.run_container(self.engine, self.name, command, **host_config)
        self.made_at = datetime.fromisoformat(str(self.inspect()["Created"]))

    def inspect(self) -> dict[str, object]:
        with services.docker_api(self.engine) as api:
            found: dict[str, object] = api.inspect_container(self.id)
        return found

    def case(self, after: timedelta, *, mode: Mode = Mode.AUTO) -> Case:
        """A plan to restart it, so long after it was made."""
        given = {"container": self.name}
        step = a_step(action="docker.restart", params=given, targets=(Target("docker", ("local", self.name), self.id),))
        case = a_case(rule={"remediate": [{"do": [{"docker.restart": given}]}]}, actions=_RESTART, steps=[step])
        at = self.made_at + after
        return replace(case, at=at, mode=mode, run=replace(case.run, created_at=at))


@pytest.fixture
def shop(clients: Clients, docker_engine: str) -> Shop:
    journal = Journal()

    async def known(questions: Sequence[Question]) -> Known:
        return journal.known(questions)

    calls = Calls(clients, SystemClock(), Redactor(), Metrics())
    return Shop(docker_engine, f"deployed-{next(_NUMBERS)}", Deploys(calls, known), journal)


@pytest.mark.parametrize(("action", "params", "more"), CHANGES, ids=[action.name for action, _, _ in CHANGES])
async def test_every_change_of_a_container_tells_when_it_was_made(
    clients: Clients, shop: Shop, action: Action, params: type[Params], more: dict[str, str]
) -> None:
    """The engine does not tell who has done it."""
    shop.make()
    target = Target("docker", ("local", shop.name), shop.id)
    ends = datetime.now(UTC) + _MINUTE
    context = ActionContext(clients, SystemClock(), StepId("remediate.0.0"), ends, (target,))
    assert action.deployed is not None

    found = await action.deployed(context, params.model_validate({"container": shop.name, **more}))

    assert (Deployed(f"docker:local/{shop.name}", shop.made_at, "made from image busybox"),) == found


async def test_a_container_that_was_made_minutes_ago_is_not_touched_by_itself(shop: Shop) -> None:
    """To the second; and who is asked anyway reads of it."""
    shop.make()
    waits, asks = (
        await shop.guard.look(shop.case(3 * _MINUTE)),
        await shop.guard.look(shop.case(3 * _MINUTE, mode=Mode.GATED)),
    )
    late = await shop.guard.look(shop.case(10 * _MINUTE))

    assert isinstance(waits, Hold)
    assert (Reason.COOLING_DOWN, shop.made_at + 10 * _MINUTE) == (waits.reason, waits.until)
    assert f"docker:local/{shop.name}: somebody else has deployed it at" in waits.detail
    assert "3m before the alert came in (made from image busybox)" in waits.detail
    assert isinstance(asks, Ask)
    assert waits.detail == asks.detail
    assert Allow() == late


async def test_what_its_restart_policy_has_started_again_is_no_deploy(shop: Shop) -> None:
    """It crashes, which is what a remedy is for."""
    shop.make("sleep 0.2; exit 1", restart_policy={"Name": "always"})
    services.wait_until(lambda: int(str(shop.inspect()["RestartCount"])) > 1, "the engine to start it again")

    assert Allow() == await shop.guard.look(shop.case(11 * _MINUTE))


async def test_a_restart_by_hand_is_no_deploy(shop: Shop) -> None:
    """The engine shows when it was started, and not by whom: a machine that was booted starts all of them."""
    shop.make()
    with services.docker_api(shop.engine) as api:
        api.restart(shop.id, timeout=5)

    assert Allow() == await shop.guard.look(shop.case(11 * _MINUTE))


async def test_a_container_that_was_replaced_has_the_plan_made_anew(shop: Shop) -> None:
    """The plan names the old one; a plan for the new one waits, as that was deployed just now."""
    shop.make()
    before = shop.case(20 * _MINUTE)
    with services.docker_api(shop.engine) as api:
        api.remove_container(shop.id, force=True)
    shop.make()
    old, new = await shop.guard.look(before), await shop.guard.look(shop.case(_MINUTE))

    assert isinstance(old, Hold)
    assert (Reason.TARGET_UNCERTAIN, True) == (old.reason, old.is_outdated)
    assert isinstance(new, Hold)
    assert (Reason.COOLING_DOWN, False) == (new.reason, new.is_outdated)


async def test_what_a_run_of_ours_has_made_anew_is_not_somebody_elses(shop: Shop) -> None:
    """A command of ours may do that; what it has changed is in the journal."""
    shop.make()
    target = f"docker:local/{shop.name}"
    shop.journal.happened("r-other", Ending.HEALED, shop.made_at - timedelta(seconds=5), targets=[target])

    assert Allow() == await shop.guard.look(shop.case(3 * _MINUTE))
