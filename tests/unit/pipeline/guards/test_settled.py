"""Whoever decides on a stop is told what became known since of the runs that are its reason."""

from collections.abc import Callable

import pytest

from remediator.model.change import Ended, Ending
from remediator.model.history import MOST_CHANGES, Latest, Which
from remediator.model.stop import EVERYTHING, Stop, StopKind
from remediator.pipeline.guards import Ask, Guard, Refuse
from remediator.pipeline.guards.aftermath import asks, consequences
from remediator.pipeline.guards.attempts import Attempts
from remediator.pipeline.guards.breaking import Breaking
from remediator.pipeline.guards.demotion import Demotion
from remediator.pipeline.guards.settled import question_about, settled_since
from remediator.pipeline.guards.tries import LOOKS_BACK
from tests.unit.pipeline.guards.journal import DOWN, HOUR, KICK, MINUTE, SECOND, T0, WEB, Journal, a_case, judged

RULE = f"rule:{DOWN}"
LATER = T0 + MINUTE
KNOWN = "since then: run r0 counts as done (2026-01-01 12:01:00 UTC)"


def unknown(kind: StopKind = StopKind.DEMOTION, scope: str = RULE) -> tuple[Journal, Stop]:
    """A run whose step is unknown, and the stop that was put for it, both for half an hour now."""
    journal, began = Journal(), T0 - 31 * MINUTE
    journal.happened("r0", Ending.UNKNOWN, began)
    stop = Stop(kind, scope, "whether a step was done is not known in run r0", "remediator", began + MINUTE)
    journal.put_stop(stop)
    return journal, stop


def said_of(journal: Journal, stop: Stop) -> str:
    question = question_about(stop, T0)
    assert question is not None
    return settled_since(stop, journal.known([question]).latest(question))


def test_nothing_is_said_while_nothing_else_is_known() -> None:
    """Neither of what led to the stop, nor of what was known of it already."""
    assert "" == said_of(*unknown())


@pytest.mark.parametrize("ending", [Ending.DONE, Ending.FAILED, Ending.HEALED, Ending.NOT_HEALED])
def test_whatever_became_known_is_said(ending: Ending) -> None:
    """Also that it was not done, or did not help: it is not unknown any more."""
    journal, stop = unknown()
    journal.end("r0", Ended(1, ending, LATER))

    assert KNOWN.replace("done", str(ending)) == said_of(journal, stop)


def happened_later(journal: Journal) -> None:
    journal.happened("r0", Ending.HEALED, T0 - 20 * MINUTE, round_=2)


def happened_elsewhere(journal: Journal) -> None:
    journal.happened("r9", Ending.HEALED, T0 - 40 * MINUTE, lasts=20 * MINUTE)


@pytest.mark.parametrize("happen", [happened_later, happened_elsewhere], ids=["a later round", "another run"])
def test_what_has_nothing_to_do_with_the_reason_is_no_news(happen: Callable[[Journal], None]) -> None:
    """A person would promote the rule for it."""
    journal, stop = unknown()
    happen(journal)

    assert "" == said_of(journal, stop)


@pytest.mark.parametrize(
    ("kind", "scope", "which"),
    [
        (StopKind.DEMOTION, RULE, Which(rule=a_case().run.rule)),
        (StopKind.BREAKER, RULE, Which(rule=a_case().run.rule)),
        (StopKind.BREAKER, f"action:{KICK}", Which(action=KICK)),
        (StopKind.QUARANTINE, f"target:{WEB}", Which(target=WEB)),
        (StopKind.PAUSE, RULE, None),
        (StopKind.PAUSE, EVERYTHING, None),
        (StopKind.STORM, RULE, None),
        (StopKind.FLAPPING, f"target:{WEB}", None),
    ],
)
def test_the_journal_is_asked_for_what_a_stop_is_about(kind: StopKind, scope: str, which: Which | None) -> None:
    """One that has nothing to do with how changes end asks nothing."""
    expected = None if which is None else Latest(which, MOST_CHANGES, T0 - LOOKS_BACK)

    assert expected == question_about(Stop(kind, scope, "", "remediator", T0), T0)


@pytest.mark.parametrize(
    ("guard", "kind", "scope", "expected"),
    [
        (Demotion(), StopKind.DEMOTION, RULE, Ask),
        (Breaking(), StopKind.BREAKER, RULE, Refuse),
        (Breaking(), StopKind.BREAKER, f"action:{KICK}", Refuse),
        (Attempts(), StopKind.QUARANTINE, f"target:{WEB}", Refuse),
    ],
)
def test_a_stop_stands_although_its_cause_is_settled_and_says_so(
    guard: Guard, kind: StopKind, scope: str, expected: type[Ask | Refuse]
) -> None:
    """Only a person lifts it (or a breaker's trial), and whoever does that knows what there is to know."""
    journal, stop = unknown(kind, scope)
    journal.put_stop(stop := Stop(kind, scope, stop.reason, stop.by, T0 - SECOND))
    before = judged(guard, a_case(at=T0), journal)
    journal.end("r0", Ended(1, Ending.DONE, LATER))
    after = judged(guard, a_case(at=LATER + SECOND), journal)

    for said in (before, after):
        assert isinstance(said, expected)
    assert isinstance(before, Ask | Refuse)
    assert isinstance(after, Ask | Refuse)
    assert KNOWN not in before.detail
    assert f"{stop.reason}; {KNOWN}; " in after.detail


@pytest.mark.parametrize(
    ("ending", "put"), [(Ending.UNKNOWN, [StopKind.DEMOTION, StopKind.BREAKER]), (Ending.DONE, [])]
)
def test_what_was_settled_before_anything_followed_from_it_leads_to_nothing(
    ending: Ending, put: list[StopKind]
) -> None:
    """After a crash conclusions are drawn anew, from the journal as it is then."""
    journal = Journal()
    journal.happened("r1", ending, T0 - HOUR)
    limits = a_case().limits
    case = a_case("r1", limits=type(limits)(failures_in_row=1))

    found = consequences(case, journal.known(asks(case)))

    assert put == list(dict.fromkeys(stop.kind for stop in found))
