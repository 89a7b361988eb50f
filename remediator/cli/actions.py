"""`remediator actions`: what rules may use."""

import json

import click


@click.command
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="How to print it.")
def actions(output: str) -> None:
    """List the actions that rules may use."""
    from remediator.plugins import Actions

    installed = Actions.installed()
    if output == "json":
        known = [
            {
                "name": action.name,
                "effect": action.effect,
                "idempotent": action.idempotent,
                "sentence": action.sentence,
                "params": action.params.model_json_schema(),
                "result": action.result.model_json_schema(),
            }
            for action in installed.values()
        ]
        click.echo(json.dumps(known, indent=2))
        return
    for action in installed.values():
        click.echo(f"{action.name:<20} {action.effect:<8} {action.sentence}")
