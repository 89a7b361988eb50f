"""The buttons of a question in Slack, and what Slack would say against them."""

from dataclasses import replace
from typing import Any

import pytest

from remediator.chat.chat import Buttons
from remediator.chat.slack import APPROVE, DENY, blocks_of
from remediator.model.ids import Digest, RunId
from remediator.model.message import Choice, Excerpt, Fields, Message, Text, Tone
from remediator.testing import block_kit

CHOICE = Choice(RunId("r1"), 1, 1, Digest("d" * 64), "This changes something: kick web")
CARD = Message(Tone.WAITING, "This plan needs a person", (Text("why"),), choice=CHOICE)
BUTTONS = Buttons("t" * 32, "u" * 32)
HUGE = Message(
    Tone.WAITING,
    "多" * 1000,
    tuple(Fields(tuple(("多" * 100, '"\n多' * 1000) for _ in range(40))) for _ in range(30))
    + tuple(Excerpt("多" * 200, "多" * 20_000) for _ in range(30)),
    choice=replace(CHOICE, confirm="<!channel> " * 1000),
)


def plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}


def test_a_question_ends_with_its_two_buttons() -> None:
    """What they send back is our own words and a token that tells nothing."""
    blocks = blocks_of(CARD, is_parent=False, buttons=BUTTONS)

    assert {
        "type": "actions",
        "elements": [
            {
                "type": "button",
                "action_id": APPROVE,
                "text": plain("Approve"),
                "value": "t" * 32,
                "style": "primary",
                "confirm": {
                    "title": plain("Approve this plan?"),
                    "text": plain("This changes something: kick web"),
                    "confirm": plain("Approve"),
                    "deny": plain("Not now"),
                },
            },
            {"type": "button", "action_id": DENY, "text": plain("Deny"), "value": "u" * 32, "style": "danger"},
        ],
    } == blocks[-1]
    assert [] == block_kit.problems(blocks)


def test_a_plan_that_changes_nothing_is_approved_without_a_dialog() -> None:
    """A dialog that always comes is one that nobody reads."""
    blocks = blocks_of(replace(CARD, choice=replace(CHOICE, confirm="")), buttons=BUTTONS)

    assert "confirm" not in blocks[-1]["elements"][0]


@pytest.mark.parametrize(("message", "buttons"), [(CARD, None), (replace(CARD, choice=None), BUTTONS)])
def test_there_is_no_button_without_a_question_or_a_token(message: Message, buttons: Buttons | None) -> None:
    """Where nobody listens to a button, pressing it would be an error message."""
    assert "actions" not in {block["type"] for block in blocks_of(message, buttons=buttons)}


@pytest.mark.parametrize("is_parent", [True, False])
def test_whatever_stands_in_a_question_it_fits_with_its_buttons(is_parent: bool) -> None:
    """The largest plan must not be the one that cannot be approved; and nobody is pinged by it."""
    blocks = blocks_of(HUGE, is_parent=is_parent, repeated=True, buttons=BUTTONS)

    assert [] == block_kit.problems(blocks)
    assert not block_kit.is_too_long(blocks)
    assert [] == block_kit.pings("", blocks, linked=False)
    assert "actions" == blocks[-1]["type"]


def test_tokens_are_not_shown_where_objects_are() -> None:
    """A log line or an error must not give them away."""
    assert "Buttons()" == repr(BUTTONS)


def button(**changes: Any) -> list[dict[str, Any]]:
    made = {"type": "button", "action_id": "a", "text": plain("Approve"), "value": "v", **changes}
    return [{"type": "actions", "elements": [made]}]


DIALOG = {name: plain("x") for name in ("title", "text", "confirm", "deny")}


@pytest.mark.parametrize(
    "blocks",
    [
        button(text={"type": "mrkdwn", "text": "Approve"}),
        button(text=plain("x" * 76)),
        button(action_id="x" * 256),
        button(value="x" * 2001),
        button(style="loud"),
        button(more=1),
        button(confirm="sure?"),
        button(confirm={**DIALOG, "text": plain("x" * 301)}),
        button(confirm={**DIALOG, "title": plain("x" * 101)}),
        button(confirm={**DIALOG, "deny": plain("x" * 31)}),
        button(confirm={**DIALOG, "text": {"type": "mrkdwn", "text": "x"}}),
        button(confirm={name: DIALOG[name] for name in ("title", "text")}),
        button(confirm={**DIALOG, "style": "loud"}),
        [{"type": "actions", "elements": [*button()[0]["elements"], *button()[0]["elements"]]}],
        [{"type": "actions", "elements": []}],
    ],
)
def test_the_stand_in_refuses_what_slack_refuses(blocks: list[dict[str, Any]]) -> None:
    """A card that only a stand-in takes would be one that nobody sees."""
    assert [] == block_kit.problems(button(confirm=DIALOG))
    assert [] != block_kit.problems(blocks)
