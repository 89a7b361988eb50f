"""Expressions: what they may say is checked at load, and what an alert says is only ever data."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remediator.errors import BadExpression, NoEvidence
from remediator.model.facts import Evidence
from remediator.rules.absence import Absences
from remediator.rules.expressions import Names, Scope, parse_expression, parse_template
from tests.unit.rules.sample_actions import State

VARS: dict[str, Any] = {
    "health": {"web": "http://127.0.0.1/health"},
    "limit": 5,
    "names": ["a", "b"],
    "none": None,
    "with-dash": "yes",
}
NAMES = Names(VARS, {"state": State, "gone": State, "odd": None}, None)
FOUND = {
    "status": "up",
    "crashed": True,
    "restarts": 3,
    "exit_code": None,
    "ports": [{"number": 80, "open": True}],
    "labels": {"app": "web"},
    "body": {"deep": [{"x": 7}]},
}
SCOPE = Scope(
    labels={
        "alertname": "Down",
        "service": "web",
        "replicas": "3",
        "items": "an item",
        "get": "got",
        "__class__": "first",
        "empty": "",
        "big": "x" * 60_000,
    },
    annotations={"runbook": "http://book"},
    vars=VARS,
    steps={
        "state": Evidence("thing.look", ok=True, result=FOUND, brief="", detail="", seconds=0.1),
        "gone": Evidence("thing.look", ok=False, result={}, brief="it did not answer", detail="", seconds=0.1),
    },
    starts_at=datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC),
    fingerprint="00ff",
)


def value_of(source: str) -> Any:
    return parse_expression(source, NAMES).evaluate(SCOPE)


def mistakes_in(source: str, names: Names = NAMES) -> str:
    with pytest.raises(BadExpression) as caught:
        parse_expression(source, names)
    return str(caught.value)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("labels.service", "web"),
        ("labels['service']", "web"),
        ("labels.nobody", ""),
        ("labels[vars.names[0]]", ""),
        ("annotations.runbook", "http://book"),
        ("alert.name", "Down"),
        ("alert.fingerprint", "00ff"),
        ("alert.starts_at", "2025-01-02T03:04:05+00:00"),
        ("vars.limit", 5),
        ("vars['with-dash']", "yes"),
        ("vars.health[labels.service]", "http://127.0.0.1/health"),
        ("vars.health[labels.nobody] | default('none')", "none"),
        ("vars.health[labels.nobody].deeper is defined", False),
        ("vars.names[-1]", "b"),
        ("steps.state.crashed", True),
        ("steps.state.crashed and steps.state.restarts > 2", True),
        ("steps.state.exit_code is none", True),
        ("steps.state.ports[0].number", 80),
        ("(steps.state.ports | first).open", True),
        ("steps.state.labels.app", "web"),
        ("steps.state.labels['app']", "web"),
        ("steps.state.body.deep[0].x", 7),
        ("steps.state.status in ['up', 'starting']", True),
        ("'replicas' in labels", True),
        ("'empty' in labels", False),
        ("labels.replicas | int + 1", 4),
        ("labels.service | int(9)", 9),
        ("labels.nobody | default('web')", "web"),
        ("labels.service.upper().removesuffix('B')", "WE"),
        ("labels.service.split('e')", ["w", "b"]),
        ("labels.service | upper ~ '-' ~ vars.limit ~ true", "WEB-5true"),
        ("labels.big[:3] | length", 3),
        ("'../x?' | urlencode", "..%2Fx%3F"),
        ("{'a': [labels.service]} | tojson", '{"a": ["web"]}'),
        ("'<b>' | tojson", '"<b>"'),
        ("7.5 | round", 8.0),
        ("7.1 | round(0, 'ceil')", 8.0),
        ("'one two three' | truncate(7)", "one..."),
        ("[3, 1] | max", 3),
        ("1 if labels.service == 'web' else 2", 1),
        ("6 is divisibleby 3", True),
    ],
)
def test_an_expression_comes_to_its_value(source: str, expected: object) -> None:
    """The language is Jinja2's, as its users know it."""
    value = value_of(source)

    assert expected == value
    assert type(expected) is type(value)


