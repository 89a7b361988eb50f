"""What Slack sends when people press buttons, send modals off and type commands. The Slack stand-in calls it; pure.

The payloads have the fields, and the names for them, that Slack documents; the signature is made here a second time, so
that what checks it is not checked by itself.
"""

import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

TEAM, APP = "T00000001", "A00000001"
_LONGEST_TITLE = 24
_LONGEST_NOTE = 3000


@dataclass(frozen=True, slots=True)
class User:
    """Somebody in Slack."""

    id: str = "U00000100"
    name: str = "ana"
    team: str = TEAM


@dataclass(frozen=True, slots=True)
class Answered:
    """What was answered to a request of Slack's."""

    status: int
    body: bytes

    @property
    def json(self) -> Any:
        """The answer as JSON; None where it is empty."""
        return json.loads(self.body) if self.body else None


@dataclass(frozen=True, slots=True)
class Ephemeral:
    """A message that one person alone was shown."""

    channel: str
    user: str
    text: str
    thread_ts: str | None


@dataclass(frozen=True, slots=True)
class OpenedView:
    """A modal that was opened for somebody."""

    id: str
    user: str
    view: Mapping[str, Any]
    texts: tuple[str, ...] = field(default=())
    """Everything that it shows."""


def signed(secret: str, time: int, body: bytes) -> dict[str, str]:
    """The headers of a request that Slack has signed."""
    base = b"v0:%d:%s" % (time, body)
    return {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Slack-Request-Timestamp": str(time),
        "X-Slack-Signature": "v0=" + hmac.new(secret.encode(), base, hashlib.sha256).hexdigest(),
    }


def interaction_body(payload: Mapping[str, Any]) -> bytes:
    """The body in which an interaction comes over HTTP."""
    return urlencode({"payload": json.dumps(payload)}).encode()


def button_in(blocks: Any, action: str) -> Mapping[str, Any]:
    """The button of a message with this action id, or with one that ends in it. Raises LookupError."""
    for element in _buttons(blocks):
        if str(element.get("action_id", "")).rpartition(".")[2] == action.rpartition(".")[2]:
            return element
    raise LookupError(f"the message has no button {action}")


def has_buttons(blocks: Any) -> bool:
    """Whether there is any button in the message."""
    return any(True for _ in _buttons(blocks))


def _buttons(blocks: Any) -> Iterator[Mapping[str, Any]]:
    for block in blocks:
        if block.get("type") == "actions":
            yield from (one for one in block.get("elements", ()) if one.get("type") == "button")


def click_payload(
    *,
    user: User,
    channel: str,
    ts: str,
    thread_ts: str | None,
    blocks: Any,
    button: Mapping[str, Any],
    trigger: str,
    team: str = TEAM,
    app: str = APP,
) -> dict[str, Any]:
    """What comes when somebody presses a button of a message."""
    thread = {} if thread_ts is None else {"thread_ts": thread_ts}
    return {
        "type": "block_actions",
        "user": {"id": user.id, "username": user.name, "name": user.name, "team_id": user.team},
        "api_app_id": app,
        "token": "verification tokens are not used any more",
        "container": {"type": "message", "message_ts": ts, "channel_id": channel, "is_ephemeral": False, **thread},
        "trigger_id": trigger,
        "team": {"id": team, "domain": "stand-in"},
        "enterprise": None,
        "is_enterprise_install": False,
        "channel": {"id": channel, "name": "alerts"},
        "message": {"type": "message", "bot_id": "B00000001", "ts": ts, "blocks": blocks, **thread},
        "state": {"values": {}},
        "response_url": "https://hooks.slack.com/actions/stand-in",
        "actions": [
            {
                "type": "button",
                "action_id": button.get("action_id"),
                "block_id": "actions",
                "text": button.get("text"),
                "value": button.get("value"),
                "action_ts": ts,
            }
        ],
    }


def submission_payload(
    *,
    user: User,
    view: OpenedView,
    values: Mapping[str, str | None],
    trigger: str,
    team: str = TEAM,
    app: str = APP,
) -> dict[str, Any]:
    """What comes when somebody sends a modal off, with what they have typed into each input."""
    state = {
        block["block_id"]: {
            block["element"]["action_id"]: {"type": "plain_text_input", "value": values.get(block["block_id"])}
        }
        for block in view.view["blocks"]
        if block["type"] == "input"
    }
    return {
        "type": "view_submission",
        "team": {"id": team, "domain": "stand-in"},
        "user": {"id": user.id, "username": user.name, "name": user.name, "team_id": user.team},
        "api_app_id": app,
        "trigger_id": trigger,
        "view": {**view.view, "id": view.id, "team_id": team, "app_id": app, "state": {"values": state}},
        "response_urls": [],
        "is_enterprise_install": False,
        "enterprise": None,
    }


def command_form(
    *, user: User, text: str, channel: str, trigger: str = "1.stand-in", team: str = TEAM, app: str = APP
) -> dict[str, str]:
    """What comes when somebody types `/remediator …`."""
    return {
        "token": "verification tokens are not used any more",
        "team_id": team,
        "team_domain": "stand-in",
        "channel_id": channel,
        "channel_name": "alerts",
        "user_id": user.id,
        "user_name": user.name,
        "command": "/remediator",
        "text": text,
        "api_app_id": app,
        "is_enterprise_install": "false",
        "response_url": "https://hooks.slack.com/commands/stand-in",
        "trigger_id": trigger,
    }


def view_problems(view: Any) -> list[str]:
    """What Slack would say against a modal, as far as bots use them; empty where it takes it."""
    if not isinstance(view, dict) or view.get("type") != "modal":
        return ["must be a modal [json-pointer:/view]"]
    found = [f"{name} must be plain text of at most {_LONGEST_TITLE} characters" for name in _wrong_titles(view)]
    if len(str(view.get("private_metadata", ""))) > _LONGEST_NOTE:
        found.append("private_metadata is too long")
    blocks = view.get("blocks")
    if not isinstance(blocks, list) or not blocks:
        return [*found, "blocks are missing"]
    has_input = any(block.get("type") == "input" for block in blocks)
    if has_input and "submit" not in view:
        found.append("a modal with inputs needs submit")
    return found


def _wrong_titles(view: Mapping[str, Any]) -> Iterator[str]:
    for name in ("title", "submit", "close"):
        text = view.get(name)
        if text is None and name != "title":
            continue
        said = text.get("text") if isinstance(text, dict) and text.get("type") == "plain_text" else None
        if not isinstance(said, str) or not 0 < len(said) <= _LONGEST_TITLE:
            yield name
