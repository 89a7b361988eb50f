"""Each guard of the history alone: without it, what it refuses would be begun."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from remediator.model.budget import Budget
from remediator.model.change import Ending
from remediator.model.outcome import Reason
from remediator.model.plan import Mode
from remediator.model.stop import EVERYTHING, Stop, StopKind
from remediator.pipeline.guards import Case, Guard
from remediator.pipeline.guards.attempts import Attempts
from remediator.pipeline.guards.breaking import Breaking
from remediator.pipeline.guards.budgets import Budgets
from remediator.pipeline.guards.cooldown import Cooldown
from remediator.pipeline.guards.demotion import Demotion
from remediator.pipeline.guards.flapping import Flapping
from remediator.pipeline.guards.pauses import Pauses
from remediator.pipeline.guards.targets import Targets
from tests.unit.pipeline.guards.journal import (
    DB,
    DOWN,
    HOUR,
    MINUTE,
    PUSH,
    SLOW,
    T0,
    UNLIMITED,
    WEB,
    Journal,
    a_case,
    engine,
)
from tests.unit.pipeline.guards.naive import GUARDS


def nothing(_journal: Journal) -> None:
    """The case itself is enough."""


def paused(journal: Journal) -> None:
    journal.put_stop(Stop(StopKind.PAUSE, EVERYTHING, "", "anna", T0))


def tried_in_vain(journal: Journal) -> None:
    for number in range(3):
        journal.happened(f"v{number}", Ending.NOT_HEALED, T0 - (40 - number) * MINUTE, rule=SLOW, action=PUSH)


def come_back(journal: Journal) -> None:
    for number in range(3):
        at = T0 - (10 - 2 * number) * MINUTE
        journal.happened(f"b{number}", Ending.HEALED, at, rule=SLOW)


def failed_elsewhere(journal: Journal) -> None:
    for number in range(3):
        journal.happened(f"f{number}", Ending.FAILED, T0 - 9 * MINUTE, targets=(f"thing:{number}",))


def used_up(journal: Journal) -> None:
    for number in range(3):
        journal.happened(f"u{number}", Ending.INCONCLUSIVE, T0 - (50 - number) * MINUTE)


def just_changed(journal: Journal) -> None:
    journal.happened("c0", Ending.INCONCLUSIVE, T0 - 2 * MINUTE)


def demoted(journal: Journal) -> None:
    journal.put_stop(Stop(StopKind.DEMOTION, f"rule:{DOWN}", "", "remediator", T0))


ALONE: list[tuple[type[Guard], Reason, Callable[[Journal], None], Case]] = [
    (Targets, Reason.TOO_MANY_TARGETS, nothing, a_case("me", targets=(DB, WEB))),
    (Pauses, Reason.PAUSED, paused, a_case("me")),
    (Attempts, Reason.QUARANTINED, tried_in_vain, a_case("me")),
    (Flapping, Reason.FLAPPING, come_back, a_case("me", limits=replace(UNLIMITED, flapping=Budget(2, HOUR)))),
    (Breaking, Reason.BREAKER_OPEN, failed_elsewhere, a_case("me", mode=Mode.GATED, approved=True)),
    (Budgets, Reason.BUDGET_USED, used_up, a_case("me")),
    (Cooldown, Reason.COOLING_DOWN, just_changed, a_case("me")),
    (Demotion, Reason.DEMOTED, demoted, a_case("me")),
]


@pytest.mark.parametrize(("guard", "reason", "story", "case"), ALONE, ids=[one[0].__name__ for one in ALONE])
def test_without_one_guard_what_it_refuses_would_be_begun(
    guard: type[Guard], reason: Reason, story: Callable[[Journal], None], case: Case
) -> None:
    """None of them is there twice: whoever takes one out of the list sees a test fail."""
    journal = Journal()
    story(journal)
    refusal = journal.begin(engine(*GUARDS), case)
    without = journal.begin(engine(*(one for one in GUARDS if type(one) is not guard)), case)

    assert refusal is not None
    assert reason is refusal.reason
    assert without is None
