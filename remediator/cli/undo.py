"""`remediator undo`: put back what a run has changed, as far as that can be."""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

import click

from remediator.cli import options
from remediator.cli.decide import who
from remediator.cli.service import FINDINGS, Service, fail, find_run, plain
from remediator.cli.telling import tell_change

_LOOK_EVERY = 0.3  # seconds
_LONGEST_LOOK = 10  # seconds that the service is to wait with an answer; a call may take a little longer
_NOT_DONE = ("can be put back", "needs a person")


@click.command("undo")
@click.argument("run")
@click.option("--reason", default="", help="Why; it is told in the thread.")
@click.option(
    "--show",
    is_flag=True,
    help="Only look at how it is now, and show what would be put back, what stays and why; nothing is done.",
)
@click.option("-y", "--yes", is_flag=True, help="Do not ask at the terminal whether to do it.")
@click.option(
    "--wait",
    type=click.FloatRange(0, 3600),
    default=15,
    help="How many seconds to wait for what comes of it; it goes on anyway.",
)
@options.output
@options.url
@click.pass_context
def undo(
    ctx: click.Context,
    run: str,
    reason: str,
    show: bool,  # noqa: FBT001 - click gives it so
    yes: bool,  # noqa: FBT001 - click gives it so
    wait: float,
    output: str,
    url: str | None,
) -> None:
    """Put back what the run RUN has changed, the last step first; the end of its id is enough.

    What somebody has changed since is left as it is, and told; then it ends with 1. A run that has not ended is stopped
    first.
    """
    from urllib.parse import quote

    service = Service.of(ctx, url)
    run = find_run(service, run)
    path = f"/api/v1/runs/{quote(run, safe='')}/undo"
    asks = not yes and sys.stdin.isatty()
    found = service.get(f"{path}?look=true" if show or asks else path, has="changes")
    is_json = output == "json"
    if not (is_json and (show or yes)):
        click.echo("\n".join(_lines(run, found)), err=is_json)
    if show and is_json:
        click.echo(json.dumps(found, indent=2))
    if found["refused"]:
        fail(f"{plain(found['refused'])}; see: remediator runs show {plain(run)}", FINDINGS)
    if show:
        return
    if asks and not click.confirm("Put back what can be put back?", err=is_json):
        fail("nothing was done", FINDINGS)
    service.post(path, {"by": who(), "reason": reason})
    click.echo(f"undo asked for: run {plain(run)} (how it goes: remediator runs show {plain(run)})", err=is_json)
    found = _until_over(service, path, wait)
    if is_json:
        click.echo(json.dumps(found, indent=2))
    else:
        click.echo("\n".join(_how_it_went(found)))
    if not found.get("under_way") and any(change["stands"] in _NOT_DONE for change in found["changes"]):
        raise SystemExit(FINDINGS)


def _until_over(service: Service, path: str, wait: float) -> dict[str, Any]:
    """How it stands when all is put back that can be, or after so many seconds."""
    end = time.monotonic() + wait
    while True:
        began = time.monotonic()
        patience = min(max(end - began, 0), _LONGEST_LOOK)
        found = service.get(f"{path}?wait={round(patience * 1000)}ms", has="changes")
        if not found.get("under_way") or time.monotonic() >= end:
            return found
        if time.monotonic() < began + patience / 2:  # it has not waited
            time.sleep(_LOOK_EVERY)


def _how_it_went(found: Mapping[str, Any]) -> Iterator[str]:
    for change in found["changes"]:
        why = f": {change['why']}" if change["why"] else ""
        yield plain(f"“{change['sentence']}” {change['stands']}{why}")
    if found.get("under_way"):
        yield "it goes on"


def _lines(run: str, found: Mapping[str, Any]) -> Iterator[str]:
    """What the run has changed, and how it stands with each of it."""
    changes = found["changes"]
    yield f"Run {plain(run)} has changed, the last first:" if changes else f"Run {plain(run)} has changed nothing."
    for number, change in enumerate(changes, 1):
        first, *rest = tell_change(change)
        yield f"{number:3}. {first}"
        yield from (f"     {line}" for line in rest)
    if found.get("ends_run") and changes and not found["refused"]:
        yield "The run has not ended: it is stopped first, and a step that is acting is let to its end."
