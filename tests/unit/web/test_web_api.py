"""The API shows a run as it is, and takes a decision only on the very plan that waits."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from remediator.errors import StoreUnavailable
from remediator.kit.clock import SystemClock
from remediator.kit.metrics import Metrics
from remediator.model.alert import Alert, AlertStatus, Delivery
from remediator.model.facts import (
    Acknowledged,
    Asked,
    Closed,
    Ended,
    Escalated,
    Evidence,
    Examined,
    Fact,
    Finished,
    Held,
    LateFinished,
    Planned,
    Proof,
    Settled,
    Silenced,
    Started,
    StepStatus,
    Unsilenced,
    Verified,
)
from remediator.model.ids import Digest, Fingerprint, OccurrenceId, OwnerId, RuleId, RunId, StepId
from remediator.model.occurrence import Doubt, Occurrence
from remediator.model.outcome import Outcome, Reason
from remediator.model.plan import Effect, Plan, PlannedCheck, PlannedStep, Verification
from remediator.model.run import Cancel, Decision, Joined, Resolved, Run, RunSummary, Settle, Undo
from remediator.model.target import Target
from remediator.model.undo import Captured, Cause, Undoing, Undone
from remediator.settings import Settings
from remediator.web.health import Health
from remediator.web.server import Parts, build_app
from remediator.web.shown import held_plan, show_hold, show_occurrence, show_plan, show_run

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
ADMIN = "a" * 43
STEP = PlannedStep(
    id=StepId("remediate.0.0"),
    action="docker.restart",
    params={"container": "web"},
    effect=Effect.CHANGE,
    idempotent=False,
    targets=(Target("docker", ("local", "web"), "4f5e"),),
    timeout=timedelta(seconds=30),
    sentence="restart the container web",
)
CHECK = PlannedCheck(
    id=StepId("verify.0"),
    action="http.get",
    params={"url": "http://127.0.0.1:8000/"},
    timeout=SECOND,
    expect="result.status == 200",
    sentence="http://127.0.0.1:8000/ answers",
)
PLAN = Plan(
    rung=0,
    name="restart",
    gated=True,
    steps=(STEP,),
    verification=Verification(settle=SECOND, sustain=SECOND, within=SECOND, every=SECOND, checks=(CHECK,)),
)
EXAMINED = Examined(
    at=NOW,
    round=1,
    evidence={
        "state": Evidence("docker.inspect", True, {"running": False}, "not running", "", 0.25),
        "logs": Evidence("docker.logs", False, {}, "the engine did not answer", "", 5.0),
    },
)
PLANNED = Planned(at=NOW, round=1, revision=1, plan=PLAN)
ASKED = Asked(at=NOW, round=1, revision=1, until=NOW + timedelta(minutes=15))
STARTED = Started(at=NOW, round=1, step=STEP.id, attempt=1, epoch=1, deadline=NOW + 30 * SECOND)
FINISHED = Finished(
    at=NOW, round=1, step=STEP.id, attempt=1, status=StepStatus.DONE, brief="restarted", detail="", seconds=1.25
)
VERIFIED = Verified(at=NOW, round=1, proof=Proof.HEALED, samples=3, brief="every check held for 30s")
ENDED = Ended(at=NOW, outcome=Outcome.NOT_HEALED, brief="no rung is left")
RUN = Run(
    id=RunId("d1m0k2s3abcdefgh"),
    rule=RuleId("octollm/service-down"),
    rule_digest=Digest("0" * 64),
    occurrence=OccurrenceId("d1m0k2s3zzzzzzzz"),
    alert=Alert(
        fingerprint=Fingerprint("2fc4c353ef13c5b1"),
        status=AlertStatus.FIRING,
        labels={"alertname": "Down"},
        annotations={"summary": "it is down"},
        starts_at=NOW,
    ),
    channel="#alerts",
    summary="web does not answer",
    owner=OwnerId("owner"),
    epoch=1,
    created_at=datetime(2026, 1, 31, 13, 0, 0, 500_000, tzinfo=timezone(timedelta(hours=1))),
)


def run_with(*facts: Fact, signals: tuple[Any, ...] = ()) -> Run:
    return replace(RUN, facts=facts, signals=signals)


WAITING = run_with(EXAMINED, PLANNED, ASKED)
DECISION = Decision(at=NOW, approved=True, digest=PLAN.digest, round=1, revision=1, by="am")


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


def test_a_waiting_plan_is_shown_with_all_that_a_decision_needs() -> None:
    """What is approved is what runs: the digest, the targets and the steps."""
    assert {
        "until": "2026-01-31T12:15:00Z",
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
    } == show_run(WAITING)["waiting"]


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


NOT_WAITING = {
    "nobody was asked": run_with(EXAMINED, PLANNED),
    "it was decided": run_with(EXAMINED, PLANNED, ASKED, signals=(DECISION,)),
    "the plan was replaced": run_with(EXAMINED, PLANNED, ASKED, replace(PLANNED, revision=2)),
    "it has started": run_with(EXAMINED, PLANNED, ASKED, STARTED),
    "the run is over": run_with(EXAMINED, PLANNED, ASKED, ENDED),
}


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
        "remediate.0.0: not noted: no answer",
    ),
    "undoing": (
        Undoing(at=NOW, count=1, cause=Cause.NOT_HELPED, round=1),
        "its changes are put back: they have not helped",
    ),
    "escalated": (
        Escalated(at=NOW, level=2, to="on-call", after=timedelta(minutes=15), channels=("#on-call",)),
        "escalated to on-call, after 15m",
    ),
    "acknowledged": (Acknowledged(at=NOW, by="ann", reason="on it"), "ann has taken it on: on it"),
    "undone": (
        Undone(at=NOW, count=1, asks=True, brief="somebody has changed it"),
        "putting back needs a person: somebody has changed it",
    ),
    "silenced": (
        Silenced(at=NOW, count=1, silence="s1", until=NOW),
        "silenced in Alertmanager until 2026-01-31T12:00:00Z",
    ),
    "unsilenced": (Unsilenced(at=NOW, count=1, ended=False, brief="no answer", tries=1), "not over yet: no answer"),
}


@pytest.mark.parametrize(("kind", "fact", "text"), [(k, f, t) for k, (f, t) in TEXTS.items()], ids=TEXTS.keys())
def test_every_fact_is_told_in_words(kind: str, fact: Fact, text: str) -> None:
    """Everything can be explained, also years later with nothing but this."""
    (line,) = show_run(run_with(EXAMINED, PLANNED, fact))["timeline"][2:]

    assert ("2026-01-31T12:00:00Z", kind, text) == (line["at"], line["kind"], line["text"])
    assert line == json.loads(json.dumps(line))


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


HELD = Held(
    at=NOW + SECOND,
    round=1,
    count=1,
    reason=Reason.TARGET_BUSY,
    detail="run x",
    until=NOW + 6 * SECOND,
)
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


@dataclass
class Runs:
    """Stands for the store: a few runs, and what was asked of it."""

    known: dict[str, Run] = field(default_factory=dict)
    asked: list[tuple[int, str | None, bool]] = field(default_factory=list)
    unsettled: bool | None = None
    hosts: dict[OwnerId, str] = field(default_factory=dict)
    decided: list[tuple[str, Decision]] = field(default_factory=list)
    cancelled: list[tuple[str, Cancel]] = field(default_factory=list)
    settled: list[tuple[str, Settle]] = field(default_factory=list)
    undone: list[tuple[str, Undo]] = field(default_factory=list)
    is_gone: bool = False
    has_ended: bool = False
    error: Exception | None = None

    async def list_runs(
        self, *, limit: int, outcome: str | None, active: bool, unsettled: bool
    ) -> Sequence[RunSummary]:
        self.asked.append((limit, outcome, active))
        self.unsettled = unsettled
        return [RunSummary(RUN.id, RUN.rule, "Down", NOW, None, None, NOW, RUN.owner)]

    def processes(self) -> Mapping[OwnerId, str]:
        return self.hosts

    async def read_run(self, run: RunId, /) -> Run | None:
        if self.error is not None:
            raise self.error
        return self.known.get(run)

    async def decide(self, run: RunId, decision: Decision, /) -> bool:
        self.decided.append((run, decision))
        return not self.has_ended

    async def cancel(self, run: RunId, wish: Cancel, /) -> bool:
        self.cancelled.append((run, wish))
        return not self.has_ended

    async def settle(self, run: RunId, word: Settle, /) -> bool:
        self.settled.append((run, word))
        return True

    async def undo(self, run: RunId, wish: Undo, /) -> bool:
        self.undone.append((run, wish))
        return not self.is_gone


OPEN = Occurrence(
    id=OccurrenceId("d1m0k2s3zzzzzzzz"),
    fingerprint=Fingerprint("2fc4c353ef13c5b1"),
    labels={"alertname": "Down"},
    starts_at=NOW,
    opened_at=NOW,
    heard_at=NOW + SECOND,
    annotations={"summary": "it is down"},
)


@dataclass
class Alerts:
    """Stands for the store: one alert, and what was asked of it."""

    asked: list[tuple[int, bool]] = field(default_factory=list)

    async def list_occurrences(self, *, limit: int, only_open: bool) -> Sequence[Occurrence]:
        self.asked.append((limit, only_open))
        return [OPEN]

    async def newest_occurrence(self, fingerprint: str, /) -> Occurrence | None:
        return OPEN if fingerprint == OPEN.fingerprint else None


Client = TestClient[web.Request, web.Application]


async def _ignore(delivery: Delivery) -> None:
    del delivery


async def _ready() -> Health:
    return Health(ready=True)


@pytest.fixture
def runs() -> Runs:
    return Runs({WAITING.id: WAITING})


@pytest.fixture
def alerts() -> Alerts:
    return Alerts()


@pytest.fixture
async def client(runs: Runs, alerts: Alerts) -> AsyncIterator[Client]:
    parts = Parts(
        accept=_ignore,
        runs=runs,
        alerts=alerts,
        health=_ready,
        metrics=Metrics(),
        settings=Settings(),
        clock=SystemClock(),
        admin_token=ADMIN,
    )
    headers = {"Authorization": f"Bearer {ADMIN}"}
    async with TestClient(TestServer(build_app(parts)), headers=headers) as running:
        yield running


async def get(client: Client, path: str) -> tuple[int, Any]:
    async with client.get(path) as answer:
        return answer.status, await answer.json()


async def decide(client: Client, said: Any, run: str = RUN.id) -> tuple[int, Any]:
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    async with client.post(f"/api/v1/runs/{run}/decision", data=body) as answer:
        return answer.status, await answer.json()


LISTS = {
    "": (50, None, False),
    "?limit=500&active=true": (500, None, True),
    "?outcome=healed&limit=1&active=false": (1, "healed", False),
    "?outcome=not+healed": (50, "not healed", False),
    "?outcome=resolved_by-itself": (50, "resolved by itself", False),
}


@pytest.mark.parametrize(("query", "asked"), LISTS.items())
async def test_runs_are_listed(client: Client, runs: Runs, query: str, asked: tuple[int, str | None, bool]) -> None:
    """The command line's `runs list`."""
    status, listed = await get(client, f"/api/v1/runs{query}")

    assert (200, [asked]) == (status, runs.asked)
    assert {
        "id": "d1m0k2s3abcdefgh",
        "rule": "octollm/service-down",
        "alertname": "Down",
        "created_at": "2026-01-31T12:00:00Z",
        "ended_at": None,
        "outcome": None,
        "wake_at": "2026-01-31T12:00:00Z",
        "stage": listed["runs"][0]["stage"],
        "owner": None,
    } == listed["runs"][0]
    assert listed["runs"][0]["stage"] in ("needs_a_person", "unknown")