@pytest.mark.parametrize("name", ["items", "get", "__class__"])
def test_a_label_called_like_a_method_is_that_label(name: str) -> None:
    """Anybody names labels; a name must never reach into Python."""
    assert SCOPE.labels[name] == value_of(f"labels.{name}")
    assert SCOPE.labels[name] == value_of(f"labels['{name}']")


@pytest.mark.parametrize(
    ("source", "part"),
    [
        ("servce", "`servce` is not known here"),
        ("service", "a label is `labels.service`"),
        ("lables.x", "did you mean `labels`?"),
        ("vars.helth.web", "`vars` has no `helth`; did you mean `health`?"),
        ("vars.health.wep", "did you mean `web`?"),
        ("vars.limit.x", "`vars.limit` is a number"),
        ("vars.names[2]", "has 2 items"),
        ("steps.stat.crashed", "did you mean `state`?"),
        ("steps.state.crash", "did you mean `crashed`?"),
        ("steps.state.ports[0].numbr", "did you mean `number`?"),
        ("steps.state.ports.number", "is a list"),
        ("steps.state.status.x", "has no `x`"),
        ("steps[labels.x].crashed", "which one it is must be known at load"),
        ("steps.state[labels.x]", "must be written out"),
        ("steps", "followed by a step's id"),
        ("[steps]", "followed by a step's id"),
        ("(labels.a or vars).b", "cannot be checked"),
        ("result.status", "only `expect` has it"),
        ("alert.nam", "did you mean `name`?"),
        ("labels.service.upper", "a method is called: `upper()`"),
        ("labels.service.format(1)", "cannot be called"),
        ("labels.service.__class__", "has no `__class__`"),
        ("''.__class__.__mro__", "no parts"),
        ("range(3)", "cannot be called"),
        ("lipsum", "not known"),
        ("self", "not known"),
        ("labels | attr('x')", "no filter `attr`"),
        ("labels | map('x')", "no filter `map`"),
        ("labels.x | lowr", "did you mean `lower`?"),
        ("labels.x is callable", "no test `is callable`"),
        ("labels.x | replace('a')", "missing a required argument"),
        ("labels.x | replace(*[1, 2])", "cannot be used among arguments"),
        ("2 ** 9", "`**` cannot be used"),
        ("labels.x * 3", "`*` is for numbers"),
        ("'%9d' % 3", "`%` is for numbers"),
        ("labels.x + 1", "join text with `~`"),
        ("labels.my-label", "written `labels['my-label']`"),
        ("labels.replicas == 3", "write `labels.replicas|int`"),
        ("labels.replicas > 3", "write `labels.replicas|int`"),
        ("steps.state.restarts == '3'", "write `3` without quotes"),
        ("steps.state.crashed == 'true'", "cannot be compared"),
        ("1 if labels.x", "needs its `else"),
        ("labels.x == 1 && true", "write `and`"),
        ("labels.x = 'a'", "two are equal by `==`"),
        ("{{ labels.x }}", "without {{ }}"),
        ("labels.x {% if %}", "expressions only"),
        ("", "missing"),
        ("labels.", "is no expression"),
        ("(" * 400 + "1" + ")" * 400, "nests too deeply"),
        ("-" * 5000 + "1", "nests too deeply"),
        ("1e400", "a number in it is too large to be used"),
        ("9" * 5000, "a number in it is too large to be used"),
        ("1 " * 6000, "longer than"),
    ],
)
def test_what_is_wrong_is_found_at_load(source: str, part: str) -> None:
    """A slip is found when rules are loaded, not in the night when the rule is needed."""
    assert part in mistakes_in(source)


