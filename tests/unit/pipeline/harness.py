"""A pipeline on an embedded store in virtual time, with actions that do as they are told and count what they did."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

import yaml

from remediator.clients import Clients
from remediator.kit.metrics import Metrics
from remediator.kit.redaction import Redactor
from remediator.model.alert import Alert, AlertStatus, Delivery, fingerprint_of
from remediator.model.facts import Fact, Started
from remediator.model.history import Known, Latest, Question
from remediator.model.ids import OwnerId, RunId
from remediator.model.message import QueuedPost
from remediator.model.occurrence import Accepted, Judge, Occurrence
from remediator.model.plan import Mode
from remediator.model.run import Decision, Run, Signal
from remediator.model.stage import Drafted, Over, stage_of
from remediator.pipeline.approvals import Approvals
from remediator.pipeline.busy import BusyTargets
from remediator.pipeline.calls import Calls
from remediator.pipeline.diagnosis import Diagnosis
from remediator.pipeline.dispatch import HeapDispatcher
from remediator.pipeline.escalation.levels import NO_LEVELS, Levels
from remediator.pipeline.execution import Execution
from remediator.pipeline.flow import Flow, Stages
from remediator.pipeline.guards import Guards, Probe
from remediator.pipeline.guards.effective import limits_by
from remediator.pipeline.guards.shipped import shipped
from remediator.pipeline.intake import Intake
from remediator.pipeline.lessons import Lessons
from remediator.pipeline.people import People
from remediator.pipeline.planning import Planner
from remediator.pipeline.recovery import resume
from remediator.pipeline.rulebook import Rulebook
from remediator.pipeline.silencing.silencing import Alertmanager, Silencing
from remediator.pipeline.stops import Stops
from remediator.pipeline.undo.looking import Looking
from remediator.pipeline.undo.putting_back import PuttingBack
from remediator.pipeline.undo.younger import Younger
from remediator.pipeline.verification import Watch
from remediator.pipeline.worker import Worker
from remediator.rules.loading import load_book
from remediator.settings import LimitsSettings, Settings
from remediator.storage.runs import Claim, Entry, Refusal, Reservation
from remediator.storage.sqlite import SqliteStore
from remediator.storage.store import Store
from remediator.testing.clock import VirtualClock
from tests.unit.pipeline.world import World, actions_of

T = TypeVar("T")

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


def rule(**changes: Any) -> dict[str, Any]:
    """A rule that acts once and proves it, with changes."""
    name = "{{ labels.service }}"
    return {
        "name": "sick",
        "summary": "{{ labels.service }} is sick",
        "match": ['alertname="Sick"'],
        "mode": "auto",
        "diagnose": {"state": {"test.look": {"name": name}}},
        "remediate": [{"name": "cure", "do": [{"test.act": {"name": name}}]}],
        "verify": {
            "settle": "5s",
            "sustain": "10s",
            "within": "2m",
            "every": "2s",
            "checks": [{"test.check": {"name": name}, "expect": "not result.sick"}],
        },
        **changes,
    }


def alert(service: str = "web", *, resolved: bool = False, **labels: str) -> dict[str, str]:
    return {"alertname": "Sick", "service": service, **labels}


def wide(**given: Any) -> LimitsSettings:
    """Limits that are wide, but for those that are given."""
    often = "100000/1h"
    figures = {"overall": often, "per_target": often, "per_rule": often, "attempts": often, "flapping": often}
    return LimitsSettings.model_validate(
        {**figures, "storm_quiet": "0s", "cooldown": "0s", "failures_in_row": 100_000, "failures_of_ten": 11, **given}
    )


class _Store(SqliteStore):
    """A store that a test can wait for, and that can stop dead at one of its writes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.writes = 0
        self.dies_at: int | None = None
        self.dies_after_writing = False
        self.slow_starts = 0
        """So many starts of steps take longer than there is time to begin them."""
        self.on_answer: Callable[[], Awaitable[None]] | None = None
        """Called right after the journal was asked about one target, before whoever asked has the answer."""

    async def start(self, claim: Claim, entry: Entry, started: Started, reservation: Reservation) -> Refusal | None:
        refusal = await super().start(claim, entry, started, reservation)
        if refusal is None and self.slow_starts > 0:
            self.slow_starts -= 1
            await self._clock.sleep(6 * SECOND)
        return refusal

    async def known(self, questions: Sequence[Question]) -> Known:
        known = await super().known(questions)
        if self.on_answer is not None and any(isinstance(one, Latest) and one.which.target for one in questions):
            await self.on_answer()
        return known

    async def write(self, write: Callable[[sqlite3.Connection], object]) -> None:
        """Write something as another process would."""
        await super()._write(write)

    async def accept(self, delivery: Delivery, judge: Judge, owner: OwnerId) -> Accepted:
        return await self._counted(partial(super().accept, delivery, judge, owner))

    async def _write(self, write: Callable[[sqlite3.Connection], T]) -> T:
        return await self._counted(partial(super()._write, write))

    async def _counted(self, write: Callable[[], Awaitable[T]]) -> T:
        self.writes += 1
        if self.dies_at != self.writes:
            return await write()
        if self.dies_after_writing:
            await write()
        await asyncio.Event().wait()  # until the process is killed
        raise AssertionError("nobody killed it")

    async def learn_nothing(self) -> None:
        """Return when everything that was handed in before is committed."""
        await super()._write(lambda _db: None)


