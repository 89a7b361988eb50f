"""Counting lines by named patterns."""

import pytest
from pydantic import ValidationError

from remediator.actions.counting import Counted, CountingParams, LineCounter
from remediator.kit.redaction import Redactor


def test_each_pattern_counts_its_lines_and_keeps_the_newest() -> None:
    """The newest say what is wrong now; a pattern that is not found is 0, so that conditions can ask for it."""
    counter = LineCounter({"append": "WAL append", "full": "(?i)no space", "never": "^x$"}, 2)

    counter.feed(["WAL append error: No space left", "fine", b"WAL append error: \xff 2"])
    counter.feed(["WAL append error 3\r\n"])

    assert {"append": 3, "full": 1, "never": 0} == counter.counts
    assert ("WAL append error: \ufffd 2", "WAL append error 3") == counter.examples["append"]
    assert () == counter.examples["never"]
    assert 4 == counter.lines


def test_long_and_broken_lines_do_no_harm() -> None:
    """Lines are anybody's."""
    counter = LineCounter({"a": "a"}, 1)
    counter.feed(["a" * 1_000_000, "half \ud800 a"])

    assert {"a": 2} == counter.counts
    counter.feed(["a b " * 1_000_000])
    assert 280 < len(counter.examples["a"][0]) <= 300
    assert counter.examples["a"][0].startswith("a b a b ")


@pytest.mark.parametrize("before", range(200, 320, 7))
def test_an_example_is_not_cut_within_a_secret(before: int) -> None:
    """What is left of one is not known as one by whoever redacts it later, and would be told."""
    configured, token = "S3cr3tValue" * 4, "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.SflKxwRJSMeKKF2QT4fwpM"
    counter = LineCounter({"a": "error"}, 1)
    for secret in (configured, token):
        counter.feed([f"error {'y' * before} {secret} and so on {'z' * 300}"])
        told = Redactor([configured]).text(counter.examples["a"][0])
        assert secret[:5] not in told
        assert told.startswith("error")


def test_no_examples_where_none_are_wanted() -> None:
    """Lines may hold what is not for a chat."""
    counter = LineCounter({"a": "a"}, 0)
    counter.feed(["a"])

    assert {"a": ()} == counter.examples


def test_it_is_told_in_one_line_with_the_examples_below() -> None:
    """Counts first, then what they look like."""
    counted = Counted(
        counts={"tolerance": 40, "regime": 0}, examples={"tolerance": ("x", "y"), "regime": ()}, lines=12000
    )

    assert "12,000 lines: tolerance 40, regime 0" == counted.brief()
    assert "tolerance:\n  x\n  y" == counted.detail()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"patterns": {}}, "1 to 20 patterns"),
        ({"patterns": {f"p{n}": "x" for n in range(21)}}, "1 to 20 patterns"),
        ({"patterns": {"Bad": "x"}}, "'Bad' cannot name a pattern"),
        ({"patterns": {"1a": "x"}}, "cannot name a pattern"),
        ({"patterns": {"a": "("}}, r"cannot be read \(RE2\): missing \)"),
        ({"patterns": {"a": "(?=x)"}}, r"cannot be read \(RE2\)"),
        ({"patterns": {"a": ""}}, "1 to 1000 characters"),
        ({"patterns": {"a": "x" * 1001}}, "1 to 1000 characters"),
        ({"patterns": {"a": "x"}, "examples": 11}, "less than or equal to 10"),
        ({"patterns": {"a": "x"}, "examples": -1}, "greater than or equal to 0"),
    ],
)
def test_what_cannot_be_counted_is_refused(given: dict[str, object], said: str) -> None:
    """When the rule is loaded, with what to write instead."""
    with pytest.raises(ValidationError, match=said):
        CountingParams.model_validate(given)
