"""Patterns find the targets that people mean, and no name can pass for another."""

import pytest

from remediator.model.pattern import parse_glob, parse_pattern
from remediator.model.target import Target


@pytest.mark.parametrize(
    ("pattern", "target", "expected"),
    [
        ("docker:local/postgres*", Target("docker", ("local", "postgres-1"), "4f5e"), True),
        ("docker:local/postgres*", Target("docker", ("local", "my-postgres"), "4f5e"), False),
        ("docker:local/postgres", Target("docker", ("local", "postgres-1")), False),
        ("docker:local/Postgres*", Target("docker", ("local", "postgres-1")), False),
        ("docker:*", Target("docker", ("local", "web")), True),
        ("*postgres*", Target("postgres", ("main",)), True),
        ("*", Target("docker", ("local", "web")), True),
        ("docker:local/web?", Target("docker", ("local", "web1")), True),
        ("docker:local/web?", Target("docker", ("local", "web")), False),
        ("postgres:main db", Target("postgres", ("main db",)), True),
        ("postgres:main%20db", Target("postgres", ("main db",)), True),
        ("tcp:db:5432", Target("tcp", ("db:5432",)), True),
        ("files:wal/ä*", Target("files", ("wal", "ärger")), True),
        ("docker:local/web", Target("docker", ("local/web",)), False),
        ("files:wal/a", Target("files", ("wal", "*")), False),
        ("docker:local/web", Target("docker", ("local", "web\n")), False),
    ],
)
def test_a_pattern_finds_what_it_says(pattern: str, target: Target, expected: bool) -> None:
    """A denial that finds less than it says is worth nothing."""
    assert expected == parse_pattern(pattern).matches(target.name)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgres*", "write it with its system"),
        ("", "write it with its system"),
        ("docker:local/web@4f5e", "leave out the `@`"),
        ("docker:local/[ab]", "only `\\*` and `\\?`"),
    ],
)
def test_a_pattern_that_could_find_nothing_is_refused(text: str, expected: str) -> None:
    """It would protect nothing, and nobody would know."""
    with pytest.raises(ValueError, match=expected):
        parse_pattern(text)


@pytest.mark.parametrize("text", ["", "[ab]*"])
def test_a_pattern_on_plain_names_that_could_find_nothing_is_refused(text: str) -> None:
    """The same holds of namespaces."""
    with pytest.raises(ValueError):
        parse_glob(text)
