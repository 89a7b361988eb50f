"""`remediator alerts`: the alerts that the running service has heard of, also those that no rule is for."""

import json
from typing import Any

import click

from remediator.cli import options
from remediator.cli.service import Service, plain
from remediator.cli.telling import clock_time, table


@click.command
@click.option("-n", "--limit", type=click.IntRange(1, 500), default=20, help="How many at the most, the newest first.")
@click.option("--open", "only_open", is_flag=True, help="Only those that have not resolved.")
@options.output
@options.url
@click.pass_context
def alerts(
    ctx: click.Context,
    limit: int,
    only_open: bool,  # noqa: FBT001 - click gives it so
    output: str,
    url: str | None,
) -> None:
    """List the newest alerts, each with the fingerprint that `--fingerprint` of `remediator explain` takes."""
    query = f"limit={limit}" + ("&open=true" if only_open else "")
    found = Service.of(ctx, url).get(f"/api/v1/alerts?{query}", has="alerts")
    if output == "json":
        click.echo(json.dumps(found, indent=2))
        return
    if found["alerts"]:
        head = ("FINGERPRINT", "SINCE", "STANDS", "ALERT", "LABELS")
        click.echo("\n".join(table(head, [_row(alert) for alert in found["alerts"]])))
    else:
        none = "no open alerts" if only_open else "no alerts yet"
        click.echo(f"{none}; to try one, send it with: remediator send ALERTNAME -l name=value")


def _row(alert: dict[str, Any]) -> tuple[str, ...]:
    labels = {name: value for name, value in alert["labels"].items() if name != "alertname"}
    said = plain(" ".join(f"{name}={value}" for name, value in sorted(labels.items())))
    stands = "resolved" if alert["closed_at"] else "open"
    name = plain(alert["labels"].get("alertname", "(no name)"))
    return plain(alert["fingerprint"]), clock_time(alert["startsAt"]), stands, name, said
