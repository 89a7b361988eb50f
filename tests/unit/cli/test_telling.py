"""`runs show` tells what the thread tells: evidence, plan, targets, proof, in the order of time, in people's words."""

from typing import Any

import pytest

from remediator.cli.telling import list_runs, state_of, table, tell_run

STEP = {
    "id": "remediate.0.0",
    "action": "docker.restart",
    "sentence": "restart the container web",
    "params": {"container": "web"},
    "targets": ["docker:local/web@4f5e"],
}
PLAN = {
    "name": "restart",
    "digest": "0308d016c811" + "0" * 52,
    "steps": [STEP],
    "proof": "it answers, expecting result.status == 200, within 1m",
}
LOG = "\n".join(f"line {number}" for number in range(12)) + "\x1b[2J\n"
EVIDENCE = {
    "state": {"ok": True, "brief": "exited, exit code 137", "detail": ""},
    "logs": {"ok": True, "brief": "12 lines", "detail": LOG},
    "engine": {"ok": False, "brief": "no answer", "detail": ""},
}
RUN: dict[str, Any] = {
    "id": "d1m0k2s3abcdefgh",
    "rule": "web/down",
    "summary": "web is down",
    "alert": {
        "labels": {"alertname": "Down", "service": "web", "b": "x y"},
        "startsAt": "2026-01-31T12:00:00Z",
    },
    "stage": "over",
    "outcome": "healed",
    "waiting": None,
    "timeline": [
        {"at": "2026-01-31T12:00:01Z", "kind": "examined", "text": "gathered evidence", "evidence": EVIDENCE},
        {
            "at": "2026-01-31T12:00:02Z",
            "kind": "planned",
            "text": "planned: restart",
            "plan": PLAN,
            "alert_from": "Prometheus",
        },
        {
            "at": "2026-01-31T12:00:04.500000Z",
            "kind": "finished",
            "step": "remediate.0.0",
            "text": "remediate.0.0 done after 1.2 s: restarted",
            "detail": "web\n",
        },
        {"at": "2026-01-31T12:00:05Z", "kind": "verified", "text": "healed: every check held", "samples": 3},
    ],
    "signals": [
        {"at": "2026-01-31T12:00:04Z", "kind": "decision", "text": "approved by am", "reason": "I looked"},
    ],
}


def test_the_process_that_has_a_run_is_told() -> None:
    """Whose log to read, where several work on one store."""
    owner = {"id": "d5b63g7mjuf7c480", "host": "vm-3"}
    line = {"created_at": "2026-01-31T12:00:00Z", "alertname": "Down"}
    listed = list(list_runs([{**RUN, **line, "owner": owner}, {**RUN, **line, "owner": None}]))

    assert "Process  vm-3 d5b63g7mjuf7c480" in tell_run({**RUN, "owner": owner})
    assert ["PROCESS", "d5b63g7mjuf7c480", "Down"] == [row.split()[-1] for row in listed]
    assert next(list_runs([{**RUN, **line}])).endswith("ALERT")


def test_a_run_is_told_with_everything_in_the_order_of_time() -> None:
    """Also half a second counts; nothing in it may command the terminal."""
    assert [
        "Run      d1m0k2s3abcdefgh",
        "Rule     web/down",
        "Alert    Down, since 2026-01-31 12:00:00 UTC",
        "Labels   b=x y",
        "         service=web",
        "Summary  web is down",
        "Stands   healed",
        "",
        "2026-01-31 12:00:01 UTC  gathered evidence",
        "    state: exited, exit code 137",
        "    logs: 12 lines",
        "      | … 2 lines before",
        *(f"      | line {number}" for number in range(2, 11)),
        "      | line 11\N{REPLACEMENT CHARACTER}[2J",
        "    engine: could not be found out: no answer",
        "2026-01-31 12:00:02 UTC  planned: restart",
        "    1. restart the container web",
        "       on docker:local/web@4f5e",
        '       docker.restart {"container": "web"}',
        "    proof: it answers, expecting result.status == 200, within 1m",
        "    digest: 0308d016c811",
        "    alert: has to fire still right before each change, by Prometheus",
        "2026-01-31 12:00:04 UTC  approved by am: I looked",
        "2026-01-31 12:00:04 UTC  “restart the container web” done after 1.2 s: restarted",
        "      | web",
        "2026-01-31 12:00:05 UTC  healed: every check held",
        "    3 samples",
    ] == tell_run(RUN)


@pytest.mark.parametrize(
    ("stage", "waiting", "state"),
    [
        ("fresh", None, "gathering evidence"),
        ("drafted", None, "planned"),
        ("drafted", PLAN, "needs a person"),
        ("needs_a_person", None, "needs a person"),
        ("held", None, "held"),
        ("in_doubt", None, "acting"),
        ("not_helped", None, "being checked"),
        ("unknown", None, "under way"),
    ],
)
def test_how_a_run_stands_is_said_in_peoples_words(stage: str, waiting: Any, state: str) -> None:
    """The list and the run say the same."""
    assert state == state_of({"stage": stage, "outcome": None, "waiting": waiting})


