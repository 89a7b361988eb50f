"""`remediator stops`, `pause`, `resume`, `quarantine` and `promote`: what stands in the way of changes."""

import json
from typing import Any

import click

from remediator.cli import Suggesting, options
from remediator.cli.decide import who
from remediator.cli.service import Service, plain
from remediator.cli.telling import clock_time, table

_NO_END = {"pause file": "", "freeze": "", "window": ""}


@click.command("stops")
@options.output
@options.url
@click.pass_context
def stops(ctx: click.Context, output: str, url: str | None) -> None:
    """List what stands in the way of changes: pauses, quarantine and flapping, demotions, open breakers, storms.

    The file PAUSE is listed, too, as the service that is asked sees it, and what the calendar of its settings says now.
    """
    found = Service.of(ctx, url).get("/api/v1/stops", has="stops")
    if output == "json":
        click.echo(json.dumps(found, indent=2))
    elif found["stops"]:
        head = ("KIND", "SCOPE", "SINCE", "UNTIL", "BY", "WHY")
        click.echo("\n".join(table(head, [_row(one) for one in found["stops"]])))
    else:
        click.echo(
            "nobody has stopped anything, and no freeze is in force (what holds one plan: remediator runs show RUN)"
        )


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    settled = f"; {one['settled']}" if one.get("settled") else ""
    return (
        plain(one["kind"]),
        plain(one["scope"]),
        clock_time(one["at"]) if one["at"] else "",
        plain(_until(one)),
        plain(one["by"]),
        plain(one["reason"] + settled),
    )


def _until(one: dict[str, Any]) -> str:
    """When it ends by itself, and the command that ends it before."""
    lift = f"until `{one['lift']}`" if one.get("lift") else ""
    if one.get("trial_at"):
        by_itself = f"one trial after {clock_time(one['trial_at'])}"
    else:
        by_itself = clock_time(one["until"]) if one["until"] else ""
    return ", or ".join(filter(None, (by_itself, lift))) or _NO_END.get(one["kind"], "until lifted")


@click.command("pause")
@click.argument("scope", default="everything")
@click.option("--for", "lasts", metavar="TIME", default="", help="For how long, like 2h; without it until `resume`.")
@click.option("--reason", default="", help="Why; it is told in chat and wherever a plan is held by it.")
@options.url
@click.pass_context
def pause(ctx: click.Context, scope: str, lasts: str, reason: str, url: str | None) -> None:
    """Change nothing within SCOPE: everything (if left out), pack:NAME, rule:PACK/NAME, action:NAME or target:NAME.

    Alerts are still taken in, looked into and told. A step that is acting ends; no other one begins. A target is named
    as `runs show` names it, like target:command:web. A pause that stands is not made shorter: resume it first.
    """
    body = {"scope": scope, "for": lasts, "reason": reason, "by": who()}
    service = Service.of(ctx, url)
    answer = service.post("/api/v1/stops/pause", body, instead=_say_pause_file(service))
    until = f" until {clock_time(answer['until'])}" if answer.get("until") else ""
    click.echo(f"paused{until}: {plain(scope)} (to go on: remediator resume {plain(scope)})")
    _tell_note(answer)


def _say_pause_file(service: Service) -> str:
    """What stops changes when the service does not answer."""
    where = plain(service.pause_file) if service.is_ours and service.pause_file else "PAUSE in its store.directory"
    return f"To stop it all the same, make a file where the service sees it: {where} (or as its `pause_file` says)"


def _tell_note(answer: Any) -> None:
    """What the service wants to be known besides."""
    if isinstance(answer, dict) and answer.get("note"):
        click.echo(f"note: {plain(answer['note'])}")


@click.command("resume")
@click.argument("scope", default="everything")
@click.option("--storm", is_flag=True, help="Lift the storm of SCOPE (everything, or rule:PACK/NAME), and no pause.")
@options.url
@click.pass_context
def resume(ctx: click.Context, scope: str, url: str | None, *, storm: bool) -> None:
    """Lift the pause of SCOPE; what was held by it goes on within two minutes, if there is still reason to.

    So does what was held by a storm; the alerts that made it count no more. The end of a storm of everything also ends
    those of single rules.
    """
    answer = _lift(ctx, url, "storm" if storm else "pause", scope)
    click.echo(f"resumed: {plain(scope)}")
    _tell_note(answer)


@click.group(cls=Suggesting)
def quarantine() -> None:
    """Let a target be changed again that nothing has helped."""


@quarantine.command("clear")
@click.argument("target")
@options.url
@click.pass_context
def clear(ctx: click.Context, target: str, url: str | None) -> None:
    """Lift the quarantine of TARGET, as `remediator stops` names it, also that it comes back again and again.

    Its attempts and its returns are counted anew.
    """
    scope = target if target.startswith("target:") else f"target:{target}"
    _lift(ctx, url, "quarantine", scope)
    click.echo(f"cleared: {plain(scope)}")


@click.command("promote")
@click.argument("rule")
@options.url
@click.pass_context
def promote(ctx: click.Context, rule: str, url: str | None) -> None:
    """Let RULE (PACK/NAME) act by itself again, which it may no more since it failed."""
    scope = rule if rule.startswith("rule:") else f"rule:{rule}"
    _lift(ctx, url, "demotion", scope)
    click.echo(f"promoted: {plain(scope)}")


def _lift(ctx: click.Context, url: str | None, kind: str, scope: str) -> Any:
    return Service.of(ctx, url).post("/api/v1/stops/lift", {"kind": kind, "scope": scope, "by": who()})
