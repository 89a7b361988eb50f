"""`remediator breaker`: which systems do not answer and are left alone, and closing a breaker at once."""

import json
import re
from typing import Any

import click

from remediator.cli import Suggesting, options
from remediator.cli.decide import who
from remediator.cli.service import Service, plain
from remediator.cli.telling import clock_time, table

_RULE = re.compile(r"[^:/\s]+/[^:/\s]+")  # the name of no system has a slash, and no colon before it


@click.group(cls=Suggesting)
def breaker() -> None:
    """List the systems that steps talk to, or close the breaker of a system, a rule or an action."""


@breaker.command("list")
@options.output
@options.url
@click.pass_context
def list_(ctx: click.Context, output: str, url: str | None) -> None:
    """List the systems that were asked lately, with their circuit breakers; those that do not answer come first.

    The breakers of rules and of actions are listed by `remediator stops`.
    """
    found = Service.of(ctx, url).get("/api/v1/breakers", has="breakers")
    if output == "json":
        click.echo(json.dumps(found, indent=2))
    elif found["breakers"]:
        head = ("SYSTEM", "BREAKER", "SINCE", "CALLS", "WAIT", "WHY")
        click.echo("\n".join(table(head, [_row(one) for one in found["breakers"]])))
        click.echo("the breakers of rules and actions: remediator stops", err=True)
    else:
        click.echo("no system has been asked yet; one is listed from the first step on that talks to it")


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    state = one["state"] or "none"
    if one["asked_in_seconds"]:
        state += f", asked again in {one['asked_in_seconds']:g} s"
    since = clock_time(one["opened_at"]) if one["opened_at"] else ""
    return plain(one["system"]), plain(state), since, str(one["calls"]), str(one["waiting"]), plain(one["trouble"])


@breaker.command("reset")
@click.argument("system")
@options.url
@click.pass_context
def reset(ctx: click.Context, system: str, url: str | None) -> None:
    """Close the breaker of SYSTEM at once, as `breaker list` names it; the next call to it goes through.

    rule:PACK/NAME and action:NAME instead close the breaker of a rule or of an action, as `remediator stops` names it:
    what has failed before does not count any more.
    """
    if _RULE.fullmatch(system):
        system = f"rule:{system}"
    if system.startswith(("rule:", "action:")):
        Service.of(ctx, url).post("/api/v1/stops/lift", {"kind": "breaker", "scope": system, "by": who()})
        click.echo(f"closed: the breaker of {plain(system)} (see: remediator stops)")
        return
    Service.of(ctx, url).post("/api/v1/breakers/reset", {"system": system, "by": who()})
    click.echo(f"closed: the breaker of {plain(system)} (see: remediator breaker list)")
