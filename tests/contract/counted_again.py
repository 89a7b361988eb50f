"""What was begun, ended, paused and lifted, in plain lists, and every limit counted over them again.

The machine in `limits_machine.py` tells it whatever has become true. Nothing here asks the product's guards or its
store: where both agree on something, it was worked out twice.

Two kinds of time are kept apart. `real` is the time that passes. `wall` is what the clock of the replica said that did
something; clocks differ, and jump from one process to the next. What is promised is promised by wall times, since
nothing else is stored. What follows from that for the real time is said in `check_real_time`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import combinations

from remediator.model.budget import Budget
from remediator.model.change import Ending
from remediator.model.limits import Limits

EVERYTHING = "everything"
BAD = (Ending.NOT_HEALED, Ending.FAILED, Ending.UNKNOWN)
SLACK = timedelta(seconds=10)
"""By how much clocks may differ without a call that nobody sees any more outlasting its lock: the margin of locks."""


@dataclass(eq=False)
class Plan:
    """A plan that was begun: its first step is on record."""

    run: str
    round: int
    rule: str
    targets: tuple[str, ...]
    real: datetime
    wall: datetime
    steps: int = 1
    """How many of its starts may have done something."""
    ending: Ending | None = None
    known: datetime | None = None
    """The wall time of the ending."""

    @property
    def over(self) -> datetime:
        return self.known or self.wall

    @property
    def ahead(self) -> timedelta:
        return self.wall - self.real


@dataclass(eq=False)
class Call:
    """A step that acts on a target, out in the world."""

    run: str
    target: str
    until: datetime
    """By when it has surely ended, in real time."""
    may_outlast: bool = False
    """Whether its run has ended without it: only the clock keeps others away."""


@dataclass(frozen=True)
class Step:
    """A step that was started."""

    run: str
    round: int
    rule: str
    actions: tuple[str, ...]
    targets: tuple[str, ...]
    pools: tuple[str, ...]
    on: str
    """The target that this step acts on; the others belong to other steps of its plan."""
    real: datetime
    wall: datetime
    approved: bool
    is_first: bool
    is_called: bool
    """False where nobody heard that it was recorded, so that nothing was done."""

    @property
    def scopes(self) -> set[str]:
        return scopes_of(self.rule, self.targets, self.actions)


@dataclass
class CountedAgain:
    """Everything that has happened."""

    limits: Limits
    pools: dict[str, tuple[str, ...]]
    least: dict[int, int]
    """How many have to stay healthy of a pool of so many, besides what a plan acts on."""
    plans: list[Plan] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    sick: set[str] = field(default_factory=set)
    locks: dict[str, tuple[str, datetime | None]] = field(default_factory=dict)
    pauses: dict[str, datetime | None] = field(default_factory=dict)
    is_file_there: bool = False
    cleared: dict[str, datetime] = field(default_factory=dict)
    quarantined: set[str] = field(default_factory=set)
    demoted: set[str] = field(default_factory=set)
    promoted: dict[str, datetime] = field(default_factory=dict)
    opened: dict[str, list[datetime]] = field(default_factory=dict)
    """When runs of each rule began, in wall time."""
    storms: dict[str, datetime] = field(default_factory=dict)
    """The end of the last storm of each rule that people were told of; it may be to come."""
    spread: timedelta = timedelta(0)
    """By how much clocks have differed so far, those of earlier processes included."""

    def started(self, step: Step) -> None:
        """A step was started: was it allowed to be?"""
        self._check_stops(step)
        self._check_locks(step)
        if step.is_called:
            self._check_floor(step)
            self._check_calls(step)
            self.calls.append(Call(step.run, step.on, step.real + timedelta(seconds=70)))
        self.locks |= dict.fromkeys(step.targets + step.pools, (step.run, None))
        if step.is_first:
            self._check_storm(step)
            self._check_history(step)
            self.plans.append(Plan(step.run, step.round, step.rule, step.targets, step.real, step.wall))
            self._check_budgets(step)
        elif (plan := self.plan(step.run, step.round)) is not None:
            plan.steps += 1

    def not_begun(self, run: str, round_: int, *, frees: bool) -> None:
        """The last step of a run that was started has done nothing; a plan of which that is so is none."""
        self.call_over(run)
        if frees:
            self.run_over(run, None)
        if (plan := self.plan(run, round_)) is not None:
            plan.steps -= 1
            if not plan.steps:
                self.plans.remove(plan)

    # Checks of one start

    def _check_stops(self, step: Step) -> None:
        pauses = self.pauses_of(step.scopes, step.wall)
        assert not pauses, f"{step} was started in spite of a pause of {pauses}"

    def pauses_of(self, scopes: set[str], wall: datetime) -> set[str]:
        """Which pauses stand in the way of what is in these scopes."""
        standing = {scope for scope, until in self.pauses.items() if until is None or until > wall}
        return standing & scopes | ({"the file"} if self.is_file_there else set())

    def _check_locks(self, step: Step) -> None:
        for name in step.targets + step.pools:
            holder, until = self.locks.get(name, (step.run, None))
            is_held = holder != step.run and (until is None or until > step.wall)
            assert not is_held, f"{step} was started although {holder} holds {name} until {until}"

    def _check_calls(self, step: Step) -> None:
        """Out in the world there is one call on a target, as long as clocks agree as they should."""
        others = [call for call in self.under_way(step.real) if call.run != step.run and call.target == step.on]
        assert not others, f"{step} acts while {others[0].run} acts on {step.on}"

    def _check_floor(self, step: Step) -> None:
        for members in self.pools.values():
            if step.on not in members or step.on in self.sick:
                continue
            changing = {call.target for call in self.under_way(step.real) if call.run != step.run}
            left = [name for name in members if name != step.on and name not in self.sick | changing]
            if len(members) == 1:
                assert step.approved or not step.is_first, f"{step} takes the only one of its pool, and nobody agreed"
            else:
                assert len(left) >= self.least[len(members)], f"{step} leaves {left} of {members}"

    def _check_history(self, step: Step) -> None:
        assert step.approved or step.rule not in self.demoted, f"{step} was begun by a demoted rule, by itself"
        for target in step.targets:
            for plan in self.plans:
                if target in plan.targets and plan.run != step.run:
                    free = plan.over + self.limits.cooldown
                    assert free <= step.wall, f"{step} was begun while {target} cools down until {free} after {plan}"
            assert target not in self.quarantined, f"{step} was begun in spite of the quarantine of {target}"
            assert not self.is_hopeless(target), f"{step} was begun although nothing has helped {target}"

    def _check_storm(self, step: Step) -> None:
        """As long as a storm is quiet before it is over alerts count for it, so none can end unseen."""
        if not self.limits.storm_quiet:
            return
        ended = self.storms.get(step.rule)
        assert ended is None or ended <= step.wall, f"{step} was begun in a storm that lasts until {ended}"
        since = max([step.wall - self.limits.storm.window, *([ended] if ended else [])])
        count = sum(at > since for at in self.opened[step.rule])
        assert count < self.limits.storm.count, f"{step} was begun though {count} alerts of its rule have come"

    def _check_budgets(self, step: Step) -> None:
        """The plan is among them by now. In whatever order wall times are, the one that was entered last saw all."""
        limits = self.limits
        of_rule = [plan for plan in self.plans if plan.rule == step.rule]
        for target in step.targets:
            assert_within([plan.wall for plan in of_rule if target in plan.targets], limits.per_target, step)
        assert_within([plan.wall for plan in of_rule for _ in plan.targets], limits.per_rule, step)
        assert_within([plan.wall for plan in self.plans for _ in plan.targets], limits.overall, step)

    # What follows

    def under_way(self, real: datetime) -> list[Call]:
        """The calls that act now. Those that only a clock keeps apart from others count while clocks agree."""
        agree = self.spread < SLACK
        return [call for call in self.calls if real < call.until and (agree or not call.may_outlast)]

    def is_hopeless(self, target: str) -> bool:
        """Whether as many plans as the limit did not help it within the time, since somebody looked at it last."""
        cleared = self.cleared.get(target)
        bad = [
            plan.wall
            for plan in self.plans
            if target in plan.targets and plan.ending in BAD and (cleared is None or plan.over > cleared)
        ]
        count, window = self.limits.attempts.count, self.limits.attempts.window
        return count < 10 and any(max(few) - min(few) < window for few in combinations(bad, count))

    def plan(self, run: str, round_: int) -> Plan | None:
        return next((plan for plan in self.plans if (plan.run, plan.round) == (run, round_)), None)

    def ended(self, run: str, round_: int, ending: Ending, wall: datetime) -> None:
        """What came of a plan is on record."""
        if (plan := self.plan(run, round_)) is not None:
            plan.ending, plan.known = ending, wall

    def settled(self, run: str, round_: int, ending: Ending, wall: datetime) -> None:
        """It became known what had become of a plan, if nobody knew."""
        if (plan := self.plan(run, round_)) is not None and plan.ending is Ending.UNKNOWN:
            plan.ending, plan.known = ending, wall

    def learned(self, run: str, round_: int, wall: datetime) -> None:
        """What follows from a plan's ending stands by now."""
        plan = self.plan(run, round_)
        if plan is None:
            return
        for target in plan.targets:
            if self.is_hopeless(target) and self.cleared.get(target, wall) <= wall:
                self.quarantined.add(target)
        promoted = self.promoted.get(plan.rule)
        if plan.ending in (Ending.FAILED, Ending.UNKNOWN) and (promoted is None or plan.over > promoted):
            self.demoted.add(plan.rule)

    def call_over(self, run: str) -> None:
        self.calls = [call for call in self.calls if call.run != run]

    def run_over(self, run: str, keeps: datetime | None) -> None:
        """The run has ended, and given its locks back, or keeps them until a wall time."""
        mine = [name for name, (holder, _) in self.locks.items() if holder == run]
        for name in mine:
            if keeps is None:
                del self.locks[name]
            else:
                self.locks[name] = (run, keeps)
        for call in self.calls:
            call.may_outlast |= call.run == run

    # Checks of all that was

    def check_real_time(self) -> None:
        """A clock that is set forward frees a budget by as much too early, and one that is set back frees none.

        So no time that is shorter than a budget's by the greatest step forward between any two starts holds more.
        """
        pairs = combinations(self.plans, 2)
        early = max((later.ahead - sooner.ahead for sooner, later in pairs), default=timedelta(0))
        early = max(early, timedelta(0))
        for budget in self.limits.overall:
            if early < budget.window:
                within = (Budget(budget.count, budget.window - early),)
                assert_within([plan.real for plan in self.plans for _ in plan.targets], within, self.plans)


def scopes_of(rule: str, targets: Sequence[str], actions: Sequence[str]) -> set[str]:
    """What a plan can be paused by."""
    pack, _, _ = rule.partition("/")
    named = {f"target:{target}" for target in targets} | {f"action:{action}" for action in actions}
    return {EVERYTHING, f"pack:{pack}", f"rule:{rule}"} | named


def assert_within(times: Sequence[datetime], budgets: tuple[Budget, ...], what: object) -> None:
    """No window of a budget holds more than its count."""
    for budget in budgets:
        for first in times:
            count = sum(first <= at < first + budget.window for at in times)
            assert count <= budget.count, f"{count} changes within {budget}: {what}"
