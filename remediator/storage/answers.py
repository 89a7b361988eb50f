"""Answers guards' questions from the newest changes of each kind; the same for every engine. Pure.

A store looks up each kind of change once, however many questions there are about it. What is entered afterwards in the
same transaction is added in memory: so starts that share a commit are judged one after another, with one look at the
journal for all of them.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from remediator.model.change import Change
from remediator.model.history import MOST_CHANGES, MOST_RUNS, Known, Latest, Nth, Question, Recent, Standing, Which
from remediator.model.stop import Stop
from remediator.storage import codec

Kind = tuple[str | None, str | None, str | None]
"""Rule, target (as the store keeps it) and action of the changes that are meant, as in `Which`."""
Key = tuple[str, int, str, str]
"""Run, round, target (as the store keeps it) and action: there is one entry of each."""
Name = Callable[[str], str]
"""How a store keeps the name of a target or a scope."""


class Begun(NamedTuple):
    """A run's rule, when it began, as stores keep it, and the alert that it began with, where that was looked up."""

    rule: str
    at: int
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """What has to be looked up of a kind: the newest begun after `since`, but for the first `skip`, `most` of them.

    With `if_bad` only where one of them went badly, or a stop is told.
    """

    kind: Kind
    since: datetime
    skip: int
    most: int
    if_bad: bool = False

    def holds(self, place: int) -> bool:
        """Whether the newest change but for so many is among them."""
        return not self.if_bad and self.skip <= place < self.skip + self.most

    def joined(self, other: "Span") -> "Span | None":
        """Both as one; None where changes lie between them that nobody asks for."""
        first, second = sorted((self, other), key=lambda span: span.skip)
        if second.skip > first.skip + first.most:
            return None
        end = max(first.skip + first.most, second.skip + second.most)
        return Span(self.kind, min(self.since, other.since), first.skip, end - first.skip)


def as_it_is(name: str) -> str:
    return name


def spans(questions: Iterable[Question], entering: Iterable[Change] = (), name: Name = as_it_is) -> list[Span]:
    """What to look up to answer questions now, and after any of `entering` were entered."""
    more = Counter(kind for change in entering for kind in _kinds_of(change, name))
    found: dict[Kind, list[Span]] = {}
    only_bad: dict[Kind, Span] = {}
    for one in questions:
        if isinstance(one, Standing | Recent):
            continue
        kind = _kind(one.which, name)
        if isinstance(one, Nth):
            # As many of the n newest may come to be entered ones, so the n-th may be one of as many that are newer now.
            skip = max(one.n - 1 - more[kind], 0)
            span = Span(kind, one.since, skip, one.n - skip)
        else:
            span = Span(kind, one.since, 0, min(one.count, MOST_CHANGES))
        if isinstance(one, Latest) and one.if_bad:
            known = only_bad.get(kind, span)
            only_bad[kind] = Span(kind, min(span.since, known.since), 0, max(span.most, known.most), if_bad=True)
        else:
            found[kind] = _with(span, found.get(kind, ()))
    return [*(span for of_kind in found.values() for span in of_kind), *only_bad.values()]


def _with(span: Span, others: Iterable[Span]) -> list[Span]:
    """These and one more of the same kind, so that no two touch each other."""
    apart = []
    for other in others:
        joined = span.joined(other)
        if joined is None:
            apart.append(other)
        else:
            span = joined
    return [*apart, span]


