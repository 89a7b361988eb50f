"""What is stuck keeps nobody else waiting."""

import asyncio
from datetime import timedelta

import pytest

from remediator.chat.chat import Outgoing
from remediator.chat.slack import SlackChat
from remediator.errors import Failed, OutcomeUnknown, Transient
from remediator.testing.slack import SlackStandIn, StoredMessage
from tests.unit.pipeline.desk import SECOND, Desk, methods


async def test_a_hopeless_edit_is_given_up_and_blocks_nobody(
    desk: Desk, slack: SlackStandIn, slack_chat: SlackChat
) -> None:
    """A person may delete a message; the rest of the story goes on in the thread."""
    desk.poster(slack_chat)
    claim = await desk.open("r1", "one")
    await desk.outbox.send_waiting()
    slack.delete("c", slack.messages["c"][0].ts)
    slack.messages["c"].insert(0, dead_parent(slack.messages["c"][0]))
    await desk.tell(claim, "two", parent="healed")
    slack.fail_next("chat.update", times=5, error="message_not_found")
    await desk.open("r2")
    await desk.pass_time(3 * SECOND)
    soon = [message.text.split(" ", 1)[1] for message in slack.messages["c"]]
    await desk.pass_time(timedelta(minutes=2))
    tries = methods(slack)["chat.update"]
    await desk.pass_time(timedelta(minutes=10), step=5 * SECOND)

    assert ["deleted", "one", "two", "r2 fires"] == soon
    assert 5 == tries == methods(slack)["chat.update"]
    assert [] == await desk.waiting()
    assert 1 == desk.metrics.registry.get_sample_value("remediator_posts_total", {"result": "given_up"})


def dead_parent(reply: StoredMessage) -> StoredMessage:
    """What Slack leaves of a deleted message that has replies."""
    assert reply.thread_ts is not None
    return StoredMessage(reply.channel, reply.thread_ts, None, "- deleted", [], None, [])


@pytest.mark.parametrize("error", [Failed("not_in_channel"), OutcomeUnknown("reset"), ValueError("cannot be made")])
async def test_a_channel_that_fails_keeps_no_other_waiting(desk: Desk, error: Exception) -> None:
    """The bot was thrown out of one channel; the others know nothing of it. A bug of ours stays with its message."""

    def fail(_verb: str, post: Outgoing) -> None:
        if post.channel == "#gone":
            raise error

    desk.chat.before = fail
    for number in range(3):
        await desk.open(f"g{number}", "one", channel="#gone")
        await desk.open(f"r{number}", "one")
    await desk.outbox.send_waiting()
    tries = len([call for call in desk.chat.calls if " g" in call])
    stuck = await desk.waiting()
    desk.chat.before = lambda _verb, _post: None
    await desk.pass_time(timedelta(minutes=6), step=5 * SECOND)

    assert [f"g{number}/{key}" for number in range(3) for key in ("parent", "one")] == stuck
    assert 1 == tries
    assert [] == await desk.waiting()


async def test_one_message_that_is_always_delayed_does_not_starve_the_rest(desk: Desk) -> None:
    """A fault of one thread or channel looks like one of all Slack; only that others are taken tells them apart."""

    def fail(_verb: str, post: Outgoing) -> None:
        if post.mark.startswith("stuck"):
            raise Transient("busy", retry_after=5 * SECOND)

    desk.chat.before = fail
    await desk.open("stuck")
    for number in range(20):
        await desk.open(f"r{number}")
    await desk.pass_time(timedelta(minutes=1))
    soon = await desk.waiting()
    desk.chat.before = lambda _verb, _post: None
    await desk.pass_time(timedelta(minutes=6), step=5 * SECOND)

    assert ["stuck/parent"] == soon
    assert [] == await desk.waiting()


async def test_what_was_held_up_gets_its_turn_while_others_keep_coming(desk: Desk) -> None:
    """A busy day must not push a message to the end of a line that never ends."""
    desk.poster(interval=SECOND)
    faults = [Transient("busy")] * 2

    def fail(_verb: str, post: Outgoing) -> None:
        if post.mark == "first/parent" and faults:
            raise faults.pop()

    desk.chat.before = fail
    await desk.open("first")
    for number in range(60):
        await desk.open(f"r{number}")
        await desk.pass_time(SECOND)

    assert "first fires" in desk.chat.shown.values()


async def test_a_thousand_posts_that_are_stuck_starve_nobody(desk: Desk) -> None:
    """They stand before everything that comes later, as long as somebody has not invited the bot."""
    desk.poster(interval=SECOND)

    def fail(_verb: str, post: Outgoing) -> None:
        if post.channel == "#gone":
            raise Failed("not_in_channel")

    desk.chat.before = fail
    for number in range(1000):
        await desk.open(f"g{number}", channel="#gone")
    await desk.open("r1", "one", "two")
    await desk.pass_time(3 * SECOND)

    assert ["r1 fires", "one", "two"] == list(desk.chat.shown.values())


async def test_replies_wait_for_a_refused_one_but_not_for_ever(desk: Desk) -> None:
    """A short trouble must not mix up the order; a message that Slack never takes must not end the story."""

    def fail(_verb: str, post: Outgoing) -> None:
        if post.mark == "r1/bad":
            raise Failed("invalid_blocks")

    desk.chat.before = fail
    await desk.open("r1", "bad", "good", "better")
    await desk.pass_time(10 * SECOND)
    early = list(desk.chat.shown.values())
    await desk.pass_time(timedelta(minutes=1))
    late = list(desk.chat.shown.values())
    desk.chat.before = lambda _verb, _post: None
    await desk.pass_time(timedelta(minutes=6), step=5 * SECOND)

    assert ["r1 fires"] == early
    assert ["r1 fires", "good", "better"] == late
    assert ["r1 fires", "good", "better", "bad"] == list(desk.chat.shown.values())


@pytest.mark.parametrize("full_for", ["note_sent", "note_attempt"])
async def test_a_full_disk_neither_ends_the_poster_nor_doubles_a_message(desk: Desk, full_for: str) -> None:
    """The story goes on when there is room again; what was sent meanwhile is noted then, not sent again."""
    desk.store.full_for = full_for
    work = asyncio.create_task(desk.outbox.work(), name="outbox")
    await desk.open("r1", "one")
    for _ in range(6):
        await desk.clock.advance(SECOND)
        await desk.store.outbox_state()
    alive, early = not work.done(), desk.chat.calls[:]
    desk.store.full_for = ""
    for _ in range(200):
        await desk.clock.advance(SECOND)
        if not await desk.waiting():
            break
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)

    assert alive
    assert (["post r1/parent"] if full_for == "note_sent" else []) == early
    assert ["post r1/parent", "post r1/one"] == desk.chat.calls


async def test_a_message_that_cannot_be_read_does_not_end_the_service(desk: Desk) -> None:
    """The service heals more than it tells; that nothing is told meanwhile shows in its readiness."""
    await desk.open("r1")
    await desk.store._write(lambda db: db.execute("UPDATE post SET message = '{'"))
    work = asyncio.create_task(desk.outbox.work(), name="outbox")
    while desk.outbox.trouble is None and not work.done():
        await desk.clock.advance(SECOND)
        await desk.store.outbox_state()
    alive = not work.done()
    await desk.store._write(
        lambda db: db.execute("""UPDATE post SET message = '{"tone": "firing", "title": "down"}'""")
    )
    while alive and await desk.waiting():
        await desk.clock.advance(SECOND)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)

    assert alive
    assert ["post r1/parent"] == desk.chat.calls
