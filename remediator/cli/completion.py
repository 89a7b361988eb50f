"""`remediator completion`: the script by which a shell completes commands, options and names of actions."""

import click

_PROGRAM = "remediator"
_VARIABLE = "_REMEDIATOR_COMPLETE"
_INSTALL = {
    "bash": (
        "source <(remediator completion bash)",
        "remediator completion bash > ~/.local/share/bash-completion/completions/remediator",
    ),
    "zsh": (
        "source <(remediator completion zsh)",
        'remediator completion zsh > "${fpath[1]}/_remediator"',
    ),
    "fish": (
        "remediator completion fish | source",
        "remediator completion fish > ~/.config/fish/completions/remediator.fish",
    ),
}


@click.command
@click.argument("shell", type=click.Choice(list(_INSTALL)))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script for SHELL; its last two lines say how to install it."""
    from click.shell_completion import get_completion_class

    script = get_completion_class(shell)
    if script is None:
        raise click.UsageError(f"this version of click knows no completion for {shell}; use another shell", ctx)
    made = script(ctx.find_root().command, {}, _PROGRAM, _VARIABLE)
    now, always = _INSTALL[shell]
    # Not by `source()`, which asks an installed bash for its version first: the script may be for elsewhere.
    click.echo((script.source_template % made.source_vars()).rstrip())
    click.echo(f"# In this shell only: {now}")
    click.echo(f"# In every new shell: {always}")
