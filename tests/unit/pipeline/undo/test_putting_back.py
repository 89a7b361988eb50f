"""Changes that are put back: when their time is over, when a person asks, when they have not helped."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from remediator.errors import Failed
from remediator.model.facts import Finished, StepStatus
from remediator.model.message import Text, Tone
from remediator.model.undo import Captured, Cause, Undoing, Undone
from remediator.pipeline.undo.verdicts import Back, verdicts_on
from tests.unit.pipeline.harness import MINUTE, SECOND, Harness, alert, last, rule
from tests.unit.pipeline.undo.temporary import (
    BOLD,
    HALF_AN_HOUR,
    NAME,
    SHIPPED,
    for_a_while,
    healed,
    replies,
    setting,
    temporary,
    undo,
    undone_posts,
)


async def causes(it: Harness) -> list[Cause]:
    return [fact.cause for fact in (await it.run()).facts if isinstance(fact, Undoing)]


async def test_what_may_be_in_place_is_asked_about_where_its_repeat_has_failed(tmp_path: Path) -> None:
    """Cut short when it was done, refused at its repeat: nobody knows, so nothing more is tried, and people hear."""
    remedies = [for_a_while(), {"name": "second", "do": [{"test.act": {"name": "second"}}]}]
    async with Harness(tmp_path, rule(remediate=remedies)) as it:
        it.world.pause = asyncio.Event()
        await it.deliver(alert())
        await it.pass_time(5 * SECOND)
        it.world.setting = BOLD  # it was done
        await it.crash()
        it.world.pause = None

        def refuse(name: str) -> None:
            if name == "web":
                raise Failed("refused now")

        it.world.on_act = refuse
        await it.until_over()
        run = await it.run()
        (over,) = (fact for fact in run.facts if isinstance(fact, Undone))

        assert "second" not in it.world.effects
        assert (True, []) == (over.asks, it.world.restores)
        assert "it is not known whether it was done" in over.brief


async def test_what_was_changed_for_a_while_is_put_back_when_its_time_is_over(tmp_path: Path) -> None:
    """Not before, and once; the run has ended long before that, and its target was free."""
    async with Harness(tmp_path, temporary()) as it:
        await healed(it)
        run = await it.run()
        until = last(run, Finished).at + HALF_AN_HOUR
        (summary,) = await it.store.list_runs(limit=1)
        await it.pass_time(until - it.clock.now() - SECOND)
        early = it.world.setting
        await it.pass_time(2 * SECOND)
        (after,) = await it.store.list_runs(limit=1)

        assert (until, None) == (summary.wake_at, after.wake_at)
        assert (BOLD, SHIPPED, [SHIPPED]) == (early, it.world.setting, it.world.restores)
        assert [Cause.TIME_OVER] == await causes(it)
        assert (summary.ended_at, "healed") == (after.ended_at, after.outcome)
        await it.pass_time(24 * HALF_AN_HOUR)
        assert [SHIPPED] == it.world.restores


async def test_the_facts_tell_what_was_there_before_and_what_became_of_it(tmp_path: Path) -> None:
    """They are written with the start of the step, and to put it back is a step like any other."""
    async with Harness(tmp_path, temporary()) as it:
        await healed(it)
        await it.pass_time(HALF_AN_HOUR)
        run = await it.run()

        first = ["examined", "planned", "captured", "started", "finished", "verified", "ended"]
        assert [*first, "undoing", "started", "finished", "undone"] == await it.facts()
        assert {"value": SHIPPED} == last(run, Captured).before
        assert ("undo.1.remediate.0.0", StepStatus.DONE) == (last(run, Finished).step, last(run, Finished).status)
        assert not last(run, Undone).asks


async def test_it_is_told_in_one_message(tmp_path: Path) -> None:
    """A step of the plan is told when it starts to matter; what is put back, when all of it is."""
    async with Harness(tmp_path, temporary()) as it:
        await healed(it)
        ended = next(post for post in await replies(it) if post.key.startswith("ended"))
        before = len(await replies(it))
        await it.pass_time(HALF_AN_HOUR)
        (told,) = (await replies(it))[before:]

        assert any(isinstance(part, Text) and "is put back 20" in part.text for part in ended.message.parts)
        assert "What was changed is put back" == told.message.title
        said = " ".join(part.text for part in told.message.parts if isinstance(part, Text))
        assert f"{Cause.TIME_OVER.says}. is back: test.set name='web', way='boldly'" == said


async def test_it_is_put_back_as_soon_as_the_alert_has_ended(tmp_path: Path) -> None:
    """There is no reason for it any more."""
    async with Harness(tmp_path, temporary()) as it:
        await healed(it)
        await it.deliver(alert(), resolved=True)
        await it.settle()

        assert (SHIPPED, [Cause.RESOLVED]) == (it.world.setting, await causes(it))
        await it.pass_time(2 * HALF_AN_HOUR)
        assert [Cause.RESOLVED] == await causes(it)


async def test_an_alert_that_ends_before_the_proof_has_it_put_back_after_it(tmp_path: Path) -> None:
    """The proof has to see the change at work."""
    async with Harness(tmp_path, temporary()) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        await it.pass_time(6 * SECOND)
        await it.deliver(alert(), resolved=True)
        assert ["healed"] == await it.until_over()
        await it.settle()

        kinds = await it.facts()
        assert kinds.index("ended") < kinds.index("undoing")
        assert (SHIPPED, [Cause.RESOLVED]) == (it.world.setting, await causes(it))


async def test_a_change_for_good_stays_when_the_alert_has_ended(tmp_path: Path) -> None:
    """Only what was for a while is put back by itself."""
    async with Harness(tmp_path, rule(remediate=[setting()])) as it:
        await healed(it)
        await it.deliver(alert(), resolved=True)
        await it.pass_time(2 * HALF_AN_HOUR)

        assert (BOLD, []) == (it.world.setting, await causes(it))


@pytest.mark.parametrize("minutes", [10, 45], ids=["before its time", "over its time"])
async def test_the_time_goes_on_while_the_service_is_away(tmp_path: Path, minutes: int) -> None:
    """It is in the store when it is to be put back; what is late is put back at once."""
    async with Harness(tmp_path, temporary()) as it:
        await healed(it)
        until = last(await it.run(), Finished).at + HALF_AN_HOUR
        await it.process.kill()
        await it.clock.advance(minutes * MINUTE)
        await it.crash()
        await it.settle()
        at_start = it.world.setting
        await it.pass_time(max(until - it.clock.now(), timedelta(0)))

        assert at_start == (BOLD if minutes < 30 else SHIPPED)
        assert (SHIPPED, [SHIPPED]) == (it.world.setting, it.world.restores)


async def test_what_somebody_has_changed_since_is_left_alone(tmp_path: Path) -> None:
    """Nobody's change is overwritten: people are asked, once."""
    async with Harness(tmp_path, temporary()) as it:
        await healed(it)
        it.world.setting = "by hand"
        await it.pass_time(6 * HALF_AN_HOUR)
        (told,) = await undone_posts(it)

        assert ("by hand", []) == (it.world.setting, it.world.restores)
        assert ("Not put back: please look", Tone.BAD) == (told.message.title, told.message.tone)
        assert "it is set by hand" in last(await it.run(), Undone).brief
        assert [Cause.TIME_OVER] == await causes(it)
        (summary,) = await it.store.list_runs(limit=1)
        assert summary.wake_at is None


