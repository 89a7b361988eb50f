"""What Prometheus has firing by its rules: what is surely over is refused, and what is not known is never acted on."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from remediator.clients.prometheus import ActiveAlert, AlertRule
from remediator.model.outcome import Reason
from remediator.model.run import Resolved
from remediator.pipeline.guards import Allow, Ask, Hold, Refuse, Review
from remediator.pipeline.guards.alert_rules import AlertRules, judge
from remediator.pipeline.guards.asking import ASK_AGAIN, TOO_LONG
from remediator.pipeline.guards.dependencies import Dependencies
from remediator.pipeline.guards.still_true import StillTrue
from remediator.testing.clock import VirtualClock
from tests.unit.pipeline.guards.probing import (
    AT,
    DOWN,
    SECOND,
    FakePrometheus,
    OpenAlerts,
    a_case,
    a_prometheus,
    an_alertmanager,
    an_occurrence,
    review,
)

GROUPED = {"group_by": ["alertname"]}
SHOP = {"alertname": "Down", "service": "shop"}
MAIN = {"depends": [{"match": ['alertname=~"PostgreSQLDown|RedisDown"', 'cluster="main"']}]}

World = tuple[FakePrometheus, AlertRules]


@pytest.fixture
async def world(clock: VirtualClock) -> AsyncIterator[World]:
    async with a_prometheus(clock) as made:
        yield made


def firing(**labels: str) -> ActiveAlert:
    return ActiveAlert({"alertname": "Down", **labels}, fires=True)


def pending(**labels: str) -> ActiveAlert:
    return ActiveAlert({"alertname": "Down", **labels}, fires=False)


def rule(*alerts: ActiveAlert, **how: Any) -> AlertRule:
    return AlertRule(alerts, **how)


CASES: dict[str, tuple[list[AlertRule], type[Review]]] = {
    "the same labels": ([rule(firing(service="web"))], Allow),
    "fewer labels: others are added on sending": ([rule(firing())], Allow),
    "beside others": ([rule(firing(service="db"), firing(service="web"))], Allow),
    "by the other rule of its name": ([rule(), rule(firing(service="web"))], Allow),
    "while another rule of its name is in trouble": ([rule(trouble="x"), rule(firing(service="web"))], Allow),
    "another one": ([rule(firing(service="db"))], Refuse),
    "another one, with more labels": ([rule(firing(service="db", pod="p"))], Refuse),
    "none": ([rule()], Refuse),
    "no rule of its name": ([], Ask),
    "more labels: they may be dropped on sending": ([rule(firing(service="web", pod="p"))], Ask),
    "by a rule that could not be worked out": ([rule(firing(service="web"), trouble="parse error")], Ask),
    "none by a rule that could not be worked out": ([rule(trouble="parse error")], Ask),
    "by a rule that was not worked out yet": ([rule(firing(service="web"), is_new=True)], Hold),
    "none by a rule that was not worked out yet": ([rule(is_new=True)], Hold),
    "pending": ([rule(pending(service="web"))], Hold),
    "pending with fewer labels": ([rule(pending())], Hold),
    "another one pending": ([rule(pending(service="db"))], Refuse),
}


@pytest.mark.parametrize(("rules", "expected"), CASES.values(), ids=CASES)
def test_only_what_surely_fires_goes_on_and_only_what_surely_does_not_is_over(
    rules: list[AlertRule], expected: type[Review]
) -> None:
    """What is sent from Prometheus may have other labels than it tells of."""
    said = judge(rules, DOWN, AT)

    assert expected is type(said)
    assert isinstance(said, Allow | Refuse) or Reason.ALERT_UNCERTAIN == said.reason


def test_what_cannot_be_told_is_said_with_why_and_what_to_do() -> None:
    """It stands in the question that a person gets."""
    then = (
        "; a person has to decide (where alertmanager.url is set, that is asked instead; see prometheus.raises_alerts)"
    )
    unknown = "Prometheus has no rule for alerts called Down: somebody else sends it, or renames it"
    more = "Prometheus has one firing that may be it, but it has also node, pod, which are not on this alert"

    assert Ask(Reason.ALERT_UNCERTAIN, unknown + then) == judge([], DOWN, AT)
    assert Ask(Reason.ALERT_UNCERTAIN, more + then) == judge([rule(firing(pod="p", node="n"))], DOWN, AT)
    said = judge([rule(trouble="parse error")], DOWN, AT)
    assert isinstance(said, Ask)
    assert said.detail.startswith("Prometheus cannot work out its rule Down: parse error")


async def test_without_an_alertmanager_prometheus_is_asked(world: World) -> None:
    """One question, and it is done."""
    fake, rules = world
    fake.fire(DOWN)

    assert Allow() == await review(StillTrue(OpenAlerts(), None, rules), a_case())
    assert ["Down"] == fake.asked


async def test_labels_that_are_added_on_sending_are_on_our_alert_alone(world: World) -> None:
    """Prometheus tells of alerts before its external labels."""
    fake, rules = world
    fake.fire(DOWN)
    labels = {**DOWN, "cluster": "main", "empty": ""}

    assert Allow() == await review(StillTrue(OpenAlerts(), None, rules), a_case(labels=labels))


async def test_what_prometheus_does_not_have_firing_is_refused(world: World) -> None:
    """The resolve may be under way."""
    fake, rules = world
    fake.fire(SHOP)

    said = await review(StillTrue(OpenAlerts(), None, rules), a_case())

    told = "Prometheus does not have it firing now (it does not know what others have sent here)"
    assert Refuse(Reason.NOT_FIRING, told) == said


async def test_a_plan_that_was_begun_is_ended_although_the_alert_is_over(world: World) -> None:
    """Half a change is worse than one that ends a little late."""
    fake, rules = world
    fake.rule("Down")

    assert Allow() == await review(StillTrue(OpenAlerts(), None, rules), a_case(begun=True))


async def test_a_resolve_that_was_heard_needs_no_question(world: World) -> None:
    """The webhook's word that it is over counts, whoever is asked."""
    fake, rules = world
    fake.fire(DOWN)

    assert isinstance(await review(StillTrue(OpenAlerts(), None, rules), a_case(signals=[Resolved(AT)])), Refuse)
    assert [] == fake.asked