BAD_LISTS = {
    "?limit=0": "limit is not a number from 1 to 500",
    "?limit=501": "limit is not a number from 1 to 500",
    "?limit=-1": "limit is not a number from 1 to 500",
    "?limit=" + "9" * 5000: "limit is not a number from 1 to 500",
    "?limit=%D9%A2": "limit is not a number from 1 to 500",
    "?active=maybe": "active is not true or false",
    "?waiting=1": "waiting is not true or false",
    "?unsettled=1": "unsettled is not true or false",
    "?outcome=great": "outcome is not one of healed, not healed",
    "?outcom=healed": "there is no parameter 'outcom'",
}


@pytest.mark.parametrize(
    ("facts", "expected"), [((EXAMINED, PLANNED, ASKED), 1), ((EXAMINED, PLANNED, HELD), 0)], ids=["asked", "held"]
)
async def test_what_waits_for_a_person_is_listed_alone(
    client: Client, runs: Runs, facts: tuple[Fact, ...], expected: int
) -> None:
    """It is looked for among all that are active: in a storm the one that waits is not among the newest few."""
    runs.known = {RUN.id: run_with(*facts)}
    _, listed = await get(client, "/api/v1/runs?waiting=true&limit=1")

    assert [(500, None, True)] == runs.asked
    assert expected == len(listed["runs"])