async def test_it_is_put_back_once_a_person_has_seen_to_it(tmp_path: Path) -> None:
    """Who asks has everything looked at anew."""
    async with Harness(tmp_path, temporary()) as it:
        await healed(it)
        it.world.setting = "by hand"
        await it.pass_time(HALF_AN_HOUR)
        it.world.setting = BOLD
        await undo(it)
        await it.settle()

        assert (SHIPPED, [Cause.TIME_OVER, Cause.ASKED]) == (it.world.setting, await causes(it))
        assert 2 == len(await undone_posts(it))


async def test_what_is_as_before_already_needs_nothing(tmp_path: Path) -> None:
    """Somebody was faster: that is no conflict."""
    async with Harness(tmp_path, temporary()) as it:
        await healed(it)
        it.world.setting = SHIPPED
        await it.pass_time(HALF_AN_HOUR)
        run = await it.run()

        assert ([], False) == (it.world.restores, last(run, Undone).asks)
        assert [Back] == [type(verdict) for verdict in verdicts_on(run.facts)]


async def test_a_person_has_changes_put_back(tmp_path: Path) -> None:
    """Also those that were made for good; the last one first, each with a step of its own."""
    steps = [{"test.set": {"name": NAME, "way": way}} for way in ("first", BOLD)]
    async with Harness(tmp_path, rule(remediate=[{"name": "both", "do": steps}])) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        assert ["healed"] == await it.until_over()
        await undo(it, "it was me")
        await it.settle()

        assert (["first", SHIPPED], SHIPPED) == (it.world.restores, it.world.setting)
        ends = [f.step for f in (await it.run()).facts if isinstance(f, Finished) and f.step.startswith("undo.")]
        assert ["undo.1.remediate.0.1", "undo.1.remediate.0.0"] == ends
        (told,) = await undone_posts(it)
        assert Text("ann has asked for it: it was me.") == told.message.parts[0]


async def test_who_asks_again_is_told_that_nothing_is_left(tmp_path: Path) -> None:
    """Nothing is begun, and the answer comes."""
    async with Harness(tmp_path, rule(remediate=[setting()])) as it:
        await healed(it)
        await undo(it)
        await it.settle()
        await undo(it)
        await it.settle()

        titles = [post.message.title for post in await undone_posts(it)]
        assert ["What was changed is put back", "There is nothing to put back"] == titles
        assert [SHIPPED] == it.world.restores


