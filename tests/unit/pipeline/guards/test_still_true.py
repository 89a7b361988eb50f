"""What does not fire any more is not remedied, and what people have silenced is left alone."""

from datetime import timedelta

from remediator.clients.alertmanager import CREATED_BY
from remediator.model.outcome import Reason
from remediator.model.run import Resolved
from remediator.pipeline.guards import Allow, Ask, Hold, Refuse
from remediator.pipeline.guards.asking import ASK_AGAIN, TOO_LONG
from remediator.pipeline.guards.still_true import StillTrue
from remediator.testing.clock import VirtualClock
from tests.unit.pipeline.guards.probing import (
    AT,
    DOWN,
    SECOND,
    OpenAlerts,
    World,
    a_case,
    a_prometheus,
    an_alertmanager,
    an_occurrence,
    review,
)

GROUPED = {"group_by": ["alertname"]}
WEB, SHOP = DOWN, {"alertname": "Down", "service": "shop"}


NOBODY = OpenAlerts()


async def test_without_an_alertmanager_the_webhook_has_the_last_word() -> None:
    """There is nobody else to ask."""
    guard = StillTrue(NOBODY, None)

    assert Allow() == await review(guard, a_case())
    said = await review(guard, a_case(signals=[Resolved(AT - SECOND)]))
    missed = await review(guard, a_case(signals=[Resolved(AT - SECOND, missed=True)]))

    when = "(2026-01-01 11:59:59 UTC)"
    assert Refuse(Reason.NOT_FIRING, f"the webhook has said that it has resolved {when}") == said
    assert Refuse(Reason.NOT_FIRING, f"nothing was heard of it for too long {when}") == missed


async def test_who_was_asked_is_told(world: World) -> None:
    """People weigh them differently."""
    assert "Alertmanager" == StillTrue(NOBODY, world[1]).source
    assert "what the webhook has said last" == StillTrue(NOBODY, None).source
    async with a_prometheus(VirtualClock(AT)) as (_, rules):
        assert "Prometheus" == StillTrue(NOBODY, None, rules).source
        assert "Alertmanager" == StillTrue(NOBODY, world[1], rules).source


async def test_what_alertmanager_has_firing_is_remedied(world: World) -> None:
    """One question, and it is done."""
    fake, asking = world
    fake.fire(WEB)

    assert Allow() == await review(StillTrue(NOBODY, asking), a_case())
    assert ["/api/v2/alerts"] == fake.asked


async def test_what_alertmanager_does_not_have_firing_is_refused(world: World) -> None:
    """The resolve may be under way, or was never sent; another alert of that name is none."""
    fake, asking = world
    fake.fire({**WEB, "zone": "a"})

    said = await review(StillTrue(NOBODY, asking), a_case())

    assert (
        Refuse(
            Reason.NOT_FIRING, "Alertmanager does not have it firing now (it does not know what others have sent here)"
        )
        == said
    )


async def test_a_resolve_that_was_heard_needs_no_question(world: World) -> None:
    """It may fire again by now: that is another occurrence, with a run of its own."""
    fake, asking = world
    fake.fire(WEB)

    assert isinstance(await review(StillTrue(NOBODY, asking), a_case(signals=[Resolved(AT)])), Refuse)
    assert [] == fake.asked


async def test_one_alert_of_a_group_that_fires_is_enough(world: World) -> None:
    """The remedy is for all of them; the first may have healed meanwhile."""
    fake, asking = world
    fake.fire(SHOP)
    guard = StillTrue(OpenAlerts(an_occurrence(1, **WEB), an_occurrence(2, **SHOP)), asking)

    assert Allow() == await review(guard, a_case(rule=GROUPED))
    fake.alerts.clear()
    said = await review(guard, a_case(rule=GROUPED))
    assert isinstance(said, Refuse)
    assert "any of the group's 2 alerts" in said.detail


async def test_a_group_none_of_which_is_open_is_refused(world: World) -> None:
    """Its last resolve is on its way to the run."""
    said = await review(StillTrue(NOBODY, world[1]), a_case(rule=GROUPED))

    assert Refuse(Reason.NOT_FIRING, "none of the group's alerts is open any more") == said


async def test_a_large_group_is_not_asked_for_to_the_end(world: World) -> None:
    """Thousands of questions would be an outage of their own; what was not asked for is not known, so it holds."""
    fake, asking = world
    members = OpenAlerts(*(an_occurrence(n, alertname="Down", n=str(n)) for n in range(1000)))

    said = await review(StillTrue(members, asking), a_case(rule=GROUPED))

    assert isinstance(said, Hold)
    assert Reason.ALERT_UNCERTAIN == said.reason
    assert 20 == len(fake.asked)


async def test_what_people_have_silenced_is_left_alone_until_the_silence_is_over(world: World) -> None:
    """Somebody works on it: who, until when, and why is told."""
    fake, asking = world
    fake.silence("s-1", by="ann", comment="moving the disks")
    fake.fire(WEB, silenced=["s-1"])

    said = await review(StillTrue(NOBODY, asking), a_case())

    told = "silenced by ann until 2026-01-01 13:00:00 UTC: “moving the disks”"
    assert Hold(Reason.SILENCED, AT + 30 * SECOND, told) == said


