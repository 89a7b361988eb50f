"""What other places than the chat are told of a run: what each wants to hear, once, and fit to be read anywhere."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from remediator.kit.redaction import Redactor
from remediator.model.alert import Alert, AlertStatus
from remediator.model.facts import Asked, Closed, Ended, Examined, Fact, Held, Planned, Reminded, Started, Voided
from remediator.model.ids import Digest, Fingerprint, OccurrenceId, OwnerId, RuleId, RunId, StepId
from remediator.model.message import Excerpt, Fields, Message, Notice, Text
from remediator.model.outcome import Outcome, Reason
from remediator.model.plan import Effect, Plan, PlannedStep, Verification
from remediator.model.run import Run
from remediator.model.target import Target
from remediator.pipeline.notifying import Places
from remediator.settings import NotifySettings

T0 = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ALL = ["asked", "reminded", "void", "acting", "ended", "put_back", "closed"]
STEPS = tuple(
    PlannedStep(
        StepId(f"remediate.0.{n}"), "t.kick", {}, Effect.CHANGE, False, (Target("t", (name,)),), MINUTE, f"kick {name}"
    )
    for n, name in enumerate(("web", "db"))
)
PLAN = Plan(0, "kick both", False, STEPS, Verification(MINUTE, MINUTE, MINUTE, MINUTE, ()))
PLANNED = Planned(T0, 1, 1, PLAN)
ASKED = Asked(T0, 1, 1, T0 + MINUTE, "of passw0rd-1", approvers=("dba",), quorum=2, record="7 healed", touches="2 of 9")
STARTED = Started(T0, 1, STEPS[0].id, 1, 1, T0)
SECOND = replace(STARTED, step=STEPS[1].id)


def run_of(*facts: Fact, rule: str = "p/sick", severity: str = "critical") -> Run:
    return Run(
        id=RunId("r1"),
        rule=RuleId(rule),
        rule_digest=Digest("d" * 64),
        occurrence=OccurrenceId("o1"),
        alert=Alert(Fingerprint("f"), AlertStatus.FIRING, {"alertname": "Sick", "severity": severity}, {}, T0 - MINUTE),
        summary="web is sick",
        channel="#c",
        owner=OwnerId("me"),
        epoch=1,
        created_at=T0,
        facts=facts,
    )


def places(public_url: str | None = None, **settings: Any) -> Places:
    place = NotifySettings.model_validate({"url": "json://localhost/x", "events": ALL, **settings})
    return Places({"mail": place}, public_url)


def told(of: Places, known: tuple[Fact, ...], *noted: Fact, **run: str) -> tuple[Notice, ...]:
    return of.notices_of(run_of(*known, *noted, **run), noted, Redactor(["passw0rd-1"]))


def shown(message: Message) -> str:
    lines = [message.title]
    for part in message.parts:
        match part:
            case Text(text=text):
                lines.append(text)
            case Fields(pairs=pairs):
                lines += [f"{name}: {value}" for name, value in pairs]
            case Excerpt(title=title, text=text):
                lines += [title, text]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("known", "fact", "event", "title"),
    [
        ((PLANNED,), ASKED, "asked", "A plan waits for a person: web is sick"),
        ((PLANNED, ASKED), Reminded(T0, 1, 1, 1), "reminded", "A plan still waits for a person: web is sick"),
        ((PLANNED, ASKED), Voided(T0, 1, 1, "it changed"), "void", "What was asked for is void: web is sick"),
        ((PLANNED,), STARTED, "acting", "Acting: web is sick"),
        ((), Ended(T0, Outcome.NOT_HEALED, "no use"), "ended", "Not healed: web is sick"),
        ((Ended(T0, Outcome.TOLD, "done"),), Closed(T0, "it is gone"), "closed", "The alert has ended: web is sick"),
    ],
)
def test_each_event_is_told_to_those_who_want_it(known: tuple[Fact, ...], fact: Fact, event: str, title: str) -> None:
    """By a key of its own: told twice in one place it would be two mails."""
    (notice,) = told(places(events=[event]), known, fact)
    others = [other for other in ALL if other != event]

    assert ("notify:mail", f"news.r1.{event}.") == (notice.channel, notice.key[: len(f"news.r1.{event}.")])
    assert title == notice.message.title
    assert event == dict(notice.message.data)["event"]
    assert () == told(places(events=others), known, fact)


@pytest.mark.parametrize(
    ("known", "fact"),
    [
        ((), PLANNED),
        ((), Examined(T0, 1, {})),
        ((PLANNED, STARTED), SECOND),
        ((PLANNED, STARTED), replace(STARTED, attempt=2)),
        (
            (Held(T0, 1, 1, Reason.STORM, "many", T0 + MINUTE),),
            Ended(T0, Outcome.RESOLVED_BY_ITSELF, "gone"),
        ),
    ],
)
def test_what_is_no_news_elsewhere(known: tuple[Fact, ...], fact: Fact) -> None:
    """A mailbox hears once that a plan is carried out, and of no run that only waited in a storm."""
    assert () == told(places(), known, fact)


@pytest.mark.parametrize(
    ("settings", "hears"),
    [
        ({}, True),
        ({"rules": ["p/*"]}, True),
        ({"rules": ["q/*", "*/sick"]}, True),
        ({"rules": ["p/sic"]}, False),
        ({"rules": ["P/*"]}, False),
        ({"severities": ["warning", "critical"]}, True),
        ({"severities": ["warning"]}, False),
        ({"rules": ["p/*"], "severities": ["warning"]}, False),
    ],
)
def test_a_place_hears_of_the_rules_and_severities_that_it_names(settings: dict[str, Any], hears: bool) -> None:
    """A team wants its own."""
    assert hears == bool(told(places(**settings), (PLANNED,), ASKED))


def test_a_question_says_what_who_until_when_and_how() -> None:
    """Who reads it in a mail has nothing else to go by; what is told holds no secret."""
    (notice,) = told(places(), (PLANNED,), ASKED)
    text, data = shown(notice.message), dict(notice.message.data)

    for line in (
        "of [redacted]",
        "What would be done\nkick web\nkick db",
        f"To decide\nremediator approve r1 --plan {PLAN.digest[:12]}\nremediator deny r1 --reason '…'",
        "Who may approve: dba, 2 different people",
        "Until: 2026-01-01 12:01:00 UTC; then the run ends",
        "Touches: 2 of 9",
        "The last plans of this rule: 7 healed",
        "Target: t:db, t:web",
        "Since: 2026-01-01 11:59:00 UTC",
    ):
        assert line in text
    assert (PLAN.digest, "dba", "2", "/api/v1/runs/r1/decision", "") == tuple(
        data[name] for name in ("digest", "approvers", "quorum", "decision_url", "outcome")
    )


def test_where_to_decide_is_told_where_the_settings_know_it() -> None:
    """A command without an address asks the machine that it is typed on."""
    (notice,) = told(places("https://remediator.example/"), (PLANNED,), ASKED)
    text, data = shown(notice.message), dict(notice.message.data)

    assert "To decide, at https://remediator.example\nremediator approve r1 --plan " in text
    assert "remediator deny r1 --reason '…' --url https://remediator.example" in text
    assert "https://remediator.example/api/v1/runs/r1/decision" == data["decision_url"]
    assert "https://remediator.example/api/v1/runs/r1" == data["run_url"]


def test_an_outcome_asks_nobody() -> None:
    """There is nothing to decide any more."""
    (notice,) = told(places(), (PLANNED, ASKED), Ended(T0, Outcome.DENIED, "ana denied it"))

    assert "remediator approve" not in shown(notice.message)
    assert ("denied", "ana denied it") == tuple(dict(notice.message.data)[name] for name in ("outcome", "said"))