async def test_what_cannot_be_put_back_stays_and_is_told(tmp_path: Path) -> None:
    """The others are put back all the same."""
    steps: list[dict[str, Any]] = [{"test.set": {"name": NAME, "way": BOLD}}, {"test.act": {"name": NAME}}]
    async with Harness(tmp_path, rule(remediate=[{"name": "both", "do": steps}])) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        assert ["healed"] == await it.until_over()
        await undo(it)
        await it.settle()

        brief = last(await it.run(), Undone).brief
        assert "stays: test.act name='web' (what was there before is not known); is back: test.set" in brief
        assert SHIPPED == it.world.setting


async def test_a_wish_ends_a_run_that_waits_for_a_person(tmp_path: Path) -> None:
    """It would else be approved later, and done."""
    async with Harness(tmp_path, rule(remediate=[setting()], mode="gated")) as it:
        await it.deliver(alert())
        await it.settle()
        await undo(it)
        await it.settle()

        assert "cancelled: ann wants its changes to be put back" == await it.ending()
        assert ["There is nothing to put back"] == [post.message.title for post in await undone_posts(it)]


async def test_a_wish_ends_the_proof(tmp_path: Path) -> None:
    """Whether it helps does not matter any more."""
    async with Harness(tmp_path, rule(remediate=[setting(), setting("otherwise")])) as it:
        await it.deliver(alert())
        await it.pass_time(20 * SECOND)
        await undo(it)
        await it.pass_time(3 * SECOND)

        assert ["cancelled"] == await it.outcomes()
        assert (SHIPPED, ["web"]) == (it.world.setting, it.world.effects)


async def test_a_wish_waits_for_the_step_that_is_under_way(tmp_path: Path) -> None:
    """What comes after it is not done."""
    steps = [{"test.set": {"name": NAME, "way": way}} for way in (BOLD, "otherwise")]
    async with Harness(tmp_path, rule(remediate=[{"name": "both", "do": steps}])) as it:
        it.world.pause = asyncio.Event()
        await it.deliver(alert())
        await it.settle()
        await undo(it)
        await it.settle()
        it.world.pause.set()
        await it.settle()

        assert ["cancelled"] == await it.outcomes()
        assert (["web"], [SHIPPED]) == (it.world.effects, it.world.restores)


async def test_what_has_not_helped_is_put_back_before_the_next_remedy(tmp_path: Path) -> None:
    """The next one must find things as it expects them, and nothing that was in vain may stay."""
    seen: list[str] = []
    ladder = [setting(), {"name": "act", "do": [{"test.act": {"name": NAME}}]}]
    async with Harness(tmp_path, rule(remediate=ladder)) as it:

        def note(_name: str) -> None:
            seen.append(it.world.setting)
            it.world.sick = len(seen) == 1

        it.world.on_act = note
        await it.deliver(alert())

        assert ["healed"] == await it.until_over()
        assert ([SHIPPED, SHIPPED], [SHIPPED]) == (seen, it.world.restores)
        assert [Cause.NOT_HELPED] == await causes(it)
        kinds = await it.facts()
        assert kinds.index("undone") < len(kinds) - 1 - kinds[::-1].index("examined")


async def test_the_last_remedy_is_put_back_as_well(tmp_path: Path) -> None:
    """And the end says so."""
    async with Harness(tmp_path, rule(remediate=[for_a_while()])) as it:
        await it.deliver(alert())

        assert ["not healed"] == await it.until_over()
        assert "is back: test.set name='web', way='boldly'; the rule has nothing else to try" in await it.ending()
        assert SHIPPED == it.world.setting
        await it.pass_time(2 * HALF_AN_HOUR)
        assert [Cause.NOT_HELPED] == await causes(it)


async def test_the_ladder_ends_where_somebody_has_changed_what_has_not_helped(tmp_path: Path) -> None:
    """The next remedy must not act on what nobody understands. What was for a while is tried once more at its time."""
    async with Harness(tmp_path, rule(remediate=[for_a_while(), setting("otherwise")])) as it:
        await it.deliver(alert())
        await it.pass_time(20 * SECOND)
        it.world.setting = "by hand"

        assert ["not healed"] == await it.until_over()
        assert "nothing more is tried until a person has looked" in await it.ending()
        assert ["web"] == it.world.effects
        it.world.setting = BOLD
        await it.pass_time(HALF_AN_HOUR)
        assert ([Cause.NOT_HELPED, Cause.TIME_OVER], SHIPPED) == (await causes(it), it.world.setting)


async def test_without_proof_that_it_did_not_help_nothing_is_put_back(tmp_path: Path) -> None:
    """It may well have helped."""
    async with Harness(tmp_path, rule(remediate=[setting()])) as it:
        it.world.fail_check = Failed("no answer")
        await it.deliver(alert())

        assert ["inconclusive"] == await it.until_over()
        assert (BOLD, []) == (it.world.setting, await causes(it))
        ended = next(post for post in await replies(it) if post.key.startswith("ended"))
        assert "To put back what was changed" == getattr(ended.message.parts[-1], "title", "")