class Answers:
    """What was looked up, and what was entered since."""

    def __init__(
        self,
        looked_up: Iterable[tuple[Span, Iterable[Change]]],
        *,
        stops: Sequence[Stop] = (),
        there: Collection[Key] = (),
        begun: Mapping[Recent, Iterable[Begun]] = MappingProxyType({}),
        name: Name = as_it_is,
    ) -> None:
        """`looked_up`: the newest first. `there`: those of the entries to come that the journal has already.

        `begun`: the newest runs, `rows_for` of each question.
        """
        self._found: dict[Kind, list[tuple[Span, list[Change]]]] = {}
        for span, changes in looked_up:
            self._found.setdefault(span.kind, []).append((span, list(changes)))
        self._stops = stops
        self._there = set(there)
        self._begun = {_same_but_for_time(question): list(rows) for question, rows in begun.items()}
        self._name = name

    def enter(self, changes: Iterable[Change]) -> None:
        """Count these from now on, unless the journal has them already."""
        for change in changes:
            target = self._name(change.target)
            kept = change if target == change.target else replace(change, target=target)
            key = (kept.run, kept.round, kept.target, kept.action)
            if key in self._there:
                continue
            self._there.add(key)
            for kind in _kinds_of(change, self._name):
                for _, changes_there in self._found.get(kind, ()):
                    _insert(changes_there, kept)

    def to(self, questions: Iterable[Question]) -> Known:
        """The answers to these, which were asked for in the look."""
        times: dict[Nth, datetime | None] = {}
        changes: dict[Latest, Sequence[Change]] = {}
        begun: dict[Recent, Sequence[datetime]] = {}
        scopes: dict[str, str] = {}  # as it is kept, and as it was asked for
        for one in questions:
            if isinstance(one, Nth):
                times[one] = self._nth(one)
            elif isinstance(one, Latest):
                changes[one] = self._latest(one)
            elif isinstance(one, Recent):
                begun[one] = _recent(one, self._begun[_same_but_for_time(one)])
            else:
                scopes.update((self._name(scope), scope) for scope in one.scopes)
        stops = [_named(stop, scopes[stop.scope]) for stop in self._stops if stop.scope in scopes]
        return Known(times, changes, tuple(stops), begun)

    def _nth(self, question: Nth) -> datetime | None:
        of_kind, wanted = self._found[_kind(question.which, self._name)], question.n - 1
        span, changes = next(found for found in of_kind if found[0].holds(wanted))
        place = wanted - span.skip
        at = changes[place].at if place < len(changes) else None
        return at if at is not None and at > question.since else None

    def _latest(self, question: Latest) -> tuple[Change, ...]:
        of_kind = self._found[_kind(question.which, self._name)]
        changes = next(changes for span, changes in of_kind if span.if_bad is question.if_bad and not span.skip)
        newest = changes[: min(question.count, MOST_CHANGES)]
        found = tuple(newest if not newest or newest[-1].at > question.since else _since(question.since, newest))
        asked = question.which.target
        if asked is None or self._name(asked) == asked:
            return found
        return tuple(replace(change, target=asked) for change in found)


def _kind(which: Which, name: Name) -> Kind:
    return which.rule, name(which.target) if which.target is not None else None, which.action


def _kinds_of(change: Change, name: Name) -> Iterable[Kind]:
    """Every kind that a change is of: those `Which` that are met by it."""
    yield None, None, change.action
    if change.counts:
        target = name(change.target)
        yield None, None, None
        yield change.rule, None, None
        yield None, target, None
        yield change.rule, target, None


def _insert(changes: list[Change], change: Change) -> None:
    """Among the newest: of two that were begun at once the one that was entered later comes first."""
    place = next((place for place, other in enumerate(changes) if other.at <= change.at), len(changes))
    changes.insert(place, change)


def _named(stop: Stop, scope: str) -> Stop:
    return stop if stop.scope == scope else replace(stop, scope=scope)


def _since(since: datetime, changes: Iterable[Change]) -> list[Change]:
    return [change for change in changes if change.at > since]


def stops_asked_for(questions: Iterable[Question], name: Name = as_it_is) -> list[str]:
    """The scopes, as the store keeps them, whose stops are asked for."""
    return sorted({name(scope) for one in questions if isinstance(one, Standing) for scope in one.scopes})


def runs_asked_for(questions: Iterable[Question]) -> list[Recent]:
    """The questions about runs; of those that differ in time alone the one that looks back furthest answers all."""
    furthest: dict[tuple[str | None, int | None, int], Recent] = {}
    for one in questions:
        if isinstance(one, Recent):
            known = furthest.setdefault(_same_but_for_time(one), one)
            if one.since < known.since:
                furthest[_same_but_for_time(one)] = one
    return list(furthest.values())


def _same_but_for_time(question: Recent) -> tuple[str | None, int | None, int]:
    return question.rule, question.each, question.most


def rows_for(question: Recent) -> int:
    """How many of the newest runs that count are told."""
    return min(question.most, MOST_RUNS)


def is_full(question: Recent, rows: Sequence[Begun]) -> bool:
    """Whether so many runs began as are asked for: then it matters whether an alert came again among them."""
    return len(rows) >= rows_for(question)


def has_repeats(rows: Sequence[Begun]) -> bool:
    """Whether an alert that came again is there more than once for a rule: others may have been cut off for it."""
    return len({(row.rule, row.fingerprint) for row in rows}) < len(rows)


def _recent(question: Recent, rows: Iterable[Begun]) -> tuple[datetime, ...]:
    counted: Counter[str] = Counter()
    found, since = [], codec.to_us(question.since)
    for rule, at, _ in rows:
        if at <= since:
            break
        counted[rule] += 1
        if question.each is None or counted[rule] <= question.each:
            found.append(at)
    return tuple(map(codec.from_us, found[: question.most]))