@pytest.mark.parametrize(("query", "what"), BAD_LISTS.items(), ids=[query[:14] for query in BAD_LISTS])
async def test_a_list_that_was_asked_wrongly_is_refused(client: Client, runs: Runs, query: str, what: str) -> None:
    """A mistyped filter that is ignored shows the wrong runs."""
    status, body = await get(client, f"/api/v1/runs{query}")

    assert (400, []) == (status, runs.asked)
    assert body["error"].startswith(what)


@pytest.mark.parametrize("wanted", [True, False])
async def test_what_is_to_be_settled_is_listed_alone(client: Client, runs: Runs, *, wanted: bool) -> None:
    """An operator goes through them after a crash; it is looked for in the store, as it is in what has ended, too."""
    status, _ = await get(client, f"/api/v1/runs?unsettled={str(wanted).lower()}")

    assert (200, wanted, [(50, None, False)]) == (status, runs.unsettled, runs.asked)


HAS_ENDED = run_with(EXAMINED, PLANNED, ENDED)


@pytest.mark.parametrize(
    ("run", "hosts", "expected"),
    [
        (RUN, {RUN.owner: "vm-3"}, {"id": RUN.owner, "host": "vm-3"}),
        (RUN, {OwnerId("other"): "vm-4"}, None),
        (HAS_ENDED, {RUN.owner: "vm-3"}, None),
    ],
    ids=["a process that lives", "one that is gone", "an ended run"],
)
async def test_the_process_that_has_a_run_is_shown(
    client: Client, runs: Runs, run: Run, hosts: dict[OwnerId, str], expected: dict[str, str] | None
) -> None:
    """With several it tells whose log to read, and where a program that was started runs."""
    runs.known[RUN.id], runs.hosts = run, hosts
    _, shown = await get(client, f"/api/v1/runs/{RUN.id}")
    _, listed = await get(client, "/api/v1/runs")

    assert expected == shown["owner"]
    assert hosts.get(RUN.owner) == (listed["runs"][0]["owner"] or {}).get("host")


