"""Two calls of commands set the same where what shows the one shows the other."""

from pathlib import Path
from typing import Any

import pytest

from remediator.actions.command import CommandParams, run
from remediator.clients import Clients
from remediator.kit.metrics import Metrics
from remediator.kit.redaction import Redactor
from remediator.model.ids import StepId
from remediator.model.plan import Effect, PlannedStep
from remediator.model.target import Target
from remediator.pipeline.calls import Calls
from remediator.settings import CommandSettings, Settings
from remediator.testing.clock import VirtualClock
from tests.unit.actions.test_command_put_back import commands

SET = CommandParams(command="set", parameters={"value": "0.20", "of": "dhat"})


def settings(folder: Path) -> Settings:
    known = commands(folder)
    raised = known["set"].model_copy(update={"argv": ("/bin/true", "{value}", "{of}")})
    plain: dict[str, Any] = {"argv": ["/bin/true"], "effect": "change", "target": "tolerance of dhat"}
    more = {"raise": raised, "restart": CommandSettings.model_validate(plain)}
    return Settings(commands={**known, **more})


@pytest.mark.parametrize(
    ("command", "parameters", "same"),
    [
        ("set", {"value": "0.30", "of": "dhat"}, True),
        ("raise", {"value": "0.30", "of": "dhat"}, True),
        ("set", {"value": "0.20", "of": "other"}, False),
        ("restart", {}, False),
        ("gone", {}, True),
    ],
    ids=["another value", "another command for it", "of something else", "no way back", "one that is not known"],
)
async def test_it_is_the_same_that_is_shown(
    tmp_path: Path, command: str, parameters: dict[str, str], same: bool
) -> None:
    """One run must not take from another what is not its own; what cannot be told counts as the same."""
    clients = Clients(settings(tmp_path))
    calls = Calls(clients, VirtualClock(), Redactor(), Metrics())

    assert same == calls.is_same(run)(step(SET), step(CommandParams(command=command, parameters=parameters)))
    await clients.close()


def step(params: CommandParams) -> PlannedStep:
    target = Target("command", ("tolerance of dhat",))
    return PlannedStep(
        StepId("remediate.0.0"), "command.run", params.model_dump(), Effect.CHANGE, False, (target,), run.timeout, "set"
    )
