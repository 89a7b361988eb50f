"""A question's buttons: their tokens reach the chat alone, and the store has their digests before anybody sees them."""

import hashlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from remediator.app import App
from remediator.chat.chat import Buttons, CannotTell, Found, Landed, NotLanded, Outgoing
from remediator.chat.slack import APPROVE, DENY, SlackChat
from remediator.errors import OutcomeUnknown, StoreUnavailable, Transient
from remediator.model.ids import Digest, RunId
from remediator.model.message import Choice, Message, Post, Tone
from remediator.pipeline.outbox import Outbox
from remediator.plugins import Actions
from remediator.rules.book import Book
from remediator.settings import Settings
from remediator.storage.buttons import Button, Pressed
from remediator.storage.runs import Claim, Entry
from remediator.testing.slack import SlackStandIn, StoredMessage
from tests.unit.pipeline.desk import ME, SECOND, Desk, methods

KEY = "asked.round.1.1"
CLAIM = Claim(RunId("r1"), ME, 1, 0)
PLAN = Digest("e" * 64)
CHOICE = Choice(RunId("r1"), 1, 1, PLAN, "This changes something: kick web")


def poster(desk: Desk, chat: SlackChat | None = None) -> Outbox:
    desk.outbox = Outbox(
        store=desk.store,
        chat=chat or desk.chat,
        clock=desk.clock,
        metrics=desk.metrics,
        interval=SECOND * 0,
        has_buttons=lambda channel: channel == "#c",
    )
    return desk.outbox


async def put(desk: Desk, claim: Claim, title: str, choice: Choice | None = CHOICE) -> None:
    await desk.store.learn(claim, Entry((), [Post(KEY, Message(Tone.WAITING, title, choice=choice))]))


async def ask(desk: Desk, *, channel: str = "#c") -> Claim:
    claim = await desk.open("r1", channel=channel)
    await put(desk, claim, "This plan needs a person")
    return claim


def shown(message: StoredMessage) -> dict[str, str]:
    """The buttons of a message: their tokens by what they are for."""
    actions: list[dict[str, Any]] = [block for block in message.blocks if block["type"] == "actions"]
    return {element["action_id"]: element["value"] for block in actions for element in block["elements"]}


async def pressed(desk: Desk, token: str) -> Pressed | None:
    return await desk.store.find_button(hashlib.sha256(token.encode()).digest())


async def stored(desk: Desk) -> str:
    """Everything that the store holds, as text."""

    def dump(db: sqlite3.Connection) -> str:
        return "\n".join(db.iterdump())

    return await desk.store._write(dump)


async def test_a_question_is_posted_with_two_buttons_that_the_store_knows_by_their_digests(
    desk: Desk, slack: SlackStandIn, slack_chat: SlackChat
) -> None:
    """Whoever reads the store, or a log of it, can press nothing; and each button is good for its message alone."""
    poster(desk, slack_chat)
    await ask(desk)
    await desk.outbox.send_waiting()
    card = slack.messages["c"][-1]
    tokens = shown(card)

    assert [APPROVE, DENY] == list(tokens)
    for action, token in tokens.items():
        found = await pressed(desk, token)
        assert found is not None
        assert f"{card.channel}:{card.ts}" == found.ref
        button = found.button
        assert (action == APPROVE, RunId("r1"), 1, 1, PLAN) == (
            button.approves,
            button.run,
            button.round,
            button.revision,
            button.plan,
        )
        assert 32 <= len(token)
        assert token not in await stored(desk)
        assert token not in card.text
        assert token not in str(card.metadata)


async def test_after_a_decision_the_same_message_has_no_buttons(
    desk: Desk, slack: SlackStandIn, slack_chat: SlackChat
) -> None:
    """Nobody presses what is decided; who reads the thread later sees who it was."""
    poster(desk, slack_chat)
    claim = await ask(desk)
    await desk.outbox.send_waiting()
    await put(desk, claim, "Approved by ann", choice=None)
    await desk.outbox.send_waiting()
    (_, card) = slack.messages["c"]

    assert {} == shown(card)
    assert "Approved by ann" in card.shown
    assert 1 == len(card.edits)


async def test_buttons_that_a_late_edit_has_put_back_go_when_the_message_is_sent_again(
    desk: Desk, slack: SlackStandIn, slack_chat: SlackChat
) -> None:
    """A process that was frozen while it led has sent what it had begun; nobody has anything newer to tell."""
    poster(desk, slack_chat)
    claim = await ask(desk)
    await desk.outbox.send_waiting()
    card = slack.messages["c"][-1]
    found = await pressed(desk, shown(card)[APPROVE])
    old = card.blocks
    await put(desk, claim, "Approved by ann", choice=None)
    await desk.outbox.send_waiting()
    card.blocks = old
    assert found is not None
    await desk.store.send_again(found.button.post)
    await desk.outbox.send_waiting()

    assert ({}, True) == (shown(card), "Approved by ann" in card.shown)