async def test_a_held_run_is_listed_and_shown_as_held(client: Client, runs: Runs) -> None:
    """With the reason and the end of it; the time of a look that is over is not told as the next one."""
    runs.known[RUN.id] = run_with(EXAMINED, PLANNED, HELD)
    _, shown = await get(client, f"/api/v1/runs/{RUN.id}")
    _, listed = await get(client, "/api/v1/runs")

    assert "held" == listed["runs"][0]["stage"]
    assert ("drafted", None) == (shown["stage"], shown["waiting"])
    assert {
        "reason": "another run is acting on this target",
        "detail": "run x",
        "since": "2026-01-31T12:00:01Z",
        "until": None,
        "every": 5,
        "expires": "2026-01-31T13:00:00Z",
    } == shown["held"]


async def test_a_run_is_shown(client: Client) -> None:
    """The command line's `runs show`."""
    assert (200, {**show_run(WAITING), "held": None, "owner": None}) == await get(client, f"/api/v1/runs/{WAITING.id}")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("unknown", "there is no run unknown"),
        *((name, "there is no such run") for name in ("x" * 65, "a%00b", "%C3%A4", "..%2f..", "'%20or%201=1")),
    ],
)
async def test_a_run_that_is_not_there_is_404(client: Client, name: str, said: str) -> None:
    """Whatever the name, also one that is no id; only what may be an id is repeated."""
    assert (404, {"error": said}) == await get(client, f"/api/v1/runs/{name}")


