"""What can happen to replicas that work within limits, as rules that Hypothesis follows in any order."""

from datetime import timedelta

from hypothesis import strategies as st
from hypothesis.stateful import rule

from remediator.model.facts import StepStatus
from tests.contract.asking import GATES
from tests.contract.counted_again import EVERYTHING
from tests.contract.limits_machine import PLACES, SKEWS
from tests.contract.limits_profiles import POOLS, RULES, SCOPES
from tests.contract.limits_with_people import ReplicasAndPeople, Word
from tests.contract.replicas_at_work import KICK, PUSH
from tests.contract.words import NAMES, WAYS

MINUTES = st.sampled_from([0, 0, 0, 1, 2, 5, 9, 11, 31, 59])
SELDOM = st.integers(0, 7).map(lambda number: number == 7)
OFTEN = st.integers(0, 7).map(lambda number: number != 7)
BETWEEN = st.sampled_from([*[None] * 9, "file", EVERYTHING, "pack:web", "rule:db/down"])
PAIRS = (("ana", "ben"), ("ben", "ana"), ("eve", "mallory"), ("ana", "eve"))
SAID = st.tuples(st.sampled_from([*NAMES, "ana", "ben"]), st.sampled_from(WAYS), st.booleans())
YES: list[list[Word]] = [
    [(name, way, True) for name, way in zip(names, (*WAYS, *WAYS), strict=False)] for names in PAIRS
]
ANSWERS = [*YES, *YES[:2], [("ana", "slack", True), ("ana", "token", True)], [("ben", "token", True)]]
FAULTS = st.sampled_from([*[None] * 14, "before", "after"])


