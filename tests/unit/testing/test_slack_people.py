"""What the stand-in's people send has to be what Slack sends, and what it would refuse has to be refused."""

from typing import Any
from urllib.parse import parse_qs

import pytest

from remediator.testing import slack_people
from remediator.testing.slack import SlackStandIn, StoredMessage

TEXT = {"type": "plain_text", "text": "Why"}
BLOCKS: list[Any] = [{"type": "divider"}]
INPUT = {"type": "input", "block_id": "reason", "element": {"action_id": "reason"}}


def test_a_signature_is_the_one_of_slacks_documentation() -> None:
    """The example there, with the body and the secret that stand in it."""
    secret = "8f742231b10e8888abcd99yyyzzz85a5"
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
        b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
        b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
        b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )

    headers = slack_people.signed(secret, 1531420618, body)

    assert "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503" == headers["X-Slack-Signature"]


@pytest.mark.parametrize(
    ("view", "problem"),
    [
        (None, "must be a modal"),
        ({"type": "home"}, "must be a modal"),
        ({"type": "modal", "blocks": BLOCKS}, "title must be plain text"),
        ({"type": "modal", "title": {"type": "mrkdwn", "text": "x"}, "blocks": BLOCKS}, "title must be plain text"),
        ({"type": "modal", "title": {**TEXT, "text": "x" * 25}, "blocks": BLOCKS}, "title must be plain text"),
        ({"type": "modal", "title": TEXT}, "blocks are missing"),
        ({"type": "modal", "title": TEXT, "blocks": [INPUT]}, "a modal with inputs needs submit"),
        ({"type": "modal", "title": TEXT, "blocks": BLOCKS, "private_metadata": "x" * 3001}, "private_metadata"),
    ],
)
def test_what_is_no_modal_is_refused(view: Any, problem: str) -> None:
    """A test that passes here must not fail in Slack."""
    assert problem in "; ".join(slack_people.view_problems(view))


def test_a_good_modal_is_taken() -> None:
    """As it is sent to ask for a reason."""
    view = {"type": "modal", "title": TEXT, "submit": TEXT, "close": TEXT, "blocks": [*BLOCKS, INPUT]}

    assert [] == slack_people.view_problems(view)


def test_a_button_that_is_not_there_cannot_be_pressed() -> None:
    """A card that is not open any more has none."""
    message = StoredMessage("C1", "1.000001", None, "x", BLOCKS, None, [])

    with pytest.raises(LookupError, match="no button approve"):
        SlackStandIn().click_payload(message, "approve")


def test_an_interaction_is_a_form_with_its_json_in_one_field() -> None:
    """As it comes over HTTP."""
    assert {"payload": ['{"type": "block_actions"}']} == parse_qs(
        slack_people.interaction_body({"type": "block_actions"}).decode()
    )
