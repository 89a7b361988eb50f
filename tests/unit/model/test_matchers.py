"""Matchers read as Alertmanager reads them."""

from collections.abc import Callable

import pytest

from remediator.model.matchers import Matcher, parse_classic, parse_matcher, parse_matchers, parse_utf8


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
    ("text", "expected"),
    [
        pytest.param('alertname=~"A|B"', Matcher("alertname", "A|B", is_regex=True), id="regex"),
        pytest.param("alertname!~x", Matcher("alertname", "x", negated=True, is_regex=True), id="no-regex"),
        pytest.param('{a="b"}', Matcher("a", "b"), id="braces"),
        pytest.param('{a="b",}', Matcher("a", "b"), id="trailing-comma"),
        pytest.param('a="b"}', Matcher("a", "b"), id="classic-forgives-one-brace"),
        pytest.param('"a"="b"', Matcher("a", "b"), id="utf8-quoted-name"),
        pytest.param('"my label"="b"', Matcher("my label", "b"), id="utf8-space-in-name"),
        pytest.param("my-label=b", Matcher("my-label", "b"), id="utf8-dash-in-name"),
        pytest.param("größe=b", Matcher("größe", "b"), id="utf8-name"),
        pytest.param(r'"a"="\u00fc\x41\t\101"', Matcher("a", "üA\tA"), id="utf8-escapes-of-go"),
        pytest.param(r'a="\t"', Matcher("a", r"\t"), id="they-differ-so-classic-counts"),
        pytest.param("a=b c", Matcher("a", "b c"), id="only-classic-takes-a-bare-blank"),
        pytest.param("a=", Matcher("a", ""), id="only-classic-takes-no-value"),
    ],
)
def test_what_only_one_grammar_reads_is_read_by_that_and_else_the_classic_one_counts(
    text: str, expected: Matcher
) -> None:
    """As Alertmanager does it since 0.27, when it runs without flags."""
    assert expected == parse_matcher(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("{}", []),
        ('{a="b",c!="d"}', [Matcher("a", "b"), Matcher("c", "d", negated=True)]),
        ("a=b, c=~d.*", [Matcher("a", "b"), Matcher("c", "d.*", is_regex=True)]),
        ('a="b,c",d=e,', [Matcher("a", "b,c"), Matcher("d", "e")]),
        (r'a="say \"x, y\"",b=c', [Matcher("a", 'say "x, y"'), Matcher("b", "c")]),
    ],
)
def test_several_matchers_are_separated_by_commas_outside_of_quotes(text: str, expected: list[Matcher]) -> None:
    """People copy them from routes and silences."""
    assert expected == list(parse_matchers(text))


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        *((parse_classic, text) for text in ("a", "2a=b", "=b", 'a="b', 'a=b"', 'a="b"c"', r'a="b\"', ",", "a=b,,c=d")),
        *(
            (parse_utf8, text)
            for text in ("a", "a=", "=b", 'a="b', "{a=b", "a=b}", "a=b c=d", "a=b,,c=d", ",", "a==b", "a=b'", "a=`b`")
        ),
        *(
            (parse_utf8, text)
            for text in (r'a="\q"', r'a="\xff"', r'a="\ud800"', r'a="\400"', 'a="x\ny"', r"a=b\c", "a!b")
        ),
    ],
)
def test_what_a_grammar_does_not_have_is_refused(parse: Callable[[str], object], text: str) -> None:
    """What is read in another way than Alertmanager's would route an alert elsewhere than people think."""
    with pytest.raises(ValueError):
        parse(text)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("alertname", "is not a matcher"),
        ("", "holds no matchers"),
        ("a==b", 'did you mean `a="b"`'),
        ('a="b", c="d"', "an item of its own"),
        ('a="b', "do not fit together"),
        ('a=~"b("', "missing )"),
        (r'a=~"(?<=b)c"', "cannot be read (RE2)"),
    ],
)
def test_a_bad_matcher_says_what_is_wrong(text: str, part: str) -> None:
    """A matcher that silently means something else acts on the wrong alerts."""
    with pytest.raises(ValueError) as caught:
        parse_matcher(text)

    assert part in str(caught.value)


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("a=~b", "b", True),
        ("a=~b", "abc", False),
        ("a=~b.*", "bcd", True),
        ("a=~b.d", "b\nd", False),
        ("a=~b|c", "c", True),
        ("a=~b|c", "bc", False),
        ('a=~"(b|c)d?"', "cd", True),
        (r'a=~"\\d+"', "42", True),
        ("a=~.*", "", True),
        ("a=~.+", "", False),
        ("a!~.+", "", True),
        ("a=~", "", True),
        ("a!~b|", "", False),
        ("a=~(?i)down", "DOWN", True),
        ("a=~ü+", "üü", True),
    ],
)
def test_a_regular_expression_matches_the_whole_value(text: str, value: str, expected: bool) -> None:
    """RE2, anchored at both ends, and a dot is no newline."""
    assert expected is parse_matcher(text).matches({"a": value} if value else {})


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a=b", ("b",)), ("a=~b|c", ("b", "c")), ("a=~b.|c", None), ("a!=b", None), ("a!~b|c", None), ("a=~", ("",))],
)
def test_a_book_knows_what_a_matcher_can_match(text: str, expected: tuple[str, ...] | None) -> None:
    """Rules are filed under these values."""
    assert expected == parse_matcher(text).values


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