async def test_a_store_that_cannot_be_read_is_503(client: Client, runs: Runs) -> None:
    """Another try is worth it, and no detail of the store is shown."""
    runs.error = StoreUnavailable("disk /dev/sda1")
    status, body = await get(client, "/api/v1/runs/abc")

    assert (503, "the store cannot be written or read now") == (status, body["error"])


async def test_what_nobody_foresaw_is_500_without_a_detail(client: Client, runs: Runs) -> None:
    """The traceback belongs into the log."""
    runs.error = RuntimeError("secret detail")
    status, body = await get(client, "/api/v1/runs/abc")

    assert 500 == status
    assert "secret" not in json.dumps(body)


APPROVAL = {"approved": True, "digest": PLAN.digest, "by": "am"}


@pytest.mark.parametrize("approved", [True, False])
async def test_a_decision_is_stored_for_the_owner(client: Client, runs: Runs, approved: bool) -> None:
    """Nothing is started here; the owner checks everything again."""
    answer = await decide(client, {**APPROVAL, "approved": approved, "reason": " it is night "})
    ((run, decision),) = runs.decided

    assert (202, {}) == answer
    assert (RUN.id, approved, PLAN.digest, "am", "it is night") == (
        run,
        decision.approved,
        decision.digest,
        decision.by,
        decision.reason,
    )
    assert UTC == decision.at.tzinfo


async def test_a_decision_on_another_plan_is_refused(client: Client, runs: Runs) -> None:
    """What was approved is what runs."""
    status, body = await decide(client, {**APPROVAL, "digest": "0" * 64})

    assert (409, []) == (status, runs.decided)
    assert "has changed" in body["error"]


@pytest.mark.parametrize("run", NOT_WAITING.values(), ids=NOT_WAITING.keys())
async def test_a_decision_that_nobody_waits_for_is_refused(client: Client, runs: Runs, run: Run) -> None:
    """An approval of something that is not asked must not lie in wait."""
    runs.known[run.id] = run
    status, _ = await decide(client, APPROVAL)

    assert (409, []) == (status, runs.decided)


async def test_a_decision_that_comes_too_late_is_refused(client: Client, runs: Runs) -> None:
    """The run can end between reading and writing."""
    runs.has_ended = True

    assert 409 == (await decide(client, APPROVAL))[0]


async def test_a_decision_on_an_unknown_run_is_404(client: Client) -> None:
    """Not 409: there is nothing to look at again."""
    assert 404 == (await decide(client, APPROVAL, run="unknown"))[0]


BAD_DECISIONS: dict[str, Any] = {
    "no JSON": b"approved",
    "a list": [],
    "nothing": {},
    "approved a word": {**APPROVAL, "approved": "false"},
    "approved a number": {**APPROVAL, "approved": 1},
    "approved missing": {"digest": PLAN.digest, "by": "am"},
    "digest missing": {"approved": True, "by": "am"},
    "digest a number": {**APPROVAL, "digest": 1},
    "by missing": {"approved": True, "digest": PLAN.digest},
    "by blank": {**APPROVAL, "by": "  "},
    "by null": {**APPROVAL, "by": None},
    "reason too long": {**APPROVAL, "reason": "x" * 2001},
    "unknown field": {**APPROVAL, "aproved": False},
    "field twice": b'{"approved": true, "approved": false, "digest": "x", "by": "am"}',
    "half a character": b'{"approved": true, "digest": "x", "by": "\\ud800"}',
}


@pytest.mark.parametrize("said", BAD_DECISIONS.values(), ids=BAD_DECISIONS.keys())
async def test_a_decision_that_is_not_clear_is_refused(client: Client, runs: Runs, said: Any) -> None:
    """Nothing may be guessed about an approval."""
    status, _ = await decide(client, said)

    assert (400, []) == (status, runs.decided)


async def test_a_decision_is_a_small_body(client: Client) -> None:
    """The bound of the webhook is not needed here."""
    assert 413 == (await decide(client, b" " * 65_537))[0]


async def test_a_decision_needs_the_admin_token(client: Client, runs: Runs) -> None:
    """Whoever may send alerts may not approve what they start."""
    async with client.post(
        f"/api/v1/runs/{RUN.id}/decision", json=APPROVAL, headers={"Authorization": "Bearer x"}
    ) as answer:
        assert (401, []) == (answer.status, runs.decided)