async def test_an_edit_has_new_buttons_and_the_earlier_ones_stay_good(
    desk: Desk, slack: SlackStandIn, slack_chat: SlackChat
) -> None:
    """An edit that Slack has not shown to somebody yet must not make their press an error."""
    poster(desk, slack_chat)
    claim = await ask(desk)
    await desk.outbox.send_waiting()
    first = shown(slack.messages["c"][-1])
    await put(desk, claim, "1 of 2")
    await desk.outbox.send_waiting()
    second = shown(slack.messages["c"][-1])

    assert not set(first.values()) & set(second.values())
    assert None not in [await pressed(desk, token) for token in (*first.values(), *second.values())]


async def test_trying_again_makes_no_more_buttons(desk: Desk, slack: SlackStandIn, slack_chat: SlackChat) -> None:
    """A chat that is away for hours must not fill the store."""
    poster(desk, slack_chat)
    await ask(desk)
    await desk.outbox.send_waiting()
    slack.fail_next("chat.update", times=3, status=503)
    await put(desk, CLAIM, "1 of 2")
    await desk.pass_time(SECOND * 30)

    assert 4 == methods(slack)["chat.update"]
    assert 4 == (await stored(desk)).count('INSERT INTO "button"')


async def test_no_message_leaves_with_buttons_that_the_store_does_not_know(desk: Desk) -> None:
    """Pressing one would be refused as made up."""

    async def refuse(_buttons: Sequence[Button], /) -> None:
        raise StoreUnavailable("the disk is full")

    poster(desk)
    await ask(desk)
    await desk.outbox.send_waiting()
    await put(desk, CLAIM, "1 of 2")
    desk.store.keep_buttons = refuse  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailable):
        await desk.outbox.send_waiting()

    assert ["post r1/parent", f"post r1/{KEY}"] == desk.chat.calls


@pytest.mark.parametrize("found", [NotLanded(), Landed("ref"), CannotTell("no history")])
async def test_a_question_that_may_have_landed_has_buttons_the_store_knows(desk: Desk, found: Found) -> None:
    """Whichever way it is sent again; the answer to the first try was lost."""
    seen: list[Buttons | None] = []

    def remember(verb: str, post: Outgoing) -> None:
        if post.mark.endswith(KEY) and verb != "find":
            seen.append(post.buttons)
            if len(seen) == 1:
                raise OutcomeUnknown("the connection broke")

    desk.chat.before, desk.chat.found = remember, found
    poster(desk)
    await ask(desk)
    await desk.pass_time(SECOND * 60)

    assert 2 == len(seen)
    for buttons in seen:
        assert buttons is not None
        for token in (buttons.approve, buttons.deny):
            assert await pressed(desk, token) is not None


async def test_there_are_no_buttons_where_the_chat_shows_none(desk: Desk) -> None:
    """A terminal and a webhook take none, and Slack's are of no use where nobody listens to them."""
    seen: list[Buttons | None] = []
    desk.chat.before = lambda _verb, post: seen.append(post.buttons)
    poster(desk)
    await ask(desk, channel="#other")
    await desk.store.notify("#c", "digest", Message(Tone.WAITING, "12 wait", choice=CHOICE), desk.clock.now())
    await desk.outbox.send_waiting()

    assert [None, None, None] == seen
    assert 'INSERT INTO "button"' not in await stored(desk)


async def test_another_process_makes_buttons_of_its_own(desk: Desk) -> None:
    """The tokens were in the memory of the one that died."""
    seen: list[Buttons | None] = []

    def remember(verb: str, post: Outgoing) -> None:
        if post.mark.endswith(KEY) and verb != "find":
            seen.append(post.buttons)
            if len(seen) == 1:
                raise Transient("away")

    desk.chat.before = remember
    poster(desk)
    await ask(desk)
    await desk.outbox.send_waiting()
    poster(desk)
    await desk.pass_time(SECOND * 30)

    first, second = seen
    assert first is not None
    assert second is not None
    assert first.approve != second.approve
    assert await pressed(desk, second.deny) is not None


@pytest.mark.parametrize(
    ("slack", "has_buttons"),
    [
        ({}, False),
        ({"token": "xoxb-1"}, False),
        ({"token": "xoxb-1", "signing_secret": "hush"}, True),
        ({"token": "xoxb-1", "app_token": "xapp-1"}, True),
    ],
)
async def test_the_service_shows_buttons_only_where_it_hears_who_presses_them(
    tmp_path: Path, slack: dict[str, str], has_buttons: bool
) -> None:
    """Else pressing one would be an error message of Slack's; a terminal has none at all."""
    settings = Settings.model_validate({"store": {"directory": tmp_path}, "slack": slack})
    app = App(settings, actions=Actions({}), book=Book(()))

    assert has_buttons == app.parts.chats.has_buttons("#c")

    await app.parts.chats.chat.close()