HELD = {
    "reason": "another run is acting on this target",
    "detail": "web",
    "since": "2026-01-31T12:00:02Z",
    "until": "2026-01-31T12:00:07Z",
    "every": 5,
    "expires": "2026-01-31T13:00:02Z",
}


@pytest.mark.parametrize(
    ("until", "again"), [("2026-01-31T12:00:07Z", "at 2026-01-31 12:00:07 UTC"), (None, "every 5s")]
)
def test_a_held_run_says_why_and_what_comes_of_it(until: str | None, again: str) -> None:
    """A hold is written down once: a time that is over must not be told as the next look."""
    run = {**RUN, "stage": "drafted", "outcome": None, "held": {**HELD, "until": until}, "timeline": [], "signals": []}
    expires = "it ends as expired if it is still held at 2026-01-31 13:00:02 UTC (pipeline.hold_timeout)"

    assert [
        "Stands   held",
        "         another run is acting on this target: web",
        f"         it is looked at again {again}; {expires}",
        "",
        "",
        "Nobody is asked while it is held. To end this run: remediator cancel d1m0k2s3abcdefgh",
    ] == tell_run(run)[6:]


def test_that_a_step_cannot_be_put_back_is_told_once() -> None:
    """The plan says so where it was known before; what comes as a surprise is told when it did."""
    captured = {
        "at": "2026-01-31T12:00:04.200000Z",
        "kind": "captured",
        "step": "remediate.0.0",
        "text": "remediate.0.0 cannot be put back later: no answer",
    }
    plan = {**PLAN, "steps": [{**STEP, "stays": "the settings do not say how"}]}
    known = {"at": "2026-01-31T12:00:02Z", "kind": "planned", "text": "planned: restart", "plan": plan}
    surprise, expected = (
        "\n".join(tell_run({**RUN, "timeline": [planned, captured, RUN["timeline"][-1]]}))
        for planned in (RUN["timeline"][1], known)
    )

    assert "“restart the container web” cannot be put back later: no answer" in surprise
    assert "cannot be put back later" not in expected
    assert "cannot be put back: the settings do not say how" in expected


@pytest.mark.parametrize(
    ("outcome", "text", "said"),
    [
        ("healed", "healed: every check held", "ended as healed"),
        ("healed", "healed: every check held; our step is in doubt", "ended as healed; our step is in doubt"),
        ("inconclusive", "inconclusive: every check held", "inconclusive: every check held"),
    ],
)
def test_the_proof_is_told_once(outcome: str, text: str, said: str) -> None:
    """The end repeats what was proven, and only what it adds is news."""
    ended = {"at": "2026-01-31T12:00:06Z", "kind": "ended", "outcome": outcome, "text": text}
    told = tell_run({**RUN, "timeline": [*RUN["timeline"], ended]})

    assert [
        "2026-01-31 12:00:05 UTC  healed: every check held",
        "    3 samples",
        f"2026-01-31 12:00:06 UTC  {said}",
    ] == told[-3:]


def joins(*services: str, at: int, count: int = 0) -> dict[str, Any]:
    labels = [{"alertname": "Down", "service": service, "b": "x y"} for service in services]
    return {
        "at": f"2026-01-31T12:01:{at:02}Z",
        "kind": "joined",
        "text": "x",
        "count": count or len(labels),
        "labels": labels,
    }


def test_alerts_that_joined_are_named_and_a_storm_is_one_line() -> None:
    """By what tells them from the first; a thousand of them must not hide the rest of the story."""
    asked = {"at": "2026-01-31T12:01:05Z", "kind": "asked", "text": "asked", "until": "2026-01-31T12:16:05Z"}
    storm = [joins("a", "b", "\x1b[2J", at=10), *(joins(at=at, count=10) for at in range(11, 51))]
    several = [joins("c", "d", "e", "f", "g", "h", at=55)]
    resolved = {"at": "2026-01-31T12:01:52Z", "kind": "resolved", "text": "the alert resolved"}
    run = {**RUN, "timeline": [asked], "signals": [joins("db", at=1), *storm, resolved, *several]}

    assert [
        "2026-01-31 12:01:01 UTC  1 more alert of the group joined: service=db",
        "2026-01-31 12:01:05 UTC  asked",
        "    until 2026-01-31 12:16:05 UTC",
        "2026-01-31 12:01:10 UTC  403 more alerts of the group joined until 2026-01-31 12:01:50 UTC: "
        "service=a; service=b; service=\N{REPLACEMENT CHARACTER}[2J; and 400 more",
        "2026-01-31 12:01:52 UTC  the alert resolved",
        "2026-01-31 12:01:55 UTC  6 more alerts of the group joined: "
        "service=c; service=d; service=e; service=f; service=g; and 1 more",
    ] == tell_run(run)[8:]


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    """Also where a head is the widest, and nothing trails."""
    assert ["RUN  RULE", "a    bcdefg", "b"] == list(table(("RUN", "RULE"), [("a", "bcdefg"), ("b", "")]))


