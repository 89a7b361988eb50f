"""Enough of a pool stays healthy during a step, whatever the pool."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remediator.clients import Clients
from remediator.errors import RemediatorError, TargetGone
from remediator.kit.metrics import Metrics
from remediator.kit.redaction import Redactor
from remediator.model.budget import Share
from remediator.model.facts import Finished, StepStatus
from remediator.model.ids import StepId
from remediator.model.limits import Limits
from remediator.model.outcome import Reason
from remediator.model.plan import Effect
from remediator.model.target import Target
from remediator.pipeline.calls import Calls
from remediator.pipeline.guards import Allow, Ask, Hold, Refuse
from remediator.pipeline.guards.health_floor import HealthFloor, Weight, most_of, needed, weigh
from remediator.plugins import ActionContext, Actions, Member, Params, Pool, Result, action
from remediator.settings import Settings
from remediator.testing.clock import VirtualClock
from tests.unit.pipeline.guards.probing import AT, SECOND, a_case, a_step, review

DEFAULT = Limits().min_healthy
FREE, LAST, NOT_NOW, NEVER = Weight.FREE, Weight.LAST, Weight.NOT_NOW, Weight.NEVER


def a_pool(text: str) -> Pool:
    """A pool as `+` and `-` for the healthy and the sick, each with a `*` behind it where the step acts on it."""
    found: list[Member] = []
    for sign in text:
        if sign == "*":
            last = found.pop()
            found.append(Member(last.name, last.is_healthy, is_target=True))
        else:
            found.append(Member(f"thing:web-{len(found)}", sign == "+", is_target=False))
    return Pool("the web pool", tuple(found))


def percent(value: float) -> Share:
    return Share(percent=value)


def count(value: int) -> Share:
    return Share(count=value)


@pytest.mark.parametrize(
    ("floor", "size", "expected"),
    [
        (DEFAULT, 1, 1),
        (DEFAULT, 2, 1),
        (DEFAULT, 3, 2),
        (DEFAULT, 4, 3),
        (DEFAULT, 5, 3),
        (DEFAULT, 10, 6),
        (DEFAULT, 100, 51),
        (percent(50), 4, 2),
        (percent(99), 2, 1),
        (percent(100), 2, 2),
        (percent(0), 2, 0),
        (percent(14.5), 200, 29),
        (percent(33.3), 1000, 333),
        (count(0), 5, 0),
        (count(2), 2, 2),
        (count(3), 2, 3),
    ],
    ids=str,
)
def test_a_floor_is_a_number_of_members(floor: Share, size: int, expected: int) -> None:
    """A part of a member counts as a whole one; of two, one may go unless all have to stay."""
    assert expected == needed(floor, size)


@pytest.mark.parametrize(
    ("members", "floor", "expected"),
    [
        ("+*+", DEFAULT, FREE),
        ("+*-", DEFAULT, NOT_NOW),
        ("-*+", DEFAULT, FREE),
        ("-*-", DEFAULT, FREE),
        ("-*-*-*", DEFAULT, FREE),
        ("+*+*", DEFAULT, NEVER),
        ("+*", DEFAULT, LAST),
        ("-*", DEFAULT, FREE),
        ("+*++", DEFAULT, FREE),
        ("+*+-", DEFAULT, NOT_NOW),
        ("+*+*+", DEFAULT, NEVER),
        ("+*-*+", DEFAULT, NEVER),
        ("+*+++", DEFAULT, FREE),
        ("+*+*++", DEFAULT, NEVER),
        ("+*+*+++", DEFAULT, FREE),
        ("+*+", percent(100), NEVER),
        ("-*+", percent(100), FREE),
        ("+*+", count(1), FREE),
        ("+*+", count(2), NEVER),
        ("+*", count(1), LAST),
        ("+*", count(2), NEVER),
        ("+*", count(0), LAST),
        ("+*+*", count(0), LAST),
        ("+*-", count(0), LAST),
        ("+*+", count(0), FREE),
        ("+*+*", percent(0), LAST),
    ],
    ids=str,
)
def test_a_step_means_this_for_its_pool(members: str, floor: Share, expected: Weight) -> None:
    """The table that operators read."""
    assert expected is weigh(a_pool(members), floor)


POOLS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40).map(
    lambda signs: Pool("p", tuple(Member(str(n), healthy, target) for n, (healthy, target) in enumerate(signs)))
)
FLOORS = st.one_of(
    st.integers(0, 45).map(count),
    st.integers(0, 1000).map(lambda tenths: percent(tenths / 10)),
)


@given(POOLS, FLOORS)
@settings(deadline=None)
def test_what_is_allowed_leaves_the_floor_whatever_the_pool(pool: Pool, floor: Share) -> None:
    """Unless all that it touches is unhealthy. By itself nothing is ever allowed that leaves nothing healthy."""
    weight = weigh(pool, floor)

    if pool.healthy_targets and weight is Weight.FREE:
        assert pool.left >= 1
        exact = floor.count if floor.percent is None else floor.percent * pool.size / 100
        is_one_of_two = pool.size == 2 and pool.left == 1 and floor.percent != 100
        assert is_one_of_two or pool.left >= (exact or 0) - 1e-9
    if pool.healthy_targets and pool.left == 0:
        assert weight is not Weight.FREE
    if weight is Weight.LAST:
        assert pool.size == 1 or not (floor.count or floor.percent)


@given(POOLS, FLOORS, st.data())
@settings(deadline=None)
def test_another_that_falls_ill_never_allows_more(pool: Pool, floor: Share, data: Any) -> None:
    """A pool that gets worse must not open a door, but for what is unhealthy already."""
    others = [n for n, member in enumerate(pool.members) if member.is_healthy and not member.is_target]
    if not others:
        return
    ill = data.draw(st.sampled_from(others))
    members = tuple(Member(m.name, m.is_healthy and n != ill, m.is_target) for n, m in enumerate(pool.members))
    order = [FREE, LAST, NOT_NOW, NEVER]

    assert order.index(weigh(Pool("p", members), floor)) >= order.index(weigh(pool, floor))


@pytest.mark.parametrize(
    ("share", "size", "expected"),
    [(percent(10), 3, 1), (percent(10), 29, 2), (percent(50), 0, 1), (percent(100), 4, 4), (percent(14.5), 200, 29)],
)
def test_a_share_of_targets_is_at_least_one(share: Share, size: int, expected: int) -> None:
    """A tenth of three is none, and a rule that may touch none is of no use."""
    assert expected == most_of(share, size)


# -- The guard --


class Name(Params):
    name: str


class Done(Result):
    pass


Counting = Callable[[str], Pool | Exception | None]


def actions_with(pool_of: Counting) -> Actions:
    """`test.bump`, whose pool is as told for the name that it acts on; and changes that know of none."""

    async def targets(ctx: ActionContext, params: Name) -> tuple[Target, ...]:
        return (Target("thing", (params.name,)),)

    async def pool(ctx: ActionContext, params: Name) -> Pool | None:
        assert (Target("thing", (params.name,)),) == ctx.targets
        found = pool_of(params.name)
        if isinstance(found, Exception):
            raise found
        return found

    @action("test.bump", effect=Effect.DESTROY, targets=targets, pool=pool)
    async def bump(ctx: ActionContext, params: Name) -> Done:
        """Bump a thing."""
        return Done()

    @action("test.blind", effect=Effect.DESTROY, targets=targets)
    async def blind(ctx: ActionContext, params: Name) -> Done:
        """Do something to a thing, whatever it belongs to."""
        return Done()

    return Actions({"test.bump": bump, "test.blind": blind})


@pytest.fixture
async def floor() -> AsyncIterator[HealthFloor]:
    clients = Clients(Settings())
    yield HealthFloor(Calls(clients, VirtualClock(AT), Redactor(), Metrics()))
    await clients.close()


def steps_on(*names: str, action: str = "test.bump", effect: Effect = Effect.CHANGE) -> dict[str, Any]:
    """A rule with a step on each of these, and the plan of it."""
    planned = [
        a_step(n, action=action, effect=effect, params={"name": name}, targets=(Target("thing", (name,)),))
        for n, name in enumerate(names)
    ]
    return {"rule": {"remediate": [{"do": [{action: {"name": name}} for name in names]}]}, "steps": planned}


def pools(**by_name: str | Exception | None) -> Actions:
    def pool_of(name: str) -> Pool | Exception | None:
        found = by_name[name.replace("-", "_")]
        return a_pool(found) if isinstance(found, str) else found

    return actions_with(pool_of)


def ended(number: int, *, round_: int = 1) -> Finished:
    step = StepId(f"remediate.0.{number}")
    return Finished(AT, round_, step, 1, StepStatus.DONE, "", "", 0.0)


async def test_enough_that_stays_healthy_is_allowed(floor: HealthFloor) -> None:
    """One of three goes."""
    assert Allow() == await review(floor, a_case(actions=pools(web="+*++"), **steps_on("web")))


async def test_a_step_that_could_not_begin_is_counted_again(floor: HealthFloor) -> None:
    """It is begun once more, and the pool may have changed meanwhile."""
    facts = [replace(ended(0), status=StepStatus.FAILED, begun=False)]
    given: dict[str, Any] = {"actions": pools(web="+*+-"), **steps_on("web")}

    assert isinstance(await review(floor, a_case(facts=facts, **given)), Hold)
    assert Allow() == await review(floor, a_case(facts=[ended(0)], **given))


async def test_too_few_now_hold_with_the_figures(floor: HealthFloor) -> None:
    """Another one is unhealthy: it may recover, and is counted again."""
    said = await review(floor, a_case(actions=pools(web="+*+-"), **steps_on("web")))

    told = (
        "step 0: of the web pool 2 of 3 are healthy now, and 1 would stay so; at least 2 have to (min_healthy 51%); "
        "it is counted again every 30s"
    )
    assert Hold(Reason.POOL_TOO_SMALL, AT + 30 * SECOND, told) == said


async def test_what_the_pool_can_never_bear_is_refused(floor: HealthFloor) -> None:
    """Waiting for it would be in vain."""
    limits = Limits(min_healthy=count(2))

    said = await review(floor, a_case(actions=pools(web="+*+"), limits=limits, **steps_on("web")))

    told = "step 0: of the web pool 2 of 2 are healthy now, and 1 would stay so; at least 2 have to (min_healthy 2)"
    assert Refuse(Reason.POOL_TOO_SMALL, told) == said


async def test_the_only_one_is_asked_for_with_its_downtime(floor: HealthFloor) -> None:
    """A pool of one lowers auto to gated: people see what it costs."""
    said = await review(floor, a_case(actions=pools(web="+*"), **steps_on("web")))

    told = "step 0: it is the only one of the web pool, which is down meanwhile, for up to 20s"
    assert Ask(Reason.LAST_OF_POOL, told, subject="the web pool") == said


async def test_nothing_left_needs_a_floor_of_nothing_and_a_person(floor: HealthFloor) -> None:
    """Scaling to zero is never done by default, and never by itself."""
    limits = Limits(min_healthy=count(0))
    one = {"actions": pools(web="+*+*"), **steps_on("web")}

    said = await review(floor, a_case(limits=limits, **one))

    assert isinstance(await review(floor, a_case(**one)), Refuse)
    told = "step 0: it takes all 2 that are healthy of the web pool, which is down meanwhile, for up to 20s"
    assert Ask(Reason.LAST_OF_POOL, told, subject="the web pool") == said


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        (ZeroDivisionError("x"), "step 0: the action broke when it counted the pool: ZeroDivisionError: x"),
        ("++", "step 0: its target is not in the web pool"),
        ("", "step 0: its target is not in the web pool"),
    ],
    ids=["broken", "not in it", "empty"],
)
async def test_what_cannot_be_counted_holds(floor: HealthFloor, trouble: str | Exception, told: str) -> None:
    """An unknown count is never taken for enough."""
    said = await review(floor, a_case(actions=pools(web=trouble), **steps_on("web")))

    assert Hold(Reason.POOL_UNCERTAIN, AT + 30 * SECOND, f"{told}; it is counted again every 30s") == said


async def test_a_target_that_is_gone_has_the_plan_made_anew(floor: HealthFloor) -> None:
    """It was replaced: to count it again would be in vain for as long as the plan is kept."""
    said = await review(floor, a_case(actions=pools(web=TargetGone("no such container: web")), **steps_on("web")))

    told = "step 0: no such container: web; it is counted again every 30s"
    assert Hold(Reason.POOL_UNCERTAIN, AT + 30 * SECOND, told, is_outdated=True) == said


async def test_a_count_that_hangs_holds(floor: HealthFloor) -> None:
    """It has the step's time limit."""

    async def targets(ctx: ActionContext, params: Name) -> tuple[Target, ...]:
        return ()

    async def pool(ctx: ActionContext, params: Name) -> Pool | None:
        raise TimeoutError

    @action("test.bump", effect=Effect.CHANGE, targets=targets, pool=pool)
    async def bump(ctx: ActionContext, params: Name) -> Done:
        """Bump a thing."""
        return Done()

    said = await review(floor, a_case(actions=Actions({"test.bump": bump}), **steps_on("web")))

    assert isinstance(said, Hold)
    assert "the pool was not counted within 20 s" in said.detail


