"""What is told of a run that waits in a storm, and after it: little at first, and all of it once the run goes on."""

from datetime import UTC, datetime, timedelta

import pytest

from remediator.kit.redaction import Redactor
from remediator.model.alert import Alert, AlertStatus
from remediator.model.facts import (
    Acknowledged,
    Asked,
    Closed,
    Ended,
    Escalated,
    Evidence,
    Examined,
    Fact,
    Held,
    Planned,
    Started,
)
from remediator.model.ids import Digest, Fingerprint, OccurrenceId, OwnerId, RuleId, RunId, StepId
from remediator.model.outcome import Outcome, Reason
from remediator.model.plan import Effect, Plan, PlannedStep, Verification
from remediator.model.run import Joined, Run, Signal
from remediator.model.target import Target
from remediator.pipeline.story import tell

T0 = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
REDACTOR = Redactor()
STEP = PlannedStep(
    StepId("remediate.0.0"), "thing.kick", {}, Effect.CHANGE, False, (Target("thing", ("web",)),), MINUTE, "kick web"
)
PLAN = Plan(0, "kick", False, (STEP,), Verification(MINUTE, MINUTE, MINUTE, MINUTE, ()))
EXAMINED = Examined(T0, 1, {"look": Evidence("thing.look", True, {}, "it is down", "", 0.1)})
PLANNED = Planned(T0, 1, 1, PLAN)
ASKED = Asked(T0, 1, 1, T0 + MINUTE, "")
STARTED = Started(T0, 1, STEP.id, 1, 1, T0)
CALLED = Escalated(T0, 1, "on-call", MINUTE, ("#on-call",))
TAKEN = Acknowledged(T0, "ann", "mine")


def held(reason: Reason = Reason.STORM, count: int = 1) -> Held:
    return Held(T0, 1, count, reason, f"because of {reason.name}", T0 + MINUTE)


def ended(outcome: Outcome) -> Ended:
    return Ended(T0, outcome, "it is over")


STORM = held()
WAITING = (EXAMINED, PLANNED, STORM)
WAITED = ["examined.1", "planned.round.1.1", "held.round.1.1"]


def run_of(*facts: Fact, signals: tuple[Signal, ...] = ()) -> Run:
    return Run(
        id=RunId("r1"),
        rule=RuleId("p/sick"),
        rule_digest=Digest("d" * 64),
        occurrence=OccurrenceId("o1"),
        alert=Alert(Fingerprint("f"), AlertStatus.FIRING, {"alertname": "Sick"}, {}, T0),
        summary="web is sick",
        channel="#c",
        owner=OwnerId("me"),
        epoch=1,
        created_at=T0,
        facts=facts,
        signals=signals,
    )


def told(known: tuple[Fact, ...], *noted: Fact) -> list[str]:
    """The keys of what is told, in order; in brackets what is minor."""
    posts = tell(run_of(*known, *noted), noted, REDACTOR)
    return [f"({post.key})" if post.is_minor else post.key for post in posts]


@pytest.mark.parametrize(
    ("known", "noted"),
    [
        ((), WAITING),
        ((EXAMINED,), (PLANNED, STORM)),
        ((EXAMINED, PLANNED, held(Reason.PAUSED)), (held(count=2),)),
        (WAITING, (held(count=2),)),
        (WAITING, (held(Reason.BUDGET_USED, 2),)),
        ((*WAITING, held(Reason.BUDGET_USED, 2)), (held(Reason.FROZEN, 3),)),
    ],
    ids=["at-once", "later", "paused-before", "again", "budget", "frozen"],
)
def test_of_a_run_that_only_waits_since_a_storm_the_opening_alone_is_told(
    known: tuple[Fact, ...], noted: tuple[Fact, ...]
) -> None:
    """Thousands do; that there is a storm is told once."""
    assert ["(parent)"] == told(known, *noted)
    (post,) = tell(run_of(*known, *noted), noted, REDACTOR)
    assert "held" in post.message.title


@pytest.mark.parametrize(
    ("known", "noted"),
    [
        ((), (EXAMINED, PLANNED, held(Reason.PAUSED))),
        ((), (*WAITING, ASKED)),
        ((EXAMINED, PLANNED, ASKED), (STORM,)),
        ((EXAMINED, PLANNED, STARTED), (STORM,)),
    ],
    ids=["no-storm", "asked-by-now", "asked-before", "begun"],
)
def test_whatever_else_is_held_is_told_as_ever(known: tuple[Fact, ...], noted: tuple[Fact, ...]) -> None:
    """Somebody waits for it, or something was done."""
    keys = told(known, *noted)

    assert "parent" == keys[0]
    assert f"held.round.1.{noted[-1].count if isinstance(noted[-1], Held) else 1}" in keys
    assert not [key for key in keys if key.startswith("(")]


@pytest.mark.parametrize(
    ("known", "noted", "keys"),
    [
        (WAITING, (ASKED,), [*WAITED, "asked.round.1.1"]),
        (WAITING, (STARTED,), WAITED),
        ((*WAITING, held(Reason.BUDGET_USED, 2)), (ASKED,), [*WAITED, "held.round.1.2", "asked.round.1.1"]),
        ((*WAITING, CALLED), (ASKED,), [*WAITED, "asked.round.1.1"]),
        (WAITING, (ended(Outcome.REFUSED),), [*WAITED, "ended.1"]),
        ((*WAITING, ASKED), (STARTED,), ["asked.round.1.1"]),
    ],
    ids=["asked", "started", "held-again", "called-before", "refused", "told-before"],
)
def test_what_was_held_back_is_told_first_once_the_run_goes_on(
    known: tuple[Fact, ...], noted: tuple[Fact, ...], keys: list[str]
) -> None:
    """Whoever is asked needs the evidence, and sees it before the question."""
    assert ["parent", *keys] == told(known, *noted)


def test_what_was_told_before_the_storm_is_told_in_the_same_words() -> None:
    """The same message again is not sent again."""
    before = tell(run_of(EXAMINED, PLANNED), (EXAMINED, PLANNED), REDACTOR)
    after = tell(run_of(EXAMINED, PLANNED, STORM, ASKED), (ASKED,), REDACTOR)

    assert before[1:] == after[1:3]


@pytest.mark.parametrize("outcome", [Outcome.RESOLVED_BY_ITSELF, Outcome.EXPIRED])
def test_the_end_of_waiting_is_told_without_what_was_held_back(outcome: Outcome) -> None:
    """All of them end at once, and nothing came of the plan."""
    end = ended(outcome)

    assert ["(parent)", "(ended.1)"] == told(WAITING, end)
    assert ["(parent)", "(closed.1)"] == told((*WAITING, end), Closed(T0, "ended"))


def test_that_a_person_is_called_is_told_at_once() -> None:
    """Its thread is where that person looks, so its opening cannot wait, either."""
    assert ["parent", "escalated.1"] == told(WAITING, CALLED)
    assert ["parent", "acknowledged.1"] == told((*WAITING, CALLED), TAKEN)


def test_alerts_that_join_a_run_that_waits_are_minor() -> None:
    """It is the same storm."""
    run = run_of(*WAITING, signals=(Joined(T0, 2, ({"alertname": "Sick"},)),))

    assert [True] == [post.is_minor for post in tell(run, (), REDACTOR)]
