"""What the card of a question says: all that somebody needs who decides, as long as it is open, and then what came."""

from dataclasses import replace
from datetime import timedelta

import pytest

from remediator.kit.redaction import MASK, Redactor
from remediator.model.facts import (
    Asked,
    Ended,
    Evidence,
    Examined,
    Fact,
    Planned,
    Prolonged,
    Reminded,
    Voided,
)
from remediator.model.ids import RunId, StepId
from remediator.model.message import Choice, Excerpt, Fields, Message, Post, Text, Tone
from remediator.model.outcome import Outcome
from remediator.model.person import SERVICE
from remediator.model.plan import Effect
from remediator.model.run import Again, Cancel, Decision, Resolved, Signal
from remediator.pipeline.card import card
from remediator.pipeline.story import tell, tell_decision
from tests.unit.pipeline.test_story import EXAMINED, PLAN, PLANNED, STARTED, STEP, T0, run_of

MINUTE = timedelta(minutes=1)
UNTIL = T0 + 15 * MINUTE
ASKED = Asked(T0, 1, 1, UNTIL, "a guard wants it", record="of its last 3 plans: 3 healed", touches="1 of the 3 of shop")
TWO = replace(ASKED, quorum=2, approvers=("dba", "sre"))
KEY = "asked.round.1.1"
PLANNED_ANEW = replace(PLANNED, round=2, differs="added: kick db")


def said(
    by: str = "ann", *, approved: bool = True, reason: str = "", minute: int = 1, via: str = "slack", person: str = ""
) -> Decision:
    return Decision(T0 + minute * MINUTE, approved, PLAN.digest, 1, 1, by, reason, person or by, via)


def made(*facts: Fact, signals: tuple[Signal, ...] = (), asked: Asked = ASKED) -> Message:
    """The card, of a run that has asked and for which this has happened since."""
    return card(run_of(EXAMINED, PLANNED, asked, *facts, signals=signals), asked)


def pairs(message: Message) -> dict[str, str]:
    return {name: value for part in message.parts if isinstance(part, Fields) for name, value in part.pairs}


def words(message: Message) -> str:
    """All that people read."""
    lines = [message.title]
    for part in message.parts:
        match part:
            case Text(text=text):
                lines.append(text)
            case Fields(pairs=found):
                lines += [f"{name}: {value}" for name, value in found]
            case Excerpt(title=title, text=text):
                lines += [title, text]
    return "\n".join(lines)


def test_an_open_card_shows_all_that_is_needed_to_decide() -> None:
    """Nobody should have to look elsewhere first; what a guard says stands above all else."""
    message = made()

    assert (Tone.WAITING, "This plan needs a person") == (message.tone, message.title)
    assert Text("a guard wants it") == message.parts[0]
    assert {
        "What is wrong": "web is sick, since 2026-01-01 12:00:00 UTC",
        "Evidence": "look: it is down",
        "Plan": "kick",
        "Targets": "thing:web",
        "Touches": "1 of the 3 of shop",
        "This rule so far": "of its last 3 plans: 3 healed",
        "Who may approve": "everybody who is known here",
        "Until": "2026-01-01 12:15:00 UTC; then the run ends, and nothing is done",
    } == pairs(message)
    assert Excerpt("To decide", "remediator approve r1\nremediator deny r1 --reason '…'") == message.parts[-1]
    assert Choice(RunId("r1"), 1, 1, PLAN.digest, "This changes something: kick web") == message.choice


def test_the_steps_are_shown_as_they_will_run_without_their_secrets() -> None:
    """What people approve is the action with all that it is given, and not a name for it."""
    step = replace(STEP, action="http.call", params={"url": "https://x/y", "token": "hush-hush", "n": [1]})
    plan = replace(PLAN, steps=(replace(step, effect=Effect.DESTROY), STEP))
    planned = replace(PLANNED, plan=plan)
    message = card(run_of(EXAMINED, planned, ASKED), ASKED)

    assert (
        Excerpt(
            "What would be done",
            f"1. kick web (destroy)\n   http.call {{url: https://x/y, token: {MASK}, n: [1]}}, within 1m\n"
            "2. kick web\n   thing.kick, within 1m",
        )
        in message.parts
    )
    assert message.choice is not None
    assert "This destroys something: kick web" == message.choice.confirm