async def test_a_change_without_a_pool_is_let_be(floor: HealthFloor) -> None:
    """A file has no others beside it; and some changes take nothing out of service."""
    blind = steps_on("web", action="test.blind")

    assert Allow() == await review(floor, a_case(actions=pools(), **blind))
    assert Allow() == await review(floor, a_case(actions=pools(web=None), **steps_on("web")))


async def test_to_destroy_without_a_pool_needs_a_floor_of_nothing_and_a_person(floor: HealthFloor) -> None:
    """What cannot be counted is given up in so many words, or not destroyed."""
    blind = steps_on("web", action="test.blind", effect=Effect.DESTROY)

    refused = await review(floor, a_case(actions=pools(), **blind))
    asked = await review(floor, a_case(actions=pools(), limits=Limits(min_healthy=count(0)), **blind))

    assert isinstance(refused, Refuse)
    assert Reason.POOL_UNCERTAIN == refused.reason
    assert "say `limits: {min_healthy: 0}`" in refused.detail
    assert isinstance(asked, Ask)


async def test_steps_are_judged_one_after_another(floor: HealthFloor) -> None:
    """A rolling restart of a pool of two: each step by itself, and the second waits until the first is back."""
    rolling = steps_on("web-0", "web-1")
    first = pools(web_0="+*+", web_1="++*")
    during = pools(web_0="-*+", web_1="-+*")
    limits = Limits(max_targets=count(2))

    assert Allow() == await review(floor, a_case(actions=first, limits=limits, **rolling))
    held = await review(floor, a_case(actions=during, limits=limits, begun=True, facts=[ended(0)], **rolling))
    back = await review(floor, a_case(actions=first, limits=limits, begun=True, facts=[ended(0)], **rolling))

    assert isinstance(held, Hold)
    assert held.detail.startswith("step 1: ")
    assert Allow() == back


