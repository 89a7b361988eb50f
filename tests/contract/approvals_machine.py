"""Whatever happens to a question while it waits, done to replicas on a store, and told to who judges each effect.

The judge goes by the words that the machine itself has heard to be taken, and by the world as the machine has made it;
of what is stored it only reads what was asked, and until when.
"""

import asyncio
import shutil
import tempfile
from collections import Counter
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from remediator.errors import Fenced
from remediator.model.alert import Alert, AlertStatus, Delivery, fingerprint_of
from remediator.model.facts import Asked, Planned, Started, Voided
from remediator.model.ids import RunId
from remediator.model.plan import Mode
from remediator.model.run import Cancel, Run
from remediator.model.stage import Over, stage_of
from remediator.model.stop import Stop, StopKind
from remediator.pipeline.approvals import Answer
from remediator.pipeline.escalation.levels import NO_LEVELS
from remediator.rules.loading import load_book
from remediator.settings import Settings
from remediator.storage.store import Store
from remediator.testing.clock import VirtualClock
from tests.contract.words import NAMES, SETTINGS, WAYS, AtOnce, Question, Words
from tests.unit.pipeline import harness
from tests.unit.pipeline.harness import MINUTE, SECOND, Process, wide
from tests.unit.pipeline.world import World, actions_of

T = TypeVar("T")
PICK = st.integers(0, 999)
_PLACES = (0, 1)


