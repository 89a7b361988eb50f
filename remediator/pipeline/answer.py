"""What came of one call, as it is stored and told: redacted, cut where it is huge, and without what JSON does not have.

Made by `calls.py`. Nothing here calls anybody.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_jsonable_python

from remediator.kit.redaction import Redactor, shorten
from remediator.model.facts import Evidence, StepStatus
from remediator.plugins import Result

_BRIEF_LIMIT = 500
_DETAIL_LIMIT = 16_000
_RESULT_LIMIT = 64_000
_LARGEST_INT = 1023  # bits; a larger one is no float, and Python itself refuses to print a really long one
_HALVES = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Answer:
    """How one call ended; texts and result are redacted and cut."""

    status: StepStatus
    result: Mapping[str, Any]
    brief: str
    detail: str
    seconds: float
    begun: bool = True
    """False where what was to be acted on has said that it is not to be touched, or was changed by somebody since it
    was to be put back: nothing was done."""

    def as_evidence(self, action: str) -> Evidence:
        ok = self.status is StepStatus.DONE
        return Evidence(action, ok, self.result, self.brief, self.detail, self.seconds)


class Keeping:
    """What is kept of texts and results."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor

    def brief(self, text: str) -> str:
        """A line of it."""
        redacted = self._redactor.start(_whole_text(text), 2 * _BRIEF_LIMIT)
        return shorten(" ".join(redacted.split()), _BRIEF_LIMIT)

    def detail(self, result: Result) -> str:
        """The end of what there is to read of it."""
        return self._redactor.end(_whole_text(result.detail()), _DETAIL_LIMIT)

    def result(self, result: Result) -> Mapping[str, Any]:
        """What is stored of a result and seen by expressions: redacted, and cut where it is huge.

        It is the same before and after it was stored: a number that JSON does not have (NaN, an infinite one, one too
        large for a float) is None, which a `when` sees as nothing; the action's brief tells it. Half a character is a
        replacement character.
        """
        dumped = {name: self._cut_roughly(value) for name, value in _dumped(result).items()}
        kept: dict[str, Any] = _storable(self._redactor.value(dumped))
        if len(json.dumps(kept)) > _RESULT_LIMIT:
            share = _RESULT_LIMIT // max(len(kept), 1)
            kept = {name: _cut(value, share) for name, value in kept.items()}
        return kept

    def _cut_roughly(self, value: Any) -> Any:
        """What surely would be cut later goes before it is redacted, which takes time."""
        if isinstance(value, str):
            return value if len(value) <= _RESULT_LIMIT else self._redactor.start(value, _RESULT_LIMIT)
        if not isinstance(value, list):
            return value if _weight(value, _RESULT_LIMIT) <= _RESULT_LIMIT else None
        room, first = _RESULT_LIMIT, len(value)
        while first and (room := room - _weight(value[first - 1], room)) >= 0:
            first -= 1
        return value[first:]


def _dumped(result: Result) -> dict[str, Any]:
    try:
        return result.model_dump(mode="json")
    except UnicodeError:  # half a character in a key
        dumped: dict[str, Any] = to_jsonable_python(_storable(result.model_dump()))
        return dumped


def _weight(value: Any, limit: int) -> int:
    """How long a value is in JSON at the least; not counted to the end where that is beyond the limit."""
    weight, parts = 0, [value]
    while parts and weight <= limit:
        part = parts.pop()
        weight += 1
        if isinstance(part, str):
            weight += len(part)
        elif isinstance(part, dict):
            parts += [*part.keys(), *part.values()]
        elif isinstance(part, list):
            parts += part
    return weight


def _storable(value: Any) -> Any:
    """The value as it would be read back from the store."""
    match value:
        case str():
            return _whole_text(value)
        case bool():
            return value
        case int():
            return value if value.bit_length() <= _LARGEST_INT else None
        case float():
            return value if math.isfinite(value) else None
        case list() | tuple():
            return [_storable(item) for item in value]
        case dict():
            return {_storable(key): _storable(item) for key, item in value.items()}
    return value


def _whole_text(text: str) -> str:
    """The text without halves of characters, which can neither be stored nor sent."""
    return _HALVES.sub("\ufffd", text)


def _cut(value: Any, limit: int) -> Any:
    if isinstance(value, str):
        return shorten(value, limit)
    if isinstance(value, list):
        kept: list[Any] = []
        for item in reversed(value):  # the newest lines are the ones worth keeping
            limit -= len(json.dumps(item))
            if limit < 0:
                break
            kept.append(item)
        return kept[::-1]
    return value if len(json.dumps(value)) <= limit else None
