"""Running a command that the settings name. Found by `remediator.plugins` through its entry point.

What a command does to the world, how long it may take, and how that is put back, stands in the settings and not here.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from pydantic import Field

from remediator.clients import Clients
from remediator.errors import Conflicted, Failed
from remediator.kit.redaction import Redactor, shorten, shorten_start
from remediator.plugins import (
    ActionContext,
    Before,
    Effect,
    Forbidden,
    Inverse,
    Known,
    Nature,
    Now,
    Params,
    Remains,
    Restored,
    Result,
    System,
    Target,
    action,
)
from remediator.settings import PutBackSettings, Settings

if TYPE_CHECKING:
    from remediator.clients.command import CommandAnswer

_ENDING = timedelta(seconds=10)  # for ending a command that has used up its time
_REDACTOR = Redactor()
_SHOWN = 80
_SAID = 350  # characters of what a failed command wrote: the end of it, which must fit into one line for people


class CommandParams(Params):
    """Which command, with what."""

    command: str
    """Its name in the settings, under `commands`."""
    parameters: dict[str, str] = Field(default_factory=dict)
    """Values for its parameters; each must match the pattern in the settings."""


class CommandResult(Result):
    """How the command ended."""

    exit_code: int
    """0 is success; a negative one is the signal that ended it."""
    stdout: str
    """What it wrote, at most the first 64 KiB."""
    stderr: str
    """What it complained about, at most the first 64 KiB."""
    truncated: bool
    """Whether it wrote more than that."""

    def brief(self) -> str:
        return f"exit code {self.exit_code}" + (", output cut" if self.truncated else "")

    def detail(self) -> str:
        return "\n".join(part.rstrip("\n") for part in (self.stdout, self.stderr) if part)


class CommandBefore(Before):
    """What the command's value was before."""

    value: str
    """As the command that shows it prints it."""


async def target_of(ctx: ActionContext, params: CommandParams) -> tuple[Target, ...]:
    """What the settings say that the command acts on; nothing for one that only reads."""
    commands = ctx.clients.commands
    if commands.settings_of(params.command).effect is Effect.READ:
        return ()
    return (Target("command", (commands.target_name(params.command, params.parameters),)),)


def nature_of(clients: Clients, params: CommandParams) -> Nature:
    """What the settings say that the command does."""
    command = clients.commands.settings_of(params.command)
    is_repeatable = command.idempotent or command.effect is Effect.READ
    return Nature(command.effect, idempotent=is_repeatable, timeout=command.timeout + _ENDING)


def _say(params: CommandParams) -> str:
    given = " ".join(f"{name}={value}" for name, value in sorted(params.parameters.items()))
    return f"run command {params.command} {given}".strip()


def _program(params: CommandParams) -> System:
    return System("command", (params.command,), is_here=True)


def _stays(clients: Clients, params: CommandParams) -> str:
    command = clients.commands.settings_of(params.command)
    if command.effect is Effect.READ or command.put_back is not None:
        return ""
    return f"the settings do not say how (commands.{params.command}.put_back)"


def _forbids(settings: Settings, known: Known) -> Forbidden | None:
    """Where a command does not take what is given to it: what is unknown or missing, or does not match its pattern."""
    name, given = known.get("command"), known.get("parameters")
    command = settings.commands.get(name) if isinstance(name, str) else None
    if command is None or not isinstance(given, Mapping):
        return None
    see = f"see commands.{name}.parameters"
    declared = command.parameters.keys()
    for wrong, said in ((given.keys() - declared, "takes no"), (declared - given.keys(), "needs the")):
        if wrong:
            what = "parameter" if len(wrong) == 1 else "parameters"
            return Forbidden(f"{name}: the command {said} {what} {', '.join(sorted(wrong))}", see)
    for key, value in sorted(given.items()):
        pattern = command.parameters[key].pattern
        if isinstance(value, str) and re.fullmatch(pattern, value) is None:
            return Forbidden(f"{name}: {shorten(value, 80)!r} does not match the pattern of {key}", see)
    return None


def _known_target(settings: Settings, known: Known) -> Target | None:
    name, given = known.get("command"), known.get("parameters")
    command = settings.commands.get(name) if isinstance(name, str) else None
    if command is None or command.effect is Effect.READ or not isinstance(given, Mapping):
        return None
    if any(f"{{{key}}}" in command.target and not isinstance(value, str) for key, value in given.items()):
        return None
    return Target("command", (re.sub(r"\{(\w+)\}", lambda found: str(given.get(found[1], found[0])), command.target),))


def _is_same(clients: Clients, one: CommandParams, other: CommandParams) -> bool:
    """Whether two calls of commands set the same value: what shows the one shows the other."""
    ways = [clients.commands.settings_of(params.command).put_back for params in (one, other)]
    if ways[0] is None or ways[1] is None:
        return False
    takes = clients.commands.parameters_of(ways[0].shown_by)
    shown = [{name: params.parameters.get(name) for name in takes} for params in (one, other)]
    return ways[0].shown_by == ways[1].shown_by and shown[0] == shown[1]


