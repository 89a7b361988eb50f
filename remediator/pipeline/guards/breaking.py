"""The circuit breaker of a rule, and of an action: what has failed too often is left alone, then tried once.

How it stands is worked out from the journal at each look, by going through what has ended since: there is no state of
its own that two processes could see differently. So it is also with the one trial: it is the plan that was begun after
the breaker had opened, and since starts are judged one after the other, the next one sees it. The stop that is put when
it opens shows it to people; that they have lifted it closes the breaker, and so does a trial that went well.

A rule has failed where a change did not help, failed or is unknown; an action only where it failed or is unknown.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum, auto
from functools import partial

from remediator.kit.wording import say_time
from remediator.model.change import Ending
from remediator.model.history import MOST_CHANGES, Known, Latest, Question
from remediator.model.limits import Limits
from remediator.model.outcome import Reason
from remediator.model.stop import Stop, StopKind
from remediator.pipeline.guards.attempts import BY
from remediator.pipeline.guards.guard import Allow, Case, Refuse, Review, together
from remediator.pipeline.guards.settled import settled_since
from remediator.pipeline.guards.standing import end_of, last_stop
from remediator.pipeline.guards.tries import Try, of_action, of_rule, tries_of
from remediator.pipeline.stops import how_to_lift

_LAST = 10


@dataclass(frozen=True, slots=True)
class Breaker:
    """An open breaker: of what, since when, why, and the trial that is under way."""

    scope: str
    opened: datetime
    why: str
    trial: Try | None
    settled: str = ""
    """What became known since of the runs that are the reason."""

    @property
    def stop(self) -> Stop:
        """What shows it to people. It is over when somebody lifts it."""
        return Stop(StopKind.BREAKER, self.scope, self.why, BY, self.opened)


class Breaking:
    """Neither the rule's breaker nor one of the plan's actions may be open. What has been begun is ended."""

    def asks(self, case: Case) -> tuple[Question, ...]:
        return () if case.begun else questions(case)

    def judge(self, case: Case, known: Known) -> Review:
        if case.begun:
            return Allow()
        return together([_judge(breaker, case) for breaker in open_breakers(case, known)])


def questions(case: Case) -> tuple[Question, ...]:
    """What `open_breakers` has to know."""
    return (case.standing, *(subject.question for subject in _subjects(case)))


def open_breakers(case: Case, known: Known) -> tuple[Breaker, ...]:
    """Those of the rule, and of the plan's actions, that are open or wait for their trial to end."""
    found = (_stand(subject, case, known) for subject in _subjects(case))
    return tuple(breaker for breaker in found if breaker is not None)


def lapsed_stops(case: Case, known: Known) -> tuple[Stop, ...]:
    """Stops of breakers that a good trial has closed, and that stand all the same; each with the end that it has."""
    return tuple(_lapsed(case, known))


def _lapsed(case: Case, known: Known) -> Iterator[Stop]:
    for subject in _subjects(case):
        stop = last_stop(known, StopKind.BREAKER, subject.scope)
        course = _course_of(subject, case, known)
        if stop is not None and not stop.is_over(case.at) and course.opened is None:
            yield replace(stop, until=course.closed)


class _Word(Enum):
    """What an ending says of a rule, or of an action."""

    BAD = auto()
    NEITHER = auto()
    GOOD = auto()


_Says = Callable[[Ending], _Word | None]
"""None where it does not say yet."""


def _of_rule(ending: Ending) -> _Word | None:
    if ending is Ending.DONE:
        return None
    if ending is Ending.INCONCLUSIVE:
        return _Word.NEITHER
    return _Word.BAD if ending.is_bad else _Word.GOOD


def _of_action(ending: Ending) -> _Word | None:
    return _Word.BAD if ending in (Ending.FAILED, Ending.UNKNOWN) else _Word.GOOD


@dataclass(frozen=True, slots=True)
class _Subject:
    """What has a breaker, where its past is found, and how its endings are read."""

    scope: str
    question: Latest
    says: _Says


def _subjects(case: Case) -> Iterator[_Subject]:
    yield _Subject(f"rule:{case.run.rule}", of_rule(case), _of_rule)
    for action in case.actions:
        yield _Subject(f"action:{action}", of_action(case, action), _of_action)