async def test_a_silence_of_our_own_is_about_noise(world: World) -> None:
    """Or no rule could silence the noise of what it repairs; a person's silence beside it still counts."""
    fake, asking = world
    fake.silence("ours", by=CREATED_BY)
    fake.silence("theirs", by="ann")
    fake.fire(WEB, silenced=["ours"])

    assert Allow() == await review(StillTrue(NOBODY, asking), a_case())
    fake.alerts.clear()
    fake.fire(WEB, silenced=["ours", "theirs"])
    assert isinstance(await review(StillTrue(NOBODY, asking), a_case()), Hold)


async def test_an_inhibited_alert_is_left_alone(world: World) -> None:
    """What inhibits it is the cause."""
    fake, asking = world
    fake.fire(WEB, inhibited=["4f5e"])

    said = await review(StillTrue(NOBODY, asking), a_case())

    assert Hold(Reason.SILENCED, AT + 30 * SECOND, "inhibited by 1 other alert as long as that fires") == said


async def test_more_silences_than_are_looked_at_hold(world: World) -> None:
    """Each costs a question."""
    fake, asking = world
    fake.fire(WEB, silenced=[f"s-{n}" for n in range(6)])

    said = await review(StillTrue(NOBODY, asking), a_case())

    assert Hold(Reason.SILENCED, AT + 30 * SECOND, "6 silences hold for it") == said
    assert ["/api/v2/alerts"] == fake.asked


async def test_a_group_is_silenced_only_where_all_that_fires_is(world: World) -> None:
    """One alert that nobody has silenced is reason enough."""
    fake, asking = world
    fake.silence("s-1", by="ann")
    fake.fire(WEB, silenced=["s-1"])
    guard = StillTrue(OpenAlerts(an_occurrence(1, **WEB), an_occurrence(2, **SHOP)), asking)

    held = await review(guard, a_case(rule=GROUPED))
    fake.fire(SHOP)

    assert isinstance(held, Hold)
    assert Allow() == await review(guard, a_case(rule=GROUPED))


async def test_without_an_answer_it_is_held_and_the_same_is_told_at_each_look(
    world: World, clock: VirtualClock
) -> None:
    """A hold that is told in other words each time would fill the thread."""
    fake, asking = world
    fake.status = 503
    guard = StillTrue(NOBODY, asking)

    first = await review(guard, a_case())
    await clock.advance(30 * SECOND)
    second = await review(guard, a_case())

    assert isinstance(first, Hold)
    assert (Reason.ALERT_UNCERTAIN, AT + ASK_AGAIN) == (first.reason, first.until)
    assert first == second
    assert "answered 503" in first.detail
    assert "it is asked every 10s, and from 2026-01-01 12:05:00 UTC on a person may decide" in first.detail
    assert 2 == len(fake.asked)


async def test_when_there_is_no_answer_for_too_long_a_person_may_decide(world: World, clock: VirtualClock) -> None:
    """A dead Alertmanager must not tie the hands of those who see what happens."""
    fake, asking = world
    fake.status = 503
    guard = StillTrue(NOBODY, asking)

    await review(guard, a_case())
    await clock.advance(TOO_LONG)
    said = await review(guard, a_case())

    assert isinstance(said, Ask)
    assert "so it has been since 2026-01-01 12:00:00 UTC, and a person has to decide" in said.detail


async def test_an_answer_ends_it(world: World, clock: VirtualClock) -> None:
    """The time without answers is counted anew after one."""
    fake, asking = world
    guard = StillTrue(NOBODY, asking)
    fake.fire(WEB)
    fake.status = 503
    await review(guard, a_case())
    await clock.advance(TOO_LONG - SECOND)
    fake.status = 200
    assert Allow() == await review(guard, a_case())
    fake.status = 503
    await clock.advance(TOO_LONG)

    assert isinstance(await review(guard, a_case()), Hold)


async def test_what_gave_no_answer_is_left_alone_for_a_while(world: World) -> None:
    """Each run would wait for it in turn, and none would get on."""
    fake, asking = world
    fake.status = 503
    guard = StillTrue(NOBODY, asking)

    said = [await review(guard, a_case()) for _ in range(5)]

    assert 1 == len(set(said))
    assert 1 == len(fake.asked)


async def test_a_question_that_alertmanager_refuses_is_for_a_person(world: World) -> None:
    """An old one cannot look for some names of labels, and never will: waiting does not help."""
    fake, asking = world
    fake.status = 400

    said = await review(StillTrue(NOBODY, asking), a_case())

    assert isinstance(said, Ask)
    assert Reason.ALERT_UNCERTAIN == said.reason
    assert "out of cheese" in said.detail


async def test_an_alertmanager_that_hangs_holds(clock: VirtualClock) -> None:
    """It is not waited for longer than its own time limit says, or than a few seconds."""
    async with an_alertmanager(clock, timeout=timedelta(seconds=0.2)) as (fake, asking):
        fake.hangs = True

        assert isinstance(await review(StillTrue(NOBODY, asking), a_case()), Hold)
