"""`remediator check`: every mistake of settings and rule files, each with its place."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from remediator.cli.loading import installed_actions
from remediator.cli.service import plain, say_missing_rules, settings_of
from remediator.kit.wording import counted

if TYPE_CHECKING:
    from remediator.documents import Mistake
    from remediator.rules.book import Book
    from remediator.settings import Settings

Notes = Sequence[tuple[str, str]]
"""What is no mistake: a rule, and a sentence on it."""


@click.command
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json", "github"]),
    default="text",
    help="How to print it; `github` makes annotations of a workflow's log.",
)
@click.pass_context
def check(ctx: click.Context, paths: tuple[Path, ...], output: str) -> None:
    """Check the settings, and the rule files PATHS (those of the settings, if none are named).

    Where all is well, notes tell what of the rules is not carried out yet, and which names they use that the settings
    do not have. A note is no mistake: with notes alone it ends with 0.
    """
    settings = settings_of(ctx)
    from remediator.documents import Mistake
    from remediator.rules.loading import check_files

    mistakes, book = check_files(paths or settings.rules, installed_actions())
    refusal = settings.open_door()
    if refusal is not None:
        mistakes = [Mistake("settings", 0, 0, refusal), *mistakes]
    held, notes, count = _held(book), _notes(settings, book), len(book) if book else 0
    match output:
        case "json":
            click.echo(_as_json(mistakes, held, notes, count))
        case "github":
            click.echo("".join(f"{line}\n" for line in _for_github(mistakes, [*held, *notes])), nl=False)
        case _:
            click.echo("\n".join(_as_text(mistakes, [*held, *notes], count)))
    if mistakes and output != "json":
        click.echo(counted(len(mistakes), "mistake"), err=True)
        if hint := _what_to_do(paths, settings):
            click.echo(hint, err=True)
    raise SystemExit(1 if mistakes else 0)


def _what_to_do(paths: Sequence[Path], settings: "Settings") -> str:
    """What to do about rules that were not found; nothing where each mistake says it."""
    if not paths:
        return say_missing_rules(settings)
    missing = not all(path.exists() for path in paths)
    return f"name rule files, or folders of them; they are sought from {Path.cwd()}" if missing else ""


def _held(book: "Book | None") -> Notes:
    from remediator.rules.held import held

    return [(rule.id, sentence) for rule in book or () for sentence in held(rule)]


def _notes(settings: "Settings", book: "Book | None") -> Notes:
    """What rules ask for by a name that the settings do not have: the service starts, and these steps would fail."""
    from remediator.doctor.local import unknown_names
    from remediator.doctor.needs import needs_of

    return () if book is None else sorted(unknown_names(settings, needs_of(book)))


def _as_json(mistakes: "Sequence[Mistake]", held: Notes, notes: Notes, count: int) -> str:
    found = [{"file": m.file, "line": m.line, "column": m.column, "what": m.what} for m in mistakes]
    said = {
        kind: [{"rule": rule, "what": sentence} for rule, sentence in some]
        for kind, some in (("held", held), ("notes", notes))
    }
    return json.dumps({"mistakes": found, "rules": count, **said}, indent=2)


def _as_text(mistakes: "Sequence[Mistake]", notes: Notes, count: int) -> list[str]:
    if mistakes:
        return [str(mistake) for mistake in mistakes]
    return [f"ok: {counted(count, 'rule')}", *(f"note: {rule}: {plain(sentence)}" for rule, sentence in notes)]


def _for_github(mistakes: "Sequence[Mistake]", notes: Notes) -> Iterator[str]:
    """Workflow commands, which GitHub shows at the lines that they name."""
    for mistake in mistakes:
        place = {"line": str(mistake.line), "col": str(mistake.column)} if mistake.line else {}
        file = {"file": _within(mistake.file)} if mistake.line or Path(mistake.file).exists() else {}
        what = mistake.what if file else f"{mistake.file}: {mistake.what}"
        yield _command("error", {**file, **place, "title": "remediator"}, what)
    for rule, sentence in notes if not mistakes else ():
        yield _command("notice", {"title": rule}, sentence)


def _within(file: str) -> str:
    """A path from the folder that the check runs in, as GitHub wants it, where it leads there."""
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else file


def _command(name: str, properties: dict[str, str], message: str) -> str:
    given = ",".join(f"{key}={_escaped(value, of_property=True)}" for key, value in properties.items())
    return f"::{name} {given}::{_escaped(message)}"


def _escaped(text: str, *, of_property: bool = False) -> str:
    """As GitHub's own toolkit escapes (`packages/core/src/command.ts`): the percent sign first."""
    said = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return said.replace(":", "%3A").replace(",", "%2C") if of_property else said
