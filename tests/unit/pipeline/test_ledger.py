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
    Voided,
)
from remediator.model.ids import StepId
from remediator.model.outcome import Outcome, Reason
from remediator.model.plan import Effect, Plan, PlannedCheck, PlannedStep, Verification
from remediator.model.stage import MOST_NOT_BEGUN
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
    "what a question touches": lambda said: Asked(AT, 1, 1, AT, touches=said),
    "what is void": lambda said: Voided(AT, 1, 1, said),
    "what is other in a plan": lambda said: replace(plan(), differs=said),
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
    "not begun": (finished(StepStatus.FAILED, begun=False), (ChangeEnded(1, Ending.NOT_BEGUN, AT),)),
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


FIRST, SECOND = StepId("remediate.0.0"), StepId("remediate.0.1")


def begin(step: StepId, attempt: int = 1, round_: int = 1) -> Started:
    return Started(AT, round_, step, attempt, 1, AT + MINUTE)


def end(step: StepId, status: StepStatus, attempt: int = 1, *, begun: bool = True) -> Finished:
    return Finished(AT, 1, step, attempt, status, "", "", 1, begun)


@pytest.mark.parametrize(
    ("effect", "before", "taken_back"),
    [
        (Effect.CHANGE, [], True),
        (Effect.CHANGE, [begin(SECOND), end(SECOND, StepStatus.FAILED, begun=False)], True),
        (Effect.CHANGE, [begin(SECOND, round_=2)], True),
        (Effect.CHANGE, [begin(FIRST), end(FIRST, StepStatus.DONE)], False),
        (Effect.CHANGE, [begin(FIRST), end(FIRST, StepStatus.FAILED)], False),
        (Effect.CHANGE, [begin(FIRST), end(FIRST, StepStatus.UNKNOWN)], False),
        (Effect.CHANGE, [begin(SECOND)], False),
        (Effect.CHANGE, [begin(StepId("undo.1.remediate.0.0"))], False),
    ],
    ids=[
        "the first try",
        "another try that never began",
        "another round",
        "a step was done before",
        "a step has failed before",
        "a step is unknown",
        "nobody saw the end of an earlier try",
        "a step that the plan does not have",
    ],
)
def test_a_change_is_taken_back_only_where_nothing_of_it_can_have_been_done(
    effect: Effect, before: list[Fact], taken_back: bool
) -> None:
    """It would be counted too little else."""
    planned = plan()
    first = replace(planned.plan.steps[0], effect=effect)
    steps = (first, replace(planned.plan.steps[0], id=SECOND))
    never = end(SECOND, StepStatus.FAILED, 2, begun=False)
    facts = [replace(planned, plan=replace(planned.plan, steps=steps)), *before, begin(SECOND, 2), never]
    expected = (ChangeEnded(1, Ending.NOT_BEGUN, AT),) if taken_back else ()

    assert expected == endings_of(a_case(facts=facts).run, [never])


LOOKED = [evidence("sick"), begin(FIRST), end(FIRST, StepStatus.DONE)]
IN_VAIN: list[Fact] = [
    fact
    for n in range(MOST_NOT_BEGUN)
    for fact in (begin(SECOND, 1 + n), end(SECOND, StepStatus.FAILED, 1 + n, begun=False))
]
LAST_TRY = MOST_NOT_BEGUN + 1


@pytest.mark.parametrize(
    ("facts", "taken_back"),
    [
        ([*LOOKED, begin(SECOND), end(SECOND, StepStatus.FAILED, begun=False)], False),
        ([*LOOKED, begin(SECOND), end(SECOND, StepStatus.FAILED, begun=False), Ended(AT, Outcome.CANCELLED, "")], True),
        ([*LOOKED, Ended(AT, Outcome.CANCELLED, "")], True),
        ([*LOOKED, begin(SECOND), end(SECOND, StepStatus.UNKNOWN), Ended(AT, Outcome.UNKNOWN, "")], False),
        ([*LOOKED, begin(SECOND), Ended(AT, Outcome.FAILED, "")], False),
        (
            [*LOOKED, *IN_VAIN, begin(SECOND, LAST_TRY), end(SECOND, StepStatus.FAILED, LAST_TRY, begun=False)],
            True,
        ),
    ],
    ids=[
        "it is begun again",
        "the run ends instead",
        "the run ends before it",
        "it is unknown",
        "nobody saw its end",
        "it was tried too often",
    ],
)
def test_a_plan_that_has_looked_is_taken_back_once_it_is_given_up(facts: list[Fact], taken_back: bool) -> None:
    """As long as it goes on nothing counts it again, so its place in the budgets stays taken."""
    planned = plan()
    first = replace(planned.plan.steps[0], effect=Effect.READ)
    steps = (first, replace(planned.plan.steps[0], id=SECOND))
    run = a_case(facts=[replace(planned, plan=replace(planned.plan, steps=steps)), *facts]).run
    expected = (ChangeEnded(1, Ending.NOT_BEGUN, AT),) if taken_back else ()

    assert expected == endings_of(run, [facts[-1]])


def test_a_start_that_is_stored_with_it_takes_nothing_back() -> None:
    """That one may begin what the one before did not."""
    never = end(FIRST, StepStatus.FAILED, begun=False)
    facts = [plan(), begin(FIRST), never, begin(FIRST, 2)]

    assert () == endings_of(a_case(facts=facts).run, [never])


def test_a_step_that_only_reads_is_no_change() -> None:
    """That a look went well says nothing of what was changed."""
    planned = plan()
    step = replace(planned.plan.steps[0], effect=Effect.READ)
    done = finished(StepStatus.DONE)
    run = a_case(facts=[replace(planned, plan=replace(planned.plan, steps=(step,))), done]).run

    assert () == endings_of(run, [done])
