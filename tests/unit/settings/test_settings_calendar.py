"""Calendars and lists of what is protected are read at start, and every mistake in them is told with its place."""

import jsonschema
import pytest

from remediator.documents import read_document
from remediator.settings.schema import schema_of_settings
from tests.unit.settings.reading import Load, mistakes_of

# The example of Alertmanager's documentation, and what else its grammar has.
COPIED = """
calendar:
  time_intervals:
    - name: offhours
      time_intervals:
        - times:
            - start_time: 00:00
              end_time: 09:00
            - start_time: 17:00
              end_time: 24:00
          weekdays: ['monday:friday', Sunday]
          days_of_month: [1, '10:-5', '-3:-1']
          months: [1, 'march:June', december]
          years: [2026, '2027:2029']
          location: Australia/Sydney
        - weekdays: [saturday]
  freezes:
    - interval: offhours
      action: ask
      scopes: [pack:web, rule:web/down, action:docker.restart, "target:docker:local/postgres*"]
      reason: nobody is there
  windows:
    - {interval: offhours}
"""


def test_intervals_are_written_as_in_alertmanagers_file(load: Load) -> None:
    """People copy them from there."""
    calendar = load(COPIED).calendar

    assert ["offhours"] == list(calendar.intervals)
    assert ["Australia/Sydney", "UTC"] == list(map(str, calendar.intervals["offhours"].zones))
    assert ("ask", "hold") == (calendar.freezes[0].action, calendar.windows[0].action)
    assert ("everything",) == calendar.windows[0].scopes


def test_the_schema_takes_what_alertmanager_takes() -> None:
    """Days, months and years may be numbers, also in an editor."""
    validator = jsonschema.Draft202012Validator(schema_of_settings())

    assert [] == [error.message for error in validator.iter_errors(read_document(COPIED, name="x").data)]


def test_nothing_is_frozen_or_protected_unless_it_is_said(load: Load) -> None:
    """Only whoever runs it knows what that would be."""
    settings = load("{}")

    assert ((), ()) == (settings.calendar.freezes, settings.calendar.windows)
    assert ((), ()) == (settings.protected.deny.targets, settings.protected.allow.targets)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("weekdays: [monday, fryday]", "5:28: 'fryday' is no weekday"),
        ("weekdays: monday", "5:19: a list is needed here"),
        ("weekdays: [true]", "5:20: an item is text or a number"),
        ("days_of_month: [0]", "5:25: '0' is no day of a month"),
        ("months: []", "5:17: `months` is empty"),
        ("years: [soon]", "5:17: 'soon' is no year"),
        ("location: Europe/Berln", "5:19: 'Europe/Berln' is no time zone of the IANA database; did you mean"),
        ("times: [{start_time: 22:00, end_time: 06:00}]", "5:17: `end_time` 06:00 is not after `start_time` 22:00"),
        ("times: [{start_time: 22:00}]", "5:17: `end_time` is missing"),
        ("day_of_month: [1]", "5:9: `day_of_month` is not known here; did you mean `days_of_month`?"),
    ],
)
def test_a_mistake_in_an_interval_is_told_with_its_place(load: Load, written: str, expected: str) -> None:
    """A freeze that is never there is found out in the middle of it."""
    found = mistakes_of(
        load, f"calendar:\n  time_intervals:\n  - name: x\n    time_intervals:\n      - {written}\n  freezes: []\n"
    )

    assert [f"remediator.yaml:{expected}"] == [line[: len(f"remediator.yaml:{expected}")] for line in found]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("freezes: [{interval: sales}]", "freezes: item 1 names 'sales', which is not among time_intervals; did you"),
        ("windows: [{interval: sale}, {interval: no}]", "windows: item 2 names 'no', which is not among"),
        ("freezes: [{interval: sale, scopes: [web]}]", "'web' is no scope; write everything, or one like pack:web"),
        ("freezes: [{interval: sale, scopes: ['rule:down']}]", "'rule:down' is no scope"),
        ("freezes: [{interval: sale, scopes: ['target:web']}]", "'web' is no target's name"),
        ("freezes: [{interval: sale, scopes: []}]", "`scopes` is empty"),
        ("freezes: [{interval: sale, scopes: everything}]", "a list is needed here"),
        ("freezes: [{interval: sale, action: wait}]", "`action` is one of 'hold' or 'ask'"),
    ],
)
def test_a_freeze_that_could_never_hold_is_a_mistake(load: Load, written: str, expected: str) -> None:
    """It would look as if it was there."""
    intervals = "time_intervals: [{name: sale, time_intervals: [{months: [november]}]}]"
    found = mistakes_of(load, f"calendar:\n  {intervals}\n  {written}\n")

    assert 1 == len(found)
    assert expected in found[0]


def test_a_name_stands_for_one_interval(load: Load) -> None:
    """Which of two was meant, nobody could say."""
    one = "{name: sale, time_intervals: [{}]}"

    assert "the name 'sale' stands twice" in mistakes_of(load, f"calendar: {{time_intervals: [{one}, {one}]}}")[0]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("targets: [postgres*]", "1:30: 'postgres*' is no target's name"),
        ("targets: 'docker:*'", "1:29: a list is needed here"),
        ("namespaces: ['']", "1:33: a pattern of no characters fits nothing"),
        ("""labels: ['a=~"("']""", "1:29: the regular expression '(' cannot be read"),
        ("labels: ['']", "1:29: '' holds no matcher"),
        ("target: ['docker:*']", "1:20: `target` is not known here; did you mean `targets`?"),
    ],
)
@pytest.mark.parametrize("name", ["deny", "allow"])
def test_a_list_of_what_is_protected_is_checked(load: Load, name: str, written: str, expected: str) -> None:
    """A denial that fits nothing protects nothing."""
    found = mistakes_of(load, f"protected: {{{name}: {{{written}}}}}")
    line, column, what = expected.split(":", 2)

    assert f"remediator.yaml:{line}:{int(column) + len(name) - 4}:{what}" in found[0]
