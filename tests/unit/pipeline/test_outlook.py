"""What a run would do is told as far as it is known, and what is not known is named and not guessed."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import Field

from remediator.clients import Clients
from remediator.model.outcome import Reason
from remediator.model.plan import Effect, Mode, Plan, PlannedStep, Verification
from remediator.pipeline import approval
from remediator.pipeline.outlook import Outlook, RungOutlook, reasons_to_ask
from remediator.plugins import ActionContext, Actions, Nature, Params, Result, Target, action
from remediator.rules.loading import load_book
from tests.unit.pipeline.test_explaining import book_of, explained, rule
from tests.unit.pipeline.world import World, actions_of

NAME = "{{ labels.service }}"


class Much(Params):
    name: str
    amount: int = 1
    tags: dict[str, str] = Field(default_factory=dict)


class Found(Result):
    name: str
    count: int


async def _targets(ctx: ActionContext, params: Much) -> tuple[Target, ...]:
    raise AssertionError("explaining must not look anything up")


def _nature(clients: Clients, params: Much) -> Nature:
    effect = Effect.READ if params.name == "harmless" else Effect.DESTROY
    return Nature(effect, idempotent=False, timeout=timedelta(seconds=7))


def _say(params: Much) -> str:
    return f"find {params.name}, {params.amount} times"


def _say_number(params: Much) -> str:
    return f"find number {int(params.name)}"


@action("test.find", effect=Effect.READ, say=_say)
async def find(ctx: ActionContext, params: Much) -> Found:
    """Finds a thing."""
    raise AssertionError("explaining must not look anything up")


@action("test.number", effect=Effect.READ, say=_say_number)
async def number(ctx: ActionContext, params: Much) -> Found:
    """Finds a number."""
    raise AssertionError("explaining must not look anything up")


@action("test.vary", effect=Effect.DESTROY, targets=_targets, nature=_nature, may_only_read=True)
async def vary(ctx: ActionContext, params: Much) -> Found:
    """Does what its parameters say."""
    raise AssertionError("explaining must do nothing")


ACTIONS = Actions({**actions_of(World()), find.name: find, number.name: number, vary.name: vary})


def outlook_of(
    tmp_path: Path, *, ceiling: Mode = Mode.AUTO, labels: Mapping[str, str] | None = None, **more: Any
) -> Outlook:
    """The outlook of one rule for one alert."""
    book = book_of(tmp_path, ("p", [rule("r", **more)]), actions=ACTIONS)
    found = explained(book, ceiling, **({"service": "web"} if labels is None else labels))
    (view,) = found.matching
    assert view.outlook is not None
    return view.outlook


def rung_of(tmp_path: Path, rung: Mapping[str, Any], **more: Any) -> RungOutlook:
    (found,) = outlook_of(tmp_path, remediate=[rung], **more).rungs
    return found


@pytest.mark.parametrize(
    ("own", "ceiling", "mode"),
    [("auto", Mode.GATED, Mode.GATED), ("observe", Mode.AUTO, Mode.OBSERVE), ("auto", Mode.AUTO, Mode.AUTO)],
)
def test_the_mode_is_the_one_under_the_ceiling(tmp_path: Path, own: str, ceiling: Mode, mode: Mode) -> None:
    """What a rule says of itself is not the last word."""
    assert mode is outlook_of(tmp_path, ceiling=ceiling, mode=own).mode


LOOK = {"state": {"test.look": {"name": NAME}}}
ACT = {"test.act": {"name": NAME}}


@pytest.mark.parametrize(
    ("when", "holds", "needs"),
    [
        (None, True, ()),
        ("labels.service == 'web'", True, ()),
        ("labels.service == 'db'", False, ()),
        ("steps.state.sick", None, ("state",)),
        ("labels.service == 'db' and steps.state.sick", False, ()),
        ("labels.service == 'web' or steps.state.sick", True, ()),
    ],
)
def test_a_condition_is_told_as_far_as_it_is_known(
    tmp_path: Path, when: str | None, holds: bool | None, needs: tuple[str, ...]
) -> None:
    """True or false where the labels alone decide, even if it speaks of evidence."""
    rung = rung_of(tmp_path, {"do": [ACT], **({"when": when} if when else {})}, diagnose=LOOK)

    assert (holds, needs, "") == (rung.holds, rung.needs, rung.trouble)


def test_a_condition_that_cannot_be_worked_out_is_told(tmp_path: Path) -> None:
    """It ends the ladder, whatever is found."""
    rung = rung_of(tmp_path, {"do": [ACT], "when": "labels.service|int > 5"})

    assert rung.holds is None
    assert "cannot be worked out" in rung.trouble


def test_a_step_is_told_in_the_sentence_that_people_would_see(tmp_path: Path) -> None:
    """With its parameters, defaults included, and its effect."""
    (step,) = rung_of(tmp_path, {"do": [{**ACT, "timeout": "5s"}]}).steps

    assert "test.act name='web'" == step.sentence
    assert {"name": "web", "way": "gently"} == step.params
    assert (Effect.CHANGE, False, timedelta(seconds=5)) == (step.effect, step.at_most, step.timeout)
    assert ((), (), "") == (step.needs, step.missing_labels, step.trouble)


def test_what_evidence_is_needed_for_stands_as_the_rule_writes_it(tmp_path: Path) -> None:
    """What is known beside it is rendered all the same."""
    name = "{{ labels.service }}/{{ steps.state.looks }}"
    (step,) = rung_of(tmp_path, {"do": [{"test.set": {"name": name}}]}, diagnose=LOOK).steps

    assert {"name": "web/{{ steps.state.looks }}"} == step.params
    assert "test.set name='web/{{ steps.state.looks }}'" == step.sentence
    assert ("state",) == step.needs


LOOKS = "{{ steps.state.looks }}"


@pytest.mark.parametrize(
    ("name", "params", "sentence"),
    [
        ("test.find", {"name": "a", "amount": 2}, "find a, 2 times"),
        ("test.find", {"name": f"{LOOKS}/b"}, f"find {LOOKS}/b, 1 times"),
        ("test.find", {"name": "a", "tags": {"n": LOOKS}}, "find a, 1 times"),
        ("test.find", {"amount": LOOKS, "name": "a"}, f"test.find amount={LOOKS}, name=a"),
        ("test.number", {"name": "7"}, "find number 7"),
        ("test.number", {"name": LOOKS}, f"test.number name={LOOKS}"),
    ],
    ids=["all-known", "text", "a-mapping", "a-number", "said-of-a-number", "not-said-of-a-placeholder"],
)
def test_a_sentence_is_made_of_what_is_known(tmp_path: Path, name: str, params: dict[str, Any], sentence: str) -> None:
    """An action that cannot say it with a placeholder is told by its parameters."""
    (step,) = rung_of(tmp_path, {"do": [{name: params}]}, diagnose=LOOK).steps

    assert sentence == step.sentence


def test_labels_that_are_missing_refuse_the_plan_of_a_change_only(tmp_path: Path) -> None:
    """To read with an empty name is harmless; to act on it is not."""
    rung = rung_of(tmp_path, {"do": [{"test.find": {"name": NAME}}, ACT]}, labels={})
    read, act = rung.steps

    assert (("service",), ("service",)) == (read.missing_labels, act.missing_labels)
    assert ("remediate.0.1: a label that the step needs is not on the alert: service",) == rung.refusals


def test_what_cannot_be_rendered_is_told_and_would_be_refused(tmp_path: Path) -> None:
    """It is said now rather than in the night."""
    rung = rung_of(tmp_path, {"do": [{"test.find": {"name": "a", "amount": "{{ labels.service|int }}"}}]})

    assert 1 == len(rung.refusals)
    assert rung.refusals[0].startswith("remediate.0.0 (test.find): `labels.service|int` cannot be worked out")
    assert "{{ labels.service|int }}" == rung.steps[0].params["amount"]


@pytest.mark.parametrize(
    ("name", "effect", "at_most"),
    [
        ("harmless", Effect.READ, False),
        ("other", Effect.DESTROY, False),
        ("{{ steps.state.looks }}", Effect.DESTROY, True),
    ],
)
def test_an_effect_that_depends_on_what_is_not_known_is_told_at_its_most(
    tmp_path: Path, name: str, effect: Effect, at_most: bool
) -> None:
    """As a command's does, which the settings declare."""
    (step,) = rung_of(tmp_path, {"do": [{"test.vary": {"name": name}}]}, diagnose=LOOK).steps

    assert (effect, at_most) == (step.effect, step.at_most)