async def test_a_later_step_holds_only_when_its_turn_comes(floor: HealthFloor) -> None:
    """The first step may heal what stands in the second one's way; of another round it tells nothing."""
    case = {"actions": pools(web_0="-*+", web_1="-+*"), **steps_on("web-0", "web-1")}

    assert Allow() == await review(floor, a_case(**case))
    assert Allow() == await review(floor, a_case(facts=[ended(0, round_=0)], **case))


async def test_what_a_later_step_can_never_do_is_told_at_once(floor: HealthFloor) -> None:
    """No plan is begun that cannot be ended."""
    case = {"actions": pools(web_0="-*+", web_1="+*+*"), **steps_on("web-0", "web-1")}

    assert isinstance(await review(floor, a_case(**case)), Refuse)


@pytest.mark.parametrize(
    ("pool", "share", "names", "expected"),
    [
        ("+*" + "+" * 9, 20, ("web-0", "web-1"), Allow),
        ("+*" + "+" * 9, 19, ("web-0", "web-1"), Refuse),
        ("+*" + "+" * 9, 1, ("web-0",), Allow),
        (None, 100, ("web-0", "web-1"), Refuse),
        (None, 1, ("web-0",), Allow),
    ],
    ids=["a fifth", "a bit less", "one is always allowed", "of no pool", "one of no pool"],
)
async def test_targets_in_percent_are_a_part_of_their_pools(
    floor: HealthFloor, pool: str | None, share: float, names: tuple[str, ...], expected: type
) -> None:
    """Together, however many pools they are in."""
    actions = pools(web_0=pool, web_1=pool)

    said = await review(floor, a_case(actions=actions, limits=Limits(max_targets=percent(share)), **steps_on(*names)))

    assert expected is type(said)


async def test_too_large_a_part_is_told_with_the_figures(floor: HealthFloor) -> None:
    """And with what it would have touched."""
    actions, limits = pools(web_0="+*+++", web_1="+*+++"), Limits(max_targets=percent(25))

    said = await review(floor, a_case(actions=actions, limits=limits, **steps_on("web-0", "web-1")))

    told = "2 targets, at most 1 (25% of 4 in their pools): thing:web-0, thing:web-1"
    assert Refuse(Reason.TOO_MANY_TARGETS, told) == said


async def test_a_part_of_what_cannot_be_counted_holds(floor: HealthFloor) -> None:
    """The second step's pool counts for it, too."""
    trouble: RemediatorError = TargetGone("gone")
    actions, limits = pools(web_0="+*+++", web_1=trouble), Limits(max_targets=percent(50))

    said = await review(floor, a_case(actions=actions, limits=limits, **steps_on("web-0", "web-1")))

    assert (
        Hold(Reason.POOL_UNCERTAIN, AT + timedelta(seconds=30), "step 1: gone; it is counted again every 30s") == said
    )
