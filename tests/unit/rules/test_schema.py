"""The JSON Schema of rule files takes what the service takes, and refuses what a schema can tell to be wrong."""

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from remediator.documents import read_document
from remediator.plugins import Actions
from remediator.rules.schema import DIALECT, schema_of_rules
from tests.unit.rules.sample_actions import ACTIONS

ROOT = Path(__file__).parents[3]
INSTALLED = schema_of_rules(Actions.installed())
SAMPLE = schema_of_rules(ACTIONS)
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FENCES = [
    pytest.param(text, id=f"{page.name}-{number}")
    for page in PAGES
    for number, text in enumerate(re.findall(r"^```yaml rule-file\n(.*?)^```$", page.read_text(), re.M | re.S))
]
SHIPPED = sorted((ROOT / "rules").rglob("*.yaml"))
GOOD = sorted((ROOT / "tests" / "rules" / "good").rglob("*.yaml"))
BAD = ROOT / "tests" / "rules" / "bad"


def complaints(text: str, schema: dict[str, Any]) -> list[str]:
    """What a validator says of a rule file."""
    data = read_document(text, name="x").data
    return [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(data)]


@pytest.mark.parametrize("schema", [INSTALLED, SAMPLE], ids=["installed", "sample"])
def test_the_schema_is_one(schema: dict[str, Any]) -> None:
    """An editor that cannot read it checks nothing, and says nothing."""
    jsonschema.Draft202012Validator.check_schema(schema)

    assert DIALECT == schema["$schema"]


def test_every_reference_in_the_schema_leads_somewhere() -> None:
    """One that does not is found out only by whoever meets it."""
    names = {f"#/$defs/{name.replace('/', '~1')}" for name in INSTALLED["$defs"]}

    assert set(references(INSTALLED)) <= names


def references(value: Any) -> list[str]:
    if isinstance(value, list):
        return [found for item in value for found in references(item)]
    if not isinstance(value, dict):
        return []
    return [found for key, item in value.items() for found in ([item] if key == "$ref" else references(item))]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_rules_are_right(path: Path) -> None:
    """Red lines under what works teach people to look away."""
    assert [] == complaints(path.read_text(), INSTALLED)


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.name)
def test_everything_that_the_language_has_is_right(path: Path) -> None:
    """The good examples use each key and each way of writing."""
    assert [] == complaints(path.read_text(), SAMPLE)


@pytest.mark.parametrize("text", FENCES)
def test_examples_of_the_documents_are_right(text: str) -> None:
    """They are what people begin with, in an editor."""
    assert [] == complaints(text, INSTALLED)


SHAPE = [
    "a-list",
    "braces-in-a-list",
    "change-in-a-check",
    "change-in-diagnose",
    "check-without-expect",
    "compute-mistaken",
    "duration-without-unit",
    "empty",
    "expect-in-diagnose",
    "expression-without-quotes-goes-on",
    "expression-without-quotes",
    "fifth-mistake-is-told-too",
    "gate-is-yes",
    "gate-mistaken",
    "group-by-mistaken",
    "match-is-a-mapping",
    "match-item-is-a-mapping",
    "match-missing",
    "mode-unknown",
    "name-is-not-a-slug",
    "no-matchers",
    "no-rules",
    "not-supported-yet",
    "parameter-of-the-wrong-type",
    "parameters-not-indented",
    "rung-without-steps",
    "step-id-with-a-dash",
    "step-is-text",
    "step-without-action",
    "tab",
    "two-actions-in-a-step",
    "unknown-action",
    "unknown-keys",
    "unknown-parameter",
    "version-unknown",
    "when-is-a-boolean",
]


@pytest.mark.parametrize("name", SHAPE)
def test_mistakes_of_shape_are_told(name: str) -> None:
    """Unknown keys, actions and parameters, and values of a wrong type: while a rule is written."""
    assert complaints((BAD / f"{name}.yaml").read_text(), SAMPLE)