@pytest.mark.parametrize(
    ("do", "stays"),
    [
        ({"test.find": {"name": "x"}}, None),
        ({"test.vary": {"name": "harmless"}}, None),
        ({"test.vary": {"name": "harmful"}}, "test.vary has no inverse"),
        ({"test.vary": {"name": "{{ steps.state.looks }}"}}, "test.vary has no inverse"),
        ({"docker.set_memory": {"container": NAME, "limit": "1g"}}, ""),
        ({"docker.set_memory": {"container": "{{ steps.state.looks }}", "limit": "1g"}}, ""),
        ({"command.run": {"command": "{{ steps.state.looks }}"}}, None),
    ],
    ids=["it reads", "so does this one", "never", "never, whatever is found", "always", "always, too", "not known yet"],
)
def test_whether_a_step_can_be_put_back_is_told(tmp_path: Path, do: dict[str, Any], stays: str | None) -> None:
    """Whoever lets a rule act by itself wants to know whether there is a way back."""
    actions = Actions({**ACTIONS, **Actions.installed()})
    book = book_of(tmp_path, ("p", [rule("r", remediate=[{"do": [do]}], diagnose=LOOK)]), actions=actions)
    (view,) = explained(book, Mode.AUTO, service="web").matching
    assert view.outlook is not None
    (step,) = view.outlook.rungs[0].steps

    assert ("", stays) == (step.trouble, step.stays)


