"""A run, its plan, its facts and its signals, as the API shows them."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from remediator.model.facts import (
    Acknowledged,
    Closed,
    Escalated,
    Fact,
    Held,
    LateFinished,
    Prolonged,
    Proof,
    Reminded,
    Settled,
    Silenced,
    StepStatus,
    Unsilenced,
    Voided,
)
from remediator.model.ids import RunId, StepId
from remediator.model.outcome import Reason
from remediator.model.run import Again, Cancel, Decision, Joined, Resolved, Run, Settle, Signal, Undo
from remediator.model.undo import Captured, Cause, Left, Undoing, Undone
from remediator.web.shown import held_plan, show_fact, show_hold, show_plan, show_run, show_signal
from tests.unit.web.a_run import (
    ASKED,
    DECISION,
    ENDED,
    EXAMINED,
    FINISHED,
    HELD,
    NOT_WAITING,
    NOW,
    PLAN,
    PLANNED,
    RUN,
    SECOND,
    STARTED,
    STEP,
    VERIFIED,
    WAITING,
    run_with,
)


def test_a_run_is_shown_with_its_alert_and_times_in_utc() -> None:
    """Scripts read this; the names stay."""
    shown = show_run(RUN)

    assert {
        "id": "d1m0k2s3abcdefgh",
        "rule": "octollm/service-down",
        "summary": "web does not answer",
        "alert": {
            "fingerprint": "2fc4c353ef13c5b1",
            "labels": {"alertname": "Down"},
            "annotations": {"summary": "it is down"},
            "startsAt": "2026-01-31T12:00:00Z",
        },
        "created_at": "2026-01-31T12:00:00.500000Z",
        "stage": "fresh",
        "outcome": None,
        "waiting": None,
        "unsettled": None,
        "changes": [],
        "timeline": [],
        "signals": [],
    } == shown


STAGES: dict[str, tuple[Run, str | None]] = {
    "fresh": (RUN, None),
    "diagnosed": (run_with(EXAMINED), None),
    "drafted": (WAITING, None),
    "in_doubt": (run_with(EXAMINED, PLANNED, STARTED), None),
    "acted": (run_with(EXAMINED, PLANNED, STARTED, FINISHED), None),
    "proven": (run_with(EXAMINED, PLANNED, STARTED, FINISHED, VERIFIED), None),
    "not_helped": (
        run_with(EXAMINED, PLANNED, STARTED, FINISHED, replace(VERIFIED, proof=Proof.NOT_HEALED)),
        None,
    ),
    "over": (run_with(EXAMINED, ENDED), "not healed"),
}


@pytest.mark.parametrize(("stage", "run", "outcome"), [(s, r, o) for s, (r, o) in STAGES.items()], ids=STAGES.keys())
def test_a_run_is_shown_with_its_stage_and_outcome(stage: str, run: Run, outcome: str | None) -> None:
    """Stages have names of their own, in snake case."""
    shown = show_run(run)

    assert (stage, outcome) == (shown["stage"], shown["outcome"])


ASKED_MUCH = replace(ASKED, approvers=("sre",), quorum=2, on_timeout="escalate", touches="1 of 3", record="7 healed")
APPROVED = Decision(NOW, True, PLAN.digest, 1, 1, "ann", "I looked", "ann", "slack", ("sre",))


def test_a_waiting_plan_is_shown_with_all_that_a_decision_needs() -> None:
    """What is approved is what runs: the digest, the targets and the steps."""
    assert {
        "until": "2026-01-31T12:15:00Z",
        "asked_at": "2026-01-31T12:00:00Z",
        "why": "",
        "approvers": ["sre"],
        "quorum": 2,
        "missing": 1,
        "approved_by": ["ann"],
        "on_timeout": "escalate",
        "touches": "1 of 3",
        "record": "7 healed",
        "pools": [],
        "name": "restart",
        "digest": PLAN.digest,
        "targets": ["docker:local/web@4f5e"],
        "lasts": None,
        "every": None,
        "steps": [
            {
                "id": "remediate.0.0",
                "action": "docker.restart",
                "effect": "change",
                "sentence": "restart the container web",
                "params": {"container": "web"},
                "timeout": 30.0,
                "targets": ["docker:local/web@4f5e"],
                "stays": None,
            }
        ],
        "checks": ["http://127.0.0.1:8000/ answers"],
        "proof": "http://127.0.0.1:8000/ answers, expecting result.status == 200, within 1s",
    } == show_run(replace(run_with(EXAMINED, PLANNED, ASKED_MUCH), signals=(APPROVED,)))["waiting"]


def test_a_plan_is_shown_with_everything_that_its_steps_are_given() -> None:
    """A sentence is cut; who approves must be able to see all of it, but for secrets."""
    given = {"url": "http://a/", "json": {"do": "x" * 1000, "token": "hunter2"}}
    plan = replace(PLAN, steps=(replace(STEP, params=given),))

    (step,) = show_plan(plan)["steps"]

    assert {"url": "http://a/", "json": {"do": "x" * 1000, "token": "[redacted]"}} == step["params"]


def test_a_plan_says_what_of_it_can_be_put_back_and_when_it_is() -> None:
    """Who approves should know whether there is a way back."""
    steps = (replace(STEP, stays="docker.restart has no inverse"), replace(STEP, stays=""))
    shown = show_plan(replace(PLAN, steps=steps, lasts=60 * SECOND))

    assert (60.0, ["docker.restart has no inverse", ""]) == (shown["lasts"], [step["stays"] for step in shown["steps"]])


@pytest.mark.parametrize("run", NOT_WAITING.values(), ids=NOT_WAITING.keys())
def test_no_plan_waits(run: Run) -> None:
    """A person must not be asked for what decides nothing."""
    assert show_run(run)["waiting"] is None


TEXTS: dict[str, tuple[Fact, str]] = {
    "examined": (EXAMINED, "gathered evidence: 2 steps, 1 failed"),
    "planned": (PLANNED, "planned: restart"),
    "asked": (ASKED, "asked for a decision"),
    "held": (
        Held(at=NOW, round=1, count=1, reason=Reason.TARGET_BUSY, detail="run x", until=NOW),
        "held: another run is acting on this target",
    ),
    "started": (STARTED, "started remediate.0.0"),
    "finished": (FINISHED, "remediate.0.0 done after 1.2 s: restarted"),
    "late_finished": (
        LateFinished(at=NOW, step=STEP.id, attempt=1, status=StepStatus.FAILED, brief="no such container"),
        "remediate.0.0 ended late, failed: no such container",
    ),
    "settled": (
        Settled(at=NOW, step=STEP.id, attempt=1, done=False, by="ann", reason="the container is as old as before"),
        "remediate.0.0 was not done, says ann: the container is as old as before",
    ),
    "verified": (VERIFIED, "healed: every check held for 30s"),
    "ended": (ENDED, "not healed: no rung is left"),
    "closed": (Closed(at=NOW, brief="the alert resolved"), "the alert resolved"),
    "captured": (
        Captured(at=NOW, round=1, step=STEP.id, attempt=1, before=None, why_not="no answer"),
        "remediate.0.0 cannot be put back later: no answer",
    ),
    "undoing": (
        Undoing(at=NOW, count=1, cause=Cause.NOT_HELPED, round=1),
        "its changes are put back: they have not helped",
    ),
    "escalated": (
        Escalated(at=NOW, level=2, to="on-call", after=timedelta(minutes=15), channels=("#on-call",)),
        "escalated to on-call, after 15m; sent to #on-call",
    ),
    "acknowledged": (Acknowledged(at=NOW, by="ann", reason="on it"), "ann has taken it on: on it"),
    "undone": (
        Undone(at=NOW, count=1, asks=True, brief="needs a person: set web (somebody has changed it)"),
        "not all is put back: needs a person: set web (somebody has changed it)",
    ),
    "left": (
        Left(at=NOW, round=1, step=StepId("remediate.0.0"), count=1, run=RunId("d1m0k2s3younger0"), until=NOW),
        "remediate.0.0 left to run d1m0k2s3younger0, which has changed the same until 2026-01-31T12:00:00Z",
    ),
    "silenced": (
        Silenced(at=NOW, count=1, silence="s1", until=NOW),
        "silenced in Alertmanager until 2026-01-31T12:00:00Z",
    ),
    "unsilenced": (Unsilenced(at=NOW, count=1, ended=False, brief="no answer", tries=1), "not over yet: no answer"),
    "prolonged": (
        Prolonged(NOW, 1, 1, NOW + 60 * SECOND),
        "nobody has decided in time; there is as much time again",
    ),
    "voided": (Voided(NOW, 1, 1, "the rule has changed"), "what was asked for is void: the rule has changed"),
    "reminded": (Reminded(NOW, 1, 1, 1), "reminded people that a plan waits for them"),
}


@pytest.mark.parametrize(("kind", "fact", "text"), [(k, f, t) for k, (f, t) in TEXTS.items()], ids=TEXTS.keys())
def test_every_fact_is_told_in_words(kind: str, fact: Fact, text: str) -> None:
    """Everything can be explained, also years later with nothing but this."""
    (line,) = show_run(run_with(EXAMINED, PLANNED, fact))["timeline"][2:]

    assert ("2026-01-31T12:00:00Z", kind, text) == (line["at"], line["kind"], line["text"])
    assert line == json.loads(json.dumps(line))


@pytest.mark.parametrize(
    ("made", "text"),
    [
        ({"renews": (1, 1)}, f"planned anew, as it was approved: {PLANNED.plan.name}"),
        (
            {"differs": "web is another one"},
            f"planned, otherwise than it was approved (web is another one): {PLANNED.plan.name}",
        ),
    ],
    ids=["the same", "another"],
)
def test_a_plan_that_was_made_anew_says_how_it_stands_to_the_approved_one(made: dict[str, Any], text: str) -> None:
    """Who reads the timeline sees why it was asked for once more, or why it was not."""
    (line,) = show_run(run_with(EXAMINED, PLANNED, replace(PLANNED, revision=2, **made)))["timeline"][2:]

    assert text == line["text"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1.25, "remediate.0.0 unknown after 1.2 s: the answer was lost"),
        (0, "remediate.0.0 unknown: the answer was lost"),
    ],
    ids=["the call lasted so long", "nobody saw its end"],
)
def test_no_duration_is_made_up_for_a_step_that_nobody_saw_the_end_of(seconds: float, text: str) -> None:
    """It may have run for a minute when the service was killed; 0.0 s would be read as: it was never begun."""
    unknown = replace(FINISHED, status=StepStatus.UNKNOWN, brief="the answer was lost", seconds=seconds)

    assert text == show_run(run_with(EXAMINED, PLANNED, STARTED, unknown))["timeline"][-1]["text"]


def test_a_step_that_could_not_begin_is_told_as_that() -> None:
    """It is no failure: it is certain that nothing was done, and the run goes on."""
    vain = replace(FINISHED, status=StepStatus.FAILED, brief="too much time passed", seconds=0, begun=False)
    shown = show_run(run_with(EXAMINED, PLANNED, STARTED, vain))

    assert ("remediate.0.0 not begun: too much time passed", False) == (
        shown["timeline"][-1]["text"],
        shown["timeline"][-1]["begun"],
    )
    assert "fresh" == shown["stage"]


def test_every_kind_of_fact_has_its_words_tested() -> None:
    """A new kind must not be forgotten above."""
    assert {kind.__name__ for kind in Fact.__args__} == {type(fact).__name__ for fact, _ in TEXTS.values()}


def test_evidence_is_shown_also_where_it_failed() -> None:
    """A failed step is evidence too."""
    (line,) = show_run(run_with(EXAMINED))["timeline"]

    assert {
        "action": "docker.logs",
        "ok": False,
        "brief": "the engine did not answer",
        "detail": "",
        "seconds": 5.0,
    } == line["evidence"]["logs"]


def test_one_step_is_told_as_one() -> None:
    """Not as `1 steps`."""
    one = replace(EXAMINED, evidence={"state": EXAMINED.evidence["state"]})

    assert "gathered evidence: 1 step, 0 failed" == show_run(run_with(one))["timeline"][0]["text"]


def test_alerts_that_joined_are_shown_with_their_labels() -> None:
    """As many as are stored of them."""
    (shown,) = show_run(run_with(signals=(Joined(at=NOW, count=9, labels=({"a": "b"},)),)))["signals"]

    assert (9, [{"a": "b"}]) == (shown["count"], shown["labels"])


APPROVED_HELD = run_with(EXAMINED, PLANNED, ASKED, HELD, signals=(DECISION,))
TWO_STEPS = replace(PLANNED, plan=replace(PLAN, steps=(STEP, replace(STEP, id=StepId("remediate.0.1")))))
HOLDS: dict[str, tuple[Run, bool]] = {
    "held": (run_with(EXAMINED, PLANNED, HELD), True),
    "approved, then held": (APPROVED_HELD, True),
    "replaced and still held": (run_with(EXAMINED, PLANNED, HELD, replace(PLANNED, revision=2)), True),
    "held between two steps": (run_with(EXAMINED, TWO_STEPS, STARTED, FINISHED, HELD), True),
    "held before its first step": (run_with(EXAMINED, TWO_STEPS, HELD, STARTED, FINISHED), False),
    "a person is asked": (run_with(EXAMINED, PLANNED, HELD, ASKED), False),
    "never held": (run_with(EXAMINED, PLANNED), False),
    "it has started": (run_with(EXAMINED, PLANNED, HELD, STARTED), False),
    "over": (run_with(EXAMINED, PLANNED, HELD, ENDED), False),
}


@pytest.mark.parametrize(("run", "is_held"), HOLDS.values(), ids=HOLDS.keys())
def test_a_plan_is_held_while_a_guard_says_so(run: Run, is_held: bool) -> None:
    """What is held stands otherwise than what is about to be done, or than what a person can decide on."""
    assert is_held == (held_plan(run) is not None)


def test_the_next_look_at_a_held_plan_is_told_while_it_is_to_come() -> None:
    """Afterwards only how often it is looked at is known."""
    until = [show_hold(NOW, HELD, at=at, timeout=SECOND)["until"] for at in (NOW, HELD.until)]

    assert ["2026-01-31T12:00:06Z", None] == until


def test_signals_are_told_in_words() -> None:
    """Who decided what is part of the story."""
    signals = (
        Joined(at=NOW, count=1),
        Joined(at=NOW, count=49),
        DECISION,
        replace(DECISION, approved=False, reason="not now"),
        Resolved(at=NOW),
        Resolved(at=NOW, missed=True),
        Cancel(at=NOW, by="am", reason="enough"),
        Settle(at=NOW, step=STEP.id, attempt=1, done=True, by="ann"),
        Undo(at=NOW, by="ann", reason="it was me"),
    )

    assert [
        "one more alert of the group joined",
        "49 more alerts of the group joined",
        "approved by am",
        "denied by am",
        "the alert resolved",
        "nothing was heard of the alert for too long; it counts as resolved",
        "cancelled by am",
        "settled by ann: remediate.0.0 was done",
        "undo asked for by ann",
    ] == [line["text"] for line in show_run(run_with(signals=signals))["signals"]]


@pytest.mark.parametrize(
    ("signal", "text"),
    [
        (APPROVED, "approved by ann (in Slack)"),
        (replace(APPROVED, approved=False, via="token"), "denied by ann (with their token)"),
        (replace(APPROVED, via="admin"), "approved by ann (with the admin token)"),
        (replace(APPROVED, via="service"), "approved by ann"),
        (Again(NOW, "ann", "full", by_hand=True), "started by hand by ann"),
    ],
)
def test_who_has_said_something_is_told_with_the_way(signal: Signal, text: str) -> None:
    """Whoever reads it later asks how that person was known."""
    assert text == show_signal(signal)["text"]


def test_of_a_run_by_hand_it_is_told_that_no_alert_is_asked_for() -> None:
    """A person's word counts instead."""
    shown = show_fact(replace(PLANNED, alert_from="", stated_by="ann"))

    assert ("", "ann") == (shown["alert_from"], shown["stated_by"])
    assert shown["says_alert"].startswith("ann has started it by hand")
    assert "by Alertmanager" in show_fact(replace(PLANNED, alert_from="Alertmanager"))["says_alert"]
