"""What a remedy can say beside its steps: advice, a gate's time, its own proof, limits, and what is held."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from remediator.errors import Unavailable
from remediator.model.facts import Asked, Planned
from tests.unit.pipeline.harness import MINUTE, SECOND, Harness, alert, last, rule

NAME = "{{ labels.service }}"
ACT: dict[str, Any] = {"do": [{"test.act": {"name": NAME}}]}
SWEEP: dict[str, Any] = {"do": [{"test.sweep": {"name": NAME}}]}
ADVICE = {
    "name": "tell",
    "when": "steps.state.sick",
    "tell": "{{ labels.service }} was looked at {{ steps.state.looks }} times",
}


@pytest.mark.parametrize("mode", ["observe", "suggest", "gated", "auto"])
async def test_advice_that_fits_ends_the_run_as_told(tmp_path: Path, mode: str) -> None:
    """Where only a person can help, the run says how, in every mode, and nothing is done."""
    async with Harness(tmp_path, rule(mode=mode, remediate=[ADVICE, ACT])) as it:
        await it.deliver(alert())

        assert ["told"] == await it.until_over()
        assert "told: web was looked at 1 times" == await it.ending()
        assert [] == it.world.effects


async def test_advice_after_a_remedy_that_did_not_help_is_told_as_not_healed(tmp_path: Path) -> None:
    """Something was tried: an outcome of `told` would hide it."""
    async with Harness(tmp_path, rule(remediate=[ACT, ADVICE])) as it:
        await it.deliver(alert())

        assert ["not healed"] == await it.until_over()
        assert "not healed: web was looked at 2 times" == await it.ending()
        assert ["web"] == it.world.effects


async def test_advice_that_cannot_be_worked_out_says_so(tmp_path: Path) -> None:
    """The evidence is away: people must still hear which cause was found."""
    advice = {"name": "cause", "when": "labels.service == 'web'", "tell": "looked {{ steps.state.looks }}"}
    async with Harness(tmp_path, rule(remediate=[advice, ACT])) as it:
        it.world.fail_look = Unavailable("it is away")
        await it.deliver(alert())

        assert ["told"] == await it.until_over()
        assert "“cause” fits, but its advice could not be worked out" in await it.ending()
        assert [] == it.world.effects


async def test_a_limit_of_a_remedy_stands_instead_of_the_rules(tmp_path: Path) -> None:
    """The nearest place that says a figure counts."""
    limited = rule(remediate=[{**SWEEP, "limits": {"max_targets": 2}}], limits={"max_targets": 1})
    async with Harness(tmp_path, limited) as it:
        it.world.targets = 2
        it.world.on_act = it.world.heal
        await it.deliver(alert())

        assert ["healed"] == await it.until_over()


@pytest.mark.parametrize(("most", "outcome"), [(2, "healed"), (1, "refused")])
async def test_a_rule_says_how_many_targets_it_may_touch(tmp_path: Path, most: int, outcome: str) -> None:
    """The default of one is for rules that do not say."""
    async with Harness(tmp_path, rule(remediate=[SWEEP], limits={"max_targets": most})) as it:
        it.world.targets = 2
        it.world.on_act = it.world.heal
        await it.deliver(alert())

        assert [outcome] == await it.until_over()


async def test_a_gate_says_how_long_people_have(tmp_path: Path) -> None:
    """Longer than the setting, and longer than a plan is held otherwise."""
    async with Harness(tmp_path, rule(remediate=[{**ACT, "gate": {"timeout": "3h"}}])) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        await it.pass_time(SECOND)
        asked = last(await it.run(), Asked)
        await it.pass_time(timedelta(hours=2, minutes=59))
        still = await it.outcomes()
        await it.decide()

        assert timedelta(hours=3) == asked.until - asked.at
        assert [None] == still
        assert ["healed"] == await it.until_over()


async def test_a_gate_that_nobody_answers_expires(tmp_path: Path) -> None:
    """Sooner than the setting, where the rule says so."""
    async with Harness(tmp_path, rule(remediate=[{**ACT, "gate": {"timeout": "1m"}}])) as it:
        await it.deliver(alert())
        await it.pass_time(MINUTE + 5 * SECOND)

        assert ["expired"] == await it.outcomes()
        assert [] == it.world.effects


async def test_a_remedy_is_proven_in_its_own_way(tmp_path: Path) -> None:
    """The rule's own check would never hold."""
    own = {
        "settle": "1s",
        "sustain": "1s",
        "within": "1m",
        "checks": [{"test.look": {"name": "other"}, "expect": "result.looks > 1"}],
    }
    async with Harness(tmp_path, rule(remediate=[{**ACT, "verify": own}])) as it:
        await it.deliver(alert())

        assert ["healed"] == await it.until_over()
        assert last(await it.run(), Planned).plan.verification.settle == SECOND
