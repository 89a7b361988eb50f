"""`remediator rerun`: another run for an alert that fires still, though its run is over."""

from typing import Any
from urllib.parse import quote

import click

from remediator.cli import options
from remediator.cli.decide import who
from remediator.cli.service import Service, find_run, plain

_ONE = "give a run, or an alert by --fingerprint (remediator alerts --open), and not both"


@click.command
@click.argument("run", required=False)
@click.option("--fingerprint", help="Instead of a run: the alert with this fingerprint, also one that no rule was for.")
@click.option("--reason", default="", help="Why; it is told in the thread.")
@options.url
@click.pass_context
def rerun(ctx: click.Context, run: str | None, fingerprint: str | None, reason: str, url: str | None) -> None:
    """Begin another run for the alerts of the run RUN, which is over, while they fire still.

    The end of its id is enough.

    It is a run like any other: the rules that match now, looking anew, and all guards; whoever has to approve is asked
    again. Refused while a run of the alert is under way. What the earlier run has changed for a while is put back, as
    if the alert had resolved, and its escalation ends: the new run has its own.
    """
    if (run is None) == (fingerprint is None):
        raise click.UsageError(_ONE, ctx)
    service = Service.of(ctx, url)
    if run is not None:
        path = f"/api/v1/runs/{quote(find_run(service, run), safe='')}/rerun"
    else:
        path = f"/api/v1/alerts/{quote(str(fingerprint), safe='')}/rerun"
    answer: Any = service.post(path, {"by": who(), "reason": reason})
    begun = answer if isinstance(answer, dict) else {}
    for one in begun.get("runs", ()):
        click.echo(f"begun anew: run {_named(one)}")
    for one in begun.get("joined", ()):
        click.echo(f"joined, as it was under way for the same group: run {_named(one)}")


def _named(one: dict[str, str]) -> str:
    run = plain(one["id"])
    return f"{run} of {plain(one['rule'])} (see: remediator runs show {run})"
