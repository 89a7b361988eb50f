"""A post that may have landed is looked for, and one that surely did not is sent plainly."""

import asyncio
from contextlib import suppress
from datetime import timedelta

import pytest

from remediator.chat.chat import REPEATED, CannotTell, Found, Landed, NotLanded, Outgoing
from remediator.chat.slack import SlackChat
from remediator.errors import Failed, OutcomeUnknown, Transient
from remediator.testing.slack import SlackStandIn
from tests.unit.pipeline.desk import SECOND, Desk, methods, threads


@pytest.mark.parametrize(
    ("fault", "by_id", "shown"),
    [
        ("land_then_reset", True, ["r1 fires"]),
        ("land_then_hang", True, ["r1 fires"]),
        ("hang", True, ["r1 fires"]),
        ("hang", False, [f"r1 fires\n{REPEATED}"]),
        ("land_then_reset", False, ["r1 fires", f"r1 fires\n{REPEATED}"]),
    ],
)
async def test_a_post_that_may_have_landed_is_looked_for(
    desk: Desk, slack: SlackStandIn, slack_chat: SlackChat, fault: str, by_id: bool, shown: list[str]
) -> None:
    """Neither lost, nor told twice as if it were news; with a channel's name Slack lets nobody look."""
    desk.poster(slack_chat)
    await desk.clock.advance(timedelta(minutes=1))
    await desk.open("r1", channel=slack.channel_id("c") if by_id else "#c")
    slack.fail_next("chat.postMessage", **{fault: True})  # type: ignore[arg-type]  # a flag of that name
    await desk.outbox.send_waiting()
    await desk.pass_time(11 * SECOND)
    early = methods(slack)
    await desk.pass_time(3 * SECOND)

    assert {"chat.postMessage": 1} == early
    assert shown == [text for thread in threads(slack.messages["c"]) for text in thread]
    assert [] == await desk.waiting()


@pytest.mark.parametrize("verb", ["find", "edit"])
async def test_looking_and_editing_may_fail_a_while(desk: Desk, verb: str) -> None:
    """What landed is still neither lost nor sent again."""
    await desk.open("r1")
    faults: dict[str, list[Exception]] = {
        "post": [OutcomeUnknown("reset")],
        verb: [Transient("busy"), Transient("busy")],
    }

    def fail(called: str, _post: Outgoing) -> None:
        if faults.get(called):
            raise faults[called].pop(0)

    desk.chat.before, desk.chat.found = fail, Landed("ref-r1/parent")
    await desk.pass_time(40 * SECOND)

    assert 1 == desk.chat.calls.count("post r1/parent")
    assert {"ref-r1/parent": "r1 fires"} == desk.chat.shown
    assert [] == await desk.waiting()


async def test_what_landed_and_can_no_longer_be_edited_is_given_up(desk: Desk) -> None:
    """Somebody has deleted it; to look for it and to edit it for ever would serve nobody."""
    claim = await desk.open("r1")
    desk.chat.found = Landed("ref-r1/parent")

    def fail(called: str, post: Outgoing) -> None:
        if called == "post" and post.mark == "r1/parent":
            raise OutcomeUnknown("reset")
        if called == "edit":
            raise Failed("cant_update_message")

    desk.chat.before = fail
    await desk.tell(claim, "one")
    await desk.pass_time(timedelta(minutes=3))

    assert 5 == desk.chat.calls.count("edit r1/parent")
    assert 1 == desk.chat.calls.count("find r1/parent")
    assert {"ref-r1/one": "one"} == desk.chat.shown
    assert [] == await desk.waiting()
    assert desk.outbox.trouble is None


async def test_an_edit_that_succeeds_at_last_has_all_its_tries_again(desk: Desk) -> None:
    """Given up is what never works, not what failed five times in a week."""
    claim = await desk.open("r1")
    await desk.outbox.send_waiting()
    faults: list[Exception] = []

    def fail(_verb: str, _post: Outgoing) -> None:
        if faults:
            raise faults.pop()

    desk.chat.before = fail
    for status in ("acting", "healed"):
        faults += [Failed("internal")] * 4
        await desk.tell(claim, parent=status)
        await desk.pass_time(timedelta(minutes=1))

    assert {"ref-r1/parent": "healed"} == desk.chat.shown
    assert 11 == len(desk.chat.calls)


@pytest.mark.parametrize(
    ("found", "shown", "posts"),
    [
        (Landed("ref-r1/parent"), {"ref-r1/parent": "r1 fires"}, 1),
        (NotLanded(), {"ref-r1/parent": "r1 fires"}, 2),
        (CannotTell("a name"), {"ref-r1/parent": f"r1 fires ({REPEATED})"}, 2),
    ],
    ids=["landed", "not-landed", "cannot-tell"],
)
async def test_what_a_killed_process_was_sending_is_looked_for(
    desk: Desk, found: Found, shown: dict[str, str], posts: int
) -> None:
    """A crash between Slack's answer and our note must not tell it twice, nor one before it lose it."""
    await desk.open("r1")

    def die(_verb: str, _post: Outgoing) -> None:
        raise asyncio.CancelledError

    desk.chat.before = die
    with suppress(asyncio.CancelledError):
        await desk.outbox.send_waiting()
    desk.chat.before, desk.chat.found = (lambda _verb, _post: None), found
    desk.poster()
    await desk.pass_time(11 * SECOND)
    early = desk.chat.calls[:]
    await desk.pass_time(9 * SECOND)

    assert ["post r1/parent"] == early  # what is still on its way is found only once it is there
    assert shown == desk.chat.shown
    assert posts == desk.chat.calls.count("post r1/parent")
    assert [] == await desk.waiting()


async def test_what_no_process_has_begun_to_send_is_sent_plainly(desk: Desk) -> None:
    """After an outage thousands may wait: to look for each, or to mark each as a repeat, would be noise."""
    await desk.open("r1", "one")
    desk.chat.found = CannotTell("a name")
    await desk.clock.advance(timedelta(hours=1))
    desk.poster()
    await desk.outbox.send_waiting()

    assert ["post r1/parent", "post r1/one"] == desk.chat.calls
    assert ["r1 fires", "one"] == list(desk.chat.shown.values())


async def test_a_post_that_surely_did_not_land_is_not_looked_for(desk: Desk) -> None:
    """Slack said that it had no time, so there is nothing to find."""
    await desk.open("r1")
    faults = [Transient("busy"), Failed("no_text")]

    def fail(verb: str, _post: Outgoing) -> None:
        if verb == "post" and faults:
            raise faults.pop(0)

    desk.chat.before, desk.chat.found = fail, CannotTell("a name")
    await desk.pass_time(20 * SECOND)

    assert ["post r1/parent"] * 3 == desk.chat.calls
    assert {"ref-r1/parent": "r1 fires"} == desk.chat.shown
