"""The stand-in must be as strict as Slack, or it proves nothing."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from remediator.testing import block_kit
from remediator.testing.slack import SlackStandIn


@pytest.fixture
async def slack() -> AsyncIterator[SlackStandIn]:
    async with SlackStandIn() as server:
        yield server


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def call(http: aiohttp.ClientSession, slack: SlackStandIn, method: str, **arguments: Any) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {slack.token}"}
    async with http.post(slack.base_url + method, json=arguments, headers=headers) as response:
        answer: dict[str, Any] = await response.json()
        return answer


async def test_json_and_forms_are_the_same(slack: SlackStandIn, http: aiohttp.ClientSession) -> None:
    """Slack's own libraries send both; in a form, structures are JSON in a string."""
    blocks = [{"type": "divider"}]
    metadata = {"event_type": "t", "event_payload": {}}
    headers = {"Authorization": f"Bearer {slack.token}"}
    form = {"channel": "alerts", "text": "x", "blocks": json.dumps(blocks), "metadata": json.dumps(metadata)}

    await call(http, slack, "chat.postMessage", channel="alerts", text="x", blocks=blocks, metadata=metadata)
    async with http.post(slack.base_url + "chat.postMessage", data=form, headers=headers) as response:
        assert (await response.json())["ok"]

    one, two = slack.messages["alerts"]
    assert ("x", blocks, metadata) == (one.text, one.blocks, one.metadata) == (two.text, two.blocks, two.metadata)
    assert one.ts < two.ts


@pytest.mark.parametrize(
    ("method", "arguments", "error"),
    [
        ("chat.postMessage", {"channel": "#nowhere", "text": "x"}, "channel_not_found"),
        ("chat.postMessage", {"channel": "#private", "text": "x"}, "not_in_channel"),
        ("chat.postMessage", {"channel": "#alerts", "text": " "}, "no_text"),
        ("chat.postMessage", {"channel": "#alerts"}, "no_text"),
        ("chat.postMessage", {"channel": "#alerts", "text": "x" * 40_001}, "msg_too_long"),
        ("chat.postMessage", {"channel": "#alerts", "text": "x", "thread_ts": "1.0"}, "thread_not_found"),
        ("chat.postMessage", {"channel": "#alerts", "text": "x", "blocks": "{"}, "invalid_blocks_format"),
        ("chat.postMessage", {"channel": "#alerts", "text": "x", "blocks": [{"type": "x"}]}, "invalid_blocks"),
        ("chat.postMessage", {"channel": "#alerts", "text": "x", "metadata": {}}, "invalid_metadata_format"),
        ("chat.update", {"channel": "#alerts", "text": "x", "ts": "1.0"}, "channel_not_found"),
        ("chat.update", {"channel": "C00000001", "text": "x", "ts": "1.0"}, "message_not_found"),
        ("conversations.history", {"channel": "#alerts"}, "channel_not_found"),
        ("conversations.history", {"channel": "C00000001", "cursor": "?"}, "invalid_cursor"),
        ("conversations.replies", {"channel": "C00000001", "ts": "1.0"}, "thread_not_found"),
        ("chat.meMessage", {}, "unknown_method"),
    ],
)
async def test_what_slack_refuses_is_refused(
    slack: SlackStandIn, http: aiohttp.ClientSession, method: str, arguments: dict[str, Any], error: str
) -> None:
    """A test that passes here must not fail in Slack."""
    slack.add_channel("private", joined=False)

    answer = await call(http, slack, method, **arguments)

    assert (False, error) == (answer["ok"], answer["error"])


@pytest.mark.parametrize(("header", "error"), [("Bearer xoxb-other", "invalid_auth"), ("", "not_authed")])
async def test_the_token_is_checked(slack: SlackStandIn, http: aiohttp.ClientSession, header: str, error: str) -> None:
    """With status 200, as Slack does it."""
    async with http.post(slack.base_url + "auth.test", headers={"Authorization": header}) as response:
        assert (200, {"ok": False, "error": error}) == (response.status, await response.json())


async def test_a_missing_scope_is_named(slack: SlackStandIn, http: aiohttp.ClientSession) -> None:
    """As Slack names it."""
    slack.scopes.clear()

    answer = await call(http, slack, "chat.postMessage", channel="alerts", text="x")

    assert ("missing_scope", "chat:write") == (answer["error"], answer["needed"])


