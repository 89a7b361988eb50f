"""How whatever happens to replicas on a store is done, and told to who counts it again."""

import asyncio
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Awaitable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant

from remediator.errors import Fenced, StoreUnavailable
from remediator.kit import failpoints
from remediator.model.change import Ending
from remediator.model.facts import Ended, Proof, Settled, Started, StepStatus
from remediator.model.ids import RunId
from remediator.model.outcome import Outcome, Reason
from remediator.model.plan import PlannedStep
from remediator.model.stage import Acted, Fresh, InDoubt, NotHelped, Over, Proven, is_repeat, stage_of
from remediator.model.stop import Stop, StopKind
from remediator.pipeline.guards import Case
from remediator.storage.runs import Refusal
from remediator.storage.store import Store
from tests.contract.counted_again import CountedAgain, Step
from tests.contract.limits_profiles import ENDING_OF, LEAST, NOT_BEGUN, ON, POOLS, How, Profile
from tests.contract.replicas_at_work import MINUTE, SECOND, Job, Replica, World, together

T = TypeVar("T")
SKEWS = st.sampled_from([0, 0, 0, 0, -3, 4, -300, 400, -2400, 2400]).map(lambda seconds: seconds * SECOND)
PLACES = st.integers(0, 999)  # what is drawn must not depend on what has happened: replicas race on PostgreSQL


