"""Every guard and every probe that is shipped stops something that all others together would let go.

One row of `ROWS` for each: with it the plan is stopped, without it it goes. A guard that is shipped and has no row
fails here, so that none is ever added, moved or simplified without a proof that it is it that guards.
"""

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from remediator.app import App
from remediator.clients import Clients
from remediator.errors import Unavailable
from remediator.kit.metrics import Metrics
from remediator.kit.redaction import Redactor
from remediator.model.budget import Share
from remediator.model.change import Ending
from remediator.model.history import Known, Question
from remediator.model.ids import RunId, StepId
from remediator.model.limits import Limits
from remediator.model.occurrence import Occurrence
from remediator.model.outcome import Reason
from remediator.model.plan import PlannedCheck
from remediator.model.run import Resolved
from remediator.model.stop import EVERYTHING, Stop, StopKind
from remediator.model.target import Target
from remediator.pipeline.calls import Calls
from remediator.pipeline.guards import Allow, Case, Guards, Probe, Review
from remediator.pipeline.guards.dead_man import DeadMan
from remediator.pipeline.guards.dependencies import Dependencies
from remediator.pipeline.guards.deploys import Deploys
from remediator.pipeline.guards.health_floor import HealthFloor
from remediator.pipeline.guards.pause_file import PauseFile
from remediator.pipeline.guards.protected import ProtectedGroup
from remediator.pipeline.guards.shipped import shipped
from remediator.pipeline.guards.still_true import StillTrue
from remediator.plugins import ActionContext, Actions, Deployed, Effect, Member, Params, Pool, Result, action
from remediator.rules.book import Book
from remediator.settings import CalendarSettings, ProtectedSettings, Settings, StoreSettings
from remediator.storage.outbox import OutboxState
from remediator.testing.clock import VirtualClock
from tests.unit.pipeline.guards.journal import DOWN, HOUR, MINUTE, T0, WEB, Journal
from tests.unit.pipeline.guards.probing import a_case, a_step, an_occurrence

RULE = f"rule:{DOWN}"


class Name(Params):
    name: str


class Done(Result):
    pass


def with_a_pool_of(*healthy: bool, deployed: Deployed | None = None) -> Actions:
    """An action that takes the first of so many members out of service, which may have been deployed."""

    async def targets(ctx: ActionContext, params: Name) -> tuple[Target, ...]:
        return (Target("thing", (params.name,)),)

    async def pool(ctx: ActionContext, params: Name) -> Pool:
        return Pool("web", tuple(Member(str(n), good, is_target=not n) for n, good in enumerate(healthy)))

    async def deploys(ctx: ActionContext, params: Name) -> tuple[Deployed, ...]:
        return (deployed,) if deployed else ()

    @action("test.bump", effect=Effect.CHANGE, targets=targets, pool=pool, deployed=deploys)
    async def bump(ctx: ActionContext, params: Name) -> Done:
        """Bump a thing."""
        return Done()

    return Actions({"test.bump": bump})


@dataclass
class World:
    """What guards are told; everything is well, but for what a row changes."""

    case: Case = field(default_factory=a_case)
    journal: Journal = field(default_factory=Journal)
    calendar: dict[str, Any] = field(default_factory=dict)
    protected: dict[str, Any] = field(default_factory=dict)
    open_alerts: tuple[Occurrence, ...] = ()
    oldest_post: datetime | None = None
    is_file_there: bool = False
    is_prometheus_away: bool = False

    def stop(self, kind: StopKind, scope: str) -> None:
        self.journal.put_stop(Stop(kind, scope, "a reason", "somebody", T0 - HOUR))

    def changed(self, ending: Ending, *before: timedelta, **changes: Any) -> None:
        """Enter a change so long ago: each by another run, rule and action, where nothing else is said."""
        for one in before:
            number = len(self.journal.changes)
            others = {"rule": f"other/rule-{number}", "action": f"other.action-{number}", **changes}
            self.journal.happened(f"r-{number}", ending, self.case.at - one, **others)

    # -- the store and the world, as guards ask them --

    async def known(self, questions: Sequence[Question]) -> Known:
        return self.journal.known(questions)

    async def open_alerts_of(self, run: RunId, *, limit: int) -> tuple[Occurrence, ...]:
        return self.open_alerts[:limit]

    async def open_alerts_named(self, names: Collection[str], *, limit: int) -> tuple[Occurrence, ...]:
        return tuple(one for one in self.open_alerts if one.labels["alertname"] in names)[:limit]

    async def outbox_state(self) -> OutboxState:
        return OutboxState(1 if self.oldest_post else 0, self.oldest_post)

    async def ping(self) -> None:
        if self.is_prometheus_away:
            raise Unavailable("connection refused")


Arrange = Callable[[World], None]
ROWS: list[tuple[str, Reason, Arrange]] = []


def row(guard: str, reason: Reason) -> Callable[[Arrange], Arrange]:
    """What this guard alone stops, and the reason that it gives."""

    def add(arrange: Arrange) -> Arrange:
        ROWS.append((guard, reason, arrange))
        return arrange

    return add


# -- what the journal and the settings tell --


