"""Notices are messages of their own: edited, found again, and sent anew."""

import io
from datetime import timedelta

import pytest

from remediator.chat.chat import REPEATED, Outgoing
from remediator.chat.slack import SlackChat
from remediator.chat.terminal import TerminalChat
from remediator.errors import Failed
from remediator.model.message import Message, Tone
from remediator.pipeline.outbox import Outbox
from remediator.testing.slack import SlackStandIn
from tests.unit.pipeline.desk import SECOND, Desk, threads


async def test_what_began_on_the_terminal_goes_on_in_slack(
    desk: Desk, slack: SlackStandIn, slack_chat: SlackChat
) -> None:
    """Many try it without Slack first; runs that wait for a person then must not be stuck in a chat that is gone."""
    claim = await desk.open("r1", "evidence", channel="terminal")
    await desk.outbox.send_waiting()
    await desk.open("r2", "evidence", channel="terminal")
    await desk.tell(claim, "closed")
    desk.outbox = Outbox(
        store=desk.store,
        chat=slack_chat,
        clock=desk.clock,
        metrics=desk.metrics,
        interval=timedelta(0),
        moved={"terminal": "#c"}.get,
    )
    await desk.outbox.send_waiting()
    await desk.tell(claim, "later", parent="r1 closed")
    await desk.outbox.send_waiting()

    assert [["r2 fires", "evidence"], ["r1 closed", "closed", "later"]] == threads(slack.messages["c"])
    assert [] == await desk.waiting()


def bad(title: str) -> Message:
    return Message(Tone.BAD, title)


async def test_a_notice_is_a_message_of_its_own_that_is_edited(
    desk: Desk, slack: SlackStandIn, slack_chat: SlackChat
) -> None:
    """What concerns no run is told in the same channel, before the threads that wait."""
    desk.poster(slack_chat)
    await desk.open("r1")
    await desk.store.notify("#c", "rules", bad("the rules are wrong"), desk.clock.now())
    await desk.open("r2", "one")
    await desk.outbox.send_waiting()
    before = threads(slack.messages["c"])
    await desk.store.notify("#c", "rules", Message(Tone.GOOD, "the rules are fine"), desk.clock.now())
    await desk.store.notify("#c", "disk", bad("the disk is full"), desk.clock.now())
    await desk.outbox.send_waiting()

    assert [["the rules are wrong"], ["r1 fires"], ["r2 fires", "one"]] == before
    assert [["the rules are fine"], ["r1 fires"], ["r2 fires", "one"], ["the disk is full"]] == threads(
        slack.messages["c"]
    )
    assert [] == await desk.waiting()


@pytest.mark.parametrize("by_id", [True, False])
async def test_a_notice_that_a_killed_process_was_sending_is_looked_for(
    desk: Desk, slack: SlackStandIn, slack_chat: SlackChat, by_id: bool
) -> None:
    """It is told at most once as news, as the messages of runs are."""
    desk.poster(slack_chat)
    await desk.clock.advance(timedelta(minutes=1))
    channel = slack.channel_id("c") if by_id else "#c"
    await desk.store.notify(channel, "rules", bad("wrong"), desk.clock.now())
    slack.fail_next("chat.postMessage", land_then_reset=True)
    await desk.outbox.send_waiting()
    desk.poster(slack_chat)
    await desk.pass_time(15 * SECOND)

    shown = [text for thread in threads(slack.messages["c"]) for text in thread]
    assert (["wrong"] if by_id else ["wrong", f"wrong\n{REPEATED}"]) == shown
    assert [] == await desk.waiting()


async def test_a_notice_whose_message_was_deleted_is_sent_anew(desk: Desk) -> None:
    """It has no thread to be told in, so giving up its edit would hide the next trouble."""
    await desk.store.notify("#c", "rules", bad("wrong"), desk.clock.now())
    await desk.outbox.send_waiting()
    await desk.store.notify("#c", "rules", bad("wrong again"), desk.clock.now())

    def fail(called: str, _post: Outgoing) -> None:
        if called == "edit":
            raise Failed("message_not_found")

    desk.chat.before = fail
    await desk.pass_time(timedelta(minutes=10), step=5 * SECOND)

    mark = "note/#c/rules"
    assert [f"post {mark}", *[f"edit {mark}"] * 5, f"post {mark}"] == desk.chat.calls
    assert {f"ref-{mark}": "wrong again"} == desk.chat.shown
    assert [] == await desk.waiting()


async def test_a_notice_that_began_on_the_terminal_is_told_in_slack(
    desk: Desk, slack: SlackStandIn, slack_chat: SlackChat
) -> None:
    """Whoever sets up Slack meanwhile finds in it what was left to tell."""
    await desk.store.notify("terminal", "rules", bad("wrong"), desk.clock.now())
    desk.outbox = Outbox(
        store=desk.store,
        chat=slack_chat,
        clock=desk.clock,
        metrics=desk.metrics,
        interval=timedelta(0),
        moved={"terminal": "#c"}.get,
    )
    await desk.outbox.send_waiting()
    await desk.store.notify("#c", "rules", Message(Tone.GOOD, "fine"), desk.clock.now())
    await desk.outbox.send_waiting()

    assert [["fine"]] == threads(slack.messages["c"])
    assert [] == await desk.waiting()


async def test_a_notice_on_a_terminal_is_known_as_one(desk: Desk) -> None:
    """Messages of runs carry the end of their run's id there."""
    screen = io.StringIO()
    terminal = TerminalChat(screen)
    desk.poster(terminal)
    await desk.store.notify("terminal", "rules", bad("the rules are wrong"), desk.clock.now())
    await desk.outbox.send_waiting()
    await terminal.close()

    assert "x [note] the rules are wrong\n" == screen.getvalue()
