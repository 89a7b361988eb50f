"""What says itself that it is not to be touched is refused as protected, and not as something uncertain."""

import pytest

from remediator.clients import Clients
from remediator.errors import Protected, TargetGone
from remediator.kit.metrics import Metrics
from remediator.kit.redaction import Redactor
from remediator.model.outcome import Reason
from remediator.pipeline.calls import Calls
from remediator.pipeline.planning import CannotPlan, Planner
from remediator.plugins import ActionContext, Actions, Effect, Params, Result, Target, action
from remediator.settings import Settings
from remediator.testing.clock import VirtualClock
from tests.unit.pipeline.guards.probing import a_case


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
