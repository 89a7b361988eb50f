"""Words that depend on numbers. Used wherever a count is told to people; pure."""

from datetime import UTC, datetime


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun: `1 step`, `2 steps`; `plural` where that is not the noun with an `s`."""
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"


def say_time(at: datetime) -> str:
    """A time for people: `2026-01-31 12:00:05 UTC`."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
