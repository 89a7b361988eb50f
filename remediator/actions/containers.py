"""What the docker actions share: how a container is named, found, and looked at again right before it is changed.

A target's name is the one that the engine tells, never the label that led there; and a change acts on the
container's id as it was seen when the plan was made, never on a name.
"""

from datetime import timedelta

from remediator.clients.docker import Container
from remediator.errors import Failed, TargetGone
from remediator.model.duration import say_duration
from remediator.plugins import ActionContext, Params, Permission, System, Target

MARGIN = timedelta(seconds=5)
"""What a change takes beside itself: looking at the container, and asking the engine."""

INSPECT = Permission("GET /containers/{id}/json")
"""What every one of them begins with, those that change something twice."""
LOGS = Permission("GET /containers/{id}/logs")


class ContainerParams(Params):
    """Which container."""

    container: str
    """Its name, or its id."""
    engine: str = "local"
    """The Docker engine that it runs on, by its name in the settings."""


def engine_of(params: ContainerParams) -> System:
    """The engine that is talked to."""
    return System("docker", (params.engine,))


async def container_of(ctx: ActionContext, params: ContainerParams) -> tuple[Target, ...]:
    """The container, named as its engine names it."""
    found = await ctx.clients.docker(params.engine).inspect(params.container)
    return (Target("docker", (params.engine, found.name), incarnation=found.id),)


async def same_as_planned(ctx: ActionContext, params: ContainerParams) -> Container:
    """The target right before acting. Raises TargetGone where it is not what the plan was made for."""
    target = ctx.target
    if target.system != "docker" or target.parts[0] != params.engine or not target.incarnation:
        raise Failed(f"{ctx.step}: {target} is not a container of Docker engine {params.engine}")
    try:
        found = await ctx.clients.docker(params.engine).inspect(target.incarnation)
    except TargetGone as error:
        raise TargetGone(f"{target.name} is not the container that the plan was made for: {error}") from error
    if found.name != target.parts[1]:
        raise TargetGone(f"{target.name} is called {found.name} now; nothing was done to it")
    return found


def time_left(ctx: ActionContext) -> timedelta:
    """How much time the step has."""
    return ctx.deadline - ctx.clock.now()


def refuse_haste(ctx: ActionContext, needed: timedelta) -> None:
    """Do nothing where the time is too short: the call could outlive the lock. Raises Failed."""
    left = time_left(ctx)
    if left < needed:
        raise Failed(
            f"{ctx.step}: not done, {max(left.total_seconds(), 0):.0f} s are too short for it; "
            f"let the step's `timeout` be at least {say_duration(needed + MARGIN)}, or leave it out"
        )


def say_of(verb: str, params: ContainerParams) -> str:
    """What is done to which container, for people."""
    return f"{verb} container {params.container} (Docker engine {params.engine})"