async def test_alertmanager_is_asked_where_both_are_there(world: World, clock: VirtualClock) -> None:
    """It knows of silences."""
    fake, rules = world
    fake.fire(DOWN)
    async with an_alertmanager(clock) as (alertmanager, asking):
        alertmanager.fire(DOWN)

        assert Allow() == await review(StillTrue(OpenAlerts(), asking, rules), a_case())
        assert ([], 1) == (fake.asked, len(alertmanager.asked))
        await review(Dependencies(OpenAlerts(), asking, rules), a_case(rule=MAIN))
        assert ([], 2) == (fake.asked, len(alertmanager.asked))


async def test_one_alert_of_a_group_that_fires_is_enough(world: World, clock: VirtualClock) -> None:
    """The remedy is for all of them; and while one of them is not known, the others' end is no end."""
    fake, rules = world
    guard = StillTrue(OpenAlerts(an_occurrence(1, **DOWN), an_occurrence(2, **SHOP)), None, rules)

    async def said() -> Review:
        await clock.advance(2 * SECOND)
        return await review(guard, a_case(rule=GROUPED))

    fake.fire(SHOP)
    fires = await said()
    fake.rules.clear()
    fake.fire({**SHOP, "pod": "p"})
    not_known = await said()
    fake.fire(DOWN, state="pending")
    one_ends_by_itself = await said()
    fake.rules.clear()
    fake.rule("Down")
    over = await said()

    assert [Allow, Ask, Hold, Refuse] == [type(one) for one in (fires, not_known, one_ends_by_itself, over)]
    assert isinstance(over, Refuse)
    assert "Prometheus does not have any of the group's 2 alerts firing now" in over.detail


async def test_a_group_of_more_than_are_asked_for_holds(world: World) -> None:
    """What was not asked for is not known."""
    fake, rules = world
    fake.rule("Down")
    members = OpenAlerts(*(an_occurrence(n, alertname="Down", n=str(n)) for n in range(1000)))

    said = await review(StillTrue(members, None, rules), a_case(rule=GROUPED))

    assert isinstance(said, Hold)
    assert said.detail.startswith("none of the 20 alerts of the group that Prometheus was asked for fires")
    assert ["Down"] == fake.asked