@pytest.mark.parametrize(("lasts", "refused"), [(timedelta(minutes=30), 1), (None, 0)])
def test_what_could_not_be_put_back_is_refused_where_it_is_for_a_while(
    tmp_path: Path, lasts: timedelta | None, refused: int
) -> None:
    """Only the settings may know; a change for good needs no way back."""
    rung = rung_of(tmp_path, {"do": [ACT]})
    stays = replace(rung, lasts=lasts, steps=(replace(rung.steps[0], stays="the settings do not say how"),))

    assert refused == len(stays.refusals)
    assert all(why.endswith(f"{Reason.CANNOT_PUT_BACK}: the settings do not say how") for why in stays.refusals)


def test_a_command_that_the_settings_do_not_name_is_told(tmp_path: Path) -> None:
    """The action's own refusal, with what to do."""
    (tmp_path / "p.yaml").write_text(
        yaml.safe_dump({"pack": "p", "rules": [rule("r", remediate=[{"do": [{"command.run": {"command": "gone"}}]}])]})
    )
    found = explained(load_book([tmp_path], Actions.installed()))
    (view,) = found.matching
    assert view.outlook is not None

    assert "gone" in view.outlook.rungs[0].refusals[0]


def test_a_diagnosis_that_waits_for_another_names_it(tmp_path: Path) -> None:
    """Steps are carried out in turn where one needs what another finds."""
    again = {"test.look": {"name": "{{ steps.state.looks }}"}}
    worked = {"compute": {"let": {"twice": "steps.state.looks * 2"}}}
    looks = outlook_of(tmp_path, diagnose={**LOOK, "again": again, "twice": worked}).diagnose

    assert {"diagnose.state": (), "diagnose.again": ("state",), "diagnose.twice": ("state",)} == {
        step.id: step.needs for step in looks
    }
    assert {"diagnose.twice": "work out twice"}.items() <= {step.id: step.sentence for step in looks}.items()


