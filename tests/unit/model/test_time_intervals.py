"""Time intervals mean here what they mean to Alertmanager, over every kind of jump that a wall clock makes."""

import sys
import zoneinfo
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remediator.model import calendar
from remediator.model.calendar import Entry, Interval, Span, borders

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
OFFICE = (calendar.parse_times("09:00", "17:00"),)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("entry", "moment", "expected"),
    [
        (Entry(), "2026-11-22T12:00", True),
        (Entry(times=OFFICE), "2026-11-22T08:59:59", False),
        (Entry(times=OFFICE), "2026-11-22T09:00", True),
        (Entry(times=OFFICE), "2026-11-22T16:59:59", True),
        (Entry(times=OFFICE), "2026-11-22T17:00", False),
        (Entry(times=(calendar.parse_times("23:00", "24:00"),)), "2026-11-22T23:59:59", True),
        (Entry(times=(calendar.parse_times("23:00", "24:00"),)), "2026-11-23T00:00", False),
        (Entry(times=OFFICE, zone=ZoneInfo("Asia/Kolkata")), "2026-11-22T03:29", False),
        (Entry(times=OFFICE, zone=ZoneInfo("Asia/Kolkata")), "2026-11-22T03:30", True),
        (Entry(weekdays=(calendar.parse_weekdays("sunday"),)), "2026-11-22T12:00", True),
        (Entry(weekdays=(calendar.parse_weekdays("monday:saturday"),)), "2026-11-22T12:00", False),
        (Entry(weekdays=(Span(1, 1),), zone=ZoneInfo("Asia/Tokyo")), "2026-11-22T15:00", True),
        (Entry(days_of_month=(calendar.parse_days_of_month("-1"),)), "2026-11-30T12:00", True),
        (Entry(days_of_month=(calendar.parse_days_of_month("-1"),)), "2028-02-29T12:00", True),
        (Entry(days_of_month=(calendar.parse_days_of_month("-1"),)), "2028-02-28T12:00", False),
        (Entry(days_of_month=(calendar.parse_days_of_month("31"),)), "2026-11-30T12:00", False),
        (Entry(days_of_month=(calendar.parse_days_of_month("29:31"),)), "2027-02-28T12:00", False),
        (Entry(days_of_month=(calendar.parse_days_of_month("25:31"),)), "2027-02-28T12:00", True),
        (Entry(days_of_month=(calendar.parse_days_of_month("-31:-29"),)), "2027-02-01T12:00", False),
        (Entry(days_of_month=(calendar.parse_days_of_month("-31:-1"),)), "2027-02-01T12:00", True),
        (Entry(days_of_month=(calendar.parse_days_of_month("5:-5"),)), "2026-11-26T12:00", True),
        (Entry(days_of_month=(calendar.parse_days_of_month("5:-5"),)), "2026-11-27T12:00", False),
        (Entry(months=(calendar.parse_months("november:december"),)), "2026-11-22T12:00", True),
        (Entry(months=(calendar.parse_months("1"),)), "2026-11-22T12:00", False),
        (Entry(years=(calendar.parse_years("2027:2029"),)), "2026-12-31T23:59", False),
        (Entry(years=(calendar.parse_years("2027:2029"),), zone=ZoneInfo("Asia/Tokyo")), "2026-12-31T23:59", True),
        (Entry(times=OFFICE, weekdays=(Span(6, 6),)), "2026-11-22T12:00", False),
    ],
)
def test_an_entry_holds_where_all_its_fields_do(entry: Entry, moment: str, expected: bool) -> None:
    """It is Alertmanager's grammar, so people expect its meaning to the minute."""
    assert expected == entry.contains(at(moment))


def test_the_last_day_is_the_last_day_also_in_a_month_that_loses_an_hour() -> None:
    """Some versions of Alertmanager take 30 March for it; a freeze must not end a day early for that."""
    entry = Entry(days_of_month=(calendar.parse_days_of_month("-1"),), zone=ZoneInfo("Europe/Berlin"))

    assert [False, True] == [entry.contains(at("2026-03-30T12:00")), entry.contains(at("2026-03-31T12:00"))]


def test_an_interval_holds_where_one_of_its_entries_does() -> None:
    """That is how a time over midnight is written."""
    night = Interval(
        "night",
        (
            Entry(times=(calendar.parse_times("22:00", "24:00"),)),
            Entry(times=(calendar.parse_times("00:00", "06:00"),)),
        ),
    )

    assert [False, True, True, False] == [
        night.contains(at(f"2026-11-22T{text}")) for text in ("21:59", "22:00", "05:59", "06:00")
    ]