def test_a_step_that_nobody_saw_the_end_of_says_how_to_settle_it() -> None:
    """The command is needed once a year."""
    unsettled = {"step": "remediate.0.0", "attempt": 1, "sentence": "restart the container web", "since": ""}

    assert [
        "",
        "Nobody saw the end of “restart the container web”. Look at its target; once you know, say:",
        "remediator runs settle d1m0k2s3abcdefgh done, or: remediator runs settle d1m0k2s3abcdefgh not-done",
    ] == tell_run({**RUN, "outcome": "unknown", "unsettled": unsettled})[-3:]


def test_what_a_person_has_settled_is_told_once() -> None:
    """As a word that was said, then as the fact that it has become."""
    key = {"step": "remediate.0.0", "attempt": 1, "at": "2026-01-31T12:00:09Z"}
    said = {**key, "kind": "settle", "text": "settled by ann: remediate.0.0 was done"}
    fact = {**key, "kind": "settled", "text": "remediate.0.0 was done, says ann: I looked"}
    waiting = {**RUN, "signals": [said]}

    assert "2026-01-31 12:00:09 UTC  settled by ann: “restart the container web” was done" == tell_run(waiting)[-1]
    assert ["2026-01-31 12:00:09 UTC  “restart the container web” was done, says ann: I looked"] == [
        line for line in tell_run({**waiting, "timeline": [*RUN["timeline"], fact]}) if " was done" in line
    ]


ASKED = {
    "at": "2026-01-31T12:00:03Z",
    "kind": "asked",
    "text": "asked for a decision",
    "until": "2026-01-31T12:15:00Z",
    "approvers": ["sre", "dba"],
    "quorum": 2,
    "on_timeout": "escalate",
    "touches": "1 of 3 of service web",
    "record": "7 healed, 1 unknown",
}


def test_it_is_told_who_was_asked_and_what_happens_then() -> None:
    """Whoever reads it in the morning wants to know who could have decided."""
    lines = tell_run({**RUN, "timeline": [ASKED], "signals": []})

    assert [
        "2026-01-31 12:00:03 UTC  asked for a decision",
        "    until 2026-01-31 12:15:00 UTC; then the next level is told, and there is as much time again",
        "    asked: sre or dba, 2 different people of them",
        "    touches 1 of 3 of service web",
        "    this rule before: 7 healed, 1 unknown",
    ] == lines[-5:]


def test_who_is_still_waited_for_is_told() -> None:
    """One of two has approved."""
    waiting = {**PLAN, "until": "2026-01-31T12:15:00Z", "missing": 1, "approvers": ["sre"], "approved_by": ["ann"]}

    assert "Waits for a person of sre (approved by ann) with plan 0308d016c811, until 2026-01-31 12:15:00 UTC:" in (
        tell_run({**RUN, "outcome": None, "waiting": waiting})
    )


def test_its_messages_are_told_with_what_is_not_sent_yet() -> None:
    """Where chat is down, somebody has to know that nobody was told."""
    sent = {"key": "parent", "title": "web", "channel": "#ops", "queued_at": "2026-01-31T12:00:00Z", "ref": "1"}
    messages = [
        {**sent, "sent": True},
        {**sent, "sent": False, "title": "edited\x1b"},
        {**sent, "sent": False, "ref": None, "title": "new"},
    ]
    lines = tell_run({**RUN, "messages": messages})

    since = "  not sent yet, since 2026-01-31 12:00:00 UTC"
    assert [
        "Told in #ops: 1 message stands there as it is now",
        f"{since} (an older wording stands there): edited\N{REPLACEMENT CHARACTER}",
        f"{since}: new",
    ] == lines[-3:]


@pytest.mark.parametrize(
    ("planned", "said"),
    [
        ({"says_alert": "ann has started it by hand"}, "    alert: ann has started it by hand"),
        ({"alert_from": "Prometheus"}, "    alert: has to fire still right before each change, by Prometheus"),
    ],
)
def test_who_says_that_the_alert_fires_is_told(planned: dict[str, str], said: str) -> None:
    """A service of an earlier version has fewer words for it."""
    event = {"at": "2026-01-31T12:00:02Z", "kind": "planned", "text": "planned: restart", "plan": PLAN, **planned}

    assert said in tell_run({**RUN, "timeline": [event]})
