"""What a run's owner notes holds no secret, whoever said it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from remediator.kit.redaction import MASK, Redactor
from remediator.model.change import Ended as ChangeEnded
from remediator.model.change import Ending
from remediator.model.facts import (
    Asked,
    Ended,
    Evidence,
    Examined,
    Fact,
    Finished,
    Held,
    LateFinished,
    Planned,
    Proof,
    Settled,
    Started,
    StepStatus,
    Verified,
)
from remediator.model.ids import StepId
from remediator.model.outcome import Outcome, Reason
from remediator.model.plan import Effect, Plan, PlannedCheck, PlannedStep, Verification
from remediator.pipeline.ledger import endings_of, redacted
from tests.unit.pipeline.guards.probing import a_case

AT = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
STEP = StepId("remediate.0.0")
SECRET = "s3cret/value"
REDACTOR = Redactor([SECRET])


def evidence(said: str) -> Examined:
    return Examined(AT, 1, {"state": Evidence("docker.inspect", ok=False, result={}, brief=said, detail="", seconds=1)})


def plan(step: str = "Restart web", check: str = "Ask web") -> Planned:
    steps = (PlannedStep(STEP, "docker.restart", {}, Effect.CHANGE, False, (), MINUTE, step),)
    checks = (PlannedCheck(StepId("verify.0"), "http.get", {}, MINUTE, "result.status == 200", check),)
    return Planned(AT, 1, 1, Plan(0, "restart", False, steps, Verification(MINUTE, MINUTE, MINUTE, MINUTE, checks)))


MADE: dict[str, Any] = {
    "evidence": evidence,
    "a planned step": plan,
    "a planned check": lambda said: plan(check=said),
    "a question": lambda said: Asked(AT, 1, 1, AT, said),
    "a hold": lambda said: Held(AT, 1, 1, Reason.TARGET_BUSY, said, AT),
    "the end of a step": lambda said: Finished(AT, 1, STEP, 1, StepStatus.FAILED, said, "", 1),
    "a proof": lambda said: Verified(AT, 1, Proof.INCONCLUSIVE, 1, said),
    "the end": lambda said: Ended(AT, Outcome.FAILED, said),
    "a person's word": lambda said: Settled(AT, STEP, 1, True, "ann", said),
}


@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_a_secret_is_taken_out_of_what_is_said(make: Any) -> None:
    """It is on its way into the store, and from there everywhere: an error may quote what it was called with."""
    fact = redacted(make(f"refused: {SECRET}"), REDACTOR)

    assert make(f"refused: {MASK}") == fact


@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_what_holds_no_secret_stays_as_it_is(make: Any) -> None:
    """Nothing but texts changes."""
    fact: Fact = make("not done: the engine refused it")

    assert replace(fact) == redacted(fact, REDACTOR)


def finished(status: StepStatus, *, begun: bool = True) -> Finished:
    return Finished(AT, 1, STEP, 1, status, "", "", 1, begun)


def verified(proof: Proof) -> Verified:
    return Verified(AT, 1, proof, 1, "")


ENDINGS: dict[str, tuple[Fact, tuple[ChangeEnded, ...]]] = {
    "done": (finished(StepStatus.DONE), (ChangeEnded(1, Ending.DONE, AT, "docker.restart"),)),
    "failed": (finished(StepStatus.FAILED), (ChangeEnded(1, Ending.FAILED, AT),)),
    "unknown": (finished(StepStatus.UNKNOWN), (ChangeEnded(1, Ending.UNKNOWN, AT),)),
    "not begun": (finished(StepStatus.FAILED, begun=False), ()),
    "healed": (verified(Proof.HEALED), (ChangeEnded(1, Ending.HEALED, AT),)),
    "not healed": (verified(Proof.NOT_HEALED), (ChangeEnded(1, Ending.NOT_HEALED, AT),)),
    "inconclusive": (verified(Proof.INCONCLUSIVE), (ChangeEnded(1, Ending.INCONCLUSIVE, AT),)),
    "something else": (Ended(AT, Outcome.CANCELLED, ""), ()),
}


STARTED = Started(AT, 1, STEP, 1, 1, AT + MINUTE)
LATE = {
    "a person says that it was done": (Settled(AT, STEP, 1, True, "ann", ""), Ending.DONE),
    "a person says that it was not": (Settled(AT, STEP, 1, False, "ann", ""), Ending.FAILED),
    "it ended late, and well": (LateFinished(AT, STEP, 1, StepStatus.DONE, ""), Ending.DONE),
    "it ended late, and badly": (LateFinished(AT, STEP, 1, StepStatus.FAILED, ""), Ending.FAILED),
}


@pytest.mark.parametrize(("fact", "ending"), LATE.values(), ids=LATE)
def test_late_news_of_an_unknown_step_reach_the_journal(fact: Fact, ending: Ending) -> None:
    """What is known by now is no reason to trust the rule less."""
    run = a_case(facts=[plan(), STARTED, finished(StepStatus.UNKNOWN), fact]).run

    assert (ChangeEnded(1, ending, AT, settles=True),) == endings_of(run, [fact])


@pytest.mark.parametrize("fact", [fact for fact, _ in LATE.values()], ids=LATE)
def test_late_news_do_not_take_back_a_proof(fact: Fact) -> None:
    """That it has healed says more than that it was done."""
    run = a_case(facts=[plan(), STARTED, finished(StepStatus.UNKNOWN), verified(Proof.HEALED), fact]).run

    assert () == endings_of(run, [fact])


def test_a_late_end_that_is_unknown_itself_is_no_news() -> None:
    """It says nothing more."""
    late = LateFinished(AT, STEP, 1, StepStatus.UNKNOWN, "")

    assert () == endings_of(a_case(facts=[plan(), STARTED, finished(StepStatus.UNKNOWN), late]).run, [late])


@pytest.mark.parametrize(("fact", "endings"), ENDINGS.values(), ids=ENDINGS)
def test_the_journal_learns_what_came_of_what_was_begun(fact: Fact, endings: tuple[ChangeEnded, ...]) -> None:
    """Guards count by it; a step that never began is nobody's failure."""
    assert endings == endings_of(a_case(facts=[plan(), fact]).run, [fact])


def test_a_step_that_only_reads_is_no_change() -> None:
    """That a look went well says nothing of what was changed."""
    planned = plan()
    step = replace(planned.plan.steps[0], effect=Effect.READ)
    done = finished(StepStatus.DONE)
    run = a_case(facts=[replace(planned, plan=replace(planned.plan, steps=(step,))), done]).run

    assert () == endings_of(run, [done])