@pytest.mark.parametrize(
    ("parse", "good", "expected"),
    [
        (calendar.parse_weekdays, "Monday:FRIDAY", Span(1, 5)),
        (calendar.parse_weekdays, "sunday:saturday", Span(0, 6)),
        (calendar.parse_days_of_month, "1", Span(1, 1)),
        (calendar.parse_days_of_month, "-3:-1", Span(-3, -1)),
        (calendar.parse_months, "January:3", Span(1, 3)),
        (calendar.parse_years, "2027", Span(2027, 2027)),
    ],
)
def test_items_are_read_as_alertmanager_reads_them(parse: Callable[[str], Span], good: str, expected: Span) -> None:
    """Intervals are copied from its file."""
    assert expected == parse(good)


@pytest.mark.parametrize(
    ("parse", "bad", "expected"),
    [
        (calendar.parse_weekdays, "monday:sunday", "a week begins with sunday here"),
        (calendar.parse_weekdays, "mon", "is no weekday"),
        (calendar.parse_weekdays, "1", "is no weekday"),
        (calendar.parse_weekdays, "monday:", "'' is no weekday"),
        (calendar.parse_weekdays, "monday:tuesday:friday", "is no weekday"),
        (calendar.parse_weekdays, "thrusday", "did you mean `thursday`?"),
        (calendar.parse_days_of_month, "0", "is no day of a month"),
        (calendar.parse_days_of_month, "32", "is no day of a month"),
        (calendar.parse_days_of_month, "-3:3", "ends with one"),
        (calendar.parse_days_of_month, "20:10", "as two items"),
        (calendar.parse_days_of_month, "20:-20", "as two items"),
        (calendar.parse_months, "december:january", "as two items"),
        (calendar.parse_months, "13", "is no month"),
        (calendar.parse_months, "novembre", "did you mean `november`?"),
        (calendar.parse_years, "2029:2027", "the earlier year first"),
        (calendar.parse_years, "next", "is no year"),
        (lambda text: calendar.parse_times(text, "24:00"), "9:00", "with two digits"),
        (lambda text: calendar.parse_times(text, "24:00"), "24:01", "no time of day"),
        (lambda text: calendar.parse_times(text, "24:00"), "24:00", "is not after"),
        (lambda text: calendar.parse_times(text, "06:00"), "22:00", "for a time over midnight"),
        (calendar.parse_zone, "Europe/Berln", "did you mean `Europe/Berlin`?"),
        (calendar.parse_zone, "../../etc/passwd", "no time zone"),
        (calendar.parse_zone, "Europe", "no time zone"),
        (calendar.parse_zone, "Local", "on another machine"),
    ],
)
def test_what_cannot_be_read_says_what_to_write(parse: Callable[[str], object], bad: str, expected: str) -> None:
    """A freeze that is silently never there is found out in the middle of it."""
    with pytest.raises(ValueError, match=expected.replace("?", r"\?")):
        parse(bad)


