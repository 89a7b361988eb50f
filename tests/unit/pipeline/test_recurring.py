"""Remedies that are carried out again as long as the alert fires."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from remediator.model.facts import Held, Planned, Started
from remediator.model.outcome import Reason
from remediator.model.run import Cancel
from remediator.model.stage import Proven, stage_of
from tests.unit.pipeline.harness import MINUTE, SECOND, Harness, alert, last, rule

NAME = "{{ labels.service }}"
DAY = timedelta(days=1)


def daily(**changes: Any) -> dict[str, Any]:
    act = {"name": "clean up", "every": "24h", "do": [{"test.act": {"name": NAME}}]}
    other = {"name": "else", "do": [{"test.act": {"name": "else"}}]}
    return rule(remediate=[act, other], **changes)


async def test_it_is_done_each_day_until_the_alert_resolves(tmp_path: Path) -> None:
    """Not once more after that; the run is one from the first day to the last."""
    async with Harness(tmp_path, daily()) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        await it.pass_time(MINUTE)
        first, open_ = list(it.world.effects), await it.outcomes()
        await it.pass_time(DAY - 2 * MINUTE)
        early = len(it.world.effects)
        await it.pass_time(2 * MINUTE)
        second = len(it.world.effects)
        await it.pass_time(DAY)
        third = len(it.world.effects)
        await it.deliver(alert(), resolved=True)
        await it.settle()

        assert (["web"], [None], 1, 2, 3) == (first, open_, early, second, third)
        assert ["healed"] == await it.outcomes()
        await it.pass_time(2 * DAY)
        assert 3 == len(it.world.effects)
        assert [1, 2, 3] == [fact.round for fact in (await it.run()).facts if isinstance(fact, Planned)]


async def test_it_rests_with_its_targets_given_back_and_tells_when_it_goes_on(tmp_path: Path) -> None:
    """Others may act meanwhile; people see that it waits, and for what."""
    async with Harness(tmp_path, daily()) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        await it.pass_time(MINUTE)
        run = await it.run()
        held = last(run, Held)
        told = [post.message for post in await it.posts(run.id)]
        it.world.sick = True
        await it.deliver(alert(severity="high"))
        await it.pass_time(MINUTE)

        assert isinstance(stage_of(run), Proven)
        assert (Reason.RECURS, DAY) == (held.reason, held.until - _last_end(run))
        assert "Done for now" in [message.title for message in told]
        assert any(message.title.endswith("done for now") for message in told)
        assert ["web", "web"] == it.world.effects


def _last_end(run: Any) -> Any:
    return max(fact.at for fact in run.facts if fact.kind == "finished")


async def test_a_restart_keeps_the_time_and_what_is_late_is_done_at_once(tmp_path: Path) -> None:
    """It fires still, so late is right."""
    async with Harness(tmp_path, daily()) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        await it.pass_time(MINUTE)
        await it.process.kill()
        await it.clock.advance(DAY + timedelta(hours=5))
        await it.crash()
        await it.pass_time(10 * SECOND)

        assert ["web", "web"] == it.world.effects
        assert 2 == len([fact for fact in (await it.run()).facts if isinstance(fact, Started)])


async def test_what_has_not_helped_gives_way_to_the_next_remedy(tmp_path: Path) -> None:
    """To do it again would not help either."""
    async with Harness(tmp_path, daily()) as it:
        await it.deliver(alert())

        assert ["not healed"] == await it.until_over()
        assert ["web", "else"] == it.world.effects


async def test_it_is_ended_by_a_person(tmp_path: Path) -> None:
    """As any run."""
    async with Harness(tmp_path, daily()) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        await it.pass_time(MINUTE)
        await it.say((await it.run()).id, Cancel(it.clock.now(), "ann"))
        await it.pass_time(2 * DAY)

        assert (["healed"], ["web"]) == (await it.outcomes(), it.world.effects)
