"""`remediator runs`: what was done, and where things stand."""

import json
from typing import Any

import click

from remediator.cli import Suggesting, options
from remediator.cli.decide import who
from remediator.cli.service import Service, find_run
from remediator.cli.start import start
from remediator.cli.telling import list_runs, tell_run
from remediator.cli.watch import watch
from remediator.model.outcome import Outcome


class _Outcomes(click.Choice[str]):
    """The outcomes, also with `_` or `-` for the blanks."""

    def __init__(self) -> None:
        super().__init__([outcome.value for outcome in Outcome])

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return super().convert(str(value).replace("_", " ").replace("-", " "), param, ctx)


@click.group(cls=Suggesting)
def runs() -> None:
    """List runs, show or watch one, start one by hand, or settle what became of it."""


runs.add_command(start)
runs.add_command(watch)


@runs.command("list")
@click.option("-n", "--limit", type=click.IntRange(1, 500), default=20, help="How many at the most, the newest first.")
@click.option("--outcome", type=_Outcomes(), help="Only those that ended so, such as healed.")
@click.option("--active", is_flag=True, help="Only those that have not ended.")
@click.option("--waiting", is_flag=True, help="Only those that wait for a person, among the newest 500 active ones.")
@click.option(
    "--unsettled", is_flag=True, help="Only those with a step that nobody knows the end of; it may take long."
)
@options.output
@options.url
@click.pass_context
def list_(
    ctx: click.Context,
    limit: int,
    outcome: str | None,
    active: bool,  # noqa: FBT001 - click gives it so
    waiting: bool,  # noqa: FBT001 - click gives it so
    unsettled: bool,  # noqa: FBT001 - click gives it so
    output: str,
    url: str | None,
) -> None:
    """List the newest runs."""
    from urllib.parse import urlencode

    asked = {
        "limit": limit,
        **({"outcome": outcome} if outcome else {}),
        **({"active": "true"} if active else {}),
        **({"waiting": "true"} if waiting else {}),
        **({"unsettled": "true"} if unsettled else {}),
    }
    found = Service.of(ctx, url).get(f"/api/v1/runs?{urlencode(asked)}", has="runs")
    if output == "json":
        click.echo(json.dumps(found, indent=2))
        return
    if found["runs"]:
        click.echo("\n".join(list_runs(found["runs"])))
    elif waiting:
        click.echo("no runs that wait for a person")
    elif unsettled:
        click.echo("no runs with a step that nobody knows the end of")
    else:
        click.echo("no runs that ended so" if outcome else "no active runs" if active else "no runs yet")


@runs.command("show")
@click.argument("run")
@options.output
@options.url
@click.pass_context
def show(ctx: click.Context, run: str, output: str, url: str | None) -> None:
    """Show the run RUN with everything that happened in it; the end of its id is enough."""
    from urllib.parse import quote

    service = Service.of(ctx, url)
    found = service.get(f"/api/v1/runs/{quote(find_run(service, run), safe='')}", has="timeline")
    click.echo(json.dumps(found, indent=2) if output == "json" else "\n".join(tell_run(found)))


@runs.command("settle")
@click.argument("run")
@click.argument("what", type=click.Choice(["done", "not-done"]))
@click.option("--reason", default="", help="How you know; it is told in the thread.")
@options.url
@click.pass_context
def settle(ctx: click.Context, run: str, what: str, reason: str, url: str | None) -> None:
    """Say whether the step of the run RUN was done that nobody saw the end of; it frees the target and starts nothing.

    The end of the run's id is enough. Refused where no step is unknown, or where it was settled already.
    """
    from urllib.parse import quote

    service = Service.of(ctx, url)
    run = find_run(service, run)
    body = {"done": what == "done", "by": who(), "reason": reason}
    service.post(f"/api/v1/runs/{quote(run, safe='')}/settle", body)
    click.echo(f"settled as {what}: run {run} (see: remediator runs show {run})")