async def cancel(client: Client, said: Any, run: str = RUN.id) -> tuple[int, Any]:
    async with client.post(f"/api/v1/runs/{run}/cancel", json=said) as answer:
        return answer.status, await answer.json()


async def test_a_run_is_cancelled_in_somebodys_name(client: Client, runs: Runs) -> None:
    """The thread says who stopped it, and why."""
    runs.known[RUN.id] = RUN

    assert (202, {}) == await cancel(client, {"by": "ann", "reason": "I am on it"})
    assert [(RUN.id, "ann", "I am on it")] == [(run, wish.by, wish.reason) for run, wish in runs.cancelled]


@pytest.mark.parametrize(
    ("said", "run", "status"),
    [
        pytest.param({"by": ""}, RUN.id, 400, id="nobody"),
        pytest.param({"by": "ann", "digest": "x"}, RUN.id, 400, id="unknown-field"),
        pytest.param([], RUN.id, 400, id="no-object"),
        pytest.param({"by": "ann"}, "another", 404, id="no-such-run"),
    ],
)
async def test_a_wrong_cancellation_stops_nothing(client: Client, runs: Runs, said: Any, run: str, status: int) -> None:
    """A typing mistake must not look like success."""
    runs.known[RUN.id] = RUN

    answered, _ = await cancel(client, said, run)

    assert (status, []) == (answered, runs.cancelled)


async def test_what_has_ended_cannot_be_cancelled(client: Client, runs: Runs) -> None:
    """Whoever cancels has to know that it was too late."""
    runs.known[RUN.id], runs.has_ended = RUN, True

    status, _ = await cancel(client, {"by": "ann"})

    assert 409 == status


UNKNOWN = replace(FINISHED, status=StepStatus.UNKNOWN, brief="nobody saw its end")
ENDED_UNKNOWN = run_with(EXAMINED, PLANNED, STARTED, UNKNOWN, VERIFIED, ENDED)
SETTLE = Settle(at=NOW, step=STEP.id, attempt=1, done=True, by="ann")
LATE = LateFinished(at=NOW, step=STEP.id, attempt=1, status=StepStatus.DONE, brief="restarted")


async def settle(client: Client, said: Any, run: str = RUN.id) -> tuple[int, Any]:
    async with client.post(f"/api/v1/runs/{run}/settle", json=said) as answer:
        return answer.status, await answer.json()


def test_what_nobody_saw_the_end_of_is_shown_until_it_is_settled() -> None:
    """A person has to find it to look into it."""
    unsettled = {"step": STEP.id, "attempt": 1, "sentence": STEP.sentence, "since": "2026-01-31T12:00:00Z"}

    assert unsettled == show_run(ENDED_UNKNOWN)["unsettled"]
    assert show_run(replace(ENDED_UNKNOWN, signals=(SETTLE,)))["unsettled"] is None
    assert show_run(run_with(EXAMINED, PLANNED, STARTED, UNKNOWN, LATE))["unsettled"] is None


@pytest.mark.parametrize("done", [True, False])
async def test_an_unknown_step_is_settled_in_somebodys_name(client: Client, runs: Runs, done: bool) -> None:
    """The thread says who knows it, and how."""
    runs.known[RUN.id] = ENDED_UNKNOWN

    assert (202, {}) == await settle(client, {"done": done, "by": "ann", "reason": "I looked"})
    ((run, word),) = runs.settled
    assert (RUN.id, STEP.id, 1, done, "ann", "I looked") == (
        run,
        word.step,
        word.attempt,
        word.done,
        word.by,
        word.reason,
    )


NOT_UNKNOWN = {
    "it is done": (run_with(EXAMINED, PLANNED, STARTED, FINISHED), "nothing of this run is unknown"),
    "it is acting": (run_with(EXAMINED, PLANNED, STARTED), "nothing of this run is unknown"),
    "its end came late": (run_with(EXAMINED, PLANNED, STARTED, UNKNOWN, LATE), "it was settled already"),
    "somebody has settled it": (replace(ENDED_UNKNOWN, signals=(SETTLE,)), "it was settled already"),
}