@row("Targets", Reason.NO_TARGET)
def changes_nothing_in_particular(world: World) -> None:
    world.case = a_case(steps=[a_step(targets=())])


@row("Targets", Reason.TOO_MANY_TARGETS)
def changes_two_where_one_is_allowed(world: World) -> None:
    kicks = [{"thing.kick": {"name": name}} for name in ("web", "db")]
    steps = [a_step(n, targets=(Target("thing", (name,)),)) for n, name in enumerate(("web", "db"))]
    world.case = a_case(rule={"remediate": [{"do": kicks}]}, steps=steps)


@row("Targets", Reason.NO_RAMP)
def changes_two_at_once(world: World) -> None:
    both = tuple(Target("thing", (name,)) for name in ("web", "db"))
    world.case = a_case(steps=[a_step(targets=both)], limits=Limits(max_targets=Share(count=2)))


@row("Protected", Reason.PROTECTED)
def changes_what_is_denied(world: World) -> None:
    world.protected = {"deny": {"targets": [WEB]}}


@row("Pauses", Reason.PAUSED)
def is_paused(world: World) -> None:
    world.stop(StopKind.PAUSE, EVERYTHING)


@row("Storm", Reason.STORM)
def is_the_fifth_of_its_rule(world: World) -> None:
    world.journal.runs = [(DOWN, T0)] * 5


@row("Storm", Reason.STORM)
def is_one_of_fifty_of_all_rules(world: World) -> None:
    world.journal.runs = [(f"other/rule-{number % 10}", T0) for number in range(50)]


@row("Calendar", Reason.FROZEN)
def is_within_a_freeze(world: World) -> None:
    ever = [{"name": "ever", "time_intervals": [{}]}]
    world.calendar = {"time_intervals": ever, "freezes": [{"interval": "ever", "reason": "a sale"}]}


@row("Attempts", Reason.QUARANTINED)
def was_tried_three_times_in_vain(world: World) -> None:
    world.changed(Ending.NOT_HEALED, 50 * MINUTE, 35 * MINUTE, 20 * MINUTE)


@row("Flapping", Reason.FLAPPING)
def has_come_back_three_times(world: World) -> None:
    world.case = replace(world.case, at=T0 + 10 * MINUTE)
    for came in (40, 35, 30, 2):  # each is healed a minute after it came; the first was no return
        at = T0 - came * MINUTE
        world.changed(Ending.HEALED, world.case.at - at, came=at)


@row("Breaking", Reason.BREAKER_OPEN)
def failed_three_times_in_a_row_elsewhere(world: World) -> None:
    world.case = a_case(limits=Limits(gated_after_not_healed=100))
    for number in range(3):
        where = [f"thing:other-{number}"]
        world.changed(Ending.NOT_HEALED, (25 - number) * MINUTE, rule=DOWN, targets=where)


@row("Breaking", Reason.BREAKER_OPEN)
def its_action_failed_three_times_in_a_row(world: World) -> None:
    for number in range(3):
        where = [f"thing:other-{number}"]
        world.changed(Ending.FAILED, (25 - number) * MINUTE, action="thing.kick", targets=where)


@row("Budgets", Reason.BUDGET_USED)
def has_changed_its_target_three_times(world: World) -> None:
    world.changed(Ending.HEALED, 50 * MINUTE, 35 * MINUTE, 20 * MINUTE, rule=DOWN)


@row("Budgets", Reason.BUDGET_USED)
def its_rule_has_changed_ten_others(world: World) -> None:
    for number in range(10):
        world.changed(Ending.HEALED, (20 + number) * MINUTE, rule=DOWN, targets=[f"thing:other-{number}"])


@row("Budgets", Reason.BUDGET_USED)
def thirty_changes_were_made_by_all_rules(world: World) -> None:
    for number in range(30):
        world.changed(Ending.HEALED, (20 + number) * MINUTE, targets=[f"thing:other-{number}"])


@row("Cooldown", Reason.COOLING_DOWN)
def was_changed_a_short_time_ago(world: World) -> None:
    world.changed(Ending.HEALED, 8 * MINUTE)


@row("Demotion", Reason.DEMOTED)
def may_not_act_by_itself_any_more(world: World) -> None:
    world.stop(StopKind.DEMOTION, RULE)


# -- what the world tells --


@row("PauseFile", Reason.PAUSED)
def the_file_is_there(world: World) -> None:
    world.is_file_there = True


@row("ProtectedGroup", Reason.PROTECTED)
def has_a_second_alert_that_is_denied(world: World) -> None:
    world.case = a_case(rule={"group_by": ["cluster"]})
    world.protected = {"deny": {"labels": ['{team="payments"}']}}
    world.open_alerts = (an_occurrence(1, team="shop"), an_occurrence(2, team="payments"))


@row("StillTrue", Reason.NOT_FIRING)
def has_resolved_meanwhile(world: World) -> None:
    world.case = a_case(signals=[Resolved(T0)])


@row("Dependencies", Reason.DEPENDENCY_DOWN)
def depends_on_what_is_down(world: World) -> None:
    world.case = a_case(rule={"depends": ["DatabaseDown"]})
    world.open_alerts = (an_occurrence(1, alertname="DatabaseDown"),)


