"""The Slack chat through Slack's own library, against the stand-in on the wire."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remediator.chat.chat import REPEATED, CannotTell, Chat, Landed, NotLanded, Outgoing
from remediator.chat.slack import SlackChat
from remediator.clients.slack import SlackClient
from remediator.errors import Failed, OutcomeUnknown, Transient, Unavailable
from remediator.model.message import Excerpt, Fields, Message, Text, Tone
from remediator.testing.slack import SlackStandIn

CHANNEL = "C00000001"


@pytest.fixture
async def slack() -> AsyncIterator[SlackStandIn]:
    async with SlackStandIn() as server:
        yield server


@pytest.fixture
async def chat(slack: SlackStandIn) -> AsyncIterator[Chat]:
    chat = SlackChat(SlackClient(token=slack.token, base_url=slack.base_url, timeout=timedelta(seconds=2)))
    yield chat
    await chat.close()


def outgoing(
    title: str,
    *,
    thread: str | None = None,
    channel: str = "#alerts",
    mark: str = "run/parent",
    repeated: bool = False,
) -> Outgoing:
    return Outgoing(channel, Message(Tone.FIRING, title), thread, mark, datetime.now(UTC), repeated)


async def test_a_story_is_one_thread_whose_parent_is_edited(slack: SlackStandIn, chat: Chat) -> None:
    """What people see of a run."""
    await chat.check()
    parent = await chat.post(outgoing("web is down"))
    await chat.post(outgoing("restarting", thread=parent, mark="run/1"))
    await chat.edit(outgoing("healed"), parent)

    ts = parent.removeprefix(f"{CHANNEL}:")
    first, second = slack.thread("alerts", ts)
    assert ":red_circle: healed" == first.shown
    assert 1 == len(first.edits)
    assert (ts, " \nrestarting") == (second.thread_ts, second.shown)


async def test_a_reply_goes_to_its_threads_channel(slack: SlackStandIn, chat: Chat) -> None:
    """Also when the setting was changed while a run was under way."""
    parent = await chat.post(outgoing("web is down"))
    slack.add_channel("other")

    await chat.post(outgoing("restarting", thread=parent, channel="#other"))

    assert (2, 0) == (len(slack.messages["alerts"]), len(slack.messages["other"]))


async def test_a_repeat_is_said(slack: SlackStandIn, chat: Chat) -> None:
    """People must not take one event for two."""
    await chat.post(outgoing("web is down", repeated=True))

    assert REPEATED in slack.messages["alerts"][0].shown


@pytest.mark.parametrize("in_thread", [False, True], ids=["parent", "reply"])
async def test_a_message_that_landed_before_a_crash_is_found(slack: SlackStandIn, chat: Chat, in_thread: bool) -> None:
    """Then it is not shown a second time."""
    parent = await chat.post(outgoing("else", mark="run/else", channel=CHANNEL)) if in_thread else None
    post = outgoing("x", thread=parent, mark="run/1", channel=CHANNEL)
    slack.fail_next("chat.postMessage", land_then_reset=True)
    before = await chat.find(post)
    with pytest.raises(OutcomeUnknown):
        await chat.post(post)

    after = await chat.find(post)

    assert NotLanded() == before
    assert Landed(f"{CHANNEL}:{slack.messages['alerts'][-1].ts}") == after
    assert isinstance(after, Landed)
    await chat.edit(post, after.ref)


async def test_a_message_is_found_among_many(slack: SlackStandIn, chat: Chat) -> None:
    """An incident fills more than one page."""
    post = outgoing("x", channel=CHANNEL)
    ref = await chat.post(post)
    for n in range(250):
        await chat.post(outgoing("noise", channel=CHANNEL, mark=f"noise/{n}"))

    assert Landed(ref) == await chat.find(post)


async def test_a_thread_is_searched_where_the_channel_is_a_name(slack: SlackStandIn, chat: Chat) -> None:
    """The parent's reference holds the channel's id."""
    parent = await chat.post(outgoing("parent"))
    reply = outgoing("x", thread=parent, mark="run/1")

    assert NotLanded() == await chat.find(reply)


async def test_a_name_is_enough_once_something_was_posted(slack: SlackStandIn, chat: Chat) -> None:
    """Slack's answer tells the id; a name alone cannot be searched."""
    post = outgoing("x", mark="run/2")
    unknown = await chat.find(post)
    await chat.post(outgoing("else"))

    known = await chat.find(post)

    assert isinstance(unknown, CannotTell)
    assert "slack.channel" in unknown.why
    assert NotLanded() == known


