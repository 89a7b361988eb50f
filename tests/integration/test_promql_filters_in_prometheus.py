"""A real Prometheus reads what `|promql` and `|promql_regex` write as the value, in both kinds of quotes."""

import json
import urllib.parse
import urllib.request
from collections.abc import Iterator

import pytest

from remediator.rules.expressions import Names, Scope, parse_template
from tests import services

VALUES = [
    "web",
    'quo"te',
    "apo'strophe",
    "back\\slash",
    "two\nlines",
    "cr\rlf\r\n",
    "tab\t",
    "`tick`",
    ".*",
    "a|b",
    "^$()[]{}?+",
    "ünï",
    "\ufffd",
    '"} or vector(1) #',
    "\\x22",
    "\\",
]


@pytest.fixture(scope="module")
def prometheus() -> Iterator[services.Service]:
    services.requires("prometheus")
    with services.prometheus() as running:
        yield running


@pytest.mark.parametrize("quote", ['"', "'"])
@pytest.mark.parametrize("value", VALUES)
def test_the_value_arrives_as_it_is(prometheus: services.Service, value: str, quote: str) -> None:
    """`label_replace` gives the text back as a label; the pattern has to match it, whole, and nothing else."""
    text = f"{quote}{{{{ labels.x|promql }}}}{quote}"
    if "$" in value:  # label_replace has a meaning of its own for it
        text = '"' + value.replace("$", "$$") + '"'
    pattern = f"{quote}{{{{ labels.x|promql_regex }}}}{quote}"
    query = f'label_replace(label_replace(vector(1), "made", {text}, "", ""), "matched", "yes", "made", {pattern})'
    rendered = parse_template(query, Names()).render(Scope({"x": value}))
    body = urllib.parse.urlencode({"query": rendered}).encode()
    with urllib.request.urlopen(f"{prometheus.address}/api/v1/query", data=body, timeout=10) as answer:
        (found,) = json.load(answer)["data"]["result"]

    assert {"made": value, "matched": "yes"} == found["metric"]
