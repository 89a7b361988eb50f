"""What holds for nothing: limits and freezes for names that no pack, rule or action has, and limits out of reach. Pure.

Called by the commands that check. The service starts all the same, since a rule file may be put there later.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from remediator.model.limits import never_holds
from remediator.rules.book import Book
from remediator.settings import LimitsSettings, PartialLimits, Settings


@dataclass(frozen=True, slots=True)
class Nobody:
    """A name that nothing has, or a limit out of reach: where it stands in the settings, and a sentence on it."""

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


def endless_limits(settings: Settings) -> tuple[Nobody, ...]:
    """Limits in the settings that nothing reaches: that may be meant so, and somebody may believe that they hold."""
    limits = settings.limits
    sections: dict[tuple[str, ...], LimitsSettings | PartialLimits] = {(): limits}
    for kind, given in (("packs", limits.packs), ("actions", limits.actions)):
        sections |= {(kind, name): part for name, part in sorted(given.items())}
    return tuple(
        Nobody(("limits", *path, name), what) for path, part in sections.items() for name, what in never_holds(part)
    )


def endless_in_rules(book: Book) -> tuple[tuple[str, str], ...]:
    """The same in rule files: the rule, and a sentence."""
    found: dict[tuple[str, str], None] = {}
    for rule in book:
        for limits in (rule.pack_limits, rule.limits, *(rung.limits for rung in rule.rungs)):
            found |= dict.fromkeys((str(rule.id), what) for _, what in never_holds(limits))
    return tuple(found)


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
