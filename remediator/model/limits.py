"""How often, and on how much at once, something may be changed. The figures here are the defaults."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from remediator.model.budget import Budget, Share
from remediator.model.duration import say_duration
from remediator.model.history import MOST_CHANGES, MOST_RUNS

LONGEST = timedelta(days=30)
"""No time of a limit is longer: what was done is on record for a day more than that, and is forgotten then."""

_HOUR = timedelta(hours=1)
_THREE_AN_HOUR = Budget(3, _HOUR)
_FIVE, _FIFTY = Budget(5, timedelta(minutes=5)), Budget(50, timedelta(minutes=5))
_ONE = Share(count=1)
_MOST = Share(percent=51.0)


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits that hold for one remedy: its own, else its rule's, its pack's, its action's, the settings'."""

    per_target: tuple[Budget, ...] = (_THREE_AN_HOUR,)
    """How often the rule may change one target."""
    per_rule: tuple[Budget, ...] = (Budget(10, _HOUR),)
    """How often the rule may change anything."""
    overall: tuple[Budget, ...] = (Budget(30, _HOUR),)
    """How often anything may be changed by anybody here."""
    cooldown: timedelta = timedelta(minutes=10)
    """How long a target is left alone after another run has changed it."""
    cooldown_after_deploy: timedelta = timedelta(minutes=10)
    """How long it is after somebody else has deployed it, where its system shows that."""
    attempts: Budget = _THREE_AN_HOUR
    """So many changes that did not help put the target into quarantine."""
    flapping: Budget = _THREE_AN_HOUR
    """So many returns of what had been healed end the rule's work on a target for the rest of the window."""
    flapping_within: timedelta = timedelta(minutes=5)
    """An alert that comes so soon after its target was healed counts as the same problem again."""
    max_targets: Share = _ONE
    """How many targets one plan may touch."""
    min_healthy: Share = _MOST
    """How many members of a pool have to stay healthy during a step."""
    failures_in_row: int = 3
    """So many bad endings one after another open the breaker of a rule, or of an action."""
    failures_of_ten: int = 5
    """So many bad endings among the last ten do so as well."""
    gated_after_failures: int = 1
    """So many changes in a row that failed, or of which that is not known, take from a rule to act by itself."""
    gated_after_not_healed: int = 2
    """So many changes in a row that did not help do so as well."""
    trial_after: timedelta = timedelta(minutes=30)
    """How long an open breaker waits until it lets one change try."""
    storm: Budget = _FIVE
    """So many alerts of one rule within the time are a storm: new changes by it wait."""
    storm_overall: Budget = _FIFTY
    """So many alerts of all rules, five of each at the most, are one: all new changes wait. Ten rules have one then."""
    storm_quiet: timedelta = timedelta(minutes=10)
    """When no more has come for so long, a storm is over."""
    tell_within: timedelta = timedelta(minutes=15)
    """While what chat is to be told has waited for longer, nothing is changed without a person."""


_Any = TypeVar("_Any")


def countable(value: _Any) -> _Any:
    """A figure whose times are all such that what was done within them is on record. Raises ValueError."""
    for time in _times(value):
        if time > LONGEST:
            raise ValueError(
                f"{say_duration(time)} is too long for a limit: it takes {say_duration(LONGEST)} at the most, as what "
                "was done is not on record for longer"
            )
    return value


def boundable(value: Budget | None) -> Budget | None:
    """A storm whose alerts can be counted. Raises ValueError."""
    if value is not None and value.count > MOST_RUNS:
        raise ValueError(f"{value}: no more than {MOST_RUNS} are counted; to have no storms set `storm_quiet: 0s`")
    return value


def never_holds(limits: object) -> Iterator[tuple[str, str]]:
    """The limits among these that nothing ever reaches, or that are switched off, each with a sentence for people."""
    for name in ("attempts", "flapping", "gated_after_failures", "gated_after_not_healed"):
        said = getattr(limits, name, None)
        if said is not None and (said.count if isinstance(said, Budget) else said) > MOST_CHANGES:
            yield name, f"`{name}: {said}` never holds, as no more than {MOST_CHANGES} changes are looked at"
    for name, effect in _OFF_AT_ZERO.items():
        if getattr(limits, name, None) == timedelta(0):
            yield name, f"`{name}: 0s` switches it off: {effect}"


_OFF_AT_ZERO = {
    "cooldown": "a target may be changed again right after another run has changed it",
    "cooldown_after_deploy": "a target may be changed right after somebody has deployed it",
    "flapping_within": "what comes back at once after it was healed counts as a new problem",
    "storm_quiet": "there are no storms, and changes go on when very much falls ill at once",
}


def _times(value: Any) -> Iterator[timedelta]:
    if isinstance(value, tuple):
        for one in value:
            yield from _times(one)
    elif isinstance(value, Budget):
        yield value.window
    elif isinstance(value, timedelta):
        yield value
