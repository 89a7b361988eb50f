"""What the docker actions share: how a container is named, found, counted, and looked at again before it is changed.

A target's name is the one that the engine tells, never the label that led there; and a change acts on the
container's id as it was seen when the plan was made, never on a name.
"""

from collections.abc import Mapping
from datetime import timedelta

from remediator.clients.docker import Container
from remediator.errors import Failed, Protected, TargetGone
from remediator.model.duration import say_duration
from remediator.plugins import (
    SKIP,
    ActionContext,
    Deployed,
    Known,
    Member,
    Params,
    Permission,
    Pool,
    System,
    Target,
    opts_out,
)
from remediator.settings import Settings

MARGIN = timedelta(seconds=5)
"""What a change takes beside itself: looking at the container, and asking the engine."""

INSPECT = Permission("GET /containers/{id}/json")
"""What every one of them begins with, those that change something twice."""
LOGS = Permission("GET /containers/{id}/logs")
LIST = "GET /containers/json"
"""What counting the containers of a service takes."""

_PROJECT, _SERVICE = "com.docker.compose.project", "com.docker.compose.service"
_ONE_OFF = "com.docker.compose.oneoff"  # `True` for what `docker compose run` made, which is of no service


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
    """The container, named as its engine names it. Raises Protected where it has opted out."""
    found = await ctx.clients.docker(params.engine).inspect(params.container)
    _refuse_opted_out(found)
    return (Target("docker", (params.engine, found.name), incarnation=found.id),)


def known_container(settings: Settings, known: Known) -> Target | None:
    """The container, where the rule names it; by its id, or by a part of it, it is another name than the engine's."""
    del settings
    name, engine = known.get("container"), known.get("engine")
    return Target("docker", (engine, name)) if isinstance(name, str) and isinstance(engine, str) else None


async def pool_of(ctx: ActionContext, params: ContainerParams) -> Pool:
    """The containers of the target's Compose service; where it is of none, the container alone."""
    engine, name = ctx.clients.docker(params.engine), ctx.target.name
    found = await engine.inspect(ctx.target.incarnation or params.container)
    chosen = {label: found.labels[label] for label in (_PROJECT, _SERVICE) if found.labels.get(label)}
    if len(chosen) < 2 or _is_one_off(found.labels):  # noqa: PLR2004 - both labels
        alone = Member(name, found.is_well, is_target=True)
        return Pool(f"container {found.name} (Docker engine {params.engine})", (alone,))
    members = tuple(
        Member(Target("docker", (params.engine, one.name)).name, one.is_well, is_target=one.id == found.id)
        for one in await engine.labelled(chosen)
        if not _is_one_off(one.labels)
    )
    what = f"service {found.labels[_SERVICE]} of Compose project {found.labels[_PROJECT]}"
    return Pool(f"{what} (Docker engine {params.engine})", members)


async def deployed_of(ctx: ActionContext, params: ContainerParams) -> tuple[Deployed, ...]:
    """When the container was made: a container is never changed to another image, it is made anew.

    When it was started tells nothing of people: its restart policy starts it as well. Who has made it, the engine does
    not tell.
    """
    found = await ctx.clients.docker(params.engine).inspect(ctx.target.incarnation or params.container)
    if found.created_at is None:
        return ()
    return (Deployed(ctx.target.name, found.created_at, f"made from image {found.image}"),)


def _is_one_off(labels: Mapping[str, str]) -> bool:
    return labels.get(_ONE_OFF) == "True"


async def same_as_planned(ctx: ActionContext, params: ContainerParams) -> Container:
    """The target right before acting.

    Raises TargetGone where it is not what the plan was made for, and Protected where it has opted out since.
    """
    target = ctx.target
    if target.system != "docker" or target.parts[0] != params.engine or not target.incarnation:
        raise Failed(f"{ctx.step}: {target} is not a container of Docker engine {params.engine}")
    try:
        found = await ctx.clients.docker(params.engine).inspect(target.incarnation)
    except TargetGone as error:
        raise TargetGone(f"{target.name} is not the container that the plan was made for: {error}") from error
    if found.name != target.parts[1]:
        raise TargetGone(f"{target.name} is called {found.name} now; nothing was done to it")
    _refuse_opted_out(found)
    return found


def _refuse_opted_out(found: Container) -> None:
    if opts_out(found.labels):
        raise Protected(f"container {found.name} has the label {SKIP}, so it is not touched")


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
