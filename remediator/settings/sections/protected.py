"""What may never be changed, and what alone may be: by target, by namespace, by the labels of the alert."""

from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, BeforeValidator

from remediator.model.pattern import Pattern, parse_glob, parse_pattern
from remediator.settings.addresses import not_a_string
from remediator.settings.sections.section import Section

if TYPE_CHECKING:
    from remediator.model.matchers import Matcher


def _pattern(text: str) -> str:
    parse_pattern(text)
    return text


def _glob(text: str) -> str:
    parse_glob(text)
    return text


def _matchers(text: str) -> str:
    if not _read(text):
        raise ValueError(f"{text!r} holds no matcher; write one like 'team=\"database\"'")
    return text


def _read(text: str) -> "tuple[Matcher, ...]":
    from remediator.model.matchers import parse_matchers  # RE2 takes its time to load

    return parse_matchers(text)


class Listed(Section):
    """A list of what is meant; one item that fits is enough."""

    targets: Annotated[tuple[Annotated[str, AfterValidator(_pattern)], ...], BeforeValidator(not_a_string)] = ()
    """Patterns on the stable names of targets, such as `docker:local/postgres*`: `*` stands for any text, `?` for one
    character, and capitals count."""
    namespaces: Annotated[tuple[Annotated[str, AfterValidator(_glob)], ...], BeforeValidator(not_a_string)] = ()
    """Patterns on namespaces, such as `kube-*`."""
    labels: Annotated[tuple[Annotated[str, AfterValidator(_matchers)], ...], BeforeValidator(not_a_string)] = ()
    """Matchers on the labels of the alert, in Alertmanager's syntax; an item with several needs all of them, such as
    `{team="database",env="prod"}`."""

    @property
    def target_patterns(self) -> tuple[Pattern, ...]:
        return tuple(map(parse_pattern, self.targets))

    @property
    def namespace_patterns(self) -> tuple[Pattern, ...]:
        return tuple(map(parse_glob, self.namespaces))

    @property
    def matchers(self) -> "tuple[tuple[Matcher, ...], ...]":
        """Of each item, those that have to match together."""
        return tuple(map(_read, self.labels))


class Denied(Listed):
    """What is never changed, whatever else is said. A namespace is the target's own, or the alert's label."""


class Allowed(Listed):
    """What alone may be changed, where anything is listed.

    Targets and namespaces together say which targets; labels only narrow that, because whoever sends alerts says what
    is in them. For the same reason, a namespace is the target's own here, and never the alert's label.
    """


class ProtectedSettings(Section):
    """What remediator must not touch."""

    deny: Denied = Denied()
    """What is never changed, whatever else is said. A namespace is the target's own, or the alert's label."""
    allow: Allowed = Allowed()
    """What alone may be changed, where anything is listed here: `targets` and `namespaces` together say which targets,
    and `labels` only narrow that, because whoever sends alerts says what is in them."""
