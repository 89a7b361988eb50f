"""The outbox tells everything, in order, once, whatever chat does."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from remediator.chat.chat import Outgoing
from remediator.chat.slack import SlackChat
from remediator.errors import Failed
from remediator.kit.metrics import Metrics
from remediator.model.message import PARENT, Message, Post, Tone
from remediator.storage.runs import Entry
from remediator.testing.clock import VirtualClock
from remediator.testing.slack import SlackStandIn
from tests.unit.pipeline.desk import RULE, SECOND, Desk, WeakStore, threads


async def test_each_run_is_a_thread_with_its_replies_in_order(
    desk: Desk, slack: SlackStandIn, slack_chat: SlackChat
) -> None:
    """The story is read from top to bottom; a reply before its parent would be a thread of its own."""
    desk.poster(slack_chat)
    first = await desk.open("r1", "one", "two")
    await desk.open("r2", "one")
    await desk.tell(first, "three")
    await desk.outbox.send_waiting()

    assert [["r1 fires", "one", "two", "three"], ["r2 fires", "one"]] == threads(slack.messages["c"])
    assert [] == await desk.waiting()


async def test_edits_of_the_opening_message_become_one(desk: Desk) -> None:
    """Slack's pace allows one call a second; what nobody has seen yet need not be told."""
    claim = await desk.open("r1")
    for status in ("acting", "checking", "healed"):
        await desk.tell(claim, parent=status)
    await desk.outbox.send_waiting()
    for status in ("closing", "closed"):
        await desk.tell(claim, parent=status)
    await desk.outbox.send_waiting()

    assert ["post r1/parent", "edit r1/parent"] == desk.chat.calls
    assert {"ref-r1/parent": "closed"} == desk.chat.shown


async def test_an_edit_that_comes_while_its_message_is_sent_is_not_lost(desk: Desk) -> None:
    """Noting the older version as sent must not hide the newer one."""
    claim = await desk.open("r1")
    tasks: list[asyncio.Task[None]] = []

    def news(verb: str, _post: Outgoing) -> None:
        if verb == "post":
            tasks.append(asyncio.create_task(desk.tell(claim, parent="healed")))

    desk.chat.before = news
    await desk.outbox.send_waiting()
    await asyncio.gather(*tasks)
    await desk.outbox.send_waiting()

    assert {"ref-r1/parent": "healed"} == desk.chat.shown
    assert [] == await desk.waiting()


async def test_each_channel_has_a_pace_of_its_own(desk: Desk) -> None:
    """Slack takes one message a second in a channel; one with much to tell must not slow the others."""
    desk.poster(interval=SECOND)
    for number in range(4):
        await desk.open(f"a{number}", channel="#a")
    await desk.open("b0", channel="#b")
    seen: list[int] = []
    for _ in range(8):
        await desk.outbox.send_waiting()
        seen.append(len(desk.chat.calls))
        await desk.clock.advance(SECOND / 2)

    assert [2, 2, 3, 3, 4, 4, 5, 5] == seen
    assert ["post a0/parent", "post b0/parent"] == desk.chat.calls[:2]


async def test_all_wait_when_slack_asks_for_time(desk: Desk, slack: SlackStandIn, slack_chat: SlackChat) -> None:
    """Calling on through a rate limit makes it longer."""
    desk.poster(slack_chat)
    await desk.open("r1", "one")
    await desk.open("r2", channel="#other")
    slack.fail_next("chat.postMessage", status=429, error="ratelimited", retry_after=30)
    await desk.pass_time(29 * SECOND)
    calls, trouble = len(slack.calls), desk.outbox.trouble
    await desk.pass_time(2 * SECOND)

    assert 1 == calls
    assert trouble is not None
    assert "Slack has no time" in trouble
    assert [["r1 fires", "one"]] == threads(slack.messages["c"])
    assert [["r2 fires"]] == threads(slack.messages["other"])
    assert desk.outbox.trouble is None


