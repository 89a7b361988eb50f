"""`remediator approve`, `deny` and `cancel`: a person's word on a run."""

import getpass
import os
from urllib.parse import quote

import click

from remediator.cli.service import URL_HELP, Service, fail

_url = click.option("--url", help=URL_HELP)
_plan = click.option(
    "--plan", "digest", help="The beginning of the plan's digest; refused where the run has another plan now."
)


def _who() -> str:
    """The user's name; in a container there may be a number only."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def _decide(ctx: click.Context, run: str, url: str | None, digest: str | None, *, approved: bool, reason: str) -> None:
    service = Service.of(ctx, url)
    path = f"/api/v1/runs/{quote(run, safe='')}"
    plan = service.get(path, has="waiting")["waiting"]
    if not plan:
        fail(f"run {run} waits for nobody; see: remediator runs show {run}", 1)
    if digest and not plan["digest"].startswith(digest):
        fail(
            f"run {run} has another plan now ({plan['digest'][:12]}); look at it first: remediator runs show {run}",
            1,
        )
    body = {"approved": approved, "digest": plan["digest"], "by": _who(), "reason": reason}
    service.post(f"{path}/decision", body)
    click.echo(f"{'approved' if approved else 'denied'}: plan {plan['digest'][:12]} of run {run}")


@click.command
@click.argument("run")
@_plan
@_url
@click.pass_context
def approve(ctx: click.Context, run: str, digest: str | None, url: str | None) -> None:
    """Approve the plan that the run RUN waits with."""
    _decide(ctx, run, url, digest, approved=True, reason="")


@click.command
@click.argument("run")
@click.option("--reason", required=True, help="Why not; it is told in the thread.")
@_plan
@_url
@click.pass_context
def deny(ctx: click.Context, run: str, reason: str, digest: str | None, url: str | None) -> None:
    """Say no to the plan that the run RUN waits with."""
    _decide(ctx, run, url, digest, approved=False, reason=reason)


@click.command
@click.argument("run")
@click.option("--reason", default="", help="Why; it is told in the thread.")
@_url
@click.pass_context
def cancel(ctx: click.Context, run: str, reason: str, url: str | None) -> None:
    """Stop the run RUN; a step that is acting right now is let to its end."""
    Service.of(ctx, url).post(f"/api/v1/runs/{quote(run, safe='')}/cancel", {"by": _who(), "reason": reason})
    click.echo(f"cancelled: run {run} (see: remediator runs show {run})")
