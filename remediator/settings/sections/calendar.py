"""When changes are allowed: time intervals in Alertmanager's grammar, freezes, and maintenance windows."""

import difflib
from collections.abc import Callable
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from remediator.model import calendar
from remediator.model.calendar import Entry, Interval, Span
from remediator.model.pattern import parse_pattern
from remediator.settings.addresses import not_a_string
from remediator.settings.sections.section import Section


def _readable(parse: Callable[[str], Span]) -> BeforeValidator:
    """An item stays as it is written, once it is known that it can be read."""

    def check(value: Any) -> str:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise ValueError("an item is text or a number")
        parse(str(value))
        return str(value)

    return BeforeValidator(check)


_TEXT_OR_NUMBER = WithJsonSchema({"type": ["string", "integer"]})

_Weekdays = Annotated[str, _readable(calendar.parse_weekdays)]
_Days = Annotated[str, _readable(calendar.parse_days_of_month), _TEXT_OR_NUMBER]
_Months = Annotated[str, _readable(calendar.parse_months), _TEXT_OR_NUMBER]
_Years = Annotated[str, _readable(calendar.parse_years), _TEXT_OR_NUMBER]


def _zone(name: str) -> str:
    calendar.parse_zone(name)
    return name


_Location = Annotated[str, AfterValidator(_zone)]


class TimeRange(Section):
    """A part of the day. It does not go over midnight: that takes two entries."""

    start_time: str
    """When it begins, such as `09:00`."""
    end_time: str
    """When it is over, such as `17:00`, or `24:00`."""

    @property
    def span(self) -> Span:
        """Its minutes."""
        return calendar.parse_times(self.start_time, self.end_time)

    @model_validator(mode="after")
    def _check(self) -> Self:
        calendar.parse_times(self.start_time, self.end_time)
        return self


class TimeIntervalEntry(Section):
    """One entry of a time interval, as in Alertmanager: all fields have to hold, of each field one item."""

    times: Annotated[tuple[TimeRange, ...], Field(min_length=1)] = ()
    """Parts of the day; left out: all day."""
    weekdays: Annotated[tuple[_Weekdays, ...], Field(min_length=1), BeforeValidator(not_a_string)] = ()
    """Such as `monday:friday`; a week begins with sunday."""
    days_of_month: Annotated[tuple[_Days, ...], Field(min_length=1), BeforeValidator(not_a_string)] = ()
    """Such as `1:7`, or `-1` for the last day."""
    months: Annotated[tuple[_Months, ...], Field(min_length=1), BeforeValidator(not_a_string)] = ()
    """Such as `november:december`, or `12`."""
    years: Annotated[tuple[_Years, ...], Field(min_length=1), BeforeValidator(not_a_string)] = ()
    """Such as `2027`, or `2027:2029`."""
    location: _Location = "UTC"
    """The time zone, by its name in the IANA database, such as `Europe/Berlin`."""

    @property
    def entry(self) -> Entry:
        """What it means."""
        return Entry(
            times=tuple(part.span for part in self.times),
            weekdays=tuple(map(calendar.parse_weekdays, self.weekdays)),
            days_of_month=tuple(map(calendar.parse_days_of_month, self.days_of_month)),
            months=tuple(map(calendar.parse_months, self.months)),
            years=tuple(map(calendar.parse_years, self.years)),
            zone=calendar.parse_zone(self.location),
        )


class NamedInterval(Section):
    """A time interval and its name."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    """What freezes and windows name it by."""
    time_intervals: Annotated[tuple[TimeIntervalEntry, ...], Field(min_length=1)]
    """Its entries: it is the time that any of them contains."""


def _scope(text: str) -> str:
    """Raises ValueError where no plan could be in such a scope."""
    kind, _, name = text.partition(":")
    if kind == "target" and name:
        parse_pattern(name)
    elif not (text == "everything" or (kind in ("pack", "action") and name) or (kind == "rule" and "/" in name)):
        raise ValueError(
            f"{text!r} is no scope; write everything, or one like pack:web, rule:web/down, action:docker.restart or "
            "target:docker:local/postgres*"
        )
    return text


_Scopes = Annotated[
    tuple[Annotated[str, AfterValidator(_scope)], ...], Field(min_length=1), BeforeValidator(not_a_string)
]


class _Named(Section):
    """What freezes and windows have in common."""

    interval: str
    """The name of a time interval."""
    action: Literal["hold", "ask"] = "hold"
    """`hold` changes nothing then, whoever approves it; `ask` lets a person decide on each plan."""
    scopes: _Scopes = ("everything",)
    """What it is about: `everything`, `pack:web`, `rule:web/down`, `action:docker.restart`, or a pattern on targets
    such as `target:docker:local/postgres*`."""
    reason: Annotated[str, Field(max_length=200)] = ""
    """Why, for people."""


class Freeze(_Named):
    """A time within which nothing is changed by itself."""


class Window(_Named):
    """The only time within which something may be changed by itself."""


class CalendarSettings(Section):
    """When rules may change something."""

    time_intervals: tuple[NamedInterval, ...] = ()
    """Times by name, as in Alertmanager's file: `[{name: sale, time_intervals: [{months: [november]}]}]`. An entry has
    `times`, `weekdays`, `days_of_month`, `months`, `years` and `location` (UTC unless said)."""
    freezes: tuple[Freeze, ...] = ()
    """Times within which nothing is changed: `[{interval: sale, action: hold, scopes: [everything], reason: …}]`. With
    `action: ask` a person has to approve each plan instead. None by default."""
    windows: tuple[Window, ...] = ()
    """Times outside of which nothing is changed, written like freezes. Windows with the same scope add up; a plan
    needs to be within one of them for each scope that it is in. None by default, so that any time will do."""

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        names = [one.name for one in self.time_intervals]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"time_intervals: the name {name!r} stands twice; give each its own")
        for kind, used in (("freezes", self.freezes), ("windows", self.windows)):
            for number, one in enumerate(used, start=1):
                if one.interval not in names:
                    near = difflib.get_close_matches(one.interval, names, n=1)
                    meant = f"did you mean `{near[0]}`?" if near else "add it there, or correct the name"
                    where = f"{kind}: item {number} names {one.interval!r}, which is not among time_intervals"
                    raise ValueError(f"{where}; {meant}")
        return self

    @property
    def intervals(self) -> dict[str, Interval]:
        """What the names mean."""
        return {one.name: Interval(one.name, tuple(e.entry for e in one.time_intervals)) for one in self.time_intervals}
