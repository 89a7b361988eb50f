"""Looking at containers and restarting them. Found by `remediator.plugins` through its entry point.

What is counted in logs and what concerns memory stands in modules of its own, and is offered from here.
"""

import math
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from remediator.actions.container_logs import count_logs
from remediator.actions.container_memory import set_memory, stats
from remediator.actions.containers import (
    INSPECT,
    LIST,
    LOGS,
    MARGIN,
    ContainerParams,
    container_of,
    deployed_of,
    engine_of,
    known_container,
    pool_of,
    refuse_haste,
    same_as_planned,
    say_of,
    time_left,
)
from remediator.actions.last_lines import LastLines
from remediator.clients import Clients
from remediator.errors import Failed, Unavailable
from remediator.kit.wording import counted
from remediator.model.duration import Duration, say_duration
from remediator.plugins import ActionContext, Effect, Nature, Permission, Result, action

__all__ = [
    "ContainerParams",
    "Inspected",
    "Logs",
    "LogsParams",
    "RestartParams",
    "Restarted",
    "Started",
    "container_of",
    "count_logs",
    "inspect",
    "logs",
    "restart",
    "set_memory",
    "start",
    "stats",
]

_LONGEST_STOP = timedelta(minutes=30)
_CUT_LOGS = 256 * 1024  # bytes; logs of this length were cut at the start


class LogsParams(ContainerParams):
    """Which container, and how much of its logs."""

    tail: Annotated[int, Field(ge=1, le=1000)] = 100
    """How many lines, counted from the end."""


class RestartParams(ContainerParams):
    """Which container, and how long it may take to stop."""

    stop_timeout: Annotated[Duration, Field(ge=timedelta(0), le=_LONGEST_STOP)] = timedelta(seconds=10)
    """How long it may take to stop by itself before it is killed; whole seconds count."""


class Inspected(Result):
    """How a container is."""

    name: str
    """Its name, as the engine tells it."""
    id: str
    """Its id; another container of the same name has another."""
    image: str
    """The image that it was made from."""
    status: str
    """`created`, `running`, `paused`, `restarting`, `removing`, `exited` or `dead`."""
    running: bool
    """Whether it runs."""
    exit_code: int
    """How it ended the last time; 0 while it has not."""
    oom_killed: bool
    """Whether it was ended because it ran out of memory."""
    restarts: int
    """How often its restart policy has started it again."""
    started_at: datetime | None
    """When it was started the last time."""
    finished_at: datetime | None
    """When it ended the last time."""
    health: str
    """`starting`, `healthy` or `unhealthy`; empty where it has no health check."""
    memory_limit: int
    """In bytes; 0 is no limit."""
    error: str
    """Why the engine could not start it, if so."""
    image_id: str = ""
    """The id of that image; a name may stand for another one by now."""
    created_at: datetime | None = None
    """When the container was made."""
    age_seconds: float | None = None
    """How long ago that was."""
    seconds_since_start: float | None = None
    """How long ago it was started the last time, whether it still runs or not."""

    def brief(self) -> str:
        said = [f"{self.name} is {self.status}"]
        if self.health:
            said.append(self.health)
        if not self.running:
            said.append(f"exit code {self.exit_code}")
        if self.oom_killed:
            said.append("ran out of memory")
        if self.restarts:
            said.append(f"restarted {counted(self.restarts, 'time')} by its policy")
        if self.error:
            said.append(self.error)
        return ", ".join(said)


class Logs(LastLines):
    """The last lines that a container wrote."""


class Started(Result):
    """What became of a container that was started."""

    name: str
    """Its name."""
    id: str
    """Its id."""
    was_running: bool
    """Whether it ran before; then nothing was done."""

    def brief(self) -> str:
        return f"{self.name} was running already" if self.was_running else f"{self.name} started"


class Restarted(Result):
    """What became of a container that was restarted."""

    name: str
    """Its name."""
    id: str
    """Its id, the same as before."""
    previous_started_at: datetime | None
    """When it had been started before."""
    started_at: datetime | None
    """When it was started now; none where the engine could not be asked any more."""

    def brief(self) -> str:
        return f"{self.name} restarted"


def _restart_nature(clients: Clients, params: RestartParams) -> Nature:
    """A restart takes as long as the stop does, and the engine's own limit for the questions around it."""
    asking = max(2 * clients.settings.docker.timeout, 2 * MARGIN)
    return Nature(Effect.CHANGE, idempotent=False, timeout=params.stop_timeout + asking)


