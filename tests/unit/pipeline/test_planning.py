"""What a plan is made of: targets that may be touched, and the pools that they are of."""

import asyncio
from dataclasses import replace

import pytest

from remediator.clients import Clients
from remediator.errors import Protected, RemediatorError, TargetGone, Unavailable
from remediator.kit.metrics import Metrics
from remediator.kit.redaction import Redactor
from remediator.model.outcome import Reason
from remediator.model.plan import Plan
from remediator.pipeline.calls import Calls
from remediator.pipeline.planning import CannotPlan, Planner
from remediator.plugins import ActionContext, Actions, Effect, Member, Params, Pool, Result, Target, action
from remediator.settings import Settings
from remediator.testing.clock import VirtualClock
from tests.unit.pipeline.guards.probing import SECOND, a_case


class What(Params):
    name: str


class Done(Result):
    pass


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Protected("web has the label remediator.dev/skip"), Reason.PROTECTED),
        (TargetGone("there is no web"), Reason.TARGET_UNCERTAIN),
    ],
)
async def test_a_target_that_has_opted_out_is_protected(error: Exception, reason: Reason) -> None:
    """Whoever reads it is not sent to look for a fault that there is not."""

    async def targets(ctx: ActionContext, params: What) -> tuple[Target, ...]:
        raise error

    @action("thing.kick", effect=Effect.CHANGE, targets=targets)
    async def kick(ctx: ActionContext, params: What) -> Done:
        """Kicks a thing."""
        return Done()

    case = a_case(actions=Actions({"thing.kick": kick}))
    settings = Settings()
    planner = Planner(Calls(Clients(settings), VirtualClock(), Redactor(), Metrics()))

    assert CannotPlan(reason, f"thing.kick: {error}") == await planner.draft(
        case.run, case.rule, case.rule.rungs[0], {}
    )


async def planned_with(pool: Pool | RemediatorError | None) -> Plan | CannotPlan:
    """A plan of one step whose action knows of this pool."""

    async def targets(ctx: ActionContext, params: What) -> tuple[Target, ...]:
        return (Target("thing", (params.name,)),)

    async def count(ctx: ActionContext, params: What) -> Pool | None:
        if isinstance(pool, RemediatorError):
            raise pool
        return pool

    @action("thing.kick", effect=Effect.CHANGE, targets=targets, pool=count)
    async def kick(ctx: ActionContext, params: What) -> Done:
        """Kicks a thing."""
        return Done()

    case = a_case(actions=Actions({"thing.kick": kick}))
    settings, clock = Settings(), VirtualClock()
    planner = Planner(Calls(Clients(settings), clock, Redactor(), Metrics()))
    drafting = asyncio.create_task(planner.draft(case.run, case.rule, case.rule.rungs[0], {}))
    while not drafting.done():
        await clock.advance(SECOND)
    return await drafting


async def test_a_plan_takes_the_pools_of_its_targets() -> None:
    """Two runs that act on two members of one pool at once would empty it together."""
    pool = Pool("things", (Member("thing:web", is_healthy=True, is_target=True),))
    with_pool, without = await planned_with(pool), await planned_with(None)

    assert isinstance(with_pool, Plan)
    assert isinstance(without, Plan)
    assert (("thing:web", "pool:things"), ("thing:web",)) == (with_pool.locks, without.locks)
    assert with_pool.digest != without.digest


async def test_a_pool_that_cannot_be_looked_up_makes_no_plan() -> None:
    """Nobody knows who else acts on it."""
    found = await planned_with(Unavailable("the engine does not answer"))

    assert isinstance(found, CannotPlan)
    assert (Reason.POOL_UNCERTAIN, "thing.kick: the engine does not answer") == (found.reason, found.detail)


async def test_a_plan_says_of_each_step_whether_it_can_be_put_back() -> None:
    """Who approves it should know; it is no part of what they approve, so the digest is the same."""
    plan = await planned_with(None)

    assert isinstance(plan, Plan)
    (step,) = plan.steps
    assert "thing.kick has no inverse" == step.stays
    assert plan.digest == replace(plan, steps=(replace(step, stays=None),)).digest