def test_every_mistake_of_an_expression_is_told() -> None:
    """Nobody likes to repair one thing just to be told of the next."""
    told = mistakes_in("steps.stat.crashed and labels.x | lowr and vars.limt").splitlines()

    assert 3 == len(told)


def test_steps_are_refused_where_there_is_no_evidence() -> None:
    """A diagnosis step cannot use what another one finds: they run at the same time."""
    assert "no evidence yet" in mistakes_in("steps.state.crashed", Names(VARS))


def test_a_result_is_checked_against_its_action() -> None:
    """`expect` is read long before there is any result."""
    names = Names(VARS, {}, State)

    assert parse_expression("result.status == 'up'", names)
    assert "did you mean `status`?" in mistakes_in("result.statuss", names)
    assert "no `diagnose`" in mistakes_in("steps.state.crashed", names)


@pytest.mark.parametrize("source", ["labels.service", "steps.state.restarts", "'false'", "result.status"])
def test_a_condition_is_true_or_false(source: str) -> None:
    """`expect: result.status` would hold for 500 as well as for 200."""
    with pytest.raises(BadExpression, match="this takes what is true or false"):
        parse_expression(source, Names(VARS, {"state": State}, State), is_condition=True)


@pytest.mark.parametrize(
    "source", ["steps.state.crashed", "not steps.state.crashed", "labels.a == 'b'", "labels.a or true"]
)
def test_a_comparison_is_a_condition(source: str) -> None:
    """What is surely or possibly true or false passes."""
    assert parse_expression(source, NAMES, is_condition=True)


@pytest.mark.parametrize(
    ("source", "part"),
    [
        ("vars.health[labels.nobody]", "nothing is found under ''"),
        ("steps.state.ports[4].number", "nothing is found under 4"),
        ("steps.state.labels.nobody", "nothing is found under 'nobody'"),
        ("1 / (vars.limit - 5)", "division by zero"),
        ("labels.service | int", "'web' is not a number"),
        ("labels.nobody | int", "is not a number"),
        ("labels.service | string | float", "is not a number"),
        ("steps.state.body * 3", "for two numbers"),
        ("steps.state.body.deep % 3", "for two numbers"),
        ("(labels.service or 1) % 1", "for two numbers"),
        ("labels.service is divisibleby 1", "numbers only"),
        ("5 | round(99)", "precision"),
        ("1e308 * 10", "not a number that can be used"),
        ("99999999999 * 99999999999", "too large"),
        ("steps.state.exit_code ~ 'x'", "there is nothing (null)"),
        ("[vars.health[labels.nobody]]", "nothing is found"),
        ("[] | first", "it is empty"),
    ],
)
def test_what_cannot_be_worked_out_is_refused(source: str, part: str) -> None:
    """Strict: a guess would end up in a step's parameters."""
    expression = parse_expression(source, NAMES)

    with pytest.raises(BadExpression) as caught:
        expression.evaluate(SCOPE)

    assert part in str(caught.value)
    assert not isinstance(caught.value, NoEvidence)


@pytest.mark.parametrize(
    "source",
    [
        "labels.big ~ labels.big",
        "labels.big.replace('x', labels.big)",
        "labels.big | replace('', labels.big)",
        "labels.big.split('x') | join(labels.big)",
        "(labels.big + labels.big).split('x')",
        "[labels.big, labels.big]",
        "labels.big + labels.big",
    ],
)
def test_the_output_is_bounded(source: str) -> None:
    """A label may be as long as its sender likes, and must not fill the memory."""
    with pytest.raises(BadExpression, match="larger than 64 KiB"):
        value_of(source)


def test_text_is_bounded_as_a_whole() -> None:
    """Each part may be small enough and all of them too large."""
    with pytest.raises(BadExpression, match="more than 64 KiB"):
        parse_template("{{ labels.big }}{{ labels.big }}", NAMES).render(SCOPE)