async def test_after_an_hour_without_slack_everything_arrives_in_order(
    desk: Desk, slack: SlackStandIn, slack_chat: SlackChat
) -> None:
    """An outage of chat delays no remedy, and afterwards nothing of the story is missing."""
    desk.poster(slack_chat, interval=SECOND)
    await slack.close()
    claims = [await desk.open(f"r{number}", "evidence") for number in range(6)]
    await desk.pass_time(timedelta(minutes=30), step=5 * SECOND)
    for claim in claims:
        await desk.tell(claim, "plan", "done", parent=f"{claim.run} healed")
    await desk.pass_time(timedelta(minutes=30), step=5 * SECOND)
    quiet = slack.messages["c"][:]
    await slack.start()
    await desk.pass_time(timedelta(minutes=2))

    assert [] == quiet
    assert [[f"r{number} healed", "evidence", "plan", "done"] for number in range(6)] == threads(slack.messages["c"])
    assert [] == await desk.waiting()


@pytest.mark.parametrize("hours", [-1, 1])
async def test_a_jump_of_the_wall_clock_changes_nothing(desk: Desk, hours: int) -> None:
    """NTP or an operator may set the clock back; nobody is to wait an hour for the next message."""
    desk.poster(interval=SECOND)
    await desk.open("r1", "one")
    await desk.outbox.send_waiting()
    desk.clock.jump(timedelta(hours=hours))
    await desk.open("r2")
    await desk.pass_time(3 * SECOND)

    assert ["post r1/parent", "post r1/one", "post r2/parent"] == desk.chat.calls


async def test_what_waits_is_measured(desk: Desk) -> None:
    """An operator alerts on it."""

    def fail(_verb: str, _post: Outgoing) -> None:
        raise Failed("invalid_auth")

    desk.chat.before = fail
    await desk.open("r1", "one")
    await desk.pass_time(10 * SECOND)
    value = desk.metrics.registry.get_sample_value
    before = value("remediator_outbox_waiting"), value("remediator_outbox_age_seconds")
    desk.chat.before = lambda _verb, _post: None
    await desk.pass_time(10 * SECOND)

    assert (2, 10) == before
    assert (0, 0) == (value("remediator_outbox_waiting"), value("remediator_outbox_age_seconds"))
    assert 2 == value("remediator_posts_total", {"result": "sent"})
    assert desk.outbox.trouble is None


async def test_what_may_wait_is_measured_apart_and_sent_at_last(desk: Desk) -> None:
    """After a storm it takes hours, at chat's own pace: that is no alert, and what is new goes first."""
    desk.poster(interval=SECOND)
    for number in range(9):
        held = Post(PARENT, Message(Tone.WAITING, f"r{number} held"), is_minor=True)
        await desk.store.learn(await desk.open(f"r{number}"), Entry((), [held]))
    await desk.pass_time(3 * SECOND)
    value = desk.metrics.registry.get_sample_value
    names = ("remediator_outbox_waiting", "remediator_outbox_age_seconds", "remediator_outbox_minor")
    before = [value(name) for name in names]
    await desk.open("new", "one")
    await desk.pass_time(2 * SECOND)
    told = list(desk.chat.calls)
    await desk.pass_time(10 * SECOND)

    assert [0, 0] == before[:2]
    assert before[2] in {5, 6}
    assert ["post new/parent", "post new/one"] == [call for call in told if "new" in call] == told[-2:]
    assert [0, 0, 0] == [value(name) for name in names]
    assert 11 == len(desk.chat.calls)


async def test_a_store_on_disk_serves_the_poster_as_well(tmp_path: Path) -> None:
    """Its reads run beside its writes, so that a post could be seen as waiting that was just noted as sent."""
    clock = VirtualClock()
    store = WeakStore(tmp_path, clock=clock, metrics=Metrics())
    await store.open()
    await store.remember_rules({RULE: {"pack": "p"}})
    desk = Desk(store, clock)
    for number in range(20):
        await desk.open(f"r{number}", "one", "two")
    await desk.outbox.send_waiting()
    await store.close()

    assert 60 == len(desk.chat.calls) == len(set(desk.chat.calls))
