"""Calls of the files actions, as a run makes them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from remediator.clients import Clients
from remediator.kit.clock import SystemClock
from remediator.model.ids import StepId
from remediator.model.target import Target
from remediator.plugins import Action, ActionContext


def a_context(clients: Clients, *targets: Target, seconds: float = 60) -> ActionContext:
    deadline = datetime.now(UTC) + timedelta(seconds=seconds)
    return ActionContext(clients, SystemClock(), StepId("remediate.0.0"), deadline, targets)


def names_in(folder: Path) -> set[str]:
    return {one.name for one in folder.iterdir()}


async def act(clients: Clients, action: Action, **given: Any) -> Any:
    """What an action gives, a change on the target that it resolves itself."""
    params = action.params.model_validate({"root": "wal", **given})
    targets = await action.resolve(a_context(clients), params) if action.resolve else ()
    return await action.perform(a_context(clients, *targets), params)
