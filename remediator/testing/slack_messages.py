"""Messages as the stand-in for Slack keeps them, and what Slack checks of one and shows of it. Used by `slack.py`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from remediator.testing import block_kit

_LONGEST_TEXT = 40_000
_PAGE, _LONGEST_PAGE = 100, 999

Arguments = Mapping[str, Any]
Answer = dict[str, Any]


@dataclass(slots=True)
class Edit:
    """What a message said before it was edited."""

    text: str
    blocks: list[Any]


@dataclass(slots=True)
class StoredMessage:
    """A message as Slack keeps it."""

    channel: str
    ts: str
    thread_ts: str | None
    text: str
    blocks: list[Any]
    metadata: Any
    pings: list[str]
    """Whom it would notify; empty is what a bot wants."""
    edits: list[Edit] = field(default_factory=list)
    """What it said before, oldest first."""

    @property
    def shown(self) -> str:
        """Everything that people see, as plain text: for assertions."""
        return "\n".join(block_kit.texts(self.blocks)) if self.blocks else self.text


class Refused(Exception):  # noqa: N818 - not an error of ours
    """What Slack answers that will not do something."""

    def __init__(self, error: str, **more: Any) -> None:
        super().__init__(error)
        self.answer: Answer = {"ok": False, "error": error, **more}


def structured(arguments: Arguments, name: str, error: str) -> Any:
    """An argument that is JSON, or JSON in a string (in forms)."""
    value = arguments.get(name)
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise Refused(error) from None


def checked(arguments: Arguments) -> tuple[str, list[Any]]:
    """The text and blocks, refused where Slack would refuse them."""
    text = arguments.get("text") or ""
    blocks = structured(arguments, "blocks", "invalid_blocks_format") or []
    if not isinstance(text, str) or (not text.strip() and not blocks):
        raise Refused("no_text")
    if len(text) > _LONGEST_TEXT:
        raise Refused("msg_too_long")
    if found := block_kit.problems(blocks):
        said = [f"[ERROR] {problem}" for problem in found]
        raise Refused("invalid_blocks", errors=found, response_metadata={"messages": said})
    if block_kit.is_too_long(blocks):
        raise Refused("msg_blocks_too_long")
    return text, blocks


def metadata_of(arguments: Arguments) -> Any:
    metadata = structured(arguments, "metadata", "invalid_metadata_format")
    if metadata is None:
        return None
    if not isinstance(metadata, dict) or not isinstance(metadata.get("event_payload"), dict):
        raise Refused("invalid_metadata_format")
    if not isinstance(metadata.get("event_type"), str):
        raise Refused("invalid_metadata_format")
    return metadata


def is_linked(arguments: Arguments) -> bool:
    return arguments.get("parse") == "full" or str(arguments.get("link_names", "0")).lower() in ("1", "true")


def is_within(message: StoredMessage, arguments: Arguments) -> bool:
    return float(message.ts) > float(arguments.get("oldest") or 0)


def told(message: StoredMessage, *, with_metadata: bool) -> Answer:
    shown: Answer = {"type": "message", "bot_id": "B00000001", "ts": message.ts, "text": message.text}
    shown["blocks"] = message.blocks
    if message.thread_ts is not None:
        shown["thread_ts"] = message.thread_ts
    if message.edits:
        shown["edited"] = {"user": "B00000001", "ts": message.ts}
    if with_metadata and message.metadata is not None:
        shown["metadata"] = message.metadata
    return shown


def paged(messages: list[StoredMessage], arguments: Arguments) -> Answer:
    size = min(int(arguments.get("limit") or _PAGE), _LONGEST_PAGE)
    cursor = str(arguments.get("cursor") or "next:0")
    if not cursor.removeprefix("next:").isdigit():
        raise Refused("invalid_cursor")
    start = int(cursor.removeprefix("next:"))
    with_metadata = str(arguments.get("include_all_metadata", "0")).lower() in ("1", "true")
    page = [told(message, with_metadata=with_metadata) for message in messages[start : start + size]]
    more = start + size < len(messages)
    answer: Answer = {"messages": page, "has_more": more}
    if more:
        answer["response_metadata"] = {"next_cursor": f"next:{start + size}"}
    return answer
