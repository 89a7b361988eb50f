"""The world of the pipeline's tests: what is sick there, and actions that do as told and count what they did."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta

from remediator.errors import Conflicted, RemediatorError
from remediator.plugins import (
    Action,
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

_TIMEOUT = timedelta(seconds=30)


@dataclass
class World:
    """What the actions see and do. A test changes it as the story needs."""

    sick: bool = True
    effects: list[str] = field(default_factory=list)
    looks: int = 0
    incarnation: str = "id-1"
    targets: int = 1
    fail_look: RemediatorError | None = None
    fail_check: RemediatorError | None = None
    before_act: Callable[[], Awaitable[object]] | None = None
    """Waited for before something is acted on."""
    on_act: Callable[[str], None] | None = None
    """Called with the name of what is acted on, after the effect; it may raise, or heal."""
    pause: asyncio.Event | None = None
    """While set and not fired, acting takes for ever."""
    setting: str = "as shipped"
    """What `test.set` sets: the way in which it was done last."""
    restores: list[str] = field(default_factory=list)
    """What `test.set` was put back to, once for each time it was really set."""
    captures: int = 0
    on_capture: Callable[[], Awaitable[None]] | None = None
    """Called after it was read what is there before `test.set`."""
    fail_capture: RemediatorError | None = None
    fail_remains: RemediatorError | None = None
    on_remains: Callable[[], Awaitable[None]] | None = None
    """Called after it was looked at how it is now."""
    on_restore: Callable[[], Awaitable[None]] | None = None
    """Called after it was put back; it may raise, or take for ever."""
    stays: str = ""
    """Why `test.set` cannot be put back."""

    def heal(self, _name: str) -> None:
        self.sick = False


class What(Params):
    name: str
    way: str = "gently"


class Some(What):
    only: tuple[str, ...] = ()
    """Names of the things, where not all are meant."""


class SettingBefore(Before):
    value: str


class Seen(Result):
    sick: bool
    looks: int


class Done(Result):
    what: str


def _inverse(world: World) -> Inverse[What, SettingBefore]:
    """Of `test.set`."""

    async def capture(ctx: ActionContext, params: What) -> SettingBefore:
        world.captures += 1
        if world.fail_capture is not None:
            raise world.fail_capture
        before = SettingBefore(value=world.setting)
        if world.on_capture is not None:
            await world.on_capture()
        return before

    async def remains(ctx: ActionContext, params: What, before: SettingBefore) -> Remains:
        found = compared(params, before)
        if world.on_remains is not None:
            await world.on_remains()
        return found

    def compared(params: What, before: SettingBefore) -> Remains:
        if world.fail_remains is not None:
            raise world.fail_remains
        now = Now.AS_SET if world.setting == params.way else Now.CHANGED
        return Remains(Now.AS_BEFORE if world.setting == before.value else now, f"it is set {world.setting}")

    async def restore(ctx: ActionContext, params: What, before: SettingBefore) -> Restored:
        found = compared(params, before)
        if found.now is Now.CHANGED:
            raise Conflicted(found.found)
        is_set, world.setting = found.now is Now.AS_SET, before.value
        if is_set:
            world.restores.append(before.value)
        if world.on_restore is not None:
            await world.on_restore()
        return Restored(said=f"it is set {before.value} again", changed=is_set)

    return Inverse(capture, remains, restore, stays=lambda _clients, _params: world.stays)


def actions_of(world: World) -> Actions:
    """`test.look`, `test.check`, `test.act`, and the idempotent `test.set`, on this world.

    `test.sweep` is the one that can act on a part of its targets, and `test.destroy` destroys.
    """

    async def targets(ctx: ActionContext, params: What) -> tuple[Target, ...]:
        return _targets(world, params)

    async def act_on(params: What) -> Done:
        return await _act_on(world, params.name)

    @action("test.look", effect=Effect.READ)
    async def look(ctx: ActionContext, params: What) -> Seen:
        """Looks at a thing."""
        world.looks += 1
        if world.fail_look is not None:
            raise world.fail_look
        return Seen(sick=world.sick, looks=world.looks)

    @action("test.check", effect=Effect.READ)
    async def check(ctx: ActionContext, params: What) -> Seen:
        """Looks at a thing, to prove something."""
        if world.fail_check is not None:
            raise world.fail_check
        return Seen(sick=world.sick, looks=world.looks)

    @action("test.act", effect=Effect.CHANGE, targets=targets, timeout=_TIMEOUT)
    async def act(ctx: ActionContext, params: What) -> Done:
        """Acts on a thing."""
        return await act_on(params)

    @action(
        "test.set", effect=Effect.CHANGE, targets=targets, idempotent=True, timeout=_TIMEOUT, inverse=_inverse(world)
    )
    async def set_(ctx: ActionContext, params: What) -> Done:
        """Sets a thing."""
        done = await act_on(params)
        world.setting = params.way
        return done

    @action("test.destroy", effect=Effect.DESTROY, targets=targets, timeout=_TIMEOUT)
    async def destroy(ctx: ActionContext, params: What) -> Done:
        """Destroys a thing."""
        return await act_on(params)

    return Actions({a.name: a for a in (look, check, act, set_, destroy, _sweep(world))})


def _targets(world: World, params: What) -> tuple[Target, ...]:
    return tuple(
        Target("test", (params.name if n == 0 else f"{params.name}-{n}",), world.incarnation)
        for n in range(world.targets)
    )


async def _act_on(world: World, name: str) -> Done:
    if world.before_act is not None:
        await world.before_act()
    world.effects.append(name)
    if world.pause is not None:
        await world.pause.wait()
    if world.on_act is not None:
        world.on_act(name)
    return Done(what=name)


def _sweep(world: World) -> Action:
    async def targets(ctx: ActionContext, params: Some) -> tuple[Target, ...]:
        return tuple(one for one in _targets(world, params) if not params.only or one.parts[0] in params.only)

    def narrowed(params: Some, to: tuple[Target, ...]) -> Some:
        return params.model_copy(update={"only": tuple(target.parts[0] for target in to)})

    @action("test.sweep", effect=Effect.CHANGE, targets=targets, timeout=_TIMEOUT, for_targets=narrowed)
    async def sweep(ctx: ActionContext, params: Some) -> Done:
        """Acts on things, one after another."""
        names = params.only or tuple(target.parts[0] for target in ctx.targets)
        for name in names:
            await _act_on(world, name)
        return Done(what=", ".join(names))

    return sweep