class Process:
    """One process's share of the pipeline: it can be stopped, killed, and followed by another on the same store."""

    def __init__(
        self,
        store: Store,
        world: World,
        clock: VirtualClock,
        folder: Path,
        *,
        ceiling: Mode,
        runs_at_once: int,
        runs_at_once_per_rule: int | None,
        changes_at_once: int | None,
        limits: LimitsSettings,
        probes: Sequence[Probe],
        levels: Levels,
        alertmanager: Alertmanager | None,
        settings: Settings,
    ) -> None:
        self.store = store
        self.clock = clock
        self.metrics = Metrics()
        actions = actions_of(world)
        redactor = Redactor()
        self.owner = OwnerId(f"owner-{id(self)}")
        self.dispatcher = HeapDispatcher(clock, at_once_per_rule=runs_at_once_per_rule)
        self.rulebook = Rulebook(load_book([folder], actions), actions, store)
        calls = Calls(Clients(settings), clock, redactor, self.metrics)
        guards = self.guards = Guards(shipped(settings.calendar, settings.protected), store.known, probes)
        self.stops = Stops(store, self.rulebook, clock, redactor, channel="#c", on_message=lambda: None)
        self.busy = BusyTargets(self.dispatcher, clock)
        execution = Execution(calls, guards, self.busy, clock, self.metrics)
        self.younger = Younger(store, lambda run: self.dispatcher.wake(run, clock.now()))
        self.looking = Looking(calls, self.younger, self.rulebook)
        self.people = People(settings.people, settings.approval)
        self.flow = Flow(
            store=store,
            rulebook=self.rulebook,
            stages=Stages(
                Diagnosis(calls),
                Planner(calls),
                guards,
                execution,
                Watch(calls, clock),
                Lessons(store, self.stops),
                PuttingBack(calls, guards, execution, self.younger, clock, self.metrics),
                Silencing(store, self._close_resolved, alertmanager, clock, longest=timedelta(hours=4)),
            ),
            clock=clock,
            metrics=self.metrics,
            redactor=redactor,
            settings=settings.pipeline,
            ceiling=ceiling,
            limits=limits_by(limits),
            people=self.people,
            approval=settings.approval,
            levels=levels,
            hours=settings.hours_to_decide,
        )
        self.approvals = Approvals(
            store, self.people, self.dispatcher, clock, redactor, self.metrics, rule_now=self.rulebook.digest_now
        )
        self.intake = Intake(
            store=store,
            rulebook=self.rulebook,
            dispatcher=self.dispatcher,
            owner=lambda: self.owner,
            clock=clock,
            metrics=self.metrics,
            redactor=redactor,
            settings=settings.occurrences,
            channel="#c",
        )
        self.worker = Worker(
            store=store,
            flow=self.flow,
            dispatcher=self.dispatcher,
            owner=lambda: self.owner,
            clock=clock,
            metrics=self.metrics,
            runs_at_once=runs_at_once,
            changes_at_once=changes_at_once,
        )
        self._task: asyncio.Task[None] | None = None

    async def _close_resolved(self, gone: Sequence[Occurrence], asked_at: datetime) -> None:
        await self.intake.close_resolved(gone, asked_at)

    async def start(self) -> None:
        await self.rulebook.remember()
        await resume(self.store, self.dispatcher)
        self._task = asyncio.create_task(self.worker.work(), name="worker")

    async def stop(self) -> None:
        """Stop as on SIGTERM."""
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self.worker.stop(timedelta(seconds=5))

    async def kill(self) -> None:
        """Stop as on SIGKILL, as near as one process can come to it: nothing gets to run to its end."""
        for _ in range(20):
            left = [t for t in asyncio.all_tasks() if t.get_name().startswith(("worker", "run-", "step-", "wait-"))]
            if not left:
                return
            for task in left:
                task.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.wait(left, timeout=1)


