"""A run with all its facts, and a store that has it, for tests of the API."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from remediator.model.alert import Alert, AlertStatus
from remediator.model.facts import (
    Asked,
    Ended,
    Evidence,
    Examined,
    Fact,
    Finished,
    Held,
    Planned,
    Proof,
    Started,
    StepStatus,
    Verified,
)
from remediator.model.ids import Digest, Fingerprint, OccurrenceId, OwnerId, RuleId, RunId, StepId
from remediator.model.occurrence import Occurrence
from remediator.model.outcome import Outcome, Reason
from remediator.model.plan import Effect, Plan, PlannedCheck, PlannedStep, Verification
from remediator.model.run import Cancel, Decision, Run, RunSummary, Settle, Undo
from remediator.model.target import Target
from remediator.pipeline.approvals import Answer, Said, Verdict
from tests.unit.web.serving import Client

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
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
NOT_WAITING = {
    "nobody was asked": run_with(EXAMINED, PLANNED),
    "it was decided": run_with(EXAMINED, PLANNED, ASKED, signals=(DECISION,)),
    "the plan was replaced": run_with(EXAMINED, PLANNED, ASKED, replace(PLANNED, revision=2)),
    "it has started": run_with(EXAMINED, PLANNED, ASKED, STARTED),
    "the run is over": run_with(EXAMINED, PLANNED, ASKED, ENDED),
}
HELD = Held(
    at=NOW + SECOND,
    round=1,
    count=1,
    reason=Reason.TARGET_BUSY,
    detail="run x",
    until=NOW + 6 * SECOND,
)

WRONG_WISHES = [
    pytest.param({"by": ""}, RUN.id, 400, id="nobody"),
    pytest.param({"by": "ann", "wish": "x"}, RUN.id, 400, id="unknown-field"),
    pytest.param([], RUN.id, 400, id="no-object"),
    pytest.param({"by": "ann"}, "another", 404, id="no-such-run"),
]
"""What somebody may wish of a run by mistake, and how it is answered."""


@dataclass
class Runs:
    """Stands for the store: a few runs, and what was asked of it."""

    known: dict[str, Run] = field(default_factory=dict)
    asked: list[tuple[int, str | None, bool]] = field(default_factory=list)
    unsettled: bool | None = None
    hosts: dict[OwnerId, str] = field(default_factory=dict)
    said: list[tuple[str, Said]] = field(default_factory=list)
    verdict: Verdict = field(default_factory=lambda: Verdict(Answer.TAKEN, "approved: plan p of run r"))
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

    async def decide(self, run: RunId, said: Said, /) -> Verdict | None:
        self.said.append((run, said))
        return None if self.is_gone else self.verdict

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


async def get(client: Client, path: str) -> tuple[int, Any]:
    async with client.get(path) as answer:
        return answer.status, await answer.json()