@row("HealthFloor", Reason.POOL_TOO_SMALL)
def would_leave_too_few(world: World) -> None:
    world.case = bumping(True, True, False)


@row("HealthFloor", Reason.LAST_OF_POOL)
def is_the_only_one(world: World) -> None:
    world.case = bumping(True)


@row("Deploys", Reason.COOLING_DOWN)
def was_deployed_a_short_time_ago(world: World) -> None:
    deployed = Deployed(WEB, T0 - 3 * MINUTE, "made from image shop:2")
    rule = {"remediate": [{"do": [{"test.bump": {"name": "web"}}]}]}
    world.case = a_case(
        rule=rule, actions=with_a_pool_of(True, True, True, deployed=deployed), steps=[a_step(action="test.bump")]
    )


@row("DeadMan", Reason.CANNOT_TELL)
def nobody_hears_of_it(world: World) -> None:
    world.oldest_post = T0 - 16 * MINUTE


@row("DeadMan", Reason.CANNOT_VERIFY)
def nobody_could_see_whether_it_helped(world: World) -> None:
    world.is_prometheus_away = True
    check = PlannedCheck(StepId("verify.0"), "prometheus.query", {}, MINUTE, "result.value == 1", "look")
    plan = world.case.plan
    world.case = replace(world.case, plan=replace(plan, verification=replace(plan.verification, checks=(check,))))


def bumping(*healthy: bool) -> Case:
    rule = {"remediate": [{"do": [{"test.bump": {"name": "web"}}]}]}
    return a_case(rule=rule, actions=with_a_pool_of(*healthy), steps=[a_step(action="test.bump")])


# -- the proof --


@asynccontextmanager
async def asked(world: World, folder: Path, *, without: str = "") -> AsyncIterator[Guards]:
    """The engine with everything that is shipped, but for one; it is as the composition root makes it."""
    file = folder / "PAUSE"
    if world.is_file_there:
        file.touch()
    clients = Clients(Settings())
    protected = ProtectedSettings.model_validate(world.protected)
    calls = Calls(clients, VirtualClock(T0), Redactor(), Metrics())
    probes: tuple[Probe, ...] = (
        PauseFile(file),
        ProtectedGroup(protected, world),
        StillTrue(world, None),
        Dependencies(world, None),
        HealthFloor(calls),
        Deploys(calls, world.known),
        DeadMan(world, world.ping),
    )
    guards = shipped(CalendarSettings.model_validate(world.calendar), protected)
    try:
        yield Guards(all_but(without, guards), world.known, all_but(without, probes))
    finally:
        await clients.close()


def all_but(without: str, those: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(one for one in those if type(one).__name__ != without)


def is_guard(name: str) -> bool:
    return name in {type(one).__name__ for one in shipped(CalendarSettings(), ProtectedSettings())}


def reason_of(review: Review) -> Reason | None:
    return None if isinstance(review, Allow) else review.reason


@pytest.mark.parametrize(("name", "reason", "arrange"), ROWS, ids=[arrange.__name__ for _, _, arrange in ROWS])
async def test_this_guard_alone_stands_in_the_way(name: str, reason: Reason, arrange: Arrange, tmp_path: Path) -> None:
    """With all others in place, the plan goes as soon as it is taken out: early, and where it would begin."""
    world = World()
    arrange(world)
    async with asked(world, tmp_path) as whole, asked(world, tmp_path, without=name) as rest:
        early = [reason_of(await guards.review(world.case)) for guards in (whole, rest)]
        late = [await at_the_start(guards, world, is_guard=is_guard(name)) for guards in (whole, rest)]

    assert [reason, None] == early
    assert [reason, None] == late


async def at_the_start(guards: Guards, world: World, *, is_guard: bool) -> Reason | None:
    """What the transaction of the start says, or what is seen right before the act."""
    if not is_guard:
        return reason_of(await guards.look(world.case))
    taken = guards.reserve(world.case)
    refusal = taken.judge(world.journal.known(taken.questions))
    return refusal.reason if refusal is not None else None


async def test_nothing_stands_in_the_way_where_all_is_well(tmp_path: Path) -> None:
    """Else the rows would prove nothing: what they change is all that is wrong."""
    world = World()
    async with asked(world, tmp_path) as guards:
        taken = guards.reserve(world.case)

        assert Allow() == await guards.review(world.case)
        assert taken.judge(world.journal.known(taken.questions)) is None


async def test_every_guard_and_every_probe_that_the_service_runs_with_has_a_row(tmp_path: Path) -> None:
    """And everything that is asked here is what the service asks."""
    settings = Settings(store=StoreSettings(directory=tmp_path))
    app = App(settings, actions=Actions({}), book=Book(()))
    made = app.parts.guards
    async with asked(World(), tmp_path) as ours:
        asked_here = [type(one).__name__ for one in (*ours.guards, *ours.probes)]

    assert [type(one).__name__ for one in (*made.guards, *made.probes)] == asked_here
    assert sorted(asked_here) == sorted({name for name, _, _ in ROWS})
