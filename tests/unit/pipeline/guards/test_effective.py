"""Which limits hold: the nearest place that says a figure, and of several actions the strictest."""

from dataclasses import fields
from datetime import timedelta
from typing import Any

import pytest

from remediator.model.budget import Budget, Share
from remediator.model.limits import Limits
from remediator.pipeline.guards.effective import limits_of
from remediator.rules.compiling import compile_rule
from remediator.settings import LimitsSettings, PartialLimits
from tests.unit.pipeline.guards.journal import HOUR, KICK, MINUTE, PUSH
from tests.unit.rules.sample_actions import ACTIONS

DAY = timedelta(days=1)
LAYERS: list[dict[str, Any]] = [
    {"cooldown": "1m"},
    {"cooldown": "2m"},
    {"cooldown": "3m"},
    {"packs": {"web": {"cooldown": "4m"}}},
    {"actions": {KICK: {"cooldown": "5m"}}},
    {"cooldown": "6m"},
]


def effective(
    *, rung: Any = None, rule: Any = None, pack: Any = None, given: Any = None, actions: tuple[str, ...] = (KICK,)
) -> Limits:
    """The limits of a rung, where each place says what it says."""
    do: dict[str, Any] = {"do": [{"thing.kick": {"name": "web"}}], **({"limits": rung} if rung else {})}
    written = {"name": "down", "match": ['alertname="Down"'], "remediate": [do], **({"limits": rule} if rule else {})}
    document = {"pack": "web", "vars": {}, "rule": written, **({"limits": pack} if pack else {})}
    compiled = compile_rule(document, ACTIONS)
    return limits_of(LimitsSettings(**(given or {})), compiled, compiled.rungs[0], actions)


def test_without_a_word_the_shipped_figures_hold() -> None:
    """The settings' defaults are those of the model, every one of them."""
    assert Limits() == effective()


@pytest.mark.parametrize("first", range(6))
def test_the_nearest_place_that_says_a_figure_counts(first: int) -> None:
    """Rung, rule, pack, the settings for the pack, for the action, for everything."""
    said = [layer if place >= first else {} for place, layer in enumerate(LAYERS)]
    given = {**said[5], **said[4], **said[3]}

    assert (first + 1) * MINUTE == effective(rung=said[0], rule=said[1], pack=said[2], given=given).cooldown


def test_each_figure_is_looked_for_by_itself() -> None:
    """Who sets one limit of a remedy does not take the others away."""
    found = effective(rung={"max_targets": 2}, rule={"per_rule": "1/1h"}, pack={"attempts": "2/1h"})

    assert (Share(count=2), (Budget(1, HOUR),), Budget(2, HOUR)) == (found.max_targets, found.per_rule, found.attempts)
    assert Limits().flapping == found.flapping


def test_of_several_actions_the_strictest_counts() -> None:
    """And every window, as none of them was meant to be left out."""
    actions = {
        KICK: {"cooldown": "5m", "max_targets": 3, "attempts": "2/1h", "per_target": "5/1h", "failures_in_row": 2},
        PUSH: {"cooldown": "1h", "max_targets": 2, "attempts": "4/1d", "per_target": "9/1d", "min_healthy": "70%"},
        "thing.other": {"cooldown": "2d", "max_targets": 1, "trial_after": "1s"},
    }
    found = effective(given={"actions": actions}, actions=(KICK, PUSH))

    assert HOUR == found.cooldown
    assert Share(count=2) == found.max_targets
    assert Budget(2, DAY) == found.attempts
    assert (Budget(5, HOUR), Budget(9, DAY)) == found.per_target
    assert 2 == found.failures_in_row
    assert Share(percent=70.0) == found.min_healthy
    assert Limits().trial_after == found.trial_after


def test_every_figure_can_be_set_everywhere_in_the_settings() -> None:
    """How often anything may be changed at all is no matter of one pack or action."""
    figures = {field.name for field in fields(Limits)}

    assert figures == set(LimitsSettings.model_fields) - {"packs", "actions"}
    assert figures - {"overall", "storm_overall", "tell_within"} == set(PartialLimits.model_fields)


def test_the_cooldown_after_a_deploy_can_be_said_wherever_the_other_can() -> None:
    """A rule for what is deployed all day may need another figure than all others."""
    actions = {KICK: {"cooldown_after_deploy": "5m"}, PUSH: {"cooldown_after_deploy": "1h"}}

    assert MINUTE == effective(rung={"cooldown_after_deploy": "1m"}, given={"actions": actions}).cooldown_after_deploy
    assert HOUR == effective(given={"actions": actions}, actions=(KICK, PUSH)).cooldown_after_deploy
    assert 10 * MINUTE == effective(rung={"cooldown": "1m"}).cooldown_after_deploy
