"""`remediator send`: an alert as Alertmanager would send it, to see what a rule makes of it."""

import shlex
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from remediator.cli.service import Service, settings_of
from remediator.model.alert import fingerprint_of

if TYPE_CHECKING:
    from remediator.settings import Settings


def parse_pairs(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """`k=v` options as a mapping."""
    pairs = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{value!r}: write it as name=value, such as service=web", ctx=ctx, param=param)
        pairs[name] = text
    return pairs


def payload(labels: dict[str, str], annotations: dict[str, str], *, resolved: bool, at: datetime) -> dict[str, Any]:
    """One alert in the envelope of Alertmanager's webhook, version 4."""
    now = at.isoformat().replace("+00:00", "Z")
    status = "resolved" if resolved else "firing"
    alert = {
        "status": status,
        "labels": labels,
        "annotations": annotations,
        "startsAt": now,
        "endsAt": now if resolved else "0001-01-01T00:00:00Z",
        "generatorURL": "",
        "fingerprint": fingerprint_of(labels),
    }
    group = {"alertname": labels["alertname"]}
    return {
        "version": "4",
        "groupKey": f'{{}}:{{alertname="{labels["alertname"]}"}}',
        "truncatedAlerts": 0,
        "status": status,
        "receiver": "remediator",
        "groupLabels": group,
        "commonLabels": labels,
        "commonAnnotations": annotations,
        "externalURL": "",
        "alerts": [alert],
    }


def _authorization(settings: "Settings", *, is_ours: bool) -> str:
    """What a sender that the settings know would say; empty where the webhook is open.

    Another service than that of the settings gets the token that was given for it, and no secret of the webhook.
    The API's own token is never sent: whoever has it may approve plans.
    """
    if is_ours:
        for token in settings.webhook.tokens:
            return f"Bearer {token.value.get_secret_value()}"
        for user, password in settings.webhook.users.items():
            return f"Basic {b64encode(f'{user}:{password.value.get_secret_value()}'.encode()).decode()}"
    return f"Bearer {settings.client_token}" if settings.client_token else ""


def _explaining(ctx: click.Context, alertname: str, labels: Mapping[str, str]) -> str:
    """The command that tells what the rules make of this alert, for a shell."""
    settings_file = ctx.find_root().obj
    words = ["remediator", *(["-c", str(settings_file)] if settings_file else []), "explain", alertname]
    given = [word for name, value in labels.items() if name != "alertname" for word in ("-l", f"{name}={value}")]
    return shlex.join([*words, *given])


@click.command
@click.argument("alertname")
@click.option(
    "-l",
    "--label",
    "labels",
    multiple=True,
    callback=parse_pairs,
    help="A label, name=value; may be repeated.",
)
@click.option(
    "-a",
    "--annotation",
    "annotations",
    multiple=True,
    callback=parse_pairs,
    help="An annotation, name=value.",
)
@click.option("--resolved", is_flag=True, help="Send the alert's resolution instead.")
@click.option(
    "--url",
    help="Where the service is; else where the settings say that it listens. To another address, no token or user of "
    "the webhook is sent, only the token in REMEDIATOR_TOKEN (or `token` of the settings).",
)
@click.pass_context
def send(
    ctx: click.Context,
    alertname: str,
    labels: dict[str, str],
    annotations: dict[str, str],
    resolved: bool,  # noqa: FBT001 - click gives it so
    url: str | None,
) -> None:
    """Send the alert ALERTNAME to a running service, as Alertmanager would.

    It shows what a rule finds and plans. Where the settings name an Alertmanager, nothing is changed for it, because
    that is asked first and does not have it firing.
    """
    settings = settings_of(ctx)
    given = {name: value for name, value in labels.items() if value}  # an empty label is none
    body = payload({**given, "alertname": alertname}, annotations, resolved=resolved, at=datetime.now(UTC))
    service = Service.of(ctx, url)
    service.post("/api/v1/alerts", body, authorization=_authorization(settings, is_ours=service.is_ours))
    if resolved:
        click.echo(f"accepted: {alertname} resolved (see: remediator runs list)")
        return
    click.echo(
        f"accepted: {alertname} firing. If no run appears in `remediator runs list`, it was open already (see: "
        f"remediator alerts), or no rule matches it; why not, says: {_explaining(ctx, alertname, given)}"
    )
