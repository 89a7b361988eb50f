"""The runs that are due and wait for a place: which of them goes next. Pure.

The dispatcher owns it. A run of a rule that has all the places it may have steps aside, so that it keeps nobody behind
it waiting; when one of its rule leaves, the first of those aside gets that place, and stands before all others.
"""

from collections import OrderedDict
from dataclasses import dataclass

from remediator.model.ids import RuleId, RunId
from remediator.model.priority import Priority
from remediator.pipeline.lines import OLDEST_EVERY, Lines


@dataclass(slots=True, eq=False)
class Due:
    """A run that is due, or was and has a place now."""

    run: RunId
    priority: Priority
    rule: RuleId | None  # None: not known yet
    since: float = 0.0
    counted: bool = False  # among those of its rule that have a place


class WaitingRoom:
    """Who is due, at most so many of one rule with a place at a time (None: as many as there are places)."""

    def __init__(self, at_once_per_rule: int | None = None) -> None:
        self._most = at_once_per_rule
        self._waiting: OrderedDict[RunId, Due] = OrderedDict()  # all of them, in the order of coming
        self._lines: Lines[RunId] = Lines()
        self._aside: dict[RuleId, Lines[RunId]] = {}
        self._placed: dict[RuleId, int] = {}
        self._given = 0
        self._let_in = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, run: RunId) -> bool:
        return run in self._waiting

    @property
    def full(self) -> tuple[RuleId, ...]:
        """Rules of which some stand aside."""
        return tuple(self._aside)

    @property
    def ready(self) -> int:
        """How many of them only lack a place, and do not stand aside for others of their rule."""
        return len(self._lines)

    @property
    def oldest(self) -> float | None:
        """Since when the one has waited that came first."""
        return next(iter(self._waiting.values())).since if self._waiting else None

    def put(self, due: Due, *, first: bool = False) -> None:
        """Have a run wait that does not wait yet."""
        self._waiting[due.run] = due
        self._lines.put(due.run, due.priority, due.since, first=first)

    def hurry(self, run: RunId, priority: Priority) -> bool:
        """Whether the run waits; from now on as urgently as that, if it was less urgent."""
        due = self._waiting.get(run)
        if due is None:
            return False
        if priority < due.priority:
            line = self._line_of(due)
            line.remove(run)
            due.priority = priority
            line.put(run, priority, due.since)
        return True

    def pop(self) -> Due | None:
        """The next that may have a place, counted as having one; None while there is none."""
        oldest = (self._given + 1) % OLDEST_EVERY == 0
        while (run := self._lines.pop(oldest=oldest)) is not None:
            due = self._waiting[run]
            if self._count(due):
                del self._waiting[run]
                self._given += 1
                return due
            self._step_aside(due)
        return None

    def place(self, due: Due, rule: RuleId) -> bool:
        """Learn the rule of one that was given a place; False where that rule is full, and it may not keep it."""
        due.rule = rule
        return self._count(due)

    def leave(self, due: Due) -> None:
        """One that has a place gives it away: it goes to the first of its rule that stands aside, if any does."""
        rule = due.rule
        if rule is None or not due.counted:
            return
        due.counted = False
        self._placed[rule] -= 1
        if not self._placed[rule]:
            del self._placed[rule]
        self._let_one_in(rule)

    def _let_one_in(self, rule: RuleId) -> None:
        aside = self._aside.get(rule)
        if aside is None:
            return
        self._let_in += 1
        run = aside.pop(oldest=self._let_in % OLDEST_EVERY == 0)
        if run is None:
            return
        due = self._waiting[run]
        self._count(due)
        self._lines.put(run, due.priority, due.since, first=True)
        if not aside:
            del self._aside[rule]

    def _step_aside(self, due: Due) -> None:
        if due.rule is not None:
            self._aside.setdefault(due.rule, Lines()).put(due.run, due.priority, due.since)

    def _line_of(self, due: Due) -> Lines[RunId]:
        """Where a waiting run stands: aside only those that have no place of their rule's to count on."""
        aside = self._aside.get(due.rule) if due.rule is not None else None
        return aside if aside is not None and due.run in aside else self._lines

    def _count(self, due: Due) -> bool:
        """Whether one more of its rule may have a place; it is counted then."""
        if due.counted or due.rule is None or self._most is None:
            return True
        placed = self._placed.get(due.rule, 0)
        if placed >= self._most:
            return False
        self._placed[due.rule] = placed + 1
        due.counted = True
        return True
