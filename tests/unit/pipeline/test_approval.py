"""The gate: nothing runs unapproved, late, or on somebody's word for another plan."""

from datetime import UTC, datetime, timedelta

import pytest

from remediator.model.facts import Asked
from remediator.model.ids import Digest, StepId
from remediator.model.plan import Effect, Mode, Plan, PlannedStep, Verification
from remediator.model.run import Decision
from remediator.pipeline.approval import Ask, Denied, Expired, Free, Standing, Wait, stand

T0 = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ASKED = Asked(T0, 1, 1, until=T0 + 15 * MINUTE)


def plan(*, gated: bool = False, effect: Effect = Effect.CHANGE) -> Plan:
    step = PlannedStep(StepId("s"), "a.b", {}, effect, idempotent=False, targets=(), timeout=MINUTE, sentence="do it")
    zero = timedelta(0)
    return Plan(0, "it", gated, (step,), Verification(zero, zero, MINUTE, MINUTE, ()))


def decision(*, approved: bool = True, at: datetime = T0 + MINUTE) -> Decision:
    return Decision(at, approved, Digest("d"), 1, 1, "ann")


@pytest.mark.parametrize(
    ("given", "mode", "asked", "said", "at", "expected"),
    [
        pytest.param(plan(), Mode.AUTO, None, None, T0, Free(approved=False), id="auto-needs-nobody"),
        pytest.param(plan(), Mode.GATED, None, None, T0, Ask(), id="gated-asks"),
        pytest.param(plan(gated=True), Mode.AUTO, None, None, T0, Ask(), id="gated-rung-asks-in-auto"),
        pytest.param(plan(effect=Effect.DESTROY), Mode.AUTO, None, None, T0, Ask(), id="destroying-asks-in-auto"),
        pytest.param(plan(), Mode.GATED, ASKED, None, T0 + MINUTE, Wait(ASKED.until), id="waits"),
        pytest.param(plan(), Mode.GATED, ASKED, None, ASKED.until, Expired(), id="expires"),
        pytest.param(plan(), Mode.GATED, ASKED, decision(), T0 + MINUTE, Free(approved=True), id="approved"),
        pytest.param(
            plan(),
            Mode.GATED,
            ASKED,
            decision(),
            T0 + 20 * MINUTE,
            Free(approved=True),
            id="approved-in-time-acted-late",
        ),
        pytest.param(
            plan(),
            Mode.GATED,
            ASKED,
            decision(at=ASKED.until + MINUTE),
            T0 + 20 * MINUTE,
            Expired(),
            id="approved-too-late",
        ),
        pytest.param(
            plan(),
            Mode.GATED,
            ASKED,
            decision(approved=False),
            T0 + MINUTE,
            Denied(decision(approved=False)),
            id="denied",
        ),
        pytest.param(plan(), Mode.GATED, None, decision(), T0, Ask(), id="a-decision-before-it-was-asked-for-is-none"),
    ],
)
def test_a_plan_stands_with_its_people(
    given: Plan, mode: Mode, asked: Asked | None, said: Decision | None, at: datetime, expected: Standing
) -> None:
    """Each row is one way in which an unapproved plan could slip through, or an approved one be lost."""
    assert expected == stand(given, mode, asked, said, at)
