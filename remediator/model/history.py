"""What guards ask about earlier changes, and the answers. The store answers; it decides nothing itself.

Questions are plain data, so that each engine can answer them in its own best way, inside the transaction that records
a start as well as outside of it. Every answer is bounded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from remediator.model.change import Change
from remediator.model.ids import RuleId
from remediator.model.stop import Stop

MOST_CHANGES = 50
"""How many changes one `Latest` may ask for."""
MOST_RUNS = 10_000
"""How many runs one `Recent` may count."""


@dataclass(frozen=True, slots=True)
class Which:
    """Which changes are meant: all, those of a rule, of a target, of a rule on a target, or by an action."""

    rule: RuleId | None = None
    target: str | None = None
    action: str | None = None

    def is_met_by(self, change: Change) -> bool:
        """Whether a change is one of these. Where no action is named, only entries that count are."""
        if self.action is not None:
            return change.action == self.action
        return change.counts and self.rule in (None, change.rule) and self.target in (None, change.target)


@dataclass(frozen=True, slots=True)
class Nth:
    """When the `n`-th newest change was begun, if it was begun after `since`: whether a budget of `n` is used up."""

    which: Which
    n: int
    since: datetime


@dataclass(frozen=True, slots=True)
class Latest:
    """The newest changes that were begun after `since`, the newest first, `count` at the most.

    With `if_bad` none are told where none of them went badly and none of the stops is told that are asked for with
    them: for what only counts what went badly, there is nothing to be counted then.
    """

    which: Which
    count: int
    since: datetime
    if_bad: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands in the way within any of these scopes."""

    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Recent:
    """When the newest runs began that began after `since`: those of a rule, or all; `most` at the most.

    Of the runs of a rule that began with the same alert only the newest counts: one that comes and goes is one. Where
    fewer than `most` began, older ones may be among them as well: with or without them they are too few.

    Where all are meant, no more than `each` of one rule count: a rule of which very many begin hides no other.
    """

    since: datetime
    most: int
    rule: RuleId | None = None
    each: int | None = None


Question = Nth | Latest | Standing | Recent


@dataclass(frozen=True, slots=True)
class Known:
    """The answers to questions that were asked together. Raises KeyError for what was not asked."""

    times: Mapping[Nth, datetime | None] = field(default_factory=dict)
    changes: Mapping[Latest, Sequence[Change]] = field(default_factory=dict)
    stops: Sequence[Stop] = ()
    """For every `Standing` that was asked, the oldest first. One whose time is over tells when it was lifted."""
    begun: Mapping[Recent, Sequence[datetime]] = field(default_factory=dict)

    def nth(self, question: Nth) -> datetime | None:
        return self.times[question]

    def latest(self, question: Latest) -> Sequence[Change]:
        return self.changes[question]

    def recent(self, question: Recent) -> Sequence[datetime]:
        return self.begun[question]
