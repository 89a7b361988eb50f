"""The JSON Schema of the settings takes what the service takes, and refuses unknown names."""

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from remediator.documents import read_document
from remediator.settings.schema import schema_of_settings

ROOT = Path(__file__).parents[3]
VALIDATOR = jsonschema.Draft202012Validator(schema_of_settings())
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FENCES = [
    pytest.param(text, id=f"{page.name}-{number}")
    for page in PAGES
    for number, text in enumerate(re.findall(r"^```yaml settings\n(.*?)^```$", page.read_text(), re.M | re.S))
]


def complaints(text: str) -> list[str]:
    data: Any = read_document(text, name="x").data
    return [error.message for error in VALIDATOR.iter_errors(data)]


@pytest.mark.parametrize("text", FENCES)
def test_examples_of_the_documents_are_right(text: str) -> None:
    """They are what people begin with, in an editor."""
    assert [] == complaints(text)


def test_the_shipped_example_is_right_also_where_it_is_commented_out() -> None:
    """People take the marks away and expect it to work."""
    text = (ROOT / "remediator.example.yaml").read_text()

    assert [] == complaints(text)
    assert [] == complaints(re.sub(r"^#(?! \S|$)", "", text, flags=re.MULTILINE))


@pytest.mark.parametrize(
    "text",
    [
        "webhook: {tokens: [bare, {value: a}, {value_file: b}], users: {am: pass}}",
        "slack: {token_file: a}",
        "slack: {post_interval: 500ms}",
        "log: {level: debug}",
    ],
)
def test_a_right_setting_is_let_be(text: str) -> None:
    """A secret may be bare, a mapping, or in a file."""
    assert [] == complaints(text)


@pytest.mark.parametrize(
    "text",
    [
        "slak: {}",
        "slack: {tokn: a}",
        "slack: {post_interval: 5}",
        "slack: {post_interval: five seconds}",
        "mode_ceiling: gatted",
        "webhook: {tokens: [{}]}",
        "webhook: {tokens: [{value: a, value_file: b}]}",
        "rules: rules",
        "commands: {a: {argv: []}}",
    ],
)
def test_a_wrong_setting_is_told(text: str) -> None:
    """While it is written."""
    assert complaints(text)