@dataclass(slots=True)
class _Course:
    """What became of a breaker, told one event after the other."""

    in_row: int
    of_ten: int
    opened: datetime | None = None
    closed: datetime | None = None
    """When it was closed last."""
    why: str = ""
    results: list[_Word] = field(default_factory=list)

    def ended(self, one: Try, word: _Word) -> None:
        if self.opened is None:
            if word is not _Word.NEITHER:
                self._count(one, word)
        elif one.at <= self.opened:  # begun before it opened; that it went well says nothing new
            self.opened = max(self.opened, one.known_at) if word is _Word.BAD else self.opened
        elif word is _Word.GOOD:
            self.close(one.known_at)
        else:  # a trial that did not prove it
            self.opened = one.known_at
            self.why = f"the trial in run {one.run} did not go well, either"

    def _count(self, one: Try, word: _Word) -> None:
        self.results = [*self.results, word][-_LAST:]
        bad = self.results.count(_Word.BAD)
        is_row = self.results[-self.in_row :] == [_Word.BAD] * self.in_row
        if word is _Word.BAD and (is_row or bad >= self.of_ten):
            self.opened = one.known_at
            many = f"{self.in_row} in a row" if is_row else f"{bad} of the last {len(self.results)}"
            self.why = f"{many} went badly, the last one in run {one.run}"

    def open(self, stop: Stop) -> None:
        self.opened = stop.at if self.opened is None else max(self.opened, stop.at)
        self.why = self.why or stop.reason

    def close(self, at: datetime) -> None:
        self.opened, self.closed, self.why, self.results = None, at, "", []


def _stand(subject: _Subject, case: Case, known: Known) -> Breaker | None:
    """An open breaker, or None for a closed one."""
    course = _course_of(subject, case, known)
    if course.opened is None:
        return None
    tries, own = tries_of(known.latest(subject.question)), (case.run.id, case.round)
    pending = [one for one in tries if _word_of(one, subject) is None and one.key != own]
    trials = [one for one in pending if one.at > course.opened and one.at + case.limits.trial_after > case.at]
    stop = last_stop(known, StopKind.BREAKER, subject.scope)
    is_put = stop is not None and not stop.is_over(case.at)
    settled = settled_since(stop, known.latest(subject.question)) if stop is not None and is_put else ""
    return Breaker(subject.scope, course.opened, course.why, trials[-1] if trials else None, settled)


def _course_of(subject: _Subject, case: Case, known: Known) -> _Course:
    """What became of it until now, as far as the journal tells."""
    changes = known.latest(subject.question)
    tries, stop = tries_of(changes), last_stop(known, StopKind.BREAKER, subject.scope)
    course = _Course(_row_of(case.limits, tries, is_cut=len(changes) >= MOST_CHANGES), case.limits.failures_of_ten)
    events: list[_Event] = [
        (one.known_at, 0, partial(course.ended, one, word))
        for one in tries
        if (word := _word_of(one, subject)) is not None
    ]
    if stop is not None:
        events.append((stop.at, 1, partial(course.open, stop)))
        if stop.until is not None and stop.is_over(case.at):
            events.append((end_of(stop), 2, partial(course.close, end_of(stop))))
    for _, _, happen in sorted(events, key=lambda event: event[:2]):
        happen()
    return course


_Event = tuple[datetime, int, Callable[[], None]]


def _word_of(one: Try, subject: _Subject) -> _Word | None:
    return None if one.ending is None else subject.says(one.ending)


def _row_of(limits: Limits, tries: Sequence[Try], *, is_cut: bool) -> int:
    """How many bad ones in a row are too many; where the answer had no room for so many plans, all of them are."""
    return max(min(limits.failures_in_row, len(tries)) if is_cut else limits.failures_in_row, 1)


def _judge(breaker: Breaker, case: Case) -> Review:
    pause = case.limits.trial_after
    why = f"{breaker.why}; {breaker.settled}" if breaker.settled else breaker.why
    what = f"{breaker.scope}: {why}; open since {say_time(breaker.opened)}"
    how = f"to close it: {how_to_lift(breaker.stop)}"
    if case.at < breaker.opened + pause:
        return Refuse(Reason.BREAKER_OPEN, f"{what}; one change may try at {say_time(breaker.opened + pause)}; {how}")
    if breaker.trial is not None:
        trial = f"run {breaker.trial.run} tries since {say_time(breaker.trial.at)}"
        again = say_time(breaker.trial.at + pause)
        return Refuse(Reason.BREAKER_OPEN, f"{what}; {trial}, and another may at {again}; {how}")
    return Allow()
