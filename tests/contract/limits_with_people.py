"""People who decide on the gated plans among those of `limits_machine.py`, and what follows from what they have said.

Whether a gated plan may be begun the product's gate says; here it is only asked, as often and at what times a story
wants it. What is started then has to have enough words behind it, whatever else has happened meanwhile.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from remediator.model.facts import Asked, Ended, Planned, Started, Voided
from remediator.model.ids import RunId
from remediator.model.outcome import Reason
from remediator.model.run import Cancel
from remediator.model.stop import Stop, StopKind
from remediator.pipeline.approvals import Answer
from remediator.pipeline.guards import Case
from tests.contract.asking import GATES
from tests.contract.counted_again import scopes_of
from tests.contract.limits_machine import ReplicasOnStores
from tests.contract.limits_profiles import POOLS
from tests.contract.replicas_at_work import KICK, Job
from tests.contract.words import MAY_DECIDE, WAYS, Question, Words

Word = tuple[str, str, bool]
"""Who says something, by which way, and whether it is yes."""


class ReplicasAndPeople(ReplicasOnStores):
    """Replicas, and people who decide what the gated rules may do."""

    def __init__(self) -> None:
        super().__init__()
        self.words = Words()
        self.shown: list[tuple[Question, set[str]]] = []
        """What people were asked, the newest last, each with the scopes that it is in."""
        self.called_off: set[RunId] = set()
        self.resting: set[RunId] = set()
        """What waits for people, or for a guard: it is nobody's, and any replica goes on with it."""
        self.turns = 0
        self.calls_off = False
        """Whether the next gated plan that may be begun is called off right before its start."""

    def let_through(self, job: Job, *, approved: bool) -> Case | None:
        if not job.is_gated or job.is_begun:
            return super().let_through(job, approved=approved)
        return self.do(self._leave(job))

    async def _leave(self, job: Job) -> Case | None:
        """Have the gate looked at: people may be asked, and the run may end."""
        if job.run.id in self.resting:
            await self._take_up(job)
        voided = _count_voided(job)
        left = await job.replica.leave(job)
        self._show(job)
        await self._hear_of_storms(job)
        if _count_voided(job) > voided:
            self.seen["voided"] += 1
        if isinstance(left, Case):
            if self.calls_off:
                await self._call_off(job)
            return left
        if left is None:
            self.resting.add(job.run.id)
        else:
            await self._end_unbegun(job, left)
        return None

    async def _take_up(self, job: Job) -> None:
        self.turns += 1
        taken = await self.replicas[self.turns % 2].take(job.run.id)
        job.replica, job.ledger = taken.replica, taken.ledger
        self.resting.discard(job.run.id)

    def _show(self, job: Job) -> None:
        """What people see now."""
        planned = {fact.key: fact for fact in job.run.facts if isinstance(fact, Planned)}
        known = {(question.run, question.place) for question, _ in self.shown}
        actions = tuple(step.action for step in job.planned.plan.steps)
        for asked in (fact for fact in job.run.facts if isinstance(fact, Asked)):
            question = Question(job.run.id, planned[asked.key], asked.until)
            if (question.run, question.place) not in known:
                self.shown.append((question, scopes_of(job.run.rule, job.targets, actions)))
                self.seen["asked"] += 1

    async def _hear_of_storms(self, job: Job) -> None:
        if self.limits.storm_quiet:
            for stop in await job.replica.stops.standing():
                if stop.kind is StopKind.STORM and stop.until is not None:
                    self.model.storms[stop.scope.removeprefix("rule:")] = stop.until
                    self.seen[Reason.STORM.name] += 1

    async def _end_unbegun(self, job: Job, ended: Ended) -> None:
        """Denied, called off, or too late: nothing of this round was done."""
        job.ledger.note(ended)
        self.model.run_over(job.run.id, await job.replica.end(job, ended))
        self.jobs.remove(job)
        self.seen[f"ended {ended.outcome.name}"] += 1

    def agree(self, jobs: Sequence[Job], how: int) -> None:
        """People are asked about what is gated, and mostly those who are needed approve it."""
        for place, job in enumerate(jobs):
            if job.is_gated and job in self.jobs and not job.is_begun and self.let_through(job, approved=True) is None:
                self.answer(job, how, [(name, WAYS[how % 2], True) for name in MAY_DECIDE[: (how + place) % 5]])

    def answer(self, job: Job, who: int, words: Sequence[Word]) -> None:
        """People decide on what they were asked last of a run, if they were."""
        mine = [place for place, (question, _) in enumerate(self.shown) if question.run == job.run.id]
        if mine:
            self.decide(len(self.shown) - 1 - mine[-1], who, words)

    def come_between(self, job: Job, on: int, what: str | None) -> None:
        """What people did not know of who were asked."""
        match what:
            case "storm":
                for place in range(3):
                    self.come(job.run.rule, on + place, (KICK,), place)
            case "demotion":
                self.pass_time(0)
                self.do(self._demote(job))
            case "illness":
                pools = [members for members in POOLS.values() if job.targets[0] in members]
                self.world.sick ^= {name for members in pools for name in members} - {*job.targets}
            case _:
                self.stop_by_hand(job.replica, what)

    async def _demote(self, job: Job) -> None:
        """As if another run of its rule had gone badly."""
        now, stops = job.replica.reads_the_clock(), job.replica.stops
        await stops.put([Stop(StopKind.DEMOTION, f"rule:{job.run.rule}", "", "remediator", now)])
        if any((one.kind, one.scope) == (StopKind.DEMOTION, f"rule:{job.run.rule}") for one in await stops.standing()):
            self.model.demoted.add(job.run.rule)

    def decide(self, pick: int, who: int, words: Sequence[Word]) -> None:
        """Several people decide on a question at the same time, each on another replica than the one before."""
        if not self.shown:
            return
        question, scopes = self.shown[-1 - pick % len(self.shown)]

        async def all_at_once() -> None:
            said = (self._say(who + place, question, scopes, word) for place, word in enumerate(words))
            await asyncio.gather(*said)

        self.do(all_at_once())

    async def _say(self, who: int, question: Question, scopes: set[str], word: Word) -> None:
        by, (name, way, approved) = self.replicas[who % 2], word
        now = by.reads_the_clock()
        verdict = await self.words.say(by, question, name, way, approved=approved)
        self.seen[verdict.answer.value] += 1
        if verdict.answer is Answer.TAKEN:
            pauses = self.model.pauses_of(scopes, now)
            assert not (approved and pauses), f"{question} was approved in spite of a pause of {pauses}"
            assert question.run not in self.called_off, f"{question} was decided although it was called off"

    async def _call_off(self, job: Job) -> None:
        """A person does not want it to be done after all; who has it has not heard of it yet."""
        self.calls_off = False
        now = job.replica.reads_the_clock()
        await job.replica.store.signal(job.run.id, Cancel(now, "ana"))
        self.called_off.add(job.run.id)
        self.seen["called off"] += 1

    def check_approval(self, job: Job, case: Case) -> None:
        """No step of a gated rule is started without enough words on just that, nor one that was called off."""
        if not job.is_gated:
            return
        started = [fact for fact in job.run.facts if isinstance(fact, Started)][-1]
        gate: Any = GATES[job.run.rule]
        self.seen[f"{self.words.judge(job.run, started, gate)} by {gate.get('quorum', 1)}"] += 1
        assert case.begun or job.run.id not in self.called_off, f"{started} was begun although it was called off"
        told = {reason for fact in job.run.facts if isinstance(fact, Asked) for reason in fact.reasons}
        if not case.begun and job.run.rule in self.model.demoted:
            assert Reason.DEMOTED in told, f"{started} was approved by who did not know that its rule is demoted"


def _count_voided(job: Job) -> int:
    return sum(isinstance(fact, Voided) for fact in job.run.facts)