async def test_one_answer_is_good_for_everybody_for_a_moment(world: World, clock: VirtualClock) -> None:
    """In a storm it is large, and very many want it at once."""
    fake, rules = world
    fake.fire(DOWN)
    guard = StillTrue(OpenAlerts(), None, rules)
    for _ in range(3):
        await review(guard, a_case())
    within = len(fake.asked)
    fake.rules[0]["alerts"].clear()
    await clock.advance(SECOND)

    assert isinstance(await review(guard, a_case()), Refuse)
    assert (1, 2) == (within, len(fake.asked))


async def test_without_an_answer_it_is_held_and_after_a_while_a_person_may_decide(
    world: World, clock: VirtualClock
) -> None:
    """As it is where Alertmanager gives none."""
    fake, rules = world
    fake.status = 503
    guard = StillTrue(OpenAlerts(), None, rules)

    held = await review(guard, a_case())
    await clock.advance(TOO_LONG)
    asked = await review(guard, a_case())

    assert isinstance(held, Hold)
    assert (Reason.ALERT_UNCERTAIN, AT + ASK_AGAIN) == (held.reason, held.until)
    assert "out of cheese" in held.detail
    assert isinstance(asked, Ask)


async def test_what_prometheus_has_firing_holds_those_that_depend_on_it(world: World) -> None:
    """It may know of what was never sent here."""
    fake, rules = world
    fake.fire({"alertname": "RedisDown", "cluster": "main"})

    said = await review(Dependencies(OpenAlerts(), None, rules), a_case(rule=MAIN))

    told = "RedisDown (cluster='main') fires, as Prometheus says; it is held until that has resolved"
    assert Hold(Reason.DEPENDENCY_DOWN, AT + 30 * SECOND, told) == said


async def test_a_dependency_that_only_an_added_label_could_tell_holds(world: World) -> None:
    """Its cluster may be one of the labels that Prometheus adds when it sends."""
    fake, rules = world
    fake.fire({"alertname": "RedisDown", "instance": "r1"})

    said = await review(Dependencies(OpenAlerts(), None, rules), a_case(rule=MAIN))

    told = "RedisDown (instance='r1') fires, as Prometheus says, which does not tell whether cluster=\"main\""
    assert Hold(Reason.DEPENDENCY_UNCERTAIN, AT + 30 * SECOND, f"{told}; it is held until that has resolved") == said


@pytest.mark.parametrize(
    ("labels", "how"),
    [({"cluster": "b"}, {}), ({"cluster": "main"}, {"state": "pending"}), (None, {})],
    ids=["another cluster's", "pending", "no rule of that name"],
)
async def test_what_does_not_fire_or_is_not_meant_holds_nothing(
    world: World, labels: dict[str, str] | None, how: dict[str, str]
) -> None:
    """Our own store was looked at before."""
    fake, rules = world
    if labels is not None:
        fake.fire({"alertname": "RedisDown", **labels}, **how)

    assert Allow() == await review(Dependencies(OpenAlerts(), None, rules), a_case(rule=MAIN))
    assert ["PostgreSQLDown", "RedisDown"] == fake.asked


@pytest.mark.parametrize(("health", "expected"), [("unknown", Hold), ("err", Ask)])
async def test_a_dependency_whose_rule_was_not_worked_out_is_not_known(
    world: World, health: str, expected: type[Review]
) -> None:
    """Right after Prometheus has started, everything seems to be well."""
    fake, rules = world
    fake.rule("RedisDown", health=health, error="bad data")

    said = await review(Dependencies(OpenAlerts(), None, rules), a_case(rule=MAIN))

    assert expected is type(said)
    assert isinstance(said, Hold | Ask)
    assert Reason.DEPENDENCY_UNCERTAIN is said.reason


async def test_a_dependency_that_cannot_be_asked_for_holds(world: World) -> None:
    """It fails closed."""
    fake, rules = world
    fake.status = 503

    said = await review(Dependencies(OpenAlerts(), None, rules), a_case(rule=MAIN))

    assert isinstance(said, Hold)
    assert Reason.DEPENDENCY_UNCERTAIN is said.reason
