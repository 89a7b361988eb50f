"""Setting one parameter of a running Redis server. Offered through `remediator.actions.redis`.

Only what the settings of the server allow is set, and no limit lower than what is in use: that would have it delete
keys, or turn clients away. What is set lasts until the server restarts; its file is not written.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from pydantic import StrictInt, StrictStr, ValidationInfo, field_validator

from remediator.errors import Conflicted, Failed, NotAllowed, TargetGone
from remediator.model.size import parse_size, say_size
from remediator.plugins import (
    ActionContext,
    Before,
    Effect,
    Forbidden,
    Inverse,
    Known,
    Now,
    Params,
    Permission,
    Remains,
    Restored,
    Result,
    System,
    Target,
    action,
)
from remediator.settings import RedisParameter, Settings

if TYPE_CHECKING:
    from remediator.clients.redis import Configured

_USED = {"maxmemory": ("used_memory", "bytes of memory"), "maxclients": ("connected_clients", "connections")}
"""What a limit is of, as INFO tells it, and in words."""


def _size(value: int | str) -> str:
    size = value if isinstance(value, int) else parse_size(value)
    if size < 0:
        raise ValueError("a size is 0 or more; write it like 512m or 8g, and 0 for no limit")
    return str(size)


def _number(least: int, most: int = 2**31 - 1) -> Callable[[int | str], str]:
    def check(value: int | str) -> str:
        try:
            number = int(value)
        except ValueError:
            number = least - 1
        if not least <= number <= most:
            raise ValueError(f"this parameter takes a whole number from {least} to {most}")
        return str(number)

    return check


def _one_of(*words: str) -> Callable[[int | str], str]:
    def check(value: int | str) -> str:
        if value not in words:
            raise ValueError(f"this parameter takes one of: {', '.join(words)}")
        return str(value)

    return check


_SWITCH = _one_of("yes", "no")
_VALUES: Mapping[str, Callable[[int | str], str]] = {
    "activedefrag": _SWITCH,
    "hz": _number(1, 500),
    "lazyfree-lazy-eviction": _SWITCH,
    "lazyfree-lazy-expire": _SWITCH,
    "maxclients": _number(1),
    "maxmemory": _size,
    "maxmemory-policy": _one_of(
        "noeviction",
        "allkeys-lru",
        "allkeys-lfu",
        "allkeys-random",
        "volatile-lru",
        "volatile-lfu",
        "volatile-random",
        "volatile-ttl",
    ),
    "maxmemory-samples": _number(1, 64),
    "slowlog-log-slower-than": _number(-1),
    "slowlog-max-len": _number(0),
    "tcp-keepalive": _number(0),
    "timeout": _number(0),
}
"""What each parameter takes, and how Redis tells it."""


class ConfigParams(Params):
    """Which parameter of which server, and what it is to be."""

    server: str = "default"
    """Its name in the settings, under `redis`."""
    parameter: RedisParameter
    """The parameter; `redis.<name>.config` in the settings has to name it."""
    value: StrictInt | StrictStr
    """What to set it to: a size such as `2g` for `maxmemory` (0 is no limit), a number, or one of its words."""

    @field_validator("value")
    @classmethod
    def _as_redis_tells_it(cls, value: int | str, info: ValidationInfo) -> int | str:
        check = _VALUES.get(info.data.get("parameter", ""))
        return value if check is None else check(value)


class ConfigSet(Result):
    """What became of the parameter."""

    server: str
    """The server's name in the settings."""
    parameter: str
    """The parameter."""
    previous: str
    """What it was before, as Redis tells it."""
    value: str
    """What it is now."""
    changed: bool
    """Whether it is another value than before."""

    def brief(self) -> str:
        what, now = _say_parameter(self.parameter, self.server), _say_value(self.parameter, self.value)
        if not self.changed:
            return f"{what} was {now} already"
        return f"{what} is {now} now, before it was {_say_value(self.parameter, self.previous)}"


class ConfigBefore(Before):
    """What the parameter was before."""

    value: str
    """As Redis tells it."""


def _say_parameter(parameter: str, server: str) -> str:
    return f"{parameter} of Redis server {server}"


def _say_value(parameter: str, value: str) -> str:
    if parameter != "maxmemory" or not value.isdecimal():
        return value or "empty"
    return say_size(int(value)) if int(value) else "no limit"


def _say(params: ConfigParams) -> str:
    wanted = _say_value(params.parameter, str(params.value))
    return f"set {_say_parameter(params.parameter, params.server)} to {wanted}"


def _system(params: ConfigParams) -> System:
    return System("redis", (params.server,))


async def parameter_of(ctx: ActionContext, params: ConfigParams) -> tuple[Target, ...]:
    """The parameter, of the server's process as it runs now: after a restart it is what the server's file says."""
    _refuse_unnamed(ctx, params)
    found = await ctx.clients.redis(params.server).configured(params.parameter)
    return (Target("redis", (params.server, params.parameter), incarnation=found.process),)