def test_the_proof_is_the_rungs_own_or_the_rules(tmp_path: Path) -> None:
    """With what it looks at and what it expects, rendered."""
    check = {"test.check": {"name": NAME}, "expect": "not result.sick"}
    own = {"settle": "1s", "sustain": "2s", "within": "1m", "every": "1s", "checks": [check]}
    rungs = outlook_of(tmp_path, remediate=[{"do": [ACT], "verify": own}, {"do": [ACT]}], verify={"within": "9m"}).rungs

    assert [timedelta(minutes=1), timedelta(minutes=9)] == [rung.proof.within for rung in rungs]
    assert [("not result.sick", {"name": "web", "way": "gently"})] == [
        (c.expect, c.params) for c in rungs[0].proof.checks
    ]
    assert () == rungs[1].proof.checks


def test_advice_is_told_as_far_as_it_is_known(tmp_path: Path) -> None:
    """A rung that only tells has no steps, no gate and no digest to wait for."""
    rung = rung_of(tmp_path, {"tell": "look at {{ labels.service }}: {{ steps.state.looks }}"}, diagnose=LOOK)

    assert "look at web: {{ steps.state.looks }}" == rung.tell
    assert ((), (), ()) == (rung.steps, rung.unknown, rung.gate.reasons)


def test_what_a_digest_needs_is_named(tmp_path: Path) -> None:
    """Targets are part of it, and nobody looks them up to explain; nothing is needed where all is said already."""
    check = {"test.check": {"name": "{{ steps.more.looks }}"}, "expect": "not result.sick"}
    more = {"diagnose": {**LOOK, "more": {"test.look": {"name": "a"}}}, "verify": {"checks": [check]}}
    act = {"test.act": {"name": "{{ steps.state.looks }}"}}
    rung = rung_of(tmp_path, {"do": [{"test.find": {"name": "a"}}, act]}, **more)
    settled = rung_of(tmp_path, {"do": [{"test.find": {"name": NAME}}]})

    assert (
        "the targets of remediate.0.1 (test.act)",
        "the result of steps.more",
        "the result of steps.state",
    ) == rung.unknown
    assert () == settled.unknown


def test_who_is_asked_and_why_is_told(tmp_path: Path) -> None:
    """The people, how many of them, and until when."""
    gate = {"approvers": ["sre"], "quorum": 2, "timeout": "15m", "on_timeout": "escalate"}
    rungs = outlook_of(
        tmp_path,
        mode="auto",
        escalate=[{"to": "level-2"}],
        remediate=[{"do": [ACT], "gate": gate}, {"do": [ACT]}, {"do": [{"test.destroy": {"name": "a"}}]}],
    ).rungs

    assert (("sre",), 2, timedelta(minutes=15), "escalate") == (
        rungs[0].gate.approvers,
        rungs[0].gate.quorum,
        rungs[0].gate.timeout,
        rungs[0].gate.on_timeout,
    )
    assert [("the remedy has a gate",), (), ("a step destroys something",)] == [rung.gate.reasons for rung in rungs]


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("gated", [True, False])
@pytest.mark.parametrize("effect", list(Effect))
def test_reasons_to_ask_are_those_of_the_gate_itself(mode: Mode, gated: bool, effect: Effect) -> None:
    """Two places say it, so they have to say the same."""
    second = timedelta(seconds=1)
    step = PlannedStep("remediate.0.0", "a", {}, effect, False, (), second, "a")  # type: ignore[arg-type]  # any id will do
    plan = Plan(0, "a", gated, (step,), Verification(second, second, second, second, ()))
    reasons = reasons_to_ask(mode, gated=gated, destroys=effect is Effect.DESTROY)

    assert approval.needs_person(plan, mode) is bool(reasons)


def test_a_summary_that_cannot_be_rendered_does_not_spoil_the_rest(tmp_path: Path) -> None:
    """As with the alert itself, which it never costs."""
    assert "its summary cannot be worked out" in outlook_of(tmp_path, summary="{{ labels.service|int }}").summary
