"""Durations as Prometheus writes them: `30s`, `1h30m`, `500ms`, `2d`."""

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_PARTS = re.compile(r"(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?")
PATTERN = "^(0|(?=[0-9])([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?)$"
"""The same for JSON Schema."""
_UNITS = ("weeks", "days", "hours", "minutes", "seconds", "milliseconds")


def parse_duration(text: str) -> timedelta:
    """The duration that `text` says, in Prometheus' grammar. Raises ValueError with an example."""
    found = _PARTS.fullmatch(text)
    if text == "0":
        return timedelta(0)
    if not text or found is None:
        raise ValueError(f"{text!r} is not a duration; write it like 30s, 5m or 1h30m")
    try:
        return timedelta(**{unit: int(n) for unit, n in zip(_UNITS, found.groups(), strict=True) if n})
    except OverflowError:
        raise ValueError(f"{text!r} is longer than any duration that can be counted") from None


def say_duration(duration: timedelta) -> str:
    """The shortest way to say it, to the millisecond: `1h30m`; a negative one is `0s`."""
    rest = max(round(duration.total_seconds() * 1000), 0)
    said = ""
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, rest = divmod(rest, size)
        if count:
            said += f"{count}{unit}"
    return said or "0s"


def _accept(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str):
        return parse_duration(value)
    raise ValueError("a duration needs its unit; write it like 30s, 5m or 1h30m")


Duration = Annotated[
    timedelta,
    BeforeValidator(_accept),
    PlainSerializer(say_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": PATTERN, "examples": ["30s", "5m", "1h30m"]}),
]
