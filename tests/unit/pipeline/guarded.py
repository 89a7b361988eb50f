"""What tests of runs that meet guards say and ask."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from remediator.model.change import Change
from remediator.model.history import Latest, Which
from remediator.model.run import Decision, Run
from remediator.model.stage import Drafted, stage_of
from remediator.model.stop import StopKind
from remediator.pipeline.guards import Allow, Case, Review
from tests.unit.pipeline.harness import MINUTE, SECOND, Harness, alert

HOUR = 60 * MINUTE
WEB = "test:web"
RULE = "rule:p/sick"
ACT: dict[str, Any] = {"test.act": {"name": "{{ labels.service }}"}}
SET: dict[str, Any] = {"test.set": {"name": "{{ labels.service }}"}}
QUICK = {
    "settle": "1s",
    "sustain": "1s",
    "within": "10s",
    "every": "1s",
    "checks": [{"test.check": {"name": "{{ labels.service }}"}, "expect": "not result.sick"}],
}


@dataclass
class Said:
    """A probe that says what a test wants, and counts how often it was asked."""

    review: Review = field(default_factory=Allow)
    later: list[Review] = field(default_factory=list)
    """What it says first, one for each look; then `review`."""
    cases: list[Case] = field(default_factory=list)

    async def look(self, case: Case) -> Review:
        self.cases.append(case)
        return self.later.pop(0) if self.later else self.review


async def newest(it: Harness) -> Run:
    return (await it.runs())[-1]


async def fall_ill(it: Harness, number: int, *, service: str = "web") -> None:
    """An alert of its own for the same target, and nothing helps unless the world heals."""
    await it.pass_time(SECOND)  # runs are sorted by it
    it.world.sick = True
    await it.deliver(alert(service, n=str(number)))


async def standing(it: Harness) -> list[tuple[StopKind, str]]:
    return [(stop.kind, stop.scope) for stop in await it.process.stops.standing()]


async def journal(it: Harness, target: str = WEB) -> Sequence[Change]:
    question = Latest(Which(target=target), 50, it.clock.now() - timedelta(days=30))
    return (await it.store.known([question])).latest(question)


async def decide(it: Harness, *, approved: bool = True) -> None:
    """Decide on the plan of the newest run."""
    run = await newest(it)
    stage = stage_of(run)
    assert isinstance(stage, Drafted)
    planned = stage.planned
    await it.say(
        run.id, Decision(it.clock.now(), approved, planned.plan.digest, planned.round, planned.revision, "ann")
    )