@pytest.mark.parametrize(("run", "why"), NOT_UNKNOWN.values(), ids=NOT_UNKNOWN.keys())
async def test_only_what_is_unknown_can_be_settled(client: Client, runs: Runs, run: Run, why: str) -> None:
    """What was seen, or said once, is not overruled."""
    runs.known[RUN.id] = run

    assert (409, {"error": why}) == await settle(client, {"done": True, "by": "bob"})
    assert [] == runs.settled


@pytest.mark.parametrize(
    ("said", "run", "status"),
    [
        pytest.param({"done": True, "by": ""}, RUN.id, 400, id="nobody"),
        pytest.param({"done": "yes", "by": "ann"}, RUN.id, 400, id="neither-done-nor-not"),
        pytest.param({"by": "ann"}, RUN.id, 400, id="nothing-said"),
        pytest.param({"done": True, "by": "ann", "step": "x"}, RUN.id, 400, id="unknown-field"),
        pytest.param([], RUN.id, 400, id="no-object"),
        pytest.param({"done": True, "by": "ann"}, "another", 404, id="no-such-run"),
    ],
)
async def test_a_wrong_settlement_settles_nothing(client: Client, runs: Runs, said: Any, run: str, status: int) -> None:
    """A lock must not be released by a typing mistake."""
    runs.known[RUN.id] = ENDED_UNKNOWN

    answered, _ = await settle(client, said, run)

    assert (status, []) == (answered, runs.settled)


async def test_settling_needs_the_admin_token(client: Client, runs: Runs) -> None:
    """Whoever may send alerts may not free what is locked."""
    runs.known[RUN.id] = ENDED_UNKNOWN
    async with client.post(
        f"/api/v1/runs/{RUN.id}/settle", json={"done": True, "by": "x"}, headers={"Authorization": "Bearer x"}
    ) as answer:
        assert (401, []) == (answer.status, runs.settled)


CAPTURED = Captured(at=NOW, round=1, step=STEP.id, attempt=1, before={"was": 1})
CHANGED = run_with(EXAMINED, PLANNED, CAPTURED, STARTED, FINISHED, VERIFIED, ENDED)


async def undo(client: Client, said: Any, run: str = RUN.id) -> tuple[int, Any]:
    async with client.post(f"/api/v1/runs/{run}/undo", json=said) as answer:
        return answer.status, await answer.json()


@pytest.mark.parametrize(("run", "ends_run"), [(CHANGED, False), (replace(CHANGED, facts=CHANGED.facts[:-1]), True)])
async def test_an_undo_is_stored_in_somebodys_name(client: Client, runs: Runs, run: Run, ends_run: bool) -> None:
    """The answer says what is put back, and whether the run is stopped for it; asking for that alone stores nothing."""
    runs.known[RUN.id] = run
    shown, nothing = await get(client, f"/api/v1/runs/{RUN.id}/undo"), list(runs.undone)
    status, answer = await undo(client, {"by": "ann", "reason": "it was me"})

    assert (200, answer, []) == (*shown, nothing)
    assert (202, ends_run, None) == (status, answer["ends_run"], answer["refused"])
    assert [(STEP.id, "can be put back", {"was": 1})] == [
        (change["step"], change["stands"], change["before"]) for change in answer["changes"]
    ]
    assert [(RUN.id, "ann", "it was me")] == [(of, wish.by, wish.reason) for of, wish in runs.undone]


async def test_an_undo_that_would_come_to_nothing_is_refused(client: Client, runs: Runs) -> None:
    """With the reason; that is what asking beforehand says as well."""
    runs.known[RUN.id] = run_with(ENDED)
    why = "this run has changed nothing, so there is nothing to put back"
    _, shown = await get(client, f"/api/v1/runs/{RUN.id}/undo")

    assert (409, {"error": why}) == await undo(client, {"by": "ann"})
    assert (why, []) == (shown["refused"], runs.undone)