def test_without_a_database_of_time_zones_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small image may have none; UTC works all the same."""
    for name in {"tzdata", *(name for name in sys.modules if name.startswith("tzdata."))}:
        monkeypatch.setitem(sys.modules, name, None)
    zoneinfo.reset_tzpath(to=())
    ZoneInfo.clear_cache()
    try:
        with pytest.raises(
            ValueError, match="no time zone database; install the system's tzdata, or the Python package"
        ):
            calendar.parse_zone("Europe/Berlin")

        assert UTC is calendar.parse_zone("UTC")
    finally:
        zoneinfo.reset_tzpath()


ZONES = {
    "UTC": "2026-11-22",
    "Europe/Berlin": "2026-03-29",  # an hour is left out
    "Europe/Dublin": "2026-10-25",  # an hour comes twice
    "America/Havana": "2026-11-01",  # the hour after midnight comes twice
    "America/Santiago": "2026-09-06",  # the hour after midnight is left out
    "America/Asuncion": "2024-03-24",  # the hour before midnight comes twice
    "Australia/Lord_Howe": "2026-04-05",  # half an hour comes twice
    "Pacific/Apia": "2011-12-30",  # a day is left out
    "Africa/Casablanca": "2026-02-15",
    "Asia/Kathmandu": "2026-02-28",
}
_minutes = st.integers(0, 1440).map(lambda minute: f"{minute // 60:02}:{minute % 60:02}")
_near_jumps = st.sampled_from(
    ["00:00", "00:30", "01:00", "01:30", "02:00", "02:30", "03:00", "23:00", "23:30", "24:00"]
)
_times = st.tuples(_near_jumps | _minutes, _near_jumps | _minutes).filter(lambda pair: pair[0] < pair[1])
_weekdays = st.sampled_from(["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"])
_days = st.integers(1, 31) | st.integers(-31, -1)


@st.composite
def entries(draw: st.DrawFn) -> tuple[dict[str, list[str]], Entry]:
    """What may be written, and what it is read as."""

    def some(strategy: st.SearchStrategy[str]) -> list[str]:
        return draw(st.lists(strategy, min_size=1, max_size=3)) if draw(st.booleans()) else []

    zone = draw(st.sampled_from(sorted(ZONES)))
    raw = {
        "times": some(_times.map("-".join)),
        "weekdays": some(_weekdays),
        "days_of_month": some(_days.map(str)),
        "zone": [zone],
    }
    return raw, Entry(
        times=tuple(calendar.parse_times(*text.split("-")) for text in raw["times"]),
        weekdays=tuple(map(calendar.parse_weekdays, raw["weekdays"])),
        days_of_month=tuple(map(calendar.parse_days_of_month, raw["days_of_month"])),
        zone=calendar.parse_zone(zone),
    )


def plainly(raw: dict[str, list[str]], moment: datetime) -> bool:
    """The same, worked out from the texts alone, the slow way."""
    local = moment.astimezone(ZoneInfo(raw["zone"][0]))
    clock, name, plain = local.strftime("%H:%M"), local.strftime("%A").lower(), local.replace(tzinfo=None)
    from_the_end = -sum((plain + n * DAY).month == plain.month for n in range(31))
    return (
        (not raw["times"] or any(start <= clock < end for start, end in (text.split("-") for text in raw["times"])))
        and (not raw["weekdays"] or name in raw["weekdays"])
        and (not raw["days_of_month"] or bool({str(plain.day), str(from_the_end)} & set(raw["days_of_month"])))
    )


@pytest.mark.parametrize("zone", sorted(ZONES))
@pytest.mark.parametrize("hours", [-30, -3, 2])
def test_no_border_is_left_out_around_a_jump_of_the_clock(zone: str, hours: int) -> None:
    """An hour that comes twice has its borders twice."""
    quarters = tuple(calendar.parse_times(f"{hour:02}:15", f"{hour:02}:45") for hour in range(24))
    start = at(ZONES[zone]) + hours * timedelta(hours=1)
    interval = Interval("quarters", (Entry(times=quarters, zone=calendar.parse_zone(zone)),))
    moments = [start + n * MINUTE for n in range(2 * 1440 + 1)]
    held = [interval.contains(moment) for moment in moments]

    assert set() == changes(moments, held) - set(borders([interval], start, 2 * DAY))


def changes(moments: list[datetime], held: list[bool]) -> set[datetime]:
    return {moment for moment, before, now in zip(moments[1:], held[:-1], held[1:], strict=True) if before != now}


@settings(deadline=None, max_examples=60, derandomize=True)
@given(written=st.lists(entries(), min_size=1, max_size=3), offset=st.integers(-2 * 1440, 1440))
def test_nothing_begins_or_ends_but_at_a_border(written: list[tuple[dict[str, list[str]], Entry]], offset: int) -> None:
    """When a freeze would end is looked up at its borders only: one that is left out would hold it for too long."""
    start = at(ZONES[written[0][0]["zone"][0]]) + offset * MINUTE
    interval = Interval("any", tuple(entry for _, entry in written))
    found = list(borders([interval], start, 2 * DAY))
    moments = [start + n * MINUTE for n in range(2 * 1440 + 1)]
    held = [interval.contains(moment) for moment in moments]

    assert [any(plainly(raw, moment) for raw, _ in written) for moment in moments] == held
    assert set() == changes(moments, held) - set(found)
    assert sorted(set(found)) == found
    assert all(start < moment <= start + 2 * DAY for moment in found)


def test_borders_of_what_never_changes_are_few() -> None:
    """They are looked through for more than a year, within a transaction."""
    ever = Interval("ever", (Entry(zone=ZoneInfo("Europe/Berlin")),))

    assert ["2027-03-28T01:00:00+00:00", "2027-10-31T01:00:00+00:00"] == [
        moment.isoformat() for moment in borders([ever], at("2026-11-22T12:00:01.5"), 400 * DAY)
    ]
