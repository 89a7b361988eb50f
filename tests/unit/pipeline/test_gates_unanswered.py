"""What becomes of a question that nobody answers, and when its time is over."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from remediator.model.facts import Asked, Reminded, Started
from remediator.model.message import Message, Tone
from remediator.model.outcome import Reason
from remediator.model.plan import Mode
from remediator.model.run import Decision
from remediator.pipeline.approvals import Answer
from remediator.pipeline.guards import Ask, Probe
from tests.unit.pipeline.gates import (
    PEOPLE,
    ana,
    asking,
    audited,
    deliver_posts,
    gated,
    of_kind,
    say,
)
from tests.unit.pipeline.guarded import Said as Says
from tests.unit.pipeline.harness import MINUTE, SECOND, alert, last

BY_ITSELF: dict[str, Any] = {"on_timeout": "auto", "timeout": "5m"}


async def test_a_plan_goes_by_itself_where_its_rule_says_so(tmp_path: Path) -> None:
    """Also where two would have to approve: it is the rule's word that counts then, and it is on record."""
    async with asking(tmp_path, gated(**BY_ITSELF, quorum=2)) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await deliver_posts(it)
        await it.pass_time(4 * MINUTE)
        before = list(it.world.effects)

        assert ["healed"] == await it.until_over()
        assert ([], ["web"]) == (before, it.world.effects)
        run = await it.run()
        (decision,) = [signal for signal in run.signals if isinstance(signal, Decision)]
        assert ("remediator", "service", True) == (decision.person, decision.via, decision.approved)
        (entry,) = [entry for entry in await audited(it) if entry.what == "approved"]
        assert ("remediator", "service") == (entry.who, entry.via)
        assert "nobody decided in time, and the rule says to go on then" == entry.detail
        assert last(run, Started).at >= last(run, Asked).until


@pytest.mark.parametrize(
    ("step", "ceiling", "probes", "told", "why"),
    [
        ("test.destroy", Mode.AUTO, [], True, "a step destroys something"),
        ("test.act", Mode.GATED, [], True, "the ceiling for all rules is gated"),
        ("test.act", Mode.AUTO, [Says(Ask(Reason.CANNOT_TELL, "chat is away"))], True, "a guard wants a person"),
        ("test.act", Mode.AUTO, [], False, "chat could not be told of the question"),
    ],
    ids=["destroys", "above the ceiling", "a guard asks", "nobody was told"],
)
async def test_a_plan_does_not_go_by_itself(
    tmp_path: Path, step: str, ceiling: Mode, probes: Sequence[Probe], told: bool, why: str
) -> None:
    """Whatever its rule says; and people learn why."""
    asks = gated({step: {"name": "web"}}, **BY_ITSELF)
    async with asking(tmp_path, asks, ceiling=ceiling, probes=probes) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        if told:
            await deliver_posts(it)

        assert ["expired"] == await it.until_over()
        assert f"nobody has approved the plan in time, and it does not go by itself: {why}" in await it.ending()
        assert [] == it.world.effects


async def test_a_place_that_takes_nothing_keeps_no_plan_from_going_by_itself(tmp_path: Path) -> None:
    """People have read the question in the thread; that a mailbox is full for days says nothing of it."""
    async with asking(tmp_path, gated(**BY_ITSELF)) as it:
        await it.store.notify("notify:mail", "news.r0.ended", Message(Tone.GOOD, "healed"), it.clock.now())
        await it.deliver(alert())
        await it.pass_time(SECOND)
        for post in await it.posts((await it.run()).id):
            await it.store.note_sent(post.seq, post.version, f"ref-{post.seq}")

        assert ["healed"] == await it.until_over()


async def test_who_says_no_in_time_is_heard_before_the_rule(tmp_path: Path) -> None:
    """The rule speaks only for people who have said nothing."""
    async with asking(tmp_path, gated(**BY_ITSELF)) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await deliver_posts(it)
        await it.pass_time(4 * MINUTE)
        await say(it, ana(it), approved=False, reason="no")

        assert ["denied"] == await it.until_over()
        assert [] == it.world.effects


async def test_people_are_reminded_once_each_time_also_over_restarts(tmp_path: Path) -> None:
    """And not after they have decided."""
    settings = {**PEOPLE, "approval": {"remind": ["10m", "5m", "1m"]}}
    async with asking(tmp_path, settings=settings) as it:
        began = it.clock.now()
        await it.deliver(alert())
        await it.pass_time(6 * MINUTE)
        await it.crash()
        await it.pass_time(5 * MINUTE)
        await it.crash()
        await it.pass_time(SECOND)
        await say(it, ana(it))

        assert ["healed"] == await it.until_over()
        reminded = await of_kind(it, Reminded)
        assert [5, 10] == [round((one.at - began) / MINUTE) for one in reminded]
        assert [1, 2] == [one.count for one in reminded]


async def test_time_outside_of_the_hours_does_not_run(tmp_path: Path) -> None:
    """People are asked at the end of their day, and decide the next morning: nothing expires meanwhile."""
    shift = [{"weekdays": ["thursday:friday"], "times": [{"start_time": "09:00", "end_time": "12:10"}]}]
    settings = {
        **PEOPLE,
        "approval": {"hours": ["shift"]},
        "calendar": {"time_intervals": [{"name": "shift", "time_intervals": shift}]},
    }
    async with asking(tmp_path, settings=settings) as it:
        began = it.clock.now()  # noon of a Thursday
        await it.deliver(alert())
        await it.pass_time(SECOND)
        asked = last(await it.run(), Asked)
        it.clock.jump(21 * timedelta(hours=1) + 2 * MINUTE)
        await it.pass_time(MINUTE)
        verdict = await say(it, ana(it))

        assert ["healed"] == await it.until_over()
        assert (began + timedelta(hours=21, minutes=5)) - asked.until < SECOND
        assert [began + timedelta(minutes=10)] == [at.replace(microsecond=0) for at in asked.reminders]
        assert Answer.TAKEN is verdict.answer