def _way_back(ctx: ActionContext, params: CommandParams) -> PutBackSettings:
    way = ctx.clients.commands.settings_of(params.command).put_back
    if way is None:
        raise Failed(f"command {params.command} cannot be put back: {_stays(ctx.clients, params)}")
    return way


async def _value(ctx: ActionContext, params: CommandParams) -> str:
    """The value as it is now. Raises Failed where the command that shows it fails, or says more or less than one."""
    commands, way = ctx.clients.commands, _way_back(ctx, params)
    takes = commands.parameters_of(way.shown_by)
    given = {name: value for name, value in params.parameters.items() if name in takes}
    answer = await commands.run(way.shown_by, given, timeout=ctx.deadline - ctx.clock.now())
    value = answer.stdout.strip()
    if answer.exit_code != 0 or not value or len(value.splitlines()) > 1:
        said = shorten_start(_REDACTOR.text(answer.stderr.strip() or answer.stdout.strip()), _SAID)
        ended = f"ended with exit code {answer.exit_code}: {said or 'it wrote nothing'}"
        raise Failed(f"command {way.shown_by} was to print the value of {way.parameter}, and {ended}")
    return value


def _with(ctx: ActionContext, params: CommandParams, value: str) -> dict[str, str]:
    """The parameters with another value. Raises NotAllowed where its pattern does not let it pass."""
    given = {**params.parameters, _way_back(ctx, params).parameter: value}
    ctx.clients.commands.target_name(params.command, given)
    return given


async def _capture(ctx: ActionContext, params: CommandParams) -> CommandBefore:
    """The value as it is now, if the command would take it."""
    value = await _value(ctx, params)
    _with(ctx, params, value)
    return CommandBefore(value=value)


async def _remains(ctx: ActionContext, params: CommandParams, before: CommandBefore) -> Remains:
    """Whether the value is still what the command has set."""
    way, value = _way_back(ctx, params), await _value(ctx, params)
    is_now = Now.AS_SET if _same(value, params.parameters.get(way.parameter, "")) else Now.CHANGED
    if _same(value, before.value):
        is_now = Now.AS_BEFORE
    return Remains(is_now, f"{way.parameter} is {shorten(_REDACTOR.text(value), _SHOWN)}")


def _same(one: str, other: str) -> bool:
    """Whether two values are the same: programs print numbers in a way of their own."""
    try:
        return float(one) == float(other)
    except ValueError:
        return one == other


async def _restore(ctx: ActionContext, params: CommandParams, before: CommandBefore) -> Restored:
    """Run the command with the value that was there before."""
    remains, way = await _remains(ctx, params, before), _way_back(ctx, params)
    if remains.now is Now.CHANGED:
        wanted = f"it was set to {params.parameters[way.parameter]}, before that it was {before.value}"
        raise Conflicted(f"{remains.found}: somebody has changed that since ({wanted}); nothing was done")
    if remains.now is Now.AS_SET:
        await _carry_out(ctx, params, _with(ctx, params, before.value))
    return Restored(said=f"{way.parameter} is {before.value} again", changed=remains.now is Now.AS_SET)


async def _carry_out(ctx: ActionContext, params: CommandParams, given: Mapping[str, str]) -> "CommandAnswer":
    """Run the command on what the plan was made for. Raises Failed, for a change also where it fails."""
    commands = ctx.clients.commands
    command = commands.settings_of(params.command)
    if (
        command.effect is not Effect.READ
        and commands.target_name(params.command, params.parameters) != ctx.target.parts[0]
    ):
        raise Failed(f"{ctx.step}: {ctx.target} is not what command {params.command} would act on")
    answer = await commands.run(params.command, given)
    if answer.exit_code != 0 and command.effect is not Effect.READ:
        said = shorten_start(_REDACTOR.text(answer.stderr.strip() or answer.stdout.strip()), _SAID)
        raise Failed(f"command {params.command} ended with exit code {answer.exit_code}: {said or 'it wrote nothing'}")
    return answer


@action(
    "command.run",
    effect=Effect.DESTROY,
    system=_program,
    targets=target_of,
    nature=nature_of,
    may_only_read=True,
    say=_say,
    inverse=Inverse(_capture, _remains, _restore, stays=_stays, same=_is_same),
    forbids=_forbids,
    known_target=_known_target,
)
async def run(ctx: ActionContext, params: CommandParams) -> CommandResult:
    """Run a command that the settings name."""
    answer = await _carry_out(ctx, params, params.parameters)
    return CommandResult(
        exit_code=answer.exit_code, stdout=answer.stdout, stderr=answer.stderr, truncated=answer.truncated
    )
