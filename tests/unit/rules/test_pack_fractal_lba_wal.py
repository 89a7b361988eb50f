"""The shipped rule wal-errors: each rung is for what it can heal, and a full disk is what the alert calls full."""

from pathlib import Path
from typing import Any

import pytest

from remediator.errors import NoEvidence
from remediator.model.facts import Evidence
from remediator.plugins import Actions
from remediator.rules.expressions import Scope
from remediator.rules.loading import load_book
from remediator.rules.rule import Rule

PACK = Path(__file__).parents[3] / "rules" / "fractal-lba.yaml"


@pytest.fixture(scope="module")
def rule() -> Rule:
    return next(one for one in load_book([PACK], Actions.installed()) if one.name == "wal-errors")


def disk(free: int, *, used: int | None = None) -> dict[str, Any]:
    """Of 100 bytes; what is neither free nor used is kept for root."""
    used = 100 - free if used is None else used
    return {"total_bytes": 100, "free_bytes": free, "used_percent": round(100 * used / (used + free), 1)}


def fitting(rule: Rule, **steps: dict[str, Any] | None) -> list[str]:
    """The rungs whose condition holds; a step without a result has failed."""
    evidence = {
        name: Evidence("test", ok=found is not None, result=found or {}, brief="", detail="", seconds=0)
        for name, found in steps.items()
    }
    scope = Scope({}, vars=rule.vars, steps=evidence)
    return [rung.name.split()[0] for rung in rule.rungs if rung.when and rung.when.evaluate(scope)]


_QUIET, _NO_SPACE = {"counts": {"no_space": 0}}, {"counts": {"no_space": 3}}


@pytest.mark.parametrize(
    ("wal", "outbox", "errors", "rungs"),
    [
        pytest.param(disk(5), disk(5), _QUIET, ["rotate", "compact"], id="full"),
        pytest.param(disk(50), disk(50), _QUIET, [], id="not-full"),
        pytest.param(disk(10, used=85), disk(10, used=85), _QUIET, ["rotate", "compact"], id="full-but-for-root"),
        pytest.param(disk(5), disk(60), _QUIET, ["rotate"], id="outbox-on-another-disk"),
        pytest.param(disk(50), disk(60), _NO_SPACE, ["rotate"], id="the-log-says-so"),
        pytest.param(disk(5), disk(5), None, ["rotate", "compact"], id="full-without-a-log"),
    ],
)
def test_each_remedy_is_for_what_it_can_heal(
    rule: Rule, wal: dict[str, Any], outbox: dict[str, Any], errors: dict[str, Any] | None, rungs: list[str]
) -> None:
    """A remedy that cannot help is not offered to a person to approve."""
    assert rungs == fitting(rule, disk=wal, outbox_disk=outbox, errors=errors)


def test_nothing_is_done_where_nothing_is_known(rule: Rule) -> None:
    """Without the disk's use and without the log there is no reason for a change."""
    with pytest.raises(NoEvidence):
        fitting(rule, disk=None, outbox_disk=disk(5), errors=_NO_SPACE)
