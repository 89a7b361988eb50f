"""`remediator limits`: how often, and on how much at once, something may be changed, who says so, and what is used."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from remediator.cli import options
from remediator.cli.loading import book_of
from remediator.cli.service import FINDINGS, Service, fail, plain, settings_of
from remediator.cli.telling import clock_time, table

if TYPE_CHECKING:
    from remediator.cli.figures import Figures, Placed
    from remediator.rules.book import Book, Rule

_HEAD = ("LIMIT", "FIGURE", "FROM")
_HEAD_OF_USE = ("LIMIT", "OF", "USED", "ALLOWED", "ROOM", "REMEDIES")


@click.command
@click.argument("rule", required=False)
@options.rule_paths
@click.option("--used", is_flag=True, help="Ask the service how much of each budget is used, and when it frees.")
@click.option("--target", help="With --used: the budgets of this target, such as docker:local/web, as well.")
@options.output
@options.url
@click.pass_context
def limits(
    ctx: click.Context,
    rule: str | None,
    paths: tuple[Path, ...],
    target: str | None,
    output: str,
    url: str | None,
    *,
    used: bool,
) -> None:
    """Show the limits that hold for each remedy of RULE (PACK/NAME), and where each figure comes from.

    The nearest place that says a figure counts: the remedy, the rule, the top of its file, then the settings for the
    pack, for the action, for everything, and last what is shipped. Without RULE: the figures for everything, and the
    rules to which something nearer applies. It reads the files here and asks no service.

    With --used the service is asked instead, for the rules that it has loaded: how much of each budget is used now, and
    when there is room for one more than now. Without RULE these are the budgets of all rules together.
    """
    if used:
        if paths:
            raise click.UsageError("the service tells what is used by the rules that it has: leave --rules out")
        _of_use(Service.of(ctx, url), rule, target or "", output)
        return
    if target or url:
        raise click.UsageError("--target and --url go with --used: the figures are read from the files here")
    settings = settings_of(ctx)
    book, places = book_of(settings, paths)
    from remediator.cli.figures import Figures

    figures = Figures(settings.limits, ctx.find_root().obj, places)
    if rule is None:
        _of_everything(figures, book, output)
    else:
        _of_rule(figures, _rule_of(book, rule), output)


def _of_use(service: Service, rule: str | None, target: str, output: str) -> None:
    from urllib.parse import urlencode

    if target and rule is None:
        raise click.UsageError("a target has budgets for each rule: name the RULE as well")
    asked = {"rule": (rule or "").removeprefix("rule:"), "target": target.removeprefix("target:")}
    query = urlencode({name: value for name, value in asked.items() if value})
    found = service.get(f"/api/v1/limits{'?' if query else ''}{query}", has="budgets")
    if output == "json":
        click.echo(json.dumps(found, indent=2))
    elif found["budgets"]:
        click.echo("\n".join(table(_HEAD_OF_USE, [_row_of_use(one) for one in found["budgets"]])))
        if rule is not None and not target:
            click.echo("those of a target: --target NAME, as `remediator runs show` names it", err=True)
    else:
        click.echo(f"{plain(rule or '')} changes nothing, so no budget holds for it")


def _row_of_use(one: dict[str, Any]) -> tuple[str, ...]:
    count = f"{one['used']} or more" if one["or_more"] else str(one["used"])
    at = clock_time(one["frees_at"]) if one["frees_at"] else ""
    room = f"from {at} on" if one["used_up"] else f"yes, one more from {at} on" if at else "yes"
    return plain(one["limit"]), plain(one["of"]), count, plain(one["budget"]), room, plain(", ".join(one["remedies"]))


def _rule_of(book: "Book", name: str) -> "Rule":
    from difflib import get_close_matches

    from remediator.model.ids import RuleId

    found = book.get(RuleId(name.removeprefix("rule:")))
    if found is None:
        near = get_close_matches(name, [str(rule.id) for rule in book], n=1)
        meant = f"; did you mean {near[0]}?" if near else ""
        fail(f"there is no rule {plain(name)}{meant} (all of them: remediator limits)", FINDINGS)
    return found


def _of_everything(figures: "Figures", book: "Book", output: str) -> None:
    whole = figures.of_everything()
    nearer = {str(rule.id): names for rule in book if (names := _nearer(figures, rule))}
    if output == "json":
        shown = {
            "limits": [one.as_json() for one in whole],
            "rules": {rule: list(nearer.get(rule, ())) for rule in _ids(book)},
        }
        click.echo(json.dumps(shown, indent=2))
        return
    click.echo("\n".join(table(_HEAD, [_row(one) for one in whole])))
    for rule, names in nearer.items():
        click.echo(f"{plain(rule)}: other figures for {', '.join(names)} (see: remediator limits {plain(rule)})")


def _ids(book: "Book") -> list[str]:
    return [str(rule.id) for rule in book]


def _nearer(figures: "Figures", rule: "Rule") -> tuple[str, ...]:
    """The limits for which something nearer than the settings for everything says a figure."""
    from remediator.pipeline.guards.effective import Layer

    found = (one for rung in rule.rungs for one in figures.of_remedy(rule, rung))
    names = (one.figure.name for one in found if one.figure.layer not in (Layer.SETTINGS, Layer.SHIPPED))
    return tuple(dict.fromkeys(names))


def _of_rule(figures: "Figures", rule: "Rule", output: str) -> None:
    remedies = [(rung, figures.of_remedy(rule, rung)) for rung in rule.rungs]
    if output == "json":
        shown: list[dict[str, Any]] = [
            {"remedy": rung.name, "limits": [one.as_json() for one in found]} for rung, found in remedies
        ]
        click.echo(json.dumps({"rule": rule.id, "remedies": shown}, indent=2))
        return
    click.echo("\n".join(_as_text(rule, [(rung.name, found) for rung, found in remedies])))


def _as_text(rule: "Rule", remedies: "list[tuple[str, list[Placed]]]") -> Iterator[str]:
    """A table for each remedy; those with the same figures share one."""
    shared: dict[tuple[tuple[str, ...], ...], list[str]] = {}
    for name, found in remedies:
        shared.setdefault(tuple(map(_row, found)), []).append(plain(name))
    if not any(shared):
        yield f"{plain(rule.id)} changes nothing, so no limit holds for it"
    for rows, names in shared.items():
        if not rows:
            continue
        yield f"{plain(rule.id)}, {'remedy' if len(names) == 1 else 'remedies'} {', '.join(names)}:"
        yield from table(_HEAD, rows)


def _row(one: "Placed") -> tuple[str, ...]:
    return one.figure.name, plain(one.figure.said), plain(one.says)
