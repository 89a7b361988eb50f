"""`compute`: what it works out, what it refuses to guess, and that no list and no item can do harm."""

import asyncio
import json
import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from remediator.clients import Clients
from remediator.documents import Document
from remediator.errors import BadExpression, Failed, NoEvidence, RemediatorError
from remediator.kit.clock import SystemClock
from remediator.kit.metrics import Metrics
from remediator.kit.redaction import MASK, Redactor
from remediator.model.facts import Evidence, Examined, StepStatus
from remediator.model.ids import StepId
from remediator.pipeline.answer import Answer
from remediator.pipeline.calls import Calls
from remediator.plugins import ActionContext, Result
from remediator.rules.computing import ComputeStep, Computing, Counted, compile_compute
from remediator.rules.expressions import Names, Scope
from remediator.rules.reporting import Report
from remediator.settings import Settings
from remediator.storage import codec

VARS: dict[str, Any] = {"tolerance": 0.05}

PAYLOADS: dict[str, Any] = {
    "each": "steps.samples.entries",
    "let": {
        "regime": "'sticky' if item.coh >= 0.7 and item.D <= 1.5 else 'non_sticky' if item.D >= 2.6 else 'mixed'",
        "budget": "[0, [1, 0.1 + 0.3 * (1 - item.r) + 0.5 * [0, item.D - 2.2]|max + 0.2 * item.coh]|min]|max",
    },
    "count": {
        "wrong_regime": "item.regime != let.regime",
        "wrong_budget": "(item.budget - let.budget)|abs > vars.tolerance",
    },
    "show": ["id", "D"],
}


class Samples(Result):
    """Anything."""

    entries: list[Any]


def step_of(raw: dict[str, Any]) -> ComputeStep:
    models: dict[str, type[BaseModel] | None] = {"samples": Samples, "gone": Samples}
    report = Report(Document("test", {}), ())
    step = compile_compute("diagnose.x", {"compute": raw}, (), Names(VARS, models), report, timeout=None)
    assert [] == report.mistakes
    return step


def scope_of(entries: Any) -> Scope:
    """With a diagnosis step that found these entries, and one that has failed."""
    found = Evidence("a", ok=True, result={"entries": entries}, brief="", detail="", seconds=0)
    gone = Evidence("a", ok=False, result={}, brief="no answer", detail="", seconds=0)
    return Scope({}, vars=VARS, steps={"samples": found, "gone": gone})


async def perform(raw: dict[str, Any], entries: Any = ()) -> Any:
    step = step_of(raw)
    params = step.render(scope_of(entries)).params
    assert isinstance(params, Computing)
    context = ActionContext(Clients(Settings()), SystemClock(), StepId("x"), datetime(2030, 1, 1, tzinfo=UTC))
    found = await step.action.perform(context, params)
    await context.clients.close()
    return found


async def answer(raw: dict[str, Any], entries: Any, timeout: timedelta | None = None) -> Answer:
    """What the pipeline makes of it: redacted, cut, within a time limit."""
    clients = Clients(Settings())
    step = step_of(raw)
    calls = Calls(clients, SystemClock(), Redactor(["hunter2-hunter2"]), Metrics())
    found = await calls.read(step.id, step.action, step.render(scope_of(entries)).params, timeout)
    await clients.close()
    return found


def payload(**changes: Any) -> dict[str, Any]:
    """One that is right in itself: sticky, budget 0.1 + 0.3·0.5 + 0.2·0.8."""
    return {"id": "p", "D": 1.2, "coh": 0.8, "r": 0.5, "regime": "sticky", "budget": 0.41, **changes}


async def test_what_fits_and_what_does_not_is_counted_with_examples() -> None:
    """The evidence that tells which side computes wrongly."""
    bad = payload(id="q", regime="mixed")
    found = await perform(PAYLOADS, [payload(), bad, payload(budget=0.9), payload(D=3.0, regime="non_sticky")])

    assert {"wrong_regime": 1, "wrong_budget": 2} == found.counts
    assert (4, 0, 0) == (found.total, found.failed, found.left_out)
    assert [{"item": {"id": "q", "D": 1.2}, "let": {"regime": "sticky", "budget": pytest.approx(0.41)}}] == (
        found.examples["wrong_regime"]
    )
    assert "4 items: wrong_regime 1 (25 %), wrong_budget 2 (50 %)" == found.brief()
    assert "wrong_regime: id: q, D: 1.2 (worked out: regime: sticky, budget: 0.41)" == found.detail().splitlines()[0]


