"""The command line. Each command stands in a module of its own that is imported when it is called: starting is fast."""

import atexit
import gc
from importlib import import_module
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from remediator import __version__

_COMMANDS = {
    "serve": "Run the service.",
    "check": "Check the settings and rule files; list every mistake with its place.",
    "doctor": "Look whether everything that the settings and rules need is there.",
    "explain": "Say which rules match an alert or why not, and what would be done.",
    "limits": "Show how often, and on how much at once, something may be changed, and where each figure comes from.",
    "send": "Send an alert to a running service, as Alertmanager would.",
    "runs": "List runs, show or watch one, start one by hand, or settle what became of it.",
    "alerts": "List the alerts that the service has heard of.",
    "approvals": "List the plans that wait for people.",
    "approve": "Approve the plan that a run waits with.",
    "deny": "Say no to the plan that a run waits with.",
    "cancel": "Stop a run.",
    "rerun": "Begin another run for an alert that fires still, though its run is over.",
    "undo": "Put back what a run has changed, as far as that can be.",
    "escalation": "List problems that somebody else is told of, or take one on.",
    "pause": "Change nothing, or nothing of a pack, a rule, an action, a target.",
    "resume": "Lift a pause.",
    "stops": "List what stands in the way of changes.",
    "quarantine": "Let a target be changed again that nothing has helped.",
    "promote": "Let a rule act by itself again that has lost the right to.",
    "tokens": "Make a token of the API for somebody, list them, or revoke one.",
    "breaker": "List the systems that do not answer and are left alone, or have one asked again.",
    "audit": "Export the journal of what was decided and done, or verify that nobody has changed it.",
    "backup": "Copy the store to a file, while the service runs or not.",
    "migrate": "Bring the store's tables to this version, ahead of an upgrade.",
    "actions": "List the actions that rules may use, or show one.",
    "schema": "Print the JSON Schema of rule files or of the settings, for editors.",
    "completion": "Print the script that completes this program's commands in a shell.",
    "demo": "Play the whole story in this terminal: a service fails, is healed, and it is proven and told.",
}
_MODULES = {
    "approve": "decide",
    "deny": "decide",
    "cancel": "decide",
    **dict.fromkeys(("pause", "resume", "quarantine", "promote"), "stops"),
}


# Python's last act is to look for garbage in all that was imported, for a fifth of the time that a short command takes.
atexit.register(gc.freeze)


class Suggesting(click.Group):
    """Says which command was meant where one is misspelt."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        known = self.list_commands(ctx)
        if not ctx.resilient_parsing and args[0] not in known:
            from difflib import get_close_matches

            near = get_close_matches(args[0], known, n=1)
            ctx.fail(f"No such command {args[0]!r}." + (f" Did you mean {near[0]!r}?" if near else ""))
        return super().resolve_command(ctx, args)


class _Lazy(Suggesting):
    """Knows the commands' names and imports a command only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        module = import_module(f"remediator.cli.{_MODULES.get(cmd_name, cmd_name)}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands by their names, without importing each."""
        named = [CompletionItem(name, help=said) for name, said in _COMMANDS.items() if name.startswith(incomplete)]
        return [*named, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="remediator")
@click.option(
    "-c",
    "--settings",
    "settings_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The settings file; remediator.yaml in this folder if it is there.",
)
@click.pass_context
def main(ctx: click.Context, settings_file: Path | None) -> None:
    """Takes Alertmanager's alerts, acts within hard limits, proves that it helped, and tells the story in chat.

    Exit codes: 0 ok, 1 findings, 2 usage, 4 the service cannot be reached, 5 not allowed.
    """
    ctx.obj = settings_file