@pytest.mark.parametrize(
    ("said", "run", "status"),
    [
        pytest.param({"by": ""}, RUN.id, 400, id="nobody"),
        pytest.param({"by": "ann", "step": "x"}, RUN.id, 400, id="unknown-field"),
        pytest.param([], RUN.id, 400, id="no-object"),
        pytest.param({"by": "ann"}, "another", 404, id="no-such-run"),
    ],
)
async def test_a_wrong_undo_undoes_nothing(client: Client, runs: Runs, said: Any, run: str, status: int) -> None:
    """A typing mistake must not change anything."""
    runs.known[RUN.id] = CHANGED

    answered, _ = await undo(client, said, run)

    assert (status, []) == (answered, runs.undone)


async def test_a_run_that_is_forgotten_meanwhile_is_404(client: Client, runs: Runs) -> None:
    """Nothing would come of it."""
    runs.known[RUN.id], runs.is_gone = CHANGED, True

    assert (404, {"error": "the run is gone"}) == await undo(client, {"by": "ann"})


async def test_undoing_needs_the_admin_token(client: Client, runs: Runs) -> None:
    """Whoever may send alerts may not undo what others have done, nor see it."""
    runs.known[RUN.id] = CHANGED
    path, headers = f"/api/v1/runs/{RUN.id}/undo", {"Authorization": "Bearer x"}
    async with client.post(path, json={"by": "x"}, headers=headers) as answer:
        assert (401, []) == (answer.status, runs.undone)
    async with client.get(path, headers=headers) as answer:
        assert 401 == answer.status


SHOWN = {
    "fingerprint": "2fc4c353ef13c5b1",
    "labels": {"alertname": "Down"},
    "annotations": {"summary": "it is down"},
    "startsAt": "2026-01-31T12:00:00Z",
    "opened_at": "2026-01-31T12:00:00Z",
    "heard_at": "2026-01-31T12:00:01Z",
    "closed_at": None,
    "doubtful": False,
}


@pytest.mark.parametrize(
    ("query", "asked"), [("", (50, False)), ("?limit=500&open=true", (500, True)), ("?open=false", (50, False))]
)
async def test_alerts_are_listed(client: Client, alerts: Alerts, query: str, asked: tuple[int, bool]) -> None:
    """An alert that no rule is for has no run, and is to be found all the same."""
    assert (200, {"alerts": [SHOWN]}) == await get(client, f"/api/v1/alerts{query}")
    assert [asked] == alerts.asked


@pytest.mark.parametrize(
    ("query", "what"),
    [
        ("?limit=0", "limit is not a number from 1 to 500"),
        ("?open=yes", "open is not true or false"),
        ("?opne=true", "there is no parameter 'opne'; there are limit and open"),
    ],
)
async def test_a_list_of_alerts_that_was_asked_wrongly_is_refused(
    client: Client, alerts: Alerts, query: str, what: str
) -> None:
    """A mistyped filter that is ignored shows the wrong alerts."""
    assert (400, {"error": what}) == await get(client, f"/api/v1/alerts{query}")
    assert [] == alerts.asked


async def test_an_alert_is_shown_by_its_fingerprint(client: Client) -> None:
    """`explain` asks for it, to say what the rules make of it now."""
    assert (200, SHOWN) == await get(client, f"/api/v1/alerts/{OPEN.fingerprint}")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("unknown", "there is no alert unknown"),
        *((name, "there is no such alert") for name in ("x" * 130, "a%00b", "a%0ab")),
    ],
)
async def test_an_alert_that_is_not_there_is_404(client: Client, name: str, said: str) -> None:
    """Whatever is asked for, only what may be a fingerprint is repeated."""
    assert (404, {"error": said}) == await get(client, f"/api/v1/alerts/{name}")


def test_an_alert_says_whether_it_is_doubtful() -> None:
    """It fires again with its old start, and it is not settled yet whether it really does."""
    assert show_occurrence(replace(OPEN, doubt=Doubt(RUN.alert, until=NOW)))["doubtful"]


@pytest.mark.parametrize("path", ["/api/v1/alerts", "/api/v1/alerts/2fc4c353ef13c5b1"])
async def test_alerts_are_shown_to_the_admin_token_only(client: Client, alerts: Alerts, path: str) -> None:
    """Whoever may send alerts may not read those of others."""
    async with client.get(path, headers={"Authorization": "Bearer x"}) as answer:
        assert (401, []) == (answer.status, alerts.asked)