def test_failed_evidence_is_not_a_value() -> None:
    """A condition whose evidence failed ends the ladder; it must not look like a plain no."""
    with pytest.raises(NoEvidence, match=r"`gone` \(thing.look\) has failed: it did not answer"):
        value_of("steps.gone.crashed")


def test_evidence_that_is_not_needed_may_fail() -> None:
    """Only what the expression really looks at counts."""
    assert value_of("steps.state.crashed or steps.gone.crashed") is True


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("a\r\n b\n", "a\r\n b\n"),
        ("{{ vars.limit }}", 5),
        ("{{ vars.names }}", ["a", "b"]),
        ("{{ steps.state.crashed }}", True),
        ("{{ vars.limit }}s", "5s"),
        ("{{ steps.state.crashed }}!", "true!"),
        ("n={{ vars.names }}", 'n=["a", "b"]'),
        ("{{ labels.service }}/{{ labels.nobody }}", "web/"),
        ("{{ 'a }} b' }}", "a }} b"),
        ("{{ '{{' }}x", "{{x"),
        ("a {{- labels.service -}} b", "awebb"),
        ("{single} }}", "{single} }}"),
    ],
)
def test_a_template_that_is_one_expression_keeps_its_type(text: str, expected: object) -> None:
    """A number stays a number, and anything with text around it is text."""
    value = parse_template(text, NAMES).render(SCOPE)

    assert expected == value
    assert type(expected) is type(value)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("{% if x %}", "expressions only"),
        ("a {# b #}", "expressions only"),
        ("{{ labels.x", "`}}` is missing"),
        ("{{ }}", "missing"),
        ("{{ a b }}", "is no expression"),
    ],
)
def test_a_bad_template_is_found_at_load(text: str, part: str) -> None:
    """There are expressions in text and no statements."""
    with pytest.raises(BadExpression) as caught:
        parse_template(text, NAMES)

    assert part in str(caught.value)


@given(value=st.text(max_size=200), name=st.text(min_size=1, max_size=30))
@settings(deadline=None, derandomize=True)
def test_label_values_are_data(value: str, name: str) -> None:
    """Whatever an alert says comes out as it went in: it is never template text."""
    scope = Scope(labels={"x": value, name: value} if name != "vars" else {"x": value})

    assert f"<{value}>" == parse_template("<{{ labels.x }}>", NAMES).render(scope)
    assert value == parse_template("{{ labels.x }}", NAMES).render(scope)


def test_a_value_that_looks_like_a_template_stays_as_it_is() -> None:
    """The case that the property above would have to guess."""
    scope = Scope(labels={"x": "{{ 7*7 }}{% raw %}"})

    assert "{{ 7*7 }}{% raw %}!" == parse_template("{{ labels.x }}!", NAMES).render(scope)


@pytest.mark.parametrize(
    ("source", "missing"),
    [
        ("labels.service", set()),
        ("labels.nobody", {"nobody"}),
        ("labels.empty", {"empty"}),
        ("labels['no body']", {"no body"}),
        ("labels.nobody.upper()", {"nobody"}),
        ("labels.nobody or 'web'", {"nobody"}),
        ("annotations.nothing", {"annotations.nothing"}),
        ("labels.nobody | default('web')", set()),
        ("labels.service | default(labels.nobody)", set()),
        ("labels.nobody | default(labels.empty)", {"empty"}),
        ("labels.nobody | int(3)", set()),
        ("labels.nobody is defined", set()),
        ("'nobody' in labels", set()),
        ("(labels.nobody | default('web')) ~ labels.nobody", {"nobody"}),
    ],
)
def test_missing_labels_are_noted(source: str, missing: set[str]) -> None:
    """A changing step whose parameter uses a missing label is refused, unless it names a fallback."""
    absences = Absences()
    parse_expression(source, NAMES).evaluate(SCOPE, absences)

    assert missing == absences.names
