"""What a run has changed is shown with what becomes of it, and an undo that would come to nothing is refused."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from remediator.model.alert import Alert, AlertStatus
from remediator.model.facts import Ended, Examined, Fact, Finished, Held, Planned, Settled, Started, StepStatus
from remediator.model.ids import Digest, Fingerprint, OccurrenceId, OwnerId, RuleId, RunId, StepId
from remediator.model.outcome import Outcome, Reason
from remediator.model.plan import Effect, Plan, PlannedStep, Verification
from remediator.model.run import Run, Undo
from remediator.model.target import Target
from remediator.model.undo import Captured, Cause, Undoing, Undone, undo_step
from remediator.web.shown import show_fact, show_run
from remediator.web.undo import is_under_way, refusal_of, show_changes

AT = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
DONE, FAILED, UNKNOWN = StepStatus.DONE, StepStatus.FAILED, StepStatus.UNKNOWN
VERIFICATION = Verification(SECOND, SECOND, SECOND, SECOND, ())
WEB = (Target("docker", ("local", "web"), "4f5e"),)
GIVE = PlannedStep(
    StepId("remediate.0.0"), "docker.set_memory", {}, Effect.CHANGE, True, WEB, SECOND, "give web 2 GiB", stays=""
)
RESTART = PlannedStep(
    StepId("remediate.0.1"), "docker.restart", {}, Effect.CHANGE, False, WEB, SECOND, "restart web", stays="no way back"
)
RUN = Run(
    id=RunId("d1m0k2s3abcdefgh"),
    rule=RuleId("web/slow"),
    rule_digest=Digest("0" * 64),
    occurrence=OccurrenceId("d1m0k2s3zzzzzzzz"),
    alert=Alert(Fingerprint("2fc4c353ef13c5b1"), AlertStatus.FIRING, {"alertname": "Slow"}, {}, AT),
    channel="#alerts",
    summary="web is slow",
    owner=OwnerId("owner"),
    epoch=1,
    created_at=AT,
)
ENDED = Ended(AT, Outcome.HEALED, "every check held")


def planned(*steps: PlannedStep, lasts: timedelta | None = None) -> tuple[Fact, ...]:
    return Examined(AT, 1, {}), Planned(AT, 1, 1, Plan(0, "more", False, steps, VERIFICATION, lasts=lasts))


def captured(step: PlannedStep = GIVE) -> Captured:
    return Captured(AT, 1, step.id, 1, {"limit": 64})


def started(step: StepId = GIVE.id) -> Started:
    return Started(AT, 1, step, 1, 1, AT + SECOND)


def finished(step: StepId = GIVE.id, status: StepStatus = DONE, brief: str = "done", *, begun: bool = True) -> Finished:
    return Finished(AT, 1, step, 1, status, brief, "", 1, begun=begun)


def a_run(*facts: Fact) -> Run:
    return replace(RUN, facts=facts)


GIVEN = (*planned(GIVE), captured(), started(), finished())
"""It was given more memory."""
ASKED = Undoing(AT, 1, Cause.ASKED, by="ann")
UNDO = undo_step(GIVE.id, 1)
OVER = Undone(AT, 1, asks=False, brief="put back")


def changes(*facts: Fact) -> list[tuple[str, str]]:
    return [(one["stands"], one["why"]) for one in show_changes(a_run(*facts))]


def test_a_change_is_shown_with_what_it_would_be_put_back_to() -> None:
    """Whoever is woken by it sees at once what an undo would do."""
    assert [
        {
            "round": 1,
            "step": "remediate.0.0",
            "action": "docker.set_memory",
            "sentence": "give web 2 GiB",
            "targets": ["docker:local/web@4f5e"],
            "stands": "can be put back",
            "why": "",
            "before": {"limit": 64},
            "until": None,
        }
    ] == show_run(a_run(*GIVEN, ENDED))["changes"]


def test_a_change_for_a_while_is_shown_with_its_end() -> None:
    """It is counted from the plan's last step, which everything was for."""
    late = replace(finished(RESTART.id), at=AT + SECOND)
    facts = (*planned(GIVE, RESTART, lasts=HOUR), captured(), started(), finished(), started(RESTART.id), late)
    stays, lasts = show_changes(a_run(*facts, ENDED))

    assert (None, "2026-01-31T13:00:01Z") == (stays["until"], lasts["until"])


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        pytest.param((), [], id="nothing-was-done"),
        pytest.param((*GIVEN, ENDED, ASKED), [("is being put back", "")], id="an-undo-was-begun"),
        pytest.param((*GIVEN, ENDED, ASKED, started(UNDO)), [("is being put back", "")], id="it-is-acting"),
        pytest.param((*GIVEN, ENDED, ASKED, started(UNDO), finished(UNDO)), [("was put back", "")], id="it-is-back"),
        pytest.param(
            (*GIVEN, ENDED, ASKED, started(UNDO), finished(UNDO, FAILED, "somebody has changed it", begun=False)),
            [("needs a person", "it was not put back: somebody has changed it")],
            id="somebody-has-changed-it",
        ),
        pytest.param(
            (*planned(RESTART), started(RESTART.id), finished(RESTART.id), ENDED),
            [("stays", "docker.restart keeps nothing that it could be put back with")],
            id="a-restart",
        ),
        pytest.param(
            (*planned(GIVE), Captured(AT, 1, GIVE.id, 1, None, "no answer"), started(), finished(), ENDED),
            [("stays", "what was there before is not known: no answer")],
            id="nothing-was-captured",
        ),
        pytest.param(
            (*planned(GIVE), captured(), started(), finished(status=UNKNOWN), ENDED),
            [
                (
                    "needs a person",
                    "it is not known whether it was done; look, and say so with: "
                    "remediator runs settle d1m0k2s3abcdefgh done, or: "
                    "remediator runs settle d1m0k2s3abcdefgh not-done",
                )
            ],
            id="nobody-saw-its-end",
        ),
        pytest.param(
            (*planned(GIVE), captured(), started(), finished(status=FAILED), ENDED),
            [("stays", "it has failed, so there is nothing to put back")],
            id="it-has-failed",
        ),
        pytest.param(
            (*planned(GIVE), captured(), started()),
            [("is acting", "it has not ended yet; an undo lets it to its end first")],
            id="it-is-acting-for-the-first-time",
        ),
        pytest.param(
            (
                *planned(GIVE),
                captured(),
                started(),
                finished(status=UNKNOWN),
                ENDED,
                Settled(AT, GIVE.id, 1, False, "ann", ""),
            ),
            [("stays", "it was not done, so there is nothing to put back: ann says so")],
            id="a-person-says-that-it-was-not-done",
        ),
    ],
)
def test_each_change_says_how_it_stands(facts: tuple[Fact, ...], expected: list[tuple[str, str]]) -> None:
    """What stays is told with the reason, and what a person has to do as well."""
    assert expected == changes(*facts)


