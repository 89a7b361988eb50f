"""Pieces that messages to people are made of: times, paragraphs, ends of outputs, and secrets taken out. Pure.

Called by `story` and `card`. Nothing in here knows a chat's markup.
"""

from dataclasses import replace
from datetime import datetime
from typing import assert_never

from remediator.kit.redaction import Redactor
from remediator.model.message import Excerpt, Fields, Message, Part, Text


def clock_time(at: datetime) -> str:
    """A time as it is told to people."""
    return at.strftime("%Y-%m-%d %H:%M:%S UTC")


def texts(*said: str) -> tuple[Part, ...]:
    """A paragraph for each text that is not empty."""
    return tuple(Text(text) for text in said if text)


def fields(*pairs: tuple[str, str]) -> tuple[Part, ...]:
    """Those of the pairs that have a value, as one table; nothing where none has."""
    shown = tuple((name, value) for name, value in pairs if value)
    return (Fields(shown),) if shown else ()


def tail(text: str, limit: int) -> str:
    """The end of a text: the newest lines are the ones worth reading."""
    if len(text) <= limit:
        return text
    kept = text[-limit:]
    return "…" + kept[kept.find("\n") + 1 :] if "\n" in kept[:-1] else "…" + kept


def redacted(message: Message, redactor: Redactor) -> Message:
    """The message with secrets taken out of all that it says."""
    choice = message.choice
    return replace(
        message,
        title=redactor.text(message.title),
        parts=tuple(_redacted_part(part, redactor) for part in message.parts),
        choice=choice and replace(choice, confirm=redactor.text(choice.confirm)),
    )


def _redacted_part(part: Part, redactor: Redactor) -> Part:
    match part:
        case Fields(pairs=pairs):
            return Fields(tuple((redactor.text(name), redactor.text(value)) for name, value in pairs))
        case Text(text=text):
            return Text(redactor.text(text))
        case Excerpt(title=title, text=text):
            return Excerpt(redactor.text(title), redactor.text(text))
        case other:
            assert_never(other)
