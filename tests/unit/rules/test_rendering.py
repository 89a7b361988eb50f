"""Steps render their parameters for one alert, typed and strict."""

from datetime import timedelta
from typing import Any

import pytest

from remediator.errors import BadExpression, BadRules, NoEvidence
from remediator.model.facts import Evidence
from remediator.rules.book import Rule, Step, compile_rule
from remediator.rules.expressions import Scope
from tests.unit.rules.sample_actions import ACTIONS, Which

VARS = {"tail": 7, "ports": [80, 443]}


def rule_of(params: dict[str, Any], **more: Any) -> Rule:
    rule = {
        "name": "down",
        "match": ["alertname=Down"],
        "diagnose": {"state": {"thing.look": {"name": "{{ labels.service }}"}}},
        "remediate": [{"do": [{"thing.kick": params}]}],
        **more,
    }
    return compile_rule({"pack": "test", "vars": VARS, "rule": rule}, ACTIONS)


def step_of(params: dict[str, Any]) -> Step:
    return rule_of(params).rungs[0].steps[0]


def test_parameters_are_rendered_in_depth_and_validated() -> None:
    """The action gets its own model, whatever mixture of literals and expressions the rule had."""
    step = step_of(
        {
            "name": "{{ labels.service }}-1",
            "tail": "{{ vars.tail }}",
            "grace": "1m",
            "labels": {"{{ key }}": "{{ labels.service }}"},
            "ports": "{{ vars.ports }}",
        }
    )
    rendered = step.render(Scope({"service": "web"}, vars=VARS))

    assert (
        Which(
            name="web-1",
            tail=7,
            grace=timedelta(minutes=1),
            labels={"{{ key }}": "web"},
            ports=(80, 443),
        )
        == rendered.params
    )
    assert frozenset() == rendered.missing_labels


def test_missing_labels_of_any_parameter_are_named() -> None:
    """The plan is refused with the names, so that the sender can be put right."""
    rendered = step_of({"name": "x{{ labels.a }}", "labels": {"k": "{{ labels.b }}"}}).render(Scope({}))

    assert {"a", "b"} == rendered.missing_labels


@pytest.mark.parametrize(
    ("params", "labels", "part"),
    [
        ({"name": "x", "tail": "{{ labels.n }}"}, {"n": "many"}, "tail: `tail` takes a whole number"),
        ({"name": "x", "tail": "{{ labels.n }}"}, {"n": "0"}, "tail: `tail` is 1 at the least"),
        ({"name": "x", "level": "{{ labels.n }}"}, {"n": "sofd"}, "'soft' or 'hard'; did you mean `soft`?"),
        ({"name": "x", "ports": ["{{ labels.n }}"]}, {"n": "q"}, "ports.0: item 1 of `ports`"),
        ({"name": "x", "tail": "{{ labels.n | int }}"}, {"n": "q"}, "'q' is not a number"),
    ],
)
def test_a_bad_value_names_step_and_field(params: dict[str, Any], labels: dict[str, str], part: str) -> None:
    """A person who reads the refusal knows where to look."""
    with pytest.raises(BadExpression) as caught:
        step_of(params).render(Scope(labels))

    assert str(caught.value).startswith("remediate.0.0 (thing.kick): ")
    assert part in str(caught.value)


def test_failed_evidence_is_told_as_such() -> None:
    """It ends the ladder, which a bad value does not."""
    failed = Evidence("thing.look", ok=False, result={}, brief="no answer", detail="", seconds=1)

    with pytest.raises(NoEvidence, match="`state`"):
        step_of({"name": "{{ steps.state.status }}"}).render(Scope({}, steps={"state": failed}))


def test_a_rule_has_its_parts() -> None:
    """Ids of steps are what facts and plans refer to."""
    rule = rule_of(
        {"name": "x"},
        verify={
            "within": "5m",
            "checks": [{"thing.look": {"name": "x"}, "timeout": "3s", "expect": "not result.crashed"}],
        },
    )

    assert "test/down" == rule.id
    assert ["diagnose.state"] == [step.id for step in rule.diagnose]
    assert [("thing.kick", False, None)] == [(rung.name, rung.gated, rung.when) for rung in rule.rungs]
    assert ["remediate.0.0"] == [step.id for step in rule.rungs[0].steps]
    assert [("verify.0", timedelta(seconds=3), "not result.crashed")] == [
        (check.step.id, check.step.timeout, check.expect.source) for check in rule.verify.checks
    ]
    assert (timedelta(seconds=5), timedelta(seconds=10), timedelta(minutes=5), timedelta(seconds=2)) == (
        rule.verify.settle,
        rule.verify.sustain,
        rule.verify.within,
        rule.verify.every,
    )
    assert "Down" == rule.summary.render(Scope({"alertname": "Down"}))


def test_a_stored_rule_is_the_same_rule() -> None:
    """A run keeps the rule that it started with: its document is all of it."""
    rule = rule_of({"name": "{{ labels.x }}"})
    again = compile_rule(rule.document, ACTIONS)

    assert rule.digest == again.digest
    assert rule == again


@pytest.mark.parametrize("change", [{"vars": {"tail": 8}}, {"pack": "other"}])
def test_the_digest_covers_pack_and_vars(change: dict[str, Any]) -> None:
    """Another value of a variable is another rule."""
    rule = rule_of({"name": "x"})
    other = compile_rule({**rule.document, **change}, ACTIONS)

    assert rule.digest != other.digest


def test_a_stored_rule_that_no_longer_fits_says_where() -> None:
    """An action may lose a parameter while a run of the old rule waits."""
    document = {"pack": "p", "vars": {}, "rule": {"name": "r", "match": ["a=b"], "diagnose": {"s": {"thing.lok": {}}}}}

    with pytest.raises(BadRules) as caught:
        compile_rule(document, ACTIONS)

    assert (
        "stored rule p/r: rule.diagnose.s.thing.lok: there is no action `thing.lok`; did you mean `thing.look`?"
        == str(caught.value)
    )


@pytest.mark.parametrize("document", [{}, {"pack": "p", "vars": {}, "rule": 5}, {"pack": "p", "vars": {}, "rule": {}}])
def test_what_is_no_rule_is_refused(document: dict[str, Any]) -> None:
    """A damaged store must not come up as a crash."""
    with pytest.raises(BadRules):
        compile_rule(document, ACTIONS)
