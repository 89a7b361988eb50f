"""Replicas that carry out plans as the flow does, step by step, so that a test can have anything happen in between.

The guards, their probes, the ledger, what follows from an ending, and the store are the product's. What a replica does
itself is only the order of things, and to die. What it acts on is a world that a test can have fall ill.
"""

import asyncio
import threading
from collections.abc import Awaitable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TypeVar, cast

from remediator.errors import StoreUnavailable
from remediator.kit import failpoints
from remediator.kit.redaction import Redactor
from remediator.model.alert import Alert, AlertStatus, Delivery
from remediator.model.facts import (
    Ended,
    Examined,
    Finished,
    LateFinished,
    Planned,
    Proof,
    Settled,
    Started,
    StepStatus,
    Verified,
)
from remediator.model.ids import Digest, Fingerprint, OccurrenceId, OwnerId, RuleId, RunId, StepId
from remediator.model.limits import Limits
from remediator.model.message import Message, Tone
from remediator.model.occurrence import NewRun, Occurrence, Opening, Ruling, Verdict
from remediator.model.outcome import Outcome, Reason
from remediator.model.plan import Effect, Mode, Plan, PlannedStep, Verification
from remediator.model.pool import Member, Pool
from remediator.model.run import Run
from remediator.model.stage import Drafted, InDoubt, Underway, stage_of
from remediator.model.target import Target
from remediator.pipeline.approvals import Approvals
from remediator.pipeline.calls import Calls
from remediator.pipeline.execution import MARGIN
from remediator.pipeline.guards import Allow, Ask, Case, Guards, Hold, Refuse
from remediator.pipeline.guards.health_floor import HealthFloor
from remediator.pipeline.guards.pause_file import PauseFile, say_file
from remediator.pipeline.guards.shipped import shipped
from remediator.pipeline.ledger import Ledger
from remediator.pipeline.lessons import Lessons
from remediator.pipeline.people import People
from remediator.pipeline.rulebook import Rulebook
from remediator.pipeline.stops import Stops
from remediator.plugins import Action
from remediator.rules.book import Book
from remediator.rules.compiling import compile_rule
from remediator.settings import CalendarSettings, ProtectedSettings
from remediator.storage.runs import Refusal
from remediator.storage.store import Store
from remediator.testing.clock import VirtualClock
from tests.contract.asking import GATES, Asking
from tests.unit.rules.sample_actions import ACTIONS

T = TypeVar("T")

T0 = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
DIGEST = Digest("d" * 64)
KICK, PUSH = "thing.kick", "thing.push"
IDEMPOTENT = (PUSH,)
PATIENCE = 30.0  # seconds that the loop waits for the store's own thread

_DO = [{"thing.kick": {"name": "web"}}, {"thing.push": {"name": "web"}}]
_RULE = compile_rule(
    {"pack": "web", "vars": {}, "rule": {"name": "down", "match": ['alertname="Down"'], "remediate": [{"do": _DO}]}},
    ACTIONS,
)
_VERIFICATION = Verification(SECOND, SECOND, MINUTE, SECOND, ())
_REDACTOR = Redactor()


@dataclass
class World:
    """What is acted on, and what time it really is."""

    pools: dict[str, tuple[str, ...]]
    file: Path
    now: datetime = T0
    sick: set[str] = field(default_factory=set)

    def pool_of(self, target: str) -> str | None:
        return next((name for name, members in self.pools.items() if target in members), None)


class _Pools:
    """Counts pools as an action does. What is acted on looks healthy meanwhile: only locks tell of it."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def pool(self, step: PlannedStep, _action: Action) -> Pool | None:
        names = {target.name for target in step.targets}
        pool = self._world.pool_of(min(names))
        if pool is None:
            return None
        members = self._world.pools[pool]
        return Pool(pool, tuple(Member(name, name not in self._world.sick, name in names) for name in members))


class OffClock(VirtualClock):
    """A clock that is wrong."""

    def __init__(self, world: World, ahead: timedelta) -> None:
        super().__init__()
        self._world = world
        self.off = ahead

    def now(self) -> datetime:
        return self._world.now + self.off


_asking: ContextVar[OffClock] = ContextVar("asking")


class ClockOfWhoAsks(VirtualClock):
    """The clock of a store that several replicas use: each reads its own on the way in."""

    def now(self) -> datetime:
        return _asking.get().now()


@dataclass(eq=False)
class Job:
    """A run in a replica's hands."""

    replica: "Replica"
    ledger: Ledger
    acting: Started | None = None
    """The step whose call this very process waits for."""

    @property
    def run(self) -> Run:
        return self.ledger.run

    @property
    def planned(self) -> Planned:
        return next(fact for fact in reversed(self.run.facts) if isinstance(fact, Planned))

    @property
    def is_gated(self) -> bool:
        return self.run.rule in GATES

    @property
    def is_begun(self) -> bool:
        return any(isinstance(fact, Started) and fact.round == self.planned.round for fact in self.run.facts)

    @property
    def targets(self) -> tuple[str, ...]:
        return tuple(sorted({target.name for target in self.planned.plan.targets}))

    @property
    def next_step(self) -> PlannedStep | None:
        """The step to be started now: the next one, or one that is harmless to repeat and was lost sight of."""
        steps = self.planned.plan.steps
        match stage_of(self.run):
            case Drafted():
                return steps[0]
            case Underway(next=place):
                return steps[place]
            case InDoubt(started=started, repeats=False) if self.acting is None:
                step = next(one for one in steps if one.id == started.step)
                return step if step.idempotent else None
        return None

    @property
    def locked_until(self) -> datetime | None:
        """How long targets stay locked after the end, as the flow has it."""
        seen = {f.key for f in self.run.facts if isinstance(f, Finished) and f.status is not StepStatus.UNKNOWN}
        seen |= {f.key for f in self.run.facts if isinstance(f, LateFinished | Settled)}
        left = [f.deadline + MARGIN for f in self.run.facts if isinstance(f, Started) and f.key not in seen]
        return max(left, default=None)


