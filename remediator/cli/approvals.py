"""`remediator approvals`: what waits for people, and how much it would touch. Used by `approve` and `deny` as well."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from remediator.cli import Suggesting, options
from remediator.cli.service import FINDINGS, Service, fail, plain
from remediator.cli.telling import clock_time, say_who, table
from remediator.kit.wording import counted

_SHOWN = 10  # names of targets


@click.group(cls=Suggesting)
def approvals() -> None:
    """List the plans that wait for people."""


@approvals.command("list")
@click.option("--rule", help="Only those of this rule, PACK/NAME.")
@options.output
@options.url
@click.pass_context
def list_(ctx: click.Context, rule: str | None, output: str, url: str | None) -> None:
    """List the plans that wait for people, the oldest first: of which run, who may decide, and until when."""
    found = waiting(Service.of(ctx, url), rule)
    if output == "json":
        click.echo(json.dumps(found, indent=2))
        return
    plans = found["approvals"]
    if not plans:
        click.echo("nothing waits for a person" + (f" of the rule {plain(rule)}" if rule else ""))
        return
    click.echo("\n".join(_table(plans)))
    click.echo("look at one: remediator runs show RUN; decide: remediator approve RUN, or deny RUN --reason …")


def waiting(service: Service, rule: str | None = None) -> dict[str, Any]:
    """What waits, as the service tells it; that it may not be all of it is said."""
    from urllib.parse import urlencode

    found = service.get("/api/v1/approvals" + (f"?{urlencode({'rule': rule})}" if rule else ""), has="approvals")
    if found.get("more"):
        click.echo(
            "there are more active runs than are looked through; what waits among the oldest is left out", err=True
        )
    return found


def _table(plans: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    head = ("RUN", "UNTIL", "NEEDS", "WHO", "RULE", "REMEDY", "TARGETS")
    rows = [
        (
            plain(one["id"]),
            clock_time(one["until"]),
            f"{one['missing']} of {one['quorum']}",
            plain(say_who(one)),
            plain(one["rule"]),
            plain(one["name"]),
            _names(one["targets"]),
        )
        for one in plans
    ]
    return table(head, rows)


def _names(targets: Sequence[str]) -> str:
    shown = [plain(target) for target in targets[:_SHOWN]]
    more = len(targets) - len(shown)
    return ", ".join([*shown, *([f"and {more} more"] if more else [])])


def chosen(service: Service, *, rule: str | None, group: str | None) -> list[dict[str, Any]]:
    """The plans of a rule that wait, or those of alerts that are called as the one of a run; ends where none does."""
    plans: list[dict[str, Any]] = waiting(service, rule)["approvals"]
    if group is not None:
        from urllib.parse import quote

        alert = service.get(f"/api/v1/runs/{quote(group, safe='')}", has="alert")["alert"]
        name = alert["labels"].get("alertname", "")
        plans = [one for one in plans if one["alertname"] == name]
        if not plans:
            fail(f"nothing waits for a person among the runs of alerts that are called {plain(name)}", FINDINGS)
    elif not plans:
        fail(f"nothing of the rule {plain(rule)} waits for a person; see: remediator approvals list", FINDINGS)
    return plans


def radius(plans: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """How much several plans would touch in all, and what they would do."""
    targets = sorted({target for one in plans for target in one["targets"]})
    steps = [step for one in plans for step in one["steps"]]
    changing = [step for step in steps if step["effect"] != "read"]
    pools = sorted({pool for one in plans for pool in one.get("pools", ())})
    together = ", together" if len(plans) > 1 else ""
    yield f"{counted(len(plans), 'plan')} of {counted(len({one['rule'] for one in plans}), 'rule')}{together}:"
    where = f"{counted(len(targets), 'target')}: {_names(targets)}" if targets else "no target"
    yield f"  {counted(len(changing), 'changing step')} on {where}"
    destroying = sum(step["effect"] == "destroy" for step in steps)
    if destroying:
        yield f"  {counted(destroying, 'step')} of these cannot be undone: what they destroy is gone"
    if pools:
        yield f"  of {counted(len(pools), 'pool')}: {_names(pools)}"
    for one in plans:
        does = "; ".join(plain(step["sentence"]) for step in one["steps"])
        yield f"  run {plain(one['id'])} of {plain(one['rule'])}, plan {plain(one['digest'][:12])}: {does}"
        if one.get("touches"):
            yield f"    touches {plain(one['touches'])}"
        if one.get("why"):
            yield f"    asked for, as {plain(one['why'])}"
