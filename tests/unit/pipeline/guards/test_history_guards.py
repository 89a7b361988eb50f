"""All guards that go by the journal, in whatever order things happen: no limit is exceeded, and nothing stays stuck.

What was allowed is counted again naively, over the whole journal and over everything that was put and lifted. The two
processes share the journal and nothing else; each asks by its own clock.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import combinations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from remediator.model.change import Change, Ended, Ending
from remediator.model.plan import Mode
from remediator.model.stop import Stop, StopKind
from remediator.pipeline.guards import Case
from remediator.pipeline.guards.aftermath import asks, consequences, lapsed
from remediator.pipeline.guards.budgets import Budgets
from remediator.pipeline.guards.cooldown import Cooldown
from remediator.storage.runs import Refusal
from tests.unit.pipeline.guards.journal import (
    DB,
    DOWN,
    HOUR,
    KICK,
    MINUTE,
    PUSH,
    SECOND,
    SLOW,
    T0,
    WEB,
    Journal,
    a_case,
    engine,
)
from tests.unit.pipeline.guards.naive import (
    ALL,
    CACHE,
    DISK,
    GUARDS,
    HELD_FOR_A_TIME,
    MOODS,
    PROFILES,
    REFUSED,
    SCOPES,
    TIGHT,
    Underway,
    assert_within,
    naive_breakers,
)


class Replicas(RuleBasedStateMachine):
    """Two processes whose clocks agree."""

    skews = st.just(timedelta(0))

    def __init__(self) -> None:
        super().__init__()
        self.now = T0
        self.journal = Journal()
        self.engines = (engine(*GUARDS), engine(*GUARDS))
        self.runs: dict[str, Underway] = {}
        self.count = 0
        self.skew = timedelta(0)
        self.limits = TIGHT
        self.mood = MOODS[0]
        self.pauses: list[Stop] = []  # all that were ever put, with the end that they came to have
        self.cleared: dict[tuple[StopKind, str], datetime] = {}
        self.breakers = naive_breakers(TIGHT)

    @initialize(data=st.data(), profile=st.sampled_from(sorted(PROFILES)), mood=st.sampled_from(MOODS))
    def set_the_scene(self, data: st.DataObject, profile: str, mood: tuple[Ending, ...]) -> None:
        self.skew = data.draw(self.skews)
        self.limits, self.mood = PROFILES[profile], mood
        self.breakers = naive_breakers(self.limits)

    def clock(self, process: int) -> datetime:
        return self.now + process * self.skew

    def moment(self) -> None:
        """No two things happen at the same time."""
        self.now += SECOND

    # What happens

    @rule(
        minutes=st.sampled_from([0, 1, 4, 5, 10, 29, 31, 59]),
        name=st.sampled_from([DOWN, SLOW]),
        on=st.sampled_from([(WEB,), (DB,), (CACHE,), (DISK,), (DB, WEB)]),
        actions=st.sampled_from([(KICK,), (PUSH,), (KICK, PUSH)]),
        process=st.integers(0, 1),
        dies=st.integers(0, 3).map(lambda number: number == 3),
        data=st.data(),
    )
    def incident(
        self,
        minutes: int,
        name: str,
        on: tuple[str, ...],
        actions: tuple[str, ...],
        process: int,
        dies: bool,
        data: st.DataObject,
    ) -> None:
        """After a while an alert comes; its plan is begun, if it may be, and often it ends at once."""
        self.now += minutes * MINUTE + SECOND
        if data.draw(st.sampled_from([True, True, False])):
            self.make_way(on, data.draw(st.sampled_from(self.mood)))
        self.count += 1
        run = Underway(f"r{self.count}", name, on, actions, self.clock(process), process)
        self.runs[run.name] = run
        self.begin(run, approved=data.draw(st.sampled_from([True, True, True, False])), dies=dies)
        if run.is_acting and data.draw(st.sampled_from([True, True, True, False])):
            self.finish(run, data.draw(st.sampled_from(self.mood)), dies=dies)

    @rule(data=st.data(), minutes=st.sampled_from([0, 4, 5, 31]), dies=st.booleans())
    def go_on(self, data: st.DataObject, minutes: int, dies: bool) -> None:
        """What waits is tried again; of what was begun the next step is started, or it ends."""
        self.now += minutes * MINUTE + SECOND
        if not self.runs:
            return
        run = data.draw(st.sampled_from(list(self.runs.values())))
        if not run.is_acting:
            self.begin(run, approved=data.draw(st.sampled_from([True, True, True, False])), dies=dies)
        elif data.draw(st.sampled_from([True, True, False])):
            self.finish(run, data.draw(st.sampled_from(self.mood)), dies=dies)
        else:
            self.next_step(run)

    @rule(data=st.data())
    def person(self, data: st.DataObject) -> None:
        """Pauses, resumes, clears a quarantine, resets a breaker, promotes a rule; only what stands can be lifted."""
        self.moment()
        kind = data.draw(st.sampled_from([kind for kind in StopKind if kind is not StopKind.STORM]))
        if kind is StopKind.PAUSE:
            self.pause(data.draw(st.sampled_from(SCOPES)), data.draw(st.sampled_from([0, 3, 0, 45, None])))
            return
        standing = [scope for (its, scope) in self.journal.stops if its is kind]
        if not standing:
            return
        scope = data.draw(st.sampled_from(standing))
        if self.journal.lift_stop(kind, scope, self.now):
            # A clock that was ahead may have dated what the stop was put for later than now.
            self.cleared[kind, scope] = max(self.now, self.journal.stops[kind, scope].at)
            if kind is StopKind.BREAKER:
                self.breakers[scope].reset()

    def next_step(self, run: Underway) -> None:
        """What was begun goes on, whatever the limits, unless it is paused."""
        case = replace(self.case(run), begun=True)
        refusal = self.journal.begin(self.engines[run.process], case)

        assert self.is_paused(run, case.at) is (refusal is not None)

    def begin(self, run: Underway, *, approved: bool, dies: bool) -> None:
        """A process may die before it has put what follows from a refusal."""
        self.moment()
        case = self.case(run, approved=approved)
        before = list(self.journal.changes)
        refusal = self.journal.begin(self.engines[run.process], case)
        if refusal is None:
            self.check(run, case, before)
            run.is_acting = True
            for scope in self.breaker_scopes(run):
                self.breakers[scope].began(run.key, case.at)
        elif refusal.reason in HELD_FOR_A_TIME:
            self.check_hold(case, refusal)
        elif refusal.reason in REFUSED:
            if not dies:
                self.put_what_follows(case)
            self.over(run)

    def finish(self, run: Underway, ending: Ending, *, dies: bool) -> None:
        """A round ends; a process may die before it has put what follows from it."""
        self.moment()
        at = self.clock(run.process)
        self.journal.end(run.name, Ended(run.round, ending, at))
        for scope in self.breaker_scopes(run):
            self.breakers[scope].ended(run.key, ending, at)
        run.is_acting = False
        if not dies:
            self.put_what_follows(self.case(run))
        if ending is Ending.NOT_HEALED:
            run.round += 1
        else:
            self.over(run)

    def make_way(self, targets: tuple[str, ...], ending: Ending) -> None:
        """Whoever holds one of these ends first."""
        for name in {str(self.journal.locks[target]) for target in targets if target in self.journal.locks}:
            if self.runs[name].is_acting:
                self.finish(self.runs[name], ending, dies=False)
            if name in self.runs:
                self.over(self.runs[name])

    def pause(self, scope: str, minutes: int | None) -> None:
        """Pause for a time, or for good; for no time: resume."""
        self.journal.lift_stop(StopKind.PAUSE, scope, self.now)
        ended = [replace(s, until=min(self.now, s.until or self.now)) if s.scope == scope else s for s in self.pauses]
        self.pauses = ended
        if minutes == 0:
            return
        until = self.now + minutes * MINUTE if minutes else None
        stop = Stop(StopKind.PAUSE, scope, "", "anna", self.now, until)
        self.pauses.append(stop)
        self.journal.put_stop(stop)

    # What must be so

    def teardown(self) -> None:
        """When everything has ended and was lifted, and time has passed, each plan is allowed that is approved."""
        for run in list(self.runs.values()):
            if run.is_acting:
                self.journal.end(run.name, Ended(run.round, Ending.INCONCLUSIVE, self.now))
            self.over(run)
        for name in (DOWN, SLOW):  # as the next plan of each would, which is refused
            self.put_what_follows(
                a_case("next", at=self.now, came=self.now, rule=name, limits=self.limits, targets=ALL)
            )
        for stop in list(self.journal.stops.values()):
            if stop.kind is not StopKind.BREAKER:
                self.journal.lift_stop(stop.kind, stop.scope, self.now + MINUTE)
        self.now += 7 * HOUR
        for number, name in enumerate((DOWN, SLOW)):
            last = Underway(f"last{number}", name, ((WEB,), (DB,))[number], ((KICK,), (PUSH,))[number], self.now, 0)

            assert self.journal.begin(self.engines[0], self.case(last, approved=True)) is None

    def check(self, run: Underway, case: Case, before: list[Change]) -> None:
        """A start was allowed: every limit, counted again."""
        at = case.at
        assert not self.is_paused(run, at)
        assert not any(change.target in run.targets and change.ending is None for change in before)
        counted = [change for change in before if change.counts and change.ending is not Ending.NOT_BEGUN]
        for target in run.targets:
            own = [change.at for change in counted if change.target == target and change.rule == run.rule]
            assert_within([*own, at], self.limits.per_target)
            past = [change for change in counted if change.target == target]
            assert all((c.ended_at or c.at) + self.limits.cooldown <= at for c in past if c.run != run.name)
            self.check_target(target, past, run)
        assert_within([*(c.at for c in counted if c.rule == run.rule), *[at] * len(run.targets)], self.limits.per_rule)
        assert_within([*(change.at for change in counted), *[at] * len(run.targets)], self.limits.overall)
        demotion = self.journal.stops.get((StopKind.DEMOTION, f"rule:{run.rule}"))
        assert case.approved or demotion is None or demotion.is_over(at)
        assert case.approved or not self.has_failed(run)
        self.check_breakers(run, at)

    def has_failed(self, run: Underway) -> bool:
        """Whether the last that is known of its rule is that it failed, since a person has promoted it."""
        promoted = self.cleared.get((StopKind.DEMOTION, f"rule:{run.rule}"), T0 - HOUR)
        told = [c for c in self.journal.changes if c.rule == run.rule and c.ended_at and c.ended_at > promoted]
        last = max(told, key=lambda change: change.ended_at or T0, default=None)
        at_once = self.limits.gated_after_failures == 1
        return at_once and last is not None and last.ending in (Ending.FAILED, Ending.UNKNOWN)

    def check_target(self, target: str, past: list[Change], run: Underway) -> None:
        scope = f"target:{target}"
        cleared = self.cleared.get((StopKind.QUARANTINE, scope), T0 - HOUR)
        bad = sorted(c.at for c in past if c.ending and c.ending.is_bad and c.ended_at and c.ended_at > cleared)
        most = self.limits.attempts.count
        if most <= 3:
            assert all(few[-1] - few[0] >= self.limits.attempts.window for few in combinations(bad, most))
        came = {c.run: c.alert_at for c in past} | {run.name: run.came}
        lifted = self.cleared.get((StopKind.FLAPPING, scope), T0 - HOUR)
        returned = {
            name
            for name, when in came.items()
            for c in past
            if c.ending is Ending.HEALED and c.run != name and c.ended_at
            if timedelta(0) <= when - c.ended_at <= self.limits.flapping_within
            if when > max(lifted, run.came - self.limits.flapping.window)
        }
        assert run.name not in returned or len(returned) < self.limits.flapping.count

    def check_breakers(self, run: Underway, at: datetime) -> None:
        assert all(self.breakers[scope].allows(at) for scope in self.breaker_scopes(run))

    def check_hold(self, case: Case, refusal: Refusal) -> None:
        """It is held until the very moment at which it would not be held for this any more."""
        assert refusal.until is not None
        for at, expected in ((refusal.until - timedelta(microseconds=1), True), (refusal.until, False)):
            asked = engine(Budgets(), Cooldown()).reserve(replace(case, at=at))
            again = asked.judge(self.journal.known(asked.questions))
            is_held_still = again is not None and again.reason is refusal.reason and again.detail == refusal.detail
            assert expected is is_held_still, (at, again)

    # Helpers

    def case(self, run: Underway, *, approved: bool = False) -> Case:
        return a_case(
            run.name,
            at=self.clock(run.process),
            came=run.came,
            rule=run.rule,
            targets=run.targets,
            actions=run.actions,
            mode=Mode.AUTO,
            limits=self.limits,
            round_=run.round,
            approved=approved,
        )

    def put_what_follows(self, case: Case) -> None:
        """As the flow does it: stops that stand stay as they are."""
        known = self.journal.known(asks(case))
        for stop in consequences(case, known):
            standing = self.journal.stops.get((stop.kind, stop.scope))
            if standing is None or standing.is_over(case.at):
                self.journal.put_stop(stop)
        for stop in lapsed(case, known):
            assert stop.until is not None
            self.journal.lift_stop(stop.kind, stop.scope, stop.until)

    def over(self, run: Underway) -> None:
        self.journal.release(run.name)
        del self.runs[run.name]

    def breaker_scopes(self, run: Underway) -> Iterable[str]:
        return (f"rule:{run.rule}", *(f"action:{action}" for action in run.actions))

    def is_paused(self, run: Underway, at: datetime) -> bool:
        return any(s.scope in run.scopes and (s.until is None or s.until > at) for s in self.pauses)


class ReplicasWithOtherClocks(Replicas):
    """The clock of one of them is wrong: the journal's times are not in the order in which things happen."""

    skews = st.sampled_from([-5 * MINUTE, -20 * SECOND, 20 * SECOND, 5 * MINUTE])

    def check_breakers(self, run: Underway, at: datetime) -> None:
        """What comes first is a matter of clocks here; that there is a limit at all shows the budget."""


TestReplicas = Replicas.TestCase
TestReplicas.settings = settings(max_examples=250, stateful_step_count=60, deadline=None)
TestReplicasWithOtherClocks = ReplicasWithOtherClocks.TestCase
TestReplicasWithOtherClocks.settings = settings(max_examples=80, stateful_step_count=60, deadline=None)