@pytest.mark.parametrize(
    ("facts", "words", "expected"),
    [
        ((), 0, False),
        ((), 1, True),
        ((ASKED,), 1, True),
        ((replace(ASKED, answers=2), OVER), 2, False),
        ((replace(ASKED, answers=1), OVER), 2, True),
    ],
    ids=["nobody asked", "it was not heard yet", "it goes on", "it is over", "somebody asked again"],
)
def test_whether_it_goes_on_is_known_from_the_moment_that_it_was_asked_for(
    facts: tuple[Fact, ...], words: int, expected: bool
) -> None:
    """Whoever waits for it must not take the time before it has begun for its end."""
    run = replace(a_run(*GIVEN, ENDED, *facts), signals=tuple(Undo(AT, "ann") for _ in range(words)))

    assert expected == is_under_way(run)


def test_what_keeps_it_from_being_put_back_is_told() -> None:
    """A pause is obeyed for as long as it lasts; who waits should see that."""
    held = Held(AT, 1, 1, Reason.PAUSED, "all of it", AT + SECOND)

    assert [("is being put back", f"held, {Reason.PAUSED}: all of it")] == changes(*GIVEN, ENDED, ASKED, held)
    assert [("is being put back", "")] == changes(*GIVEN, ENDED, ASKED, held, started(UNDO))


def test_an_end_that_was_tried_is_told_no_more() -> None:
    """From then on it waits for a person, and does not go by itself."""
    given = (*planned(GIVE, lasts=HOUR), captured(), started(), finished(), ENDED)
    tried = (replace(ASKED, cause=Cause.TIME_OVER, round=1, by=""), replace(OVER, asks=True))

    assert ["2026-01-31T13:00:00Z"] == [one["until"] for one in show_changes(a_run(*given))]
    assert [None] == [one["until"] for one in show_changes(a_run(*given, *tried))]