def _say_inspect(params: ContainerParams) -> str:
    return say_of("inspect", params)


def _say_logs(params: LogsParams) -> str:
    return say_of(f"read the last {params.tail} log lines of", params)


def _say_start(params: ContainerParams) -> str:
    return say_of("start", params)


def _say_restart(params: RestartParams) -> str:
    said = say_of("restart", params)
    if params.stop_timeout == RestartParams.model_fields["stop_timeout"].default:
        return said
    return f"{said}, killed if it takes more than {say_duration(params.stop_timeout)} to stop"


@action("docker.inspect", effect=Effect.READ, system=engine_of, say=_say_inspect, permissions=(INSPECT,))
async def inspect(ctx: ActionContext, params: ContainerParams) -> Inspected:
    """How a container is: its state, exit code, health, restarts and limits."""
    found = await ctx.clients.docker(params.engine).inspect(params.container)
    now = ctx.clock.now()
    return Inspected(
        name=found.name,
        id=found.id,
        image=found.image,
        status=found.status,
        running=found.running,
        exit_code=found.exit_code,
        oom_killed=found.oom_killed,
        restarts=found.restart_count,
        started_at=found.started_at,
        finished_at=found.finished_at,
        health=found.health,
        memory_limit=found.memory_limit,
        error=found.error,
        image_id=found.image_id,
        created_at=found.created_at,
        age_seconds=_since(found.created_at, now),
        seconds_since_start=_since(found.started_at, now),
    )


def _since(then: datetime | None, now: datetime) -> float | None:
    return None if then is None else round((now - then).total_seconds(), 1)


@action(
    "docker.logs",
    effect=Effect.READ,
    system=engine_of,
    say=_say_logs,
    permissions=(INSPECT, LOGS),
)
async def logs(ctx: ActionContext, params: LogsParams) -> Logs:
    """The last lines that a container wrote."""
    engine = ctx.clients.docker(params.engine)
    found = await engine.inspect(params.container)
    text = await engine.logs(found.id, tail=params.tail)
    lines = tuple(line.rstrip("\r") for line in text.removesuffix("\n").split("\n")) if text else ()
    if len(text.encode()) >= _CUT_LOGS:
        lines = lines[1:]  # it may have lost its start, and with it what tells that the rest is a secret
    return Logs(lines=lines, count=len(lines))


@action(
    "docker.start",
    effect=Effect.CHANGE,
    system=engine_of,
    targets=container_of,
    known_target=known_container,
    idempotent=True,
    timeout=timedelta(seconds=60),
    say=_say_start,
    deployed=deployed_of,
    permissions=(INSPECT, Permission("POST /containers/{id}/start")),
)
async def start(ctx: ActionContext, params: ContainerParams) -> Started:
    """Start a container that is stopped; one that runs stays as it is."""
    refuse_haste(ctx, MARGIN)
    before = await same_as_planned(ctx, params)
    await ctx.clients.docker(params.engine).start(before.id, within=time_left(ctx))
    return Started(name=before.name, id=before.id, was_running=before.running)


@action(
    "docker.restart",
    effect=Effect.CHANGE,
    system=engine_of,
    targets=container_of,
    known_target=known_container,
    nature=_restart_nature,
    say=_say_restart,
    pool=pool_of,
    deployed=deployed_of,
    permissions=(
        INSPECT,
        Permission(LIST, without="no container that Compose has made can be restarted"),
        Permission("POST /containers/{id}/restart"),
    ),
)
async def restart(ctx: ActionContext, params: RestartParams) -> Restarted:
    """Stop a container and start it again; it stays the same container."""
    stop_timeout = math.ceil(params.stop_timeout.total_seconds())
    refuse_haste(ctx, timedelta(seconds=stop_timeout) + MARGIN)
    engine = ctx.clients.docker(params.engine)
    before = await same_as_planned(ctx, params)
    await engine.restart(before.id, stop_timeout=stop_timeout, within=time_left(ctx))
    try:
        started_at = (await engine.inspect(before.id)).started_at
    except (Unavailable, Failed):
        started_at = None  # the restart itself has happened, so this is no failure
    return Restarted(name=before.name, id=before.id, previous_started_at=before.started_at, started_at=started_at)
