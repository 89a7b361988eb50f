"""The shipped rule high-escalation-rate: its formulas are the backend's, and each rung is for what it says."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from remediator.model.facts import Evidence
from remediator.plugins import Actions
from remediator.rules.computing import ComputeStep
from remediator.rules.expressions import Scope
from remediator.rules.loading import load_book
from remediator.rules.rule import Rule

PACK = Path(__file__).parents[3] / "rules" / "fractal-lba.yaml"


@pytest.fixture(scope="module")
def rule() -> Rule:
    return next(one for one in load_book([PACK], Actions.installed()) if one.name == "high-escalation-rate")


async def computed(rule: Rule, step_id: str, **evidence: Any) -> Evidence:
    """What a `compute` of the rule makes of evidence."""
    step = next(one for one in rule.diagnose if one.id == f"diagnose.{step_id}")
    assert isinstance(step, ComputeStep)
    scope = Scope({}, vars=rule.vars, steps={name: found(value) for name, value in evidence.items()})
    context: Any = None  # it reaches nothing
    result = await step.action.perform(context, step.render(scope).params)
    return found(result.model_dump(mode="json"))


def found(result: Any) -> Evidence:
    return Evidence("test", ok=True, result=result, brief="", detail="", seconds=0)


def payload(**changes: Any) -> dict[str, Any]:
    """What an agent sends, right in itself: sticky, and 0.10 + 0.30·(1 - 0.5) + 0.20·0.8."""
    figures = {"D_hat": 1.2, "coh_star": 0.8, "r": 0.5, "regime": "sticky", "budget": 0.41}
    return {"pcs_id": "p", **figures, "scales": [2, 4, 8], "N_j": {"2": 3, "4": 5, "8": 9}, **changes}


@pytest.mark.parametrize(
    ("figures", "regime", "budget"),
    [
        pytest.param({"coh_star": 0.7, "D_hat": 1.5}, "sticky", 0.39, id="sticky-at-both-bounds"),
        pytest.param({"coh_star": 0.69, "D_hat": 1.5}, "mixed", 0.388, id="not-coherent-enough"),
        pytest.param({"coh_star": 0.9, "D_hat": 1.51}, "mixed", 0.43, id="too-many-dimensions"),
        pytest.param({"coh_star": 0.9, "D_hat": 2.2}, "mixed", 0.43, id="no-surcharge-up-to-2.2"),
        pytest.param({"coh_star": 0.9, "D_hat": 2.6}, "non_sticky", 0.63, id="non-sticky-at-its-bound"),
        pytest.param({"coh_star": 1, "D_hat": 9, "r": 0}, "non_sticky", 1, id="clamped-from-above"),
        pytest.param({"coh_star": -9, "D_hat": 1, "r": 1}, "mixed", 0, id="clamped-from-below"),
        pytest.param({"coh_star": 1, "D_hat": 2, "r": 1}, "mixed", 0.3, id="nothing-for-compression"),
    ],
)
async def test_regime_and_budget_are_worked_out_as_the_backend_does(
    rule: Rule, figures: dict[str, float], regime: str, budget: float
) -> None:
    """Another formula here would blame agents that are right."""
    right = payload(**figures, regime=regime, budget=budget)
    wrong = payload(**figures, regime="other", budget=budget + 0.03)
    evidence = await computed(rule, "recomputed", samples={"entries": [right, wrong]})

    assert {"wrong_regime": 1, "wrong_budget": 1, "missing_scale": 0} == evidence.result["counts"]
    lets = evidence.result["examples"]["wrong_budget"][0]["let"]
    assert (regime, pytest.approx(budget)) == (lets["regime"], lets["budget"])


@pytest.mark.parametrize(
    ("counts", "missing"),
    [
        ({"2": 3, "4": 5, "8": 9}, []),
        ({"8": 9, "2": 3, "4": 5, "16": 20}, []),
        ({"2": 3, "8": 9}, [4]),
        ({"2.0": 3, "4.0": 5, "8.0": 9}, [2, 4, 8]),
        ([3, 5, 9], [2, 4, 8]),
        ({}, [2, 4, 8]),
    ],
)
async def test_a_scale_without_its_count_is_found(rule: Rule, counts: Any, missing: list[int]) -> None:
    """The keys of N_j are text, whatever JSON library wrote them."""
    evidence = await computed(rule, "recomputed", samples={"entries": [payload(N_j=counts)]})

    assert bool(missing) == evidence.result["counts"]["missing_scale"]
    for example in evidence.result["examples"]["missing_scale"]:
        assert missing == example["let"]["missing_scales"]


async def test_what_lacks_a_figure_is_told_and_counts_against_the_agents(rule: Rule) -> None:
    """A payload that nobody can check is no payload that fits."""
    lacking = payload()
    del lacking["coh_star"]
    recomputed = await computed(rule, "recomputed", samples={"entries": [payload()] * 9 + [lacking]})
    verdict = await computed(rule, "verdict", recomputed=recomputed.result)

    assert 1 == recomputed.result["failed"]
    assert {"worst": 1, "percent": 10} == verdict.result["let"]


def evidence_of(
    *, ratio: float = 5, before: float | None = 5, recent: bool = False, wrong: float = 0, tolerance: float = 0
) -> dict[str, Evidence]:
    """What the rungs look at."""
    return {
        "ratio": found({"value": ratio}),
        "before": found({"value": before}),
        "rollout": found({"let": {"is_recent": recent}}),
        "verdict": found({"let": {"percent": wrong}}),
        "shares": found({"let": {"reasons": 10 if tolerance else 0, "tolerance": tolerance}}),
    }


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        pytest.param(evidence_of(recent=True, before=1, wrong=50, tolerance=90), "the last rollout", id="rose-with-it"),
        pytest.param(evidence_of(recent=True, before=5, tolerance=90), "raise the tolerance", id="bad-before-it"),
        pytest.param(
            evidence_of(recent=True, before=None, tolerance=90), "raise the tolerance", id="nothing-before-it"
        ),
        pytest.param(evidence_of(recent=False, before=1, tolerance=90), "raise the tolerance", id="long-ago"),
        pytest.param(evidence_of(wrong=6, tolerance=90), "what agents send", id="agents-are-wrong"),
        pytest.param(evidence_of(wrong=5, tolerance=60), "raise the tolerance", id="a-few-wrong-ones"),
        pytest.param(evidence_of(tolerance=59), "", id="other-reasons"),
        pytest.param(evidence_of(), "", id="no-reasons-in-the-logs"),
    ],
)
def test_the_first_rung_that_fits_is_taken(rule: Rule, evidence: dict[str, Evidence], expected: str) -> None:
    """The tolerance is what is left when nobody else is to blame."""
    scope = Scope({}, vars=rule.vars, steps=evidence)
    fitting = [rung.name for rung in rule.rungs if rung.when is None or rung.when.evaluate(scope)]

    assert expected == (fitting[0][: len(expected)] if fitting else "")


def test_the_tolerance_is_raised_for_a_time_and_behind_a_gate(rule: Rule) -> None:
    """It weakens a check; in no mode is it done without a person."""
    rung = next(one for one in rule.rungs if one.steps)

    assert rung.gated
    assert rung.for_ is not None
    assert ["command.run"] == [step.action.name for step in rung.steps]


def test_the_shipped_alert_finds_its_rule(rule: Rule) -> None:
    """A renamed alert would find nobody."""
    alerts = yaml.safe_load((PACK.parents[1] / "deploy" / "prometheus" / "fractal-lba.yml").read_text())
    names = [one["alert"] for group in alerts["groups"] for one in group["rules"]]

    assert [True] == [rule.matches({"alertname": name}) for name in names if name == "HighEscalationRate"]
