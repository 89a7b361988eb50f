"""When a silence is made, and when it is no longer tried to settle what became of it."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from remediator.errors import Failed
from remediator.model.facts import Held, Silenced, Unsilenced
from remediator.model.outcome import Reason
from tests.unit.pipeline.harness import MINUTE, SECOND, Harness, alert, last, rule
from tests.unit.pipeline.silencing.silences import Desk, quiet, titles

DAY = timedelta(days=1)


class Broken(Desk):
    """An Alertmanager whose answers our code does not understand."""

    async def is_firing(self, labels: Mapping[str, str]) -> bool:
        raise TypeError(labels)


async def test_nothing_is_silenced_while_a_run_only_waits_for_a_target(tmp_path: Path) -> None:
    """Nobody acts on it meanwhile, so nothing excuses the noise."""
    desk = Desk()
    other = rule(name="other", match=['alertname="Other"'], remediate=[{"do": [{"test.act": {"name": "web"}}]}])
    async with Harness(tmp_path, quiet(), other, alertmanager=desk) as it:
        it.world.pause = asyncio.Event()
        await it.deliver({"alertname": "Other"})
        await it.settle()
        await it.deliver(alert("web"))
        await it.pass_time(20 * SECOND)
        waiting = next(run for run in await it.runs() if run.rule == "p/sick")
        while_waiting = dict(desk.silences)
        it.world.on_act = it.world.heal
        it.world.before_act = desk.made.wait
        it.world.pause.set()
        await it.until_over()
        run = await it.store.read_run(waiting.id)
        assert run is not None

        assert (Reason.TARGET_BUSY, {}) == (last(waiting, Held).reason, while_waiting)
        assert 1 == sum(isinstance(fact, Silenced) for fact in run.facts)
        assert ["web", "web"] == it.world.effects


async def test_an_alertmanager_that_does_not_answer_keeps_no_step_waiting(tmp_path: Path) -> None:
    """The step goes on beside it, and its end is on record before it is known whether there is a silence."""
    desk = Desk(dies_after_making=True)  # it makes it, and never says so
    async with Harness(tmp_path, quiet(), alertmanager=desk) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        await it.settle()
        during = await it.facts()
        while "unsilenced" not in await it.facts():  # it waits for two real seconds
            await asyncio.sleep(0.05)
            await it.pass_time(SECOND)
        assert ["healed"] == await it.until_over()

        assert ["started", "finished"] == during[2:]
        words = [fact.brief for fact in (await it.run()).facts if isinstance(fact, Unsilenced)]
        assert "Alertmanager did not answer within 2 s" == words[0]
        assert [] == desk.lasting(it.clock.now())


async def test_what_was_silenced_is_known_though_another_answer_never_came(tmp_path: Path) -> None:
    """Else its end would not be heard while it is proven whether the change has helped."""
    desk = Desk(dies_after_making=True)  # of the first of both
    async with Harness(tmp_path, quiet(group_by=["alertname", "service"]), alertmanager=desk) as it:
        it.world.on_act = it.world.heal
        await it.deliver_all([it.alert(alert(instance="one")), it.alert(alert(instance="two"))])
        await it.settle()
        while "unsilenced" not in await it.facts():  # it waits for two real seconds
            await asyncio.sleep(0.05)
            await it.pass_time(SECOND)
        noted = [fact for fact in (await it.run()).facts if isinstance(fact, Silenced | Unsilenced)]
        await it.until_over()

        assert ["silenced", "unsilenced"] == [fact.kind for fact in noted][:2]
        words = [fact.brief for fact in noted if isinstance(fact, Unsilenced)]
        assert "Alertmanager did not answer within 2 s" == words[0]
        assert [1, 2] == [fact.count for fact in noted][:2]
        assert [] == desk.lasting(it.clock.now())


async def test_what_our_own_mistake_keeps_from_ending_is_given_up_after_a_day(tmp_path: Path) -> None:
    """It would be tried for ever, though the silence has long been over by itself; and people hear of it."""
    desk = Broken()
    async with Harness(tmp_path, quiet(), alertmanager=desk) as it:
        it.world.on_act = it.world.heal
        it.world.before_act = desk.made.wait
        await it.deliver(alert())
        await it.until_over()
        made = last(await it.run(), Silenced)
        await it.pass_time(made.until + DAY - it.clock.now() - 2 * MINUTE)
        early = last(await it.run(), Unsilenced)
        await it.pass_time(3 * DAY)
        run = await it.run()
        over = last(run, Unsilenced)
        (summary,) = await it.store.list_runs(limit=1)

        assert (False, True) == (early.ended, over.ended)
        assert "it is over by its own end, and is looked at no more: that is a mistake of ours" in over.brief
        assert summary.wake_at is None
        assert "The alert is silenced no more" in await titles(it)


async def test_what_alertmanager_refuses_for_ever_is_given_up_after_a_day(tmp_path: Path) -> None:
    """It may answer 403 to all that is asked."""
    desk = Desk()
    async with Harness(tmp_path, quiet(), alertmanager=desk) as it:

        def act(name: str) -> None:
            it.world.heal(name)
            desk.away = Failed("403 Forbidden")

        it.world.before_act, it.world.on_act = desk.made.wait, act
        await it.deliver(alert())
        await it.until_over()
        await it.pass_time(3 * DAY)
        over = last(await it.run(), Unsilenced)
        (summary,) = await it.store.list_runs(limit=1)

        assert over.ended
        assert "is looked at no more" in over.brief
        assert "403 Forbidden" in over.brief
        assert summary.wake_at is None
