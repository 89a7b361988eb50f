"""Which limits are told to be switched off: those that nothing reaches, and those that are over at once."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from remediator.model.budget import Budget
from remediator.model.limits import Limits, never_holds

NONE, HOUR = timedelta(0), timedelta(hours=1)


@pytest.mark.parametrize(
    ("said", "what"),
    [
        ({"cooldown": NONE}, "`cooldown: 0s` switches it off: a target may be changed again right after another run"),
        ({"cooldown_after_deploy": NONE}, "`cooldown_after_deploy: 0s` switches it off"),
        ({"flapping_within": NONE}, "`flapping_within: 0s` switches it off"),
        ({"storm_quiet": NONE}, "`storm_quiet: 0s` switches it off: there are no storms"),
        ({"attempts": Budget(51, HOUR)}, "`attempts: 51/1h` never holds"),
        ({"gated_after_failures": 51}, "`gated_after_failures: 51` never holds"),
    ],
)
def test_a_limit_that_is_switched_off_is_told(said: dict[str, Any], what: str) -> None:
    """Somebody may believe that it holds."""
    ((name, told),) = never_holds(SimpleNamespace(**said))

    assert [name] == list(said)
    assert told.startswith(what)


def test_of_the_shipped_limits_none_is() -> None:
    """Nor of a place that says none."""
    assert [] == list(never_holds(Limits()))
    assert [] == list(never_holds(None))
