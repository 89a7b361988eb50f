"""Times that come again: Alertmanager's `time_intervals`, with its grammar and its meaning. Pure.

Settings and the calendar's guard use it. An entry holds where each of its fields does, a field where one of its items
does; what a field leaves out holds always. Wall clocks are the zone's: what daylight saving skips does not happen, and
what it repeats happens twice, as in Alertmanager.
"""

import calendar
import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

_ONE_DAY = timedelta(days=1)
_WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_MONTHS = tuple(calendar.month_name[number].lower() for number in range(1, 13))
_TIME = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00")
_NUMBER = re.compile(r"[+-]?[0-9]{1,4}")
_LONGEST_MONTH, _SHORTEST_MONTH = 31, 28
_CHUNK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Span:
    """From a number to a number, both included."""

    first: int
    last: int

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and self.first <= number <= self.last


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a time interval; an empty field holds always."""

    times: tuple[Span, ...] = ()
    """Minutes of the day; the last one is the one before the end that was written."""
    weekdays: tuple[Span, ...] = ()
    """0 is Sunday."""
    days_of_month: tuple[Span, ...] = ()
    """-1 is the last day."""
    months: tuple[Span, ...] = ()
    years: tuple[Span, ...] = ()
    zone: tzinfo = UTC

    def contains(self, at: datetime) -> bool:
        """Whether a moment is within it."""
        local = at.astimezone(self.zone)
        return self._holds_at(local.hour * 60 + local.minute) and self._holds_on(local.date())

    def _holds_at(self, minute: int) -> bool:
        return not self.times or any(minute in span for span in self.times)

    def _holds_on(self, day: date) -> bool:
        return (
            (not self.years or any(day.year in span for span in self.years))
            and (not self.months or any(day.month in span for span in self.months))
            and (not self.weekdays or any(day.isoweekday() % 7 in span for span in self.weekdays))
            and (not self.days_of_month or any(_is_within(day, span) for span in self.days_of_month))
        )

    def borders(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Every moment between the two at which it may begin or end; in no order, with some before, after, or twice."""
        day, last = after.astimezone(self.zone).date(), until.astimezone(self.zone).date()
        held = self._holds_on(day - _ONE_DAY)
        while day <= last:
            holds = self._holds_on(day)
            if holds != held:
                yield _moment(day, 0, self.zone)
            if holds:
                for minute in {minute for span in self.times for minute in (span.first, span.last + 1)}:
                    yield from (_moment(day, minute, self.zone), _moment(day, minute, self.zone, fold=1))
            day, held = day + _ONE_DAY, holds
        yield from _shifts(self.zone, after, until)


@dataclass(frozen=True, slots=True)
class Interval:
    """A named time interval: it holds where one of its entries does."""

    name: str
    entries: tuple[Entry, ...]

    def contains(self, at: datetime) -> bool:
        """Whether a moment is within it."""
        return any(entry.contains(at) for entry in self.entries)

    @property
    def zones(self) -> tuple[tzinfo, ...]:
        """The zones that its entries are written in, each once."""
        return tuple(dict.fromkeys(entry.zone for entry in self.entries))


def borders(intervals: Sequence[Interval], after: datetime, within: timedelta) -> Iterator[datetime]:
    """The moments after `after` at which one of the intervals may begin or end, in order; there are no others."""
    entries = [entry for interval in intervals for entry in interval.entries]
    begin, end = after.astimezone(UTC), (after + within).astimezone(UTC)
    while begin < end:
        until = min(begin + _CHUNK, end)
        found = {moment for entry in entries for moment in entry.borders(begin, until)}
        yield from sorted(moment for moment in found if begin < moment <= until)
        begin = until


def _is_within(day: date, span: Span) -> bool:
    """Days that a month does not have are left out."""
    days = calendar.monthrange(day.year, day.month)[1]
    first, last = (n if n > 0 else days + n + 1 for n in (span.first, span.last))
    return first <= day.day <= last


def _moment(day: date, minute: int, zone: tzinfo, *, fold: int = 0) -> datetime:
    """When a wall clock shows this; a time that is skipped is some moment, which is looked at for nothing."""
    wall = datetime.combine(day, time(), zone) + timedelta(minutes=minute)  # adds on the wall clock
    return wall.replace(fold=fold).astimezone(UTC)


