"""`remediator escalation`: which problems somebody else is told of, and taking one on."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import click

from remediator.cli import Suggesting, options
from remediator.cli.decide import who
from remediator.cli.service import FINDINGS, Service, find_run, plain
from remediator.cli.telling import clock_time, table
from remediator.kit.wording import counted


@click.group(cls=Suggesting)
def escalation() -> None:
    """List problems that somebody else is told of, or take one on."""


@escalation.command("list")
@options.output
@options.url
@click.pass_context
def list_(ctx: click.Context, output: str, url: str | None) -> None:
    """List open problems, the newest first, each with how far the telling of its levels is, and who is told next.

    A level is due at a time; sent, and waiting in the outbox; delivered; or not configured. How often a webhook or a
    channel was tried in vain, and why, is known to the process that posts.

    Looked through are the newest 500 runs; a problem is open until its alert has ended, whatever became of its run.
    """
    found = Service.of(ctx, url).get("/api/v1/escalations", has="escalations")
    if output == "json":
        click.echo(json.dumps(found, indent=2))
    elif found["escalations"]:
        head = ("RUN", "SINCE", "NEXT", "RULE", "PROBLEM")
        first, *rows = table(head, [_row(one) for one in found["escalations"]])
        click.echo(first)
        for row, one in zip(rows, found["escalations"], strict=True):
            click.echo("\n".join((row, *(f"    {line}" for level in one["levels"] for line in _level(level)))))
    else:
        click.echo("no open problem that somebody else is told of")


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    if one["taken_on"]:
        then = f"taken on by {plain(one['taken_on']['by'])}"
    elif one["next"]:
        then = f"{plain(one['next']['level'])} at {clock_time(one['next']['at'])}"
    else:
        then = "nobody else"
    return plain(one["run"]), clock_time(one["since"]), then, plain(one["rule"]), plain(one["summary"])


def _level(level: dict[str, Any]) -> Iterator[str]:
    """A line for each place of a level, or one where it has none yet."""
    name, due = plain(level["level"]), clock_time(level["due"])
    if level["state"] == "due":
        yield f"{name}: due at {due}"
    elif level["state"] == "not configured":
        yield f"{name}: not configured: the settings have no such level, so nobody is told (time: {due})"
    for place in level["places"]:
        yield f"{name}: {_place(place)}"


def _place(place: dict[str, Any]) -> str:
    where = plain(place["channel"])
    if place["delivered"]:
        return f"delivered to {where}" + (f" at {clock_time(place['delivered_at'])}" if place["delivered_at"] else "")
    since = f"sent to {where}, and not delivered yet: it waits since {clock_time(place['waiting_since'])}"
    if place["tries"] is None:
        return since
    return f"{since}, tried {counted(place['tries'], 'time')} in vain: {plain(place['error'])}"


@escalation.command("ack")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True)
@click.option("--reason", default="", help="What you say to it; it is told in the thread and to whoever was called.")
@click.option("--take-over", is_flag=True, help="Take it from whoever has it.")
@options.url
@click.pass_context
def ack(ctx: click.Context, runs: tuple[str, ...], reason: str, take_over: bool, url: str | None) -> None:  # noqa: FBT001 - click gives it so
    """Take on the problem of the run RUN, or of several: nobody else is told of it. The end of a run's id is enough.

    The run goes on as it would; `remediator cancel` stops it. Where somebody else has taken it on, that one keeps it
    unless you say --take-over: who has it is told, and the exit code is 1. So it is where a problem is over.
    """
    service = Service.of(ctx, url)
    said: dict[str, Any] = {"by": who(), "reason": reason, **({"take_over": True} if take_over else {})}
    failed = 0
    for given in runs:
        try:
            run = find_run(service, given)
            word: Any = service.post(f"/api/v1/runs/{quote(run, safe='')}/acknowledge", said)
        except SystemExit as refused:
            if refused.code != FINDINGS:
                raise
            failed = FINDINGS  # it is told; the others of the list may be taken on all the same
        else:
            by = plain(word["by"]) if isinstance(word, dict) and word.get("by") else who()
            click.echo(f"taken on by {by}: run {run} (see: remediator runs show {run})")
    if failed:
        raise SystemExit(failed)
