"""When something may be changed: never within a freeze, and only within the maintenance windows, where there are any.

A plan that was begun before is finished: half a change is worse than one that ends a little late.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from remediator.kit.wording import say_time
from remediator.model.calendar import Interval, borders
from remediator.model.history import Known, Question
from remediator.model.outcome import Reason
from remediator.model.pattern import parse_pattern
from remediator.model.plan import Effect
from remediator.model.stop import Bar, scopes_of
from remediator.pipeline.guards.guard import Allow, Ask, Case, Hold, Review
from remediator.settings import CalendarSettings

_IN_SIGHT = timedelta(days=400)
"""More than a year: a freeze of each year is seen to end, and a window of each year to begin."""
_LOOK_AGAIN = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class _Bar:
    """A freeze, or all windows of one scope: what stands in the way at some times."""

    scopes: tuple[str, ...]
    intervals: tuple[Interval, ...]
    is_freeze: bool
    holds: bool
    reasons: tuple[str, ...]

    def stands(self, at: datetime) -> bool:
        """Whether it is in the way at that moment."""
        return any(interval.contains(at) for interval in self.intervals) is self.is_freeze

    def __str__(self) -> str:
        names = " and ".join(f"“{interval.name}”" for interval in self.intervals)
        zones = ", ".join(dict.fromkeys(str(zone) for interval in self.intervals for zone in interval.zones))
        what = "within the freeze" if self.is_freeze else "outside of the window"
        why = "".join(f", {reason}" for reason in dict.fromkeys(self.reasons) if reason)
        return f"{what} {names} ({zones}){why}"


class Calendar:
    """Holds, or has a person asked, as each freeze and window says; a hold outweighs a question."""

    def __init__(self, settings: CalendarSettings) -> None:
        self._bars = (*_freezes(settings), *_windows(settings))

    def asks(self, case: Case) -> tuple[Question, ...]:
        del case
        return ()

    def judge(self, case: Case, known: Known) -> Review:
        del known
        if case.begun:
            return Allow()
        bars = [bar for bar in self._bars if any(_covers(scope, case) for scope in bar.scopes)]
        standing = [bar for bar in bars if bar.stands(case.at)]
        holding = [bar for bar in standing if bar.holds]
        if holding:
            free = _first_without([bar for bar in bars if bar.holds], case.at)
            return Hold(Reason.FROZEN, free or case.at + _LOOK_AGAIN, _say(holding, free, "it would allow"))
        if standing:
            said = _say(standing, _first_without(bars, case.at), "nobody would be asked for this")
            return Ask(Reason.FROZEN, said, subject="; ".join(sorted(map(str, standing))))
        return Allow()

    def standing(self, at: datetime) -> tuple[Bar, ...]:
        """Each freeze and window that holds something now, or has a person asked."""
        return tuple(one for bar in self._bars if bar.stands(at) for one in _shown(bar, at))


def _shown(bar: _Bar, at: datetime) -> Iterator[Bar]:
    free = _first_without([bar], at)
    reason = _say([bar], free, "it would allow" if bar.holds else "nobody would be asked for this")
    for scope in bar.scopes:
        yield Bar("freeze" if bar.is_freeze else "window", scope, reason, until=free)


def _freezes(settings: CalendarSettings) -> Iterator[_Bar]:
    intervals = settings.intervals
    for one in settings.freezes:
        named = (intervals[one.interval],)
        yield _Bar(one.scopes, named, is_freeze=True, holds=one.action == "hold", reasons=(one.reason,))


def _windows(settings: CalendarSettings) -> Iterator[_Bar]:
    """One for each scope, whose windows add up; it holds where one of them says so."""
    intervals = settings.intervals
    for scope in dict.fromkeys(scope for one in settings.windows for scope in one.scopes):
        windows = [one for one in settings.windows if scope in one.scopes]
        yield _Bar(
            (scope,),
            tuple(intervals[name] for name in dict.fromkeys(one.interval for one in windows)),
            is_freeze=False,
            holds=any(one.action == "hold" for one in windows),
            reasons=tuple(one.reason for one in windows),
        )


def _covers(scope: str, case: Case) -> bool:
    kind, _, name = scope.partition(":")
    if kind == "target":
        return any(map(parse_pattern(name).matches, case.targets))
    actions = tuple(step.action for step in case.plan.steps if step.effect is not Effect.READ)
    return scope in scopes_of(case.run.rule, actions=actions)


def _first_without(bars: Sequence[_Bar], after: datetime) -> datetime | None:
    """When none of them will stand in the way; None where that is not in sight."""
    intervals = [interval for bar in bars for interval in bar.intervals]
    moments = borders(intervals, after, _IN_SIGHT)
    return next((moment for moment in moments if not any(bar.stands(moment) for bar in bars)), None)


def _say(bars: Sequence[_Bar], free: datetime | None, then: str) -> str:
    said = "; ".join(map(str, bars))
    if free is None:
        return f"{said}; no end of it is in sight within {_IN_SIGHT.days} days"
    zones = dict.fromkeys(zone for bar in bars for interval in bar.intervals for zone in interval.zones)
    there = ", ".join(f"{free.astimezone(zone):%Y-%m-%d %H:%M} in {zone}" for zone in zones if zone is not UTC)
    return f"{said}; {then} from {say_time(free)} on" + (f" ({there})" if there else "")
