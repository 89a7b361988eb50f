"""Reads what Slack sends: forms, presses of our buttons, and reasons of denials. Pure; BadPayload for all that is odd.

Called with what is known to be Slack's. Names and texts in it are people's words; ids are checked for their shape.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from remediator.chat.slack import APPROVE, DENY
from remediator.errors import BadPayload
from remediator.web.webhook import read_json

REASON = "reason"
"""The block and the action of the modal's one input. The modal's callback id is the action id of the button DENY."""

_MOST_FIELDS = 100
_LONGEST_NAME = 100
_LONGEST_TOKEN = 500
_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_ID = re.compile(r"[A-Z0-9]{1,30}", re.ASCII)
_TS = re.compile(r"[0-9]{1,12}\.[0-9]{1,9}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Sender:
    """Who has pressed or said something, as Slack says it, and by which app in which workspace."""

    user: str
    name: str
    user_team: str
    """The person's own workspace; empty where Slack does not say."""
    team: str
    app: str


@dataclass(frozen=True, slots=True)
class Place:
    """The message that a button stands in."""

    channel: str
    ts: str
    thread: str | None = None

    @property
    def ref(self) -> str:
        """As the outbox notes where a message stands."""
        return f"{self.channel}:{self.ts}"


@dataclass(frozen=True, slots=True)
class Click:
    """A press of one of our buttons."""

    sender: Sender
    place: Place
    token: str
    approves: bool
    trigger: str
    """With it a dialog can be opened, for three seconds."""


@dataclass(frozen=True, slots=True)
class Denial:
    """The reason of a denial, from the modal that a press has opened."""

    sender: Sender
    place: Place
    token: str
    reason: str


@dataclass(frozen=True, slots=True)
class Command:
    """A slash command."""

    sender: Sender
    channel: str
    text: str
    trigger: str
    """Another one for each time that it is given."""


def read_form(body: bytes) -> dict[str, str]:
    """The fields of a form, each of which stands there once. Raises BadPayload."""
    if _PERCENT.search(body):
        raise BadPayload("the form has a percent sign that begins no byte")
    try:
        text = body.decode("ascii")
        pairs = parse_qsl(
            text, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=_MOST_FIELDS
        )
    except ValueError:  # of bytes that are no UTF-8 as well
        raise BadPayload("the body is not a form") from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise BadPayload("a field of the form stands there twice")
    return form


def read_payload(form: Mapping[str, str]) -> dict[str, Any]:
    """The JSON in the field `payload` of an interaction. Raises BadPayload."""
    if "payload" not in form:
        raise BadPayload("the form has no payload")
    try:
        payload = read_json(form["payload"].encode())
    except UnicodeEncodeError:
        raise BadPayload("the payload is no text") from None
    return _mapping(payload, "the payload")


def read_interaction(payload: Mapping[str, Any]) -> Click | Denial | None:
    """A press or a reason; None for what is not for us. Raises BadPayload."""
    match payload.get("type"):
        case "block_actions":
            return _click(payload)
        case "view_submission":
            view = _mapping(payload.get("view"), "view")
            return _denial(payload, view) if view.get("callback_id") == DENY else None
        case _:
            return None


def read_command(form: Mapping[str, str]) -> Command:
    """A slash command. Raises BadPayload."""
    team = _id(form.get("team_id"), "team_id")
    # Slack tells no other workspace of the person: a command is only there for those of the app's own.
    sender = Sender(
        user=_id(form.get("user_id"), "user_id"),
        name=_name(form.get("user_name")),
        user_team=team,
        team=team,
        app=_name(form.get("api_app_id")),
    )
    return Command(
        sender, _id(form.get("channel_id"), "channel_id"), form.get("text", ""), _name(form.get("trigger_id"))
    )


def note_of(place: Place, token: str) -> str:
    """What the modal carries along: to which button of which message its reason belongs."""
    return json.dumps({"channel": place.channel, "ts": place.ts, "thread": place.thread, "token": token})


def _click(payload: Mapping[str, Any]) -> Click | None:
    actions = payload.get("actions")
    if not isinstance(actions, list) or not actions:
        raise BadPayload("actions is not a list of what was pressed")
    action = _mapping(actions[0], "actions[0]")
    if action.get("action_id") not in (APPROVE, DENY):
        return None
    container = _mapping(payload.get("container"), "container")
    message = payload.get("message")
    thread = message.get("thread_ts") if isinstance(message, Mapping) else container.get("thread_ts")
    place = _place(container.get("channel_id"), container.get("message_ts"), thread)
    channel = payload.get("channel")
    if not isinstance(channel, Mapping) or channel.get("id") != place.channel:
        raise BadPayload("channel is not the one of the message")
    if not isinstance(message, Mapping) or message.get("ts") != place.ts:
        raise BadPayload("message is not the one that was pressed in")
    return Click(
        sender=_sender(payload),
        place=place,
        token=_text(action.get("value"), "value", _LONGEST_TOKEN),
        approves=action["action_id"] == APPROVE,
        trigger=_text(payload.get("trigger_id", ""), "trigger_id", _LONGEST_TOKEN),
    )


def _denial(payload: Mapping[str, Any], view: Mapping[str, Any]) -> Denial:
    note = _mapping(read_json(_text(view.get("private_metadata"), "private_metadata", 3000).encode()), "the note")
    state = _mapping(view.get("state"), "state")
    block = _mapping(_mapping(state.get("values"), "values").get(REASON), REASON)
    given = _mapping(block.get(REASON), REASON).get("value")
    return Denial(
        sender=_sender(payload),
        place=_place(note.get("channel"), note.get("ts"), note.get("thread")),
        token=_text(note.get("token"), "token", _LONGEST_TOKEN),
        reason="" if given is None else _text(given, REASON, 3000),
    )


def _sender(payload: Mapping[str, Any]) -> Sender:
    user = _mapping(payload.get("user"), "user")
    team = payload.get("team")
    return Sender(
        user=_id(user.get("id"), "user.id"),
        name=_name(user.get("username") or user.get("name")),
        user_team=_name(user.get("team_id")),
        team=_name(team.get("id")) if isinstance(team, Mapping) else "",
        app=_name(payload.get("api_app_id")),
    )


def _place(channel: Any, ts: Any, thread: Any) -> Place:
    if not isinstance(ts, str) or _TS.fullmatch(ts) is None:
        raise BadPayload("the message is not named by its time stamp")
    if thread is not None and (not isinstance(thread, str) or _TS.fullmatch(thread) is None):
        raise BadPayload("the thread is not named by its time stamp")
    return Place(_id(channel, "channel"), ts, thread)


def _mapping(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadPayload(f"{what} is not an object")
    return value


def _text(value: Any, what: str, longest: int) -> str:
    if not isinstance(value, str) or len(value) > longest:
        raise BadPayload(f"{what} is not a text of at most {longest} characters")
    return value


def _id(value: Any, what: str) -> str:
    if not isinstance(value, str) or _ID.fullmatch(value) is None:
        raise BadPayload(f"{what} is not an id of Slack's")
    return value


def _name(value: Any) -> str:
    """Somebody's name, or an id that is only compared: nothing where it is no text."""
    return " ".join(value.split())[:_LONGEST_NAME] if isinstance(value, str) else ""
