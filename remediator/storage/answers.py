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

from remediator.model.change import Change
from remediator.model.history import MOST_CHANGES, MOST_RUNS, Known, Latest, Nth, Question, Recent, Standing, Which
from remediator.model.stop import Stop
from remediator.storage import codec

Kind = tuple[str | None, str | None, str | None]
"""Rule, target (as the store keeps it) and action of the changes that are meant, as in `Which`."""
Key = tuple[str, int, str, str]
"""Run, round, target (as the store keeps it) and action: there is one entry of each."""
Begun = tuple[str, int]
"""A run's rule, and when it began, as stores keep it."""
Name = Callable[[str], str]
"""How a store keeps the name of a target or a scope."""


@dataclass(frozen=True, slots=True)
class Span:
    """What has to be looked up of a kind: the newest begun after `since`, but for the first `skip`, `most` of them."""

    kind: Kind
    since: datetime
    skip: int
    most: int


def as_it_is(name: str) -> str:
    return name


def spans(questions: Iterable[Question], entering: Iterable[Change] = (), name: Name = as_it_is) -> list[Span]:
    """What to look up to answer questions now, and after any of `entering` were entered."""
    more = Counter(kind for change in entering for kind in _kinds_of(change, name))
    found: dict[Kind, Span] = {}
    for one in questions:
        if isinstance(one, Standing | Recent):
            continue
        kind = _kind(one.which, name)
        # As many of the n newest may come to be entered ones, so the n-th may be one of as many that are newer now.
        skip = max(one.n - 1 - more[kind], 0) if isinstance(one, Nth) else 0
        end = one.n if isinstance(one, Nth) else min(one.count, MOST_CHANGES)
        known = found.get(kind)
        if known is None:
            found[kind] = Span(kind, one.since, skip, end - skip)
        else:
            first, last = min(skip, known.skip), max(end, known.skip + known.most)
            found[kind] = Span(kind, min(one.since, known.since), first, last - first)
    return list(found.values())


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
        self._found = {span.kind: (span.skip, list(changes)) for span, changes in looked_up}
        self._stops = stops
        self._there = set(there)
        self._begun = {question: _recent(question, rows) for question, rows in begun.items()}
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
                if kind in self._found:
                    _insert(self._found[kind][1], kept)

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
                begun[one] = self._begun[one]
            else:
                scopes.update((self._name(scope), scope) for scope in one.scopes)
        stops = [_named(stop, scopes[stop.scope]) for stop in self._stops if stop.scope in scopes]
        return Known(times, changes, tuple(stops), begun)

    def _nth(self, question: Nth) -> datetime | None:
        skipped, changes = self._found[_kind(question.which, self._name)]
        place = question.n - 1 - skipped
        at = changes[place].at if place < len(changes) else None
        return at if at is not None and at > question.since else None

    def _latest(self, question: Latest) -> tuple[Change, ...]:
        _, changes = self._found[_kind(question.which, self._name)]
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
    """The questions about runs, each once."""
    return list(dict.fromkeys(one for one in questions if isinstance(one, Recent)))


def rows_for(question: Recent) -> int:
    """How many of the newest runs that count are told."""
    return min(question.most, MOST_RUNS)


def _recent(question: Recent, rows: Iterable[Begun]) -> tuple[datetime, ...]:
    counted: Counter[str] = Counter()
    found = []
    for rule, at in rows:
        counted[rule] += 1
        if question.each is None or counted[rule] <= question.each:
            found.append(at)
    return tuple(map(codec.from_us, found[: question.most]))
