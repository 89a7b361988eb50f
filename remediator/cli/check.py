"""`remediator check`: every mistake of settings and rule files, each with its place."""

import json
from pathlib import Path

import click

from remediator.cli.service import say_missing_rules, settings_of


@click.command
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="How to print it.")
@click.pass_context
def check(ctx: click.Context, paths: tuple[Path, ...], output: str) -> None:
    """Check the settings, and the rule files PATHS (those of the settings, if none are named)."""
    settings = settings_of(ctx)
    from remediator.documents import Mistake
    from remediator.plugins import Actions
    from remediator.rules.loading import check_files

    mistakes, book = check_files(paths or settings.rules, Actions.installed())
    refusal = settings.open_door()
    if refusal is not None:
        mistakes = [Mistake("settings", 0, 0, refusal), *mistakes]
    if output == "json":
        found = [{"file": m.file, "line": m.line, "column": m.column, "what": m.what} for m in mistakes]
        click.echo(json.dumps({"mistakes": found, "rules": len(book) if book else 0}, indent=2))
    elif mistakes:
        click.echo("\n".join(map(str, mistakes)))
        click.echo(f"{len(mistakes)} mistake{'s' if len(mistakes) != 1 else ''}", err=True)
        if not paths and (hint := say_missing_rules(settings)):
            click.echo(hint, err=True)
    else:
        click.echo(f"ok: {len(book) if book else 0} rules")
    raise SystemExit(1 if mistakes else 0)
