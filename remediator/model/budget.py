"""How often something may happen, and how much of a pool is meant: `3/1h, 7/1d`, `2`, `25%`."""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from remediator.model.duration import parse_duration, say_duration

_WINDOW = re.compile(r"(\d{1,6})\s*/\s*(\w+)")
_PERCENT = re.compile(r"(\d{1,3}(?:\.\d+)?)\s*%")
_ALL = 100.0


@dataclass(frozen=True, slots=True)
class Budget:
    """At most `count` times within any `window`."""

    count: int
    window: timedelta

    def __str__(self) -> str:
        return f"{self.count}/{say_duration(self.window)}"


@dataclass(frozen=True, slots=True)
class Share:
    """So many, or so much of all: one of the two is set."""

    count: int | None = None
    percent: float | None = None

    def __str__(self) -> str:
        return f"{self.percent:g}%" if self.percent is not None else str(self.count)


def parse_budgets(text: str) -> tuple[Budget, ...]:
    """The windows that `text` names, all of which count. Raises ValueError with an example."""
    found = []
    for part in text.split(","):
        match = _WINDOW.fullmatch(part.strip())
        if match is None:
            raise ValueError(f"{part.strip()!r} is no budget; write how often in how long, like 3/1h, or 3/1h, 7/1d")
        window = parse_duration(match[2])
        if window <= timedelta(0):
            raise ValueError(f"{part.strip()!r}: the time must be longer than nothing")
        found.append(Budget(int(match[1]), window))
    return tuple(found)


def parse_share(value: Any) -> Share:
    """The share that a number or a text like `25%` says. Raises ValueError with an example."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return Share(count=value)
    match = _PERCENT.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or float(match[1]) > _ALL:
        raise ValueError(f"{value!r} is neither a number nor a share; write it like 2 or 25%")
    return Share(percent=float(match[1]))


def _budgets(value: Any) -> Any:
    if isinstance(value, tuple):
        return value
    if isinstance(value, str):
        return parse_budgets(value)
    raise ValueError("a budget is text, how often in how long, like 3/1h, or 3/1h, 7/1d")


def _window(value: Any) -> Any:
    if isinstance(value, Budget):
        return value
    budgets = _budgets(value)
    if len(budgets) != 1 or not budgets[0].count:
        raise ValueError(f"{value!r}: this takes one figure of at least 1 and one time, like 3/1h")
    return budgets[0]


def _say_budgets(budgets: tuple[Budget, ...]) -> str:
    return ", ".join(map(str, budgets))


Budgets = Annotated[
    tuple[Budget, ...],
    BeforeValidator(_budgets),
    PlainSerializer(_say_budgets, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["3/1h", "3/1h, 7/1d"]}),
]
"""As a person writes it: `3/1h, 7/1d`."""

Part = Annotated[
    Share,
    BeforeValidator(lambda value: value if isinstance(value, Share) else parse_share(value)),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "examples": ["25%"]}]}),
]
"""As a person writes it: `2` or `25%`."""

Window = Annotated[
    Budget,
    BeforeValidator(_window),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["3/1h"]}),
]
"""As a person writes it: `3/1h`; one of them, and not of nothing."""
