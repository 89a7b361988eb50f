"""All guards that go by the journal, in whatever order things happen: no limit is exceeded, and nothing stays stuck.

What was allowed is counted again naively, over the whole journal and over everything that was put and lifted. The two
processes share the journal and nothing else; each asks by its own clock.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import combinations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from remediator.model.budget import Budget, Share
from remediator.model.change import Change, Ended, Ending
from remediator.model.limits import Limits
from remediator.model.outcome import Reason
from remediator.model.plan import Mode
from remediator.model.stop import EVERYTHING, Stop, StopKind
from remediator.pipeline.guards import Case, Guard
from remediator.pipeline.guards.aftermath import asks, consequences, lapsed
from remediator.pipeline.guards.attempts import Attempts
from remediator.pipeline.guards.breaking import Breaking
from remediator.pipeline.guards.budgets import Budgets
from remediator.pipeline.guards.cooldown import Cooldown
from remediator.pipeline.guards.demotion import Demotion
from remediator.pipeline.guards.flapping import Flapping
from remediator.pipeline.guards.pauses import Pauses
from remediator.pipeline.guards.targets import Targets
from remediator.storage.store import Refusal
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
    UNLIMITED,
    WEB,
    Journal,
    a_case,
    engine,
)

GUARDS: tuple[Guard, ...] = (
    Targets(),
    Pauses(),
    Attempts(),
    Flapping(),
    Breaking(),
    Budgets(),
    Cooldown(),
    Demotion(),
)
TIGHT = Limits(
    per_target=(Budget(4, HOUR),),
    per_rule=(Budget(6, HOUR), Budget(14, 6 * HOUR)),
    overall=(Budget(9, HOUR), Budget(20, 6 * HOUR)),
    cooldown=5 * MINUTE,
    attempts=Budget(3, HOUR),
    flapping=Budget(2, HOUR),
    flapping_within=5 * MINUTE,
    max_targets=Share(count=2),
    failures_in_row=3,
    failures_of_ten=4,
    trial_after=30 * MINUTE,
)
LOOSE = Limits(
    per_target=(),
    per_rule=(),
    overall=(),
    cooldown=timedelta(0),
    attempts=Budget(99, HOUR),
    flapping=Budget(99, HOUR),
    max_targets=Share(count=2),
    failures_in_row=99,
    failures_of_ten=99,
    trial_after=30 * MINUTE,
)
PROFILES = {
    "all": TIGHT,
    "budgets": replace(
        LOOSE,
        per_target=(Budget(2, HOUR),),
        per_rule=(Budget(3, HOUR), Budget(7, 6 * HOUR)),
        overall=(Budget(4, HOUR), Budget(9, 6 * HOUR)),
    ),
    "cooldown": replace(LOOSE, cooldown=5 * MINUTE),
    "attempts": replace(LOOSE, attempts=Budget(3, HOUR)),
    "flapping": replace(LOOSE, flapping=Budget(2, HOUR)),
    "breakers": replace(LOOSE, failures_in_row=3, failures_of_ten=4),
}
"""Each limit by itself too: with all of them at once the first hides the others."""
MOODS: tuple[tuple[Ending, ...], ...] = (
    (Ending.HEALED,),
    (Ending.NOT_HEALED, Ending.FAILED),
    (Ending.UNKNOWN, Ending.FAILED, Ending.HEALED),
    tuple(ending for ending in Ending if ending is not Ending.DONE),
)
HELD_FOR_A_TIME = (Reason.BUDGET_USED, Reason.COOLING_DOWN)
CACHE, DISK = "thing:cache", "thing:disk"
ALL = (CACHE, DB, DISK, WEB)
REFUSED = (Reason.QUARANTINED, Reason.FLAPPING, Reason.BREAKER_OPEN)
SCOPES = (EVERYTHING, "pack:web", f"rule:{DOWN}", f"target:{WEB}", f"action:{PUSH}")


@dataclass
class Underway:
    """A run as the flow has it."""

    name: str
    rule: str
    targets: tuple[str, ...]
    actions: tuple[str, ...]
    came: datetime
    process: int
    round: int = 1
    is_acting: bool = False

    @property
    def key(self) -> tuple[str, int]:
        return self.name, self.round

    @property
    def scopes(self) -> set[str]:
        named = {f"target:{t}" for t in self.targets} | {f"action:{a}" for a in self.actions}
        return {EVERYTHING, "pack:web", f"rule:{self.rule}"} | named


@dataclass
class NaiveBreaker:
    """A breaker that is told everything as it happens, and remembers it."""

    limits: Limits
    is_bad: Callable[[Ending], bool]
    is_good: Callable[[Ending], bool]
    results: list[bool] = field(default_factory=list)
    opened: datetime | None = None
    trials: dict[tuple[str, int], datetime] = field(default_factory=dict)

    def allows(self, at: datetime) -> bool:
        if self.opened is None:
            return True
        pause = self.limits.trial_after
        return at >= self.opened + pause and all(at >= began + pause for began in self.trials.values())

    def began(self, key: tuple[str, int], at: datetime) -> None:
        if self.opened is not None:
            self.trials[key] = at

    def ended(self, key: tuple[str, int], ending: Ending, at: datetime) -> None:
        if ending is Ending.NOT_BEGUN:  # nothing was tried
            self.trials.pop(key, None)
            return
        is_bad, is_good = self.is_bad(ending), self.is_good(ending)
        if self.opened is None:
            self.results += [is_good] if is_bad or is_good else []
            row = self.limits.failures_in_row
            is_row = self.results[-row:] == [False] * row
            if is_bad and (is_row or self.results[-10:].count(False) >= self.limits.failures_of_ten):
                self.opened = at
        elif key in self.trials and is_good:
            self.reset()
        elif key in self.trials or is_bad:
            self.opened, self.trials = at, {}

    def reset(self) -> None:
        self.results, self.opened, self.trials = [], None, {}


def naive_breakers(limits: Limits) -> dict[str, NaiveBreaker]:
    def failed(ending: Ending) -> bool:
        return ending in (Ending.FAILED, Ending.UNKNOWN)

    of_rules = {
        f"rule:{name}": NaiveBreaker(
            limits, lambda ending: failed(ending) or ending is Ending.NOT_HEALED, lambda ending: ending is Ending.HEALED
        )
        for name in (DOWN, SLOW)
    }
    of_actions = {
        f"action:{name}": NaiveBreaker(limits, failed, lambda ending: not failed(ending)) for name in (KICK, PUSH)
    }
    return of_rules | of_actions


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


def assert_within(times: list[datetime], budgets: tuple[Budget, ...]) -> None:
    """No window of a budget holds more than its count."""
    for budget in budgets:
        for first in times:
            assert sum(first <= at < first + budget.window for at in times) <= budget.count


TestReplicas = Replicas.TestCase
TestReplicas.settings = settings(max_examples=250, stateful_step_count=60, deadline=None)
TestReplicasWithOtherClocks = ReplicasWithOtherClocks.TestCase
TestReplicasWithOtherClocks.settings = settings(max_examples=80, stateful_step_count=60, deadline=None)


def nothing(_journal: Journal) -> None:
    """The case itself is enough."""


def paused(journal: Journal) -> None:
    journal.put_stop(Stop(StopKind.PAUSE, EVERYTHING, "", "anna", T0))


def tried_in_vain(journal: Journal) -> None:
    for number in range(3):
        journal.happened(f"v{number}", Ending.NOT_HEALED, T0 - (40 - number) * MINUTE, rule=SLOW, action=PUSH)


def come_back(journal: Journal) -> None:
    for number in range(3):
        at = T0 - (10 - 2 * number) * MINUTE
        journal.happened(f"b{number}", Ending.HEALED, at, rule=SLOW)


def failed_elsewhere(journal: Journal) -> None:
    for number in range(3):
        journal.happened(f"f{number}", Ending.FAILED, T0 - 9 * MINUTE, targets=(f"thing:{number}",))


def used_up(journal: Journal) -> None:
    for number in range(3):
        journal.happened(f"u{number}", Ending.INCONCLUSIVE, T0 - (50 - number) * MINUTE)


def just_changed(journal: Journal) -> None:
    journal.happened("c0", Ending.INCONCLUSIVE, T0 - 2 * MINUTE)


def demoted(journal: Journal) -> None:
    journal.put_stop(Stop(StopKind.DEMOTION, f"rule:{DOWN}", "", "remediator", T0))


ALONE: list[tuple[type[Guard], Reason, Callable[[Journal], None], Case]] = [
    (Targets, Reason.TOO_MANY_TARGETS, nothing, a_case("me", targets=(DB, WEB))),
    (Pauses, Reason.PAUSED, paused, a_case("me")),
    (Attempts, Reason.QUARANTINED, tried_in_vain, a_case("me")),
    (Flapping, Reason.FLAPPING, come_back, a_case("me", limits=replace(UNLIMITED, flapping=Budget(2, HOUR)))),
    (Breaking, Reason.BREAKER_OPEN, failed_elsewhere, a_case("me", mode=Mode.GATED, approved=True)),
    (Budgets, Reason.BUDGET_USED, used_up, a_case("me")),
    (Cooldown, Reason.COOLING_DOWN, just_changed, a_case("me")),
    (Demotion, Reason.DEMOTED, demoted, a_case("me")),
]


@pytest.mark.parametrize(("guard", "reason", "story", "case"), ALONE, ids=[one[0].__name__ for one in ALONE])
def test_without_one_guard_what_it_refuses_would_be_begun(
    guard: type[Guard], reason: Reason, story: Callable[[Journal], None], case: Case
) -> None:
    """None of them is there twice: whoever takes one out of the list sees a test fail."""
    journal = Journal()
    story(journal)
    refusal = journal.begin(engine(*GUARDS), case)
    without = journal.begin(engine(*(one for one in GUARDS if type(one) is not guard)), case)

    assert refusal is not None
    assert reason is refusal.reason
    assert without is None
