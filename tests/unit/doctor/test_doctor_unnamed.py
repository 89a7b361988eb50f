"""The doctor tells which rules need what the settings do not name."""

import pytest

from remediator.doctor.local import unnamed
from remediator.doctor.needs import Needs


@pytest.mark.parametrize(
    ("rules", "said"),
    [({"web/down"}, "web/down needs it, and"), ({"web/slow", "web/down"}, "web/down, web/slow need it, and")],
)
def test_one_rule_needs_and_several_need(rules: set[str], said: str) -> None:
    (found,) = unnamed("redis", (), Needs(by_name={("redis", "cache"): rules}), "add it under redis")

    assert f"{said} the settings do not name it" == found.detail
