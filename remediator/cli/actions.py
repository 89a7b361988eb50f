"""`remediator actions`: what rules may use."""

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from remediator.cli import options
from remediator.cli.fields import flat, say_bounded, say_default, say_inverse, say_kind, with_items
from remediator.cli.loading import installed_actions
from remediator.cli.service import USAGE, fail, plain
from remediator.documents import fields_of

if TYPE_CHECKING:
    from remediator.plugins import Action, Actions


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    del ctx, param
    known = installed_actions().values()
    return [CompletionItem(a.name, help=flat(a.sentence)) for a in known if a.name.startswith(incomplete)]


@click.command
@click.argument("name", required=False, shell_complete=_complete)
@options.output
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
        click.echo(f"{action.name:<20} {action.effect:<8} {flat(action.sentence)}")


def _refuse(name: str, installed: "Actions") -> "Action":
    near = _meant(name, list(installed))
    meant = f"did you mean {' or '.join(near)}? " if near else ""
    fail(f"there is no action {plain(name)}; {meant}See all: remediator actions", USAGE)


def _meant(name: str, known: Sequence[str]) -> list[str]:
    """The actions that are likely meant: by what stands after the dot, by the whole name, or by what is like it."""
    from difflib import get_close_matches

    word = name.rpartition(".")[2]
    tails = {one: one.rpartition(".")[2] for one in known}
    if "." not in name and (named := [one for one in known if word in (tails[one], one.partition(".")[0])]):
        return named
    if near := get_close_matches(name, known, n=1):
        return near
    alike = get_close_matches(word, set(tails.values()), n=1)
    return [one for one in known if tails[one] in alike]


def _as_json(action: "Action") -> dict[str, Any]:
    return {
        "name": action.name,
        "effect": action.effect,
        "idempotent": action.idempotent,
        "can_be_put_back": action.inverse is not None,
        "sentence": action.sentence,
        "params": action.params.model_json_schema(),
        "result": action.result.model_json_schema(),
    }


def _page(action: "Action") -> Iterator[str]:
    yield f"{action.name} ({'at most ' if action.nature else ''}{action.effect}): {flat(action.sentence)}"
    if action.resolve is not None:
        yield f"Can be put back: {say_inverse(action)}"
    yield "\nParameters:"
    for name, field in fields_of(action.params).items():
        default = "needed" if field.is_required() else f"default: {say_default(field)}"
        yield f"  {name} ({say_bounded(field)}; {default}): {flat(field.description)}"
    yield "\nResult:"
    for name, field in with_items(action.result):
        yield f"  {name} ({say_kind(field.annotation)}): {flat(field.description)}"
