"""Slack's answers, errors and silences, made ours; against the stand-in on the wire."""

import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from remediator.clients.slack import Listed, MessageRef, SlackClient, is_channel_id
from remediator.errors import Failed, OutcomeUnknown, RemediatorError, Transient, Unavailable
from remediator.testing.slack import SlackStandIn
from remediator.testing.slack_people import Ephemeral

TOKEN = "xoxb-1234-very-secret"
BLOCKS: list[dict[str, Any]] = [{"type": "divider"}]
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
SOON = timedelta(seconds=0.3)  # the time limit where an answer never comes
IN_TIME = timedelta(seconds=30)


@pytest.fixture
async def slack() -> AsyncIterator[SlackStandIn]:
    async with SlackStandIn(token=TOKEN) as server:
        yield server


@pytest.fixture
async def client(slack: SlackStandIn) -> AsyncIterator[SlackClient]:
    client = SlackClient(token=TOKEN, base_url=slack.base_url, timeout=IN_TIME)
    yield client
    await client.close()


@pytest.fixture
async def hurried(slack: SlackStandIn) -> AsyncIterator[SlackClient]:
    """A client that soon gives up."""
    client = SlackClient(token=TOKEN, base_url=slack.base_url, timeout=SOON)
    yield client
    await client.close()


async def post(client: SlackClient, text: str = "x", **more: Any) -> MessageRef:
    return await client.post("#alerts", text=text, blocks=BLOCKS, **more)


async def update(client: SlackClient) -> None:
    await client.update(MessageRef("C00000001", "1.000001"), text="x", blocks=BLOCKS)


async def test_a_message_is_posted_to_a_name_and_edited_by_what_came_back(
    slack: SlackStandIn, client: SlackClient
) -> None:
    """Slack posts to a name but edits only by the channel's id."""
    ref = await post(client, "before")
    await client.update(ref, text="after", blocks=BLOCKS)

    [message] = slack.messages["alerts"]
    assert "after" == message.text
    assert ["before"] == [edit.text for edit in message.edits]
    assert ref == MessageRef(slack.channel_id("alerts"), message.ts) == MessageRef.parse(str(ref))


async def test_nothing_pings_links_or_unfurls(slack: SlackStandIn, client: SlackClient) -> None:
    """Each of these is on by default, in one of the two methods or in a workspace."""
    await client.update(await post(client), text="y", blocks=BLOCKS)

    said = [call.arguments for call in slack.calls]
    assert [("none", False), ("none", False)] == [(a["parse"], a["link_names"]) for a in said]
    assert (False, False, False) == (said[0]["mrkdwn"], said[0]["unfurl_links"], said[0]["unfurl_media"])


async def test_messages_are_listed_with_their_metadata(slack: SlackStandIn, client: SlackClient) -> None:
    """The metadata is how a message is found again."""
    metadata = {"event_type": "t", "event_payload": {"mark": "1"}}
    parent = await post(client, metadata=metadata)
    reply = await post(client, thread_ts=parent.ts, metadata=metadata)

    history = await client.history(parent.channel, oldest=LONG_AGO)
    replies = await client.replies(parent, oldest=LONG_AGO)

    assert ((Listed(parent.ts, metadata),), "") == (history.messages, history.cursor)
    assert [parent.ts, reply.ts] == [listed.ts for listed in replies.messages]


async def test_who_we_are_is_told(client: SlackClient) -> None:
    """The answer of the check at start-up."""
    assert "remediator in Stand-in" == await client.auth_test()


async def test_whose_a_token_is_and_of_which_workspace(client: SlackClient) -> None:
    """People of another workspace decide nothing here."""
    who = await client.identity()

    assert ("remediator in Stand-in", "T00000001") == (who.name, who.team)
    assert frozenset({"chat:write", "channels:history"}) == who.scopes


async def test_one_person_alone_is_told(slack: SlackStandIn, client: SlackClient) -> None:
    """In the thread that it is about; nothing in it pings or is markup."""
    await client.post_ephemeral("C00000001", "U1", text="it is decided", thread_ts="1.000001")

    assert [Ephemeral("C00000001", "U1", "it is decided", "1.000001")] == slack.ephemerals
    said = slack.calls[-1].arguments
    assert ("none", False, False) == (said["parse"], said["link_names"], said["mrkdwn"])


