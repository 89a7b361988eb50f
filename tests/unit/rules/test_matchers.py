"""Matchers read as Alertmanager's classic grammar reads them."""

import pytest

from remediator.rules.matchers import Matcher, parse_matcher


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('alertname="ServiceDown"', Matcher("alertname", "ServiceDown")),
        ("alertname=ServiceDown", Matcher("alertname", "ServiceDown")),
        (' severity != "info" ', Matcher("severity", "info", negated=True)),
        ("job:up_rate=x", Matcher("job:up_rate", "x")),
        ('a=""', Matcher("a", "")),
        ("a=", Matcher("a", "")),
        (r'a="say \"hi\""', Matcher("a", 'say "hi"')),
        (r'a="one\ntwo"', Matcher("a", "one\ntwo")),
        (r'a="C:\\temp"', Matcher("a", r"C:\temp")),
        (r'a="\d"', Matcher("a", r"\d")),
        ("a=b\\", Matcher("a", "b\\")),
        ("a=two words", Matcher("a", "two words")),
        ("a='b'", Matcher("a", "'b'")),
        ('a="=b"', Matcher("a", "=b")),
        ("a=ü", Matcher("a", "ü")),
    ],
)
def test_classic_syntax_is_read(text: str, expected: Matcher) -> None:
    """People copy matchers from their routes; they must mean the same here."""
    matcher = parse_matcher(text)

    assert expected == matcher


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ('alertname=~"A|B"', "regular expressions (`=~`) are not supported yet"),
        ("alertname!~x", "regular expressions (`!~`) are not supported yet"),
        ("alertname", "is not a matcher"),
        ("", "is not a matcher"),
        ("2a=b", "is not a matcher"),
        ("my-label=b", "is not a matcher"),
        ("a==b", "did you mean `a=b`"),
        ('{a="b"}', "without braces"),
        ('a="b", c="d"', "an item of its own"),
        ('a="b', "do not fit together"),
        ('a=b"', "do not fit together"),
        ('a="b"c"', "do not fit together"),
        (r'a="b\"', "do not fit together"),
    ],
)
def test_a_bad_matcher_says_what_is_wrong(text: str, part: str) -> None:
    """A matcher that silently means something else acts on the wrong alerts."""
    with pytest.raises(ValueError) as caught:
        parse_matcher(text)

    assert part in str(caught.value)


@pytest.mark.parametrize(
    ("text", "labels", "expected"),
    [
        ("a=b", {"a": "b"}, True),
        ("a=b", {"a": "B"}, False),
        ("a=b", {}, False),
        ("a!=b", {}, True),
        ("a!=b", {"a": "b"}, False),
        ("a=", {}, True),
        ("a!=", {}, False),
        ("a!=", {"a": "x"}, True),
    ],
)
def test_a_missing_label_is_the_empty_string(text: str, labels: dict[str, str], expected: bool) -> None:
    """So it is in Alertmanager; a rule must match there and here alike."""
    matches = parse_matcher(text).matches(labels)

    assert expected is matches


@pytest.mark.parametrize("value", ["x", 'a"b', "a\nb", "a\\b", "\\n", ""])
def test_what_is_printed_can_be_read_again(value: str) -> None:
    """Matchers are shown in mistakes; people copy them from there."""
    matcher = Matcher("a", value, negated=True)

    assert matcher == parse_matcher(str(matcher))