class ReplicasOnStores(RuleBasedStateMachine):
    """Two replicas, what they do, and the model that is told of it. What happens to them, the class below it says."""

    has_thread = True
    """Whether the store writes in a thread of its own, so that one commit of it can be held up for the next."""
    may_wake = True
    """Whether a process that was given up for dead can go on writing: it had only been frozen."""
    profile: Profile
    seen: Counter[str]
    """What has happened in all of the stories: a machine in which nothing is ever refused proves nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = Path(tempfile.mkdtemp(prefix="limits-hold-"))
        self.world = World(POOLS, self.folder / "PAUSE")
        self.limits = self.profile.limits
        self.model = CountedAgain(self.limits, POOLS, LEAST, sick=self.world.sick)
        self.stores: list[Store] = []
        self.replicas: list[Replica] = []
        self.offs = [timedelta(0)]
        self.jobs: list[Job] = []
        self.dead: list[tuple[Job, Started | None]] = []
        self.unsettled: list[tuple[RunId, Started, Ended]] = []
        self.mood = self.profile.moods[0]
        self.count = 0
        self.lives = 0

    async def open_stores(self) -> list[Store]:
        """A store for each of two replicas; the same one where there is one process."""
        raise NotImplementedError

    def do(self, what: Awaitable[T]) -> T:
        async def it() -> T:
            return await what

        return self.loop.run_until_complete(it())

    @initialize(mood=PLACES, skew=SKEWS)
    def open(self, mood: int, skew: timedelta) -> None:
        self.mood = self.profile.moods[mood % len(self.profile.moods)]
        self.stores = self.do(self.open_stores())
        self.replicas = [self.born(place, ahead) for place, ahead in enumerate((timedelta(0), skew))]
        self.do(self.replicas[0].remember_rule())

    def born(self, place: int, ahead: timedelta) -> Replica:
        self.lives += 1
        self.offs.append(ahead)
        self.model.spread = max(self.offs) - min(self.offs)
        return Replica(f"replica-{self.lives}", self.stores[place], self.world, self.limits, ahead)

    def teardown(self) -> None:
        failpoints.disarm()
        self.do(self.close_stores())
        self.loop.close()
        shutil.rmtree(self.folder)

    async def close_stores(self) -> None:
        for store in dict.fromkeys(self.stores):
            await store.close()

    def pass_time(self, minutes: int) -> None:
        self.world.now += minutes * MINUTE + SECOND

    @invariant()
    def holds_in_real_time(self) -> None:
        """Each start is judged when it is told to the model; this is what follows for the time that really passes."""
        self.model.check_real_time()

    def let_through(self, job: Job, *, approved: bool) -> Case | None:
        """What is to be tried now; None where the world speaks against it."""
        case = job.replica.case(job, approved=approved)
        reason = self.do(job.replica.look(case))
        if reason is not None:
            self.seen[reason.name] += 1
        return case if reason is None else None

    def check_approval(self, job: Job, case: Case) -> None:
        """A step was started: was it approved, if it had to be?"""

    def come(self, of: str, on: int, actions: tuple[str, ...], who: int) -> Job:
        self.count += 1
        places = [targets for name in self.profile.ons for targets in ON[name]]
        replica = self.replicas[who % 2]
        job = self.do(replica.accept(f"r{self.count}", of, places[on % len(places)], actions))
        self.jobs.append(job)
        self.model.opened.setdefault(of, []).append(replica.clock.now())
        return job

    def make_way(self, new: Job, how: int) -> None:
        """What stands in the way of a run is got out of it: people resume, and others come to their end."""
        by = new.replica
        if how % 2:
            self.world.file.unlink(missing_ok=True)
            self.model.is_file_there = False
            for scope in list(self.model.pauses):
                self.do(by.stops.lift(StopKind.PAUSE, scope, "ann"))
                self.model.pauses.pop(scope)
        for what, often in (("clear", 4), ("promote", 4), ("calm", 3)):
            if how % often == 0:
                self.do(self.lift(by, what, how))
        locks = set(new.planned.plan.locks)
        for job in list(self.jobs):
            if job is not new and locks & set(job.planned.plan.locks):
                self.see_through(job, how)

    def see_through(self, job: Job, how: int) -> None:
        """A run whose call has ended, or that has nothing under way, comes to its end."""
        for _ in range(5):
            if job in self.jobs and job.is_begun:
                self.go_on(job, how, again=False, fails=False)

    def try_together(self, jobs: Sequence[Job], approved: Sequence[bool], fault: str | None, pause: str | None) -> None:
        """The world is looked at for each, then all are started at once; a pause may come right before."""
        ready: list[tuple[Job, Case, PlannedStep]] = []
        for job, is_approved in zip(jobs, approved, strict=True):
            case, step = self.let_through(job, approved=is_approved), job.next_step
            if case is not None and step is not None:
                ready.append((job, case, step))
        if ready:
            self.do(self._try(ready, fault, pause))

    async def _try(self, ready: Sequence[tuple[Job, Case, PlannedStep]], fault: str | None, pause: str | None) -> None:
        first = ready[0][0].replica
        writes: list[Awaitable[Refusal | None]] = [job.replica.start(job, case, step) for job, case, step in ready]
        if pause is not None:
            writes.insert(0, self._pause_now(first, pause))
        if len(writes) > 1 or fault is not None:
            answers = await together(first.store, writes, fault, has_thread=self.has_thread)
        else:
            answers = [await writes[0]]
        if pause is not None:
            said, answers = answers[0], answers[1:]
            if said is None and self.has_thread:  # it was asked first, and writes are made in their order
                self.model.pauses[pause] = None
        verdicts = set()
        for (job, case, step), answer in zip(ready, answers, strict=True):
            verdicts.add(await self._note(job, case, step, answer))
        if pause is not None and (isinstance(said, StoreUnavailable) or not self.has_thread):
            await self.pause(first, pause, None)
        if {"started", Reason.BUDGET_USED.name} <= verdicts:
            self.seen["budget used up within a commit"] += 1
        if {"started", Reason.TARGET_BUSY.name} <= verdicts:
            self.seen["lock taken within a commit"] += 1

    async def _pause_now(self, by: Replica, scope: str) -> None:
        now = by.reads_the_clock()
        await by.store.put_stop(Stop(StopKind.PAUSE, scope, "", "ann", now))

    async def _note(self, job: Job, case: Case, step: PlannedStep, answer: Refusal | BaseException | None) -> str:
        """What has become of a start."""
        is_lost = isinstance(answer, StoreUnavailable)
        if is_lost:  # nobody knows, so it is read
            old = {fact.key for fact in job.run.facts if isinstance(fact, Started)}
            again = await job.replica.take(job.run.id)
            self.jobs[self.jobs.index(job)] = again
            job = again
            is_started = bool({fact.key for fact in job.run.facts if isinstance(fact, Started)} - old)
            self.seen[f"lost, {'' if is_started else 'not '}started"] += 1
            if not is_started:
                return "lost"
        elif isinstance(answer, BaseException):
            raise answer
        elif answer is not None:
            self.seen[answer.reason.name] += 1
            if answer.reason is Reason.SIGNALLED:
                await job.ledger.read_signals()
            elif answer.until is not None and answer.until <= case.at:  # the review would refuse it, and have it learnt
                await self._learn(job)
            return answer.reason.name
        self.seen["started"] += 1
        self.check_approval(job, case)
        self.model.started(self._step(job, case, step, is_called=not is_lost))
        return "started"

    def _step(self, job: Job, case: Case, step: PlannedStep, *, is_called: bool) -> Step:
        (on,) = {target.name for target in step.targets}
        return Step(
            run=job.run.id,
            round=case.round,
            rule=job.run.rule,
            actions=tuple(one.action for one in case.plan.steps),
            targets=job.targets,
            pools=tuple(f"pool:{name}" for name in case.plan.pools),
            on=on,
            real=self.world.now,
            wall=self.world.now + job.replica.clock.off,
            approved=case.approved,
            is_first=not case.begun,
            is_called=is_called,
        )

    def go_on(self, job: Job, how: int, *, again: bool, fails: bool) -> None:
        self.do(self._go_on(job, self.mood[how % len(self.mood)], again=again, fails=fails))

    async def _go_on(self, job: Job, how: How, *, again: bool, fails: bool) -> None:
        match stage_of(job.run):
            case InDoubt(started=started):
                seen = how if isinstance(how, StepStatus) else StepStatus.DONE
                if how == NOT_BEGUN and job.acting is not None and not is_repeat(job.run, started):
                    await self._do_not_begin(job, started)
                else:
                    await self._finish(job, started, seen if job.acting else StepStatus.UNKNOWN, fails=fails)
            case Fresh(round=number):
                await job.replica.draft(job, number, job.planned.plan)
            case Acted(unknown=unknown):
                if unknown:
                    await self._learn(job)
                verified = await job.replica.verify(job, how if isinstance(how, Proof) else Proof.INCONCLUSIVE)
                self.model.ended(job.run.id, verified.round, ENDING_OF[verified.proof], verified.at)
            case NotHelped(unknown=False) if again:
                await self._learn(job)
                await job.replica.draft(job, job.planned.round + 1, job.planned.plan)
                self.seen["next remedy"] += 1
            case NotHelped() | Proven():
                await self._learn(job)
                await self._end(job)

    async def _finish(self, job: Job, started: Started, status: StepStatus, *, fails: bool) -> None:
        planned = job.planned
        step = next(one for one in planned.plan.steps if one.id == started.step)
        if fails and self.has_thread:
            failpoints.arm("store.commit.before", _lose_the_disk)
        is_seen = job.acting is not None
        finished = await job.replica.finish(job, started, status)
        failpoints.disarm()
        if is_seen and status is not StepStatus.UNKNOWN:
            self.model.call_over(job.run.id)
        plan = self.model.plan(job.run.id, started.round)
        if status is not StepStatus.DONE:
            self.model.ended(job.run.id, started.round, ENDING_OF[status], finished.at)
        elif plan is not None and step.action == planned.plan.steps[0].action:
            plan.known = finished.at
            plan.ending = plan.ending if plan.ending in (Ending.FAILED, Ending.UNKNOWN) else Ending.DONE

    async def _do_not_begin(self, job: Job, started: Started) -> None:
        """What was not begun is no change, and a run that has changed nothing gives its targets back meanwhile."""
        is_free = await job.replica.not_begun(job, started)
        self.model.not_begun(job.run.id, started.round, frees=is_free)
        self.seen["not begun"] += 1

    async def _learn(self, job: Job) -> None:
        await job.replica.conclude(job)
        self.model.learned(job.run.id, job.planned.round, job.replica.clock.now())

    async def _end(self, job: Job) -> None:
        keeps = await job.replica.end(job)
        self.model.run_over(job.run.id, keeps)
        self.jobs.remove(job)
        if keeps is not None:
            unknown = [fact for fact in job.run.facts if isinstance(fact, Started)][-1]
            over = stage_of(job.run)
            assert isinstance(over, Over)
            self.unsettled.append((job.run.id, unknown, over.ended))

    async def be_fenced(self, job: Job, started: Started | None, status: StepStatus) -> None:
        """It must not be able to write anything but the late end of its call."""
        with pytest.raises(Fenced):
            await self._write_anyway(job, started)
        self.seen["fenced"] += 1
        if started is None:
            return
        finished = job.replica.finished(started, status)
        await job.ledger.settle_late(finished)
        if status is not StepStatus.UNKNOWN:
            self.model.settled(job.run.id, started.round, ENDING_OF[status], finished.at)
            self.model.call_over(job.run.id)

    async def _write_anyway(self, job: Job, started: Started | None) -> None:
        """As if nobody had taken over: start what is next, else say that all is well."""
        replica, step = job.replica, job.next_step
        if started is None and step is not None:
            await replica.start(job, replica.case(job, approved=True), step)
        else:
            job.ledger.note(Ended(replica.reads_the_clock(), Outcome.HEALED, ""))
            await job.ledger.save()

    async def pause(self, by: Replica, scope: str, minutes: int | None) -> None:
        now = by.reads_the_clock()
        until = now + minutes * MINUTE if minutes else None
        await by.stops.put([Stop(StopKind.PAUSE, scope, "", "ann", now, until)])
        self.model.pauses[scope] = until

    def stop_by_hand(self, by: Replica, how: str | None) -> None:
        """A person pauses a scope, or puts the file there (and takes it away where it is)."""
        if how == "file":
            self.model.is_file_there = not self.model.is_file_there
            if self.model.is_file_there:
                self.world.file.touch()
            else:
                self.world.file.unlink()
        elif how is not None:
            self.do(self.pause(by, how, None))

    async def lift(self, by: Replica, what: str, pick: int) -> None:
        """Whatever stands of a kind can be lifted, by who sees it."""
        kinds = {
            "resume": StopKind.PAUSE,
            "clear": StopKind.QUARANTINE,
            "promote": StopKind.DEMOTION,
            "calm": StopKind.STORM,
        }
        kind = kinds[what]
        now = by.reads_the_clock()
        there = {stop.scope: stop.at for stop in await by.stops.standing() if stop.kind is kind}
        if not there:
            return
        scope = list(there)[pick % len(there)]
        await by.stops.lift(kind, scope, "ann")
        self.seen[what] += 1
        match what:
            case "resume":
                self.model.pauses.pop(scope, None)
            case "clear":
                target = scope.removeprefix("target:")
                ended = [plan.over for plan in self.model.plans if target in plan.targets and plan.ending]
                self.model.cleared[target] = max([now, *ended])  # a clock may have been ahead
                self.model.quarantined.discard(target)
            case "calm":
                self.model.storms[scope.removeprefix("rule:")] = max(now, there[scope])
            case _:
                name = scope.removeprefix("rule:")
                ended = [plan.over for plan in self.model.plans if plan.rule == name and plan.ending]
                self.model.promoted[name] = max([now, *ended])
                self.model.demoted.discard(name)

    async def settle(self, by: Replica, run: RunId, started: Started, ended: Ended, *, done: bool) -> None:
        """A person has looked: the run gives back what it has kept."""
        job = await by.take(run)
        now = by.reads_the_clock()
        job.ledger.note(Settled(now, started.step, started.attempt, done, "ann", ""))
        self.model.run_over(run, await by.end(job, ended))
        self.model.call_over(run)
        self.seen["settled"] += 1
        if not any(fact.kind == "verified" and fact.round == started.round for fact in job.run.facts):
            ending = Ending.DONE if done else Ending.FAILED
            self.model.settled(run, started.round, ending, now)


def _lose_the_disk() -> None:
    raise sqlite3.OperationalError("disk I/O error")