@pytest.mark.parametrize("break_", ["\n", "\r", "\x0b", "\x85", "\u2028"])
@pytest.mark.parametrize("nested", [False, True])
def test_a_value_never_looks_like_another_step(break_: str, nested: bool) -> None:
    """It may be a label's: whoever sends alerts would write what people approve."""
    forged = f"web{break_}2. kick nothing at all"
    step = replace(STEP, params={"what": [forged] if nested else forged})
    message = card(run_of(EXAMINED, replace(PLANNED, plan=replace(PLAN, steps=(step,))), ASKED), ASKED)

    (steps,) = (part for part in message.parts if isinstance(part, Excerpt) and part.title == "What would be done")
    assert ["1. kick web", "   thing.kick {what"] == [line[:19] for line in steps.text.splitlines()]


def test_nothing_has_to_be_confirmed_for_a_plan_that_only_reads() -> None:
    """A dialog that always comes is one that nobody reads."""
    plan = replace(PLAN, steps=(replace(STEP, effect=Effect.READ),))
    message = card(run_of(EXAMINED, replace(PLANNED, plan=plan), ASKED), ASKED)

    assert message.choice is not None
    assert "" == message.choice.confirm


@pytest.mark.parametrize(
    ("asked", "who"),
    [
        (replace(ASKED, approvers=("sre",)), "somebody in sre"),
        (replace(ASKED, approvers=("sre", "dba")), "somebody in sre or dba"),
        (replace(ASKED, quorum=2), "2 different people of all who are known here"),
        (TWO, "2 different people in dba or sre"),
    ],
)
def test_who_may_approve_is_said(asked: Asked, who: str) -> None:
    """Whoever reads it sees whether it is for them, or whom to call."""
    assert who == pairs(made(asked=asked))["Who may approve"]


def test_whoever_has_begun_it_by_hand_is_told_that_somebody_else_decides() -> None:
    """They would press in vain."""
    message = made(signals=(Again(T0, "ann", "try", "ann", by_hand=True),))

    assert "everybody who is known here, but not ann, who has begun it" == pairs(message)["Who may approve"]


@pytest.mark.parametrize(
    ("on_timeout", "then"),
    [
        ("deny", "the run ends, and nothing is done"),
        ("escalate", "the next level is told, and there is as much time again; without one the run ends"),
        ("auto", "it goes by itself, as the rule says, if nothing speaks against it"),
    ],
)
def test_what_happens_when_nobody_decides_is_said(on_timeout: str, then: str) -> None:
    """Silence is an answer as well: people have to know which."""
    message = made(asked=replace(ASKED, on_timeout=on_timeout))

    assert f"2026-01-01 12:15:00 UTC; then {then}" == pairs(message)["Until"]


def test_one_approval_of_two_is_said_and_the_question_stays_open() -> None:
    """The second person sees who was first."""
    message = made(signals=(said(reason="looks right"),), asked=TWO)

    assert "This plan needs 2 people" == message.title
    assert "1 of 2: ann at 2026-01-01 12:01:00 UTC: looks right" == pairs(message)["Approved so far"]
    assert message.choice is not None


def test_a_prolonged_question_says_its_new_end() -> None:
    """The old one would keep people from deciding."""
    message = made(Prolonged(UNTIL, 1, 1, UNTIL + 15 * MINUTE))

    assert "2026-01-01 12:30:00 UTC" in pairs(message)["Until"]
    assert "Nobody has decided in time, so there is as much time again." in words(message)
    assert message.choice is not None