def test_an_undo_of_another_round_leaves_it_as_it_stands() -> None:
    """Where a remedy has not helped, only what that one has done is put back."""
    other = replace(ASKED, cause=Cause.NOT_HELPED, round=2, by="")

    assert [("can be put back", "")] == changes(*GIVEN, other)


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        pytest.param((*GIVEN, ENDED), "", id="it-can-be-put-back"),
        pytest.param(GIVEN, "", id="the-run-goes-on"),
        pytest.param((*planned(GIVE), captured(), started()), "", id="it-is-acting"),
        pytest.param(
            (*GIVEN, ENDED, ASKED, started(UNDO), finished(UNDO, FAILED, "changed", begun=False), OVER),
            "",
            id="it-is-tried-again",
        ),
        pytest.param((*GIVEN, ENDED, ASKED), "it is being put back already", id="it-is-under-way"),
        pytest.param(
            (*GIVEN, ENDED, ASKED, started(UNDO), finished(UNDO), OVER),
            "everything that this run has changed is put back already",
            id="it-is-back",
        ),
        pytest.param(
            (*planned(RESTART), started(RESTART.id), finished(RESTART.id), ENDED),
            "nothing is left to put back: “restart web” stays, because docker.restart keeps nothing that it could be "
            "put back with",
            id="it-stays",
        ),
        pytest.param((ENDED,), "this run has changed nothing, so there is nothing to put back", id="nothing-was-done"),
        pytest.param(
            planned(GIVE),
            "this run has changed nothing, so there is nothing to put back; to stop it, say: "
            "remediator cancel d1m0k2s3abcdefgh",
            id="nothing-was-done-yet",
        ),
        pytest.param(
            (*planned(GIVE), captured(), started(), finished(status=UNKNOWN), ENDED),
            "“give web 2 GiB” needs a person first: it is not known whether it was done; look, and say so with: "
            "remediator runs settle d1m0k2s3abcdefgh done, or: remediator runs settle d1m0k2s3abcdefgh not-done",
            id="nobody-knows",
        ),
    ],
)
def test_an_undo_is_refused_where_nothing_would_come_of_it(facts: tuple[Fact, ...], why: str) -> None:
    """With what to do instead; whoever asks must not wait for what never comes."""
    assert why == refusal_of(a_run(*facts), AT)
    assert len(why) <= 200, "the API cuts what is longer"


def test_of_several_that_stay_the_refusal_names_one() -> None:
    """The run shows all of them."""
    again = replace(RESTART, id=StepId("remediate.0.2"))
    facts = (*planned(RESTART, again), *(fact for s in (RESTART, again) for fact in (started(s.id), finished(s.id))))

    assert refusal_of(a_run(*facts, ENDED), AT).startswith(
        "nothing is left to put back: “restart web” (and others) stays"
    )


def test_a_step_that_is_put_back_without_a_known_end_is_settled_by_its_sentence() -> None:
    """Its id says nothing to a person."""
    shown = show_run(a_run(*GIVEN, ENDED, ASKED, started(UNDO), finished(UNDO, UNKNOWN)))["unsettled"]

    assert ("undo.1.remediate.0.0", "putting back: give web 2 GiB") == (shown["step"], shown["sentence"])


@pytest.mark.parametrize(
    ("fact", "text", "fields"),
    [
        (captured(), "remediate.0.0: what was there before was noted", {"step": "remediate.0.0"}),
        (ASKED, "its changes are put back: ann has asked for it", {"by": "ann", "cause": "a person has asked for it"}),
        (
            replace(ASKED, by="", cause=Cause.TIME_OVER),
            "its changes are put back: they were to last for a limited time (`for`), and that is over",
            {"by": ""},
        ),
        (OVER, "putting back is over: put back", {"asks": False}),
    ],
)
def test_what_goes_on_beside_the_stages_is_told(fact: Fact, text: str, fields: dict[str, Any]) -> None:
    """Who asked for it, or why it went by itself, is part of the story."""
    shown = show_fact(fact)

    assert (text, fields) == (shown["text"], {name: shown[name] for name in fields})
