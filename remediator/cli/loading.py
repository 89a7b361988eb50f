"""What several commands load: the installed actions and the book of rules. Mistakes are printed and end the program."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from remediator.cli.service import FINDINGS, fail, say_missing_rules
from remediator.errors import Failed

if TYPE_CHECKING:
    from remediator.plugins import Actions
    from remediator.rules.book import Book
    from remediator.rules.loading import Places
    from remediator.settings import Settings


def installed_actions() -> "Actions":
    """The actions of every installed package."""
    from remediator.plugins import Actions  # slow to import, as is what `book_of` needs; --help needs neither

    try:
        return Actions.installed()
    except Failed as error:
        fail(f"{error}\nMend or remove that package; `pip check` and its own documentation may tell why.", FINDINGS)


def book_of(settings: "Settings", paths: Sequence[Path]) -> "tuple[Book, Places]":
    """The book of the rule files at `paths`, or of those of the settings where none are named; with their places."""
    from remediator.rules.loading import check_with_places

    mistakes, book, places = check_with_places(paths or settings.rules, installed_actions())
    if book is None:
        hint = "" if paths else say_missing_rules(settings)
        remedy = hint or "Rules with mistakes are not used; mend them, then look with: remediator check"
        fail("\n".join([*map(str, mistakes), remedy]), FINDINGS)
    return book, places