class Questions(RuleBasedStateMachine):
    """Two replicas, people who decide by several ways, and what may come between."""

    gate: dict[str, Any]
    seen: Counter[str]

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = Path(tempfile.mkdtemp(prefix="approvals-"))
        self.clock = VirtualClock()
        self.world = World()
        self.world.on_act = self.acted
        self.stores: list[Store] = []
        self.replicas: list[Process] = []
        self.words = Words()
        self.shown: list[Question] = []
        self.is_paused = self.is_over = False
        self.version = 0
        self.alerts = 0
        self.run: RunId | None = None
        self.doing: list[Run] = []
        self.wrong: list[str] = []

    async def open_stores(self) -> list[Store]:
        """A store for each of two replicas; the same one where there is one process."""
        raise NotImplementedError

    def do(self, what: Awaitable[T]) -> T:
        async def it() -> T:
            return await what

        return self.loop.run_until_complete(it())

    @initialize()
    def open(self) -> None:
        (self.folder / "rules").mkdir()
        self.write_rule()
        self.stores = self.do(self.open_stores())
        self.replicas = [self.do(self.born(place)) for place in _PLACES]
        self.alert_comes(0)

    def write_rule(self) -> None:
        name = "{{ labels.service }}"
        quick = {"settle": "1s", "sustain": "1s", "within": "5s", "every": "1s"}
        checks = [{"test.check": {"name": name}, "expect": "not result.sick"}]
        one = harness.rule(
            summary=f"it is sick {self.version}",
            remediate=[{"name": "cure", "do": [{"test.act": {"name": name}}], "gate": self.gate}],
            verify={**quick, "checks": checks},
        )
        (self.folder / "rules" / "p.yaml").write_text(yaml.safe_dump({"pack": "p", "vars": {}, "rules": [one]}))

    async def born(self, place: int) -> Process:
        process = Process(
            self.stores[place],
            self.world,
            self.clock,
            self.folder / "rules",
            ceiling=Mode.AUTO,
            runs_at_once=10,
            runs_at_once_per_rule=None,
            changes_at_once=None,
            limits=wide(),
            probes=(),
            levels=NO_LEVELS,
            alertmanager=None,
            settings=Settings.model_validate(SETTINGS),
        )
        await process.rulebook.remember()
        return process

    def teardown(self) -> None:
        self.do(self.close_stores())
        self.loop.close()
        shutil.rmtree(self.folder)

    async def close_stores(self) -> None:
        for store in dict.fromkeys(self.stores):
            await store.close()

    # -- what happens --

    @rule(who=PICK)
    def alert_fires(self, who: int) -> None:
        """Another problem, once the one before is over."""
        if self.is_over:
            self.alert_comes(who)

    def alert_comes(self, who: int) -> None:
        self.alerts += 1
        self.is_over, self.world.sick = False, True
        self.do(self.deliver(self.replicas[who % 2], AlertStatus.FIRING))
        self.do(self.carry(who))

    async def deliver(self, by: Process, status: AlertStatus) -> None:
        labels, now = {"alertname": "Sick", "service": "web", "n": str(self.alerts)}, self.clock.now()
        ends = now if status is AlertStatus.RESOLVED else None
        one = Alert(fingerprint_of(labels), status, labels, {}, now, ends_at=ends)
        await by.intake.accept(Delivery((one,), received_at=now))
        if status is AlertStatus.FIRING:
            self.run = (await by.store.list_runs(limit=1))[0].id

    @rule(who=PICK, minutes=st.integers(0, 9))
    def somebody_goes_on(self, who: int, minutes: int) -> None:
        self.do(self.clock.advance(minutes * MINUTE + SECOND))
        self.do(self.carry(who))

    @rule(who=PICK)
    def both_go_on_at_once(self, who: int) -> None:
        """One of them had been frozen, and does not know that the other has taken over."""

        async def both() -> None:
            await asyncio.gather(self.carry(who), self.carry(who + 1))

        self.do(both())

    @rule(who=PICK, after=st.integers(1, 60))
    def somebody_is_killed(self, who: int, after: int) -> None:
        """In the middle of whatever it does; another process comes in its place."""

        async def killed() -> None:
            task = asyncio.ensure_future(self.carry(who))
            for _ in range(after):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await self.replicas[who % 2].kill()
            self.replicas[who % 2] = await self.born(who % 2)

        self.do(killed())

    @rule(who=PICK, name=st.sampled_from(NAMES), way=st.sampled_from(WAYS), approved=st.booleans(), old=PICK)
    def somebody_decides(self, who: int, name: str, way: str, approved: bool, old: int) -> None:
        """On what is shown now, mostly; sometimes on a card of before."""
        self.do(self.vote(who, name, way, approved=approved or old % 3 > 0, pick=0 if old % 4 else old))

    @rule(who=PICK, way=st.sampled_from(WAYS), on=st.booleans())
    def all_who_may_approve(self, who: int, way: str, on: bool) -> None:
        """So that something is approved now and then."""
        for name in ("ana", "ben"):
            self.do(self.vote(who, name, way, approved=True, pick=0))
        if on:
            self.do(self.carry(who))

    @rule(who=PICK)
    def one_decides_twice(self, who: int) -> None:
        """By two ways, and on two replicas."""
        for place, way in enumerate(WAYS):
            self.do(self.vote(who + place, "ana", way, approved=True, pick=0))

    @rule(who=PICK)
    def nobody_decides(self, who: int) -> None:
        """Until the time is over."""
        for _ in range(3):
            self.do(self.clock.advance(8 * MINUTE))
            self.do(self.carry(who))

    @rule(who=PICK)
    def two_decide_at_once(self, who: int) -> None:
        """By two replicas; one says yes, the other one no."""

        async def both() -> None:
            yes = self.vote(who, "ana", "slack", approved=True, pick=0)
            await asyncio.gather(yes, self.vote(who + 1, "ben", "token", approved=False, pick=0))

        self.do(both())

    @rule(who=PICK)
    def it_resolves(self, who: int) -> None:
        if self.run is not None and not self.is_over and who % 5 == 0:
            self.is_over = True
            self.do(self.deliver(self.replicas[who % 2], AlertStatus.RESOLVED))

    @rule(who=PICK)
    def somebody_cancels(self, who: int) -> None:
        if self.run is not None and not self.is_over and who % 5 == 0:
            self.is_over = True
            self.do(self.stores[who % 2].signal(self.run, Cancel(self.clock.now(), "ana")))

    @rule(who=PICK)
    def pause_or_resume(self, who: int) -> None:
        if not self.is_paused and who % 5:
            return  # else nothing would go on in most stories
        self.toggle_pause(who)

    def toggle_pause(self, who: int) -> None:
        by = self.replicas[who % 2].stops
        if self.is_paused:
            self.do(by.lift(StopKind.PAUSE, "everything", "ben"))
        else:
            self.do(by.put([Stop(StopKind.PAUSE, "everything", "", "ben", self.clock.now())]))
        self.is_paused = not self.is_paused

    @rule(who=PICK)
    def all_is_paused_for_a_while(self, who: int) -> None:
        """Long enough for the run to see it."""
        if not self.is_paused:
            self.toggle_pause(who)
            self.do(self.carry(who))
            self.toggle_pause(who + 1)
            self.do(self.carry(who + 1))

    @rule(who=PICK)
    def the_rule_changes(self, who: int) -> None:
        if who % 3:
            return
        if who % 4 == 0:  # nobody has read yet that somebody has denied it
            self.do(self.vote(who, "ben", "slack", approved=False, pick=0))
        self.version += 1
        self.write_rule()
        for replica in self.replicas:
            self.do(replica.rulebook.replace(load_book([self.folder / "rules"], actions_of(self.world))))

    @rule(who=PICK)
    def somebody_deploys(self, who: int) -> None:
        if who % 3 == 0:
            self.world.incarnation = f"id-{self.world.incarnation.removeprefix('id-')}1"[:40]

    @rule(minutes=st.sampled_from([-20, -3, 3, 20]))
    def the_clock_is_set(self, minutes: int) -> None:
        self.clock.jump(minutes * MINUTE)

    # -- how it is done --

    async def carry(self, who: int) -> None:
        """Have a replica go on with the run; time passes as long as it waits for the proof."""
        replica = self.replicas[who % 2]
        if self.run is None:
            return
        for post in await replica.store.waiting_posts(1000):  # chat takes all that waits
            await replica.store.note_sent(post.seq, post.version, f"ref-{post.seq}")
        run = await replica.store.take(self.run, replica.owner)
        if run is None:
            return
        task = asyncio.ensure_future(replica.flow.carry_on(run, AtOnce(self.clock)))
        try:
            while not task.done():
                await asyncio.wait({task}, timeout=0.001)
                if not task.done() and self.clock.next_in() is not None:
                    await self.clock.advance(SECOND)
            await task
        except Fenced:
            self.seen["fenced"] += 1
        finally:
            task.cancel()
        await self.look(replica)

    async def look(self, replica: Process) -> None:
        """What people are shown now, and whether all is over."""
        assert self.run is not None
        run = await replica.store.read_run(self.run)
        assert run is not None
        await self.judge(run)
        self.is_over = self.is_over or isinstance(stage_of(run), Over)
        asked = {fact.key: fact.until for fact in run.facts if isinstance(fact, Asked)}
        for fact in run.facts:
            if isinstance(fact, Voided):
                self.seen["voided"] += 1
            if isinstance(fact, Planned) and fact.key in asked:
                question = Question(run.id, fact, asked[fact.key])
                if question not in self.shown:
                    self.shown.append(question)

    async def vote(self, who: int, name: str, way: str, *, approved: bool, pick: int) -> None:
        if not self.shown:
            return
        question = self.shown[-1 - pick % len(self.shown)]
        verdict = await self.words.say(self.replicas[who % 2], question, name, way, approved=approved)
        self.seen[verdict.answer.value] += 1
        if verdict.answer is Answer.TAKEN:
            assert not (approved and self.is_paused), "approved while all was paused"

    # -- what must hold --

    def acted(self, _name: str) -> None:
        """At the very moment of an effect: nothing that people have stopped, or that is over, is acted on."""
        self.seen["effect"] += 1
        self.world.sick = False
        if self.is_paused:
            self.wrong.append("acted while all was paused")
        if self.is_over:
            self.wrong.append("acted though it was over")

    async def judge(self, run: Run) -> None:
        """Each step that was started had its question, asked about just that, and enough people for it."""
        assert not self.wrong, self.wrong
        begun = [fact for fact in run.facts if isinstance(fact, Started)]
        assert len({fact.round for fact in begun}) == len(begun), "one step was started twice"
        assert len(self.world.effects) <= self.alerts, "more was done than there were problems"
        for started in begun:
            self.seen[self.words.judge(run, started, self.gate)] += 1