@pytest.mark.parametrize("error", ["user_not_in_channel", "channel_not_found"])
async def test_somebody_who_cannot_be_told_is_an_answer(slack: SlackStandIn, client: SlackClient, error: str) -> None:
    """Whoever has pressed may have left the channel."""
    slack.fail_next("chat.postEphemeral", error=error)

    with pytest.raises(Failed, match=error):
        await client.post_ephemeral("C00000001", "U1", text="x")


async def test_a_dialog_opens_for_whoever_has_just_pressed(slack: SlackStandIn, client: SlackClient) -> None:
    """Once; who has pressed nothing gets none."""
    button = {"type": "button", "text": {"type": "plain_text", "text": "Go"}, "action_id": "go", "value": "1"}
    await client.post("#alerts", text="x", blocks=[{"type": "actions", "elements": [button]}])
    trigger = slack.click_payload(slack.messages["alerts"][-1], "go")["trigger_id"]
    view = {"type": "modal", "title": {"type": "plain_text", "text": "Why"}, "blocks": BLOCKS}

    await client.open_view(trigger, view)
    with pytest.raises(Failed, match="invalid_trigger_id"):
        await client.open_view(trigger, view)

    assert [("U00000100", view)] == [(one.user, one.view) for one in slack.views]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        pytest.param({"error": "channel_not_found"}, r"slack\.channel, and invite the bot", id="no channel"),
        pytest.param({"error": "not_in_channel"}, r"invite the bot", id="not invited"),
        pytest.param({"error": "is_archived"}, r"slack\.channel", id="archived"),
        pytest.param({"error": "invalid_auth"}, r"slack\.token", id="bad token"),
        pytest.param({"error": "token_revoked"}, r"slack\.token", id="revoked token"),
        pytest.param({"error": "missing_scope"}, r"scope chat:write", id="no scope"),
        pytest.param({"error": "msg_too_long"}, r"mistake of remediator", id="too long"),
        pytest.param({"error": "never_heard_of"}, r"never_heard_of; look", id="unknown"),
        pytest.param({"status": 404}, r"HTTP 404, not by Slack; check slack\.base_url", id="not Slack"),
    ],
)
async def test_a_final_answer_says_what_to_do(
    slack: SlackStandIn, client: SlackClient, fault: dict[str, Any], expected: str
) -> None:
    """An operator reads this in a log at night."""
    slack.fail_next("chat.postMessage", **fault)

    with pytest.raises(Failed, match=expected):
        await post(client)


@pytest.mark.parametrize(
    ("fault", "wait"),
    [
        pytest.param({"status": 429, "error": "ratelimited", "retry_after": 30}, 30, id="asked"),
        pytest.param({"status": 429, "retry_after": 7}, 7, id="without Slack's JSON"),
        pytest.param({"status": 429}, 5, id="not said"),
        pytest.param({"status": 429, "retry_after": 0}, 1, id="at once"),
        pytest.param({"status": 429, "retry_after": 99_999_999}, 3600, id="for ever"),
        pytest.param({"error": "service_unavailable"}, 5, id="service unavailable"),
        pytest.param({"error": "request_timeout"}, 5, id="our request was cut"),
    ],
)
async def test_a_busy_slack_says_when_to_come_back(
    slack: SlackStandIn, client: SlackClient, fault: dict[str, Any], wait: int
) -> None:
    """Coming back earlier makes it worse; nothing was posted."""
    slack.fail_next("chat.postMessage", **fault)

    with pytest.raises(Transient) as caught:
        await post(client)

    assert timedelta(seconds=wait) == caught.value.retry_after
    assert [] == slack.messages["alerts"]


BREAKS = [
    pytest.param({"status": 500}, id="500"),
    pytest.param({"status": 503, "body": "busy"}, id="503"),
    pytest.param({"error": "internal_error"}, id="internal error"),
    pytest.param({"error": "fatal_error"}, id="fatal error"),
    pytest.param({"body": "<html>hello</html>"}, id="not JSON"),
    pytest.param({"hang": True}, id="no answer"),
    pytest.param({"land_then_reset": True}, id="connection reset"),
]


