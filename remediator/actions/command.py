"""Running a command that the settings name. Found by `remediator.plugins` through its entry point.

What a command does to the world, and how long it may take, stands in the settings and not here.
"""

from datetime import timedelta

from pydantic import Field

from remediator.clients import Clients
from remediator.errors import Failed
from remediator.kit.redaction import Redactor, shorten_start
from remediator.plugins import ActionContext, Effect, Nature, Params, Result, System, Target, action

_ENDING = timedelta(seconds=10)  # for ending a command that has used up its time
_REDACTOR = Redactor()
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


@action(
    "command.run",
    effect=Effect.DESTROY,
    system=_program,
    targets=target_of,
    nature=nature_of,
    may_only_read=True,
    say=_say,
)
async def run(ctx: ActionContext, params: CommandParams) -> CommandResult:
    """Run a command that the settings name."""
    commands = ctx.clients.commands
    command = commands.settings_of(params.command)
    if (
        command.effect is not Effect.READ
        and commands.target_name(params.command, params.parameters) != ctx.target.parts[0]
    ):
        raise Failed(f"{ctx.step}: {ctx.target} is not what command {params.command} would act on")
    answer = await commands.run(params.command, params.parameters)
    if answer.exit_code != 0 and command.effect is not Effect.READ:
        said = shorten_start(_REDACTOR.text(answer.stderr.strip() or answer.stdout.strip()), _SAID)
        raise Failed(f"command {params.command} ended with exit code {answer.exit_code}: {said or 'it wrote nothing'}")
    return CommandResult(
        exit_code=answer.exit_code, stdout=answer.stdout, stderr=answer.stderr, truncated=answer.truncated
    )
