"""How much of a budget is used is told as the guard of budgets counts it."""

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from remediator.model.budget import Budget
from remediator.model.change import Change
from remediator.model.facts import Held
from remediator.model.ids import RuleId, RunId
from remediator.model.outcome import Reason
from remediator.pipeline.usage import Usage, Used
from remediator.settings import LimitsSettings
from remediator.storage.sqlite import journal
from tests.unit.pipeline.harness import MINUTE, Harness, alert, rule

HOUR = timedelta(hours=1)
SICK, WEB = RuleId("p/sick"), "test:web"
LIMITS = LimitsSettings.model_validate({"per_target": "2/1h", "per_rule": "3/1h, 9/1d", "overall": "4/1h"})


def usage(it: Harness, limits: LimitsSettings = LIMITS) -> Usage:
    return Usage(it.store.known, it.process.rulebook, limits, it.clock)


async def changed(it: Harness, *before: timedelta, rule: RuleId = SICK, target: str = WEB) -> None:
    """So many changes, begun so long ago."""
    at = it.clock.now()
    made = [Change(RunId(f"{rule}{target}{n}"), 1, rule, target, "test.act", at, at - n) for n in before]
    await it.store.write(partial(journal.enter, changes=made))


def said(used: tuple[Used, ...] | None) -> list[tuple[str, str, int, bool]]:
    assert used is not None
    return [(one.limit, str(one.budget), one.used, one.is_used_up) for one in used]


async def test_each_window_of_a_rule_and_a_target_is_told(tmp_path: Path) -> None:
    """What other rules have changed counts for all together, and what another target had counts for the rule."""
    async with Harness(tmp_path) as it:
        await changed(it, 10 * MINUTE, 2 * HOUR)
        await changed(it, 20 * MINUTE, target="test:db")
        await changed(it, 5 * MINUTE, rule=RuleId("p/other"))

        assert [
            ("per_target", "2/1h", 1, False),
            ("per_rule", "3/1h", 2, False),
            ("per_rule", "9/1d", 3, False),
            ("overall", "4/1h", 3, False),
        ] == said(await usage(it).of_rule(SICK, WEB))
        assert [("overall", "4/1h", 3, False)] == said(await usage(it).of_everything())
        assert None is await usage(it).of_rule(RuleId("p/none"))


@pytest.mark.parametrize(
    ("before", "used", "frees_in"),
    [
        ([], 0, None),
        ([10 * MINUTE], 1, 50 * MINUTE),
        ([10 * MINUTE, 40 * MINUTE], 2, 20 * MINUTE),
        ([10 * MINUTE, 40 * MINUTE, 50 * MINUTE], 2, 20 * MINUTE),
        ([10 * MINUTE, HOUR], 1, 50 * MINUTE),
    ],
    ids=["nothing", "some", "all", "more than all", "some, and one is over"],
)
async def test_it_is_told_when_there_is_room_for_one_more(
    tmp_path: Path, before: list[timedelta], used: int, frees_in: timedelta | None
) -> None:
    """A change that is put back counts as well, so that more may be used than is allowed."""
    async with Harness(tmp_path) as it:
        await changed(it, *before)
        (found, *_) = await usage(it).of_rule(SICK, WEB) or ()

        assert (used, None if frees_in is None else it.clock.now() + frees_in) == (found.used, found.frees_at)


async def test_what_is_used_up_frees_when_the_guard_says(tmp_path: Path) -> None:
    """Both ask the same question."""
    async with Harness(tmp_path, limits=LIMITS) as it:
        await changed(it, 10 * MINUTE, 40 * MINUTE)
        await it.deliver(alert())
        await it.pass_time(MINUTE)
        held = next(fact for fact in (await it.run()).facts if isinstance(fact, Held))
        (found, *_) = await usage(it).of_rule(SICK, WEB) or ()

        assert (True, Reason.BUDGET_USED, held.until) == (found.is_used_up, held.reason, found.frees_at)


async def test_remedies_with_figures_of_their_own_are_named(tmp_path: Path) -> None:
    """One that only looks has none."""
    act: dict[str, Any] = {"do": [{"test.act": {"name": "web"}}]}
    own = {"name": "own", **act, "limits": {"per_rule": "1/1h"}}
    looks = {"name": "look", "do": [{"test.look": {"name": "web"}}]}
    remedies = [{"name": "first", **act}, looks, own]
    async with Harness(tmp_path, rule(remediate=remedies)) as it:
        found = await usage(it).of_rule(SICK) or ()

        assert [("3/1h", ("first",)), ("9/1d", ("first",)), ("4/1h", ("first", "own")), ("1/1h", ("own",))] == [
            (str(one.budget), one.remedies) for one in found
        ]


async def test_of_very_large_budgets_it_is_told_that_more_may_be_used(tmp_path: Path) -> None:
    """They are counted one by one, and not without end."""
    limits = LimitsSettings(overall=(Budget(100_000, HOUR),))
    async with Harness(tmp_path) as it:
        at = it.clock.now()
        made = [Change(RunId(f"r{n}"), 1, SICK, WEB, "test.act", at, at - MINUTE) for n in range(501)]
        await it.store.write(partial(journal.enter, changes=made))
        (found,) = await usage(it, limits).of_everything()

        assert (500, True, False, None) == (found.used, found.is_least, found.is_used_up, found.frees_at)