async def test_a_channel_takes_so_many_posts(slack: SlackStandIn, http: aiohttp.ClientSession) -> None:
    """The limit is for each channel, and the answer says how long to wait."""
    slack.rate_limit = timedelta(hours=1)
    slack.add_channel("other")
    headers = {"Authorization": f"Bearer {slack.token}"}

    first = await call(http, slack, "chat.postMessage", channel="alerts", text="x")
    other = await call(http, slack, "chat.postMessage", channel="other", text="x")
    message = {"channel": "alerts", "text": "x"}
    async with http.post(slack.base_url + "chat.postMessage", json=message, headers=headers) as response:
        again = response.status, (await response.json())["error"], int(response.headers["Retry-After"]) > 3000

    assert first["ok"]
    assert other["ok"]
    assert (429, "ratelimited", True) == again


async def test_a_list_comes_in_pages(slack: SlackStandIn, http: aiohttp.ClientSession) -> None:
    """Newest first; the cursor leads on, and its absence ends the list."""
    for n in range(5):
        await call(http, slack, "chat.postMessage", channel="alerts", text=str(n))
    channel = slack.channel_id("alerts")

    one = await call(http, slack, "conversations.history", channel=channel, limit=3)
    cursor = one["response_metadata"]["next_cursor"]
    two = await call(http, slack, "conversations.history", channel=channel, limit=3, cursor=cursor)

    assert ["4", "3", "2"] == [message["text"] for message in one["messages"]]
    assert ["1", "0"] == [message["text"] for message in two["messages"]]
    assert (True, False, False) == (one["has_more"], two["has_more"], "response_metadata" in two)


async def test_metadata_is_told_only_when_asked_for(slack: SlackStandIn, http: aiohttp.ClientSession) -> None:
    """A client that forgets to ask finds nothing, in Slack too."""
    metadata = {"event_type": "t", "event_payload": {"a": 1}}
    await call(http, slack, "chat.postMessage", channel="alerts", text="x", metadata=metadata)
    channel = slack.channel_id("alerts")

    silent = await call(http, slack, "conversations.history", channel=channel)
    full = await call(http, slack, "conversations.history", channel=channel, include_all_metadata=True)

    assert "metadata" not in silent["messages"][0]
    assert metadata == full["messages"][0]["metadata"]


async def test_a_thread_can_be_looked_at_and_deleted_from(slack: SlackStandIn, http: aiohttp.ClientSession) -> None:
    """For the assertions of tests."""
    ts = (await call(http, slack, "chat.postMessage", channel="alerts", text="parent"))["ts"]
    await call(http, slack, "chat.postMessage", channel="alerts", text="reply", thread_ts=ts)
    await call(http, slack, "chat.postMessage", channel="alerts", text="else")

    assert ["parent", "reply"] == [message.shown for message in slack.thread("alerts", ts)]

    slack.delete("alerts", ts)

    assert ["reply", "else"] == [message.text for message in slack.messages["alerts"]]


async def test_pings_are_seen(slack: SlackStandIn, http: aiohttp.ClientSession) -> None:
    """Or a test that asserts that there are none would always pass."""
    for more in ({"text": "<!here> a"}, {"text": "@channel", "link_names": True}, {"text": "@here"}):
        await call(http, slack, "chat.postMessage", channel="alerts", **more)

    assert ["<!here>", "@channel"] == slack.pings


async def test_a_fault_hits_as_many_calls_as_it_was_told(slack: SlackStandIn, http: aiohttp.ClientSession) -> None:
    """And only of its method."""
    slack.fail_next("auth.test", times=2, error="fatal_error")

    answers = [await call(http, slack, "auth.test") for _ in range(3)]

    assert [False, False, True] == [answer["ok"] for answer in answers]


async def test_a_reset_comes_after_the_message_has_landed(slack: SlackStandIn, http: aiohttp.ClientSession) -> None:
    """The case that makes a poster look before it repeats."""
    slack.fail_next("chat.postMessage", land_then_reset=True)

    with pytest.raises(aiohttp.ClientError):
        await call(http, slack, "chat.postMessage", channel="alerts", text="x")

    assert ["x"] == [message.text for message in slack.messages["alerts"]]


async def test_it_comes_back_on_the_same_port(slack: SlackStandIn, http: aiohttp.ClientSession) -> None:
    """So that an outage can be played."""
    await slack.close()
    with pytest.raises(aiohttp.ClientError):
        await call(http, slack, "auth.test")

    await slack.start()

    assert (await call(http, slack, "auth.test"))["ok"]