class Replica:
    """One process, from its start to its death."""

    def __init__(self, name: str, store: Store, world: World, limits: Limits, ahead: timedelta) -> None:
        self.owner = OwnerId(name)
        self.store = store
        self.clock = OffClock(world, ahead)
        self._world = world
        self._limits = limits
        probes = (PauseFile(world.file), HealthFloor(cast(Calls, _Pools(world))))
        self.guards = Guards(shipped(CalendarSettings(), ProtectedSettings()), store.known, probes)
        no_rules = cast(Rulebook, SimpleNamespace(book=Book(())))
        self.stops = Stops(store, no_rules, self.clock, _REDACTOR, channel="#c", on_message=lambda: None)
        self.lessons = Lessons(store, self.stops)
        look_for_file = partial(say_file, world.file)
        self._asking = Asking(store, self.clock, self.guards, self.lessons, limits, DIGEST, look_for_file)

    @property
    def people(self) -> People:
        return self._asking.people

    @property
    def approvals(self) -> Approvals:
        return self._asking.approvals

    def reads_the_clock(self) -> datetime:
        """From now on the store's clock is this replica's, for whoever calls it from here."""
        _asking.set(self.clock)
        return self.clock.now()

    async def remember_rule(self) -> None:
        self.reads_the_clock()
        await self.store.remember_rules({DIGEST: {"pack": "web"}})

    async def accept(self, name: str, rule: str, targets: Sequence[str], actions: Sequence[str]) -> Job:
        """An alert comes, and its plan is made."""
        now = self.reads_the_clock()
        alert = Alert(Fingerprint(name), AlertStatus.FIRING, {"alertname": name}, {}, now)
        new = NewRun(RunId(name), RuleId(rule), DIGEST, "it is down", "#c", Message(Tone.FIRING, "first"))

        def judge(_alert: Alert, _known: Occurrence | None) -> Verdict:
            return Verdict(Ruling.OPENED, open=Opening(OccurrenceId(f"o-{name}"), (new,)))

        await self.store.accept(Delivery((alert,), now), judge, self.owner)
        job = await self.take(RunId(name))
        await self.draft(job, 1, self._plan(targets, actions, is_gated=rule in GATES))
        return job

    async def take(self, run: RunId) -> Job:
        """Have a run, whoever had it before."""
        self.reads_the_clock()
        taken = await self.store.take(run, self.owner)
        assert taken is not None
        return Job(self, Ledger(taken, self.store, _REDACTOR))

    async def draft(self, job: Job, round_: int, plan: Plan) -> None:
        now = self.reads_the_clock()
        job.ledger.note(Examined(now, round_, {}))
        job.ledger.note(Planned(now, round_, 1, plan))
        await job.ledger.save()

    def _plan(self, targets: Sequence[str], actions: Sequence[str], *, is_gated: bool) -> Plan:
        """A step for each action; of several targets the same step for each."""
        doing = [(action, targets[0]) for action in actions] if len(targets) == 1 else [(KICK, t) for t in targets]
        steps = tuple(
            PlannedStep(
                StepId(f"remediate.0.{place}"),
                action,
                {"name": "web"},
                Effect.CHANGE,
                action in IDEMPOTENT,
                (Target("thing", (on.partition(":")[2],)),),
                MINUTE,
                f"{action} {on}",
            )
            for place, (action, on) in enumerate(doing)
        )
        pools = sorted({pool for target in targets if (pool := self._world.pool_of(target)) is not None})
        return Plan(0, "cure", is_gated, steps, _VERIFICATION, pools=tuple(pools))

    async def leave(self, job: Job) -> Case | Ended | None:
        """Whether a gated plan may be begun now: its case, its end, or None where it waits."""
        self.reads_the_clock()
        return await self._asking.leave(job.ledger)

    def case(self, job: Job, *, approved: bool) -> Case:
        """As the guards are shown it. What people have said of a gated plan is in the store, and nowhere else."""
        planned = job.planned
        if job.is_gated:
            return self._asking.case(job.ledger, planned)
        return Case(
            run=job.run,
            rule=_RULE,
            plan=planned.plan,
            at=self.clock.now(),
            mode=Mode.AUTO,
            limits=self._limits,
            round=planned.round,
            approved=approved,
            begun=job.is_begun,
        )

    async def look(self, case: Case) -> Reason | None:
        """Why the world speaks against it, as it is found right before a step."""
        match await self.guards.look(case):
            case Allow():
                return None
            case Hold(reason=reason) | Refuse(reason=reason):
                return reason
            case Ask(reason=reason):
                return None if case.begun or case.approved else reason

    async def start(self, job: Job, case: Case, step: PlannedStep) -> Refusal | None:
        """Have the start of a step on record; what is raised is the store's."""
        now = self.reads_the_clock()
        attempt = 1 + sum(isinstance(fact, Started) and fact.step == step.id for fact in job.run.facts)
        started = Started(now, case.round, step.id, attempt, job.run.epoch, now + step.timeout + MARGIN)
        refusal = await job.ledger.start(started, self.guards.reserve(case))
        if refusal is None:
            job.acting = started
        return refusal

    async def finish(self, job: Job, started: Started, status: StepStatus) -> Finished:
        """The call has ended, or was lost sight of. It is written until it is on disk."""
        finished = self.finished(started, status)
        job.ledger.note(finished)
        job.acting = None
        for _ in range(2):
            try:
                await job.ledger.save()
            except StoreUnavailable:
                continue
            return finished
        raise AssertionError("the store was away twice")

    async def not_begun(self, job: Job, started: Started) -> bool:
        """The step was not done after all; whether the run needs no lock now, as nothing of it was ever done."""
        job.ledger.note(replace(self.finished(started, StepStatus.FAILED), begun=False))
        job.acting = None
        ended = {fact.key for fact in job.run.facts if isinstance(fact, Finished) and not fact.begun}
        is_free = all(fact.key in ended for fact in job.run.facts if isinstance(fact, Started))
        await job.ledger.save(free_locks=is_free)
        return is_free

    def finished(self, started: Started, status: StepStatus) -> Finished:
        return Finished(self.reads_the_clock(), started.round, started.step, started.attempt, status, "", "", 0)

    async def verify(self, job: Job, proof: Proof) -> Verified:
        verified = Verified(self.reads_the_clock(), job.planned.round, proof, 1, "")
        job.ledger.note(verified)
        await job.ledger.save()
        return verified

    async def conclude(self, job: Job) -> None:
        self.reads_the_clock()
        await self.lessons.learn(self.case(job, approved=True))

    async def end(self, job: Job, ended: Ended | None = None) -> datetime | None:
        """The run is over; until when it keeps its locks."""
        now, keeps = self.reads_the_clock(), job.locked_until
        if ended is None:
            ended = Ended(now, Outcome.UNKNOWN if keeps else Outcome.HEALED, "over")
            job.ledger.note(ended)
        await job.ledger.end(ended, keep_locks_until=keeps)
        return keeps


async def together(
    store: Store, writes: Sequence[Awaitable[T]], fault: str | None, *, has_thread: bool
) -> list[T | BaseException]:
    """Have the store make these writes in one commit, which may go wrong before or after it was carried out.

    A store with a thread of its own is kept busy meanwhile with another commit, so that it finds them all at once.
    """
    go, reached = threading.Event(), threading.Event()

    def wait() -> None:
        reached.set()
        go.wait(PATIENCE)

    def fail() -> None:
        raise OSError("the disk is gone") if not has_thread else StoreUnavailable("the disk is gone")

    ahead: list[asyncio.Future[None]] = []
    try:
        if has_thread:
            failpoints.arm("store.commit.before", wait)
            ahead = [asyncio.ensure_future(store.probe())]
            await asyncio.sleep(0)
            assert reached.wait(PATIENCE)
        tasks = [asyncio.ensure_future(write) for write in writes]
        await asyncio.sleep(0)
        if fault is not None:
            failpoints.arm(f"store.commit.{fault}", fail, after=1 if has_thread and fault == "after" else 0)
        go.set()
        await asyncio.gather(*ahead)
        return await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        go.set()
        failpoints.disarm()
