"""What a container uses, and how much memory it may use. Offered through `remediator.actions.docker`.

A limit is never lowered unless that is asked for, and never below what is used: that would kill what it was to help.
Neither is it when it is put back.
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
    deployed_of,
    engine_of,
    known_container,
    pool_of,
    refuse_haste,
    same_as_planned,
    say_of,
    time_left,
)
from remediator.clients.docker import Container
from remediator.errors import Conflicted, Failed, TargetGone
from remediator.model.size import Size, say_size
from remediator.plugins import (
    ActionContext,
    Before,
    Effect,
    Inverse,
    Now,
    Permission,
    Pool,
    Remains,
    Restored,
    Result,
    action,
)

_LEAST = 6 * 1024 * 1024  # what an engine takes
_NO_SWAP_LIMIT = -1
_NO_LIMIT = 2**63 - 4096  # the kernel's own number for none: an engine takes 0 for “as it is”, and nothing below 6 MiB
_ENDLESS = 2**62  # bytes: whoever may use that has no limit
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


class MemoryBefore(Before):
    """How much memory a container could use before, as its engine tells it."""

    limit: int
    """In bytes; 0 was no limit."""
    swap: int
    """Memory and swap together, in bytes; 0 was not said, and -1 was no limit."""


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


async def _capture(ctx: ActionContext, params: MemoryParams) -> MemoryBefore:
    """What the container may use now."""
    found = await same_as_planned(ctx, params)
    return MemoryBefore(limit=_limit_of(found), swap=found.memory_swap)


async def _remains(ctx: ActionContext, params: MemoryParams, before: MemoryBefore) -> Remains:
    """Whether the container still has the limit that it was given; another container of its name has its own."""
    try:
        found = await same_as_planned(ctx, params)
    except TargetGone as error:
        return Remains(Now.GONE, str(error))
    return _compared(found, params, before)


def _limit_of(found: Container) -> int:
    """The limit of its memory; 0 where it has none."""
    return found.memory_limit if found.memory_limit < _ENDLESS else 0


def _compared(found: Container, params: MemoryParams, before: MemoryBefore) -> Remains:
    may = f"{found.name} {_say_limit(_limit_of(found))}"
    if _same(found, before.limit, before.swap):
        return Remains(Now.AS_BEFORE, may)
    if _same(found, params.limit, _swap(before.limit, before.swap, params.limit) or before.swap):
        return Remains(Now.AS_SET, may)
    swap = f", and {_say_swap(found.memory_swap)}" if found.memory_limit == params.limit else ""
    return Remains(Now.CHANGED, may + swap)


def _same(found: Container, limit: int, swap: int) -> bool:
    """Whether its limits are these. Without a limit of its memory there is none of its swap, whatever is said."""
    return _limit_of(found) == limit and (limit == 0 or found.memory_swap == swap)


def _say_limit(limit: int) -> str:
    return f"may use {say_size(limit)}" if limit else "has no limit of its memory"


def _say_swap(swap: int) -> str:
    return f"{say_size(swap)} with swap" if swap > 0 else "swap without a limit of its own"


async def _restore(ctx: ActionContext, params: MemoryParams, before: MemoryBefore) -> Restored:
    """Give the container the limit that it had, unless it uses more than that by now."""
    refuse_haste(ctx, MARGIN)
    found, engine = await same_as_planned(ctx, params), ctx.clients.docker(params.engine)
    remains = _compared(found, params, before)
    if remains.now is Now.CHANGED:
        wanted = f"it was given {say_size(params.limit)}, before that it {_say_limit(before.limit)}"
        raise Conflicted(f"{remains.found}: somebody has changed that since ({wanted}); nothing was done")
    if remains.now is Now.AS_SET:
        if before.limit:
            await _refuse_to_kill(ctx, params, found, before.limit)
        limit, swap = (before.limit, before.swap or None) if before.limit else (_NO_LIMIT, _NO_SWAP_LIMIT)
        await engine.set_memory(found.id, limit=limit, swap=swap, within=time_left(ctx))
    again = f"{found.name} {_say_limit(before.limit)} again"
    return Restored(said=again, changed=remains.now is Now.AS_SET)


@action(
    "docker.set_memory",
    effect=Effect.CHANGE,
    system=engine_of,
    targets=container_of,
    known_target=known_container,
    idempotent=True,
    timeout=timedelta(seconds=60),
    say=_say_set_memory,
    pool=_pool,
    deployed=deployed_of,
    inverse=Inverse(_capture, _remains, _restore),
    permissions=(
        INSPECT,
        Permission(LIST, without="the limit of a container that Compose has made cannot be lowered"),
        Permission("POST /containers/{id}/update"),
        Permission(
            _STATS,
            without="what was raised cannot be put back, and the limit of a container that runs cannot be lowered",
        ),
    ),
)
async def set_memory(ctx: ActionContext, params: MemoryParams) -> MemorySet:
    """Set how much memory a container may use, from now on and after restarts; it goes on running."""
    refuse_haste(ctx, MARGIN)
    found, engine = await same_as_planned(ctx, params), ctx.clients.docker(params.engine)
    before = _limit_of(found)
    if before != params.limit:
        if before == 0 or params.limit < before:
            await _refuse_harm(ctx, params, found)
        swap = _swap(before, found.memory_swap, params.limit)
        await engine.set_memory(found.id, limit=params.limit, swap=swap, within=time_left(ctx))
    return MemorySet(
        name=found.name, id=found.id, previous_limit=before, limit=params.limit, changed=before != params.limit
    )


async def _refuse_harm(ctx: ActionContext, params: MemoryParams, found: Container) -> None:
    """Raises Failed where a lower limit was not asked for, or where more than that is used now."""
    if not params.lower:
        before, wanted = f"{found.name} {_say_limit(_limit_of(found))}", say_size(params.limit)
        raise Failed(f"{before}, {wanted} would be less; nothing was done. To lower it, say `lower: true`")
    await _refuse_to_kill(ctx, params, found, params.limit)


async def _refuse_to_kill(ctx: ActionContext, params: MemoryParams, found: Container, limit: int) -> None:
    """Raises Failed where the container uses more than a limit now."""
    if not found.running:
        return
    used = (await ctx.clients.docker(params.engine).usage(found.id)).memory
    if used >= limit:
        raise Failed(
            f"{found.name} uses {say_size(used)} now, so a limit of {say_size(limit)} would kill it; "
            "nothing was done. Give it more, or stop it before"
        )


def _swap(before: int, swap: int, limit: int) -> int | None:
    """What memory and swap may be together: as much swap as before. None where nothing was said of it."""
    if not before:
        # Where nothing was limited, the engine takes a first limit only together with one for both.
        return swap if swap > 0 else _NO_SWAP_LIMIT
    if swap == 0:
        return None
    if swap < 0:
        return swap  # without limit, which has to be said again: the engine compares it as a number
    return limit + max(swap - before, 0)