PACK = "pack: p\nrules:\n  - name: r\n    match: [a=b]\n"
CHANGES = {
    "two actions": "remediate: [{do: [{thing.kick: {name: a}, thing.any: {name: a}}]}]",
    "no action": "remediate: [{do: [{timeout: 5s}]}]",
    "neither do nor tell": "remediate: [{when: true}]",
    "do and tell": "remediate: [{do: [{thing.kick: {name: a}}], tell: a}]",
    "a change that looks": "diagnose: {a: {thing.kick: {name: a}}}",
    "compute that acts": "remediate: [{do: [{compute: {let: {a: '1'}}}]}]",
    "a check that expects nothing": "verify: {checks: [{thing.look: {name: a}}]}",
    "a number for text": "diagnose: {a: {thing.look: {name: 5}}}",
    "text for a number": "diagnose: {a: {thing.look: {name: a, tail: many}}}",
    "an unknown parameter": "diagnose: {a: {thing.look: {name: a, nme: b}}}",
    "a parameter too few": "diagnose: {a: {thing.look: {}}}",
    "a duration in words": "verify: {within: five minutes}",
    "a matcher for the name of an alert": "depends: ['alertname=a']",
    "an alert to depend on that is nobody's": "depends: [{match: []}]",
    "an approver alone": "remediate: [{gate: {approvers: sre}, do: [{thing.kick: {name: a}}]}]",
}


@pytest.mark.parametrize("rule", CHANGES.values(), ids=CHANGES.keys())
def test_a_wrong_rule_is_told(rule: str) -> None:
    """What a schema can tell without knowing what the words mean."""
    assert [] == complaints(PACK, SAMPLE)
    assert complaints(f"{PACK}    {rule}\n", SAMPLE)


RIGHT = {
    "an expression for a number": 'diagnose: {a: {thing.look: {name: a, tail: "{{ vars.n }}"}}}',
    "an expression for a duration": 'verify: {within: "{{ vars.t }}", settle: 1s, sustain: 1s}',
    "an expression within a mapping": 'diagnose: {a: {thing.look: {name: a, labels: {b: "{{ labels.c }}"}}}}',
    "a gate that is true": "remediate: [{gate: true, do: [{thing.kick: {name: a}}]}]",
    "a gate with people": "remediate: [{gate: {approvers: [sre], quorum: 2}, do: [{thing.kick: {name: a}}]}]",
    "advice": "remediate: [{tell: look yourself}]",
    "what is computed": "diagnose: {a: {compute: {let: {b: '1 + 1'}}, timeout: 5s}}",
    "alerts to depend on": "depends: [PostgreSQLDown, {match: ['alertname=~\"A|B\"', 'cluster=\"main\"']}]",
    "what depends on the settings": "diagnose: {a: {thing.any: {name: a}}}",
    "no matcher's syntax": "summary: anything",
}


@pytest.mark.parametrize("rule", RIGHT.values(), ids=RIGHT.keys())
def test_a_right_rule_is_let_be(rule: str) -> None:
    """Each of these is a place where a stricter schema would be wrong."""
    assert [] == complaints(f"{PACK}    {rule}\n", SAMPLE)


@pytest.mark.parametrize(
    ("text", "is_right"),
    [
        ("overlay: p\nvars: {a: 1}\nmodes: {r: auto}\n", True),
        ("overlay: p\nmodes: {r: autto}\n", False),
        ("overlay: p\nrules: []\n", False),
        ("overlay: p\npack: p\n", False),
        ("vars: {}\n", False),
    ],
    ids=["right", "unknown-mode", "with-rules", "pack-as-well", "neither"],
)
def test_overlays_have_their_own_keys(text: str, is_right: bool) -> None:
    """One schema for both, as both stand in the same folders."""
    assert is_right is not bool(complaints(text, SAMPLE))
