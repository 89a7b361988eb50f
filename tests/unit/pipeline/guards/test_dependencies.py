"""While the database is down, nobody restarts its clients."""

import pytest

from remediator.model.outcome import Reason
from remediator.pipeline.guards import Allow, Ask, Hold
from remediator.pipeline.guards.asking import TOO_LONG
from remediator.pipeline.guards.dependencies import Dependencies
from remediator.testing.clock import VirtualClock
from tests.unit.pipeline.guards.probing import (
    AT,
    SECOND,
    OpenAlerts,
    World,
    a_case,
    an_occurrence,
    review,
)

DATABASE = {"depends": ["PostgreSQLDown"]}
MAIN = {"depends": [{"match": ['alertname=~"PostgreSQLDown|RedisDown"', 'cluster="main"']}]}


async def test_a_rule_without_dependencies_asks_nobody(world: World) -> None:
    """Most rules have none, and pay nothing."""
    store, (fake, asking) = OpenAlerts(), world

    assert Allow() == await review(Dependencies(store, asking), a_case())
    assert ([], []) == (store.asked, fake.asked)


async def test_an_open_alert_that_is_named_holds_and_is_told() -> None:
    """Who has to be looked at first is in the thread."""
    store = OpenAlerts(an_occurrence(1, alertname="PostgreSQLDown", instance="db1"))

    said = await review(Dependencies(store, None), a_case(rule=DATABASE))

    told = "PostgreSQLDown (instance='db1') fires since 2026-01-01 12:00:00 UTC; it is held until that has resolved"
    assert Hold(Reason.DEPENDENCY_DOWN, AT + 30 * SECOND, told) == said
    assert [["PostgreSQLDown"]] == store.asked


async def test_an_alert_of_another_name_or_with_other_labels_holds_nothing() -> None:
    """The database of another cluster is nobody's reason here."""
    other = OpenAlerts(
        an_occurrence(1, alertname="Other", cluster="main"), an_occurrence(2, alertname="RedisDown", cluster="b")
    )
    main = OpenAlerts(an_occurrence(3, alertname="RedisDown", cluster="main"))

    assert Allow() == await review(Dependencies(other, None), a_case(rule=MAIN))
    assert isinstance(await review(Dependencies(main, None), a_case(rule=MAIN)), Hold)


async def test_more_alerts_than_can_be_looked_through_hold() -> None:
    """What was not looked at may be the one."""
    store = OpenAlerts(*(an_occurrence(n, alertname="RedisDown", cluster="b") for n in range(500)))

    said = await review(Dependencies(store, None), a_case(rule=MAIN))

    told = "500 alerts called PostgreSQLDown or RedisDown are open, too many to look through"
    assert Hold(Reason.DEPENDENCY_UNCERTAIN, AT + 30 * SECOND, told) == said


async def test_a_run_about_the_dependency_itself_does_not_wait_for_itself() -> None:
    """Or nothing would ever repair the database."""
    rule = {"match": ['alertname=~"PostgreSQLDown|ApiDown"'], **DATABASE}
    down = {"alertname": "PostgreSQLDown", "instance": "db1"}
    guard = Dependencies(OpenAlerts(an_occurrence(1, **down)), None)

    assert Allow() == await review(guard, a_case(rule=rule, labels=down))
    assert isinstance(await review(guard, a_case(rule=rule, labels={"alertname": "ApiDown"})), Hold)


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ((), Allow),
        (({"alertname": "PostgreSQLDown", "instance": "db2"},), Allow),
        (({"alertname": "ApiDown"},), Hold),
        (({"alertname": "PostgreSQLDown", "instance": "db2"},) * 500, Hold),
    ],
)
async def test_a_group_waits_unless_all_of_it_is_about_the_dependency(
    others: tuple[dict[str, str], ...], expected: type
) -> None:
    """Which of its alerts came first says nothing: the remedy may be for those that need the database."""
    down = {"alertname": "PostgreSQLDown", "instance": "db1"}
    rule = {"match": ['alertname=~"PostgreSQLDown|ApiDown"'], "summary": "down", "group_by": ["cluster"], **DATABASE}
    store = OpenAlerts(an_occurrence(1, **down), *(an_occurrence(2 + n, **one) for n, one in enumerate(others)))

    assert expected is type(await review(Dependencies(store, None), a_case(rule=rule, labels=down)))


async def test_what_only_alertmanager_knows_of_holds_silenced_or_not(world: World) -> None:
    """A silenced alert is not sent, and what it tells of is down all the same."""
    fake, asking = world
    fake.fire({"alertname": "RedisDown", "cluster": "b"})
    guard = Dependencies(OpenAlerts(), asking)

    assert Allow() == await review(guard, a_case(rule=MAIN))
    fake.fire({"alertname": "RedisDown", "cluster": "main"}, silenced=["s-1"])
    said = await review(guard, a_case(rule=MAIN))

    told = "RedisDown (cluster='main') fires, as Alertmanager says; it is held until that has resolved"
    assert Hold(Reason.DEPENDENCY_DOWN, AT + 30 * SECOND, told) == said


async def test_without_alertmanagers_answer_it_holds_and_after_a_while_a_person_may_decide(
    world: World, clock: VirtualClock
) -> None:
    """Our own store knows only what was sent here."""
    fake, asking = world
    fake.status = 503
    guard = Dependencies(OpenAlerts(), asking)

    held = await review(guard, a_case(rule=DATABASE))
    await clock.advance(TOO_LONG)
    asked = await review(guard, a_case(rule=DATABASE))

    assert isinstance(held, Hold)
    assert isinstance(asked, Ask)
    assert [Reason.DEPENDENCY_UNCERTAIN] * 2 == [held.reason, asked.reason]


async def test_long_labels_are_cut() -> None:
    """Labels are somebody else's words, and a thread is for people."""
    store = OpenAlerts(an_occurrence(1, alertname="PostgreSQLDown", note="x" * 10_000))

    said = await review(Dependencies(store, None), a_case(rule=DATABASE))

    assert isinstance(said, Hold)
    assert 400 > len(said.detail)
