"""Limits are written in the settings as in rule files, in the file and in variables alike."""

from datetime import timedelta
from pathlib import Path

import pytest

from remediator.errors import BadSettings
from remediator.model.budget import Budget, Share
from remediator.settings import LimitsSettings, load_settings

HOUR = timedelta(hours=1)


def limits(text: str) -> LimitsSettings:
    Path("remediator.yaml").write_text(f"limits: {text}\n")
    return load_settings().limits


def test_they_are_written_as_in_rule_files() -> None:
    found = limits("{per_target: '2/1h, 5/1d', attempts: 2/1h, max_targets: 3, min_healthy: 60%, cooldown: 1m}")

    assert (Budget(2, HOUR), Budget(5, 24 * HOUR)) == found.per_target
    assert (Budget(2, HOUR), Share(count=3), Share(percent=60.0)) == (
        found.attempts,
        found.max_targets,
        found.min_healthy,
    )
    assert timedelta(minutes=1) == found.cooldown


def test_they_are_written_so_in_variables_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not as JSON, which nobody would guess."""
    for name, value in {"PER_RULE": "2/1h, 5/1d", "FLAPPING": "4/2h", "MAX_TARGETS": "3", "MIN_HEALTHY": "2"}.items():
        monkeypatch.setenv(f"REMEDIATOR_LIMITS__{name}", value)
    found = load_settings().limits

    assert (Budget(2, HOUR), Budget(5, 24 * HOUR)) == found.per_rule
    assert (Budget(4, 2 * HOUR), Share(count=3), Share(count=2)) == (
        found.flapping,
        found.max_targets,
        found.min_healthy,
    )


def test_packs_and_actions_have_their_own() -> None:
    found = limits("{packs: {web: {cooldown: 1h}}, actions: {docker.restart: {per_target: 1/1h}}}")

    assert HOUR == found.packs["web"].cooldown
    assert (Budget(1, HOUR),) == found.actions["docker.restart"].per_target
    assert found.actions["docker.restart"].cooldown is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{attempts: '3/1h, 5/1d'}", "this takes one figure of at least 1 and one time, like 3/1h"),
        ("{flapping: 0/1h}", "this takes one figure of at least 1 and one time, like 3/1h"),
        ("{per_rule: 3 an hour}", "is no budget; write how often in how long"),
        ("{max_targets: 0}", "with none, every plan would be refused"),
        ("{max_targets: 0%}", "with none, every plan would be refused"),
        ("{actions: {a.b: {max_targets: 1}, a.c: {max_targets: 51%}}}", "give `max_targets` either always as a number"),
        ("{actions: {a.b: {max_targets: 0}}}", "with none, every plan would be refused"),
        ("{packs: {web: {overall: 3/1h}}}", "`overall`"),
        ("{failures_of_ten: 12}", "`failures_of_ten` is 11 at the most"),
        ("{trial_after: 0s}", "`trial_after`"),
        ("{cooldown: 99999999d}", "99999999d is too long for a limit: it takes 30d at the most"),
        ("{storm_quiet: 31d}", "31d is too long for a limit"),
        ("{per_rule: '3/1h, 3/99999999d'}", "99999999d is too long for a limit"),
        ("{overall: 100/365d}", "what was done is not on record for longer"),
        ("{attempts: 3/90d}", "90d is too long for a limit"),
        ("{flapping: 3/31d}", "31d is too long for a limit"),
        ("{flapping_within: 25h}", "comes back after more than `1d` is not taken for the same"),
        ("{storm: 5/31d}", "31d is too long for a limit"),
        ("{trial_after: 31d}", "31d is too long for a limit"),
        ("{tell_within: 99999999d}", "99999999d is too long for a limit"),
        ("{packs: {web: {per_target: 5/90d}}}", "90d is too long for a limit"),
        (
            "{actions: {a.b: {min_healthy: 1}, a.c: {min_healthy: 51%}}}",
            "either always as a number or always as a share",
        ),
    ],
)
def test_what_could_not_be_kept_is_a_mistake(text: str, told: str) -> None:
    """A limit that is not kept must not be taken for one that is."""
    with pytest.raises(BadSettings) as caught:
        limits(text)

    assert told in str(caught.value)


def test_a_month_can_be_counted() -> None:
    found = limits("{cooldown: 30d, attempts: 3/30d, per_target: '3/1h, 20/30d', storm_quiet: 30d}")

    assert {timedelta(days=30)} == {found.cooldown, found.attempts.window, found.per_target[1].window}


def test_the_old_place_of_max_targets_is_a_mistake() -> None:
    Path("remediator.yaml").write_text("pipeline: {max_targets: 5}\n")

    with pytest.raises(BadSettings, match="max_targets"):
        load_settings()
