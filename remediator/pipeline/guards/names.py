"""Names in the settings that no pack, rule or action has: a limit or a freeze for them holds for nothing. Pure.

Called by the commands that check. The service starts all the same, since a rule file may be put there later.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from remediator.rules.book import Book
from remediator.settings import Settings


@dataclass(frozen=True, slots=True)
class Nobody:
    """A name that nothing has: where it stands in the settings, and a sentence on it."""

    path: tuple[str | int, ...]
    what: str


def unknown_names(settings: Settings, book: Book, actions: Collection[str]) -> tuple[Nobody, ...]:
    """Every such name, in the order of the settings: somebody believes that what is said of it holds."""
    known = {
        "pack": {rule.pack for rule in book},
        "rule": {str(rule.id) for rule in book},
        "action": set(actions),
    }
    return (*_of_limits(settings, known), *_of_calendar(settings, known))


def _of_limits(settings: Settings, known: Mapping[str, Collection[str]]) -> Iterator[Nobody]:
    for kind, given in (("pack", settings.limits.packs), ("action", settings.limits.actions)):
        for name in sorted(set(given) - set(known[kind])):
            what = f"there is no {kind} `{name}`, so these limits hold for nothing{_meant(name, known[kind])}"
            yield Nobody(("limits", f"{kind}s", name), what)


def _of_calendar(settings: Settings, known: Mapping[str, Collection[str]]) -> Iterator[Nobody]:
    calendar = settings.calendar
    for section, one, given in (("freezes", "freeze", calendar.freezes), ("windows", "window", calendar.windows)):
        for number, named in enumerate(given):
            for place, scope in enumerate(named.scopes):
                kind, _, name = scope.partition(":")
                if kind in known and name not in known[kind]:
                    what = f"there is no {kind} `{name}`, so this {one} holds nothing back{_meant(name, known[kind])}"
                    yield Nobody(("calendar", section, number, "scopes", place), what)


def _meant(name: str, known: Collection[str]) -> str:
    near = get_close_matches(name, sorted(known), n=1)
    return f"; did you mean `{near[0]}`?" if near else ""
