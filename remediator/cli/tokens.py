"""`remediator tokens`: who may call the API, and with what."""

import json
from typing import Any
from urllib.parse import quote

import click

from remediator.cli import Suggesting, options
from remediator.cli.decide import who
from remediator.cli.service import TOKEN_PREFIX, Service, plain
from remediator.cli.telling import clock_time, table


@click.group(cls=Suggesting)
def tokens() -> None:
    """Make tokens of the API, list them, or revoke one; this takes the admin token, or one with the scope `admin`."""


@tokens.command("make")
@click.argument("subject")
@click.option(
    "--scope",
    type=click.Choice(["read", "decide", "admin"]),
    default="read",
    show_default=True,
    help="What it may do; each takes those before it along.",
)
@click.option("--group", "groups", multiple=True, help="A group of approvers that its owner is in; several times.")
@click.option(
    "--for", "lasts", metavar="TIME", default="90d", show_default=True, help="For how long, like 90d; or `never` ends."
)
@options.output
@options.url
@click.pass_context
def make(
    ctx: click.Context, subject: str, scope: str, groups: tuple[str, ...], lasts: str, output: str, url: str | None
) -> None:
    """Make a token for SUBJECT: a person by the name in `people` (or by `people.NAME.token`), or a program.

    It is printed once, alone on the standard output; nobody can look it up later.
    """
    said = {"subject": subject, "scope": scope, "groups": list(groups), "for": lasts, "by": who()}
    made: dict[str, Any] = Service.of(ctx, url).post("/api/v1/tokens", said)
    if output == "json":
        click.echo(json.dumps(made, indent=2))
        return
    until = f"until {clock_time(made['expires_at'])}" if made["expires_at"] else "without an end"
    groups_too = f", groups {', '.join(made['groups'])}" if made["groups"] else ""
    what = f"token {made['id']} for {made['subject']} (scope {made['scope']}{groups_too}), {until}"
    click.echo(f"{plain(what)}; it is shown this once:", err=True)
    click.echo(plain(made["token"]))


@tokens.command("list")
@options.output
@options.url
@click.pass_context
def list_(ctx: click.Context, output: str, url: str | None) -> None:
    """List all tokens, the oldest first, with whose they are and what they may do, also those that are over."""
    found = Service.of(ctx, url).get("/api/v1/tokens", has="tokens")
    if output == "json":
        click.echo(json.dumps(found, indent=2))
    elif found["tokens"]:
        head = ("TOKEN", "SUBJECT", "SCOPE", "GROUPS", "MADE", "STANDS")
        click.echo("\n".join(table(head, [_row(one) for one in found["tokens"]])))
    else:
        click.echo("there is no token besides the admin token; make one with: remediator tokens make SUBJECT")


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    is_other = one["person"] not in (one["subject"], f"token:{one['subject']}")
    subject = f"{one['subject']} ({one['person']})" if is_other else one["subject"]
    made = f"{clock_time(one['made_at'])} by {one['made_by']}"
    return (
        plain(one["id"]),
        plain(subject),
        plain(one["scope"]),
        plain(", ".join(_groups(one))),
        plain(made),
        plain(_stands(one)),
    )


def _groups(one: dict[str, Any]) -> list[str]:
    """The groups that it gives its owner; one that the settings do not have gives no right."""
    missing = one.get("groups_missing", ())
    return [f"{name} (not in the settings)" if name in missing else name for name in one["groups"]]


def _stands(one: dict[str, Any]) -> str:
    if one["revoked_at"]:
        return f"revoked {clock_time(one['revoked_at'])} by {one['revoked_by']}"
    if not one["expires_at"]:
        return "good"
    return f"{'good until' if one['state'] == 'good' else 'expired'} {clock_time(one['expires_at'])}"


@tokens.command("revoke")
@click.argument("token")
@options.url
@click.pass_context
def revoke(ctx: click.Context, token: str, url: str | None) -> None:
    """Have TOKEN (its id, or all of it where it was found somewhere) refused from now on, by every process."""
    token_id = token.removeprefix(TOKEN_PREFIX).partition("_")[0]
    Service.of(ctx, url).post(f"/api/v1/tokens/{quote(token_id, safe='')}/revoke", {"by": who()})
    click.echo(f"revoked: token {plain(token_id)}")
