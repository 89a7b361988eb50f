"""Actions that do nothing, so that what is measured is the service alone. Found through an entry point, as anybody's.

`processes.py` makes the entry point in its working folder. Steps may be asked to say when they began.
"""

import asyncio
import os
import time
from datetime import timedelta

from remediator.plugins import ActionContext, Effect, Params, Result, Target, action

_STAMPS = os.environ.get("BENCH_STAMPS", "")  # the file in which `bench.stamp` notes when it was called


class Named(Params):
    """What to look at."""

    name: str
    """Its name."""


class Seen(Result):
    """What was seen."""

    fine: bool
    """Whether all is well."""
    restarts: int
    """How often it was started again."""

    def brief(self) -> str:
        return "fine" if self.fine else "not fine"


class Waiting(Params):
    """How long to wait."""

    seconds: float
    """That long."""


async def _named(ctx: ActionContext, params: Named) -> tuple[Target, ...]:
    del ctx
    return (Target("bench", (params.name,)),)


@action("bench.look", effect=Effect.READ)
async def look(ctx: ActionContext, params: Named) -> Seen:
    """Look at nothing, and find it well."""
    del ctx, params
    return Seen(fine=True, restarts=0)


@action("bench.stamp", effect=Effect.READ)
async def stamp(ctx: ActionContext, params: Named) -> Seen:
    """Note when this was called."""
    del ctx
    now = time.monotonic()
    _note(f"{params.name} {now:.6f}\n")
    return Seen(fine=True, restarts=0)


@action("bench.wait", effect=Effect.READ, timeout=timedelta(hours=1))
async def wait(ctx: ActionContext, params: Waiting) -> Seen:
    """Keep a place for a while."""
    del ctx
    await asyncio.sleep(params.seconds)
    return Seen(fine=True, restarts=0)


@action("bench.act", effect=Effect.CHANGE, targets=_named)
async def act(ctx: ActionContext, params: Named) -> Seen:
    """Change nothing."""
    del ctx, params
    return Seen(fine=True, restarts=0)


def _note(line: str) -> None:
    with open(_STAMPS, "a", encoding="ascii") as out:  # noqa: PTH123 - the shortest way: it is part of what is measured
        out.write(line)