def _refuse_unnamed(ctx: ActionContext, params: ConfigParams) -> None:
    """Raises NotAllowed where the settings do not name the parameter."""
    server = ctx.clients.redis(params.server)
    if params.parameter not in ctx.clients.settings.redis[server.name].config:
        raise NotAllowed(
            f"{params.parameter} must not be set at Redis server {server.name}; "
            f"if it may be, add it to redis.{server.name}.config"
        )


def _forbids(settings: Settings, known: Known) -> Forbidden | None:
    """Where the settings do not name the parameter, as `_refuse_unnamed` finds later."""
    server, parameter = known.get("server"), known.get("parameter")
    if server not in settings.redis or parameter is None or parameter in settings.redis[server].config:
        return None
    return Forbidden(
        f"may not set {parameter} at Redis server {server}",
        f"if it may, add {parameter} to redis.{server}.config, else leave the step out",
    )


def _known_target(settings: Settings, known: Known) -> Target | None:
    del settings
    server, parameter = known.get("server"), known.get("parameter")
    return Target("redis", (server, parameter)) if server and parameter else None


async def _same_as_planned(ctx: ActionContext, params: ConfigParams) -> "Configured":
    """What the parameter is right before acting. Raises TargetGone where the server was restarted since the plan."""
    _refuse_unnamed(ctx, params)
    if (ctx.target.system, ctx.target.parts) != ("redis", (params.server, params.parameter)):
        raise Failed(f"{ctx.step}: {ctx.target} is not {_say_parameter(params.parameter, params.server)}")
    found = await ctx.clients.redis(params.server).configured(params.parameter)
    if ctx.target.incarnation != found.process:
        what = _say_parameter(params.parameter, params.server)
        now = _say_value(params.parameter, found.value)
        raise TargetGone(f"{what}: the server was restarted since the plan was made; it is {now} now")
    return found


def _refuse_harm(params: ConfigParams, found: "Configured", value: str) -> None:
    """Raises Failed where more is used than a limit would leave, or where that is not known."""
    if params.parameter not in _USED or value == "0":
        return
    name, words = _USED[params.parameter]
    used = found.info.get(name)
    what = _say_parameter(params.parameter, params.server)
    if not isinstance(used, int):
        raise Failed(f"{what} was not set: how much is used is not known; let its user run INFO")
    if used >= int(value):
        raise Failed(
            f"{what} was not set to {_say_value(params.parameter, value)}: {used} {words} are in use, "
            "and the server would delete keys or turn clients away; give it more"
        )


async def _capture(ctx: ActionContext, params: ConfigParams) -> ConfigBefore:
    """What the parameter is now."""
    return ConfigBefore(value=(await _same_as_planned(ctx, params)).value)


async def _remains(ctx: ActionContext, params: ConfigParams, before: ConfigBefore) -> Remains:
    """Whether the parameter still has the value that it was given."""
    try:
        found = await _same_as_planned(ctx, params)
    except TargetGone as error:
        return Remains(Now.GONE, str(error))
    return _compared(found, params, before)


def _compared(found: "Configured", params: ConfigParams, before: ConfigBefore) -> Remains:
    is_now = Now.AS_SET if found.value == str(params.value) else Now.CHANGED
    if found.value == before.value:
        is_now = Now.AS_BEFORE
    said = _say_value(params.parameter, found.value)
    return Remains(is_now, f"{_say_parameter(params.parameter, params.server)} is {said}")


async def _restore(ctx: ActionContext, params: ConfigParams, before: ConfigBefore) -> Restored:
    """Give the parameter the value that it had, unless more than that is used by now."""
    found = await _same_as_planned(ctx, params)
    remains = _compared(found, params, before)
    was = _say_value(params.parameter, before.value)
    if remains.now is Now.CHANGED:
        wanted = f"it was set to {_say_value(params.parameter, str(params.value))}, before that it was {was}"
        raise Conflicted(f"{remains.found}: somebody has changed that since ({wanted}); nothing was done")
    if remains.now is Now.AS_SET:
        _refuse_harm(params, found, before.value)
        await ctx.clients.redis(params.server).configure(params.parameter, before.value)
    again = f"{_say_parameter(params.parameter, params.server)} is {was} again"
    return Restored(said=again, changed=remains.now is Now.AS_SET)


@action(
    "redis.config_set",
    effect=Effect.CHANGE,
    system=_system,
    targets=parameter_of,
    idempotent=True,
    say=_say,
    inverse=Inverse(_capture, _remains, _restore),
    forbids=_forbids,
    known_target=_known_target,
    permissions=(
        Permission("config|get"),
        Permission("config|set"),
        Permission("info", without="limits cannot be set, and a restart meanwhile is not noticed"),
    ),
)
async def config_set(ctx: ActionContext, params: ConfigParams) -> ConfigSet:
    """Set a parameter of a running Redis server, until it restarts."""
    found, value = await _same_as_planned(ctx, params), str(params.value)
    if found.value != value:
        _refuse_harm(params, found, value)
        await ctx.clients.redis(params.server).configure(params.parameter, value)
    return ConfigSet(
        server=params.server,
        parameter=params.parameter,
        previous=found.value,
        value=value,
        changed=found.value != value,
    )
