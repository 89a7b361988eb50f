"""What a container uses, and how much memory it may use. Offered through `remediator.actions.docker`.

A limit is never lowered unless that is asked for, and never below what is used: that would kill what it was to help.
"""

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from remediator.actions.containers import (
    INSPECT,
    LIST,
    MARGIN,
    ContainerParams,
    container_of,
    engine_of,
    pool_of,
    refuse_haste,
    same_as_planned,
    say_of,
    time_left,
)
from remediator.clients.docker import Container
from remediator.errors import Failed
from remediator.model.size import Size, say_size
from remediator.plugins import ActionContext, Effect, Permission, Pool, Result, action

_LEAST = 6 * 1024 * 1024  # what an engine takes
_STATS = "GET /containers/{id}/stats"


class MemoryParams(ContainerParams):
    """Which container, and how much memory it may use."""

    limit: Annotated[Size, Field(ge=_LEAST)]
    """How much, such as `512m` or `8g`; at least `6m`."""
    lower: bool = False
    """Whether the limit may become lower than it is; a limit where there was none is lower, too."""


class Stats(Result):
    """What a container uses now."""

    memory_used: int
    """Memory in bytes, without what is only cached."""
    memory_limit: int
    """How much it may use, in bytes; the machine's memory where it has no limit."""
    memory_percent: float
    """How much of that it uses."""
    cpu_percent: float
    """How much of one core it uses: 200 is two cores."""
    pids: int
    """How many processes and threads it has."""

    def brief(self) -> str:
        memory = f"{say_size(self.memory_used)} of {say_size(self.memory_limit)} memory ({self.memory_percent:g} %)"
        return f"{memory}, {self.cpu_percent:g} % CPU, {self.pids} processes"


class MemorySet(Result):
    """What became of the limit of a container's memory."""

    name: str
    """The container's name."""
    id: str
    """Its id."""
    previous_limit: int
    """The limit before, in bytes; 0 was no limit."""
    limit: int
    """The limit now, in bytes."""
    changed: bool
    """Whether it is another one than before."""

    def brief(self) -> str:
        if not self.changed:
            return f"{self.name} could use {say_size(self.limit)} already"
        before = say_size(self.previous_limit) if self.previous_limit else "without a limit"
        return f"{self.name} may use {say_size(self.limit)} now, before it was {before}"


def _say_stats(params: ContainerParams) -> str:
    return say_of("measure", params)


def _say_set_memory(params: MemoryParams) -> str:
    how = "set" if params.lower else "raise"
    return say_of(f"{how} the memory limit to {say_size(params.limit)} for", params)


async def _pool(ctx: ActionContext, params: MemoryParams) -> Pool | None:
    """More memory takes nothing out of service; less may."""
    return await pool_of(ctx, params) if params.lower else None


@action("docker.stats", effect=Effect.READ, system=engine_of, say=_say_stats, permissions=(INSPECT, Permission(_STATS)))
async def stats(ctx: ActionContext, params: ContainerParams) -> Stats:
    """What a running container uses of memory and processor, and how many processes it has."""
    engine = ctx.clients.docker(params.engine)
    found = await engine.inspect(params.container)
    if not found.running:
        raise Failed(f"container {found.name} does not run (it is {found.status}), so it uses nothing")
    used = await engine.usage(found.id)
    return Stats(
        memory_used=used.memory,
        memory_limit=used.memory_limit,
        memory_percent=round(100 * used.memory / used.memory_limit, 1) if used.memory_limit else 0.0,
        cpu_percent=used.cpu_percent,
        pids=used.pids,
    )


@action(
    "docker.set_memory",
    effect=Effect.CHANGE,
    system=engine_of,
    targets=container_of,
    idempotent=True,
    timeout=timedelta(seconds=60),
    say=_say_set_memory,
    pool=_pool,
    permissions=(
        INSPECT,
        Permission(LIST, without="the limit of a container that Compose has made cannot be lowered"),
        Permission("POST /containers/{id}/update"),
        Permission(_STATS, without="the limit of a container that runs cannot be lowered"),
    ),
)
async def set_memory(ctx: ActionContext, params: MemoryParams) -> MemorySet:
    """Set how much memory a container may use, from now on and after restarts; it goes on running."""
    refuse_haste(ctx, MARGIN)
    found, engine = await same_as_planned(ctx, params), ctx.clients.docker(params.engine)
    before = found.memory_limit
    if before != params.limit:
        if before == 0 or params.limit < before:
            await _refuse_harm(ctx, params, found)
        await engine.set_memory(found.id, limit=params.limit, swap=_swap(found, params.limit), within=time_left(ctx))
    return MemorySet(
        name=found.name, id=found.id, previous_limit=before, limit=params.limit, changed=before != params.limit
    )


async def _refuse_harm(ctx: ActionContext, params: MemoryParams, found: Container) -> None:
    """Raises Failed where a lower limit was not asked for, or where more than that is used now."""
    before = f"may use {say_size(found.memory_limit)}" if found.memory_limit else "has no limit of its memory"
    if not params.lower:
        wanted = say_size(params.limit)
        raise Failed(f"{found.name} {before}, {wanted} would be less; nothing was done. To lower it, say `lower: true`")
    if not found.running:
        return
    used = (await ctx.clients.docker(params.engine).usage(found.id)).memory
    if used >= params.limit:
        raise Failed(
            f"{found.name} uses {say_size(used)} now, so a limit of {say_size(params.limit)} would kill it; "
            "nothing was done. Give it more, or stop it before"
        )


def _swap(found: Container, limit: int) -> int | None:
    """What memory and swap may be together: as much swap as before. None where nothing was said of it."""
    if found.memory_swap == 0:
        # Where nothing was limited, the engine takes a first limit only together with one for both.
        return None if found.memory_limit else -1
    if found.memory_swap < 0:
        return found.memory_swap  # without limit, which has to be said again: the engine compares it as a number
    return limit + max(found.memory_swap - found.memory_limit, 0)