class AnyOrder(ReplicasAndPeople):
    """What can happen. Which store it happens on, its subclasses say."""

    @rule(
        minutes=MINUTES,
        of=st.sampled_from(RULES),
        on=PLACES,
        actions=st.sampled_from([(KICK,), (PUSH,), (KICK, PUSH)]),
        who=st.integers(0, 1),
        is_begun=OFTEN,
        approved=OFTEN,
        is_ended=OFTEN,
        how=PLACES,
        way=OFTEN,
        between=BETWEEN,
    )
    def incident(
        self,
        minutes: int,
        of: str,
        on: int,
        actions: tuple[str, ...],
        who: int,
        is_begun: bool,
        approved: bool,
        is_ended: bool,
        how: int,
        way: bool,
        between: str | None,
    ) -> None:
        """An alert comes; often its plan is begun at once, and often it is over at once, too."""
        self.pass_time(minutes)
        job = self.come(of, on, actions, who)
        if way:
            self.make_way(job, how)
        self.agree([job], how)
        if is_begun and job in self.jobs:
            self.try_together([job], [approved], None, None)
        while is_begun and is_ended and job.acting is not None:
            self.go_on(job, how, again=False, fails=False)
            if job.next_step is not None:
                self.stop_by_hand(job.replica, between)
                self.try_together([job], [approved], None, None)
        if is_begun and is_ended and job.is_begun:
            self.see_through(job, how)

    @rule(
        minutes=MINUTES,
        of=st.sampled_from(RULES),
        on=PLACES,
        who=st.integers(0, 1),
        how=PLACES,
        wakes=st.booleans(),
        status=st.sampled_from(StepStatus),
    )
    def lost_incident(
        self, minutes: int, of: str, on: int, who: int, how: int, wakes: bool, status: StepStatus
    ) -> None:
        """Whoever has begun a plan is given up for dead; another one carries on, and the first may wake up then."""
        self.pass_time(minutes)
        job = self.come(of, on, (KICK,), who)
        self.make_way(job, how)
        self.agree([job], how)
        if job in self.jobs:
            self.try_together([job], [True], None, None)
        if job.acting is None:
            return
        self.die(True, who, self.replicas[who].clock.off, [1 - who])
        for one in [one for one in self.jobs if one.run.id == job.run.id]:
            self.see_through(one, how)
        if wakes:
            self.wake_up_late(0, 0, status)

    @rule(
        minutes=MINUTES,
        of=st.sampled_from(list(GATES)),
        on=PLACES,
        who=st.integers(0, 1),
        how=PLACES,
        between=st.sampled_from([None, "file", EVERYTHING, "storm", "storm", "demotion", "illness"]),
        is_first=st.booleans(),
        words=st.sampled_from(ANSWERS),
    )
    def gated_incident(
        self,
        minutes: int,
        of: str,
        on: int,
        who: int,
        how: int,
        between: str | None,
        is_first: bool,
        words: list[Word],
    ) -> None:
        """People are asked; something comes before they have answered or after that, and then it is tried."""
        self.pass_time(minutes)
        job = self.come(of, on, (KICK,), who)
        self.make_way(job, how)
        self.let_through(job, approved=True)
        if is_first:
            self.answer(job, how, words)
        self.come_between(job, on, between)
        if not is_first:
            self.answer(job, how, words)
        if job in self.jobs:
            self.try_together([job], [True], None, None)
        if job.is_begun:
            self.see_through(job, how)

    @rule(
        minutes=MINUTES,
        of=st.sampled_from(RULES),
        ons=st.lists(PLACES, min_size=2, max_size=6),
        who=st.integers(0, 1),
        approved=OFTEN,
        fault=FAULTS,
        pause=st.sampled_from([*[None] * 30, *SCOPES]),
        way=OFTEN,
        how=PLACES,
    )
    def burst(
        self,
        minutes: int,
        of: str,
        ons: list[int],
        who: int,
        approved: bool,
        fault: str | None,
        pause: str | None,
        way: bool,
        how: int,
    ) -> None:
        """Several alerts come at once, and their plans are begun in one commit."""
        self.pass_time(minutes)
        jobs = [self.come(of, on, (KICK,), who if self.has_thread else who + place) for place, on in enumerate(ons)]
        for job in jobs if way else ():
            self.make_way(job, how)
        self.agree(jobs, how)
        jobs = [job for job in jobs if job in self.jobs]
        self.try_together(jobs, [approved] * len(jobs), fault, pause)

    @rule(
        minutes=MINUTES,
        picks=st.lists(PLACES, min_size=1, max_size=5),
        approved=OFTEN,
        fault=FAULTS,
        is_called_off=SELDOM,
    )
    def try_again(self, minutes: int, picks: list[int], approved: bool, fault: str | None, is_called_off: bool) -> None:
        """What waits is tried again; of what was begun the next step is started. Some is called off by then."""
        self.pass_time(minutes)
        ready = [job for job in self.jobs if job.next_step is not None]
        jobs = list(dict.fromkeys(ready[pick % len(ready)] for pick in picks if ready))
        self.calls_off = is_called_off
        self.try_together(jobs, [approved] * len(jobs), fault, None)

    @rule(minutes=MINUTES, pick=PLACES, how=PLACES, again=SELDOM, fails=SELDOM, steps=st.integers(1, 3))
    def carry_on(self, minutes: int, pick: int, how: int, again: bool, fails: bool, steps: int) -> None:
        """A call ends, is proven, or is lost sight of; a run ends, or tries its next remedy."""
        self.pass_time(minutes)
        busy = [job for job in self.jobs if job.is_begun]
        for _ in range(steps):
            if busy and (job := busy[pick % len(busy)]) in self.jobs:
                self.go_on(job, how, again=again, fails=fails)

    @rule(
        does=st.sampled_from([True, False]),
        who=st.integers(0, 1),
        ahead=SKEWS,
        heirs=st.lists(st.integers(0, 1), min_size=4, max_size=4),
    )
    def die(self, does: bool, who: int, ahead: timedelta, heirs: list[int]) -> None:
        """A process is killed, or freezes; it starts again with its clock set, and somebody takes over."""
        self.pass_time(0)
        if not does:
            return
        self.restart(who, ahead)
        for place, job in enumerate(list(self.jobs)):
            if job.replica not in self.replicas:
                if self.may_wake:
                    self.dead.append((job, job.acting))
                heir = self.replicas[heirs[place % len(heirs)]]
                self.jobs[self.jobs.index(job)] = self.do(heir.take(job.run.id))
                self.seen["taken over"] += 1

    def restart(self, who: int, ahead: timedelta) -> None:
        self.replicas[who] = self.born(who, ahead)

    @rule(minutes=MINUTES, pick=PLACES, status=st.sampled_from(StepStatus))
    def wake_up_late(self, minutes: int, pick: int, status: StepStatus) -> None:
        """One that was given up for dead goes on: all that it may do is to tell how its call has ended."""
        self.pass_time(minutes)
        if self.dead:
            self.dead.sort(key=lambda one: one[1] is None)  # those first whose calls go on
            job, started = self.dead.pop(pick % min(len(self.dead), 3))
            self.do(self.be_fenced(job, started, status))

    @rule(
        what=st.sampled_from(["pause", "resume", "clear", "clear", "promote", "calm", "file", "settle", "settle"]),
        pick=PLACES,
        who=st.integers(0, 1),
        lasts=st.sampled_from([None, None, 5, 30]),
        done=st.booleans(),
    )
    def person(self, what: str, pick: int, who: int, lasts: int | None, done: bool) -> None:
        """Somebody pauses, resumes, clears a quarantine, promotes a rule, or says what has become of a step."""
        self.pass_time(0)
        by = self.replicas[who]
        match what:
            case "pause":
                self.do(self.pause(by, SCOPES[pick % len(SCOPES)], lasts))
            case "file":
                self.stop_by_hand(by, what)
            case "settle":
                if self.unsettled:
                    self.do(self.settle(by, *self.unsettled.pop(pick % len(self.unsettled)), done=done))
            case _:
                self.do(self.lift(by, what, pick))

    @rule(
        minutes=MINUTES,
        pick=st.integers(0, 5),
        who=st.integers(0, 1),
        words=st.lists(SAID, min_size=1, max_size=3),
        on=st.booleans(),
    )
    def people_decide(self, minutes: int, pick: int, who: int, words: list[Word], on: bool) -> None:
        """On something that they were asked, whatever has become of it since; then it may be tried at once."""
        self.pass_time(minutes)
        self.decide(pick, who, words)
        if on and self.shown:
            asked = {question.run for question, _ in self.shown[-6:]}
            jobs = [job for job in self.jobs if job.run.id in asked and job.next_step is not None]
            self.try_together(jobs, [True] * len(jobs), None, None)

    @rule(pick=PLACES)
    def fall_ill_or_recover(self, pick: int) -> None:
        """The world goes on without us."""
        members = [name for pool in POOLS.values() for name in pool]
        self.world.sick ^= {members[pick % len(members)]}