class Harness:
    """A process on a store, and what a test wants to say and ask."""

    def __init__(
        self,
        folder: Path,
        *rules: Mapping[str, Any],
        ceiling: Mode = Mode.AUTO,
        runs_at_once: int = 10,
        runs_at_once_per_rule: int | None = None,
        changes_at_once: int | None = None,
        limits: LimitsSettings | None = None,
        probes: Sequence[Probe] = (),
        levels: Levels = NO_LEVELS,
        alertmanager: Alertmanager | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """Without `limits` they are so wide that no test comes to them that is about something else."""
        self.folder = folder
        self.limits = limits or wide()
        self.probes = probes
        self.levels = levels
        self.alertmanager = alertmanager
        self.settings = Settings.model_validate(settings or {})
        self.ceiling = ceiling
        self.runs_at_once = runs_at_once
        self.runs_at_once_per_rule = runs_at_once_per_rule
        self.changes_at_once = changes_at_once
        self.clock = VirtualClock()
        self.world = World()
        (folder / "rules").mkdir()
        document = {"pack": "p", "vars": {}, "rules": [*rules] or [rule()]}
        (folder / "rules" / "p.yaml").write_text(yaml.safe_dump(document))
        self.store = _Store(folder / "store", clock=self.clock, metrics=Metrics())
        self.process = self._new_process(self.store)

    def _new_process(self, store: Store) -> Process:
        return Process(
            store,
            self.world,
            self.clock,
            self.folder / "rules",
            ceiling=self.ceiling,
            runs_at_once=self.runs_at_once,
            runs_at_once_per_rule=self.runs_at_once_per_rule,
            changes_at_once=self.changes_at_once,
            limits=self.limits,
            probes=self.probes,
            levels=self.levels,
            alertmanager=self.alertmanager,
            settings=self.settings,
        )

    async def __aenter__(self) -> Self:
        await self.store.open()
        await self.process.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.world.pause is not None:
            self.world.pause.set()
        await self.process.stop()
        await self.store.close()

    async def crash(self, *, ceiling: Mode | None = None) -> None:
        """Kill the process and start another one on the same store, with another ceiling if one is given."""
        await self.process.kill()
        self.ceiling = ceiling or self.ceiling
        self.store.dies_at = None
        self.process = self._new_process(self.store)
        await self.process.start()

    async def deliver(self, labels: Mapping[str, str], *, resolved: bool = False) -> None:
        """Have an alert accepted."""
        await self.deliver_all([self.alert(labels, resolved=resolved)])

    def alert(self, labels: Mapping[str, str], *, resolved: bool = False) -> Alert:
        now = self.clock.now()
        status = AlertStatus.RESOLVED if resolved else AlertStatus.FIRING
        return Alert(fingerprint_of(labels), status, labels, {}, now, ends_at=now if resolved else None)

    async def deliver_all(self, alerts: Sequence[Alert]) -> None:
        """Have alerts accepted in one delivery."""
        await self.process.intake.accept(Delivery(tuple(alerts), received_at=self.clock.now()))

    async def pass_time(self, duration: timedelta) -> None:
        """Let time pass from one waking to the next, with real moments in between for the store's threads."""
        left = duration
        await self.settle()
        while left > timedelta(0):
            step = min(self.clock.next_in() or left, left)
            await self.clock.advance(step)
            await self.settle()
            left -= step

    async def settle(self) -> None:
        """Let everything run that can run without time passing."""
        for _ in range(8):
            await self.store.learn_nothing()  # behind everything that was handed to the writer
            await self.store.list_runs(limit=1)
            for _ in range(10):
                await asyncio.sleep(0)

    async def runs(self) -> list[Run]:
        """All runs, the oldest first."""
        listed = await self.store.list_runs(limit=100)
        found = [await self.store.read_run(summary.id) for summary in reversed(listed)]
        return [run for run in found if run is not None]

    async def run(self) -> Run:
        (only,) = await self.runs()
        return only

    async def outcomes(self) -> list[str | None]:
        return [summary.outcome for summary in reversed(await self.store.list_runs(limit=100))]

    async def until_over(self, *, limit: timedelta = 30 * MINUTE) -> list[str | None]:
        """Let time pass until every run has ended; their outcomes."""
        end = self.clock.now() + limit
        while self.clock.now() < end:
            await self.settle()
            found = await self.outcomes()
            if found and None not in found:
                return found
            await self.pass_time(max(self.clock.next_in() or SECOND, timedelta(milliseconds=1)))
        raise AssertionError(f"not over after {limit}: {[stage_of(run) for run in await self.runs()]}")

    async def facts(self) -> list[str]:
        return [fact.kind for fact in (await self.run()).facts]

    async def posts(self, run: RunId) -> list[QueuedPost]:
        return [post for post in await self.store.waiting_posts(1000) if post.run == run]

    async def say(self, run: RunId, signal: Signal) -> None:
        await self.store.signal(run, signal)
        self.process.dispatcher.wake(run, self.clock.now())

    async def decide(self, *, approved: bool = True, reason: str = "") -> None:
        """Decide on the plan that the one run waits with."""
        run = await self.run()
        stage = stage_of(run)
        assert isinstance(stage, Drafted)
        planned = stage.planned
        digest, now = planned.plan.digest, self.clock.now()
        await self.say(run.id, Decision(now, approved, digest, planned.round, planned.revision, "ann", reason))

    async def ending(self) -> str:
        stage = stage_of(await self.run())
        assert isinstance(stage, Over)
        return f"{stage.ended.outcome}: {stage.ended.brief}"


def last(run: Run, kind: type[Fact]) -> Any:
    """The newest fact of a kind."""
    return next(fact for fact in reversed(run.facts) if isinstance(fact, kind))
