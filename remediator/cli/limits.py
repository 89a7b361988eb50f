"""`remediator limits`: how often, and on how much at once, something may be changed, and who says so."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from remediator.cli.loading import book_of
from remediator.cli.service import FINDINGS, fail, plain, settings_of
from remediator.cli.telling import table

if TYPE_CHECKING:
    from remediator.cli.figures import Figures, Placed
    from remediator.rules.book import Book, Rule

_HEAD = ("LIMIT", "FIGURE", "FROM")


@click.command
@click.argument("rule", required=False)
@click.option(
    "-r",
    "--rules",
    "paths",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A rule file or a folder of them, instead of those of the settings; may be repeated.",
)
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="How to print it.")
@click.pass_context
def limits(ctx: click.Context, rule: str | None, paths: tuple[Path, ...], output: str) -> None:
    """Show the limits that hold for each remedy of RULE (PACK/NAME), and where each figure comes from.

    The nearest place that says a figure counts: the remedy, the rule, the top of its file, then the settings for the
    pack, for the action, for everything, and last what is shipped. Without RULE: the figures for everything, and the
    rules to which something nearer applies. It reads the files here and asks no service; how much of a budget is used
    says `remediator runs show` where one holds a plan.
    """
    settings = settings_of(ctx)
    book, places = book_of(settings, paths)
    from remediator.cli.figures import Figures

    figures = Figures(settings.limits, ctx.find_root().obj, places)
    if rule is None:
        _of_everything(figures, book, output)
    else:
        _of_rule(figures, _rule_of(book, rule), output)


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
