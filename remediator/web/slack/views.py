"""What Slack is answered: texts for one person, and the modal that asks for the reason of a denial. Pure.

Every text in here is plain: Slack is told to read no markup in it, and what could ping or link is escaped.
"""

import html
from typing import Any

from remediator.chat.slack import DENY
from remediator.chat.text import clip, paragraph
from remediator.web.slack.payloads import REASON

_LONGEST = 3000
_LONGEST_SECTION = 2900
_LONGEST_ERROR = 150


def plainly(text: str) -> str:
    """A text for Slack in which nothing pings, links, hides or turns the line around."""
    return html.escape(clip(paragraph(text), _LONGEST), quote=False)


def only_for_you(text: str) -> dict[str, Any]:
    """The answer to a slash command."""
    return {"response_type": "ephemeral", "mrkdwn": False, "parse": "none", "text": plainly(text)}


def ask_reason(about: str, note: str) -> dict[str, Any]:
    """The modal that asks why not. `about`: which plan; `note` comes back with the reason."""
    return {
        "type": "modal",
        "callback_id": DENY,
        "private_metadata": note,
        "title": _text("Deny a plan"),
        "submit": _text("Deny"),
        "close": _text("Go back"),
        "blocks": [
            {"type": "section", "text": _text(clip(about, _LONGEST_SECTION))},
            {
                "type": "input",
                "block_id": REASON,
                "label": _text("Why not?"),
                "hint": _text("It is told in the thread."),
                "element": {
                    "type": "plain_text_input",
                    "action_id": REASON,
                    "multiline": True,
                    "max_length": 2000,
                },
            },
        ],
    }


def say_again(why: str) -> dict[str, Any]:
    """The modal stays as it is, with what is wrong with the reason."""
    return {"response_action": "errors", "errors": {REASON: clip(why, _LONGEST_ERROR)}}


def not_taken(why: str) -> dict[str, Any]:
    """In the place of the modal: that the denial was not taken, and why."""
    view = {
        "type": "modal",
        "title": _text("Not taken"),
        "close": _text("Close"),
        "blocks": [{"type": "section", "text": _text(clip(why, _LONGEST_SECTION))}],
    }
    return {"response_action": "update", "view": view}


def _text(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": paragraph(text), "emoji": False}