@pytest.mark.parametrize(
    ("facts", "signals", "title", "told"),
    [
        ((), (said(reason="fine"),), "Approved by ann", "Approved: ann at 2026-01-01 12:01:00 UTC: fine"),
        ((STARTED,), (said(),), "Approved by ann", "Approved: ann at"),
        ((), (said(approved=False, reason="no!"),), "Denied by ann", "Denied: ann at 2026-01-01 12:01:00 UTC: no!"),
        (
            (),
            (said(by="remediator", reason="nobody decided", via="service", person=SERVICE.name),),
            "Nobody has decided in time: it goes by itself",
            "nobody decided",
        ),
        ((Voided(T0, 1, 1, "the rule has changed"),), (), "Void: this cannot be approved any more", "rule has changed"),
        (
            (Voided(T0, 1, 1, "ann may not decide"),),
            (said(),),
            "Void: this cannot be approved any more",
            "Approved: ann at",
        ),
        ((PLANNED_ANEW,), (said(),), "Void: approved by ann, and not done so", "added: kick db"),
        ((STARTED, PLANNED_ANEW), (said(),), "Approved by ann", "Approved: ann at"),
        ((replace(PLANNED, revision=2),), (said(),), "Void: approved by ann, and not done so", "once more"),
        ((PLANNED_ANEW,), (), "Nobody has to decide on this any more: the plan was made anew", "added: kick db"),
        ((Ended(T0, Outcome.EXPIRED, "nobody has approved"),), (), "Nobody has decided in time", "nobody has approved"),
        ((Ended(T0, Outcome.REFUSED, "frozen"),), (), "There is nothing to decide any more", "frozen"),
        (
            (),
            (Cancel(T0, "bob", "stop"),),
            "Called off: there is nothing to decide any more",
            "bob wants it to stop: stop",
        ),
        ((), (Resolved(T0),), "The alert is over: there is nothing to decide any more", "kick"),
        ((replace(EXAMINED, round=2),), (), "It is looked at anew", "asked for again"),
    ],
)
def test_a_card_that_is_not_open_says_why_and_has_no_choice(
    facts: tuple[Fact, ...], signals: tuple[Signal, ...], title: str, told: str
) -> None:
    """A button that does nothing, or a question that is none any more, costs people trust and time."""
    message = made(*facts, signals=signals)

    assert title == message.title
    assert told in words(message)
    assert message.choice is None
    assert "To decide" not in words(message)
    assert "kick web" in words(message)


def test_a_renewed_plan_keeps_its_question_open() -> None:
    """It was made anew and is the same: whoever decides needs not be asked again."""
    assert made(replace(PLANNED, round=2, renews=(1, 1))).choice is not None


def test_a_quorum_that_is_reached_names_all_who_approved() -> None:
    """Both are answerable for it."""
    message = made(signals=(said(), said("bob", minute=2)), asked=TWO)

    assert "Approved by ann and bob" == message.title


@pytest.mark.parametrize(
    "noted",
    [
        Voided(T0, 1, 1, "why"),
        Prolonged(UNTIL, 1, 1, UNTIL + MINUTE),
        Ended(T0, Outcome.EXPIRED, "over"),
        PLANNED_ANEW,
        replace(EXAMINED, round=2),
        STARTED,
    ],
)
def test_a_card_is_edited_with_whatever_changes_it(noted: Fact) -> None:
    """Its message is the same one: nobody has to find out which of several questions still stands."""
    run = run_of(EXAMINED, PLANNED, ASKED, noted)
    (edit,) = [post for post in tell(run, (noted,), Redactor()) if post.key == KEY]

    assert card(run, ASKED) == edit.message


def test_who_owns_the_run_repairs_a_card_that_does_not_know_of_an_approval() -> None:
    """The owner may have edited it before it had heard of the word, and after the word had been written on it."""
    run = run_of(EXAMINED, PLANNED, TWO, signals=(said(),))
    posts = {post.key: post.message for post in tell(run, (), Redactor())}

    assert "1 of 2: ann" in pairs(posts[KEY])["Approved so far"]


def test_a_card_is_not_made_anew_for_what_does_not_concern_it() -> None:
    """Each write of a run would write all its cards."""
    run = run_of(EXAMINED, PLANNED, ASKED, STARTED, signals=(said(),))

    assert () == tell(run, (), Redactor())


