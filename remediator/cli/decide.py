"""`remediator approve`, `deny` and `cancel`: a person's word on a run."""

import getpass
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import click

from remediator.cli.service import URL_HELP, Service, fail, find_run, plain
from remediator.cli.telling import clock_time, say_hold, state_of

_LEAST_DIGEST = 8  # characters; fewer are a typing mistake rather than a plan


def _check_digest(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """A variable that is empty in a script must not approve whatever waits."""
    del param
    if value is not None and len(value.strip()) < _LEAST_DIGEST:
        what = f"{plain(value)} is too short" if value.strip() else "is empty"
        raise click.UsageError(f"--plan {what}; give at least {_LEAST_DIGEST} characters of the plan's digest", ctx)
    return value.strip() if value else value


_url = click.option("--url", help=URL_HELP)
_plan = click.option(
    "--plan",
    "digest",
    callback=_check_digest,
    help="The beginning of the plan's digest, at least 8 characters; refused where the run has another plan now.",
)


def who() -> str:
    """The user's name; in a container there may be a number only."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def _decide(ctx: click.Context, run: str, url: str | None, digest: str | None, *, approved: bool, reason: str) -> None:
    service = Service.of(ctx, url)
    run = find_run(service, run)
    path = f"/api/v1/runs/{quote(run, safe='')}"
    found = service.get(path, has="waiting")
    plan = found["waiting"]
    if not plan:
        fail(f"run {run} waits for nobody: {_how_it_went(found)}; see: remediator runs show {run}", 1)
    if digest and not plan["digest"].startswith(digest):
        given = plain(digest[:12]) + ("…" if len(digest) > 12 else "")  # noqa: PLR2004 - as digests are shown
        fail(f"the plan is {plan['digest'][:12]}, not {given}; look at it first: remediator runs show {run}", 1)
    body = {"approved": approved, "digest": plan["digest"], "by": who(), "reason": reason}
    service.post(f"{path}/decision", body)
    click.echo(f"{'approved' if approved else 'denied'}: plan {plan['digest'][:12]} of run {run}")


def _how_it_went(run: Mapping[str, Any]) -> str:
    """Who has decided and when, if anybody has, and how the run stands or ended."""
    decisions = [signal for signal in run["signals"] if signal["kind"] == "decision"]
    said = [f"it was {plain(signal['text'])} at {clock_time(signal['at'])}" for signal in decisions[-1:]]
    if run.get("held"):
        why, then = say_hold(run["held"])
        return ", and ".join([*said, f"it is held, because {why} ({then}); end it with: remediator cancel {run['id']}"])
    stands = f"it ended: {run['outcome']}" if run["outcome"] else f"it is {state_of(run)}"
    return ", and ".join([*said, stands])


@click.command
@click.argument("run")
@_plan
@_url
@click.pass_context
def approve(ctx: click.Context, run: str, digest: str | None, url: str | None) -> None:
    """Approve the plan that the run RUN waits with; the end of its id is enough."""
    _decide(ctx, run, url, digest, approved=True, reason="")


@click.command
@click.argument("run")
@click.option("--reason", required=True, help="Why not; it is told in the thread.")
@_plan
@_url
@click.pass_context
def deny(ctx: click.Context, run: str, reason: str, digest: str | None, url: str | None) -> None:
    """Say no to the plan that the run RUN waits with; the end of its id is enough."""
    _decide(ctx, run, url, digest, approved=False, reason=reason)


@click.command
@click.argument("run")
@click.option("--reason", default="", help="Why; it is told in the thread.")
@_url
@click.pass_context
def cancel(ctx: click.Context, run: str, reason: str, url: str | None) -> None:
    """Stop the run RUN (the end of its id is enough); a step that is acting right now is let to its end.

    What will come of it is said: whether what was done has helped is looked at all the same.
    """
    service = Service.of(ctx, url)
    run = find_run(service, run)
    answer: Any = service.post(f"/api/v1/runs/{quote(run, safe='')}/cancel", {"by": who(), "reason": reason})
    coming: dict[str, Any] = answer if isinstance(answer, dict) else {}
    what = "cancelled" if coming.get("at_once", True) else "asked to stop"
    says = f": {plain(coming['says'])}" if coming.get("says") else ""
    click.echo(f"{what}: run {run}{says} (see: remediator runs show {run})")