def _shifts(zone: tzinfo, begin: datetime, end: datetime) -> Iterator[datetime]:
    """When the wall clock is set forward or back between two moments."""

    def offset(at: datetime) -> timedelta | None:
        return at.astimezone(zone).utcoffset()

    if offset(begin) == offset(end):
        return
    while end - begin > timedelta(seconds=1):
        middle = begin + (end - begin) // 2
        if offset(middle) == offset(begin):
            begin = middle
        else:
            end = middle
    yield end.replace(microsecond=0)


# How people write it. All of these raise ValueError that says what to write.


def parse_times(start: str, end: str) -> Span:
    """The minutes of the day from `start` up to `end`, which is not included."""
    first, after = _minutes(start), _minutes(end)
    if first >= after:
        again = "; for a time over midnight, write one entry up to 24:00 and one from 00:00" if first > after else ""
        raise ValueError(f"`end_time` {end} is not after `start_time` {start}{again}")
    return Span(first, after - 1)


def _minutes(text: str) -> int:
    if not _TIME.fullmatch(text):
        raise ValueError(f"{text!r} is no time of day; write it with two digits each, from 00:00 to 24:00, like 09:30")
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


def parse_weekdays(text: str) -> Span:
    """`monday`, or `monday:friday`."""
    span = _span(text, _weekday)
    if span.first > span.last:
        raise ValueError(f"{text!r}: a week begins with sunday here, as in Alertmanager; {_SPLIT}")
    return span


def parse_days_of_month(text: str) -> Span:
    """`1`, `1:7`, or `-3:-1` for the last three days. It takes what Alertmanager takes, and nothing else."""
    span = _span(text, _day_of_month)
    if span.first < 0 < span.last:
        raise ValueError(f"{text!r}: a range that begins with a negative day ends with one, like -3:-1")
    first, last = (n if n > 0 else _SHORTEST_MONTH + n for n in (span.first, span.last))
    if first > last:
        raise ValueError(f"{text!r} would end before it begins in a short month, so Alertmanager refuses it; {_SPLIT}")
    return span


def parse_months(text: str) -> Span:
    """`december`, `12`, or `november:december`."""
    span = _span(text, _month)
    if span.first > span.last:
        raise ValueError(f"{text!r} ends before it begins; {_SPLIT}")
    return span


def parse_years(text: str) -> Span:
    """`2027`, or `2027:2029`."""
    span = _span(text, _year)
    if span.first > span.last:
        raise ValueError(f"{text!r} ends before it begins; write the earlier year first, like 2027:2029")
    return span


_SPLIT = "write it as two items"


def parse_zone(name: str) -> tzinfo:
    """The zone of that name in the IANA database; UTC needs no database."""
    if name in ("UTC", ""):
        return UTC
    if name == "Local":
        raise ValueError("`Local` is another zone on another machine; write the zone's own name, like Europe/Berlin")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass
    known = available_timezones()
    if not known:
        raise ValueError(
            f"{name!r} cannot be looked up: this machine has no time zone database; install the system's tzdata, or "
            "the Python package tzdata beside remediator"
        )
    near = difflib.get_close_matches(name, known, n=1)
    meant = f"; did you mean `{near[0]}`?" if near else "; write one like Europe/Berlin"
    raise ValueError(f"{name!r} is no time zone of the IANA database{meant}")


def _span(text: str, member: "_Member") -> Span:
    first, colon, last = text.lower().partition(":")
    return Span(member(first), member(last if colon else first))


class _Member:
    """How one kind of item is read."""

    def __init__(self, what: str, least: int, most: int, names: Sequence[str] = (), *, numbers: bool = True) -> None:
        self._what = what
        self._allowed = Span(least, most)
        self._names = tuple(names)
        self._numbers = numbers

    def __call__(self, text: str) -> int:
        if text in self._names:
            return self._allowed.first + self._names.index(text)
        if self._numbers and _NUMBER.fullmatch(text) and int(text) in self._allowed and int(text) != 0:
            return int(text)
        near = difflib.get_close_matches(text, self._names, n=1)
        raise ValueError(f"{text!r} is no {self._what}" + (f"; did you mean `{near[0]}`?" if near else ""))


_weekday = _Member("weekday; write it like monday, or monday:friday", 0, 6, _WEEKDAYS, numbers=False)
_day_of_month = _Member("day of a month; write it like 1, 1:7, or -1 for the last day", -_LONGEST_MONTH, _LONGEST_MONTH)
_month = _Member("month; write it like december, 12, or november:december", 1, 12, _MONTHS)
_year = _Member("year; write it like 2027, or 2027:2029", 1, 9998)
