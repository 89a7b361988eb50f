"""Small actions for the tests of the rule language, declared as anybody declares theirs. None of them does anything."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from remediator.clients import Clients
from remediator.model.duration import Duration
from remediator.plugins import (
    ActionContext,
    Actions,
    Before,
    Effect,
    Inverse,
    Nature,
    Now,
    Params,
    Remains,
    Restored,
    Result,
    Target,
    WrittenIn,
    action,
)


class Which(Params):
    """Which thing."""

    name: str
    tail: Annotated[int, Field(ge=1)] = 100
    grace: Duration = timedelta(seconds=10)
    level: Literal["soft", "hard"] = "soft"
    labels: dict[str, str] = Field(default_factory=dict)
    ports: tuple[int, ...] = ()


class Port(Result):
    """One port."""

    number: int
    open: bool


class State(Result):
    """How a thing is."""

    status: str
    crashed: bool
    restarts: int
    exit_code: int | None = None
    mood: Literal["glad", "sad"] | None = None
    started_at: datetime | None = None
    ports: tuple[Port, ...] = ()
    labels: dict[str, str] = Field(default_factory=dict)
    body: JsonValue = None


class Nothing(Result):
    """Nothing to say."""


async def _targets(ctx: ActionContext, params: Which) -> tuple[Target, ...]:
    return (Target("thing", (params.name,)),)


def _nature(clients: Clients, params: Which) -> Nature:
    return Nature(Effect.READ, idempotent=True, timeout=timedelta(seconds=1))


@action("thing.look", effect=Effect.READ)
async def look(ctx: ActionContext, params: Which) -> State:
    """How a thing is."""
    return State(status="up", crashed=False, restarts=0)


@action("thing.kick", effect=Effect.CHANGE, targets=_targets)
async def kick(ctx: ActionContext, params: Which) -> Nothing:
    """Kick a thing."""
    return Nothing()


@action("thing.any", effect=Effect.DESTROY, targets=_targets, nature=_nature, may_only_read=True)
async def anything(ctx: ActionContext, params: Which) -> State:
    """Do what the settings say of it."""
    return State(status="up", crashed=False, restarts=0)


class Straight(Before):
    """How straight a thing was."""

    degrees: int


async def _capture(ctx: ActionContext, params: Which) -> Straight:
    return Straight(degrees=180)


async def _remains(ctx: ActionContext, params: Which, before: Straight) -> Remains:
    return Remains(Now.AS_SET, "it is bent")


async def _restore(ctx: ActionContext, params: Which, before: Straight) -> Restored:
    return Restored(said="it is straight again", changed=True)


@action("thing.bend", effect=Effect.CHANGE, targets=_targets, inverse=Inverse(_capture, _remains, _restore))
async def bend(ctx: ActionContext, params: Which) -> Nothing:
    """Bend a thing, which can be bent back."""
    return Nothing()


class Questions(Params):
    """What to ask, all at once."""

    questions: Annotated[tuple[str, ...], WrittenIn("PromQL", ("promql", "promql_regex"))]


@action("thing.ask_all", effect=Effect.READ)
async def ask_all(ctx: ActionContext, params: Questions) -> Nothing:
    """Ask for things at once."""
    return Nothing()


class Question(Params):
    """What to ask."""

    question: Annotated[str, WrittenIn("PromQL", ("promql", "promql_regex"))]


def _slowly(clients: Clients, params: Which) -> Nature:
    return Nature(Effect.CHANGE, idempotent=False, timeout=timedelta(minutes=1))


@action("thing.push", effect=Effect.CHANGE, targets=_targets, nature=_slowly)
async def push(ctx: ActionContext, params: Which) -> Nothing:
    """Push a thing, which takes as long as its parameters say."""
    return Nothing()


@action("thing.ask", effect=Effect.READ)
async def ask(ctx: ActionContext, params: Question) -> Nothing:
    """Ask for things."""
    return Nothing()


ACTIONS = Actions({one.name: one for one in (look, kick, bend, anything, push, ask, ask_all)})
