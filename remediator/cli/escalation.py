"""`remediator escalation`: which problems somebody else is told of, and taking one on."""

import json
from typing import Any
from urllib.parse import quote

import click

from remediator.cli import Suggesting
from remediator.cli.decide import who
from remediator.cli.service import URL_HELP, Service, find_run, plain
from remediator.cli.telling import clock_time, table

_url = click.option("--url", help=URL_HELP)


@click.group(cls=Suggesting)
def escalation() -> None:
    """List problems that somebody else is told of, or take one on."""


@escalation.command("list")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="How to print it.")
@_url
@click.pass_context
def list_(ctx: click.Context, output: str, url: str | None) -> None:
    """List open problems, the newest first, each with who was told of it and who is told next.

    Looked through are the newest 500 runs; a problem is open until its alert has ended, whatever became of its run.
    """
    found = Service.of(ctx, url).get("/api/v1/escalations", has="escalations")
    if output == "json":
        click.echo(json.dumps(found, indent=2))
    elif found["escalations"]:
        head = ("RUN", "SINCE", "TOLD", "NEXT", "RULE", "PROBLEM")
        click.echo("\n".join(table(head, [_row(one) for one in found["escalations"]])))
    else:
        click.echo("no open problem that somebody else is told of")


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    told = ", ".join(plain(level["level"]) for level in one["told"]) or "nobody yet"
    if one["taken_on"]:
        then = f"taken on by {plain(one['taken_on']['by'])}"
    elif one["next"]:
        then = f"{plain(one['next']['level'])} at {clock_time(one['next']['at'])}"
    else:
        then = "nobody else"
    return plain(one["run"]), clock_time(one["since"]), told, then, plain(one["rule"]), plain(one["summary"])


@escalation.command("ack")
@click.argument("run")
@click.option("--reason", default="", help="What you say to it; it is told in the thread and to whoever was called.")
@_url
@click.pass_context
def ack(ctx: click.Context, run: str, reason: str, url: str | None) -> None:
    """Take on the problem of the run RUN: nobody else is told of it. The end of the run's id is enough.

    The run goes on as it would; `remediator cancel` stops it. Whoever took it on before keeps it.
    """
    service = Service.of(ctx, url)
    run = find_run(service, run)
    answer = service.post(f"/api/v1/runs/{quote(run, safe='')}/acknowledge", {"by": who(), "reason": reason})
    by = plain(answer["by"]) if isinstance(answer, dict) and "by" in answer else who()
    click.echo(f"taken on by {by}: run {run} (see: remediator runs show {run})")