@pytest.mark.parametrize(
    ("changes", "regime", "budget"),
    [
        pytest.param({"coh": 0.7, "D": 1.5}, "sticky", 0.39, id="both-at-their-bounds"),
        pytest.param({"coh": 0.69, "D": 1.5}, "mixed", 0.388, id="not-coherent-enough"),
        pytest.param({"coh": 0.9, "D": 1.51}, "mixed", 0.43, id="too-many-dimensions"),
        pytest.param({"coh": 0.9, "D": 2.6}, "non_sticky", 0.63, id="at-the-upper-bound"),
        pytest.param({"coh": 1, "D": 9, "r": 0}, "non_sticky", 1, id="clamped-from-above"),
        pytest.param({"coh": -9, "D": 1, "r": 1}, "mixed", 0, id="clamped-from-below"),
    ],
)
async def test_the_formulas_of_the_pack_can_be_written(changes: dict[str, Any], regime: str, budget: float) -> None:
    """`max`, `min` and clamping over lists that are made in the expression."""
    raw = {**PAYLOADS, "count": {"all_of_them": "true"}, "examples": 1}
    found = await perform(raw, [payload(**changes)])

    assert {"regime": regime, "budget": pytest.approx(budget)} == found.examples["all_of_them"][0]["let"]


async def test_an_item_that_lacks_a_field_has_failed_and_is_in_no_count() -> None:
    """What is not known is never taken for false, and half an answer is not taken for a whole one."""
    broken = payload(regime="wrong")
    del broken["r"]
    found = await perform(PAYLOADS, [payload(), broken, "no mapping at all", None])

    assert {"wrong_regime": 0, "wrong_budget": 0} == found.counts
    assert (4, 3) == (found.total, found.failed)
    assert 3 == len(found.errors)
    assert "item 2: " in found.errors[0]
    assert "nothing is found under 'r'" in found.errors[0]
    assert "failed 3" in found.brief()


async def test_where_no_item_can_be_worked_out_the_step_itself_has_failed() -> None:
    """Counts of 0 would read as “all is well” in a `when`."""
    with pytest.raises(Failed, match=r"not one of 2 items could be worked out; item 1: .*'coh'"):
        await perform(PAYLOADS, [{}, {}])


async def test_an_empty_list_is_no_failure() -> None:
    """No samples is an answer."""
    assert "0 items: wrong_regime 0, wrong_budget 0" == (await perform(PAYLOADS, [])).brief()


async def test_what_is_neither_true_nor_false_is_not_guessed() -> None:
    """The text “false” would count as true."""
    raw = {"each": "steps.samples.entries", "count": {"on": "item.on"}}
    found = await perform(raw, [{"on": "false"}, {"on": True}, {"on": None}])

    assert ({"on": 1}, 2) == (found.counts, found.failed)


async def test_values_are_worked_out_after_those_that_they_need_and_keep_their_kind() -> None:
    """The order of a mapping's keys must mean nothing: two rules that differ only in it have the same digest."""
    lets = {"c": "'x' ~ let.b", "b": "let.a|sum + 1", "a": "[1, 2]", "d": "none"}
    found = await perform({"each": None, "let": lets})

    assert {"a": [1, 2], "b": 4, "c": "x4", "d": None} == found.let
    assert {"a: [1, 2]", "b: 4", "c: x4", "d: null"} == set(re.split(r", (?=[a-d]:)", found.brief()))


async def test_a_value_that_cannot_be_worked_out_fails_the_step() -> None:
    """There is nothing to show in its place."""
    with pytest.raises(BadExpression, match="1 / 0"):
        await perform({"let": {"a": "1 / 0"}})


@pytest.mark.parametrize(
    "raw",
    [
        {"let": {"name": "labels.service ~ '-1'"}},
        {"let": {"name": "annotations.service"}},
        {"each": "[labels.service]", "count": {"x": "true"}},
        {"each": "[1]", "count": {"x": "labels.service == ''"}},
    ],
)
async def test_a_missing_label_does_not_become_evidence(raw: dict[str, Any]) -> None:
    """A step that changes something is refused where a label is missing; by this way round nobody would notice."""
    with pytest.raises(RemediatorError, match=r"needs a label that the alert lacks: (annotations\.)?service"):
        await perform(raw)


async def test_a_fallback_for_a_missing_label_is_a_value() -> None:
    """It was thought of."""
    found = await perform({"let": {"name": "labels.service|default('web')", "has": "labels.service is defined"}})

    assert {"name": "web", "has": False} == found.let


async def test_evidence_that_has_failed_is_never_an_item_that_failed() -> None:
    """The whole step lacks what it needs."""
    with pytest.raises(NoEvidence):
        await perform({"each": "steps.samples.entries", "count": {"x": "steps.gone.entries == [1]"}}, [1])


async def test_what_is_no_list_when_it_is_there_is_told() -> None:
    """A declared `Any` may turn out to be anything."""
    with pytest.raises(Failed, match=r"`steps.samples.entries` is no list now"):
        await perform(PAYLOADS, {"a": 1})


def test_a_step_needs_the_steps_that_any_of_its_expressions_looks_at() -> None:
    """Else it would be carried out before its evidence is there."""
    raw = {"each": "steps.samples.entries", "let": {"x": "steps['gone'].entries"}, "count": {"y": "true"}}

    assert {"samples", "gone"} == step_of(raw).needs


