"""`remediator check`: every mistake of settings and rule files, each with its place."""

import gc
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from remediator.cli.loading import installed_actions
from remediator.cli.service import MEND_SETTINGS, plain, say_missing_rules
from remediator.kit.wording import counted

if TYPE_CHECKING:
    from remediator.documents import Mistake
    from remediator.plugins import Actions
    from remediator.rules.book import Book
    from remediator.rules.loading import Places
    from remediator.settings import Settings

Notes = Sequence[tuple[str, str]]
"""What is no mistake: a rule, and a sentence on it."""
_NOT_LOOKED_AT = ("rules", "not looked at, since the settings do not tell which there are; name them to check them now")


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

    Mistakes of both are told in one go, and end with 1. Where all is well, notes tell which remedies ask people who are
    not there, which names rules use that the settings do not have, which steps and which `silence` those do not allow,
    and, if no PATHS are named, which packs, rules and actions the settings name (in `limits` and `calendar`) that there
    are not. A note is no mistake: with notes alone it ends with 0.
    """
    gc.set_threshold(10_000)  # what is read and compiled is kept to the end: there is little garbage to look for
    found = _look(ctx.find_root().obj, paths)
    match output:
        case "json":
            click.echo(_as_json(found))
        case "github":
            click.echo("".join(f"{line}\n" for line in _for_github(found)), nl=False)
        case _:
            click.echo("\n".join(_as_text(found)))
    if found.mistakes and output != "json":
        click.echo(counted(len(found.mistakes), "mistake"), err=True)
        for hint in _what_to_do(paths, found):
            click.echo(hint, err=True)
    raise SystemExit(1 if found.mistakes else 0)


@dataclass(frozen=True, slots=True)
class _Found:
    """What there is to tell of settings and rules."""

    settings: "Settings | None"
    """None where they have mistakes."""
    mistakes: "Sequence[Mistake]"
    notes: Notes
    of_settings: "Sequence[Mistake]"
    """Notes with their places in the settings."""
    count: int | None
    """How many rules there are; 0 where there is a mistake in them, None where they were not looked at."""
    of_rules: "Sequence[tuple[str, Mistake]]" = ()
    """Notes with their places in rules: names that the settings do not have, and steps that they never allow."""


def _look(file: Path | None, paths: Sequence[Path]) -> _Found:
    """Look at the settings, and at the rules as far as it is known where they are."""
    from remediator.documents import Mistake
    from remediator.rules.loading import check_with_places
    from remediator.settings import MistakenSettings, load_settings

    settings, mistakes = None, []
    try:
        settings = load_settings(file)
        rules: Sequence[Path] | None = settings.rules
        if refusal := settings.open_door():
            mistakes.append(Mistake("settings", 0, 0, refusal))
    except MistakenSettings as error:
        mistakes, rules = [*error.mistakes], error.rules
    if not paths and rules is None:
        return _Found(None, mistakes, (_NOT_LOOKED_AT,), (), None)
    actions = installed_actions()
    in_rules, book, places = check_with_places(paths or rules or (), actions)
    nobody = _nobody(file, settings, book, actions) if not paths else ()
    found = [*mistakes, *(in_rules if paths else _named_in_settings(file, rules or (), in_rules))]
    of_rules = [*_unnamed(settings, book, places), *_denied(settings, book, places)]
    return _Found(settings, found, _notes(settings, book), nobody, len(book) if book else 0, of_rules)


def _named_in_settings(file: Path | None, rules: Sequence[Path], mistakes: "Sequence[Mistake]") -> "Iterator[Mistake]":
    """The mistakes in rule files; one that is not there is told where the settings name it."""
    from remediator.settings import place_in_settings

    missing = {str(path): number for number, path in enumerate(rules) if not path.exists()}
    for mistake in mistakes:
        number = missing.get(mistake.file)
        said = [] if number is None else [(("rules", number), f"{mistake.file}: {mistake.what}")]
        named = place_in_settings(file, said)
        yield named[0] if named and named[0].line else mistake


def _what_to_do(paths: Sequence[Path], found: _Found) -> Iterator[str]:
    """What to do about settings with mistakes, and about rules that were not found."""
    if found.settings is None:
        yield MEND_SETTINGS
    elif not paths and (hint := say_missing_rules(found.settings)):
        yield hint
    if not all(path.exists() for path in paths):
        yield f"name rule files, or folders of them; they are sought from {Path.cwd()}"


def _notes(settings: "Settings | None", book: "Book | None") -> Notes:
    """What rules ask for and the settings do not have: the service starts, and is without that."""
    from remediator.pipeline.approvers import doubtful_approvers
    from remediator.pipeline.audit_key import KEY_NOT_SHARED, key_not_shared
    from remediator.pipeline.guards.names import endless_in_rules
    from remediator.pipeline.silencing.silences import unsilenced_rules

    if book is None or settings is None:
        return ()
    silences = unsilenced_rules(book, settings.alertmanager)
    keys = [("audit", KEY_NOT_SHARED)] if key_not_shared(settings) else []
    of_rules = [*silences, *endless_in_rules(book), *doubtful_approvers(settings, book)]
    return sorted([*of_rules, *_capped(settings, book), *keys])


def _capped(settings: "Settings", book: "Book") -> Notes:
    """Rules that ask for more than any may do here."""
    ceiling = settings.mode_ceiling
    capped = [str(rule.id) for rule in book if rule.mode.capped(ceiling) is not rule.mode]
    if not capped:
        return ()
    named = ", ".join(capped)
    return [("mode_ceiling", f"it is {ceiling}, so that no more than that is done by {named}, whatever its file says")]


def _unnamed(settings: "Settings | None", book: "Book | None", places: "Places") -> "list[tuple[str, Mistake]]":
    """What rules name and the settings do not have: a step with it would fail when it is needed."""
    from remediator.doctor.needs import needs_of
    from remediator.doctor.unknown import unknown_names
    from remediator.documents import Mistake

    if book is None or settings is None:
        return []
    found = [
        (use.rule, places.say(use.rule, ("rules", -1, *use.path), what) or Mistake("rules", 0, 0, what))
        for use, what in unknown_names(settings, needs_of(book))
    ]
    return sorted(found, key=lambda one: one[1])


def _denied(settings: "Settings | None", book: "Book | None", places: "Places") -> "list[tuple[str, Mistake]]":
    """Steps that would be refused when they are needed, whatever the alert; other settings may allow them."""
    from remediator.doctor.allowed import denied
    from remediator.documents import Mistake

    if book is None or settings is None:
        return []
    found = [(one, places.step(one.rule, one.step, one.says)) for one in denied(settings, book)]
    return [(str(one.rule), place or Mistake("rules", 0, 0, one.says)) for one, place in found]


def _nobody(
    file: Path | None, settings: "Settings | None", book: "Book | None", actions: "Actions"
) -> "Sequence[Mistake]":
    """Limits and freezes in the settings that hold for nothing, as what they name is not there, or out of reach."""
    from remediator.pipeline.guards.names import endless_limits, unknown_names
    from remediator.settings import place_in_settings

    found = () if settings is None else endless_limits(settings)
    found += () if book is None or settings is None else unknown_names(settings, book, actions)
    return place_in_settings(file, [(one.path, one.what) for one in found]) if found else ()


def _as_json(found: _Found) -> str:
    notes: list[dict[str, str | int]] = [{"rule": rule, "what": sentence} for rule, sentence in found.notes]
    notes += [
        {"rule": rule, "what": m.what, "file": m.file, "line": m.line, "column": m.column} for rule, m in found.of_rules
    ]
    settings = _placed(found.of_settings)
    placed = {"mistakes": _placed(found.mistakes), "rules": found.count, "notes": notes, "settings": settings}
    return json.dumps(placed, indent=2)


def _placed(found: "Sequence[Mistake]") -> list[dict[str, str | int]]:
    return [{"file": m.file, "line": m.line, "column": m.column, "what": m.what} for m in found]


def _as_text(found: _Found) -> list[str]:
    notes = [f"note: {rule}: {plain(sentence)}" for rule, sentence in _worth_telling(found)]
    if not found.mistakes:
        notes += [f"note: {_say_place(one)}{rule}: {plain(one.what)}" for rule, one in found.of_rules]
        notes += [f"note: {one}" for one in found.of_settings]
    first = [str(mistake) for mistake in found.mistakes] or [f"ok: {counted(found.count or 0, 'rule')}"]
    return [*first, *notes]


def _say_place(at: "Mistake") -> str:
    return f"{plain(at.file)}:{at.line}:{at.column}: " if at.line else ""


def _worth_telling(found: _Found) -> Notes:
    """The notes; beside mistakes only that the rules were not looked at."""
    if found.count is None:
        return found.notes
    return () if found.mistakes else found.notes


def _for_github(found: _Found) -> Iterator[str]:
    """Workflow commands, which GitHub shows at the lines that they name."""
    for mistake in found.mistakes:
        yield _annotation("error", mistake)
    for about, sentence in _worth_telling(found):
        is_of_rule = "/" in about
        said = sentence if is_of_rule else f"{about}: {sentence}"
        yield _command("notice", {"title": about if is_of_rule else "remediator"}, said)
    for rule, one in () if found.mistakes else found.of_rules:
        yield _annotation("warning", one, title=rule)
    for one in () if found.mistakes else found.of_settings:
        yield _annotation("warning", one)


def _annotation(kind: str, said: "Mistake", *, title: str = "remediator") -> str:
    place = {"line": str(said.line), "col": str(said.column)} if said.line else {}
    file = {"file": _within(said.file)} if said.line or Path(said.file).exists() else {}
    what = said.what if file else f"{said.file}: {said.what}"
    return _command(kind, {**file, **place, "title": title}, what)


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
