"""What authors of actions declare, and what is refused when their module is imported."""

import pytest

from remediator.clients import Clients
from remediator.plugins import (
    ActionContext,
    Actions,
    Before,
    Effect,
    Inverse,
    Now,
    Params,
    Remains,
    Restored,
    Result,
    Target,
    action,
)
from remediator.settings import Settings


class Which(Params):
    """Which thing."""

    name: str = "x"


class Was(Before):
    """How it was."""

    value: int


class Nothing(Result):
    """Nothing to say."""


async def _targets(ctx: ActionContext, params: Which) -> tuple[Target, ...]:
    return (Target("thing", (params.name,)),)


async def _capture(ctx: ActionContext, params: Which) -> Was:
    return Was(value=1)


async def _remains(ctx: ActionContext, params: Which, before: Was) -> Remains:
    return Remains(Now.AS_SET, "it is 2")


async def _restore(ctx: ActionContext, params: Which, before: Was) -> Restored:
    return Restored(said="it is 1 again", changed=True)


def _stays(clients: Clients, params: Which) -> str:
    return "" if params.name == "x" else f"{params.name} is not x"


BACK = Inverse(_capture, _remains, _restore)


async def perform(ctx: ActionContext, params: Which) -> Nothing:
    """Do it."""
    return Nothing()


@pytest.mark.parametrize("break_", ["\n", "\r\n", "\x0b", "\x85", "\u2028"])
@pytest.mark.parametrize("says", [True, False], ids=["own words", "usual words"])
def test_what_a_step_would_do_is_on_one_line(break_: str, says: bool) -> None:
    """A parameter may be a label's, whose author must not write further lines of what people are asked to approve."""
    say = (lambda params: f"kick {params.name}") if says else None
    kick = action("thing.kick", effect=Effect.CHANGE, targets=_targets, say=say)(perform)

    sentence = kick.describe(Which(name=f"web{break_}2. nothing at all"))
    assert 1 == len(sentence.splitlines())
    assert "2. nothing at all" in sentence


def test_an_inverse_tells_the_model_of_what_it_captures() -> None:
    """By it what was stored is read again, in another process."""
    bend = action("thing.bend", effect=Effect.CHANGE, targets=_targets, inverse=BACK)(perform)

    assert bend.inverse is not None
    assert Was is bend.inverse.before
    assert not bend.stays_always


@pytest.mark.parametrize("effect", [Effect.READ, Effect.DESTROY])
def test_only_a_change_has_an_inverse(effect: Effect) -> None:
    """What only reads has nothing to put back, and what is destroyed cannot be."""
    with pytest.raises(TypeError, match=f"only a change has an inverse, and it is a {effect}"):
        action("thing.bend", effect=effect, targets=_targets, inverse=BACK)(perform)


def test_what_only_reads_is_not_narrowed_to_targets() -> None:
    """It has none."""
    with pytest.raises(TypeError, match="a read has no targets"):
        action("thing.look", effect=Effect.READ, for_targets=lambda params, targets: params)(perform)


def test_an_action_says_why_a_step_cannot_be_put_back() -> None:
    """So that a plan for a while is refused before anything is done."""
    clients = Clients(Settings())
    look = action("thing.look", effect=Effect.READ)(perform)
    kick = action("thing.kick", effect=Effect.CHANGE, targets=_targets)(perform)
    bend = action("thing.bend", effect=Effect.CHANGE, targets=_targets, inverse=BACK)(perform)
    some = Inverse(_capture, _remains, _restore, stays=_stays)
    turn = action("thing.turn", effect=Effect.CHANGE, targets=_targets, inverse=some)(perform)

    assert [False, True, False] == [one.stays_always for one in (look, kick, bend)]
    assert ["", "thing.kick has no inverse", ""] == [one.stays(clients, Which()) for one in (look, kick, bend)]
    assert ["", "y is not x"] == [turn.stays(clients, Which(name=name)) for name in "xy"]


def test_the_built_in_actions_that_can_be_put_back() -> None:
    """Each has tests on the real service in tests/integration."""
    found = {name for name, one in Actions.installed().items() if one.inverse is not None}

    assert {"alertmanager.silence", "command.run", "docker.set_memory", "redis.config_set"} == found
