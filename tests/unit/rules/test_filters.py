"""The filters that Jinja2 does not have: `promql`, `promql_regex` and `difference`."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediator.errors import BadExpression
from remediator.rules.expressions import Names, Scope, parse_expression, parse_template

MEANT = {
    "\\\\": "\\",
    "\\x22": '"',
    "\\x27": "'",
    "\\x60": "`",
    "\\n": "\n",
    "\\r": "\r",
    "\\x00": "\x00",
    "\\ufffd": "\ufffd",
}


def rendered(template: str, service: str) -> str:
    return str(parse_template(template, Names()).render(Scope({"service": service})))


@pytest.mark.parametrize(
    ("value", "text", "pattern"),
    [
        ("web-1", "web-1", "web-1"),
        (
            'a"} or vector(1) or up{x="',
            r"a\x22} or vector(1) or up{x=\x22",
            r"a\x22\\} or vector\\(1\\) or up\\{x=\x22",
        ),
        ("it's", r"it\x27s", r"it\x27s"),
        ("`} or x{a=`", r"\x60} or x{a=\x60", r"\x60\\} or x\\{a=\x60"),
        ("a\\", r"a\\", r"a\\\\"),
        ("a\nb", r"a\nb", r"a\nb"),
        (".*|x", ".*|x", r"\\.\\*\\|x"),
        ("", "", ""),
    ],
)
def test_a_value_is_written_so_that_it_stays_a_value(value: str, text: str, pattern: str) -> None:
    """A sender that can name a service must not be able to write a query."""
    assert (text, pattern) == (
        rendered("{{ labels.service|promql }}", value),
        rendered("{{ labels.service|promql_regex }}", value),
    )


@given(st.text())
def test_what_prometheus_reads_is_the_value_itself(value: str) -> None:
    """In either kind of quotes; its lexer ends a string at the same quote and at a newline only."""
    text = rendered("{{ labels.service|promql }}", value)

    assert not set("\"'\n\r\x00\ufffd") & set(text)
    assert value == re.sub(r"\\(?:x..|ufffd|.)", lambda found: MEANT[found[0]], text, flags=re.DOTALL)


def test_it_is_text_and_bounded() -> None:
    """Six times a long label would be longer than any query that is meant."""
    assert "5" == str(parse_template("{{ 5|promql }}", Names()).render(Scope({})))
    with pytest.raises(BadExpression, match="larger than 64 KiB"):
        rendered("{{ labels.service|promql }}", "'" * 20_000)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("[2, 4, 8]|difference({'2': 1, '8': 1})", [4]),
        ("['a', 'b', 'a']|difference(['b'])", ["a", "a"]),
        ("[1, 2]|difference(['1', 2.5])", [2]),
        ("[]|difference([1])", []),
        ("{'x': 1, 'y': 2}|difference(['x'])", ["y"]),
        ("[true, {'a': 1}]|difference(['true', {'a': 1}])", []),
    ],
)
def test_difference_is_what_the_other_lacks_compared_as_text(source: str, expected: list[object]) -> None:
    """Keys of JSON are text, and what they stand for is often a number."""
    assert expected == parse_expression(source, Names()).evaluate(Scope({}))


@pytest.mark.parametrize(
    "source", ["[1]|difference('1')", "'1'|difference([1])", "[1]|difference(1)", "[none]|difference([])"]
)
def test_difference_refuses_what_is_no_list(source: str) -> None:
    """Text would be taken apart into letters, and what is missing would be taken for nothing."""
    with pytest.raises(BadExpression):
        parse_expression(source, Names()).evaluate(Scope({}))
