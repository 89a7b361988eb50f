"""`remediator runs start`: a rule is started by hand, for an alert that a person states."""

from typing import Any

import click

from remediator.cli import options
from remediator.cli.decide import who
from remediator.cli.send import parse_pairs
from remediator.cli.service import Service, plain


@click.command("start")
@click.argument("rule")
@click.option("-l", "--label", "labels", multiple=True, callback=parse_pairs, help="A label of the alert, name=value.")
@click.option("-a", "--annotation", "annotations", multiple=True, callback=parse_pairs, help="An annotation of it.")
@click.option("--reason", default="", help="Why; it is told in the thread.")
@click.option("--key", default="", help="For scripts: called again with the same key, it starts nothing twice.")
@options.url
@click.pass_context
def start(
    ctx: click.Context,
    rule: str,
    labels: dict[str, str],
    annotations: dict[str, str],
    reason: str,
    key: str,
    url: str | None,
) -> None:
    """Start the rule RULE (PACK/NAME) by hand, as if an alert with these labels had come.

    It is a run like any other: the labels have to be those of an alert that the rule is for, all guards are asked, and
    somebody else approves it where somebody has to. Nobody is asked whether the alert fires: it is your word, as long
    as the run goes on. Refused while an alert with the very same labels is open. The alertname may be left out where
    the rule is for just one.
    """
    body = {"rule": rule, "labels": labels, "annotations": annotations, "reason": reason, "by": who()}
    answer: Any = Service.of(ctx, url).post("/api/v1/runs", body, headers={"Idempotency-Key": key} if key else None)
    begun = answer if isinstance(answer, dict) else {}
    run = plain(begun.get("run", "?"))
    what = "was started with this key before" if begun.get("repeated") else "started by hand"
    click.echo(f"{what}: run {run} of {plain(rule)} (follow it: remediator runs watch {run})")