LONG = "x" * 3001


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        ("text", "must be an object [json-pointer:/blocks/0]"),
        ({"type": "sectoin"}, "unsupported type: sectoin [json-pointer:/blocks/0/type]"),
        ({"type": "section"}, "must define either `text` or `fields` [json-pointer:/blocks/0]"),
        (
            {"type": "section", "text": {"type": "mrkdwn", "text": LONG}},
            "must be less than 3001 characters [json-pointer:/blocks/0/text/text]",
        ),
        (
            {"type": "section", "fields": [{"type": "plain_text", "text": "x"}] * 11},
            "no more than 10 items allowed [json-pointer:/blocks/0/fields]",
        ),
        (
            {"type": "section", "fields": [{"type": "plain_text", "text": LONG}]},
            "must be less than 2001 characters [json-pointer:/blocks/0/fields/0/text]",
        ),
        (
            {"type": "header", "text": {"type": "mrkdwn", "text": "x"}},
            "unsupported type: mrkdwn [json-pointer:/blocks/0/text/type]",
        ),
        (
            {"type": "header", "text": {"type": "plain_text", "text": "x" * 151}},
            "must be less than 151 characters [json-pointer:/blocks/0/text/text]",
        ),
        (
            {"type": "header", "text": {"type": "plain_text", "text": "x", "verbatim": True}},
            "no more properties allowed: verbatim [json-pointer:/blocks/0/text]",
        ),
        ({"type": "context", "elements": []}, "no fewer than 1 items allowed [json-pointer:/blocks/0/elements]"),
        ({"type": "image", "image_url": "x"}, "must provide a string [json-pointer:/blocks/0/alt_text]"),
        (
            {"type": "actions", "elements": [{"type": "button", "text": {"type": "plain_text", "text": "x" * 76}}]},
            "must be less than 76 characters [json-pointer:/blocks/0/elements/0/text/text]",
        ),
        (
            {
                "type": "rich_text",
                "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": ""}]}],
            },
            "must be more than 0 characters [json-pointer:/blocks/0/elements/0/elements/0/text]",
        ),
        (
            {
                "type": "rich_text",
                "elements": [{"type": "rich_text_preformatted", "elements": [{"type": "emoji", "name": "x"}]}],
            },
            "unsupported type: emoji [json-pointer:/blocks/0/elements/0/elements/0/type]",
        ),
        (
            {"type": "rich_text", "elements": [{"type": "rich_text_list", "style": "x", "elements": []}]},
            "must be one of bullet, ordered [json-pointer:/blocks/0/elements/0/style]",
        ),
        (
            {"type": "divider", "block_id": "x" * 256},
            "must be less than 256 characters [json-pointer:/blocks/0/block_id]",
        ),
    ],
)
def test_a_bad_block_is_named_with_its_place(block: object, problem: str) -> None:
    """In Slack's manner."""
    assert [problem] == block_kit.problems([block])


def test_good_blocks_are_taken() -> None:
    """What a bot usually sends."""
    text = {"type": "plain_text", "text": "x", "emoji": True}
    blocks = [
        {"type": "header", "text": text},
        {"type": "section", "text": {"type": "mrkdwn", "text": "*x*"}, "fields": [text], "accessory": button()},
        {"type": "context", "elements": [text, {"type": "image", "image_url": "https://x", "alt_text": "x"}]},
        {"type": "actions", "elements": [button()]},
        {"type": "markdown", "text": "# x"},
        {
            "type": "rich_text",
            "elements": [
                {
                    "type": "rich_text_list",
                    "style": "bullet",
                    "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": "x"}]}],
                }
            ],
        },
    ]

    assert [] == block_kit.problems(blocks)


def test_too_many_and_too_large_blocks_are_refused() -> None:
    """The second limit is documented nowhere, and met in practice."""
    assert ["no more than 50 items allowed [json-pointer:/blocks]"] == block_kit.problems([{"type": "divider"}] * 51)
    assert ["must be an array [json-pointer:/blocks]"] == block_kit.problems({})
    assert block_kit.is_too_long([{"type": "markdown", "text": "多" * 5000}])
    assert not block_kit.is_too_long([{"type": "markdown", "text": "x" * 5000}])


def test_pings_and_links_in_blocks_are_seen() -> None:
    """In markup and in elements made for them."""
    mrkdwn = {"type": "section", "text": {"type": "mrkdwn", "text": "<!channel> <https://x|y> <#C1>"}}
    rich = {"type": "rich_text_section", "elements": [{"type": "user", "user_id": "U1"}, {"type": "link", "url": "u"}]}

    assert ["<!channel>", "<#C1>", '{"type": "user", "user_id": "U1"}'] == block_kit.pings(
        "", [mrkdwn, rich], linked=False
    )
    assert ["<https://x|y>", "u"] == block_kit.links([mrkdwn, rich])


def button() -> dict[str, Any]:
    """A button."""
    return {"type": "button", "text": {"type": "plain_text", "text": "Go"}, "action_id": "go", "style": "primary"}