async def test_names_that_a_model_could_not_have_are_names_here() -> None:
    """Whoever writes a rule knows nothing of pydantic."""
    count = {"copy": "true", "json": "true", "model_config": "true", "total": "true", "items": "true"}
    found = await perform({"each": "steps.samples.entries", "count": count}, [1])

    assert dict.fromkeys(count, 1) == found.counts


async def test_more_items_than_it_looks_at_are_said() -> None:
    """A count over a part must not read as one over the whole."""
    found = await perform({"each": "steps.samples.entries", "count": {"odd": "item is odd"}}, list(range(1500)))

    assert (1000, 500, {"odd": 500}) == (found.total, found.left_out, found.counts)
    assert "1000 of 1500 items: odd 500 (50 %)" == found.brief()


async def test_others_have_their_turn_between_the_items() -> None:
    """It runs on the loop that takes alerts."""
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    await perform({"each": "steps.samples.entries", "count": {"odd": "item is odd"}}, list(range(500)))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert turns > 400


async def test_the_time_limit_holds_for_a_list_that_takes_long() -> None:
    """A thousand items with costly expressions must not hold a run for ever."""
    costly = {f"x{n}": "steps.samples.entries|tojson|length + steps.samples.entries|join|length" for n in range(32)}
    raw = {"each": "steps.samples.entries", "let": costly, "count": {"y": "true"}}
    began = time.monotonic()
    found = await answer(raw, ["x" * 55] * 1000, timedelta(milliseconds=300))

    assert StepStatus.FAILED is found.status
    assert found.brief.startswith(
        "no answer within its time limit of 300ms; if it needs longer, give the step a longer"
    )
    assert time.monotonic() - began < 20


async def test_examples_never_push_out_the_counts() -> None:
    """What is stored is bounded; what a `when` needs of it stays whole."""
    fat = [
        {"id": n, "text": "é" * 900, "deep": [{"a": "b" * 300}] * 9, **{f"f{i}": i for i in range(40)}}
        for n in range(12)
    ]
    count = {f"c{n}": "item.id >= 0" for n in range(20)}
    found = await answer({"each": "steps.samples.entries", "count": count, "examples": 20}, fat)

    assert dict.fromkeys(count, 12) == found.result["counts"]
    assert found.result["examples"]["c0"]
    assert len(json.dumps(found.result)) < 20_000


async def test_the_evidence_is_stored_and_read_back_and_holds_no_secret() -> None:
    """Examples are shown to people and kept for long."""
    entries = [payload(id="key hunter2-hunter2", regime="mixed", password="open sesame")]
    raw = {**PAYLOADS, "show": ["id", "password"]}
    evidence = (await answer(raw, entries)).as_evidence("compute")
    fact = Examined(datetime(2026, 1, 1, tzinfo=UTC), 1, {"recomputed": evidence})

    assert fact == codec.read_fact(codec.write_fact(fact))
    assert {"id": f"key {MASK}", "password": MASK} == evidence.result["examples"]["wrong_regime"][0]["item"]
    assert "hunter2" not in evidence.detail + evidence.brief + json.dumps(dict(evidence.result))


async def test_what_explain_shows_of_the_step_is_the_rules_own_text() -> None:
    """The evidence that it sees is not among the parameters."""
    params = step_of(PAYLOADS).render(scope_of([payload(password="x")])).params

    assert {"each", "let", "count"} == set(params.model_dump(mode="json"))
    assert "entries=" not in repr(params)
    assert "go through steps.samples.entries and count wrong_regime, wrong_budget" == (
        step_of(PAYLOADS).action.describe(params)
    )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["D", "coh", "r", "regime", "budget", "__class__", "items"]), inner, max_size=6
        )
    ),
    max_leaves=12,
)


@settings(deadline=None, max_examples=60)
@given(st.lists(json_values, max_size=6))
def test_whatever_the_items_are_each_is_counted_or_told(entries: list[Any]) -> None:
    """They come from files that anybody may have written to."""

    async def run() -> Answer:
        return await answer({**PAYLOADS, "count": {**PAYLOADS["count"], "fits": "true"}}, entries)

    found = asyncio.run(run())

    if found.status is StepStatus.DONE:
        assert len(entries) == found.result["total"]
        assert len(entries) == found.result["failed"] + found.result["counts"]["fits"]
        json.dumps(dict(found.result), allow_nan=False)
    else:
        assert "not one of" in found.brief or "cannot be worked out" in found.brief


def test_nearly_all_is_told_as_less_than_all() -> None:
    """Rounded, 997 of 1000 would be a hundred per cent, and was written as `1e+02 %`."""
    found = Counted(total=1000, left_out=0, failed=0, counts={"odd": 997}, examples={}, errors=())

    assert "1000 items: odd 997 (99 %)" == found.brief()
