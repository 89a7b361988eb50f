"""Answers that are worked out in memory are those that a look at the whole journal would give."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediator.model.change import Change
from remediator.model.history import MOST_CHANGES, Known, Latest, Nth, Question, Recent, Standing, Which
from remediator.model.ids import RuleId, RunId
from remediator.model.stop import Stop, StopKind
from remediator.storage import codec
from remediator.storage.answers import Answers, Begun, Span, runs_asked_for, spans, stops_asked_for

T0 = datetime(2026, 1, 1, tzinfo=UTC)
RULES, TARGETS, ACTIONS = ("p/a", "p/b"), ("x", "y", "z" * 20), ("restart", "limit")


def name(of: str) -> str:
    """A store that keeps long names in another way."""
    return of if len(of) < 10 else f"{of[:3]}…"


def at(second: int) -> datetime:
    return T0 + timedelta(seconds=second)


seconds = st.integers(0, 6).map(at)
changes = st.builds(
    Change,
    run=st.integers(0, 30).map(lambda number: RunId(f"r{number}")),
    round=st.just(1),
    rule=st.sampled_from(RULES).map(RuleId),
    target=st.sampled_from(TARGETS),
    action=st.sampled_from(ACTIONS),
    alert_at=st.just(T0),
    at=seconds,
    counts=st.booleans(),
)
whiches = st.one_of(
    st.builds(Which, rule=st.none() | st.sampled_from(RULES), target=st.none() | st.sampled_from(TARGETS)),
    st.builds(Which, action=st.sampled_from(ACTIONS)),
)
questions = st.lists(
    st.builds(Nth, whiches, st.integers(1, 6), seconds)
    | st.builds(Latest, whiches, st.integers(1, 4) | st.just(MOST_CHANGES + 1), seconds),
    max_size=8,
)


def once(journal: Sequence[Change]) -> list[Change]:
    """The first entry of each run, target and action, as a store keeps it."""
    kept = {(change.run, name(change.target), change.action): change for change in reversed(journal)}
    return [change for change in journal if kept[change.run, name(change.target), change.action] is change]


def newest_first(journal: Sequence[Change]) -> list[Change]:
    placed = sorted(enumerate(journal), key=lambda pair: (pair[1].at, pair[0]), reverse=True)
    return [change for _, change in placed]


def look(journal: Sequence[Change], span: Span) -> list[Change]:
    """What a table with these entries holds of a span."""
    rule, target, action = span.kind
    which = Which(RuleId(rule) if rule else None, target, action)
    kept = [Change(c.run, c.round, c.rule, name(c.target), c.action, T0, c.at, c.counts) for c in newest_first(journal)]
    found = [change for change in kept if which.is_met_by(change) and change.at > span.since]
    return found[span.skip : span.skip + span.most]


def answer(journal: Sequence[Change], question: Question) -> object:
    """The plainest way to answer a question."""
    assert not isinstance(question, Standing | Recent)
    newest = [c for c in newest_first(journal) if question.which.is_met_by(c) and c.at > question.since]
    if isinstance(question, Nth):
        return newest[question.n - 1].at if len(newest) >= question.n else None
    return [(c.run, c.action, c.at) for c in newest[: min(question.count, MOST_CHANGES)]]


def told(known: Known, question: Question) -> object:
    assert not isinstance(question, Standing | Recent)
    if isinstance(question, Nth):
        return known.nth(question)
    return [(c.run, c.action, c.at) for c in known.latest(question)]


@given(st.lists(changes, max_size=12), st.lists(st.lists(changes, max_size=3), max_size=6), questions)
def test_what_is_entered_in_memory_counts_like_what_is_in_the_journal(
    there: list[Change], batches: list[list[Change]], asked: list[Question]
) -> None:
    """So starts that share a commit are judged with one look, exactly as if each had a look of its own."""
    there = once(there)
    entering = [change for batch in batches for change in batch]
    keys = {(c.run, c.round, name(c.target), c.action) for c in there}
    found = Answers(
        [(span, look(there, span)) for span in spans(asked, entering, name)],
        there=keys & {(c.run, c.round, name(c.target), c.action) for c in entering},
        name=name,
    )
    journal = there
    for batch in batches:
        known = found.to(asked)
        assert [answer(journal, one) for one in asked] == [told(known, one) for one in asked]
        found.enter(batch)
        journal = once([*journal, *batch])


@given(questions)
def test_no_change_is_looked_up_twice_or_for_nobody(asked: list[Question]) -> None:
    """However many budgets, breakers and cooldowns ask about it; and what lies between two of them stays unread."""
    for span in spans(asked):
        ends = [
            (one.n - 1, one.n) if isinstance(one, Nth) else (0, min(one.count, MOST_CHANGES))
            for one in asked
            if isinstance(one, Nth | Latest) and (one.which.rule, one.which.target, one.which.action) == name_of(span)
        ]
        wanted = {place for first, end in ends for place in range(first, end)}

        others = [other for other in spans(asked) if other.kind == span.kind and other != span]
        assert set(range(span.skip, span.skip + span.most)) <= wanted
        assert all(span.skip + span.most < other.skip or other.skip + other.most < span.skip for other in others)


def name_of(span: Span) -> tuple[str | None, str | None, str | None]:
    """What a span is about, as a question names it."""
    rule, target, action = span.kind
    return rule, target, action


def test_a_large_budget_has_nobody_read_what_lies_before_its_last_change() -> None:
    """Ten thousand an hour must not mean that ten thousand entries are read at each start."""
    budget, newest = Nth(Which(), 10_000, T0), Latest(Which(), 50, T0)

    assert [Span((None, None, None), T0, 0, 50), Span((None, None, None), T0, 9_999, 1)] == sorted(
        spans([budget, newest]), key=lambda span: span.skip
    )


def test_what_is_wanted_only_if_bad_is_looked_up_apart() -> None:
    """Budgets of the same kind need their entries in any case."""
    which = Which(rule=RuleId("p/a"))
    found = spans([Nth(which, 2, T0), Latest(which, 50, T0, if_bad=True), Latest(which, 20, at(1), if_bad=True)])

    kind = ("p/a", None, None)
    assert [Span(kind, T0, 1, 1), Span(kind, T0, 0, 50, if_bad=True)] == found


def test_no_more_is_looked_up_than_the_answers_need() -> None:
    """A budget of thirty asks for one entry, and for as many more as are about to be entered."""
    change = Change(RunId("r"), 1, RuleId("p/a"), "x", "restart", T0, T0)
    budget, other = Nth(Which(), 30, T0), Nth(Which(target="y"), 3, T0)

    assert [Span((None, None, None), T0, 29, 1), Span((None, "y", None), T0, 2, 1)] == spans([budget, other])
    assert [Span((None, None, None), T0, 27, 3), Span((None, "y", None), T0, 2, 1)] == spans(
        [budget, other], [change, change]
    )


@pytest.mark.parametrize("scope", ["rule:p/a", "target:" + "z" * 20])
def test_a_stop_is_told_under_the_name_that_was_asked_for(scope: str) -> None:
    """Guards compare it with theirs; a name that a store keeps in another way must not slip through."""
    asked = Standing((scope, "everything"))
    stops = [Stop(StopKind.QUARANTINE, name(one), "", "me", T0) for one in (scope, "rule:p/b")]
    known = Answers([], stops=stops, name=name).to([asked])

    assert sorted(map(name, asked.scopes)) == stops_asked_for([asked], name)
    assert [scope] == [stop.scope for stop in known.stops]


def test_questions_about_runs_that_differ_in_time_alone_are_answered_with_one_look() -> None:
    """Starts that share a commit are all judged at times of their own, and very many runs may have begun."""
    rule = RuleId("p/a")
    late, early, other = Recent(at(3), 3, rule), Recent(at(1), 3, rule), Recent(at(2), 2, rule)
    runs = [Begun("p/a", codec.to_us(at(second)), f"f{second}") for second in (5, 4, 3, 2)]
    known = Answers([], begun={early: runs[:3], other: runs[:2]}).to([late, early, other])

    assert [early, other] == runs_asked_for([late, early, early, other])
    assert [(at(5), at(4)), (at(5), at(4), at(3)), (at(5), at(4))] == [
        tuple(known.recent(one)) for one in (late, early, other)
    ]
