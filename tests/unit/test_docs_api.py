"""The examples of the pages that call the API are calls that it knows, with bodies that it takes."""

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from jsonschema import Draft202012Validator

from remediator.web.operations import OPERATIONS
from remediator.web.operations.operation import Operation

DOCS = Path(__file__).parents[2] / "docs"
BASE = "http://127.0.0.1:9099"


@dataclass
class Example:
    """A call as an example makes it."""

    url: str = ""
    method: str = "GET"
    body: str | None = None
    headers: list[str] = field(default_factory=list)


def examples() -> list[str]:
    """Every call with curl to our own address, each on one line."""
    texts = (page.read_text().replace("\\\n", " ") for page in sorted(DOCS.glob("*.md")))
    return [line.strip() for text in texts for line in text.splitlines() if line.startswith("curl ") and BASE in line]


def read(line: str) -> Example:
    found = Example()
    words = iter(shlex.split(line)[1:])
    for word in words:
        if word == "-d":
            found.body, found.method = next(words), "POST"
        elif word == "-H":
            found.headers.append(next(words))
        elif word == "-X":
            found.method = next(words)
        elif word == "--retry":
            next(words)
        elif word.startswith("http"):
            found.url = word
        else:
            assert word in ("-s", "-sS", "--retry-connrefused"), word
    return found


def known(example: Example) -> Operation:
    """The one call of the table that it is."""
    path = urlsplit(example.url).path
    (found,) = (
        one
        for one in OPERATIONS.values()
        if one.method == example.method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", one.path), path)
    )
    return found


@pytest.mark.parametrize("line", examples())
def test_an_example_is_a_call_that_the_api_knows(line: str) -> None:
    """People copy them."""
    example = read(line)
    operation = known(example)
    given = [name for name, _ in parse_qsl(urlsplit(example.url).query)]

    assert set(given) <= {one.name for one in operation.parameters if one.place == "query"}
    assert (operation.scope is not None) is ("Authorization: Bearer $REMEDIATOR_TOKEN" in example.headers)
    assert (operation.body is None) is (example.body is None)
    if operation.body is not None and example.body is not None:
        Draft202012Validator(operation.body.shape).validate(json.loads(example.body))


def test_the_page_of_the_api_has_examples() -> None:
    """Else the table above would be empty, and nobody the wiser."""
    assert len(examples()) >= 6
