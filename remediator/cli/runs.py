"""`remediator runs`: what was done, and where things stand."""

import json
from typing import Any

import click

from remediator.cli.service import URL_HELP, Service, plain

_output = click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="How to print it.")
_url = click.option("--url", help=URL_HELP)


_UNDER_WAY = {"needs_a_person": "needs a person", "acted": "being checked"}


@click.group
def runs() -> None:
    """List runs, or show one."""


@runs.command("list")
@click.option("-n", "--limit", type=click.IntRange(1, 500), default=20, help="How many at the most, the newest first.")
@click.option("--outcome", help="Only those that ended so, such as healed.")
@click.option("--active", is_flag=True, help="Only those that have not ended.")
@_output
@_url
@click.pass_context
def list_(
    ctx: click.Context,
    limit: int,
    outcome: str | None,
    active: bool,  # noqa: FBT001 - click gives it so
    output: str,
    url: str | None,
) -> None:
    """List the newest runs."""
    from urllib.parse import urlencode

    asked = {
        "limit": limit,
        **({"outcome": outcome} if outcome else {}),
        **({"active": "true"} if active else {}),
    }
    found = Service.of(ctx, url).get(f"/api/v1/runs?{urlencode(asked)}", has="runs")
    if output == "json":
        click.echo(json.dumps(found, indent=2))
        return
    for run in found["runs"]:
        state = run["outcome"] or _UNDER_WAY.get(run["stage"], "under way")
        click.echo(
            f"{run['id']}  {run['created_at'][:19]}Z  {state:<20} {plain(run['rule'])}  {plain(run['alertname'])}"
        )
    if not found["runs"]:
        click.echo("no runs yet")


@runs.command("show")
@click.argument("run")
@_output
@_url
@click.pass_context
def show(ctx: click.Context, run: str, output: str, url: str | None) -> None:
    """Show the run RUN with everything that happened in it."""
    from urllib.parse import quote

    found = Service.of(ctx, url).get(f"/api/v1/runs/{quote(run, safe='')}", has="timeline")
    click.echo(json.dumps(found, indent=2) if output == "json" else "\n".join(_story(found)))


def _story(run: dict[str, Any]) -> list[str]:
    lines = [
        f"Run      {run['id']}",
        f"Rule     {plain(run['rule'])}",
        f"Alert    {plain(json.dumps(run['alert']['labels'], ensure_ascii=False))}",
        f"Stage    {run['stage']}" + (f" ({run['outcome']})" if run["outcome"] else ""),
        "",
    ]
    lines += [f"{fact['at'][:19]}Z  {fact['kind']:<10} {plain(fact['text'])}" for fact in run["timeline"]]
    lines += [f"{word['at'][:19]}Z  {word['kind']:<10} {plain(word.get('text', ''))}" for word in run["signals"]]
    waiting = run["waiting"]
    if waiting:
        lines += ["", f"Waits for a person with plan {waiting['digest'][:12]}, until {waiting['until']}:"]
        lines += [f"  {number}. {plain(step['sentence'])}" for number, step in enumerate(waiting["steps"], 1)]
        lines += [f"Decide with: remediator approve {run['id']}, or: remediator deny {run['id']} --reason …"]
    return lines