def test_only_the_newest_questions_are_edited() -> None:
    """A plan that recurs asks for ever; what was closed stays as it is."""
    plans = [replace(PLANNED, round=number) for number in (1, 2, 3)]
    asked = [replace(ASKED, round=number) for number in (1, 2, 3)]
    facts = (EXAMINED, *(fact for pair in zip(plans, asked, strict=True) for fact in pair))
    noted = Ended(T0, Outcome.EXPIRED, "over")
    posts = tell(run_of(*facts, noted), (noted,), Redactor())

    assert ["asked.round.2.1", "asked.round.3.1"] == [post.key for post in posts if post.key.startswith("asked.")]


def test_a_decision_is_shown_on_the_card_before_the_owner_has_heard_of_it() -> None:
    """It is stored together with the decision, by whichever process takes it."""
    run = run_of(EXAMINED, PLANNED, ASKED)
    (post,) = tell_decision(run, ASKED, (said(reason="password=hush"),), Redactor())

    assert (KEY, "Approved by ann", None) == (post.key, post.message.title, post.message.choice)
    assert "hush" not in words(post.message)


def test_what_is_to_be_confirmed_holds_no_secret() -> None:
    """It is shown in a dialog, and is as much an attacker's as any label."""
    plan = replace(PLAN, steps=(replace(STEP, sentence="call x with password=hush"),))
    run = run_of(EXAMINED, replace(PLANNED, plan=plan), ASKED)
    (post,) = [post for post in tell(run, (ASKED,), Redactor()) if post.key == KEY]

    assert post.message.choice is not None
    assert f"This changes something: call x with password={MASK}" == post.message.choice.confirm


def reminded(*facts: Fact, signals: tuple[Signal, ...] = (), asked: Asked = ASKED) -> list[Post]:
    fact = Reminded(T0, 1, 1, 1)
    run = run_of(EXAMINED, PLANNED, asked, *facts, fact, signals=signals)
    return [post for post in tell(run, (fact,), Redactor()) if post.key.startswith("reminded")]


def test_a_reminder_names_the_plan_and_who_is_asked() -> None:
    """It comes alone, long after the card."""
    (post,) = reminded(signals=(said(),), asked=TWO)

    assert f"“kick”, plan {PLAN.digest[:12]}. Only ann so far." in words(post.message)
    assert "Who may approve: 2 different people in dba or sre" in words(post.message)
    assert "remediator approve r1" in words(post.message)
    assert post.message.choice is None


@pytest.mark.parametrize(
    ("facts", "signals"), [((), (said(),)), ((Voided(T0, 1, 1, "why"),), ()), ((), (Resolved(T0),))]
)
def test_nobody_is_reminded_of_what_is_decided(facts: tuple[Fact, ...], signals: tuple[Signal, ...]) -> None:
    """It would call people for nothing."""
    assert [] == reminded(*facts, signals=signals)


def test_evidence_that_was_not_found_is_said_to_be_so() -> None:
    """It is a reason to look oneself."""
    evidence = {"look": Evidence("x", False, {}, "timed out", "", 1.0), "other": Evidence("x", True, {}, "", "", 1.0)}
    run = run_of(replace(EXAMINED, evidence=evidence), PLANNED, ASKED)

    assert "look: timed out (could not be found out); other: (nothing)" == pairs(card(run, ASKED))["Evidence"]


def test_long_things_fit() -> None:
    """A plan of hundreds of steps must not make a card that no chat takes."""
    steps = tuple(replace(STEP, id=StepId(f"remediate.0.{n}"), sentence="kick " * 50) for n in range(200))
    evidence = {f"e{n}": Evidence("x", True, {}, "x" * 5000, "", 1.0) for n in range(50)}
    run = run_of(Examined(T0, 1, evidence), Planned(T0, 1, 1, replace(PLAN, steps=steps)), ASKED)

    assert 5000 > len(words(card(run, ASKED)))


def test_a_run_that_has_started_keeps_its_card() -> None:
    """What was approved, by whom and when stays readable in the thread."""
    before = made(signals=(said(),))

    assert before == made(STARTED, signals=(said(),))