async def test_without_the_scope_it_cannot_be_told(slack: SlackStandIn, chat: Chat) -> None:
    """The scope is optional: then a message may be repeated, with a note."""
    slack.scopes.discard("channels:history")

    found = await chat.find(outgoing("x", channel=CHANNEL))

    assert isinstance(found, CannotTell)
    assert "channels:history" in found.why


async def test_an_older_message_is_not_looked_at(slack: SlackStandIn, chat: Chat) -> None:
    """The search begins a minute before the message was queued: our clock and Slack's differ."""
    post = outgoing("x", channel=CHANNEL)
    ref = await chat.post(post)
    later = Outgoing(CHANNEL, post.message, None, post.mark, post.queued_at + timedelta(minutes=30))
    a_little_later = Outgoing(CHANNEL, post.message, None, post.mark, post.queued_at + timedelta(seconds=30))

    assert NotLanded() == await chat.find(later)
    assert Landed(ref) == await chat.find(a_little_later)


async def test_an_outage_while_looking_is_no_answer(slack: SlackStandIn, chat: Chat) -> None:
    """Otherwise an outage would lead to repeats."""
    slack.fail_next("conversations.history", status=503)
    slack.fail_next("conversations.history", status=429, retry_after=20)

    with pytest.raises(Unavailable):
        await chat.find(outgoing("x", channel=CHANNEL))
    with pytest.raises(Transient) as caught:
        await chat.find(outgoing("x", channel=CHANNEL))

    assert timedelta(seconds=20) == caught.value.retry_after


async def test_too_many_messages_cannot_be_looked_through(slack: SlackStandIn, chat: Chat) -> None:
    """Saying `not landed` of what was not seen would be a guess."""
    for n in range(1001):
        await chat.post(outgoing("noise", channel=CHANNEL, mark=f"noise/{n}"))

    assert isinstance(await chat.find(outgoing("x", channel=CHANNEL)), CannotTell)


async def test_a_terminals_reference_is_refused(chat: Chat) -> None:
    """It is in the store when Slack is switched on in the middle of a run."""
    with pytest.raises(Failed, match="another chat"):
        await chat.post(outgoing("x", thread="7"))


ANY = st.text(st.characters(), max_size=300) | st.sampled_from(
    ["<!channel>", "<@U1>", "@here", "@everyone", "*b*", "```", "<https://evil.example|x>", "", "\ud800", "<" * 5000]
)


@settings(deadline=None, max_examples=25)
@given(
    st.lists(
        st.builds(
            Message,
            st.sampled_from(Tone),
            ANY,
            st.tuples(
                st.builds(Text, ANY),
                st.builds(Fields, st.lists(st.tuples(ANY, ANY), max_size=12).map(tuple)),
                st.builds(Excerpt, ANY, ANY),
            ),
        ),
        min_size=1,
        max_size=4,
    )
)
async def test_any_message_is_taken_and_pages_nobody(messages: list[Message]) -> None:
    """Posted and edited, through the real library and over the wire."""
    async with SlackStandIn() as slack:
        chat = SlackChat(SlackClient(token=slack.token, base_url=slack.base_url, timeout=timedelta(seconds=30)))
        refs = [
            await chat.post(Outgoing("#alerts", m, None, str(n), datetime.now(UTC))) for n, m in enumerate(messages)
        ]
        await chat.post(Outgoing("#alerts", messages[0], refs[0], "reply", datetime.now(UTC), repeated=True))
        await chat.edit(Outgoing("#alerts", messages[-1], None, "0", datetime.now(UTC)), refs[0])
        await chat.close()

        assert len(messages) + 1 == len(slack.messages["alerts"])
        assert [] == slack.pings
