"""What a person has approved is carried out only if it is still what would be done, and for what they were told of."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from remediator.model.facts import Asked, Planned, Started
from remediator.model.outcome import Reason
from remediator.pipeline.guards import Allow, Ask, Case, Hold, Review
from tests.unit.pipeline.guarded import ACT, SET, Said
from tests.unit.pipeline.harness import MINUTE, SECOND, Harness, alert, last, rule

SICK_ONLY = [{"name": "cure", "when": "steps.state.sick", "do": [ACT]}]
LADDER = [*SICK_ONLY, {"name": "set it", "do": [SET]}]
NOT_YET = Reason.DEPENDENCY_DOWN


def gated(**changes: Any) -> dict[str, Any]:
    return rule(**{"mode": "gated", "remediate": SICK_ONLY, **changes})


async def questions(it: Harness) -> list[Asked]:
    return [fact for fact in (await it.run()).facts if isinstance(fact, Asked)]


async def titles(it: Harness) -> list[str]:
    return [post.message.title for post in await it.posts((await it.run()).id)]


# -- what has been approved is looked at anew --


@pytest.mark.parametrize(("waited", "looks"), [(50 * SECOND, 1), (10 * MINUTE, 2)], ids=["soon", "late"])
async def test_a_late_approval_holds_where_the_same_is_found(tmp_path: Path, waited: timedelta, looks: int) -> None:
    """What is seen right before the start counts, and nobody is asked twice for the same plan."""
    async with Harness(tmp_path, gated()) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        await it.pass_time(waited)
        await it.decide()

        assert ["healed"] == await it.until_over()
        facts = await it.facts()
        assert (looks, 1, ["web"]) == (facts.count("examined"), facts.count("asked"), it.world.effects)
        plans = [title for title in await titles(it) if title.startswith("Plan")]
        assert 1 == len(plans)
        assert (looks - 1) == sum(title.startswith("Looked at anew") for title in await titles(it))


async def test_what_has_healed_before_a_late_approval_is_left_alone(tmp_path: Path) -> None:
    """The alert needs its time to resolve; the evidence does not."""
    async with Harness(tmp_path, gated()) as it:
        await it.deliver(alert())
        await it.pass_time(10 * MINUTE)
        it.world.heal("web")
        await it.decide()
        await it.until_over()

        why = "what was approved was not done, as it was looked at anew: no remedy of the rule fits the evidence"
        assert f"told: {why}" == await it.ending()
        assert [] == it.world.effects


@pytest.mark.parametrize("mode", ["gated", "auto"])
async def test_a_late_approval_is_void_for_another_target(tmp_path: Path, mode: str) -> None:
    """Somebody has deployed meanwhile: people see that, and decide anew, also where a guard alone had them asked."""
    probe = Said(Ask(Reason.CANNOT_TELL, "chat is away") if mode == "auto" else Allow())
    async with Harness(tmp_path, gated(mode=mode), probes=[probe]) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        await it.pass_time(10 * MINUTE)
        it.world.incarnation, probe.review = "id-2", Allow()
        await it.decide()
        await it.pass_time(MINUTE)
        before, asked = list(it.world.effects), await questions(it)
        await it.decide()

        assert ["healed"] == await it.until_over()
        assert ([], ["web"], 2) == (before, it.world.effects, len(asked))
        told = "this is not what was approved: test:web is not the one that it was (id-1 then, id-2 now)"
        assert told == asked[-1].why
        assert "Void: approved by ann, and not done so" in await titles(it)
        assert "Approved by ann" in await titles(it)


async def test_a_soon_approval_is_void_for_another_target(tmp_path: Path) -> None:
    """The targets are looked up again at each start that was waited for, however short the wait."""
    async with Harness(tmp_path, gated()) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        await it.pass_time(20 * SECOND)
        it.world.incarnation = "id-2"
        await it.decide()
        await it.pass_time(20 * SECOND)
        before, asked = list(it.world.effects), await questions(it)
        await it.decide()

        assert ["healed"] == await it.until_over()
        assert ([], ["web"], 2) == (before, it.world.effects, len(asked))
        assert "test:web is not the one that it was" in asked[-1].why


async def test_a_late_approval_is_void_for_another_remedy(tmp_path: Path) -> None:
    """What is found now asks for something else."""
    async with Harness(tmp_path, gated(remediate=LADDER)) as it:
        await it.deliver(alert())
        await it.pass_time(10 * MINUTE)
        it.world.heal("web")
        await it.decide()
        await it.pass_time(MINUTE)
        before, (_, asked) = list(it.world.effects), await questions(it)
        await it.decide()

        assert ["healed"] == await it.until_over()
        assert ([], ["web"]) == (before, it.world.effects)
        assert "the remedy is “set it”, and not “cure”" in asked.why
        assert "added: test.set name='web'; left out: test.act name='web'" in asked.why


async def test_an_approval_that_was_renewed_covers_no_new_reason(tmp_path: Path) -> None:
    """A guard may find something only after it was looked at anew."""
    probe = Said()
    async with Harness(tmp_path, gated(), probes=[probe]) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        await it.pass_time(10 * MINUTE)
        probe.review = Ask(Reason.LAST_OF_POOL, "it is the only one of shop", subject="shop")
        await it.decide()
        await it.pass_time(MINUTE)
        before, asked = list(it.world.effects), await questions(it)
        await it.decide()

        assert ["healed"] == await it.until_over()
        assert ([], ["web"], 2) == (before, it.world.effects, len(asked))


async def test_who_says_no_to_what_came_up_later_is_heard(tmp_path: Path) -> None:
    """The approval of before is used up by the new question: it does not stand in for the answer."""
    probe = Said()
    async with Harness(tmp_path, gated(), probes=[probe]) as it:
        await it.deliver(alert())
        await it.pass_time(10 * MINUTE)
        probe.review = Ask(Reason.LAST_OF_POOL, "it is the only one of shop", subject="shop")
        await it.decide()
        await it.pass_time(MINUTE)
        await it.decide(approved=False, reason="not now")

        assert ["denied"] == await it.until_over()
        assert [] == it.world.effects


async def test_an_approval_outlives_a_crash_after_it_was_looked_at_anew(tmp_path: Path) -> None:
    """It is folded from what is stored: whoever goes on sees the same approval of the same plan."""
    probe = Said()
    async with Harness(tmp_path, gated(), probes=[probe]) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        await it.pass_time(10 * MINUTE)
        probe.review = Hold(NOT_YET, it.clock.now() + 30 * SECOND, "the database is down")
        await it.decide()
        await it.pass_time(SECOND)
        renewed = last(await it.run(), Planned)
        await it.crash()
        probe.review = Allow()

        assert ["healed"] == await it.until_over()
        assert ((1, 1), 2) == (renewed.renews, renewed.round)
        assert 1 == (await it.facts()).count("asked")


async def test_what_was_approved_late_is_approved_once(tmp_path: Path) -> None:
    """What recurs is asked for each time: an approval of before is used up by the first start."""
    async with Harness(tmp_path, gated(remediate=[{"every": "1h", "do": [ACT]}])) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        await it.pass_time(5 * MINUTE)
        await it.decide()
        await it.pass_time(90 * MINUTE)
        run = await it.run()

        assert ["web"] == it.world.effects
        assert (1, 2) == (sum(isinstance(f, Started) for f in run.facts), len(await questions(it)))


@dataclass
class GoneAfter:
    """A probe that cannot find the target of a plan any more, once it was replaced."""

    it: Harness | None = None

    async def look(self, case: Case) -> Review:
        assert self.it is not None
        if case.plan.targets[0].incarnation == self.it.world.incarnation:
            return Allow()
        return Hold(Reason.POOL_UNCERTAIN, case.at + 30 * SECOND, "no such container", is_outdated=True)


@pytest.mark.parametrize("mode", ["auto", "gated"])
async def test_a_plan_whose_target_is_gone_is_made_anew(tmp_path: Path, mode: str) -> None:
    """To wait for what was replaced would be in vain until the plan is too old."""
    held, gone = Said(), GoneAfter()
    async with Harness(tmp_path, gated(mode=mode), probes=[held, gone]) as it:
        gone.it, it.world.on_act = it, it.world.heal
        held.review = Hold(NOT_YET, it.clock.now() + 20 * SECOND, "the database is down")
        await it.deliver(alert())
        await it.pass_time(10 * SECOND)
        it.world.incarnation, held.review = "id-2", Allow()
        await it.pass_time(30 * SECOND)
        if mode == "gated":
            await it.decide()

        assert ["healed"] == await it.until_over(limit=5 * MINUTE)
        assert ["web"] == it.world.effects


# -- what an approval is about --


LAST = Ask(Reason.LAST_OF_POOL, "it is the only one of shop", subject="shop")


@pytest.mark.parametrize(
    ("later", "asked"),
    [
        (replace(LAST, detail="it takes all 2 that are healthy of shop"), 1),
        (replace(LAST, detail="it is the only one of bank", subject="bank"), 2),
        (Allow(), 1),
    ],
    ids=["other figures", "another pool", "nothing any more"],
)
async def test_an_approval_covers_what_it_was_asked_about(tmp_path: Path, later: Review, asked: int) -> None:
    """Who gives up one pool has not given up another one; that a figure has changed is no other question."""
    probe = Said(LAST)
    async with Harness(tmp_path, rule(), probes=[probe]) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        await it.pass_time(SECOND)
        probe.review = later
        await it.decide()
        await it.pass_time(MINUTE)
        before = list(it.world.effects)
        if asked > 1:
            await it.decide()

        assert ["healed"] == await it.until_over()
        assert asked == len(await questions(it))
        assert [] == before or asked == 1


async def test_two_pools_are_told_in_one_question(tmp_path: Path) -> None:
    """Each of them is approved then, and neither is asked for again."""
    both = [Said(LAST), Said(replace(LAST, detail="it is the only one of bank", subject="bank"))]
    async with Harness(tmp_path, rule(), probes=both) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await it.decide()

        assert ["healed"] == await it.until_over()
        (asked,) = await questions(it)
        assert ("shop", "bank") == asked.subjects
        assert "it is the only one of shop" in asked.why
        assert "it is the only one of bank" in asked.why


def test_a_question_of_an_earlier_version_is_about_its_reasons() -> None:
    """It was stored without what they are about, and must still be read."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    asked = Asked(at, 1, 1, at, "why", (Reason.FROZEN, Reason.LAST_OF_POOL), ("sale",))

    assert ["sale", ""] == [concern.subject for concern in asked.concerns]
