"""When the breaker lets one change try, as people are told of it: never earlier than the guard itself lets one."""

from datetime import datetime
from typing import Any

import pytest

from remediator.model.change import Ending
from remediator.model.history import MOST_CHANGES, Latest, Which
from remediator.model.ids import RuleId
from remediator.model.stop import Stop, StopKind
from remediator.pipeline.guards.trials import trial_at
from remediator.pipeline.stops import tell_put
from remediator.rules.book import Book
from remediator.rules.compiling import compile_rule
from remediator.settings import LimitsSettings
from tests.unit.pipeline.guards.journal import DOWN, HOUR, KICK, MINUTE, SECOND, T0, Journal
from tests.unit.rules.sample_actions import ACTIONS

OPENED = T0 - HOUR
STOP = Stop(StopKind.BREAKER, f"rule:{DOWN}", "3 in a row went badly", "remediator", OPENED)


def book(**limits: Any) -> Book:
    written = {
        "name": "down",
        "match": ['alertname="Down"'],
        "remediate": [{"do": [{"thing.kick": {"name": "web"}}]}],
        **({"limits": limits} if limits else {}),
    }
    return Book([compile_rule({"pack": "web", "vars": {}, "rule": written}, ACTIONS)])


def at(stop: Stop = STOP, journal: Journal | None = None, **settings: Any) -> datetime | None:
    question = Latest(Which(rule=RuleId(DOWN)), MOST_CHANGES, T0 - 10 * HOUR)
    changes = (journal or Journal()).known([question]).latest(question)
    return trial_at(stop, changes, book(), LimitsSettings(**settings))


def test_one_may_try_when_the_pause_is_over() -> None:
    """Half an hour, as shipped."""
    assert OPENED + 30 * MINUTE == at()


@pytest.mark.parametrize(
    ("settings", "minutes"),
    [
        ({"trial_after": "10m"}, 10),
        ({"packs": {"web": {"trial_after": "20m"}}}, 20),
        ({"actions": {KICK: {"trial_after": "40m"}}}, 40),
        ({"actions": {"other.one": {"trial_after": "40m"}}}, 30),
    ],
)
def test_the_pause_is_the_one_that_holds_for_the_rule(settings: dict[str, Any], minutes: int) -> None:
    """Of its pack, or of what it does; the breaker of an action goes by the remedies that use it."""
    assert OPENED + minutes * MINUTE == at(**settings)
    action = Stop(StopKind.BREAKER, f"action:{KICK}", "why", "remediator", OPENED)
    assert OPENED + minutes * MINUTE == at(action, **settings)


def test_what_is_not_there_any_more_goes_by_the_settings() -> None:
    """The rule may have been taken out since; its breaker stands all the same."""
    gone = Stop(StopKind.BREAKER, "rule:web/gone", "why", "remediator", OPENED)

    assert OPENED + 5 * MINUTE == at(gone, trial_after="5m")


@pytest.mark.parametrize("ending", [Ending.FAILED, Ending.UNKNOWN, Ending.NOT_HEALED, Ending.INCONCLUSIVE])
def test_a_trial_that_did_not_go_well_has_it_wait_anew(ending: Ending) -> None:
    """From when that was known; else people would read a time that is over."""
    journal = Journal()
    journal.happened("r9", ending, OPENED + 31 * MINUTE, lasts=SECOND)

    assert OPENED + 61 * MINUTE + SECOND == at(journal=journal)


def test_only_a_breaker_has_a_trial() -> None:
    """A quarantine waits for a person alone."""
    assert at(Stop(StopKind.QUARANTINE, "target:x", "why", "remediator", OPENED)) is None


def test_chat_tells_both_ways_out() -> None:
    """That it goes on until somebody lifts it would have people get up for nothing."""
    (told,) = tell_put(STOP, OPENED + 30 * MINUTE).parts

    assert "until one trial after 2026-01-01 11:30:00 UTC goes well, or somebody lifts it. To lift it" in str(told)
    assert "until somebody lifts it. To lift it" in str(tell_put(STOP).parts)
