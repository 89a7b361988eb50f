"""`remediator actions`: what rules may use."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from remediator.cli.loading import installed_actions
from remediator.cli.service import USAGE, fail, plain

if TYPE_CHECKING:
    from remediator.plugins import Action, Actions


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    del ctx, param
    known = installed_actions().values()
    return [CompletionItem(a.name, help=_flat(a.sentence)) for a in known if a.name.startswith(incomplete)]


@click.command
@click.argument("name", required=False, shell_complete=_complete)
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="How to print it.")
def actions(name: str | None, output: str) -> None:
    """List the actions that rules may use, or show the action NAME with its parameters and result."""
    installed = installed_actions()
    if name is not None:
        action = installed[name] if name in installed else _refuse(name, installed)
        click.echo(json.dumps(_as_json(action), indent=2) if output == "json" else "\n".join(_page(action)))
        return
    if output == "json":
        click.echo(json.dumps([_as_json(action) for action in installed.values()], indent=2))
        return
    for action in installed.values():
        click.echo(f"{action.name:<20} {action.effect:<8} {_flat(action.sentence)}")


def _refuse(name: str, installed: "Actions") -> "Action":
    from difflib import get_close_matches

    near = get_close_matches(name, installed, n=1)
    meant = f"did you mean {near[0]}? " if near else ""
    fail(f"there is no action {plain(name)}; {meant}See all: remediator actions", USAGE)


def _as_json(action: "Action") -> dict[str, Any]:
    return {
        "name": action.name,
        "effect": action.effect,
        "idempotent": action.idempotent,
        "sentence": action.sentence,
        "params": action.params.model_json_schema(),
        "result": action.result.model_json_schema(),
    }


def _page(action: "Action") -> Iterator[str]:
    yield f"{action.name} ({'at most ' if action.nature else ''}{action.effect}): {_flat(action.sentence)}"
    yield "\nParameters:"
    for name, field in action.params.model_fields.items():
        needed = " (needed)" if field.is_required() else ""
        yield f"  {name}{needed}: {_flat(field.description)}"
    yield "\nResult:"
    for name, field in action.result.model_fields.items():
        yield f"  {name}: {_flat(field.description)}"


def _flat(text: str | None) -> str:
    return " ".join((text or "").split())