@pytest.mark.parametrize("fault", BREAKS)
async def test_a_post_that_breaks_is_of_unknown_outcome(
    slack: SlackStandIn, hurried: SlackClient, fault: dict[str, Any]
) -> None:
    """The message may stand there: sending it again without looking could show it twice."""
    slack.fail_next("chat.postMessage", **fault)

    with pytest.raises(OutcomeUnknown):
        await post(hurried)


@pytest.mark.parametrize("fault", [p for p in BREAKS if p.id != "connection reset"])
async def test_an_edit_that_breaks_can_be_done_again(
    slack: SlackStandIn, hurried: SlackClient, fault: dict[str, Any]
) -> None:
    """The same edit twice is one edit."""
    slack.fail_next("chat.update", **fault)

    with pytest.raises(Unavailable):
        await update(hurried)


async def test_an_edit_whose_connection_breaks_can_be_done_again(slack: SlackStandIn, client: SlackClient) -> None:
    """Though it has landed."""
    ref = await post(client, "before")
    slack.fail_next("chat.update", land_then_reset=True)

    with pytest.raises(Unavailable):
        await client.update(ref, text="after", blocks=BLOCKS)

    assert "after" == slack.messages["alerts"][0].text


async def test_where_nobody_listens_nothing_was_sent(slack: SlackStandIn, client: SlackClient) -> None:
    """Then a post can be tried again without a second thought."""
    await slack.close()

    with pytest.raises(Unavailable, match=r"nothing was sent; check the network and slack\.base_url"):
        await post(client)


async def test_a_bad_address_names_its_setting() -> None:
    """A typing error in the settings is not an outage."""
    client = SlackClient(token=TOKEN, base_url="http://[oops/")
    try:
        with pytest.raises(RemediatorError, match=r"slack\.base_url"):
            await client.auth_test()
    finally:
        await client.close()


async def test_a_proxy_of_the_environment_is_not_used(slack: SlackStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the settings read the environment; a token must not go where a variable says."""
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    client = SlackClient(token=TOKEN, base_url=slack.base_url)

    assert "remediator in Stand-in" == await client.auth_test()

    await client.close()


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"error": f"bad {TOKEN}"}, id="in the error"),
        pytest.param({"status": 500, "body": f"<html>{TOKEN}</html>"}, id="in a page"),
        pytest.param({"status": 429, "error": TOKEN}, id="when busy"),
    ],
)
async def test_the_token_is_in_no_error_and_no_log(
    slack: SlackStandIn, client: SlackClient, caplog: pytest.LogCaptureFixture, fault: dict[str, Any]
) -> None:
    """Even where an answer repeats it, and with the library's own log turned up."""
    caplog.set_level(logging.DEBUG)
    slack.fail_next("chat.postMessage", **fault)

    with pytest.raises(RemediatorError) as caught:
        await post(client)

    assert TOKEN not in str(caught.value)
    assert TOKEN not in caplog.text


async def test_a_wrong_token_is_refused(slack: SlackStandIn) -> None:
    """The check at start-up finds it."""
    client = SlackClient(token="xoxb-wrong", base_url=slack.base_url)
    try:
        with pytest.raises(Failed, match=r"invalid_auth; check slack\.token") as caught:
            await client.auth_test()
    finally:
        await client.close()

    assert "xoxb-wrong" not in str(caught.value)


async def test_what_slack_says_against_blocks_is_told(client: SlackClient) -> None:
    """Whoever mends the mistake needs the place."""
    with pytest.raises(Failed, match=r"must be more than 0 characters \[json-pointer:/blocks/0/text/text\]"):
        await client.post("#alerts", text="x", blocks=[{"type": "section", "text": {"type": "plain_text", "text": ""}}])


@pytest.mark.parametrize("ref", ["", "C1", ":1.0", "C1:", "7"])
def test_a_reference_of_another_chat_is_refused(ref: str) -> None:
    """The terminal's references are in the store when Slack is switched on later."""
    with pytest.raises(Failed, match="does not name a Slack message"):
        MessageRef.parse(ref)


@pytest.mark.parametrize(
    ("channel", "expected"),
    [("C0123ABCD", True), ("G0123ABCD", True), ("#alerts", False), ("alerts", False), ("CALLS-de", False)],
)
def test_a_channels_id_is_known_from_a_name(channel: str, *, expected: bool) -> None:
    """Some methods take only ids."""
    assert expected == is_channel_id(channel)
